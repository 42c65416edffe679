//! How the deployment is, at a glance: containers, versions, days left, Rocket.Chat's last verdict.

use serde::Serialize;

use crate::acme::{Certificate, Store};
use crate::change::{Change, Look};
use crate::clock;
use crate::config::Service;
use crate::error::Result;
use crate::host::docker::RunState;
use crate::layout;
use crate::machine::Machine;
use crate::step::{self, Verdict};
use crate::ui::Ui;

/// A deployment's state, as a program reads it.
#[derive(Debug, Serialize)]
pub struct Status {
    /// Shape of this document.
    pub schema_version: u32,
    /// What stands after the colon in a Matrix id.
    pub server_name: String,
    /// Where Rocket.Chat is opened.
    pub chat_url: String,
    /// Word for the profile.
    pub profile: &'static str,
    /// One entry a service.
    pub containers: Vec<ContainerStatus>,
    /// The Rocket.Chat that somebody else runs: its container or its address.
    pub existing_rocketchat: Option<String>,
    /// What differs from the configuration: changed by hand, or not applied yet.
    pub drift: Vec<Change>,
    /// The certificate, if there is one.
    pub certificate: Option<CertificateStatus>,
    /// The last verdict on federation.
    pub federation: Option<Verdict>,
}

/// How a container is.
#[derive(Debug, Serialize)]
pub struct ContainerStatus {
    /// Which service.
    pub service: Service,
    /// `running`, `paused`, `restarting`, `exited`, `created` or `missing`.
    pub state: &'static str,
    /// `healthy`, `unhealthy`, `starting` or empty.
    pub health: String,
    /// The tag it was made from; empty if it is missing.
    pub version: String,
    /// When it started, RFC 3339.
    pub started_at: Option<String>,
    /// How often Docker restarted it.
    pub restarts: i64,
}

/// How the certificate is.
#[derive(Debug, Serialize)]
pub struct CertificateStatus {
    /// The names on it.
    pub names: Vec<String>,
    /// When it ends, RFC 3339.
    pub not_after: String,
    /// Whole days left; negative once it has ended.
    pub days_left: i64,
}

/// Looks at the machine.
pub async fn status(machine: &Machine) -> Result<Status> {
    let mut containers = Vec::new();
    for wanted in &machine.topology.containers {
        let service = wanted.service;
        let observed = machine.observe(service).await?;
        containers.push(match observed {
            None => ContainerStatus {
                service,
                state: "missing",
                health: String::new(),
                version: String::new(),
                started_at: None,
                restarts: 0,
            },
            Some(c) => ContainerStatus {
                service,
                state: word(&c.state),
                health: c.health,
                version: c.reference.as_deref().map(tag).unwrap_or_default().to_owned(),
                started_at: Some(c.started_at),
                restarts: c.restarts,
            },
        });
    }
    let pair = Store::new(machine.path(layout::CERTIFICATE)).describe()?.and_then(Result::ok);
    Ok(Status {
        schema_version: 1,
        server_name: machine.config.names.federated.to_string(),
        chat_url: format!("https://{}", machine.config.names.chat),
        profile: machine.config.profile.name(),
        containers,
        existing_rocketchat: machine.config.rocketchat.existing.as_ref().map(|it| it.name().to_owned()),
        drift: Look::at(machine, &step::steps(&machine.config, &machine.topology)).await?.changes,
        certificate: pair.map(certificate),
        federation: Verdict::load(machine)?,
    })
}

impl Status {
    /// Whether everything runs and federation is valid.
    pub fn is_well(&self) -> bool {
        let running = self.containers.iter().all(|c| c.state == "running" && c.health != "unhealthy");
        let certificate = self.certificate.as_ref().is_some_and(|c| c.days_left >= 0);
        running
            && certificate
            && self.drift.is_empty()
            && self.federation.as_ref().is_some_and(|f| f.federation != "invalid")
    }

    /// For a person.
    pub fn text(&self, ui: &Ui) -> String {
        let mut lines = vec![format!("{}  ({}, {})", ui.bold(&self.server_name), self.profile, self.chat_url)];
        for c in &self.containers {
            let health = if c.health.is_empty() { String::new() } else { format!(" {}", c.health) };
            let state = format!("{}{health}", c.state);
            let good = c.state == "running" && c.health != "unhealthy";
            let state = if good { ui.green(&state) } else { ui.red(&state) };
            let restarts = match c.restarts {
                ..=0 => String::new(),
                1 => ", restarted once".into(),
                many => format!(", restarted {many} times"),
            };
            lines.push(format!("  {:<12} {:<14} {state}{restarts}", c.service.to_string(), c.version));
        }
        if let Some(name) = &self.existing_rocketchat {
            lines.push(format!("  {:<12} {name}, kept by whoever runs it", Service::Rocketchat.to_string()));
        }
        lines.push(match &self.certificate {
            None => ui.red("  certificate  none"),
            Some(c) => {
                let left = match c.days_left {
                    ..=-1 => ui.red("expired at"),
                    1 => "one day left, until".into(),
                    days => format!("{days} days left, until"),
                };
                format!("  certificate  {left} {} ({})", c.not_after, c.names.join(", "))
            }
        });
        lines.push(match &self.federation {
            None => format!("  federation   {}", ui.yellow("not checked yet")),
            Some(f) => {
                let word = if f.federation == "valid" { ui.green(&f.federation) } else { ui.yellow(&f.federation) };
                format!("  federation   {word}: {} ({})", f.words, f.at)
            }
        });
        for change in &self.drift {
            let why = if change.why.is_empty() { "it is not there" } else { &change.why };
            let hand = if change.by_hand { " (changed by hand)" } else { "" };
            lines.push(format!("  {}      {}: {why}{hand}", ui.yellow("differs"), change.step));
        }
        if !self.is_well() {
            lines.push("Next: `sudo rcfed apply` puts right what can be put right.".into());
        }
        lines.join("\n")
    }
}

/// The tag in `name:tag@digest`.
fn tag(reference: &str) -> &str {
    let name = reference.split('@').next().unwrap_or(reference);
    name.rsplit_once(':').map_or("", |(_, tag)| tag)
}

fn word(state: &RunState) -> &'static str {
    match state {
        RunState::Created => "created",
        RunState::Exited(..) => "exited",
        RunState::Restarting(_) => "restarting",
        RunState::Paused => "paused",
        RunState::Running => "running",
    }
}

fn certificate(mut about: Certificate) -> CertificateStatus {
    // The authority may put them in any order.
    about.names.sort();
    let days_left = about.days_left(clock::now());
    CertificateStatus {
        names: about.names,
        not_after: about.not_after.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        days_left,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Effect;
    use crate::ui::Verbosity;

    fn container(service: Service, state: &'static str, health: &str, version: &str, restarts: i64) -> ContainerStatus {
        let (health, version) = (health.into(), version.into());
        ContainerStatus { service, state, health, version, started_at: None, restarts }
    }

    fn told(status: &Status) -> String {
        let text = status.text(&Ui::new(Verbosity::Quiet));
        // Run by hand in a terminal, it has colours.
        ["32", "33", "31", "1", "0"].iter().fold(text, |text, code| text.replace(&format!("\x1b[{code}m"), ""))
    }

    #[test]
    fn well_and_unwell_in_words() {
        let verdict = |federation: &str, words: &str| Verdict {
            federation: federation.into(),
            words: words.into(),
            hint: None,
            message_sent: true,
            at: "2026-11-23T10:00:00Z".into(),
        };
        let certificate = |days_left| CertificateStatus {
            names: vec!["chat.example.org".into(), "example.org".into()],
            not_after: "2027-01-30T00:00:00Z".into(),
            days_left,
        };
        let mut status = Status {
            schema_version: 1,
            server_name: "example.org".into(),
            chat_url: "https://chat.example.org".into(),
            profile: "dendrite",
            containers: vec![
                container(Service::Gateway, "running", "", "1.28", 0),
                container(Service::Mongodb, "running", "healthy", "7.0", 1),
                container(Service::Rocketchat, "running", "starting", "7.10.15", 3),
            ],
            existing_rocketchat: None,
            drift: Vec::new(),
            certificate: Some(certificate(67)),
            federation: Some(verdict("valid", "Rocket.Chat federates")),
        };
        assert!(status.is_well());
        let well = told(&status);

        status.containers[0] = container(Service::Gateway, "missing", "", "", 0);
        status.containers[1] = container(Service::Mongodb, "running", "unhealthy", "7.0", 0);
        status.containers.pop();
        status.existing_rocketchat = Some("chat_rocketchat_1".into());
        status.certificate = Some(certificate(-1));
        status.federation = Some(verdict("invalid", "Rocket.Chat does not federate"));
        let change = |step: &str, effect, why: &str, by_hand| Change {
            step: step.into(),
            effect,
            why: why.into(),
            by_hand,
            service: None,
        };
        status.drift = vec![
            change("container:gateway", Effect::New, "", false),
            change("file:/var/lib/rcfed/services/gateway/http.conf", Effect::Changed, "its content", true),
        ];
        assert!(!status.is_well());
        let unwell = told(&status);
        status.certificate = Some(certificate(1));
        status.federation = None;
        status.drift.clear();
        let fresh = told(&status);
        status.certificate = None;
        insta::assert_snapshot!([well, unwell, fresh, told(&status)].join("\n\n"));
    }
}
