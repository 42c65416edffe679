//! Runs checks: whatever is ready runs at once, and what needs a failed one is not run at all, or for nothing.
//!
//! # Guarantees
//! Every check that applies ends as findings or as skipped, whatever it does: one that takes too long, or panics, is
//! `unknown`. Results stand in the order of the table, whichever came first. There are no retries, so there is nothing to
//! wait for between them.

// Where a panic ends the process, no check can be told as unknown instead.
#[cfg(not(panic = "unwind"))]
compile_error!("the doctor's engine has to outlive a check that panics: leave `panic` of the profile at `unwind`");

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep_until, timeout};

use super::check::{Check, Place};
use crate::finding::{Finding, Status};

/// How a check ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The check.
    pub id: &'static str,
    /// Where it looked.
    pub place: Place,
    /// What came of it.
    pub result: Ended,
    /// How long it took.
    pub took: Duration,
}

/// What came of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It looked.
    Found(Vec<Finding>),
    /// It would only have repeated the failure of this check.
    Skipped(&'static str),
}

impl Outcome {
    /// Whether what needs it makes no sense: at least one finding failed.
    fn failed(&self) -> bool {
        matches!(&self.result, Ended::Found(findings) if findings.iter().any(|f| f.status == Status::Fail))
    }
}

/// Which checks need not wait for which.
#[derive(Clone, Copy, Debug, Default)]
pub struct Haste {
    /// Checks that take long and mostly end well: what needs them begins before they have ended, and what it found is
    /// dropped if they fail.
    pub unawaited: &'static [&'static str],
    /// Checks that could leave something behind if they are broken off: they begin when everything that they need is known,
    /// and are waited for, as long as each may take, when the time for all is over.
    pub careful: &'static [&'static str],
}

/// Runs `checks`, which stand after what they need, within `deadline`. `progress` hears how many have ended.
pub async fn run<S: Send + Sync + 'static>(
    checks: &[&'static Check<S>],
    site: &Arc<S>,
    haste: Haste,
    deadline: Duration,
    mut progress: impl FnMut(usize),
) -> Vec<Outcome> {
    let end = tokio::time::Instant::now() + deadline;
    let known: BTreeMap<&str, &'static Check<S>> = checks.iter().map(|check| (check.id, *check)).collect();
    let needs = |check: &'static Check<S>| check.needs.iter().copied().filter(|need| known.contains_key(need));
    let mut ended: BTreeMap<&'static str, Outcome> = BTreeMap::new();
    let mut waiting: Vec<&'static Check<S>> = checks.to_vec();
    let mut running = JoinSet::new();
    let mut started: BTreeMap<tokio::task::Id, Started<S>> = BTreeMap::new();
    loop {
        // Needs stand before: one pass in the order of the table is enough.
        for check in checks {
            if let Some(cause) = needs(check).find_map(|need| cause_of(ended.get(need)?)) {
                ended.insert(check.id, outcome(check, Ended::Skipped(cause), Duration::ZERO));
            }
        }
        started.retain(|_, one| {
            let wanted = !ended.contains_key(one.check.id);
            if !wanted {
                one.handle.abort();
            }
            wanted
        });
        waiting.retain(|check| {
            if ended.contains_key(check.id) {
                return false;
            }
            let is_known = |need: &&str| ended.contains_key(need);
            let may_begin = match haste.careful.contains(&check.id) {
                true => closure(check, &known).iter().all(is_known),
                false => needs(check).all(|need| is_known(&need) || haste.unawaited.contains(&need)),
            };
            if !may_begin {
                return true;
            }
            let work = (check.run)(Arc::clone(site));
            let limit = Duration::from_secs(check.limit);
            let handle = running.spawn(async move { timeout(limit, work).await });
            started.insert(handle.id(), Started { check, since: Instant::now(), handle });
            false
        });
        progress(ended.len());
        let next = tokio::select! {
            next = running.join_next_with_id() => next,
            () = sleep_until(end) => break,
        };
        let (task, findings) = match next {
            None => break,
            Some(Ok((task, Ok(findings)))) => (task, Ok(findings)),
            Some(Ok((task, Err(_)))) => (task, Err(None)),
            Some(Err(error)) => (error.id(), Err(Some(error.to_string()))),
        };
        // One that was broken off is not here any more.
        let Some(Started { check, since, .. }) = started.remove(&task) else { continue };
        let findings = findings.unwrap_or_else(|panic| {
            let finding = match panic {
                None => unknown(check.id, &format!("gave no answer within {} s", check.limit)),
                Some(said) => unknown(check.id, "this check went wrong itself").seen(said).remedy("please report this"),
            };
            vec![finding]
        });
        ended.insert(check.id, outcome(check, Ended::Found(findings), since.elapsed()));
    }
    // Only what could not leave anything behind ends here.
    started.retain(|_, one| {
        let careful = haste.careful.contains(&one.check.id);
        if !careful {
            one.handle.abort();
        }
        careful
    });
    while !started.is_empty()
        && let Some(next) = running.join_next_with_id().await
    {
        let task = match &next {
            Ok((task, _)) => *task,
            Err(error) => error.id(),
        };
        if let (Some(Started { check, since, .. }), Ok((_, Ok(findings)))) = (started.remove(&task), next) {
            ended.insert(check.id, outcome(check, Ended::Found(findings), since.elapsed()));
        }
    }
    let late =
        |id| vec![unknown(id, &format!("was not looked at: the {} s for all checks were over", deadline.as_secs()))];
    let in_order = checks.iter().map(|check| {
        ended.remove(check.id).unwrap_or_else(|| outcome(check, Ended::Found(late(check.id)), Duration::ZERO))
    });
    in_order.collect()
}

/// `only`, and everything they need.
pub fn with_needs<S>(table: &[&'static Check<S>], only: &[&str]) -> Vec<&'static Check<S>> {
    let mut wanted: BTreeSet<&str> = only.iter().copied().collect();
    // Needs stand before: from the end, one pass is enough.
    for check in table.iter().rev().filter(|check| !check.needs.is_empty()) {
        if wanted.contains(check.id) {
            wanted.extend(check.needs);
        }
    }
    table.iter().copied().filter(|check| wanted.contains(check.id)).collect()
}

/// A check that runs.
struct Started<S: 'static> {
    check: &'static Check<S>,
    since: Instant,
    handle: AbortHandle,
}

/// Everything that a check needs, and what that needs.
fn closure<S>(check: &Check<S>, known: &BTreeMap<&str, &'static Check<S>>) -> BTreeSet<&'static str> {
    let mut all = BTreeSet::new();
    let mut open: Vec<&'static str> = check.needs.to_vec();
    while let Some(need) = open.pop() {
        if let Some(check) = known.get(need)
            && all.insert(need)
        {
            open.extend(check.needs);
        }
    }
    all
}

fn cause_of(need: &Outcome) -> Option<&'static str> {
    match need.result {
        Ended::Skipped(cause) => Some(cause),
        Ended::Found(_) => need.failed().then_some(need.id),
    }
}

fn outcome<S>(check: &Check<S>, result: Ended, took: Duration) -> Outcome {
    Outcome { id: check.id, place: check.place, result, took }
}

fn unknown(id: &'static str, why: &str) -> Finding {
    Finding::unknown(id, id, why)
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
