//! An order that is about to be finished, kept with its key.
//!
//! Authorities issue the same names a few times a week only, and a run may die between the issuing and the saving of the
//! pair. The next run then fetches that certificate instead of ordering another.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, CertificateSigningRequest, DistinguishedName, KeyPair};
use serde::{Deserialize, Serialize};

use super::private;
use crate::domain::DomainName;
use crate::host::fs::{self, FileError};

/// Its file below [`crate::layout::ACME`], 0600.
const FILE: &str = "order.json";
/// Authorities forget orders after about a week; and what is so old was not interrupted just now.
const OLD: SignedDuration = SignedDuration::from_hours(24);

/// All that another run needs to finish the order. No `Debug`: it holds a key.
#[derive(Serialize, Deserialize)]
pub(super) struct Pending {
    /// The directory URL of the authority.
    pub directory: String,
    /// The order's URL.
    pub order: String,
    /// The names, as they were ordered.
    pub names: Vec<String>,
    /// The key, PEM.
    pub key: String,
    /// When it was written, in seconds since 1970.
    pub at: i64,
}

impl Pending {
    /// The order that an earlier run left for the same names at the same authority. A damaged or old file is none.
    pub fn load(dir: &Path, directory: &str, names: &[&DomainName], now: Timestamp) -> Result<Option<Self>, FileError> {
        let pending = fs::read(&dir.join(FILE))?.and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        Ok(pending.filter(|pending| {
            let same = pending.names.iter().map(String::as_str).eq(names.iter().map(|name| name.as_str()));
            same && pending.directory == directory && (now.as_second() - pending.at).abs() < OLD.as_secs()
        }))
    }

    /// Keeps it.
    pub fn keep(&self, dir: &Path) -> Result<(), FileError> {
        let text = serde_json::to_vec(self).unwrap_or_default();
        fs::write(&dir.join(FILE), &text, private(0o600))
    }

    /// The request for the certificate, signed with the key.
    pub fn request(&self) -> Result<CertificateSigningRequest, rcgen::Error> {
        let mut params = CertificateParams::new(self.names.clone())?;
        params.distinguished_name = DistinguishedName::new();
        params.serialize_request(&KeyPair::from_pem(&self.key)?)
    }
}

/// Its pair was saved, or it leads nowhere.
pub(super) fn forget(dir: &Path) -> Result<(), FileError> {
    fs::remove(&dir.join(FILE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_order_of_today_counts() {
        let dir = tempfile::tempdir().unwrap();
        let name = |text: &str| DomainName::parse(text).unwrap();
        let (a, b) = (name("a.example"), name("b.example"));
        let at: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
        let pending = Pending {
            directory: "https://x/dir".into(),
            order: "https://x/order/1".into(),
            names: vec!["a.example".into(), "b.example".into()],
            key: KeyPair::generate().unwrap().serialize_pem(),
            at: at.as_second(),
        };
        let load = |directory: &str, names: &[&DomainName], hours: i64| {
            let now = at + SignedDuration::from_hours(hours);
            Pending::load(dir.path(), directory, names, now).unwrap().map(|pending| pending.order)
        };
        assert_eq!(load("https://x/dir", &[&a, &b], 1), None);
        pending.keep(dir.path()).unwrap();
        assert_eq!(load("https://x/dir", &[&a, &b], 1).as_deref(), Some("https://x/order/1"));
        assert_eq!(load("https://y/dir", &[&a, &b], 1), None);
        assert_eq!(load("https://x/dir", &[&a], 1), None);
        assert_eq!(load("https://x/dir", &[&a, &b], 25), None);
        assert_eq!(load("https://x/dir", &[&a, &b], -25), None);
        assert!(pending.request().is_ok());
        std::fs::write(dir.path().join(FILE), "{\"half").unwrap();
        assert_eq!(load("https://x/dir", &[&a, &b], 1), None);
        forget(dir.path()).unwrap();
        forget(dir.path()).unwrap();
    }
}
