//! Any server name from outside: what was seen of it ([`Look`]) becomes findings, with the first cause first.
//!
//! Each row of the table judges a finished look and asks nobody, so a verdict can be tried without a network, and a
//! thousand names cost a thousand looks and nothing else. What only follows from a mistake is folded under it: a
//! well-known document that is wrong is told as that, and not as the closed port to which everybody falls back.

mod caa;
mod chat;
mod clients;
mod hosts;
mod keys;
mod names;
mod own;
mod proxy;
mod reach;
mod server;
mod srv;
mod tls;
mod wellknown;
mod witness;
mod words;
mod zones;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

pub use hosts::hosts;
pub use own::{Own, beside, blocked, see, wanted};
pub use witness::witness;

use super::check::{Doc, Place};
use super::engine::{Ended, Outcome};
use super::report::{Report, Subject};
use crate::finding::{Finding, Status};
use crate::matrix::Look;
use crate::matrix::discovery::Target;
use crate::matrix::probe::Seen;
use crate::matrix::server_name::{NameError, ServerName};

/// A row of the table: as [`super::Check`], but it judges what was seen already.
pub struct Remote {
    /// Its name, a contract like that of every check.
    pub id: &'static str,
    /// Where on the way of a federated message it looks.
    pub place: Place,
    /// Ids of the rows without whose success this one would only repeat their failure.
    pub needs: &'static [&'static str],
    /// Whether only the server's own machine can judge it.
    pub own: bool,
    /// Judges. None means that there is nothing of the kind.
    pub judge: fn(&Sight<'_>) -> Vec<Finding>,
    /// Its page in the reference.
    pub doc: Doc,
}

impl Remote {
    /// A row that anybody can judge, from anywhere.
    const fn row(
        place: Place,
        id: &'static str,
        needs: &'static [&'static str],
        judge: fn(&Sight<'_>) -> Vec<Finding>,
        doc: Doc,
    ) -> Self {
        Self { id, place, needs, own: false, judge, doc }
    }
}

/// What is judged, and when it was seen.
pub struct Sight<'a> {
    /// What was seen.
    pub look: &'a Look,
    /// When, in milliseconds since 1970.
    pub now: i64,
    /// What only the server's own machine sees, if this is it.
    pub own: Option<&'a Own>,
}

/// Every row, after what it needs, in the order in which causes are told apart.
pub fn table() -> Vec<&'static Remote> {
    let parts = [
        names::NAME,
        zones::CHECKS,
        names::CHECKS,
        wellknown::CHECKS,
        srv::CHECKS,
        reach::CHECKS,
        tls::HANDSHAKES,
        caa::CHECKS,
        tls::CHECKS,
        keys::CHECKS,
        server::CHECKS,
        proxy::CHECKS,
        clients::CHECKS,
        chat::CHECKS,
    ];
    parts.into_iter().flatten().collect()
}

/// Judges everything that was seen. `only` picks rows, with what they need; none means all.
pub fn judge(sight: &Sight<'_>, only: &[&'static str]) -> Vec<Outcome> {
    let mut causes: BTreeMap<&'static str, &'static str> = BTreeMap::new();
    let mut outcomes = Vec::new();
    for row in chosen(only).into_iter().filter(|row| !row.own || sight.own.is_some()) {
        let cause = row.needs.iter().find_map(|need| causes.get(need).copied());
        let result = match cause {
            Some(cause) => Ended::Skipped(cause),
            None => Ended::Found((row.judge)(sight)),
        };
        let failed = matches!(&result, Ended::Found(found) if found.iter().any(|f| f.status == Status::Fail));
        if let Some(cause) = cause.or_else(|| failed.then_some(row.id)) {
            causes.insert(row.id, cause);
        }
        outcomes.push(Outcome { id: row.id, place: row.place, result, took: Duration::ZERO });
    }
    outcomes
}

/// The report on a look that ended at `at`.
pub fn report(look: &Look, at: Timestamp, only: &[&'static str]) -> Report {
    let outcomes = judge(&Sight { look, now: at.as_millisecond(), own: None }, only);
    Report::new(subject(look.name.as_str(), at), outcomes, &[], u128::from(look.took_ms))
}

/// The report on a text that is no server name, so that there is nothing to look at; `place` is where it was read.
pub fn refused(text: &str, place: Option<&str>, error: &NameError, at: Timestamp) -> Report {
    let shown: String = text.chars().take(300).collect();
    let finding = names::refused(&shown, error);
    nothing(&shown, place.into_iter().fold(finding, Finding::seen), at)
}

/// The report on a line in which no name can be read: where it is, and why; it begins with `text`.
pub fn unread(text: &str, place: &str, why: &str, remedy: &str, at: Timestamp) -> Report {
    let finding = Finding::fail(names::GRAMMAR, place, why).remedy(remedy);
    nothing(text, if text.is_empty() { finding } else { finding.seen(format!("it begins with {text:?}")) }, at)
}

fn nothing(text: &str, finding: Finding, at: Timestamp) -> Report {
    let outcomes = table().into_iter().filter(|row| !row.own).map(|row| {
        let result =
            if row.id == names::GRAMMAR { Ended::Found(vec![finding.clone()]) } else { Ended::Skipped(names::GRAMMAR) };
        Outcome { id: row.id, place: row.place, result, took: Duration::ZERO }
    });
    Report::new(subject(text, at), outcomes.collect(), &[], 0)
}

/// Rows that were picked, and everything they need.
fn chosen(only: &[&'static str]) -> Vec<&'static Remote> {
    let mut rows = table();
    if only.is_empty() {
        return rows;
    }
    let mut wanted = only.to_vec();
    for row in rows.iter().rev() {
        if wanted.contains(&row.id) {
            wanted.extend(row.needs);
        }
    }
    rows.retain(|row| wanted.contains(&row.id));
    rows
}

fn subject(name: &str, at: Timestamp) -> Subject {
    Subject { server_name: name.to_owned(), profile: "remote".into(), version: env!("CARGO_PKG_VERSION").into(), at }
}

impl<'a> Sight<'a> {
    /// The name as it was written.
    fn name(&self) -> &'a str {
        self.look.name.as_str()
    }

    /// The name's host as it stands in a URL.
    fn host(&self) -> String {
        self.look.name.host().to_string()
    }

    /// Whom the well-known document delegates to; the first one, where addresses disagree.
    fn delegate(&self) -> Option<&'a ServerName> {
        self.look.discovery.well_known.iter().find_map(|fetch| fetch.outcome.as_ref().ok())
    }

    /// Targets that could be connected to.
    fn connected(&self) -> impl Iterator<Item = &'a Seen> {
        self.look.targets.iter().filter(|seen| seen.trouble.is_none())
    }

    /// Whether other servers reach the right homeserver at every target, however they came there.
    fn works(&self) -> bool {
        let good = |seen: &Seen| {
            let keys = seen.keys.as_ref().and_then(|keys| keys.as_ref().ok()?.document.as_ref().ok());
            seen.trouble.is_none()
                && seen.tls.as_ref().is_some_and(crate::host::tls::TlsFacts::is_valid)
                && keys.is_some_and(|keys| keys.are_good(self.name(), self.now))
        };
        !self.look.targets.is_empty() && self.look.targets.iter().all(good)
    }

    /// When somebody who looked now stops believing it, `seconds` later.
    fn until(&self, seconds: u64) -> String {
        let later = self.now.saturating_add(i64::try_from(seconds).unwrap_or(0).saturating_mul(1000));
        utc(later)
    }

    /// What is told of a well-known document that was put right: the longest that anybody keeps the old one.
    fn cached(&self) -> Option<String> {
        let longest = self.look.discovery.well_known.iter().map(|fetch| fetch.cache.believed).max()?;
        Some(format!("other servers may believe the old well-known document until {}", self.until(longest)))
    }

    /// A finding for everything that several targets have in common, the targets as evidence; in order of appearance.
    fn each(&self, told: impl Fn(&'a Seen) -> Option<Finding>) -> Vec<Finding> {
        let mut all: Vec<Finding> = Vec::new();
        for finding in self.connected().filter_map(told) {
            // The same address can be a target twice, by two ways.
            if !all.contains(&finding) {
                all.push(finding);
            }
        }
        all
    }
}

/// A time, in milliseconds since 1970, as a person reads it.
fn utc(milliseconds: i64) -> String {
    Timestamp::from_millisecond(milliseconds).unwrap_or_default().strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// A target as a person reads it.
fn at(target: &Target) -> String {
    let socket = std::net::SocketAddr::new(target.address, target.port);
    match &target.srv {
        Some(srv) => format!("{socket} ({})", srv.target),
        None if target.sni.is_some() => format!("{socket} ({})", target.certificate_name),
        None => socket.to_string(),
    }
}
