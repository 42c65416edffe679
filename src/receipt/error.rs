//! Why a journal cannot be kept or understood.

use std::io;
use std::path::PathBuf;

use crate::error::Explain;

/// The journal cannot be kept or understood.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    /// A line is whole, and means nothing.
    #[error("line {line} of the receipt `{}` cannot be understood", path.display())]
    Line {
        /// Its path.
        path: PathBuf,
        /// The line's number, from 1.
        line: usize,
    },
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
        version: u64,
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
            Self::Line { path, line } => {
                format!("look at it with `sudo sed -n {line}p {}`, and put the file back from a backup", path.display())
            }
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
    fn sentences() {
        let path = || PathBuf::from("/var/lib/rcfed/receipt.jsonl");
        let errors = [
            ReceiptError::Line { path: path(), line: 3 },
            ReceiptError::Read { path: path(), source: io::ErrorKind::PermissionDenied.into() },
            ReceiptError::Version { path: path(), version: 9 },
            ReceiptError::Write { path: path(), source: io::ErrorKind::StorageFull.into() },
        ];
        insta::assert_snapshot!(crate::error::told(errors.map(Into::into)));
    }
}
