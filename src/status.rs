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
            let restarts = if c.restarts > 0 { format!(", restarted {} times", c.restarts) } else { String::new() };
            lines.push(format!("  {:<12} {:<14} {state}{restarts}", c.service.to_string(), c.version));
        }
        if let Some(name) = &self.existing_rocketchat {
            lines.push(format!("  {:<12} {name}, kept by whoever runs it", Service::Rocketchat.to_string()));
        }
        lines.push(match &self.certificate {
            None => ui.red("  certificate  none"),
            Some(c) => {
                format!("  certificate  {} days left, until {} ({})", c.days_left, c.not_after, c.names.join(", "))
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
            lines.push(format!("  {}     {}: {why}{hand}", ui.yellow("differs"), change.step));
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
