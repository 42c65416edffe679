//! Where secrets are kept: one 0600 file each, and their versions beside them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::Host;
use super::fs::{self, Access, FileError};
use crate::layout;
use crate::secrets::{Secret, SecretName};

/// The directory of secrets on this machine.
#[derive(Clone, Debug)]
pub struct SecretStore {
    directory: PathBuf,
}

impl SecretStore {
    /// The store of a host; nothing is read yet.
    pub fn new(host: &Host) -> Self {
        Self { directory: host.path(layout::SECRETS) }
    }

    /// A secret's value, if it has one.
    pub fn get(&self, name: SecretName) -> Result<Option<Secret>, FileError> {
        let text = fs::read_text(&self.directory.join(name.name()))?;
        Ok(text.map(|text| Secret::new(text.trim_end_matches('\n'))).filter(|secret| !secret.expose().is_empty()))
    }

    /// Keeps a value; a change of an existing one makes a new version.
    pub fn put(&self, name: SecretName, secret: &Secret) -> Result<(), FileError> {
        // Several are made at once, and share the file of versions.
        static WRITING: Mutex<()> = Mutex::new(());
        let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.get(name)?;
        if old.as_ref() == Some(secret) {
            return Ok(());
        }
        let mut versions = self.versions()?;
        // The version first: if the value is not written after it, a container is made anew once too often.
        if old.is_some() {
            *versions.entry(name).or_insert(1) += 1;
            let text: String = versions.iter().map(|(name, version)| format!("{} {version}\n", name.name())).collect();
            fs::write(&self.directory.join("versions"), text.as_bytes(), Access::root(0o600))?;
        }
        fs::write(&self.directory.join(name.name()), secret.expose().as_bytes(), Access::root(0o600))
    }

    /// The version of every secret that changed at least once; the others are at 1.
    pub fn versions(&self) -> Result<BTreeMap<SecretName, u32>, FileError> {
        let text = fs::read_text(&self.directory.join("versions"))?.unwrap_or_default();
        let pair = |line: &str| line.split_once(' ').and_then(|(n, v)| Some((SecretName::parse(n)?, v.parse().ok()?)));
        Ok(text.lines().filter_map(pair).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_secret_is_a_new_version() {
        let root = tempfile::tempdir().unwrap();
        let host = Host { root: root.path().into(), docker: String::new(), nameserver: None, metadata: None };
        std::fs::create_dir_all(host.path(layout::SECRETS)).unwrap();
        let store = SecretStore::new(&host);
        assert_eq!(store.get(SecretName::AsToken).unwrap(), None);
        for value in ["one", "one", "two"] {
            store.put(SecretName::AsToken, &Secret::new(value)).unwrap();
        }
        assert_eq!(store.get(SecretName::AsToken).unwrap().unwrap().expose(), "two");
        assert_eq!(store.versions().unwrap().get(&SecretName::AsToken), Some(&2));
    }
}
