//! Certificates: asked for over ACME (RFC 8555), checked before they are used, kept, and renewed in time.
//!
//! [`obtain`] is the whole way; [`Store`] keeps what it returns. All use of [`instant_acme`] stays below this module.

mod account;
mod answers;
mod attempts;
mod error;
mod http;
mod limit;
mod order;
mod pair;
mod pending;
mod refusal;
mod store;
mod translate;
mod trouble;
mod when;
mod words;

use std::path::PathBuf;

pub use self::attempts::{Failure, last_failure, may_try};
pub use self::error::{AcmeError, Authority};
pub use self::limit::Limit;
pub use self::pair::{Certificate, Pair, PairError};
pub use self::refusal::Refusal;
pub use self::store::Store;
pub use self::trouble::Trouble;

use self::account::Account;
use self::http::Client;
use self::order::Job;
use self::pending::Pending;
use crate::clock;
use crate::config::Config;
use crate::domain::{DomainName, Email};
use crate::host::Host;
use crate::host::fs::{self, Access};
use crate::layout;
use crate::ui::Ui;

/// Where certificates come from, and where their files live on this machine.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory URL that issues.
    pub directory: String,
    /// The directory URL of the rehearsal; none means no rehearsal.
    pub staging: Option<String>,
    /// The root that signed the authority's own web certificate, if it is not a public one; PEM.
    pub ca_pem: Option<Vec<u8>>,
    /// Given to a new account.
    pub email: Option<Email>,
    /// Accounts and the memory of failures, [`crate::layout::ACME`].
    pub acme_dir: PathBuf,
    /// Served at `/.well-known/acme-challenge/` of every name on port 80, [`crate::layout::CHALLENGES`].
    pub challenge_dir: PathBuf,
    /// Whether to rehearse first; for the first certificate of a machine, not for renewals.
    pub rehearse: bool,
}

impl Options {
    /// What the configuration says, without a rehearsal; reads the file with the extra root.
    pub fn of(config: &Config, host: &Host) -> Result<Self, AcmeError> {
        let root = |path: &PathBuf| fs::read(path)?.ok_or_else(|| AcmeError::NoRoot { path: path.clone() });
        Ok(Self {
            directory: config.acme.directory.clone(),
            staging: config.acme.staging.clone(),
            ca_pem: config.acme.ca.as_ref().map(root).transpose()?,
            email: config.email.clone(),
            acme_dir: host.path(layout::ACME),
            challenge_dir: host.path(layout::CHALLENGES),
            rehearse: false,
        })
    }
}

/// Gets a new certificate for all of these names, with a fresh key, checks it and saves it.
///
/// One that the authority issued to a run that died before it was saved is fetched instead of ordered again.
///
/// With [`Options::rehearse`] the names are proven at the staging authority first, whose limits are a hundred times as
/// generous: the first certificate of a machine fails more often than not, and a real failure counts.
///
/// Takes at most 90 seconds for each authority. A failure is remembered for [`may_try`], a success forgets it; neither
/// is stopped by an earlier one, so a person may try again at once.
pub async fn obtain(options: &Options, store: &Store, names: &[&DomainName], ui: &Ui) -> Result<Pair, AcmeError> {
    let result = async {
        let pair = match interrupted(options, names, ui).await? {
            Some(pair) => pair,
            None => attempt(options, names, ui).await?,
        };
        store.save(&pair)?;
        pending::forget(&options.acme_dir)?;
        Ok(pair)
    }
    .await;
    // What went wrong is worth more than that it could not be written down.
    let _ = match &result {
        Ok(_) => attempts::succeeded(&options.acme_dir),
        Err(error) => attempts::failed(&options.acme_dir, error, clock::now()),
    };
    result
}

/// The certificate of an order that an earlier run left; one that leads nowhere is forgotten.
async fn interrupted(options: &Options, names: &[&DomainName], ui: &Ui) -> Result<Option<Pair>, AcmeError> {
    let (directory, now) = (options.directory.as_str(), clock::now());
    let Some(order) = Pending::load(&options.acme_dir, directory, names, now)? else { return Ok(None) };
    let task = ui.task(words::resumed(Authority::of(directory)));
    let result = async {
        let client = client(directory, options)?;
        let account = Account::open(&client, directory, options.email.as_ref(), &options.acme_dir).await?;
        Job { client: &client, names, challenge_dir: &options.challenge_dir, task: &task }.resume(&account, order).await
    };
    let pair = match result.await {
        Ok(pair) => pair.and_then(|pair| Some((pair.check(names, now).ok()?, pair))),
        Err(error) => {
            task.failed("");
            return Err(error);
        }
    };
    match pair {
        Some((checked, pair)) => {
            task.done(&format!("valid until {}", checked.not_after.strftime("%Y-%m-%d")));
            Ok(Some(pair))
        }
        None => {
            task.done(words::GONE);
            pending::forget(&options.acme_dir)?;
            Ok(None)
        }
    }
}

async fn attempt(options: &Options, names: &[&DomainName], ui: &Ui) -> Result<Pair, AcmeError> {
    if let Some(staging) = options.staging.as_deref().filter(|_| options.rehearse) {
        let task = ui.task(format!("rehearsal at {}", Authority::of(staging).host()));
        let result = async {
            let client = client(staging, options)?;
            let mut account = Account::open(&client, staging, options.email.as_ref(), &options.acme_dir).await?;
            Job { client: &client, names, challenge_dir: &options.challenge_dir, task: &task }
                .rehearse(&mut account)
                .await
        };
        match result.await {
            Ok(()) => task.done(words::PROVEN),
            Err(error) => {
                task.failed("");
                return Err(AcmeError::Rehearsal(Box::new(error)));
            }
        }
    }
    let directory = options.directory.as_str();
    let task = ui.task(format!("certificate from {}", Authority::of(directory)));
    let result = async {
        let client = client(directory, options)?;
        let mut account = Account::open(&client, directory, options.email.as_ref(), &options.acme_dir).await?;
        let job = Job { client: &client, names, challenge_dir: &options.challenge_dir, task: &task };
        let pair = job.issue(&mut account).await?;
        let checked = pair.check(names, clock::now());
        let checked = checked.map_err(|source| AcmeError::Pair { authority: client.authority().clone(), source })?;
        Ok((pair, checked))
    };
    match result.await {
        Ok((pair, checked)) => {
            task.done(&format!("valid until {}", checked.not_after.strftime("%Y-%m-%d")));
            Ok(pair)
        }
        Err(error) => {
            task.failed("");
            Err(error)
        }
    }
}

fn client(directory: &str, options: &Options) -> Result<Client, AcmeError> {
    Client::new(directory, options.ca_pem.as_deref())
        .map_err(|trouble| translate::unreachable(Authority::of(directory), trouble))
}

/// This process's own, with these permission bits: root's, except in tests.
fn private(mode: u32) -> Access {
    Access { mode, uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() }
}
