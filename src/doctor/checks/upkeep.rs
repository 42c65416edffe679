//! What goes wrong slowly or later: a change that was not applied, an upgrade that failed, a reboot after which something
//! stays away, guests on the network.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::super::Site;
use super::super::check::{Check, Doc, Place, always};
use crate::change::Look;
use crate::config::Service;
use crate::error::Result;
use crate::finding::Finding;
use crate::host::docker::RunState;
use crate::layout;
use crate::ran::Ran;
use crate::topology::NETWORK;

pub(super) const UPGRADE: &[Check] = &[Check {
    id: "images.upgrade",
    place: Place::Docker,
    applies: always,
    needs: &["docker.engine"],
    limit: 8,
    run: |site| {
        Box::pin(async move { upgrades(&site).await.unwrap_or_else(|error| unknown("images.upgrade", &error)) })
    },
    doc: Doc {
        what: "Whether a server with data does not run since a version of it was started that never became ready, from /var/lib/rcfed/ran.json.",
        why: "A version that failed may have changed its data already, so the one before it is not started on them by itself.",
        fails: "The server stays away after an upgrade.",
        fix: "Put the cause right and run `sudo rcfed apply`; or go back to the dump that was made before, as `rcfed apply` says when it fails again.",
        source: "rcfed's own layout; MongoDB and PostgreSQL documentation, downgrades.",
    },
}];

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "config.applied",
        place: Place::Docker,
        applies: always,
        needs: &["docker.engine", "files.secrets"],
        limit: 15,
        run: |site| Box::pin(async move { vec![applied(&site).await] }),
        doc: Doc {
            what: "Whether the machine is as /etc/rcfed/config.toml says, compared with the configuration of the last `rcfed apply` that ended well.",
            why: "A line that was edited and never applied takes effect at some later run, when nobody thinks of it.",
            fails: "A warning names the steps that wait. Until then the deployment works as before.",
            fix: "`sudo rcfed plan --diff` shows the change, `sudo rcfed apply` makes it; or take the line back.",
            source: "rcfed's own layout.",
        },
    },
    Check {
        id: "docker.reboot",
        place: Place::Docker,
        applies: always,
        needs: &["docker.engine"],
        limit: 8,
        run: |site| {
            Box::pin(async move { reboot(&site).await.unwrap_or_else(|error| unknown("docker.reboot", &error)) })
        },
        doc: Doc {
            what: "Whether everything that runs comes back after a reboot: the engine is started by systemd, and no container counts as stopped by hand, from the engine's own file config.v2.json.",
            why: "The engine counts a container as stopped by hand when somebody sent it any signal with `docker kill`, even one that only reloads it, and then leaves it down after the next reboot.",
            fails: "All is well until the machine is rebooted, weeks later; `docker inspect` does not show it before.",
            fix: "`sudo docker restart` of the container that is named, or `sudo systemctl enable docker`.",
            source: "moby issue 41302; Docker documentation, start containers automatically.",
        },
    },
    Check {
        id: "docker.strangers",
        place: Place::Docker,
        applies: always,
        needs: &["docker.network"],
        limit: 8,
        run: |site| {
            Box::pin(async move { strangers(&site).await.unwrap_or_else(|error| unknown("docker.strangers", &error)) })
        },
        doc: Doc {
            what: "Whether containers that rcfed did not make are on the network `rcfed`.",
            why: "Whoever is on it reaches the databases and the homeserver past the gateway, and may answer to a name that is looked up there.",
            fails: "A warning names the container.",
            fix: "Take it off the network; what it needs is better asked through the gateway.",
            source: "Docker documentation, bridge networks.",
        },
    },
];

fn unknown(id: &'static str, error: &crate::error::Error) -> Vec<Finding> {
    vec![Finding::unknown(id, "Docker", error.message())]
}

async fn upgrades(site: &Site) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for container in &site.machine.topology.containers {
        let service = container.service;
        let ran = Ran::load(&site.machine.host, service)?;
        if !ran.failed() {
            continue;
        }
        let observed = site.machine.observe(service).await?;
        // Whichever version it is that runs: the upgrade is not what is wrong.
        if observed.is_none_or(|container| container.state != RunState::Running) {
            findings.extend(never_ready(&service.container(), &ran));
        }
    }
    Ok(or_upgraded(findings))
}

fn or_upgraded(findings: Vec<Finding>) -> Vec<Finding> {
    match findings.is_empty() {
        true => vec![Finding::ok("images.upgrade", layout::RAN, "no server is down since an upgrade")],
        false => findings,
    }
}

fn never_ready(name: &str, ran: &Ran) -> Option<Finding> {
    let (ready, started) = ran.ready.as_ref().zip(ran.started.as_ref())?;
    let said = format!("was upgraded to {}, which never became ready", started.reference);
    let finding = Finding::fail("images.upgrade", name, said).seen(format!("last ready: {}", ready.reference));
    let dump = ran.dump.iter().map(|dump| format!("its data as they were before: {}", dump.display()));
    Some(dump.fold(finding, Finding::seen).command("sudo rcfed apply"))
}

async fn applied(site: &Site) -> Finding {
    match site.look().await {
        Ok(look) => judge_applied(look),
        Err(error) => Finding::unknown("config.applied", layout::CONFIG, error),
    }
}

fn judge_applied(look: &Look) -> Finding {
    const ID: &str = "config.applied";
    // What somebody changed by hand is told by the check of the thing.
    let wait: Vec<_> = look.changes.iter().filter(|change| !change.by_hand && change.step != "certificate").collect();
    if wait.is_empty() {
        return Finding::ok(ID, layout::CONFIG, "is what the last `rcfed apply` made");
    }
    let said = match wait.len() {
        1 => "was changed and not applied: one step waits".to_owned(),
        many => format!("was changed and not applied: {many} steps wait"),
    };
    let mut finding = Finding::warn(ID, layout::CONFIG, said);
    for change in wait.iter().take(SHOWN) {
        let why = if change.why.is_empty() { String::new() } else { format!(": {}", change.why) };
        finding = finding.seen(format!("{} {}{why}", change.effect.word(), change.step));
    }
    if wait.len() > SHOWN {
        finding = finding.seen(format!("and {} more", wait.len() - SHOWN));
    }
    finding.remedy("`sudo rcfed plan --diff` shows what people will notice").command("sudo rcfed apply")
}

/// Lines of a list that may be long.
const SHOWN: usize = 6;

async fn reboot(site: &Site) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    if let Some(said) = at_boot(&site.root).await {
        findings.push(not_enabled(&said));
    }
    let root = site.machine.docker.root_directory().await?;
    for service in site.machine.topology.containers.iter().map(|container| container.service) {
        let Some(observed) = site.machine.observe(service).await? else { continue };
        if observed.state != RunState::Running || observed.service.as_deref() != Some(service.name()) {
            continue;
        }
        // Not an interface of the engine, so what cannot be read is no finding.
        let file = Path::new(&root).join("containers").join(&observed.id).join("config.v2.json");
        let Ok(text) = std::fs::read_to_string(file) else { continue };
        let config: Value = serde_json::from_str(&text).unwrap_or_default();
        if config["HasBeenManuallyStopped"] == true {
            findings.push(stopped_by_hand(&service.container()));
        }
    }
    Ok(or_coming_back(findings))
}

fn or_coming_back(findings: Vec<Finding>) -> Vec<Finding> {
    match findings.is_empty() {
        true => vec![Finding::ok(REBOOT, "Docker", "everything that runs comes back after a reboot")],
        false => findings,
    }
}

const REBOOT: &str = "docker.reboot";

/// By what systemd says of the engine.
fn not_enabled(said: &str) -> Finding {
    Finding::warn(REBOOT, "Docker", "is not started with the machine, so everything stays down after a reboot")
        .seen(format!("systemctl is-enabled docker: {said}"))
        .command("sudo systemctl enable docker")
}

fn stopped_by_hand(name: &str) -> Finding {
    Finding::warn(REBOOT, name, "runs, but the engine counts it as stopped by hand: it stays down after a reboot")
        .seen("somebody sent it a signal with `docker kill`; `docker inspect` does not show it")
        .command(format!("sudo docker restart {name}"))
}

/// What systemd says of an engine that it does not start with the machine; `None` if it does, or if there is no systemd.
async fn at_boot(root: &Path) -> Option<String> {
    if !root.join("run/systemd/system").is_dir() {
        return None;
    }
    let run =
        tokio::process::Command::new("systemctl").args(["is-enabled", "docker.service", "docker.socket"]).output();
    let output = tokio::time::timeout(Duration::from_secs(5), run).await.ok()?.ok()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let off = |line: &str| matches!(line, "disabled" | "masked");
    // One of the two is enough; units of other names, such as a snap's, are not known to systemd under these.
    let lines: Vec<&str> = said.lines().collect();
    (!lines.is_empty() && lines.iter().all(|line| off(line))).then(|| lines.join(", "))
}

async fn strangers(site: &Site) -> Result<Vec<Finding>> {
    let containers = site.machine.docker.inventory().await?.containers;
    let mut names: Vec<String> = Service::ALL.map(Service::container).into();
    // It was connected by rcfed, and is told by its own check too.
    names.extend(site.machine.config.rocketchat.existing.iter().map(|existing| existing.name().to_owned()));
    // A stranger under one of our names is told by that container's own check.
    let strange = |c: &crate::host::docker::Listed| {
        !c.ours && c.networks.iter().any(|network| network == NETWORK) && !names.contains(&c.name)
    };
    let strange: Vec<String> = containers.into_iter().filter(strange).map(|container| container.name).collect();
    Ok(judge_strangers(&strange))
}

fn judge_strangers(names: &[String]) -> Vec<Finding> {
    const ID: &str = "docker.strangers";
    if names.is_empty() {
        return vec![Finding::ok(ID, NETWORK, "has only the deployment's own containers on it")];
    }
    let told = |name: &String| {
        Finding::warn(ID, name, "is on the network `rcfed`, and rcfed did not make it")
            .remedy("if it needs the deployment, let it go through the gateway")
            .command(format!("sudo docker network disconnect --force {NETWORK} {name}"))
    };
    names.iter().map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::report::tests::told;
    use super::*;
    use crate::change::{Change, Effect};
    use crate::ran::Image;

    #[test]
    fn upgrades_and_reboots_in_words() {
        let image = |tag: &str| Some(Image { reference: format!("docker.io/library/mongo:{tag}"), id: String::new() });
        let ran = Ran { ready: image("7.0"), started: image("8.0"), dump: None };
        let dumped = Ran { dump: Some("/var/lib/rcfed/dumps/mongodb.gz".into()), ..ran.clone() };
        let mut findings: Vec<Finding> =
            [&ran, &dumped].into_iter().filter_map(|ran| never_ready("rcfed-mongodb", ran)).collect();
        findings.extend(or_upgraded(Vec::new()));
        findings.extend([not_enabled("disabled, disabled"), stopped_by_hand("rcfed-gateway")]);
        findings.extend(or_coming_back(Vec::new()));
        findings.extend(judge_strangers(&[]));
        findings.extend(judge_strangers(&["stranger".into()]));
        insta::assert_snapshot!(told(findings));
    }

    #[test]
    fn what_was_not_applied_in_words() {
        let change = |step: &str, why: &str, by_hand| Change {
            step: step.into(),
            effect: Effect::Restarted,
            why: why.into(),
            by_hand,
            service: None,
        };
        let look = |changes: Vec<Change>| judge_applied(&Look { changes, unchanged: 9, deployed: true });
        let many = (1..=8).map(|at| change(&format!("file:/{at}"), "", false)).collect();
        insta::assert_snapshot!(told([
            look(vec![change("container:relay", "memory", true), change("certificate", "", false)]),
            look(vec![change("container:relay", "memory", false)]),
            look(many),
        ]));
    }
}
