//! Everything that can be known before anything is changed: this machine, Docker, ports, clock, and DNS.

pub(crate) mod clock;
pub(crate) mod docker;
mod earlier;
pub(crate) mod machine;
pub(crate) mod ports;
mod tell;

use std::collections::BTreeMap;
use std::path::Path;

use futures_util::future::join5;

use crate::config::Config;
use crate::dns::{self, Expected, Judgement, LETS_ENCRYPT, Lookup, Seen};
use crate::domain::DomainName;
use crate::error::Explain;
use crate::host::Host;
use crate::host::facts::{self, FactError};
use crate::host::net::Addresses;
use crate::ui::Ui;

pub use crate::finding::{Finding, Status};
pub use tell::tell;

/// What [`inspect`] found.
#[derive(Clone, Debug)]
pub struct Preflight {
    /// All findings, in a fixed order.
    pub findings: Vec<Finding>,
    /// What the names have to point to.
    pub expected: Expected,
    /// What was seen under each name; [`dns::wait_for`] goes on from here.
    pub seen: BTreeMap<DomainName, Seen>,
    /// What that means.
    pub dns: Judgement,
}

/// Looks at the machine whose `/proc`, `/etc` and `/var` are below `root`, and at the names of `config`. Changes nothing;
/// takes 8 s at most. A check that could not be made is a finding of its own.
///
/// `root` is `/` except in tests; it is not [`Host::root`], below which rcfed writes.
pub async fn inspect(root: &Path, host: &Host, config: &Config, ui: &Ui) -> Preflight {
    let task = ui.task(TITLE);
    let lookup = Lookup::new(host);
    let (clock, docker, gateway, addresses, seen) = join5(
        clock::check(&config.acme.directory, config.acme.ca.as_deref()),
        docker::check(root, &host.docker),
        docker::gateway_ports(&host.docker),
        Addresses::find(root, &config.addresses, host.metadata),
        lookup.all([&config.names.federated, &config.names.chat, &config.names.matrix]),
    )
    .await;
    let expected = Expected { addresses, proxy: config.proxy, issuer: issuer(&config.acme.directory) };
    let dns = dns::judge(&config.names, &expected, &seen);
    let architecture = facts::architecture();
    let mut findings = vec![
        machine::rights(facts::is_root()),
        machine::system(root),
        machine::architecture(&architecture, config.profile),
    ];
    findings.extend(machine::processor(root, &architecture));
    findings.extend([machine::memory(root), machine::disk(root, "/var/lib"), machine::packages(root), clock, docker]);
    findings.extend(ports::check(root, config.proxy, &gateway));
    findings.extend(earlier::check(host, config).await);
    findings.extend(dns::findings(&dns, &expected));
    let failed = findings.iter().filter(|finding| finding.status == Status::Fail).count();
    match failed {
        0 => task.done(""),
        many => task.failed(&in_the_way(many)),
    }
    Preflight { findings, expected, seen, dns }
}

const TITLE: &str = "Look at this machine and at DNS";

fn in_the_way(things: usize) -> String {
    if things == 1 { "one thing is in the way".into() } else { format!("{things} things are in the way") }
}

/// What stands in the way of going on.
#[derive(Debug, thiserror::Error)]
pub enum PreflightError {
    /// At least one check failed.
    #[error("{}", told(failed))]
    Failed {
        /// The failed checks, at least one; the first is often the cause of the others.
        failed: Vec<Finding>,
    },
    /// The machine is fine, and only names are wrong.
    #[error("DNS is not right: {wrong}")]
    Dns {
        /// Each name, and how it is.
        wrong: String,
        /// Records to change, or else what to do.
        remedies: Vec<String>,
    },
}

impl Explain for PreflightError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Failed { failed } => {
                let first = failed.first()?;
                first.remedy.clone().or_else(|| first.evidence.first().cloned())
            }
            Self::Dns { remedies, .. } => {
                let again = "run the same command again; `--wait-for-dns` makes it wait until DNS is right";
                let lines: String = remedies.iter().flat_map(|r| r.lines()).map(|line| format!("\n  {line}")).collect();
                Some(if lines.is_empty() { again.into() } else { format!("do this, and {again}{lines}") })
            }
        }
    }
}

/// Refuses to go on if a check failed.
pub fn verdict(findings: &[Finding]) -> Result<(), PreflightError> {
    let failed: Vec<Finding> = findings.iter().filter(|finding| finding.status == Status::Fail).cloned().collect();
    if failed.is_empty() { Ok(()) } else { Err(PreflightError::Failed { failed }) }
}

fn told(failed: &[Finding]) -> String {
    let lines: Vec<String> = failed.iter().map(|finding| format!("{}: {}", finding.subject, finding.summary)).collect();
    lines.join("\nalso, ")
}

/// The subject of findings about the machine itself.
pub(crate) const MACHINE: &str = "this machine";

/// A fact's finding, or one that says why the fact is not known.
pub(crate) fn or_unknown<T>(id: &'static str, fact: Result<T, FactError>, judge: impl FnOnce(T) -> Finding) -> Finding {
    fact.map_or_else(|error| Finding::unknown(id, MACHINE, error.to_string()), judge)
}

/// The CA's domain in CAA records, where it is known.
pub(crate) fn issuer(directory: &str) -> Option<String> {
    let host = directory.split("://").nth(1)?.split(['/', ':']).next()?;
    (host == LETS_ENCRYPT || host.ends_with(".letsencrypt.org")).then(|| LETS_ENCRYPT.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        insta::assert_snapshot!(format!("{TITLE}\n{}\n{}", in_the_way(1), in_the_way(2)));
    }
}
