//! A Rocket.Chat that runs already: what it must be like before anything is touched, and how it is reached.
//!
//! rcfed writes its federation settings over REST and connects its container to the network `rcfed`; its MongoDB, its
//! image, its restarts and its updates stay with whoever runs it. So everything that cannot work is found out here, by
//! reading only.

mod enter;
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
use enter::Entrance;

pub use enter::Codes;
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
///
/// Where logging in took a code, rcfed's token comes back: it was made with the same code, and is written nowhere yet.
pub async fn allowed(host: &Host, config: &Config, codes: &Codes) -> Result<Option<Secret>> {
    let Some(existing) = &config.rocketchat.existing else { return Ok(None) };
    let docker = match existing {
        Existing::Container(_) => {
            let mut docker = Docker::new(&host.docker)?;
            docker.engine().await?;
            Some(docker)
        }
        Existing::Elsewhere { .. } => None,
    };
    let taken = receipt::ours(&receipt::read(&host.path(layout::RECEIPT))?);
    if taken.iter().any(|ours| matches!(&ours.undo, Undo::RestoreSettings { of, .. } if of == existing.name())) {
        return again(host, config, existing, docker.as_ref(), codes).await;
    }
    let mut found = Found::default();
    if let (Existing::Container(name), Some(docker)) = (existing, &docker) {
        let container = docker.foreign(name).await?;
        found.forced = reachable(name, container.as_ref())?;
    }
    let Some(base) = address(docker.as_ref(), existing).await? else {
        return Err(AdoptError::Stopped { name: existing.name().into() }.into());
    };
    let client = client(config, &base)?;
    client.info().await.map_err(|source| AdoptError::Silent { at: base.clone(), source })?;
    match with_token(host, &client).await? {
        Some(client) => {
            look(&client, config, &mut found).await?;
            Ok(None)
        }
        None => enter(host, config, client, codes, Some(&mut found)).await,
    }
}

/// Gives back what [`allowed`] made, where nothing comes of it.
pub async fn give_back(host: &Host, config: &Config, token: &Secret) -> Result<()> {
    let Some(existing) = &config.rocketchat.existing else { return Ok(()) };
    let docker = Docker::new(&host.docker).ok();
    let Some(base) = address(docker.as_ref(), existing).await? else { return Ok(()) };
    Ok(client(config, &base)?.with_token(token)?.revoke_token().await?)
}

/// One that was taken before lets rcfed in by its token, or has to be asked for another; whatever else is wrong with it is
/// told by the step that meets it.
async fn again(
    host: &Host,
    config: &Config,
    existing: &Existing,
    docker: Option<&Docker>,
    codes: &Codes,
) -> Result<Option<Secret>> {
    let Some(base) = address(docker, existing).await? else { return Ok(None) };
    let client = client(config, &base)?;
    if client.info().await.is_err() || with_token(host, &client).await?.is_some() {
        return Ok(None);
    }
    enter(host, config, client, codes, None).await
}

fn client(config: &Config, base: &str) -> Result<Client> {
    let url = Url::parse(base).map_err(|error| Error::new(format!("`{base}`: {error}"), "run `docker ps`"))?;
    let authorities = config.federation.ca.as_ref().map(|ca| ca.pem.as_str());
    Ok(Client::new(url, authorities)?)
}

/// The same with the token of an earlier run, if that is still good.
async fn with_token(host: &Host, client: &Client) -> Result<Option<Client>> {
    let Some(token) = SecretStore::new(host).get(SecretName::PersonalAccessToken)? else { return Ok(None) };
    let client = client.clone().with_token(&token)?;
    Ok(client.token_valid().await.unwrap_or(false).then_some(client))
}

/// Logs in, looks if there is something to be `found`, and takes a token if a code was needed.
async fn enter(
    host: &Host,
    config: &Config,
    mut client: Client,
    codes: &Codes,
    found: Option<&mut Found>,
) -> Result<Option<Secret>> {
    let mut entrance = Entrance::new(config.admin.username.as_str(), codes);
    let factor = entrance.log_in(&mut client, &password(host, config)?).await?;
    let done = async {
        if let Some(found) = found {
            look(&client, config, found).await?;
        }
        match factor {
            Some(factor) => entrance.token(&client, factor).await.map(Some),
            None => Ok(None),
        }
    }
    .await;
    // The session of this look ends with it.
    let _ = client.logout().await;
    done
}

async fn look(client: &Client, config: &Config, found: &mut Found) -> Result<()> {
    let user = || config.admin.username.to_string();
    read(client, found).await.map_err(|source| AdoptError::Read { user: user(), source })?;
    Ok(judge::judge(config, found)?)
}

/// `http://address:port` or `https://name` of Rocket.Chat itself as this machine reaches it; `None` while its container does
/// not run.
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
