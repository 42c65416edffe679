//! The doctor's view from outside: real servers on loopback, broken in one way each, and a healthy deployment on the bed.
//!
//! Each fault has to be told by its first cause; what it says, and what it tells to do, is in the snapshot.

#[path = "../support/mod.rs"]
mod bed;
mod faults;
mod healthy;
#[path = "../matrix/servers.rs"]
#[allow(dead_code)]
mod servers;
mod world;

use std::path::Path;

use faults::FAULTS;
use futures_util::StreamExt;
use rcfed::doctor::remote::{self, Own, Sight};
use rcfed::doctor::{Ended, Report, terminal};
use rcfed::finding::Status;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_is_told_by_its_first_cause() {
    let only = std::env::var("RCFED_TEST_FAULT").unwrap_or_default();
    let chosen = FAULTS.iter().filter(|fault| fault.name.contains(&only));
    let looks = chosen.map(|fault| async move { (fault, world::examine(fault).await) });
    // A few at a time: all at once would be slower than what they wait for.
    let reports: Vec<_> = futures_util::stream::iter(looks).buffered(6).collect().await;
    let mut wrong = Vec::new();
    let mut told = Vec::new();
    for (fault, report) in reports {
        let worst = worst(&report);
        let found = worst.map_or("nothing", |finding| finding.id);
        if found != fault.first {
            wrong.push(format!(
                "{}: {found}, not {}\n{}",
                fault.name,
                fault.first,
                terminal::terminal(&report, terminal::Look::default())
            ));
        }
        if let Some(finding) = worst {
            assert!(finding.remedy.as_ref().is_some_and(|remedy| remedy.len() > 10), "{}: no remedy", fault.name);
        }
        told.push(format!(
            "# {}\n{}",
            fault.name,
            world::without_chance(&terminal::brief(&report, terminal::Look::default()))
        ));
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), FAULTS.len(), wrong.join("\n────\n"));
    if only.is_empty() {
        insta::assert_snapshot!(told.join("\n\n"));
    }
}

/// A machine behind a router that leads nothing back in: told as that, and the rest is judged through the gateway.
#[tokio::test]
async fn a_machine_that_cannot_reach_itself_is_not_called_broken() {
    let (blocked, through) = world::behind_a_router().await;
    assert!(remote::blocked(&blocked) && !remote::blocked(&through));
    let own = Own { instead: vec![("127.0.0.9".parse().unwrap(), "127.0.0.1".parse().unwrap())], ..Own::default() };
    let outcomes =
        remote::judge(&Sight { look: &through, now: jiff::Timestamp::now().as_millisecond(), own: Some(&own) }, &[]);
    let findings = outcomes.into_iter().filter_map(|outcome| match outcome.result {
        Ended::Found(findings) => Some(findings),
        Ended::Skipped(_) => None,
    });
    let bad: Vec<_> = findings.flatten().filter(|finding| finding.status != Status::Ok).collect();
    assert_eq!(
        bad.iter().map(|finding| (finding.id, finding.status)).collect::<Vec<_>>(),
        [("reach.hairpin", Status::Info)],
        "{bad:#?}"
    );
}

/// `RCFED_UPDATE_DOCS=1` writes the page instead of comparing it.
#[test]
fn the_page_of_remote_faults_is_that_of_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/remote-faults.md");
    let page = faults::page();
    if std::env::var_os("RCFED_UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).unwrap_or_default() == page,
        "docs/remote-faults.md is stale: run `make docs`"
    );
    for fault in FAULTS.iter().filter(|fault| fault.first != "nothing") {
        assert!(rcfed::doctor::find(fault.first).is_some(), "{}: there is no check {}", fault.name, fault.first);
    }
}

/// The first of the worst findings; nothing is worse than worth knowing.
fn worst(report: &Report) -> Option<&rcfed::finding::Finding> {
    [Status::Fail, Status::Warn, Status::Unknown].into_iter().find_map(|status| report.of(status).next())
}
