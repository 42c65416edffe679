//! Where the pair in use is kept.
//!
//! One file holds the chain and the key, so one rename replaces both: no crash can leave the key of one certificate
//! beside another. nginx reads either from the same file (`ssl_certificate` and `ssl_certificate_key`). The directory
//! stays the same one for ever, because it is mounted into a container.

use std::path::PathBuf;

use super::pair::{Certificate, Pair, PairError};
use super::private;
use crate::host::fs::{self, FileError};
use crate::secrets::Secret;

/// The directory that holds the pair.
#[derive(Clone, Debug)]
pub struct Store {
    /// On this machine, [`crate::layout::CERTIFICATE`].
    pub dir: PathBuf,
}

impl Store {
    /// The file's name, the same inside the gateway.
    pub const FILE: &str = "pair.pem";

    /// A store in this directory, which need not exist yet.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The file with both parts.
    pub fn path(&self) -> PathBuf {
        self.dir.join(Self::FILE)
    }

    /// Fails if the disk has no room for another pair.
    pub fn room(&self) -> Result<(), FileError> {
        const LARGEST: usize = 32 * 1024;
        if fs::access(&self.dir)?.is_none() {
            fs::create_directory(&self.dir, private(0o700))?;
        }
        fs::room(&self.path(), LARGEST)
    }

    /// Replaces the pair whole or not at all; the file is readable by its owner only.
    pub fn save(&self, pair: &Pair) -> Result<(), FileError> {
        if fs::access(&self.dir)?.is_none() {
            fs::create_directory(&self.dir, private(0o700))?;
        }
        let text = format!("{}\n{}\n", pair.fullchain_pem.trim_end(), pair.privkey_pem.expose().trim_end());
        fs::write(&self.path(), text.as_bytes(), private(0o600))
    }

    /// The pair in use; `None` if there is none yet.
    pub fn load(&self) -> Result<Option<Pair>, FileError> {
        let text = fs::read_text(&self.path())?;
        Ok(text.map(|text| {
            // Both parts are PEM, and the key comes last, under whichever of its names.
            let key = text
                .match_indices("-----BEGIN ")
                .find(|(at, _)| text[*at..].lines().next().is_some_and(|line| line.contains("PRIVATE KEY")));
            let (chain, key) = text.split_at(key.map_or(text.len(), |(at, _)| at));
            Pair { fullchain_pem: chain.to_owned(), privkey_pem: Secret::new(key) }
        }))
    }

    /// What the pair in use says of itself; `None` if there is none, or why it cannot be read.
    pub fn describe(&self) -> Result<Option<Result<Certificate, PairError>>, FileError> {
        Ok(self.load()?.map(|pair| pair.describe()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::super::pair::tests::pair;
    use super::*;

    #[test]
    fn what_was_saved_is_loaded_and_stays_private() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().join("certificate"));
        assert!(store.load().unwrap().is_none());
        let first = pair(&["example.org"], "2026-11-01T00:00:00Z", 90 * 86_400);
        store.save(&first).unwrap();
        let inode = std::fs::metadata(&store.dir).unwrap().ino();
        let second = pair(&["example.org", "chat.example.org"], "2026-11-02T00:00:00Z", 90 * 86_400);
        store.save(&second).unwrap();
        assert_eq!(std::fs::metadata(&store.dir).unwrap().ino(), inode);
        assert_eq!(std::fs::metadata(store.path()).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(&store.dir).unwrap().count(), 1);
        let certificate = store.describe().unwrap().unwrap().unwrap();
        assert_eq!(certificate, second.describe().unwrap());
        assert!(certificate.key_matches);
    }

    #[test]
    fn a_damaged_file_is_reported_and_not_loaded_as_a_pair() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        for text in ["", "nonsense", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            std::fs::write(store.path(), text).unwrap();
            assert!(store.describe().unwrap().unwrap().is_err(), "{text}");
        }
    }
}
