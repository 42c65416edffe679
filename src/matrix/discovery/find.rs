//! Finds out what the table asks for, everything at once that can be asked at once.

use std::collections::BTreeSet;
use std::net::IpAddr;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::{Discovery, HostSeen, Known, Question, SrvSeen, decide};
use crate::dns::{SrvAnswer, View};
use crate::matrix::Eyes;
use crate::matrix::server_name::{Host, ServerName};
use crate::matrix::well_known::{self, Fetch, Kind, fetch};

/// The specification's way is shorter; this only keeps a mistake from going round for ever.
const MOST_ROUNDS: usize = 8;
/// Addresses of one host that are asked for the well-known document.
const MOST_ADDRESSES: usize = 8;

/// Resolves `name` as other servers do; over at `until`.
pub async fn find(name: &ServerName, eyes: &Eyes, until: Instant) -> Discovery {
    let mut known = Known::default();
    let mut fetched = Vec::new();
    let mut asked = first(name);
    let mut outcome = super::Outcome::default();
    for _ in 0..MOST_ROUNDS {
        for answer in join_all(asked.into_iter().map(|question| answer(question, name, eyes, until))).await {
            match answer {
                Answer::WellKnown(host, view, fetches) => {
                    known.hosts.insert(host, view);
                    known.well_known = Some(outcomes(&fetches));
                    fetched = fetches;
                }
                Answer::Srv(query, answer) => {
                    known.srv.insert(query, answer);
                }
                Answer::Host(host, view) => {
                    known.hosts.insert(host, view);
                }
            }
        }
        match decide(name, &known) {
            Ok(done) => {
                outcome = done;
                break;
            }
            Err(open) => asked = open,
        }
    }
    let used: BTreeSet<&str> =
        outcome.targets.iter().filter_map(|t| t.srv.as_ref()).map(|s| s.query.as_str()).collect();
    let srv = known.srv.into_iter();
    let srv = srv.map(|(query, answer)| SrvSeen { used: used.contains(query.as_str()), query, answer }).collect();
    Discovery {
        name: name.clone(),
        well_known: fetched,
        srv,
        hosts: known.hosts.into_iter().map(|(host, view)| HostSeen { host, view }).collect(),
        trace: outcome.trace,
        targets: outcome.targets,
        problems: outcome.problems.into_iter().collect(),
    }
}

enum Answer {
    WellKnown(String, View, Vec<Fetch<ServerName>>),
    Srv(String, SrvAnswer),
    Host(String, View),
}

/// The well-known document takes longest, so the SRV records are asked for beside it: they are needed without a
/// delegation, and worth a word with one.
fn first(name: &ServerName) -> BTreeSet<Question> {
    match (name.host(), name.port()) {
        (Host::Dns(host), None) => BTreeSet::from([
            Question::WellKnown,
            Question::Srv(format!("_matrix-fed._tcp.{host}")),
            Question::Srv(format!("_matrix._tcp.{host}")),
        ]),
        _ => BTreeSet::new(),
    }
}

async fn answer(question: Question, name: &ServerName, eyes: &Eyes, until: Instant) -> Answer {
    match question {
        Question::WellKnown => {
            let host = name.host().to_string();
            let view = eyes.host(&host, until).await;
            let addresses: Vec<IpAddr> = [&view.a, &view.aaaa].into_iter().flatten().flatten().copied().collect();
            // A document that never ends must not take the time in which the way without it is looked at.
            let now = Instant::now();
            let until = until - until.saturating_duration_since(now) / 3;
            let fetches = addresses
                .into_iter()
                .take(MOST_ADDRESSES)
                .map(|address| fetch(Kind::Server, &host, address, well_known::server, eyes, until));
            let fetches = join_all(fetches).await;
            Answer::WellKnown(host, view, fetches)
        }
        Question::Srv(query) => {
            let answer = eyes.srv(&query, until).await;
            Answer::Srv(query, answer)
        }
        Question::Host(host) => {
            let view = eyes.host(&host, until).await;
            Answer::Host(host, view)
        }
    }
}

/// What others can come to believe: each different outcome once. An address that cannot be connected to counts only if
/// all are so, since everybody tries the next one.
fn outcomes(fetches: &[Fetch<ServerName>]) -> BTreeSet<Option<ServerName>> {
    let reached: BTreeSet<_> =
        fetches.iter().filter(|fetch| fetch.reached()).map(|fetch| fetch.outcome.as_ref().ok().cloned()).collect();
    if reached.is_empty() { BTreeSet::from([None]) } else { reached }
}
