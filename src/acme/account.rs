//! The account at a certificate authority: a key that is made once and kept.

use std::path::{Path, PathBuf};

use instant_acme::{Account as Remote, AccountBuilder, AccountCredentials, Identifier, NewAccount, NewOrder, Order};
use jiff::Timestamp;
use rcgen::KeyPair;
use sha2::{Digest, Sha256};

use super::error::AcmeError;
use super::http::Client;
use super::pending::Pending;
use super::private;
use super::translate::translate;
use crate::domain::{DomainName, Email};
use crate::host::fs;

/// An account with its key.
pub(super) struct Account<'a> {
    client: &'a Client,
    directory: &'a str,
    email: Option<&'a Email>,
    path: PathBuf,
    remote: Remote,
}

impl<'a> Account<'a> {
    /// The account for this directory: the one stored in `acme_dir`, or a new one, which is stored there.
    ///
    /// `email` is given to a new account only. Making one agrees to the authority's terms of service (RFC 8555 §7.3).
    pub async fn open(
        client: &'a Client,
        directory: &'a str,
        email: Option<&'a Email>,
        acme_dir: &Path,
    ) -> Result<Self, AcmeError> {
        if fs::access(acme_dir)?.is_none() {
            fs::create_directory(acme_dir, private(0o700))?;
        }
        let path = acme_dir.join(file_name(directory));
        // A damaged file is no account; a new one costs nothing but its place in a generous limit.
        let stored = fs::read(&path)?.and_then(|bytes| serde_json::from_slice::<AccountCredentials>(&bytes).ok());
        let remote = match stored {
            Some(credentials) => {
                builder(client).from_credentials(credentials).await.map_err(|error| translate(error, client, &[]))?
            }
            None => create(client, directory, email, &path).await?,
        };
        Ok(Self { client, directory, email, path, remote })
    }

    /// Orders a certificate for all of these names.
    ///
    /// If the authority has forgotten the account, which test authorities do at every start, a new one takes its place.
    pub async fn order(&mut self, names: &[&DomainName]) -> Result<Order, AcmeError> {
        match self.try_order(names).await {
            Err(error) if error.says("accountDoesNotExist") => {
                self.remote = create(self.client, self.directory, self.email, &self.path).await?;
                self.try_order(names).await
            }
            result => result,
        }
    }

    /// Takes up an order of an earlier run.
    pub async fn again(&self, pending: &Pending) -> Result<Order, AcmeError> {
        let order = self.remote.order(pending.order.clone()).await;
        order.map_err(|error| translate(error, self.client, &[]))
    }

    /// Makes a key for an order that was proven, and keeps both before the certificate is asked for.
    pub fn keep(&self, order: &Order, names: &[&DomainName]) -> Result<Pending, AcmeError> {
        let key = KeyPair::generate().map_err(|error| AcmeError::Key { what: error.to_string() })?;
        let pending = Pending {
            directory: self.directory.into(),
            order: order.url().into(),
            names: names.iter().map(ToString::to_string).collect(),
            key: key.serialize_pem(),
            at: Timestamp::now().as_second(),
        };
        if let Some(dir) = self.path.parent() {
            pending.keep(dir)?;
        }
        Ok(pending)
    }

    async fn try_order(&self, names: &[&DomainName]) -> Result<Order, AcmeError> {
        let identifiers: Vec<Identifier> = names.iter().map(|name| Identifier::Dns(name.to_string())).collect();
        let order = self.remote.new_order(&NewOrder::new(&identifiers)).await;
        order.map_err(|error| translate(error, self.client, names))
    }
}

async fn create(client: &Client, directory: &str, email: Option<&Email>, path: &Path) -> Result<Remote, AcmeError> {
    let contact = email.map(|email| format!("mailto:{email}"));
    let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
    let wanted = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
    let made = builder(client).create(&wanted, directory.to_owned(), None).await;
    let (remote, credentials) = made.map_err(|error| translate(error, client, &[]))?;
    let text = serde_json::to_vec(&credentials).map_err(|error| translate(error.into(), client, &[]))?;
    fs::write(path, &text, private(0o600))?;
    Ok(remote)
}

fn builder(client: &Client) -> AccountBuilder {
    Remote::builder_with_http(Box::new(client.clone()))
}

/// Staging and production have different accounts, so the directory's URL is part of the name.
fn file_name(directory: &str) -> String {
    let hash = Sha256::digest(directory.as_bytes());
    let hash: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("account-{hash}.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_directory_has_a_file_of_its_own() {
        let names = ["https://a.example/dir", "https://b.example/dir"].map(file_name);
        assert_ne!(names[0], names[1]);
        assert_eq!(names[0].len(), "account-0123456789abcdef.json".len());
    }
}
