//! One command at a time changes the machine. The kernel holds the lock, so a killed command leaves none.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::fs::FileError;
use crate::clock;
use crate::error::Explain;

/// Held until dropped.
#[derive(Debug)]
pub struct Lock(File);

impl Lock {
    /// Takes the lock, or says who has it. Makes the directory of `path` if there is none.
    pub fn take(path: &Path, command: &str) -> Result<Self, LockError> {
        let failed = |source| LockError::File(FileError::new("lock", path, source));
        // The holder may be an uninstall that removes the file at its end: a lock on a file without a name is none.
        for _ in 0..10 {
            let Some(mut file) = open(path).map_err(failed)? else { continue };
            if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                return Err(LockError::Held { holder: holder.trim().into() });
            }
            let there = std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
            let held = file.metadata().map_err(failed)?;
            if there != Some((held.dev(), held.ino())) {
                continue;
            }
            let since = clock::now().strftime("%Y-%m-%d %H:%M:%S UTC");
            let holder = format!("{}\n", holder(command, std::process::id(), since));
            file.set_len(0)
                .and_then(|()| file.rewind())
                .and_then(|()| file.write_all(holder.as_bytes()))
                .map_err(failed)?;
            return Ok(Self(file));
        }
        Err(failed(std::io::Error::other(RESTLESS)))
    }

    /// Removes the lock's file, and only then lets it go: whoever opened it before finds that it has no name any more, and
    /// whoever comes later makes a new one.
    pub fn remove(self, path: &Path) -> Result<(), LockError> {
        super::fs::remove(path).map_err(LockError::File)
    }
}

fn holder(command: &str, process: u32, since: impl std::fmt::Display) -> String {
    format!("`rcfed {command}` (process {process}) since {since}")
}

const RESTLESS: &str = "it is removed again and again";

/// `None` if the directory was removed in between.
fn open(path: &Path) -> std::io::Result<Option<File>> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    match OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.0.set_len(0);
    }
}

/// The lock was not to be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Its file cannot be opened.
    #[error(transparent)]
    File(FileError),
    /// Another command has it.
    #[error("another rcfed is at work on this machine: {holder}")]
    Held {
        /// Command, process and time, as the holder wrote them.
        holder: String,
    },
}

impl Explain for LockError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::Held { .. } => Some("wait until it has ended, then run the same command again".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        let restless = std::io::Error::other(RESTLESS);
        let errors = [
            LockError::File(FileError::new("lock", Path::new(crate::layout::LOCK), restless)),
            LockError::Held { holder: holder("apply", 812, "2026-11-26 12:00:00 UTC") },
        ];
        insta::assert_snapshot!(crate::error::told(errors.map(Into::into)));
    }

    #[test]
    fn the_second_is_told_who_is_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = Lock::take(&path, "apply").unwrap();
        let error = Lock::take(&path, "init").unwrap_err().to_string();
        assert!(error.contains("`rcfed apply` (process "), "{error}");
        drop(first);
        Lock::take(&path, "init").unwrap();
    }

    #[test]
    fn a_lock_whose_file_was_removed_is_not_mistaken_for_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state/lock");
        let first = Lock::take(&path, "uninstall").unwrap();
        // Somebody opened the file while it was held, and gets its lock when it is let go.
        let late = File::open(&path).unwrap();
        first.remove(&path).unwrap();
        flock(&late, FlockOperation::NonBlockingLockExclusive).unwrap();
        let second = Lock::take(&path, "init").unwrap();
        assert!(matches!(Lock::take(&path, "apply"), Err(LockError::Held { .. })));
        drop(second);
        std::fs::remove_dir_all(dir.path().join("state")).unwrap();
        Lock::take(&path, "init").unwrap();
    }
}
