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
