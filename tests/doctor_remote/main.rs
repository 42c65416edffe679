//! The doctor's view from outside: real servers on loopback, broken in one way each, and a healthy deployment on the bed.
//!
//! Each fault has to be told by its first cause; what it says, and what it tells to do, is in the snapshot.

mod at_once;
#[path = "../support/mod.rs"]
mod bed;
mod faults;
mod ground;
mod healthy;
mod http2;
mod rare;
mod rocketchat;
#[path = "../matrix/servers.rs"]
#[allow(dead_code)]
mod servers;
mod told;
mod usage;
mod world;
mod zones;

use std::path::Path;

use faults::{Break, CHAT, Certificate, Chat, FAULTS, Fault, Spot};
use futures_util::StreamExt;
use rcfed::doctor::remote::{self, Own, Sight};
use rcfed::doctor::{Ended, Report, terminal};
use rcfed::finding::Status;
use rcfed::matrix::probe::chat::{ChatSeen, Page, Socket};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_is_told_by_its_first_cause() {
    let only = std::env::var("RCFED_TEST_FAULT").unwrap_or_default();
    let chosen = FAULTS.iter().filter(|fault| fault.name.contains(&only));
    let looks = chosen.map(|fault| async move { (fault, world::examine(fault).await) });
    // A few at a time: all at once would be slower than what they wait for.
    let reports: Vec<_> = futures_util::stream::iter(looks).buffered(6).collect().await;
    let mut wrong = Vec::new();
    let mut told = Vec::new();
    let mut book = told::Book::default();
    for (fault, report) in reports {
        book.tell(fault.name, &told::json(report.findings.iter().map(|(_, finding)| finding)));
        // What is only worth knowing is looked for where nothing else is told.
        let info = || report.of(Status::Info).find(|finding| finding.id == fault.first);
        let worst = worst(&report).or_else(info);
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
            let told = finding.remedy.as_ref().is_some_and(|remedy| remedy.len() > 10);
            assert!(told || finding.id == "wellknown.cache", "{}: no remedy", fault.name);
        }
        let cached = worst.and_then(|finding| finding.cached.as_ref());
        told.push(format!(
            "# {}\n{}{}",
            fault.name,
            world::without_chance(&terminal::brief(&report, terminal::Look::default())),
            cached.map(|cached| format!("      later {}\n", world::without_dates(cached))).unwrap_or_default(),
        ));
        if let Some(finding) = worst.filter(|finding| finding.status == Status::Info) {
            told.push(format!("    {}  {} {}", finding.id, finding.subject, finding.summary));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), FAULTS.len(), wrong.join("\n────\n"));
    if only.is_empty() {
        insta::assert_snapshot!(told.join("\n\n"));
        insta::assert_snapshot!("what_each_fault_tells", book.text());
    }
}

/// Each zone in its own way wrong, all of them seen in one run.
#[test]
fn every_fault_of_a_zone_is_told_by_its_first_cause() {
    let only = std::env::var("RCFED_TEST_FAULT").unwrap_or_default();
    let cases: Vec<&zones::Case> = zones::CASES.iter().filter(|case| case.name.contains(&only)).collect();
    let Some(ground) = ground::Ground::start(&cases) else { return };
    let names: Vec<String> = cases.iter().map(|case| format!("{}.example", case.label)).collect();
    let reports = ground.doctor(&names);
    let (mut wrong, mut told) = (Vec::new(), Vec::new());
    let mut book = told::Book::default();
    for (case, name) in cases.iter().zip(&names) {
        let report = reports.iter().find(|report| report["server_name"] == name.as_str()).unwrap();
        let findings = report["findings"].as_array().unwrap();
        let first = ["fail", "warn", "unknown"].iter().find_map(|kind| findings.iter().find(|f| f["status"] == *kind));
        let found = first.map_or("nothing", |finding| finding["id"].as_str().unwrap());
        book.tell(case.name, findings);
        if found != case.first {
            wrong.push(format!("{}: {found}, not {}\n{report:#}", case.name, case.first));
        }
        if let Some((_, seconds)) = zones::KEPT.iter().find(|(label, _)| *label == case.label) {
            let kept = first.and_then(|finding| finding["cached"].as_str()).and_then(world::last_time);
            let at: jiff::Timestamp = report["at"].as_str().unwrap().parse().unwrap();
            let told = kept.unwrap_or(at).as_second() - at.as_second();
            // Told to the minute; what a resolver keeps has begun to run out.
            assert!((seconds - 90..=*seconds).contains(&told), "{}: {told} s, not {seconds}\n{report:#}", case.name);
        }
        let line =
            |key: &str| first.map(|finding| finding[key].as_str().unwrap_or_default().to_owned()).unwrap_or_default();
        let seen = first.and_then(|finding| finding["evidence"].as_array()).into_iter().flatten();
        let seen: String = seen.map(|fact| format!("  seen {}\n", fact.as_str().unwrap())).collect();
        assert!(first.is_none() || line("remedy").len() > 10, "{}: no remedy", case.name);
        if first.is_some() {
            let (status, subject, summary) = (line("status"), line("subject"), line("summary"));
            let (remedy, cached) = (line("remedy"), line("cached"));
            told.push(format!(
                "# {}\n{status} {found} {subject} {summary}\n{seen}  do {remedy}\n  later {cached}\n",
                case.name
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n────\n"));
    if only.is_empty() {
        // One of them that does not answer says nothing, and one that agrees with the zone makes a difference of some only.
        let world = names.iter().find(|name| name.starts_with("world.")).unwrap();
        for (name, other, worst) in [("plain.example", "198.51.100.99", "ok"), (world, "198.51.100.53", "info")] {
            let report = ground.told(&["--json", "--strict", "--public-resolver", other], &[name.to_owned()]);
            let report: serde_json::Value = serde_json::from_str(&report).unwrap();
            assert_eq!(report["status"], worst, "{report:#}");
        }
        let report = ground.told(&["--json", "--public-resolver", "none"], std::slice::from_ref(world));
        assert!(!report.contains("198.51.100.54"), "{report}");
    }
    // What may be pasted anywhere names nobody, neither itself nor whoever runs its name servers.
    let shared = ground.told(&["--share"], &names);
    for host in names.iter().map(String::as_str).chain(["host.example", "nic.example", "198.51.100."]) {
        assert!(!shared.contains(host), "{host} is shared: {shared}");
    }
    if only.is_empty() {
        insta::assert_snapshot!(world::without_dates(&told.join("\n")));
        insta::assert_snapshot!("what_each_zone_tells", book.text());
    }
}

/// Where there is a Rocket.Chat it is looked at; where there is none, or only a page that everybody gets, nothing is said of one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rocketchat_is_found_where_people_would_look() {
    use Break::{ChatIdentity, Record, Server};
    let cases: [(&'static [Break], &str); 7] = [
        (&[], ""),
        (&[Break::Chat(Spot::Name, Chat::Good)], "example.org"),
        (&[Break::Chat(Spot::Below, Chat::Good), Record(CHAT)], "chat.example.org"),
        // That of the name itself is the one that is meant.
        (&[Break::Chat(Spot::Name, Chat::Good), Record("chat.example.org A 127.0.0.1")], "example.org"),
        (&[Break::Chat(Spot::Redirected, Chat::Good), Record("rocket.example.org A 127.0.0.3")], "rocket.example.org"),
        (&[Break::Chat(Spot::Below, Chat::NoUpgrade), Record(CHAT), ChatIdentity(Certificate::OtherName)], ""),
        (&[Break::Chat(Spot::Below, Chat::Good), Record("chat.example.org A 127.0.0.9"), Server(404, "", "")], ""),
    ];
    for (break_it, host) in cases {
        let report = world::examine(&Fault { name: "", first: "nothing", break_it }).await;
        let told: Vec<String> = report
            .findings
            .iter()
            .map(|(_, finding)| finding)
            .filter(|finding| finding.id.starts_with("chat."))
            .map(|finding| format!("{} {} {}", finding.status.name(), finding.subject, finding.summary))
            .collect();
        let expected = [
            format!("ok https://{host}/api/info answers"),
            format!("ok wss://{host}/websocket opens, and Rocket.Chat greets"),
        ];
        let expected: &[String] = if host.is_empty() { &[] } else { &expected };
        assert_eq!(told, expected, "{break_it:?}");
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

/// The rows that only the server's own machine can judge, each way they fail.
#[tokio::test]
async fn what_only_the_own_machine_sees_is_told() {
    use rcfed::host::net::exchange::{Stage, Trouble};
    let [look, other] = world::with_bad_signatures().await;
    let page = |status, value: Option<&str>| Page {
        status,
        value: value.map(str::to_owned),
        beginning: "<html>Bad Gateway".into(),
    };
    let chat = |info: Result<Page, Trouble>, websocket| {
        let address = "192.0.2.1".parse().unwrap();
        ChatSeen { address, sockjs: info.clone(), info, websocket, tls: None }
    };
    let good = || Ok(page(200, Some("7.10")));
    let cases = [
        chat(good(), Ok(Socket::Connected)),
        chat(Ok(page(502, None)), Ok(Socket::Connected)),
        chat(Err(Trouble::Refused), Err(Trouble::Refused)),
        chat(good(), Ok(Socket::NotUpgraded(400, "Bad Request".into()))),
        chat(good(), Ok(Socket::WrongProof)),
        chat(good(), Ok(Socket::Stranger("hello".into()))),
        chat(good(), Ok(Socket::Closed)),
        chat(good(), Ok(Socket::Silent)),
        chat(good(), Err(Trouble::Timeout(Stage::Head))),
    ];
    let mut told = Vec::new();
    told.extend(of_own(&look, Own::default(), &["server.signed"]));
    told.extend(of_own(&other, Own::default(), &["server.signed"]));
    for reached in [false, true] {
        let instead = vec![("192.0.2.1".parse().unwrap(), "172.18.0.2".parse().unwrap())];
        told.extend(of_own(&look, Own { instead, reached, ..Own::default() }, &["reach.hairpin"]));
    }
    for chat in cases {
        told.push(String::new());
        let own = Own { chat_host: "chat.example.org".into(), chat: vec![chat], ..Own::default() };
        told.extend(of_own(&look, own, &["chat.public", "chat.websocket"]));
    }
    insta::assert_snapshot!(told.join("\n"));
}

/// Whatever a look can hold that no server of the tables shows.
#[tokio::test]
async fn what_is_rarely_seen_is_told() {
    let good = world::good().await;
    let own = Own::default();
    let mut book = told::Book::with_praise();
    for (name, change) in [rare::GOOD].iter().chain(rare::CASES) {
        let mut look = good.clone();
        change(&mut look);
        let sight = Sight { look: &look, now: jiff::Timestamp::now().as_millisecond(), own: Some(&own) };
        let found = remote::judge(&sight, &[]).into_iter().flat_map(|outcome| match outcome.result {
            Ended::Found(findings) => findings,
            Ended::Skipped(_) => Vec::new(),
        });
        assert!(book.tell(name, &told::json(&found.collect::<Vec<_>>())) > 0, "{name}: nothing is told");
    }
    insta::assert_snapshot!(book.text());
}

/// What these rows tell the machine itself.
fn of_own(look: &rcfed::matrix::Look, own: Own, ids: &[&'static str]) -> Vec<String> {
    let sight = Sight { look, now: jiff::Timestamp::now().as_millisecond(), own: Some(&own) };
    let mut told = Vec::new();
    for outcome in remote::judge(&sight, ids).into_iter().filter(|outcome| ids.contains(&outcome.id)) {
        match outcome.result {
            Ended::Skipped(cause) => told.push(format!("{} waits for {cause}", outcome.id)),
            Ended::Found(findings) => told.extend(findings.into_iter().map(|f| {
                let line = format!("{} {} {} {} {:?}", f.status.name(), f.id, f.subject, f.summary, f.evidence);
                let remedy = f.remedy.iter().flat_map(|text| text.lines().take(1));
                let remedy = remedy.chain(f.commands.iter().map(String::as_str));
                remedy.fold(line, |line, remedy| format!("{line}\n  do {remedy}"))
            })),
        }
    }
    told
}

/// `RCFED_UPDATE_DOCS=1` writes the page instead of comparing it.
#[test]
fn the_page_of_remote_faults_is_that_of_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/remote-faults.md");
    let page = faults::page() + &zones::section();
    if std::env::var_os("RCFED_UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).unwrap_or_default() == page,
        "docs/remote-faults.md is stale: run `make docs`"
    );
    let zones = zones::CASES.iter().map(|case| (case.name, case.first));
    let all = FAULTS.iter().map(|fault| (fault.name, fault.first)).chain(zones);
    for (name, first) in all.filter(|(_, first)| *first != "nothing") {
        assert!(rcfed::doctor::find(first).is_some(), "{name}: there is no check {first}");
    }
}

/// The first of the worst findings; nothing is worse than worth knowing.
fn worst(report: &Report) -> Option<&rcfed::finding::Finding> {
    [Status::Fail, Status::Warn, Status::Unknown].into_iter().find_map(|status| report.of(status).next())
}
