//! What would be done, without doing it: no Docker, no root, no network.

use serde::Serialize;
use similar::TextDiff;

use crate::compat;
use crate::config::{Config, Service};
use crate::error::Result;
use crate::host::Host;
use crate::host::fs;
use crate::render;
use crate::step::{self, Step};
use crate::topology::{ImageSource, Topology};

/// A plan as a program reads it.
#[derive(Serialize)]
pub struct Plan {
    /// Shape of this document.
    pub schema_version: u32,
    /// The names, the federated one first.
    pub names: Names,
    /// Word for the profile.
    pub profile: &'static str,
    /// Containers with the image each is made from.
    pub services: Vec<Planned>,
    /// Steps in an order that respects their needs.
    pub steps: Vec<PlannedStep>,
    /// What is past its end of life.
    pub end_of_life: Option<compat::EndOfLife>,
}

/// The host names.
#[derive(Serialize)]
pub struct Names {
    /// What stands after the colon in a Matrix id.
    pub federated: String,
    /// Where Rocket.Chat is opened.
    pub chat: String,
    /// Where the homeserver is reached.
    pub matrix: String,
    /// Names on the certificate.
    pub certificate: Vec<String>,
}

/// A container.
#[derive(Serialize)]
pub struct Planned {
    /// Which service.
    pub service: Service,
    /// Its image; `null` for the one made from this binary.
    pub image: Option<String>,
}

/// A step.
#[derive(Serialize)]
pub struct PlannedStep {
    /// Names it in receipts.
    pub id: String,
    /// For a person.
    pub summary: String,
    /// Ids of the steps it waits for.
    pub needs: Vec<String>,
}

impl Plan {
    /// The plan of a configuration.
    pub fn new(config: &Config, topology: &Topology) -> Self {
        let names = &config.names;
        let services = topology.containers.iter().map(|c| Planned {
            service: c.service,
            image: match &c.image {
                ImageSource::Pull(reference) => Some(reference.clone()),
                ImageSource::Own => None,
            },
        });
        let step =
            |step: Step| PlannedStep { id: step.id(), summary: step.summary(topology), needs: step.needs(topology) };
        Self {
            schema_version: 1,
            names: Names {
                federated: names.federated.to_string(),
                chat: names.chat.to_string(),
                matrix: names.matrix.to_string(),
                certificate: names.served().into_iter().map(ToString::to_string).collect(),
            },
            profile: config.profile.name(),
            services: services.collect(),
            steps: step::steps(config, topology).into_iter().map(step).collect(),
            end_of_life: compat::end_of_life(config.profile),
        }
    }

    /// The plan as a person reads it. Directories, files and secrets are counted, not listed.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let count = |kind: &str| self.steps.iter().filter(|s| s.id.starts_with(kind)).count();
        let mut line = |words: String| {
            text.push_str(&words);
            text.push('\n');
        };
        line(format!("Federated as   {}   (user ids look like @you:{})", self.names.federated, self.names.federated));
        line(format!("Rocket.Chat at https://{}", self.names.chat));
        line(format!("Matrix at      https://{}", self.names.matrix));
        line(format!("Certificate    {}", self.names.certificate.join(", ")));
        line(String::new());
        line(format!(
            "Files          {} in {} directories, {} secrets",
            count("file:"),
            count("directory:"),
            count("secret:")
        ));
        for service in &self.services {
            line(format!(
                "{:<14} {}",
                service.service.to_string(),
                service.image.as_deref().unwrap_or("made from this binary")
            ));
        }
        line(String::new());
        let small = ["file:", "directory:", "secret:", "volume:", "network"];
        let large = self.steps.iter().filter(|s| !small.iter().any(|kind| s.id.starts_with(kind)));
        for (number, step) in large.enumerate() {
            line(format!("{:>3}. {}", number + 1, step.summary));
        }
        if let Some(end) = &self.end_of_life {
            line(String::new());
            line(format!("{end}."));
        }
        text.trim_end().to_string()
    }
}

/// How the files on this machine differ from the wanted ones, as a unified diff with secrets taken out.
pub fn diff(host: &Host, topology: &Topology) -> Result<String> {
    let mut text = String::new();
    for file in &topology.files {
        // A directory of secrets may be closed to who asks; then the file counts as absent.
        let there = fs::read_text(&host.path(&file.path)).ok().flatten();
        let wanted = render::redact(&file.text);
        let name = file.path.display().to_string();
        match there {
            None => text.push_str(&format!("new file {name}\n")),
            Some(there) => {
                let there = hide(&there, &file.text);
                if there != wanted {
                    let diff = TextDiff::from_lines(&there, &wanted);
                    text.push_str(&diff.unified_diff().context_radius(2).header(&name, &name).to_string());
                }
            }
        }
    }
    Ok(text.trim_end().to_string())
}

/// Replaces lines of a file on disk that hold a secret by the redacted wanted line at the same place, so that a diff
/// neither shows a secret nor hides that another line changed.
fn hide(there: &str, template: &str) -> String {
    let with_marks: Vec<(&str, &str)> =
        template.lines().filter_map(|line| line.split_once("@secret:").map(|(before, _)| (before, line))).collect();
    let hidden = |line: &str| {
        // A line that the template has without a secret is none; a mark at a line's start would else match every line.
        if template.lines().any(|plain| plain == line) {
            return line.to_string();
        }
        match with_marks.iter().find(|(before, _)| line.starts_with(before)) {
            Some((_, marked)) => render::redact(marked),
            None => line.to_string(),
        }
    };
    let mut text: Vec<String> = there.lines().map(hidden).collect();
    if there.ends_with('\n') {
        text.push(String::new());
    }
    text.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_as_a_person_reads_it() {
        let names = || Names {
            federated: "example.org".into(),
            chat: "chat.example.org".into(),
            matrix: "matrix.example.org".into(),
            certificate: vec!["example.org".into(), "chat.example.org".into()],
        };
        let step = |id: &str, summary: &str| PlannedStep { id: id.into(), summary: summary.into(), needs: Vec::new() };
        let image = Some("docker.io/library/nginx:1.28".into());
        let plan = Plan {
            schema_version: 1,
            names: names(),
            profile: "dendrite",
            services: vec![
                Planned { service: Service::Gateway, image },
                Planned { service: Service::Relay, image: None },
            ],
            steps: vec![
                step("directory:/etc/rcfed", "make it"),
                step("file:/etc/rcfed/a", "write it"),
                step("image:gateway", "pull docker.io/library/nginx:1.28"),
                step("container:gateway", "start rcfed-gateway"),
            ],
            end_of_life: None,
        };
        insta::assert_snapshot!(plan.text());
    }
}
