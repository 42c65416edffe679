//! `kill -9` at every point of an invite.

use std::time::Duration;

use super::servers::*;

/// Dies at `fault` over one invite and starts again; gives the answer, what Dendrite was asked, and what the bridge got.
fn life(fault: &str) -> (Option<u16>, usize, Vec<(String, String)>) {
    let place = tempfile::tempdir().unwrap();
    let ((homeserver, accepted), (bridge, got)) = (dendrite(), bridge());
    let mut relay = Relay::start(place.path(), homeserver, bridge, fault, "");
    let answer = relay.invite("$one");
    // After the answer it dies by itself, over the delivery.
    let status = relay.child.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{fault}: {status}");
    let before = accepted.lock().unwrap().len();
    let relay = Relay::start(place.path(), homeserver, bridge, "", "");
    relay.drained(Duration::from_secs(20));
    std::thread::sleep(Duration::from_millis(100));
    // What is over is over: a further start delivers nothing.
    relay.kill();
    let relay = Relay::start(place.path(), homeserver, bridge, "", "");
    relay.drained(Duration::from_secs(20));
    std::thread::sleep(Duration::from_millis(100));
    let got = got.lock().unwrap().clone();
    (answer, before, got)
}

#[test]
fn before_dendrite_had_it_nothing_is_delivered() {
    for fault in ["invite-read", "invite-intended"] {
        let (answer, accepted, got) = life(fault);
        assert_eq!((answer, accepted, got.len()), (None, 0, 0), "{fault}: {got:?}");
    }
}

#[test]
fn after_dendrite_had_it_it_is_delivered_once() {
    for fault in ["invite-answered", "invite-accepted"] {
        let (answer, accepted, got) = life(fault);
        assert_eq!((answer, accepted, got.len()), (None, 1, 1), "{fault}: {got:?}");
        assert!(got[0].1.contains("\"event_id\":\"$one\""), "{got:?}");
    }
}

/// The one window in which an invite comes twice: between the bridge's answer and the end of the sync.
#[test]
fn between_the_bridges_answer_and_the_disk_it_comes_twice_under_one_id() {
    let (answer, accepted, got) = life("invite-delivered");
    assert_eq!((accepted, got.len()), (1, 2), "{got:?}");
    assert!(matches!(answer, Some(200) | None), "{answer:?}");
    assert_eq!(got[0], got[1], "the same transaction, which the bridge can recognise");
}

#[test]
fn after_the_disk_has_it_it_comes_once() {
    let (_, accepted, got) = life("invite-done");
    assert_eq!((accepted, got.len()), (1, 1), "{got:?}");
}

#[test]
fn sigterm_ends_it_well_and_the_queue_stays() {
    let place = tempfile::tempdir().unwrap();
    let ((homeserver, _), (bridge, got)) = (dendrite(), bridge());
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut relay = Relay::start(place.path(), homeserver, nobody, "", "");
    for number in 0..5 {
        assert_eq!(relay.invite(&format!("$e{number}")), Some(200));
    }
    let id = rustix::process::Pid::from_child(&relay.child);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    assert!(relay.child.wait().unwrap().success());
    assert!(got.lock().unwrap().is_empty());
    let relay = Relay::start(place.path(), homeserver, bridge, "", "");
    relay.drained(Duration::from_secs(20));
    assert_eq!(got.lock().unwrap().len(), 5);
}
