//! The engine, what rcfed made in it, and how a single container is.

use std::path::Path;
use std::sync::Arc;

use super::super::Site;
use super::super::check::{Check, Doc, Place, always};
use crate::config::{Existing, Service};
use crate::error::Error;
use crate::finding::{Finding, Status};
use crate::host::docker::{Observed, RunState};
use crate::layout;
use crate::preflight::docker;
use crate::step::{State, Step};
use crate::topology::NETWORK;

pub(super) const ENGINE: &[Check] = &[
    Check {
        id: "docker.engine",
        place: Place::Docker,
        applies: always,
        needs: &[],
        limit: 6,
        run: |site| Box::pin(engine(site)),
        doc: Doc {
            what: "Whether the Docker engine answers at its socket.",
            why: "Everything rcfed runs lives in it.",
            fails: "Nothing works, after a reboot or an upgrade of Docker for instance.",
            fix: "`sudo systemctl start docker`; if it does not stay up, `sudo journalctl -u docker -n 50` says why.",
            source: "Docker Engine API, `GET /_ping`.",
        },
    },
    Check {
        id: "docker.network",
        place: Place::Docker,
        applies: always,
        needs: &["docker.engine"],
        limit: 8,
        run: |site| Box::pin(network(site)),
        doc: Doc {
            what: "Whether the network `rcfed` exists and is rcfed's.",
            why: "The containers find each other by name on it and nowhere else.",
            fails: "Containers do not start, or do not find each other.",
            fix: "`sudo rcfed apply` makes it; a foreign one of the same name has to be renamed or removed first.",
            source: "rcfed's own layout.",
        },
    },
    Check {
        id: "docker.volumes",
        place: Place::Docker,
        applies: always,
        needs: &["docker.engine"],
        limit: 8,
        run: |site| Box::pin(volumes(site)),
        doc: Doc {
            what: "Whether every volume with data exists.",
            why: "Messages, accounts and the homeserver's state are in them; `rcfed apply` would make an empty one.",
            fails: "A server starts with an empty database, or does not start.",
            fix: "Restore the volume from a backup before anything else is done.",
            source: "rcfed's own layout.",
        },
    },
];

/// How the container of `service` is, under the id of the check that asks.
pub(super) async fn container(site: Arc<Site>, id: &'static str, service: Service) -> Vec<Finding> {
    match look(&site, id, service).await {
        Ok(finding) => vec![finding],
        Err(error) => vec![Finding::unknown(id, service.container(), error.message())],
    }
}

async fn look(site: &Site, id: &'static str, service: Service) -> Result<Finding, Error> {
    let machine = &site.machine;
    if let (Service::Rocketchat, Some(Existing::Container(name))) = (service, &machine.config.rocketchat.existing) {
        return existing(site, id, name).await;
    }
    let name = service.container();
    let (finding, wrong) = state(id, service, machine.observe(service).await?.as_ref());
    let finding = if wrong {
        let (_, cause) = machine.why_unwell(service).await?;
        let lines = machine.docker.last_lines(&name, 5).await.unwrap_or_default();
        let finding = cause.into_iter().fold(finding, |finding, cause| finding.seen(format!("usual cause: {cause}")));
        lines.into_iter().fold(finding, |finding, line| finding.seen(shortened(&line)))
    } else {
        finding
    };
    if finding.status > Status::Info {
        let down = service == Service::Postgres && finding.commands.ends_with(&["sudo rcfed apply".to_owned()]);
        // The homeserver's connections were cut, and not every version notices.
        return Ok(if down { finding.command("sudo docker restart rcfed-homeserver") } else { finding });
    }
    // What the configuration changed is told by `config.applied`.
    let look = site.look().await.map_err(|why| Error::new(why, ""))?;
    Ok(match look.change(&Step::Container(service).id()) {
        Some(change) if change.by_hand => by_hand(id, &name, &change.why),
        _ => finding,
    })
}

fn by_hand(id: &'static str, name: &str, why: &str) -> Finding {
    Finding::warn(id, name, "runs, but somebody changed it by hand").seen(why).command("sudo rcfed apply")
}

/// A container that somebody else runs: only whether it does, and whether it is on the network.
async fn existing(site: &Site, id: &'static str, name: &str) -> Result<Finding, Error> {
    let running = site.machine.docker.foreign(name).await?.map(|found| found.running);
    let connected = running == Some(true) && Step::Connection.inspect(&site.machine).await? == State::Current;
    Ok(state_of_existing(id, name, running, connected))
}

fn state_of_existing(id: &'static str, name: &str, running: Option<bool>, connected: bool) -> Finding {
    match running {
        None => Finding::fail(id, name, "does not exist").remedy("start it anew where it was made: it is not rcfed's"),
        Some(false) => Finding::fail(id, name, "does not run").command(format!("sudo docker start {name}")),
        // Made anew by its compose file it has lost the connection.
        Some(true) if !connected => {
            Finding::fail(id, name, "runs, but is not on the network `rcfed`").command("sudo rcfed apply")
        }
        Some(true) => Finding::ok(id, name, "runs"),
    }
}

/// Of whatever has a name that rcfed needs.
const FOREIGN: &str = "was not made by rcfed, and stands in its place";

/// What the engine says of it; `true` if its last lines are worth a look.
fn state(id: &'static str, service: Service, observed: Option<&Observed>) -> (Finding, bool) {
    let name = service.container();
    let fail = |what: String| Finding::fail(id, &name, what);
    let apply = |finding: Finding| finding.command("sudo rcfed apply");
    let Some(observed) = observed else { return (apply(fail("does not exist".into())), false) };
    if observed.service.as_deref() != Some(service.name()) {
        let aside = fail(FOREIGN.into())
            .command(format!("sudo docker stop {name}"))
            .command(format!("sudo docker rename {name} {name}-foreign"));
        return (apply(aside), false);
    }
    match &observed.state {
        RunState::Created => (apply(fail("was never started".into())), false),
        RunState::Exited(_, true) => {
            let told = "more memory or swap keeps it from happening again: see `rcfed doctor --explain machine.memory`";
            (apply(fail("was killed by the kernel for want of memory".into()).remedy(told)), false)
        }
        RunState::Exited(code, false) => (apply(fail(format!("ended with exit code {code}{}", meaning(*code)))), true),
        RunState::Restarting(code) => {
            let said = format!(
                "ends again and again with exit code {code}{} (restarted {})",
                meaning(*code),
                times(observed.restarts)
            );
            (apply(fail(said)), true)
        }
        RunState::Paused => (fail("was paused".into()).command(format!("sudo docker unpause {name}")), false),
        RunState::Running if observed.address.is_none() => {
            let reconnect = format!("sudo docker network connect --alias {service} rcfed {name}");
            (fail("runs, but is not on the network `rcfed`".into()).command(reconnect), false)
        }
        RunState::Running if observed.health == "unhealthy" => (
            Finding::warn(id, name, "runs, but its own health check fails")
                .command(format!("sudo rcfed logs {service}")),
            true,
        ),
        RunState::Running if observed.restarts > 0 => (
            Finding::info(id, name, format!("runs; it was restarted {} since it was made", times(observed.restarts))),
            false,
        ),
        RunState::Running => (Finding::ok(id, name, "runs"), false),
    }
}

fn times(restarts: i64) -> String {
    if restarts == 1 { "once".into() } else { format!("{restarts} times") }
}

fn meaning(code: i64) -> &'static str {
    match code {
        0 => " (stopped)",
        132 => " (illegal instruction)",
        137 => " (killed)",
        143 => " (asked to stop)",
        _ => "",
    }
}

fn shortened(line: &str) -> String {
    let mut text: String = line.chars().take(200).collect();
    if text.len() < line.len() {
        text.push('…');
    }
    text
}

async fn engine(site: Arc<Site>) -> Vec<Finding> {
    vec![engine_at(&site.root, &site.machine.host.docker).await]
}

/// How the engine at `socket` is.
pub(in super::super) async fn engine_at(root: &Path, socket: &str) -> Finding {
    let mut finding = docker::check(root, socket).await;
    if finding.status == Status::Ok && finding.remedy.is_some() {
        // For preflight that is fine: rcfed installs it.
        finding = Finding::fail("docker.engine", "Docker", "is not installed here").command("sudo rcfed apply");
    } else if finding.status == Status::Fail
        && let Some(command) = finding.remedy.take_if(|remedy| remedy.starts_with("systemctl "))
    {
        finding = finding.command(format!("sudo {command}"));
    }
    finding
}

async fn network(site: Arc<Site>) -> Vec<Finding> {
    vec![network_in(Step::Network.inspect(&site.machine).await)]
}

fn network_in(state: Result<State, Error>) -> Finding {
    let finding = |status, said: &str| Finding::new(status, "docker.network", NETWORK, said);
    match state {
        Ok(State::Current) => finding(Status::Ok, "exists"),
        Ok(State::Foreign(_)) => finding(Status::Fail, FOREIGN).remedy(format!(
            "disconnect what is on it (`sudo docker network inspect {NETWORK}` names it), remove it with `sudo docker network rm \
             {NETWORK}`, then run `sudo rcfed apply`"
        )),
        Ok(_) => finding(Status::Fail, "does not exist").command("sudo rcfed apply"),
        Err(error) => finding(Status::Unknown, &error.message()),
    }
}

async fn volumes(site: Arc<Site>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for volume in &site.machine.topology.volumes {
        findings.push(volume_in(&volume.name, Step::Volume(volume.clone()).inspect(&site.machine).await));
    }
    findings
}

fn volume_in(name: &str, state: Result<State, Error>) -> Finding {
    let finding = |status, said: &str| Finding::new(status, "docker.volumes", name, said);
    match state {
        Ok(State::Current) => finding(Status::Ok, "exists"),
        Ok(State::Foreign(_)) => finding(Status::Fail, FOREIGN).remedy(format!(
            "if nobody needs what is in it, remove it with `sudo docker volume rm {name}`, then run `sudo rcfed apply`"
        )),
        Ok(_) => finding(Status::Fail, "is gone, and its data with it").remedy(format!(
            "restore it from a backup; if there never was anything in it, `sudo rcfed apply` makes an empty one. What rcfed did: {}",
            layout::RECEIPT
        )),
        Err(error) => finding(Status::Unknown, &error.message()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::report::tests::told;
    use super::*;

    #[test]
    fn states_in_words() {
        let observed = |state: RunState, restarts, health: &str, address: Option<&str>| Observed {
            id: String::new(),
            service: Some("mongodb".into()),
            hash: None,
            reference: None,
            image: String::new(),
            state,
            address: address.map(Into::into),
            started_at: String::new(),
            restarts,
            health: health.into(),
        };
        let on = Some("172.18.0.2");
        let cases = [
            observed(RunState::Created, 0, "", None),
            observed(RunState::Exited(137, true), 0, "", None),
            observed(RunState::Exited(137, false), 0, "", None),
            observed(RunState::Exited(1, false), 0, "", None),
            observed(RunState::Restarting(132), 7, "", None),
            observed(RunState::Paused, 0, "", on),
            observed(RunState::Running, 0, "healthy", None),
            observed(RunState::Running, 0, "unhealthy", on),
            observed(RunState::Running, 2, "healthy", on),
            observed(RunState::Running, 0, "starting", on),
            observed(RunState::Running, 1, "healthy", on),
        ];
        let foreign = Observed { service: None, ..cases[9].clone() };
        let cases = cases.iter().chain([&foreign]).map(Some).chain([None]);
        insta::assert_snapshot!(told(cases.map(|observed| state("container.mongodb", Service::Mongodb, observed).0)));
    }

    #[test]
    fn what_is_beside_a_container_in_words() {
        let existing = |running, connected| state_of_existing("container.rocketchat", "chat", running, connected);
        let foreign = || Ok(State::Foreign("was not made by rcfed".into()));
        let error = || Err(Error::new("the engine did not answer", ""));
        insta::assert_snapshot!(told([
            by_hand("container.relay", "rcfed-relay", "restart policy"),
            existing(None, false),
            existing(Some(false), false),
            existing(Some(true), false),
            existing(Some(true), true),
            network_in(Ok(State::Current)),
            network_in(foreign()),
            network_in(Ok(State::Absent)),
            network_in(error()),
            volume_in("rcfed-mongodb", Ok(State::Current)),
            volume_in("rcfed-mongodb", foreign()),
            volume_in("rcfed-mongodb", Ok(State::Absent)),
            volume_in("rcfed-mongodb", error()),
        ]));
    }
}
