//! The doctor: why this deployment does not federate, told by its first cause.
//!
//! A table of checks ([`table`]) is run by an engine that knows what each needs ([`run`]); what comes of it is a
//! [`Report`], which is pure, and every form of output is made from it. Any server is looked at from
//! outside by [`remote`], whose rows stand in the same reference.
//!
//! # Guarantees
//! Nothing is changed on the machine, with three exceptions that leave nothing behind: an empty transaction to the bridge,
//! a message to the administrator's own conversation that is deleted at once, and a throw-away container for `nginx -t`
//! while the gateway is down. Other servers are asked only where somebody names them.

mod check;
mod checks;
mod closing;
mod engine;
mod output;
mod past;
pub mod remote;
mod report;
mod share;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

use tokio::sync::OnceCell;

pub use check::{Check, Doc, Place, Row};
pub use checks::outbound::ID as OUTBOUND;
pub use checks::{HASTE, find, rows, table, without_engine};
pub use closing::once_more;
pub use engine::{Ended, Haste, Outcome, run, with_needs};
pub use output::{html, json, junit, pages, prometheus, terminal};
pub use past::{Change, FILE as PAST, Past};
pub use report::{Counts, Report, Subject};
pub use share::Redactor;

use crate::change::Look;
use crate::config::{Existing, Service};
use crate::error::Result;
use crate::finding::Finding;
use crate::machine::Machine;
use crate::matrix::server_name::ServerName;
use crate::step;

/// What the checks look at: a deployment on this machine.
pub struct Site {
    /// The deployment.
    pub machine: Machine,
    /// Above `/proc` and `/etc` of the machine itself: `/`, except in tests.
    pub root: PathBuf,
    /// What earlier runs saw.
    pub past: Past,
    /// What DNS says, asked once for all checks.
    pub dns: OnceCell<Vec<Finding>>,
    /// What differs from what is wanted, looked at once for all checks.
    drift: OnceCell<Result<Look, String>>,
    /// What MongoDB says of itself to Rocket.Chat's user, and what PostgreSQL says to the homeserver's: a program that is
    /// started in a container costs more than most checks, so where all is well it is started once.
    mongodb: OnceCell<Result<serde_json::Value, String>>,
    postgres: OnceCell<Result<String, String>>,
    /// Whether a federation tester outside reaches this machine, once one was asked and could say.
    pub reached: OnceCell<bool>,
    /// Other servers that the homeserver is to reach.
    pub outbound: Vec<ServerName>,
    /// Hosts that were seen while those were looked for, which a report for everybody hides.
    pub strangers: Mutex<Vec<String>>,
    /// Bytes of what fills the disk, once they were measured.
    pub sizes: OnceCell<BTreeMap<String, u64>>,
}

impl Site {
    /// A deployment on the machine this process runs on.
    pub fn new(mut machine: Machine, past: Past) -> Self {
        machine.docker = machine.docker.for_one_look();
        let (dns, drift, sizes) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        let (mongodb, postgres, reached) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Self {
            machine,
            root: "/".into(),
            past,
            dns,
            drift,
            mongodb,
            postgres,
            reached,
            outbound: Vec::new(),
            strangers: Mutex::default(),
            sizes,
        }
    }

    /// MongoDB's `hello` to Rocket.Chat's user; `Err` if that user does not get one.
    pub(crate) async fn mongodb(&self) -> &Result<serde_json::Value, String> {
        let hello = serde_json::json!({"hello": 1});
        let asked = || async {
            let answer = step::database::mongo(&self.machine, Some("rocketchat"), &hello).await;
            answer.unwrap_or_else(|error| Err(error.message()))
        };
        self.mongodb.get_or_init(asked).await
    }

    /// Encoding and collation, told to the homeserver's role; `Err` if it is not let in.
    pub(crate) async fn postgres(&self) -> &Result<String, String> {
        let asked = || async {
            let answer = step::database::homeserver_login(&self.machine).await;
            answer.unwrap_or_else(|error| Err(error.message()))
        };
        self.postgres.get_or_init(asked).await
    }

    /// Everything that `rcfed apply` would change; `Err` says why it cannot be known.
    pub(crate) async fn look(&self) -> Result<&Look, String> {
        let look = self.drift.get_or_init(|| async {
            let steps = step::steps(&self.machine.config, &self.machine.topology);
            Look::at(&self.machine, &steps).await.map_err(|error| error.message())
        });
        look.await.as_ref().map_err(Clone::clone)
    }

    /// Status and body of a GET to a service on the containers' network; the inner `Err` says why there is none.
    pub(crate) async fn ask(&self, service: Service, port: u16, path: &str) -> Result<Result<(u16, String), String>> {
        let Some(base) = self.machine.url(service, port).await? else {
            return Ok(Err(GONE.into()));
        };
        Ok(self.machine.host.get(&format!("{base}{path}")).await.map_err(|error| error.to_string()))
    }

    /// A service that runs and did not give the answer it should have.
    pub(crate) async fn silent(
        &self,
        id: &'static str,
        service: Service,
        answer: Result<(u16, String), String>,
    ) -> Result<Finding> {
        let existing = self.existing(service);
        let started = match existing {
            Some(_) => None,
            None => self.machine.observe(service).await?.and_then(|c| c.started_at.parse::<jiff::Timestamp>().ok()),
        };
        let seconds = started.map(|started| jiff::Timestamp::now().duration_since(started).as_secs());
        let name = existing.map_or_else(|| service.container(), |existing| existing.name().to_owned());
        let lines = self.machine.docker.last_lines(&name, 4).await.unwrap_or_default();
        Ok(silent(id, service, existing, answer, seconds, &lines))
    }

    /// Who runs this service instead of rcfed.
    pub(crate) fn existing(&self, service: Service) -> Option<&Existing> {
        self.machine.config.rocketchat.existing.as_ref().filter(|_| service == Service::Rocketchat)
    }
}

/// Said of a service that ended while others were looked at.
const GONE: &str = "it does not run any more";

/// What is told of a service that did not give the answer it should have. Pure.
fn silent(
    id: &'static str,
    service: Service,
    existing: Option<&Existing>,
    answer: Result<(u16, String), String>,
    started: Option<i64>,
    lines: &[String],
) -> Finding {
    let (said, seen) = match answer {
        Ok((status, body)) => ("answers with an error", answered(status, &body)),
        Err(error) => ("does not answer", error),
    };
    let mut finding = Finding::fail(id, service.name(), said).seen(seen);
    if let Some(seconds @ ..300) = started {
        finding = finding.seen(format!("it was started {seconds} s ago and may not be ready yet"));
    }
    finding = lines.iter().fold(finding, |finding, line| finding.seen(line.chars().take(200).collect::<String>()));
    restart(finding, service, existing)
}

/// Again from the start, by whoever runs it.
fn restart(finding: Finding, service: Service, existing: Option<&Existing>) -> Finding {
    match existing {
        None => finding.command(format!("sudo docker restart {}", service.container())),
        Some(Existing::Container(name)) => finding.command(format!("sudo docker restart {name}")),
        Some(Existing::Elsewhere { url, bridge }) => finding.remedy(format!(
            "restart the Rocket.Chat of {url} where it runs, and see that it and {bridge} can be reached from here"
        )),
    }
}

/// How an answer begins that is not the one that was wanted.
fn answered(status: u16, body: &str) -> String {
    format!("status {status}: {}", body.chars().take(160).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::report::tests::told;
    use super::*;

    #[test]
    fn a_service_that_does_not_answer_is_told_with_what_starts_it_again() {
        const ID: &str = "rocketchat.up";
        let lines = ["REPLICASET IS REQUIRED".to_owned(), "long ".repeat(60)];
        let elsewhere =
            Existing::Elsewhere { url: "http://10.0.0.7:3000".into(), bridge: "http://10.0.0.7:3300".into() };
        let error = || Ok((502, "Bad Gateway".repeat(20)));
        insta::assert_snapshot!(told([
            silent(ID, Service::Rocketchat, None, Err("connection refused".into()), Some(41), &lines),
            silent(ID, Service::Homeserver, None, error(), Some(300), &[]),
            silent(ID, Service::Rocketchat, Some(&Existing::Container("chat".into())), Err(GONE.into()), None, &[]),
            silent(ID, Service::Rocketchat, Some(&elsewhere), error(), None, &[]),
        ]));
    }
}
