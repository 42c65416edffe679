//! The memory of failed attempts, so that a timer never hammers a certificate authority.
//!
//! Let's Encrypt pauses names after very many failures; its advice for retries is 1 minute, 10 minutes, 100 minutes, then
//! once a day, remembered across runs (<https://letsencrypt.org/docs/integration-guide/#retrying-failures>).

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::error::AcmeError;
use super::private;
use crate::host::fs::{self, FileError};

/// Fails with [`AcmeError::TooEarly`] if an earlier attempt failed and the next may not be made yet.
///
/// For runs that nobody watches: a person who has just repaired something calls [`super::obtain`] at once.
pub fn may_try(acme_dir: &Path, now: Timestamp) -> Result<(), AcmeError> {
    match Failure::load(acme_dir)? {
        // One from the future was written by a clock that was wrong.
        Some(Failure { error, at, next, .. }) if at <= now && now < next => {
            Err(AcmeError::TooEarly { reason: error, until: next, now })
        }
        _ => Ok(()),
    }
}

/// The last failure, if nothing has succeeded since.
pub fn last_failure(acme_dir: &Path) -> Result<Option<Failure>, FileError> {
    Failure::load(acme_dir)
}

/// An attempt that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The message of the error.
    pub error: String,
    /// How many attempts have failed since the last success.
    pub count: u32,
    /// When it failed.
    pub at: Timestamp,
    /// When the next attempt may be made.
    pub next: Timestamp,
}

#[derive(Deserialize, Serialize)]
struct File {
    schema_version: u32,
    error: String,
    count: u32,
    at: String,
    next: String,
}

impl Failure {
    fn load(acme_dir: &Path) -> Result<Option<Self>, FileError> {
        let Some(bytes) = fs::read(&path(acme_dir))? else { return Ok(None) };
        // What cannot be read forbids nothing.
        let Ok(File { error, count, at, next, .. }) = serde_json::from_slice(&bytes) else { return Ok(None) };
        Ok(at.parse().ok().zip(next.parse().ok()).map(|(at, next)| Self { error, count, at, next }))
    }

    fn save(&self, acme_dir: &Path) -> Result<(), FileError> {
        let (at, next) = (self.at.to_string(), self.next.to_string());
        let file = File { schema_version: 1, error: self.error.clone(), count: self.count, at, next };
        let text = serde_json::to_vec_pretty(&file).unwrap_or_default();
        fs::write(&path(acme_dir), &text, private(0o600))
    }
}

/// The longest wait an authority may ask for: a mistaken date must not let the certificate in use expire.
const LONGEST: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Remembers a failure. The longer of the authority's own wait and ours counts.
pub(super) fn failed(acme_dir: &Path, error: &AcmeError, now: Timestamp) -> Result<(), FileError> {
    let count = Failure::load(acme_dir)?.map_or(0, |failure| failure.count).saturating_add(1);
    let ours = now.saturating_add(back_off(count)).unwrap_or(now);
    let longest = now.saturating_add(LONGEST).unwrap_or(now);
    let next = error.retry_at().map_or(ours, |theirs| theirs.clamp(ours, longest));
    Failure { error: error.to_string(), count, at: now, next }.save(acme_dir)
}

/// Forgets all failures.
pub(super) fn succeeded(acme_dir: &Path) -> Result<(), FileError> {
    fs::remove(&path(acme_dir))
}

fn back_off(count: u32) -> SignedDuration {
    SignedDuration::from_mins(match count {
        0 | 1 => 1,
        2 => 10,
        3 => 100,
        _ => 24 * 60,
    })
}

fn path(acme_dir: &Path) -> PathBuf {
    acme_dir.join("state.json")
}

#[cfg(test)]
mod tests {
    use super::super::error::Authority;
    use super::super::limit::Limit;
    use super::*;

    #[test]
    fn waits_grow_and_the_authority_may_lengthen_them() {
        let dir = tempfile::tempdir().unwrap();
        let now: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
        let authority = Authority::of("https://ca.example.org/dir");
        let slow = AcmeError::Slow { authority: authority.clone(), what: "its checks", seconds: 90 };
        may_try(dir.path(), now).unwrap();
        let mut waits = Vec::new();
        for _ in 0..5 {
            failed(dir.path(), &slow, now).unwrap();
            let Err(AcmeError::TooEarly { until, .. }) = may_try(dir.path(), now) else { panic!("it may try at once") };
            assert!(may_try(dir.path(), until).is_ok());
            waits.push(until.duration_since(now).as_mins());
        }
        assert_eq!(waits, [1, 10, 100, 1440, 1440]);

        for (asked, granted) in [("2026-11-27T10:00:00Z", 4), ("2126-11-27T10:00:00Z", 7)] {
            let limit = Limit::Until { what: "certificates".into(), until: Some(asked.parse().unwrap()) };
            failed(dir.path(), &AcmeError::Limited { authority: authority.clone(), limit, now }, now).unwrap();
            let next = last_failure(dir.path()).unwrap().unwrap().next;
            assert_eq!(next.duration_since(now).as_hours(), granted * 24);
        }

        succeeded(dir.path()).unwrap();
        may_try(dir.path(), now).unwrap();
        std::fs::write(path(dir.path()), "nonsense").unwrap();
        may_try(dir.path(), now).unwrap();
    }
}
