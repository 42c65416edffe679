//! Taking a deployment back: from the receipt, in reverse order of its making, and nothing that is not in it.
//!
//! # Guarantees
//! Nothing is touched while something foreign has one of our names. Each thing is looked at before it goes, and the
//! receipt says so when it is gone: an uninstall that was cut short goes on when it is run again. Data, and what opens
//! it, goes only when purging.

mod act;
mod plan;
mod stays;
mod survey;

use crate::answers::{Answers, Key};
use crate::deploy::begin;
use crate::deployment::Deployment;
use crate::error::Result;
use crate::host::docker::Docker;
use crate::host::lock::Lock;
use crate::host::{Host, fs};
use crate::layout;
use crate::receipt::Receipt;
use crate::ui::Ui;

pub use plan::text;
pub use stays::STAYS;
pub use survey::{Item, Survey};

/// An uninstall under way: the lock is held, nothing is touched yet.
pub struct Uninstall {
    host: Host,
    lock: Lock,
    receipt: Receipt,
    docker: Option<Docker>,
    /// What goes and what stays.
    pub survey: Survey,
}

impl Uninstall {
    /// Looks at everything the receipt names; refuses if something is foreign. `None` if rcfed has nothing here.
    pub async fn begin(host: &Host, purge: bool) -> Result<Option<Self>> {
        if fs::access(&host.path(layout::STATE))?.is_none() {
            return Ok(None);
        }
        let (lock, receipt) = begin(host, "uninstall")?;
        let ours = receipt.ours();
        if ours.is_empty() {
            // What a run left that was killed before it made anything, or after it had removed all else.
            act::end(host, lock)?;
            return Ok(None);
        }
        let docker = match ours.iter().any(|ours| ours.undo.is_in_docker()) {
            true => Some(connect(host).await?),
            false => None,
        };
        let survey = survey::survey(host, docker.as_ref(), &ours, purge).await?;
        Ok(Some(Self { host: host.clone(), lock, receipt, docker, survey }))
    }

    /// Does it.
    pub async fn run(self, ui: &Ui) -> Result<()> {
        act::act(self, ui).await
    }
}

/// The federated domain of what is on this machine, as it was deployed or would be.
pub fn domain(host: &Host) -> Result<Option<String>> {
    if let Some(deployment) = Deployment::load(host)? {
        return Ok(Some(deployment.server_name));
    }
    let path = host.path(layout::CONFIG);
    if fs::access(&path)?.is_none() {
        return Ok(None);
    }
    Ok(Answers::from_file(&path)?.text(Key::FederatedDomain).map(str::to_string))
}

async fn connect(host: &Host) -> Result<Docker> {
    let mut docker = Docker::new(&host.docker)?;
    docker.engine().await?;
    Ok(docker)
}
