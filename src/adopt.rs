//! A Rocket.Chat that runs already: what it must be like before anything is touched, and how it is reached.
//!
//! rcfed writes its federation settings over REST and connects its container to the network `rcfed`; its MongoDB, its
//! image, its restarts and its updates stay with whoever runs it. So everything that cannot work is found out here, by
//! reading only.

mod judge;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::config::{Config, Existing};
use crate::error::{Error, Result};
use crate::host::docker::{Docker, Foreign};
use crate::host::secrets::SecretStore;
use crate::host::{Host, fs};
use crate::layout;
use crate::receipt::{self, Undo};
use crate::rocketchat::{Client, RestError, Url};
use crate::secrets::{Secret, SecretName};

pub use judge::{AdoptError, SETTINGS, setting_of, unguessable};

/// What a Rocket.Chat says of itself, and what its container says of it.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// `7.10.15`.
    pub version: String,
    /// `uniqueID`: public, and the default tokens are made from it.
    pub unique: String,
    /// Its federation settings; without those that this version does not know.
    pub settings: BTreeMap<&'static str, Value>,
    /// What its environment forces, by the name of the setting.
    pub forced: BTreeMap<String, String>,
    /// A user of another server, if it knows any.
    pub stranger: Option<String>,
}

/// Refuses a Rocket.Chat that cannot be taken, before anything is touched. One whose settings rcfed has written already
/// is not looked at again.
pub async fn allowed(host: &Host, config: &Config) -> Result<()> {
    let Some(existing) = &config.rocketchat.existing else { return Ok(()) };
    let taken = receipt::ours(&receipt::read(&host.path(layout::RECEIPT))?);
    if taken.iter().any(|ours| matches!(&ours.undo, Undo::RestoreSettings { of, .. } if of == existing.name())) {
        return Ok(());
    }
    let docker = match existing {
        Existing::Container(_) => {
            let mut docker = Docker::new(&host.docker)?;
            docker.engine().await?;
            Some(docker)
        }
        Existing::Elsewhere { .. } => None,
    };
    let found = look(host, config, existing, docker.as_ref()).await?;
    Ok(judge::judge(config, &found)?)
}

/// `http://address:port` or `https://name` of Rocket.Chat itself as this machine reaches it; `None` while its container does not run.
pub async fn address(docker: Option<&Docker>, existing: &Existing) -> Result<Option<String>> {
    match (existing, docker) {
        (Existing::Elsewhere { url, .. }, _) => Ok(Some(url.clone())),
        (Existing::Container(name), Some(docker)) => {
            let found = docker.foreign(name).await?;
            Ok(found.and_then(|found| found.address().map(|address| format!("http://{address}:3000"))))
        }
        (Existing::Container(_), None) => Ok(None),
    }
}

async fn look(host: &Host, config: &Config, existing: &Existing, docker: Option<&Docker>) -> Result<Found> {
    let mut found = Found::default();
    if let (Existing::Container(name), Some(docker)) = (existing, docker) {
        let container = docker.foreign(name).await?;
        found.forced = reachable(name, container.as_ref())?;
    }
    let Some(base) = address(docker, existing).await? else {
        return Err(AdoptError::Stopped { name: existing.name().into() }.into());
    };
    let url = Url::parse(&base).map_err(|error| Error::new(format!("`{base}`: {error}"), "run `docker ps`"))?;
    let authorities = config.federation.ca.as_ref().map(|ca| ca.pem.as_str());
    let mut client = Client::new(url, authorities)?;
    let silent = |source: RestError| AdoptError::Silent { at: base.clone(), source };
    client.info().await.map_err(silent)?;
    let password = password(host, config)?;
    let user = config.admin.username.as_str();
    client.login(user, &password).await.map_err(|source| AdoptError::Login { user: user.into(), source })?;
    let read = read(&client, &mut found).await;
    // The session of this look ends with it.
    let _ = client.logout().await;
    read.map_err(|source| AdoptError::Read { user: user.into(), source })?;
    Ok(found)
}

async fn read(client: &Client, found: &mut Found) -> Result<(), RestError> {
    found.version = client.info().await?.version;
    found.unique = client.setting("uniqueID").await?.as_str().unwrap_or_default().into();
    for id in SETTINGS {
        match client.setting(id).await {
            Ok(value) => _ = found.settings.insert(id, value),
            // This version does not know it.
            Err(RestError::Refused { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    found.stranger = client.stranger().await?;
    Ok(())
}

/// Whether the gateway and the homeserver can be made to reach it; what its environment forces.
fn reachable(name: &str, container: Option<&Foreign>) -> Result<BTreeMap<String, String>, AdoptError> {
    let name = name.to_owned();
    let Some(container) = container else { return Err(AdoptError::Gone { name }) };
    if !container.running {
        return Err(AdoptError::Stopped { name });
    }
    if container.shares_network {
        return Err(AdoptError::NoNetwork { name });
    }
    if let Some(port) = container.env.get("PORT").filter(|port| *port != "3000") {
        return Err(AdoptError::Port { name, port: port.clone() });
    }
    let forced = container
        .env
        .iter()
        .filter_map(|(variable, value)| Some((variable.strip_prefix("OVERWRITE_SETTING_")?.to_owned(), value.clone())));
    Ok(forced.collect())
}

/// The administrator's password: the one that is kept, or that of the file named in the configuration.
fn password(host: &Host, config: &Config) -> Result<Secret> {
    if let Some(kept) = SecretStore::new(host).get(SecretName::AdminPassword)? {
        return Ok(kept);
    }
    let file = config.admin.password_file.as_deref().unwrap_or(Path::new("/nonexistent"));
    let text = fs::read_text(file)?.unwrap_or_default();
    Ok(Secret::new(text.trim_end_matches('\n')))
}
