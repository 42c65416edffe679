//! What the checks found, put in order: the first cause, what was skipped for it, and one sentence for all of it. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::check::Place;
use super::engine::{Ended, Outcome};
use crate::finding::{Finding, Status};

/// What was examined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// What stands after the colon in a Matrix id.
    pub server_name: String,
    /// Word for the profile.
    pub profile: String,
    /// `rcfed`'s own version.
    pub version: String,
    /// When.
    pub at: Timestamp,
}

/// A run of the doctor.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was examined.
    pub subject: Subject,
    /// Every finding, in the order of the table.
    pub findings: Vec<(Place, Finding)>,
    /// Checks that were not run, with the check that failed.
    pub skipped: Vec<(Place, &'static str, &'static str)>,
    /// Findings that the configuration tells to ignore; they count for nothing.
    pub ignored: Vec<Finding>,
    /// Milliseconds from the first check to the last.
    pub took: u128,
}

/// How many findings there are of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[allow(missing_docs, reason = "each is a status")]
pub struct Counts {
    pub ok: usize,
    pub info: usize,
    pub unknown: usize,
    pub warn: usize,
    pub fail: usize,
    pub skipped: usize,
}

impl Report {
    /// Puts the outcomes in order. `ignore` holds ids whose findings count for nothing unless they are fine; `took` is in
    /// milliseconds.
    pub fn new(subject: Subject, outcomes: Vec<Outcome>, ignore: &[String], took: u128) -> Self {
        let mut report = Self { subject, findings: Vec::new(), skipped: Vec::new(), ignored: Vec::new(), took };
        for outcome in outcomes {
            match outcome.result {
                Ended::Skipped(cause) => report.skipped.push((outcome.place, outcome.id, cause)),
                Ended::Found(findings) => {
                    for finding in findings {
                        if finding.status > Status::Info && ignore.iter().any(|id| id == finding.id) {
                            report.ignored.push(finding);
                        } else {
                            report.findings.push((outcome.place, finding));
                        }
                    }
                }
            }
        }
        report
    }

    /// Findings of a status, in the order of the table.
    pub fn of(&self, status: Status) -> impl Iterator<Item = &Finding> {
        self.findings.iter().map(|(_, finding)| finding).filter(move |finding| finding.status == status)
    }

    /// The failure to mend first: none of the checks it needs has failed, and it stands first in the table.
    pub fn first_cause(&self) -> Option<&Finding> {
        self.of(Status::Fail).next()
    }

    /// Ids of the checks that were skipped for a failure of `cause`.
    pub fn skipped_for(&self, cause: &str) -> Vec<&'static str> {
        self.skipped.iter().filter(|(_, _, because)| *because == cause).map(|(_, id, _)| *id).collect()
    }

    /// How many there are of each kind.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts { skipped: self.skipped.len(), ..Counts::default() };
        for (_, finding) in &self.findings {
            *match finding.status {
                Status::Ok => &mut counts.ok,
                Status::Info => &mut counts.info,
                Status::Unknown => &mut counts.unknown,
                Status::Warn => &mut counts.warn,
                Status::Fail => &mut counts.fail,
            } += 1;
        }
        counts
    }

    /// The worst that was seen; `ok` if nothing was.
    pub fn status(&self) -> Status {
        self.findings.iter().map(|(_, finding)| finding.status).max().unwrap_or(Status::Ok)
    }

    /// The worst that was seen at each place that was looked at, and whether checks were skipped there.
    pub fn places(&self) -> BTreeMap<Place, (Option<Status>, bool)> {
        let mut places: BTreeMap<Place, (Option<Status>, bool)> = BTreeMap::new();
        for (place, finding) in &self.findings {
            let entry = places.entry(*place).or_default();
            entry.0 = entry.0.max(Some(finding.status));
        }
        for (place, _, _) in &self.skipped {
            places.entry(*place).or_default().1 = true;
        }
        places
    }

    /// One line for all of it.
    pub fn verdict(&self) -> String {
        let counts = self.counts();
        let name = &self.subject.server_name;
        let many = |count: usize, one: &str, more: &str| match count {
            0 => None,
            1 => Some(format!("1 {one}")),
            many => Some(format!("{many} {more}")),
        };
        if let Some(first) = self.first_cause() {
            let more = match counts.fail - 1 {
                0 => String::new(),
                more => format!(" (and {more} more)"),
            };
            return format!("{name} is not well. First cause: {} {}{more}", first.subject, first.summary);
        }
        let rest = [
            many(counts.warn, "warning", "warnings"),
            many(counts.unknown, "check that could not be made", "checks that could not be made"),
        ];
        let rest: Vec<String> = rest.into_iter().flatten().collect();
        if rest.is_empty() { format!("{name} is well") } else { format!("{name} works, with {}", rest.join(" and ")) }
    }

    /// Exit code: 1 if something failed, or with `strict` if something is less than fine.
    pub fn exit_code(&self, strict: bool) -> u8 {
        let limit = if strict { Status::Unknown } else { Status::Fail };
        u8::from(self.status() >= limit)
    }
}

/// The page on a check.
pub fn page(id: &str) -> String {
    // The anchor of a heading loses its dots.
    format!("{}/blob/main/docs/checks.md#{}", env!("CARGO_PKG_REPOSITORY"), id.replace('.', ""))
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;

    /// Findings in words, for a snapshot.
    pub fn told(findings: impl IntoIterator<Item = Finding>) -> String {
        let one = |finding: Finding| {
            let mut told = format!("{} {}  {}", finding.status.name(), finding.subject, finding.summary);
            let mut below = |label: &str, text: &str| {
                for (at, line) in text.lines().enumerate() {
                    told += &format!("\n    {:<5} {line}", if at == 0 { label } else { "" });
                }
            };
            below("seen", &finding.evidence.join("\n"));
            below("note", finding.remedy.as_deref().unwrap_or_default());
            below("do", &finding.commands.join("\n"));
            below("later", finding.cached.as_deref().unwrap_or_default());
            told
        };
        findings.into_iter().map(one).collect::<Vec<_>>().join("\n")
    }

    /// A report with one of everything.
    pub fn example() -> Report {
        let subject = Subject {
            server_name: "fed.test".into(),
            profile: "dendrite".into(),
            version: "0.1.0".into(),
            at: "2026-11-23T15:00:00Z".parse().unwrap(),
        };
        let outcome = |id, place, result| Outcome { id, place, result, took: Duration::ZERO };
        let found = |finding: Finding| Ended::Found(vec![finding]);
        let outcomes = vec![
            outcome("machine.os", Place::Machine, found(Finding::ok("machine.os", "this machine", "Debian 12"))),
            outcome(
                "machine.disk",
                Place::Machine,
                found(Finding::warn("machine.disk", "/var/lib/rcfed", "1500 MB are free").remedy("make room")),
            ),
            outcome(
                "images.supported",
                Place::Docker,
                found(Finding::info(
                    "images.supported",
                    "rocketchat",
                    "Rocket.Chat 7.10 reached its end of life on 2026-07-10",
                )),
            ),
            outcome(
                "machine.clock",
                Place::Machine,
                found(
                    Finding::unknown("machine.clock", "this machine", "the clock could not be compared")
                        .seen("no answer"),
                ),
            ),
            outcome(
                "container.mongodb",
                Place::Databases,
                found(
                    Finding::fail("container.mongodb", "rcfed-mongodb", "ended with exit code 137 (killed)")
                        .seen("{\"msg\":\"<shutdown> & more\"}")
                        .command("sudo rcfed apply"),
                ),
            ),
            outcome("mongodb.primary", Place::Databases, Ended::Skipped("container.mongodb")),
            outcome("container.rocketchat", Place::Rocketchat, Ended::Skipped("container.mongodb")),
            outcome(
                "wellknown.server",
                Place::Wellknown,
                found(
                    Finding::fail(
                        "wellknown.server",
                        "https://fed.test/.well-known/matrix/server",
                        "says \"x\", not \"matrix.fed.test:443\"",
                    )
                    .seen("from 198.51.100.10, for ada")
                    .command("sudo rcfed apply")
                    .cached("other servers may believe it for up to 48 hours"),
                ),
            ),
            outcome("homeserver.up", Place::Homeserver, found(Finding::ok("homeserver.up", "homeserver", "answers"))),
        ];
        Report::new(subject, outcomes, &[], 84)
    }

    #[test]
    fn the_first_failure_is_the_cause_and_what_needs_it_is_folded() {
        let report = example();
        assert_eq!(report.first_cause().unwrap().id, "container.mongodb");
        assert_eq!(report.skipped_for("container.mongodb"), ["mongodb.primary", "container.rocketchat"]);
        let counts = Counts { ok: 2, info: 1, unknown: 1, warn: 1, fail: 2, skipped: 2 };
        assert_eq!(report.counts(), counts);
        assert_eq!(report.places()[&Place::Rocketchat], (None, true));
        assert_eq!(report.places()[&Place::Databases], (Some(Status::Fail), true));
        assert_eq!((report.exit_code(false), report.exit_code(true)), (1, 1));
    }

    #[test]
    fn verdicts_and_exit_codes() {
        let with = |keep: &[&str]| {
            let mut report = example();
            report.findings.retain(|(_, finding)| keep.contains(&finding.id));
            report.skipped.clear();
            format!("{} [{} {}]", report.verdict(), report.exit_code(false), report.exit_code(true))
        };
        let verdicts = [
            with(&["machine.os", "images.supported"]),
            with(&["machine.os", "machine.clock"]),
            {
                let mut report = example();
                report.findings.retain(|(_, finding)| finding.id == "machine.clock");
                report.findings.push(report.findings[0].clone());
                report.verdict()
            },
            with(&["machine.disk", "machine.clock"]),
            with(&["wellknown.server"]),
            with(&["container.mongodb", "wellknown.server"]),
        ];
        insta::assert_snapshot!(verdicts.join("\n"));
    }

    #[test]
    fn what_is_ignored_counts_for_nothing() {
        let outcomes = |finding: Finding| {
            vec![Outcome {
                id: finding.id,
                place: Place::Machine,
                result: Ended::Found(vec![finding]),
                took: Duration::ZERO,
            }]
        };
        let subject = example().subject;
        let ignore = ["machine.disk".to_string()];
        let report = Report::new(subject.clone(), outcomes(Finding::fail("machine.disk", "x", "full")), &ignore, 0);
        assert_eq!((report.exit_code(true), report.ignored.len()), (0, 1));
        let report = Report::new(subject, outcomes(Finding::ok("machine.disk", "x", "fine")), &ignore, 0);
        assert_eq!((report.findings.len(), report.ignored.len()), (1, 0));
    }
}
