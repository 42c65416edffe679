//! Runs checks: whatever is ready runs at once, and what needs a failed one is not run at all.
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

use tokio::task::JoinSet;
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

/// Runs `checks`, which stand after what they need, within `deadline`. `progress` hears how many have ended.
pub async fn run<S: Send + Sync + 'static>(
    checks: &[&'static Check<S>],
    site: &Arc<S>,
    deadline: Duration,
    mut progress: impl FnMut(usize),
) -> Vec<Outcome> {
    let end = tokio::time::Instant::now() + deadline;
    let known: BTreeSet<&str> = checks.iter().map(|check| check.id).collect();
    let mut ended: BTreeMap<&'static str, Outcome> = BTreeMap::new();
    let mut waiting: Vec<&'static Check<S>> = checks.to_vec();
    let mut running = JoinSet::new();
    let mut started: BTreeMap<tokio::task::Id, (&'static Check<S>, Instant)> = BTreeMap::new();
    loop {
        // Skipping one may settle what stands after it, and needs stand before: one pass is enough.
        waiting.retain(|check| {
            let needs = || check.needs.iter().filter(|need| known.contains(*need));
            if let Some(cause) = needs().find_map(|need| cause_of(ended.get(need)?)) {
                ended.insert(check.id, outcome(check, Ended::Skipped(cause), Duration::ZERO));
                return false;
            }
            if !needs().all(|need| ended.contains_key(need)) {
                return true;
            }
            let work = (check.run)(Arc::clone(site));
            let limit = Duration::from_secs(check.limit);
            let handle = running.spawn(async move { timeout(limit, work).await });
            started.insert(handle.id(), (check, Instant::now()));
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
        let Some((check, since)) = started.remove(&task) else { continue };
        let findings = findings.unwrap_or_else(|panic| {
            let finding = match panic {
                None => unknown(check.id, &format!("gave no answer within {} s", check.limit)),
                Some(said) => unknown(check.id, "this check went wrong itself").seen(said).remedy("please report this"),
            };
            vec![finding]
        });
        ended.insert(check.id, outcome(check, Ended::Found(findings), since.elapsed()));
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
mod tests {
    use super::super::check::{Doc, always};
    use super::*;

    type Look = fn(Arc<()>) -> futures_util::future::BoxFuture<'static, Vec<Finding>>;

    const fn check(id: &'static str, needs: &'static [&'static str], run: Look) -> Check<()> {
        let doc = Doc { what: "", why: "", fails: "", fix: "", source: "" };
        Check { id, place: Place::Machine, applies: always, needs, limit: 1, run, doc }
    }

    const GOOD: Look = |_| Box::pin(async { vec![Finding::ok("x", "x", "fine")] });
    const WARN: Look = |_| Box::pin(async { vec![Finding::warn("x", "x", "old")] });
    const BAD: Look = |_| Box::pin(async { vec![Finding::ok("x", "x", "fine"), Finding::fail("x", "y", "broken")] });
    const NEVER: Look = |_| Box::pin(std::future::pending());
    const PANIC: Look = |_| Box::pin(async { panic!("on purpose") });

    static CHECKS: [Check<()>; 8] = [
        check("a", &[], GOOD),
        check("b", &["a"], BAD),
        check("b.c", &["a", "b"], GOOD),
        check("b.c.d", &["b.c"], PANIC),
        check("w", &["a"], WARN),
        check("w.x", &["w"], GOOD),
        check("slow", &[], NEVER),
        check("panic", &["slow"], PANIC),
    ];

    async fn told(deadline: u64, only: Option<&[&str]>) -> Vec<String> {
        let table: Vec<&'static Check<()>> = CHECKS.iter().collect();
        let table = only.map_or(table.clone(), |only| with_needs(&table, only));
        let mut last = 0;
        let outcomes = run(&table, &Arc::new(()), Duration::from_millis(deadline), |done| last = done).await;
        assert!(last <= table.len());
        let one = |f: &Finding| match f.status {
            Status::Unknown => format!("unknown, {} {:?}", f.summary, f.remedy),
            status => status.name().to_owned(),
        };
        let line = |o: Outcome| match o.result {
            Ended::Skipped(cause) => format!("{}: skipped for {cause}", o.id),
            Ended::Found(f) => format!("{}: {}", o.id, f.iter().map(one).collect::<Vec<_>>().join(" ")),
        };
        outcomes.into_iter().map(line).collect()
    }

    #[tokio::test]
    async fn a_failure_is_the_cause_of_all_that_need_it_and_of_nothing_else() {
        let mut runs = vec![told(5000, None).await, told(5000, Some(&["w.x"])).await];
        // The overall deadline is shorter than that of a single check.
        runs.push(told(200, Some(&["a", "slow", "panic"])).await);
        let runs: Vec<String> = runs.iter().map(|run| run.join("\n")).collect();
        insta::assert_snapshot!(runs.join("\n\n"));
    }
}
