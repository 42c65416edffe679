//! What a deployment can never change: the name other servers know it by, and the homeserver that holds its rooms.
//!
//! Written once the homeserver has run for the first time, and compared before every later change. Secrets are of that
//! kind too: databases that were made with others do not open.

use serde::{Deserialize, Serialize};

use crate::compat;
use crate::config::{Config, Profile};
use crate::error::{Explain, Result};
use crate::host::Host;
use crate::host::docker::{Docker, DockerError, LABEL_SERVICE};
use crate::host::fs::{self, Access, FileError};
use crate::layout;
use crate::topology;

/// What cannot be changed any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// What stands after the colon in `@user:example.org`.
    pub server_name: String,
    /// The name of its [`Profile`].
    pub profile: String,
}

impl Deployment {
    /// What `config` would make permanent.
    pub fn of(config: &Config) -> Self {
        Self { server_name: config.names.federated.to_string(), profile: config.profile.name().into() }
    }

    /// What was made permanent on this machine, if anything was.
    pub fn load(host: &Host) -> Result<Option<Self>, DeploymentError> {
        let path = host.path(layout::DEPLOYMENT);
        let Some(text) = fs::read_text(&path)? else { return Ok(None) };
        let unreadable = |error: serde_json::Error| DeploymentError::Unreadable {
            path: path.display().to_string(),
            why: error.to_string(),
        };
        serde_json::from_str(&text).map(Some).map_err(unreadable)
    }

    /// Keeps it, unless something is kept already.
    pub fn keep(&self, host: &Host) -> Result<(), DeploymentError> {
        let path = host.path(layout::DEPLOYMENT);
        if fs::access(&path)?.is_some() {
            return Ok(());
        }
        let text = serde_json::to_vec_pretty(self).unwrap_or_default();
        Ok(fs::write(&path, &text, Access::root(0o644))?)
    }
}

/// Refuses a configuration that would change what cannot be changed.
pub fn allows(host: &Host, config: &Config) -> Result<(), DeploymentError> {
    let Some(was) = Deployment::load(host)? else { return Ok(()) };
    let wanted = Deployment::of(config);
    if was.server_name != wanted.server_name {
        return Err(DeploymentError::Name { was: was.server_name, wanted: wanted.server_name });
    }
    if was.profile != wanted.profile {
        return Err(DeploymentError::Profile { was: was.profile, wanted: wanted.profile });
    }
    Ok(())
}

/// Refuses to go on where databases of an earlier deployment are left without the secrets that open them.
///
/// An engine that cannot be asked is no reason: it has no volumes to lose, or the checks tell why.
pub async fn refuse_orphans(host: &Host) -> Result<(), DeploymentError> {
    if fs::access(&host.path(layout::SECRETS))?.is_some() {
        return Ok(());
    }
    let Ok(mut docker) = Docker::new(&host.docker) else { return Ok(()) };
    if docker.engine().await.is_err() {
        return Ok(());
    }
    let mut volumes = Vec::new();
    for name in data_volumes() {
        if docker.volume(&name).await?.is_some_and(|labels| labels.contains_key(LABEL_SERVICE)) {
            volumes.push(name);
        }
    }
    if volumes.is_empty() { Ok(()) } else { Err(DeploymentError::Orphans { volumes }) }
}

/// The volumes that only the right secrets open, of any profile.
fn data_volumes() -> Vec<String> {
    let databases = compat::services(Profile::Dendrite).iter().filter(|service| service.is_database());
    databases.filter_map(|service| topology::volume(*service)).map(|volume| volume.name).collect()
}

/// Why a deployment stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum DeploymentError {
    /// Another federated domain.
    #[error("this deployment is `{was}` and cannot become `{wanted}`: other servers know people and rooms by it")]
    Name {
        /// The name it was deployed with.
        was: String,
        /// The name it should get.
        wanted: String,
    },
    /// Another profile.
    #[error(
        "this deployment was made with the profile {was} and cannot become {wanted}: each keeps people, rooms and keys in \
         a database of its own"
    )]
    Profile {
        /// The profile it was deployed with.
        was: String,
        /// The profile it should get.
        wanted: String,
    },
    /// Databases without their secrets.
    #[error(
        "there are databases of an earlier deployment ({}), but not the secrets that open them: new ones would lock them",
        volumes.join(", ")
    )]
    Orphans {
        /// Names of the volumes.
        volumes: Vec<String>,
    },
    /// The record cannot be read.
    #[error("`{path}` cannot be understood: {why}")]
    Unreadable {
        /// The record.
        path: String,
        /// The parser's words.
        why: String,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The engine could not be asked.
    #[error(transparent)]
    Docker(#[from] DockerError),
}

impl Explain for DeploymentError {
    fn hint(&self) -> Option<String> {
        let restore = |key: &str, was: &str| {
            Some(format!(
                "restore `{key} = \"{was}\"` in {} and in your answers, or set the other one up on another machine. \
                 Nothing has been changed",
                layout::CONFIG
            ))
        };
        match self {
            Self::Name { was, .. } => restore("federated_domain", was),
            Self::Profile { was, .. } => restore("profile", was),
            Self::Orphans { volumes } => Some(format!(
                "put {} back from a backup; or, if nobody needs the data any more, remove it for ever with `docker volume \
                 rm {}`",
                layout::SECRETS,
                volumes.join(" ")
            )),
            Self::Unreadable { .. } => Some("put it back from a backup".into()),
            Self::File(error) => error.hint(),
            Self::Docker(error) => error.hint(),
        }
    }
}

#[cfg(test)]
#[path = "deployment_tests.rs"]
mod tests;
