//! The journal of what rcfed did to this machine: append-only JSON lines, on disk before anything is done.
//!
//! It says what is *ours* and how it would be undone; what *is*, every step finds out by looking. The first undo
//! recorded for a thing wins, since a later one would restore rcfed's own work.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::error::Explain;

/// How a step is taken back: by name, known before the step acts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "undo", rename_all = "snake_case")]
pub enum Undo {
    /// Stays on the machine, for this reason.
    Keep {
        /// Why it stays.
        why: String,
    },
    /// Nothing was left behind.
    Nothing,
    /// Removes a container.
    RemoveContainer {
        /// Its name.
        name: String,
    },
    /// Removes a directory if it is empty.
    RemoveDirectory {
        /// Its path as in production.
        path: PathBuf,
    },
    /// Removes a file.
    RemoveFile {
        /// Its path as in production.
        path: PathBuf,
    },
    /// Removes an image.
    RemoveImage {
        /// Its reference.
        reference: String,
    },
    /// Removes a network.
    RemoveNetwork {
        /// Its name.
        name: String,
    },
    /// Removes a volume, only when purging.
    RemoveVolume {
        /// Its name.
        name: String,
    },
    /// Puts a file back that was there before.
    RestoreFile {
        /// Its path as in production.
        path: PathBuf,
        /// Where the old content was kept.
        backup: PathBuf,
    },
}

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Shape of this line; 1 is the only one so far.
    pub version: u32,
    /// When, RFC 3339 in UTC.
    pub at: String,
    /// Which step.
    pub step: String,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened to a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// It was applied, and looked as wanted afterwards.
    Done,
    /// It is about to act.
    Started {
        /// How it would be taken back.
        #[serde(flatten)]
        undo: Undo,
    },
}

/// The journal, open for appending.
#[derive(Debug)]
pub struct Receipt {
    path: PathBuf,
    file: Mutex<File>,
}

impl Receipt {
    /// Opens the journal, making it 0600 if there is none.
    ///
    /// A last line that a power cut left unfinished is closed, so that the next one starts on its own.
    pub fn open(path: &Path) -> Result<Self, ReceiptError> {
        let failed = |source| ReceiptError::Write { path: path.into(), source };
        let torn = std::fs::read(path).is_ok_and(|bytes| !bytes.is_empty() && !bytes.ends_with(b"\n"));
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path).map_err(failed)?;
        if torn {
            file.write_all(b"\n").map_err(failed)?;
        }
        Ok(Self { path: path.into(), file: Mutex::new(file) })
    }

    /// Says, before anything happens, what is about to be done and how it would be undone.
    pub fn started(&self, step: &str, undo: Undo) -> Result<(), ReceiptError> {
        self.append(step, Event::Started { undo })
    }

    /// Says that a step is done.
    pub fn done(&self, step: &str) -> Result<(), ReceiptError> {
        self.append(step, Event::Done)
    }

    fn append(&self, step: &str, event: Event) -> Result<(), ReceiptError> {
        let at = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let entry = Entry { version: 1, at, step: step.into(), event };
        let failed = |source| ReceiptError::Write { path: self.path.clone(), source };
        let mut line = serde_json::to_vec(&entry).map_err(|e| failed(e.into()))?;
        line.push(b'\n');
        // A poisoned lock only means that another step panicked; the file itself is whole.
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let before = file.metadata().map_err(failed)?.len();
        let written = file.write_all(&line).and_then(|()| file.sync_data());
        if written.is_err() {
            // Half a line, as a full disk leaves it, would spoil the next one too.
            let _ = file.set_len(before);
        }
        written.map_err(failed)
    }
}

/// Reads a journal; none is an empty one. A torn line is passed over: what it announced never began.
pub fn read(path: &Path) -> Result<Vec<Entry>, ReceiptError> {
    let text = match std::fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(ReceiptError::Read { path: path.into(), source }),
    };
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let mut entries = Vec::new();
    for line in &lines {
        match serde_json::from_str::<Entry>(line) {
            Ok(entry) if entry.version == 1 => entries.push(entry),
            Ok(entry) => return Err(ReceiptError::Version { path: path.into(), version: entry.version }),
            Err(_) => {}
        }
    }
    Ok(entries)
}

/// What is ours: each step that ever started, with its first undo, in order of starting.
pub fn ours(entries: &[Entry]) -> Vec<(String, Undo)> {
    let mut first: BTreeMap<&str, ()> = BTreeMap::new();
    let mut ours = Vec::new();
    for entry in entries {
        if let Event::Started { undo } = &entry.event
            && first.insert(&entry.step, ()).is_none()
        {
            ours.push((entry.step.clone(), undo.clone()));
        }
    }
    ours
}

/// The journal cannot be kept or understood.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    /// It cannot be read.
    #[error("could not read the receipt `{}`", path.display())]
    Read {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A newer rcfed wrote it.
    #[error("the receipt `{}` was written by a newer rcfed (version {version})", path.display())]
    Version {
        /// Its path.
        path: PathBuf,
        /// The shape it names.
        version: u32,
    },
    /// It cannot be written, so nothing is done.
    #[error("could not write the receipt `{}`", path.display())]
    Write {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Explain for ReceiptError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Version { .. } => "install the newest rcfed and run the same command again".into(),
            Self::Read { path, .. } | Self::Write { path, .. } => {
                format!("nothing was done without a record; check `ls -l {0}` and `df -h {0}`", path.display())
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_undo_wins_and_a_torn_line_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("receipt.jsonl");
        let receipt = Receipt::open(&path).unwrap();
        let restore = Undo::RestoreFile { path: "/x".into(), backup: "/x.before".into() };
        receipt.started("file:/x", restore.clone()).unwrap();
        receipt.done("file:/x").unwrap();
        receipt.started("file:/x", Undo::RemoveFile { path: "/x".into() }).unwrap();
        drop(receipt);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"version\":1,\"at\":\"20").unwrap();
        drop(file);
        Receipt::open(&path).unwrap().started("network", Undo::RemoveNetwork { name: "rcfed".into() }).unwrap();
        let entries = read(&path).unwrap();
        assert_eq!(entries.len(), 4);
        assert_eq!(ours(&entries)[0], ("file:/x".into(), restore));
        assert_eq!(ours(&entries).len(), 2);
    }

    #[test]
    fn a_newer_receipt_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("receipt.jsonl");
        std::fs::write(&path, "{\"version\":2,\"at\":\"x\",\"step\":\"s\",\"event\":\"done\"}\n").unwrap();
        assert!(matches!(read(&path), Err(ReceiptError::Version { version: 2, .. })));
    }
}
