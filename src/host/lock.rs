//! One command at a time changes the machine. The kernel holds the lock, so a killed command leaves none.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::fs::FileError;
use crate::error::Explain;

/// Held until dropped.
#[derive(Debug)]
pub struct Lock(File);

impl Lock {
    /// Takes the lock, or says who has it. The directory above `path` must exist.
    pub fn take(path: &Path, command: &str) -> Result<Self, LockError> {
        let failed = |source| LockError::File(FileError::new("lock", path, source));
        let mut options = OpenOptions::new();
        let mut file =
            options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path).map_err(failed)?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            return Err(LockError::Held { holder: holder.trim().into() });
        }
        let since = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S UTC");
        let holder = format!("`rcfed {command}` (process {}) since {since}\n", std::process::id());
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(holder.as_bytes()))
            .map_err(failed)?;
        Ok(Self(file))
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
    fn the_second_is_told_who_is_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = Lock::take(&path, "apply").unwrap();
        let error = Lock::take(&path, "init").unwrap_err().to_string();
        assert!(error.contains("`rcfed apply` (process "), "{error}");
        drop(first);
        Lock::take(&path, "init").unwrap();
    }
}
