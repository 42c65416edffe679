//! What rcfed wrote on this machine, against what the configuration says today.

use std::sync::Arc;

use super::super::Site;
use super::super::check::{Check, Doc, Place, always};
use crate::compat;
use crate::config::{Config, Service};
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
        run: |site| {
            Box::pin(async move {
                let today = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
                supported(&site.machine.config, &today)
            })
        },
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
    without(&missing)
}

/// By the names of the secrets that have no file.
fn without(missing: &[&str]) -> Vec<Finding> {
    if missing.is_empty() {
        return vec![Finding::ok("files.secrets", layout::SECRETS, "every secret is there")];
    }
    let finding = |name: &&str| {
        Finding::fail("files.secrets", format!("{}/{name}", layout::SECRETS), "is missing")
            .remedy("put it back from a backup before `sudo rcfed apply` makes another one")
    };
    missing.iter().map(finding).collect()
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
        findings.push(by_hand(&subject, &change.why));
    }
    if findings.is_empty() {
        findings.push(untouched(topology.files.len() + topology.directories.len() + topology.sites.len()));
    }
    findings
}

/// `why` is empty for what is gone.
fn by_hand(path: &str, why: &str) -> Finding {
    let said = if why.is_empty() { "is missing".to_owned() } else { format!("is not as rcfed wrote it: {why}") };
    Finding::warn("files.content", path, said).command("sudo rcfed apply")
}

fn untouched(count: usize) -> Finding {
    let said = format!("none of {count} files and directories was changed by hand");
    Finding::ok("files.content", layout::STATE, said)
}

fn supported(config: &Config, today: &str) -> Vec<Finding> {
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
    findings.extend([Service::Mongodb, Service::Postgres].into_iter().filter_map(|service| {
        let end = compat::end_of_database(service, &compat::version(config, service)?)?;
        (today >= end.date).then(|| Finding::info("images.supported", service.name(), end.to_string()))
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

#[cfg(test)]
mod tests {
    use super::super::super::report::tests::told;
    use super::super::tests::config;
    use super::*;

    #[test]
    fn files_in_words() {
        let mut findings = without(&[]);
        findings.extend(without(&["signing_key", "mongo_admin"]));
        findings.extend([by_hand("/var/lib/rcfed/services/relay/relay.toml", ""), untouched(31)]);
        findings.push(by_hand("/var/lib/rcfed/services/relay/relay.toml", "its content was changed"));
        insta::assert_snapshot!(told(findings));
    }

    #[test]
    fn versions_in_words() {
        let native = "profile = \"native\"\n[rocketchat]\nlicense_file = \"/root/license\"";
        let chosen = "profile = \"dendrite\"\n[images]\nmongodb = \"docker.io/library/mongo:8.0.1\"";
        let mut findings = supported(&config(native), "2026-11-01");
        findings.extend(supported(&config(chosen), "2026-11-01"));
        findings.extend(supported(&config(native), "2035-01-01"));
        insta::assert_snapshot!(told(findings));
    }
}
