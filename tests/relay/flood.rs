//! More than usual: many invites, a bridge that is away for long, a large transaction.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::servers::*;

#[test]
fn ten_thousand_invites_while_the_bridge_is_away_arrive_once_each() {
    const INVITES: usize = 10_000;
    let place = tempfile::tempdir().unwrap();
    let homeserver = serve(|_, _| (200, r#"{"event":{}}"#.into()));
    let (up, got) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(HashMap::<String, usize>::new())));
    let (is_up, log) = (up.clone(), got.clone());
    let bridge = serve(move |_, body| {
        if !is_up.load(Ordering::SeqCst) {
            return (503, "{}".into());
        }
        let body: Value = serde_json::from_str(body).unwrap();
        for event in body["events"].as_array().unwrap() {
            *log.lock().unwrap().entry(event["event_id"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        (200, "{}".into())
    });
    let relay = Relay::start(place.path(), homeserver, bridge, "", "");
    let (next, begun) = (AtomicUsize::new(0), Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= INVITES {
                        break;
                    }
                    assert_eq!(relay.invite(&format!("$event-with-an-id-of-the-usual-length-{number:06}")), Some(200));
                }
            });
        }
    });
    let taken = begun.elapsed();
    assert_eq!(relay.health()["invites"], INVITES);
    let full = relay.memory();
    // Killed on top of it: everything is on the disk.
    relay.kill();
    up.store(true, Ordering::SeqCst);
    let relay = Relay::start(place.path(), homeserver, bridge, "", "");
    let begun = Instant::now();
    relay.drained(Duration::from_secs(300));
    eprintln!(
        "{INVITES} invites: taken in {taken:?} with {} KB of its own, delivered in {:?} with {} KB of its own",
        full.0,
        begun.elapsed(),
        relay.memory().0
    );
    let got = got.lock().unwrap();
    assert_eq!(got.len(), INVITES);
    assert!(got.values().all(|times| *times == 1));
}

/// An hour of a bridge that is away, at the pace of the test: the waits grow to the longest, and end when it is back.
#[test]
fn a_bridge_that_is_away_is_asked_ever_more_rarely_and_found_again() {
    let place = tempfile::tempdir().unwrap();
    let homeserver = serve(|_, _| (200, r#"{"event":{}}"#.into()));
    let times = Arc::new(Mutex::new(Vec::<Instant>::new()));
    let (log, up) = (times.clone(), Arc::new(AtomicBool::new(false)));
    let is_up = up.clone();
    let bridge = serve(move |_, _| {
        log.lock().unwrap().push(Instant::now());
        (if is_up.load(Ordering::SeqCst) { 200 } else { 502 }, "{}".into())
    });
    let relay = Relay::start(place.path(), homeserver, bridge, "", "");
    assert_eq!(relay.invite("$one"), Some(200));
    // 20 ms, doubled up to 500 ms.
    until("it was asked often", || times.lock().unwrap().len() == 12);
    let waits: Vec<Duration> = times.lock().unwrap().windows(2).map(|two| two[1] - two[0]).collect();
    assert!(waits[0] < Duration::from_millis(300) && waits[8..].iter().all(|wait| *wait > Duration::from_millis(350)));
    assert_eq!(relay.health()["last_error"]["error"], "the bridge answered with status 502");
    up.store(true, Ordering::SeqCst);
    relay.drained(Duration::from_secs(10));
    assert_eq!(times.lock().unwrap().len(), 13);
}

#[test]
fn a_transaction_of_fifty_megabytes_passes_without_two_of_its_events() {
    let place = tempfile::tempdir().unwrap();
    let homeserver = serve(|_, _| (200, r#"{"event":{}}"#.into()));
    let got = Arc::new(Mutex::new(Vec::<usize>::new()));
    let log = got.clone();
    let bridge = serve(move |_, body| {
        let body: Value = serde_json::from_str(body).unwrap();
        log.lock().unwrap().push(body["events"].as_array().unwrap().len());
        (200, "{}".into())
    });
    let relay = Relay::start(place.path(), homeserver, bridge, "", "");
    for id in ["$invite-1", "$invite-2"] {
        assert_eq!(relay.invite(id), Some(200));
    }
    relay.drained(Duration::from_secs(10));
    let content = "x".repeat(60_000);
    let mut events = vec![r#"{"event_id":"$invite-1"}"#.to_owned()];
    events.extend((0..860).map(|n| format!(r#"{{"event_id":"$large-{n}","content":{{"body":"{content}"}}}}"#)));
    events.push(r#"{"event_id":"$invite-2"}"#.to_owned());
    let body = format!(r#"{{"events":[{}]}}"#, events.join(","));
    assert!(body.len() > 49 << 20 && body.len() <= 50 << 20, "{}", body.len());
    let before = relay.memory();
    let begun = Instant::now();
    let answer = relay.ask("PUT", "/_matrix/app/v1/transactions/1", "Bearer hs", body.as_bytes()).unwrap();
    assert_eq!(answer.0, 200, "{}", answer.1);
    let after = relay.memory();
    eprintln!(
        "{} bytes in {:?}: {} KB of its own before, {} KB after; {} KB at most with the program",
        body.len(),
        begun.elapsed(),
        before.0,
        after.0,
        after.1
    );
    assert_eq!(*got.lock().unwrap(), [1, 1, 860]);
}
