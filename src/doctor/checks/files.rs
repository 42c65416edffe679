//! What rcfed wrote on this machine, against what the configuration says today.

use std::sync::Arc;

use super::super::Site;
use super::super::check::{Check, Doc, Place, always};
use crate::compat;
use crate::config::Service;
use crate::finding::Finding;
use crate::layout;
use crate::step::Step;
use crate::topology::Origin;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "files.secrets",
        place: Place::Docker,
        applies: always,
        needs: &[],
        limit: 5,
        run: |site| Box::pin(secrets(site)),
        doc: Doc {
            what: "Whether every secret of this deployment has its file in /var/lib/rcfed/secrets.",
            why: "They open the databases and prove who the bridge is; `rcfed apply` would make new ones that fit nothing.",
            fails: "Logins to the databases fail after the next change, and a lost signing key cannot be replaced.",
            fix: "Put the file back from a backup.",
            source: "rcfed's own layout.",
        },
    },
    Check {
        id: "files.content",
        place: Place::Docker,
        applies: always,
        needs: &["docker.engine", "files.secrets"],
        limit: 15,
        run: |site| Box::pin(content(site)),
        doc: Doc {
            what: "Every file and directory rcfed wrote: content, owner, mode.",
            why: "A file that was edited by hand, or that its server may not read, is taken when the server starts the next time, which may be weeks later.",
            fails: "A warning names the file. What a changed file does is told by the check of the server that reads it.",
            fix: "`sudo rcfed apply` writes it again; what should stay different belongs into /etc/rcfed/config.toml.",
            source: "rcfed's own layout.",
        },
    },
    Check {
        id: "images.supported",
        place: Place::Docker,
        applies: always,
        needs: &[],
        limit: 5,
        run: |site| Box::pin(supported(site)),
        doc: Doc {
            what: "The versions in use against those that are known to work together, and their ends of life.",
            why: "Rocket.Chat's bridge exists up to 7.10 only, whose support ended on 2026-07-10: no security fixes, and the official mobile apps refuse it.",
            fails: "It never fails; images of your own choice and ends of life are told.",
            fix: "Remove the line below `[images]` to go back to the version rcfed was tried with.",
            source: "endoflife.date, rocket-chat, 2026-08-22; Rocket.Chat pull request 36988; versioning policies of PostgreSQL and MongoDB.",
        },
    },
];

async fn secrets(site: Arc<Site>) -> Vec<Finding> {
    let machine = &site.machine;
    let mut missing = Vec::new();
    for secret in &machine.topology.secrets {
        match machine.secrets.get(secret.name) {
            Ok(Some(_)) => {}
            // A file of the user's own is copied at the next run.
            Ok(None) if matches!(secret.origin, Origin::File(_)) => {}
            Ok(None) => missing.push(secret.name.name()),
            Err(error) => return vec![Finding::unknown("files.secrets", layout::SECRETS, error.to_string())],
        }
    }
    if missing.is_empty() {
        return vec![Finding::ok("files.secrets", layout::SECRETS, "every secret is there")];
    }
    let finding = |name: &str| {
        Finding::fail("files.secrets", format!("{}/{name}", layout::SECRETS), "is missing")
            .remedy("put it back from a backup before `sudo rcfed apply` makes another one")
    };
    missing.into_iter().map(finding).collect()
}

async fn content(site: Arc<Site>) -> Vec<Finding> {
    const ID: &str = "files.content";
    let topology = &site.machine.topology;
    let look = match site.look().await {
        Ok(look) => look,
        Err(error) => return vec![Finding::unknown(ID, layout::STATE, error)],
    };
    let directories = topology.directories.iter().map(|d| (&d.path, Step::Directory(d.clone())));
    let files = topology.files.iter().map(|f| (&f.path, Step::File(f.clone())));
    let ours = directories.chain(files).map(|(path, step)| (path.display().to_string(), step));
    let sites = topology.sites.iter().map(|site| (site.path.to_owned(), Step::Site(site.phase)));
    let mut findings = Vec::new();
    for (subject, step) in ours.chain(sites) {
        // What the configuration changed is told by `config.applied`.
        let Some(change) = look.change(&step.id()).filter(|change| change.by_hand) else { continue };
        findings.push(match change.why.as_str() {
            "" => Finding::warn(ID, subject, "is missing").command("sudo rcfed apply"),
            why => Finding::warn(ID, subject, format!("is not as rcfed wrote it: {why}")).command("sudo rcfed apply"),
        });
    }
    if findings.is_empty() {
        let count = topology.files.len() + topology.directories.len() + topology.sites.len();
        let said = format!("none of {count} files and directories was changed by hand");
        findings.push(Finding::ok(ID, layout::STATE, said));
    }
    findings
}

async fn supported(site: Arc<Site>) -> Vec<Finding> {
    let config = &site.machine.config;
    let mut findings: Vec<Finding> = config
        .images
        .iter()
        .filter(|(service, image)| {
            compat::image(config.profile, **service).is_some_and(|known| known.reference != image.as_str())
        })
        .map(|(service, image)| {
            let known = compat::image(config.profile, *service).map_or("", |known| known.reference);
            Finding::info(
                "images.supported",
                service.name(),
                format!("runs {image}, which the configuration chose; rcfed was tried with {known}"),
            )
        })
        .collect();
    findings.extend(
        compat::end_of_life(config.profile).map(|end| Finding::info("images.supported", "rocketchat", end.to_string())),
    );
    let today = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
    findings.extend([Service::Mongodb, Service::Postgres].into_iter().filter_map(|service| {
        let end = compat::end_of_database(service, &compat::version(config, service)?)?;
        (today.as_str() >= end.date).then(|| Finding::info("images.supported", service.name(), end.to_string()))
    }));
    if findings.is_empty() {
        findings.push(Finding::ok(
            "images.supported",
            config.profile.name(),
            "all versions are supported and known to work together",
        ));
    }
    findings
}
