//! Reading a journal, of any version so far, and what of it is still rcfed's.

use std::io;
use std::path::Path;

use serde_json::Value;

use super::undo::{base, understood};
use super::{Entry, Event, ReceiptError, Undo, VERSION};

/// A thing that is rcfed's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ours {
    /// The step that first made it.
    pub step: String,
    /// How it is taken back: the first way recorded.
    pub undo: Undo,
    /// SHA-256 of every content it was ever about to get; empty where that was not recorded.
    pub sha256: Vec<String>,
}

/// Reads a journal; none is an empty one. A torn line is passed over: what it announced never began.
pub fn read(path: &Path) -> Result<Vec<Entry>, ReceiptError> {
    let text = match std::fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(ReceiptError::Read { path: path.into(), source }),
    };
    let mut entries = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let Ok(value) = serde_json::from_str::<Value>(line) else { continue };
        // Before anything else: a newer line may have any shape.
        match value["version"].as_u64() {
            Some(version) if version > u64::from(VERSION) => {
                return Err(ReceiptError::Version { path: path.into(), version });
            }
            _ => {}
        }
        let entry = serde_json::from_value(value);
        entries.push(entry.map_err(|_| ReceiptError::Line { path: path.into(), line: number + 1 })?);
    }
    Ok(entries)
}

/// What is ours: each thing that was ever started and not undone since, with its first undo, in order of starting.
pub fn ours(entries: &[Entry]) -> Vec<Ours> {
    let mut ours = Vec::new();
    for entry in entries {
        if entry.version == 1 && ours.is_empty() {
            // Version 1 began with the steps; what `init` had written before them was not said.
            base().into_iter().for_each(|undo| _ = add(&mut ours, "init", undo, None));
        }
        match &entry.event {
            Event::Done => {}
            Event::Started { undo, sha256 } => {
                for undo in understood(entry.version, &entry.step, undo) {
                    add(&mut ours, &entry.step, undo, sha256.clone());
                }
            }
            Event::Undone { undo } => take(&mut ours, undo),
        }
    }
    ours
}

/// Adds a thing unless it is there; returns the undo that counts.
pub(super) fn add(ours: &mut Vec<Ours>, step: &str, undo: Undo, sha256: Option<String>) -> Undo {
    let Some(thing) = undo.thing() else { return undo };
    if let Some(known) = ours.iter_mut().find(|known| known.undo.thing().as_ref() == Some(&thing)) {
        known.sha256.extend(sha256);
        return known.undo.clone();
    }
    ours.push(Ours { step: step.into(), undo: undo.clone(), sha256: sha256.into_iter().collect() });
    undo
}

/// Takes a thing away.
pub(super) fn take(ours: &mut Vec<Ours>, undo: &Undo) {
    let thing = undo.thing();
    ours.retain(|known| known.undo.thing() != thing);
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
