//! The journal of what rcfed did to this machine: append-only JSON lines, on disk before anything is done.
//!
//! It says what is *ours* and how it would be undone; what *is*, every step finds out by looking. The first undo
//! recorded for a thing wins, since a later one would restore rcfed's own work. A thing that was undone is nobody's
//! until it is recorded again.

mod error;
mod read;
mod undo;

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::clock;
use crate::fault;

pub use error::ReceiptError;
pub use read::{Ours, ours, read};
pub use undo::Undo;
pub(crate) use undo::{base, certificate, run, trial};

/// Shape of the lines written today; those of every earlier one are read for ever. 1 had no `undone`, no `sha256`, and
/// fewer undos; 2 knew nothing of a Rocket.Chat that somebody else runs.
pub const VERSION: u32 = 3;

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Shape of this line, at most [`VERSION`].
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
    /// It is about to act; one line for each thing it makes.
    Started {
        /// How the thing would be taken back.
        #[serde(flatten)]
        undo: Undo,
        /// SHA-256 of the file it will be, where others may write too.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<String>,
    },
    /// A thing was taken back.
    Undone {
        /// How.
        #[serde(flatten)]
        undo: Undo,
    },
}

/// A thing about to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thing {
    /// How it would be taken back.
    pub undo: Undo,
    /// SHA-256 of the file it will be, where others may write too.
    pub sha256: Option<String>,
}

impl From<Undo> for Thing {
    fn from(undo: Undo) -> Self {
        Self { undo, sha256: None }
    }
}

/// The journal, open for appending.
#[derive(Debug)]
pub struct Receipt {
    path: PathBuf,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    ours: Vec<Ours>,
    done: BTreeSet<String>,
}

impl Receipt {
    /// Opens the journal, making it 0600 if there is none; one of a newer rcfed is left alone.
    ///
    /// A last line that a power cut left unfinished is closed, so that the next one starts on its own.
    pub fn open(path: &Path) -> Result<Self, ReceiptError> {
        let failed = |source| ReceiptError::Write { path: path.into(), source };
        let entries = read(path)?;
        let torn = std::fs::read(path).is_ok_and(|bytes| !bytes.is_empty() && !bytes.ends_with(b"\n"));
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path).map_err(failed)?;
        if torn {
            file.write_all(b"\n").map_err(failed)?;
        }
        if let Some(directory) = path.parent() {
            // Or a power cut may take the whole file, and leave what it speaks of.
            File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)?;
        }
        let done = entries.iter().filter(|e| e.event == Event::Done).map(|e| e.step.clone()).collect();
        Ok(Self { path: path.into(), open: Mutex::new(Open { file, ours: ours(&entries), done }) })
    }

    /// Says, before anything happens, what is about to be made and how it would be undone. Returns the undo that counts,
    /// which is the first one recorded, and whether that is this one.
    pub fn started(&self, step: &str, thing: &Thing) -> Result<(Undo, bool), ReceiptError> {
        let Thing { undo, sha256 } = thing.clone();
        self.append(step, Event::Started { undo: undo.clone(), sha256: sha256.clone() })?;
        let mut open = self.locked();
        let before = open.ours.len();
        let counts = read::add(&mut open.ours, step, undo, sha256);
        Ok((counts, open.ours.len() > before))
    }

    /// Says that a step is done.
    pub fn done(&self, step: &str) -> Result<(), ReceiptError> {
        self.append(step, Event::Done)?;
        self.locked().done.insert(step.into());
        Ok(())
    }

    /// Says that a thing was taken back.
    pub fn undone(&self, undo: &Undo) -> Result<(), ReceiptError> {
        self.append("uninstall", Event::Undone { undo: undo.clone() })?;
        read::take(&mut self.locked().ours, undo);
        Ok(())
    }

    /// Whether what this undo takes back is rcfed's.
    pub fn owns(&self, undo: &Undo) -> bool {
        let thing = undo.thing();
        self.locked().ours.iter().any(|ours| ours.undo.thing() == thing)
    }

    /// Whether a step ever came to its end.
    pub fn was_done(&self, step: &str) -> bool {
        self.locked().done.contains(step)
    }

    /// What is rcfed's, in order of starting.
    pub fn ours(&self) -> Vec<Ours> {
        self.locked().ours.clone()
    }

    fn locked(&self) -> MutexGuard<'_, Open> {
        // A poisoned lock only means that another step panicked; the file itself is whole.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, step: &str, event: Event) -> Result<(), ReceiptError> {
        let at = clock::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let entry = Entry { version: VERSION, at, step: step.into(), event };
        let failed = |source| ReceiptError::Write { path: self.path.clone(), source };
        let mut line = serde_json::to_vec(&entry).map_err(|e| failed(e.into()))?;
        line.push(b'\n');
        let file = &mut self.locked().file;
        fault::point(format_args!("write:{}", self.path.display()));
        let before = file.metadata().map_err(failed)?.len();
        if fault::at(format_args!("line:{step}")) {
            let _ = file.write_all(&line[..line.len() / 2]);
            fault::die();
        }
        let written = file.write_all(&line).and_then(|()| file.sync_data());
        if written.is_err() {
            // Half a line, as a full disk leaves it, would spoil the next one too.
            let _ = file.set_len(before);
        }
        written.map_err(failed)
    }
}
