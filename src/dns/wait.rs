//! Waits until the zone's own servers say what has to be there.
//!
//! The resolver is left alone meanwhile: each "no such name" it hears it would remember, for an hour perhaps.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep, timeout_at};

use super::caa::{Caa, climb};
use super::judge::{Expected, Judgement, judge};
use super::lookup::{Lookup, Seen, View, ZoneServer};
use crate::config::Names;
use crate::domain::DomainName;
use crate::error::Explain;
use crate::ui::Task;

/// How patient to be.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Between two rounds of questions; 10 s.
    pub every: Duration,
    /// The most to wait altogether; 30 min.
    pub at_most: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { every: Duration::from_secs(10), at_most: Duration::from_secs(30 * 60) }
    }
}

/// Why waiting ended without the names being right.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// Ctrl-C.
    #[error("interrupted while waiting for DNS")]
    Interrupted(Box<Judgement>),
    /// The time is over.
    #[error("DNS is still not right after {}: {wrong}", amount(*waited))]
    Deadline {
        /// How long it was.
        waited: Duration,
        /// What is not right, in one line.
        wrong: String,
        /// What was seen last.
        judgement: Box<Judgement>,
    },
}

impl Explain for WaitError {
    fn hint(&self) -> Option<String> {
        let (Self::Interrupted(judgement) | Self::Deadline { judgement, .. }) = self;
        let records: Vec<String> =
            judgement.names.iter().flat_map(|report| &report.changes).map(|change| change.to_string()).collect();
        Some(match records.is_empty() {
            true => "run the same command again later; nothing is lost".into(),
            false => format!("change these records, and run the same command again:\n{}", records.join("\n")),
        })
    }
    fn exit_code(&self) -> u8 {
        if matches!(self, Self::Interrupted(_)) { 130 } else { 1 }
    }
}

/// Asks the zones' own servers again and again until every name this machine must answer for is right. `first` is what
/// was seen before; a name whose zone's servers are not known is asked for through the resolver.
pub async fn wait_for(
    lookup: &Lookup,
    names: &Names,
    expected: &Expected,
    first: &BTreeMap<DomainName, Seen>,
    patience: Patience,
    progress: &Task,
) -> Result<Judgement, WaitError> {
    let deadline = Instant::now() + patience.at_most;
    let mut seen = first.clone();
    let mut judgement = judge(names, expected, &seen);
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    while !judgement.is_right(expected) {
        progress.note(note(&judgement, expected));
        let round = async {
            sleep(patience.every).await;
            again(lookup, &seen).await
        };
        tokio::select! {
            _ = &mut interrupted => return Err(WaitError::Interrupted(Box::new(judgement))),
            answer = timeout_at(deadline, round) => match answer {
                Ok(answer) => seen = answer,
                Err(_) => {
                    let (wrong, judgement) = (note(&judgement, expected), Box::new(judgement));
                    return Err(WaitError::Deadline { waited: patience.at_most, wrong, judgement });
                }
            },
        }
        judgement = judge(names, expected, &seen);
    }
    Ok(judgement)
}

async fn again(lookup: &Lookup, seen: &BTreeMap<DomainName, Seen>) -> BTreeMap<DomainName, Seen> {
    let asked = seen.iter().map(|(name, before)| async move {
        let servers: Vec<ZoneServer> = before.authoritative.iter().map(|view| view.server.clone()).collect();
        if servers.is_empty() {
            return (name.clone(), lookup.name(name).await);
        }
        let authoritative = lookup.authoritative(name, &servers).await;
        // What the resolver said is old news by now: without it, only the zone itself is judged.
        let resolver = authoritative.first().map_or_else(|| before.resolver.clone(), |view| view.view.clone());
        let caa = match &before.caa {
            Caa::None => Caa::None,
            _ => climb(lookup, name).await,
        };
        (name.clone(), Seen { resolver: View { aliases: Vec::new(), ..resolver }, authoritative, caa })
    });
    join_all(asked).await.into_iter().collect()
}

/// `30 minutes`.
fn amount(waited: Duration) -> String {
    match waited.as_secs() {
        seconds @ 60.. if seconds < 120 => "1 minute".into(),
        seconds @ 120.. => format!("{} minutes", seconds / 60),
        _ => format!("{waited:?}"),
    }
}

/// What is not right yet.
fn note(judgement: &Judgement, expected: &Expected) -> String {
    let wrong = judgement.names.iter().filter(|report| report.required && !report.is_right(expected));
    wrong.map(|report| format!("{} {}", report.name, report.summary())).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Apex, Proxy};
    use crate::dns::Fault;
    use crate::host::net::{Address, Addresses, Source};

    #[test]
    fn sentences() {
        let name = |text| DomainName::parse(text).unwrap();
        let (federated, chat, matrix) = (name("example.org"), name("chat.example.org"), name("matrix.example.org"));
        let names = Names { federated: federated.clone(), chat, matrix, apex: Apex::Here, chat_elsewhere: false };
        let ours = Address { source: Source::Interface, ip: "198.51.100.4".parse().unwrap() };
        let expected = Expected { addresses: Addresses::new([ours]), proxy: Proxy::Gateway, issuer: None };
        let judgement = |answer: crate::dns::Answer| {
            let aaaa = answer.clone().map(|_| Vec::new());
            let resolver = View { a: answer, aaaa, aliases: vec![] };
            let seen = Seen { resolver, authoritative: vec![], caa: Caa::None };
            Box::new(judge(&names, &expected, &BTreeMap::from([(federated.clone(), seen)])))
        };
        let late = |seconds, answer| {
            let judgement = judgement(answer);
            let wrong = note(&judgement, &expected);
            WaitError::Deadline { waited: Duration::from_secs(seconds), wrong, judgement }
        };
        let errors = [
            WaitError::Interrupted(judgement(Err(Fault::NxDomain))),
            WaitError::Interrupted(judgement(Err(Fault::Timeout))),
            late(1800, Ok(vec!["203.0.113.9".parse().unwrap()])),
            late(60, Err(Fault::ServFail { bogus: false })),
        ];
        insta::assert_snapshot!(crate::error::told(errors.map(Into::into)));
    }
}
