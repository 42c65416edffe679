//! The journal: what counts, what is passed over, what is refused, and every shape there ever was.

use std::fs::OpenOptions;
use std::io::Write;

use super::super::{Receipt, Thing};
use super::*;

fn thing(undo: Undo) -> Thing {
    undo.into()
}

#[test]
fn the_first_undo_wins_and_a_torn_line_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("receipt.jsonl");
    let receipt = Receipt::open(&path).unwrap();
    let restore = Undo::RestoreFile { path: "/x".into(), backup: "/x.before".into() };
    let remove = Undo::RemoveFile { path: "/x".into() };
    receipt.started("file:/x", &thing(restore.clone())).unwrap();
    receipt.done("file:/x").unwrap();
    assert_eq!(receipt.started("file:/x", &thing(remove)).unwrap(), (restore.clone(), false));
    drop(receipt);
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"{\"version\":2,\"at\":\"20").unwrap();
    drop(file);
    let receipt = Receipt::open(&path).unwrap();
    receipt.started("network", &thing(Undo::RemoveNetwork { name: "rcfed".into() })).unwrap();
    let entries = read(&path).unwrap();
    assert_eq!(entries.len(), 4);
    assert_eq!(ours(&entries)[0].undo, restore);
    assert_eq!(ours(&entries).len(), 2);
    assert_eq!(ours(&entries), receipt.ours());
}

#[test]
fn what_was_undone_is_nobodys_until_it_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("receipt.jsonl");
    let receipt = Receipt::open(&path).unwrap();
    let undo = Undo::RemoveFile { path: "/etc/cron.d/rcfed".into() };
    for sha256 in ["a", "b"] {
        receipt.started("unit", &Thing { undo: undo.clone(), sha256: Some(sha256.into()) }).unwrap();
    }
    assert_eq!(receipt.ours()[0].sha256, ["a", "b"]);
    receipt.undone(&undo).unwrap();
    assert!(!receipt.owns(&undo) && ours(&read(&path).unwrap()).is_empty());
    receipt.started("unit", &Thing { undo: undo.clone(), sha256: Some("c".into()) }).unwrap();
    assert!(receipt.owns(&undo));
    assert_eq!(ours(&read(&path).unwrap())[0].sha256, ["c"]);
}

#[test]
fn a_newer_receipt_is_refused_whatever_its_shape() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("receipt.jsonl");
    for line in ["{\"version\":4,\"at\":\"x\",\"step\":\"s\",\"event\":\"done\"}", "{\"version\":4,\"new\":[]}"] {
        std::fs::write(&path, format!("{line}\n")).unwrap();
        assert!(matches!(read(&path), Err(ReceiptError::Version { version: 4, .. })), "{line}");
        assert!(Receipt::open(&path).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{line}\n"));
    }
    std::fs::write(&path, "{\"version\":2,\"at\":\"x\",\"step\":\"s\",\"event\":\"sung\"}\n").unwrap();
    assert!(matches!(read(&path), Err(ReceiptError::Line { line: 1, .. })));
}

/// Receipts live as long as the servers they describe. Whoever changes a shape adds a file and changes none.
#[test]
fn every_receipt_ever_written_is_understood() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/receipts");
    let mut files: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 2, "{files:?}");
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let entries = read(&path).unwrap();
        assert_eq!(entries.len(), text.lines().count(), "{}: a line was passed over", path.display());
        let list: Vec<String> =
            ours(&entries).iter().map(|o| serde_json::to_string(&o.undo).unwrap().replace('"', "")).collect();
        insta::assert_snapshot!(path.file_stem().unwrap().to_string_lossy().into_owned(), list.join("\n"));
    }
}
