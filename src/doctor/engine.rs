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
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

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
        let haste = Haste::default();
        let outcomes = run(&table, &Arc::new(()), haste, Duration::from_millis(deadline), |done| last = done).await;
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

    /// One that fails late: what needed it began at once, and counts for nothing. What would have left something behind
    /// never began.
    #[tokio::test]
    async fn what_began_too_early_counts_for_nothing() {
        static TOUCHED: AtomicUsize = AtomicUsize::new(0);
        const LATE: Look = |_| {
            Box::pin(async {
                tokio::time::sleep(Duration::from_millis(100)).await;
                vec![Finding::fail("x", "x", "broken")]
            })
        };
        const TOUCH: Look = |_| {
            Box::pin(async {
                TOUCHED.fetch_add(1, Ordering::SeqCst);
                vec![Finding::ok("x", "x", "fine")]
            })
        };
        static LATELY: [Check<()>; 5] = [
            check("late", &[], LATE),
            check("early", &["late"], TOUCH),
            Check { limit: 3600, ..check("early.never", &["early"], NEVER) },
            check("careful", &["early"], TOUCH),
            check("other", &[], GOOD),
        ];
        let table: Vec<&'static Check<()>> = LATELY.iter().collect();
        let haste = Haste { unawaited: &["late"], careful: &["careful"] };
        let (site, long) = (Arc::new(()), Duration::from_secs(3600));
        let outcomes = timeout(Duration::from_secs(60), run(&table, &site, haste, long, |_| {})).await;
        let outcomes = outcomes.expect("the one that never ends was waited for");
        let skipped: Vec<&str> = outcomes.iter().filter(|o| o.result == Ended::Skipped("late")).map(|o| o.id).collect();
        assert_eq!(skipped, ["early", "early.never", "careful"]);
        assert_eq!(TOUCHED.load(Ordering::SeqCst), 1);
    }

    /// What could leave something behind has its own time, also when that for all is over.
    #[tokio::test]
    async fn a_careful_check_is_waited_for() {
        const LATER: Look = |_| {
            Box::pin(async {
                tokio::time::sleep(Duration::from_millis(300)).await;
                vec![Finding::ok("x", "x", "fine")]
            })
        };
        static TWO: [Check<()>; 2] =
            [Check { limit: 60, ..check("careful", &[], LATER) }, Check { limit: 60, ..check("other", &[], LATER) }];
        let table: Vec<&'static Check<()>> = TWO.iter().collect();
        let haste = Haste { unawaited: &[], careful: &["careful"] };
        let outcomes = run(&table, &Arc::new(()), haste, Duration::from_millis(50), |_| {}).await;
        let status = |at: usize| match &outcomes[at].result {
            Ended::Found(found) => found[0].status,
            Ended::Skipped(_) => Status::Fail,
        };
        assert_eq!((status(0), status(1)), (Status::Ok, Status::Unknown));
    }
}
