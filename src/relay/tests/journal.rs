//! The journal on disks that fail, and after crashes.

use std::io::Write;
use std::path::Path;

use super::*;
use crate::relay::journal::Journal;
use crate::relay::queue::{Bounds, Intended, Queue};
use crate::relay::record::{Intent, Record};

fn intent(id: &str, size: usize) -> Vec<u8> {
    let event = serde_json::value::to_raw_value(&json!({"event_id": id, "x": "x".repeat(size)})).unwrap();
    Record::Intent(Intent { id: id.into(), at: 5, accepted: false, event: &event }).line()
}

/// Opens a journal that was closed: a process that another test begins holds its lock for a moment.
fn reopen(place: &Path) -> (Journal, usize) {
    let begun = std::time::Instant::now();
    loop {
        match Journal::open(place) {
            Ok(opened) => return opened,
            Err(error) => assert!(begun.elapsed() < Duration::from_secs(10), "{error}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn waiting(journal: &Journal) -> Vec<String> {
    let mut all: Vec<_> = journal.entries().iter().collect();
    all.sort_by_key(|(_, entry)| entry.number);
    all.iter().map(|(id, entry)| format!("{id}{}", if entry.accepted { "+" } else { "" })).collect()
}

#[test]
fn a_torn_end_is_cut_off_and_a_broken_line_passed_over() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("journal");
    let (mut journal, _) = Journal::open(place.path()).unwrap();
    journal.append(&[intent("$a", 10), intent("$b", 10), Record::Accepted("$a".into()).line()]).unwrap();
    drop(journal);
    let whole = std::fs::read(&file).unwrap();
    // Cut anywhere, the journal opens with what was whole, and what is written next can be read.
    for end in 0..whole.len() {
        std::fs::write(&file, &whole[..end]).unwrap();
        let (mut journal, broken) = reopen(place.path());
        let lines = whole[..end].iter().filter(|byte| **byte == b'\n').count();
        assert_eq!((journal.entries().len(), broken), (lines.min(2), 0), "{end}");
        journal.append(&[Record::Void("$".into()).line()]).unwrap();
        drop(journal);
        let (mut journal, broken) = reopen(place.path());
        assert_eq!(broken, 0, "{end}: a short line over a long one");
        journal.append(&[intent("$new", 10)]).unwrap();
        drop(journal);
        let (journal, broken) = reopen(place.path());
        assert!(broken == 0 && journal.event("$new").unwrap().unwrap().contains("$new"), "{end}");
    }
    let mut text = whole.clone();
    text.splice(0..3, *b"\0\0\0");
    std::fs::write(&file, &text).unwrap();
    let (journal, broken) = reopen(place.path());
    assert_eq!((waiting(&journal), broken), (vec!["$b".to_owned()], 1));
    let error = Journal::open(place.path()).err().unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "one at a time");
}

#[test]
fn it_is_made_anew_when_most_of_it_is_past() {
    let place = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open(place.path()).unwrap();
    journal.append(&[intent("$kept", 10), Record::Accepted("$kept".into()).line()]).unwrap();
    for number in 0..100 {
        let id = format!("$e{number}");
        journal.append(&[intent(&id, 50_000)]).unwrap();
        journal.append(&[Record::Done(id.into()).line()]).unwrap();
    }
    journal.append(&[intent("$last", 10)]).unwrap();
    assert!(std::fs::metadata(place.path().join("journal")).unwrap().len() < 1_200_000);
    drop(journal);
    let (journal, _) = reopen(place.path());
    assert_eq!(waiting(&journal), ["$kept+", "$last"]);
    assert!(journal.was_delivered("$e0") && journal.was_delivered("$e99") && !journal.was_delivered("$kept"));
    assert!(journal.event("$kept").unwrap().unwrap().contains("xxxxxxxxxx"));
}

/// A file system of its own, `None` where it cannot be had.
struct Small(tempfile::TempDir);

impl Small {
    fn mount(bytes: usize) -> Option<Self> {
        let place = tempfile::tempdir().unwrap();
        let mut mount = std::process::Command::new("mount");
        let options = format!("size={bytes}");
        let done = mount.args(["-t", "tmpfs", "-o", &options, "none"]).arg(place.path()).output();
        if done.is_ok_and(|output| output.status.success()) {
            return Some(Self(place));
        }
        assert!(std::env::var("CI").is_err(), "a small file system cannot be mounted");
        eprintln!("SKIPPED: a small file system cannot be mounted");
        None
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.0.path()).status();
    }
}

async fn open(place: &Path) -> Queue {
    Queue::open(place, Bounds { invites: 100_000, bytes: 1 << 30 }, Duration::from_secs(5)).unwrap().0
}

#[tokio::test]
async fn a_full_disk_refuses_what_is_new_and_keeps_what_has_begun() {
    let Some(small) = Small::mount(2 << 20) else { return };
    let queue = open(small.0.path()).await;
    let event = |id: &str| json!({"event_id": id, "x": "x".repeat(3000)}).to_string();
    let mut begun = Vec::new();
    let error = loop {
        let id = format!("$e{}", begun.len());
        match queue.intend(&id, event(&id)).await {
            Ok(intended) => assert_eq!(intended, Intended::Written),
            Err(error) => break error,
        }
        begun.push(id);
    };
    assert!(begun.len() > 300, "{}", begun.len());
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "{error}");
    assert!(queue.index().trouble.is_some());
    // Whatever else fills the rest: the end of what has begun has its place.
    let mut filler = std::fs::File::create(small.0.path().join("filler")).unwrap();
    while filler.write_all(&[0; 512]).is_ok() {}
    for id in &begun {
        queue.accept(id, event(id)).await.unwrap();
    }
    for id in &begun[..100] {
        queue.done(id).await.unwrap();
    }
    assert!(queue.intend("$more", event("$more")).await.is_err());
    drop(queue);
    std::fs::remove_file(small.0.path().join("filler")).unwrap();
    // The thread ends after the last who can ask, and takes the lock with it.
    let (journal, broken) = reopen(small.0.path());
    let expected: Vec<String> = begun[100..].iter().map(|id| format!("{id}+")).collect();
    assert_eq!((waiting(&journal), broken), (expected, 0));
}

#[tokio::test]
async fn many_at_once_share_a_sync_and_none_is_lost() {
    let place = tempfile::tempdir().unwrap();
    let queue = open(place.path()).await;
    let all = (0..500).map(|number| {
        let queue = queue.clone();
        async move {
            let id = format!("$e{number}");
            queue.intend(&id, json!({ "event_id": id }).to_string()).await.unwrap();
            match number % 4 {
                0 => queue.void(&id).await.unwrap(),
                1 => queue.release(&id).await,
                _ => queue.accept(&id, json!({ "event_id": id }).to_string()).await.unwrap(),
            }
        }
    });
    futures_util::future::join_all(all).await;
    let (count, unresolved, oldest) = queue.index().numbers();
    assert_eq!((count, unresolved), (375, 125));
    assert!(oldest.is_some());
    drop(queue);
    let journal = reopen(place.path()).0;
    assert_eq!(waiting(&journal).iter().filter(|line| line.ends_with('+')).count(), 250);
    assert_eq!(journal.entries().len(), 375);
}
