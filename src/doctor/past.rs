//! What earlier runs saw: for `--changes`, and to tell when the disk will be full.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::report::Report;
use crate::finding::{Finding, Status};
use crate::host::fs::{self, Access, FileError};

/// The file of [`crate::layout::STATE`] that keeps it.
pub const FILE: &str = "/var/lib/rcfed/doctor.json";

/// What earlier runs saw.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// Shape of the file.
    schema_version: u32,
    /// When the last run was, RFC 3339; empty before the first.
    at: String,
    /// How each thing was, in the order of the table.
    states: Vec<State>,
    /// Free bytes on the disk, the oldest first.
    free: Vec<Sample>,
    /// Bytes of each thing that fills it, the oldest first.
    #[serde(default)]
    sizes: BTreeMap<String, Vec<Sample>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    id: String,
    subject: String,
    status: String,
    summary: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Sample {
    at: i64,
    bytes: u64,
}

/// Something that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Which check.
    pub id: String,
    /// What was looked at.
    pub subject: String,
    /// How it was; `None` if nothing was told of it.
    pub before: Option<String>,
    /// How it is; `None` if nothing is told of it any more.
    pub now: Option<String>,
    /// What is said of it now, or else was.
    pub summary: String,
}

impl Past {
    /// What was kept. A file that cannot be understood counts as none.
    pub fn load(path: &Path) -> Result<Self, FileError> {
        let text = fs::read_text(path)?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
    }

    /// Keeps this run in place of the last one.
    pub fn store(&self, path: &Path) -> Result<(), FileError> {
        let owner = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let access = Access { mode: 0o600, uid: owner.0, gid: owner.1 };
        fs::write(path, &serde_json::to_vec_pretty(self).unwrap_or_default(), access)
    }

    /// This run after the earlier ones; `free` is what the disk has now, in bytes, and `sizes` what fills it.
    #[must_use]
    pub fn after(mut self, report: &Report, free: Option<u64>, sizes: &BTreeMap<String, u64>) -> Self {
        let now = report.subject.at;
        self.schema_version = 1;
        self.at = now.to_string();
        // Who was looked for once is nobody whom the next run misses.
        let kept = report.findings.iter().filter(|(_, finding)| finding.id != super::OUTBOUND);
        self.states = kept.map(|(_, finding)| State::of(finding)).collect();
        // One a day is enough to see where it goes.
        let last = self.free.last().map_or(i64::MIN, |sample| sample.at);
        if let Some(bytes) = free.filter(|_| now.as_second().saturating_sub(last) >= DAY - 3600) {
            self.free.push(Sample { at: now.as_second(), bytes });
            let excess = self.free.len().saturating_sub(SAMPLES);
            self.free.drain(..excess);
            for (name, bytes) in sizes {
                let samples = self.sizes.entry(name.clone()).or_default();
                samples.push(Sample { at: now.as_second(), bytes: *bytes });
                let excess = samples.len().saturating_sub(SAMPLES);
                samples.drain(..excess);
            }
        }
        self
    }

    /// Days until `name`, which has `size` bytes now, alone fills what is `free`; `None` if it does not grow, or if less
    /// than two days are known.
    pub fn days_by(&self, name: &str, now: Timestamp, size: u64, free: u64) -> Option<u64> {
        let oldest = self.sizes.get(name)?.first()?;
        let seconds = u64::try_from(now.as_second() - oldest.at).ok().filter(|seconds| *seconds >= 2 * DAY as u64)?;
        let grown = size.checked_sub(oldest.bytes).filter(|grown| *grown > 0)?;
        u64::try_from(u128::from(free) * u128::from(seconds) / u128::from(grown) / DAY as u128).ok()
    }

    /// Days until the disk is full if it fills as it did since the oldest sample; `None` if it does not, or if less than
    /// two days are known.
    pub fn days_to_full(&self, now: Timestamp, free: u64) -> Option<u64> {
        let oldest = self.free.first()?;
        let seconds = u64::try_from(now.as_second() - oldest.at).ok().filter(|seconds| *seconds >= 2 * DAY as u64)?;
        let used = oldest.bytes.checked_sub(free).filter(|used| *used > 0)?;
        u64::try_from(u128::from(free) * u128::from(seconds) / u128::from(used) / DAY as u128).ok()
    }

    /// When the last run was; `None` before the first.
    pub fn at(&self) -> Option<&str> {
        (!self.at.is_empty()).then_some(self.at.as_str())
    }

    /// What is not as it was: first what is told now, in the order of the table, then what is told no more. What was
    /// skipped now is neither.
    pub fn changes(&self, report: &Report) -> Vec<Change> {
        let key = |state: &State| (state.id.clone(), state.subject.clone());
        let before: BTreeMap<_, _> = self.states.iter().map(|state| (key(state), state)).collect();
        let mut told = Vec::new();
        let mut changes = Vec::new();
        for now in report.findings.iter().map(|(_, finding)| State::of(finding)) {
            let old = before.get(&key(&now)).map(|state| state.status.clone());
            // Something new that is fine is no news.
            let news = if old.is_none() { !is_fine(&now.status) } else { old.as_ref() != Some(&now.status) };
            told.push(key(&now));
            if news {
                let State { id, subject, status, summary } = now;
                changes.push(Change { id, subject, before: old, now: Some(status), summary });
            }
        }
        let gone = self.states.iter().filter(|old| {
            let skipped = report.skipped.iter().any(|(_, id, _)| *id == old.id);
            !is_fine(&old.status) && !skipped && !told.contains(&key(old))
        });
        changes.extend(gone.cloned().map(|State { id, subject, status, summary }| Change {
            id,
            subject,
            before: Some(status),
            now: None,
            summary,
        }));
        changes
    }
}

impl State {
    fn of(finding: &Finding) -> Self {
        let (subject, summary) = (finding.subject.clone(), finding.summary.clone());
        Self { id: finding.id.into(), subject, status: finding.status.name().into(), summary }
    }
}

fn is_fine(status: &str) -> bool {
    status == Status::Ok.name() || status == Status::Info.name()
}

const DAY: i64 = 86_400;
const SAMPLES: usize = 30;

#[cfg(test)]
mod tests {
    use super::super::report::tests::example;
    use super::*;

    #[test]
    fn a_disk_that_fills_has_a_day() {
        let at = |day: i64| Timestamp::from_second(1_800_000_000 + day * DAY).unwrap();
        let mut past = Past::default();
        let mut report = example();
        for (day, free) in [(0, 100), (1, 90), (2, 80)] {
            report.subject.at = at(day);
            past = past.after(&report, Some(free), &BTreeMap::from([("media".to_owned(), 1000 - free)]));
        }
        assert_eq!(past.days_to_full(at(4), 60), Some(6));
        assert_eq!(past.days_to_full(at(4), 100), None, "it does not fill");
        assert_eq!(Past::default().days_to_full(at(4), 60), None);
        assert_eq!(past.days_by("media", at(4), 940, 60), Some(6));
        assert_eq!(past.days_by("media", at(4), 900, 60), None, "it does not grow");
        assert_eq!(past.days_by("media", at(1), 940, 60), None, "not enough is known");
        assert_eq!(past.days_by("logs", at(4), 940, 60), None);
        // Runs within a day leave no sample.
        let same = past.clone().after(&report, Some(7), &BTreeMap::from([("media".to_owned(), 7)]));
        assert_eq!((&same.free, &same.sizes), (&past.free, &past.sizes));
        for day in 3..80 {
            report.subject.at = at(day);
            past = past.after(&report, Some(1), &BTreeMap::new());
        }
        assert_eq!(past.free.len(), SAMPLES);
    }

    #[test]
    fn changes_are_news_only() {
        let past = Past::default().after(&example(), None, &BTreeMap::new());
        assert_eq!(past.changes(&example()), []);
        let mut report = example();
        report.findings.retain(|(_, finding)| finding.id != "machine.disk");
        for (_, finding) in &mut report.findings {
            if finding.id == "homeserver.up" {
                finding.status = Status::Fail;
            }
        }
        let told: Vec<String> =
            past.changes(&report).into_iter().map(|c| format!("{} {:?} → {:?}", c.id, c.before, c.now)).collect();
        assert_eq!(told, [r#"homeserver.up Some("ok") → Some("fail")"#, r#"machine.disk Some("warn") → None"#]);
        let first: Vec<String> = Past::default().changes(&example()).into_iter().map(|change| change.id).collect();
        assert_eq!(first, ["machine.disk", "machine.clock", "container.mongodb", "wellknown.server"]);
    }

    #[test]
    fn what_is_kept_is_found_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("doctor.json");
        assert_eq!(Past::load(&path).unwrap(), Past::default());
        let past = Past::default().after(&example(), Some(5), &BTreeMap::new());
        past.store(&path).unwrap();
        assert_eq!(Past::load(&path).unwrap(), past);
        std::fs::write(&path, "nonsense").unwrap();
        assert_eq!(Past::load(&path).unwrap(), Past::default());
    }
}
