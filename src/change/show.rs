//! A change as a person and as a program read it.

use serde::Serialize;

use super::{Change, Effect, Look};
use crate::config::{Config, Service};
use crate::error::Result;
use crate::host::Host;
use crate::host::docker::READS;
use crate::step::Step;
use crate::topology::Topology;

/// What `rcfed plan --diff` says of a deployment.
#[derive(Clone, Debug, Serialize)]
pub struct Changes {
    /// Lines of the configuration that changed since the last run that ended well.
    pub configuration: Vec<String>,
    /// What differs, in the order in which it is put right.
    pub changes: Vec<Change>,
    /// How many steps are as wanted.
    pub unchanged: usize,
    /// What people notice, in sentences.
    pub notice: Vec<String>,
}

impl Changes {
    /// Puts a look into words.
    pub fn new(host: &Host, config: &Config, topology: &Topology, look: Look) -> Result<Self> {
        let mut changes = look.changes;
        changes.sort_by_key(|change| rank(change, look.deployed));
        let mut changed = Self {
            configuration: super::config_lines(host, config)?,
            notice: notice(&changes, look.deployed),
            changes,
            unchanged: look.unchanged,
        };
        for change in &mut changed.changes {
            if change.why.split("; ").any(|why| why == READS) {
                change.why = with_place(&change.why, &files_of(topology, change.service));
            }
        }
        Ok(changed)
    }

    /// Lines for a person; empty if nothing differs.
    pub fn text(&self) -> String {
        if self.changes.is_empty() {
            return String::new();
        }
        let mut lines: Vec<String> = Vec::new();
        if !self.configuration.is_empty() {
            lines.push("Changed in the configuration:".into());
            lines.extend(self.configuration.iter().map(|line| format!("  {line}")));
            lines.push(String::new());
        }
        lines.push("In this order:".into());
        for (number, change) in self.changes.iter().enumerate() {
            let why = if change.why.is_empty() { String::new() } else { format!(": {}", change.why) };
            let hand = if change.by_hand { " (changed by hand)" } else { "" };
            lines.push(format!("{:>3}. {:<9} {}{why}{hand}", number + 1, change.effect.word(), change.step));
        }
        lines.push(format!("     {} unchanged", self.unchanged));
        lines.push(String::new());
        lines.extend(self.notice.iter().cloned());
        lines.join("\n")
    }
}

/// Says where the files are that were changed.
fn with_place(why: &str, files: &str) -> String {
    why.replace(READS, &format!("what it reads in {files}"))
}

fn files_of(topology: &Topology, service: Option<Service>) -> String {
    let file = topology.files.iter().find(|file| Some(file.service) == service);
    file.and_then(|file| file.path.parent()).map(|path| path.display().to_string()).unwrap_or_default()
}

/// The order of [`super::order`], coarsely: what can fail without touching anything comes first.
fn rank(change: &Change, deployed: bool) -> u8 {
    let kind = change.step.split(':').next().unwrap_or_default();
    match kind {
        "directory" | "secret" => 0,
        "image" => 1,
        "network" | "volume" => 2,
        "certificate" if deployed => 3,
        "file" => 4,
        "container" if change.service.is_some_and(Service::is_database) => 5,
        "container" => 6,
        "reload" => 7,
        _ => 8,
    }
}

/// What people notice of changes.
pub fn notice(changes: &[Change], deployed: bool) -> Vec<String> {
    if !deployed {
        return vec!["Nobody notices: nothing is in use yet.".into()];
    }
    let mut told = Vec::new();
    let stops = |service: Service| {
        let id = Step::Container(service).id();
        let hit =
            |change: &&Change| change.step == id && matches!(change.effect, Effect::Recreated | Effect::Restarted);
        changes.iter().find(hit)
    };
    for service in Service::ALL {
        let Some(change) = stops(service) else { continue };
        let what = match service {
            Service::Gateway => {
                "The gateway is replaced: web and federation are away for some seconds, then reconnect."
            }
            Service::Homeserver => "The homeserver restarts: messages from other servers wait until it is back.",
            Service::Mongodb => "MongoDB restarts: Rocket.Chat waits for it, messages are sent some seconds later.",
            Service::Postgres => {
                "PostgreSQL restarts: the homeserver waits for it, federation pauses for some seconds."
            }
            Service::Relay => "The relay restarts: invitations from other servers are refused for some seconds.",
            Service::Rocketchat => "Rocket.Chat restarts: web sessions reconnect by themselves once it is back.",
        };
        told.push(what.to_string());
        if change.why.contains("image ") && !matches!(service, Service::Gateway | Service::Relay) {
            told.push(format!("  Its data are dumped first, and {service} does not go back by itself if it fails."));
        }
    }
    if told.is_empty() {
        let reloads = changes.iter().any(|change| change.effect == Effect::Reloads);
        told.push(if reloads { "Nobody notices: nginx reloads." } else { "Nobody notices." }.into());
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(step: Step, effect: Effect, why: &str, by_hand: bool) -> Change {
        let service = match &step {
            Step::Container(service) => Some(*service),
            _ => None,
        };
        Change { step: step.id(), service, effect, why: why.into(), by_hand }
    }

    #[test]
    fn what_people_notice_of_each_server() {
        let one = |service| {
            let why = "image example:1 instead of example:2";
            notice(&[change(Step::Container(service), Effect::Recreated, why, false)], true).join("\n")
        };
        let mut told: Vec<String> = Service::ALL.into_iter().map(one).collect();
        told.push(notice(&[change(Step::Reload, Effect::Reloads, "", false)], true).join("\n"));
        told.push(notice(&[change(Step::Unit, Effect::New, "", false)], true).join("\n"));
        told.push(notice(&[], false).join("\n"));
        insta::assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn changes_as_a_person_reads_them() {
        let why = with_place(&format!("image a:1 → a:2; {READS}"), "/var/lib/rcfed/services/homeserver");
        let changes = vec![
            change(Step::Container(Service::Homeserver), Effect::Recreated, &why, false),
            change(Step::Container(Service::Relay), Effect::Restarted, "it was started with another relay.toml", true),
            change(Step::Reload, Effect::Reloads, "", false),
        ];
        let notice = notice(&changes, true);
        let configuration = vec!["- email = \"a@example.org\"".into(), "+ email = \"b@example.org\"".into()];
        insta::assert_snapshot!(Changes { configuration, changes, unchanged: 39, notice }.text());
    }
}
