//! rcfed's revocable access to Rocket.Chat.
//!
//! Rocket.Chat makes the first administrator itself, from its environment, if it has none. What remains is a personal
//! access token, so that later runs need neither the password nor a second factor.

use super::State;
use super::error::StepError;
use super::words;
use crate::config::Service;
use crate::error::Result;
use crate::machine::Machine;
use crate::rocketchat::{Client, Factor, Url};
use crate::secrets::SecretName;

pub(super) async fn inspect(machine: &Machine) -> Result<State> {
    let Some(client) = with_token(machine).await? else { return Ok(State::Absent) };
    Ok(match client.token_valid().await {
        Ok(true) => State::Current,
        Ok(false) => State::Differs(words::TOKEN_UNKNOWN.into()),
        Err(_) => State::Absent,
    })
}

pub(super) async fn apply(machine: &Machine) -> Result<String> {
    if let Some(token) = &machine.access {
        machine.secrets.put(SecretName::PersonalAccessToken, token)?;
        return Ok(format!("`{}`", machine.config.admin.username));
    }
    let Some(password) = machine.secrets.get(SecretName::AdminPassword)? else {
        return Err(StepError::NoPassword.into());
    };
    let username = &machine.config.admin.username;
    let mut client = client(machine).await?;
    client.login(username.as_str(), &password, None).await.map_err(|error| StepError::Login {
        username: username.to_string(),
        error: error.to_string(),
        existing: machine.config.rocketchat.existing.is_some(),
    })?;
    let token = client.personal_access_token(&Factor::password(&password)).await?;
    machine.secrets.put(SecretName::PersonalAccessToken, &token)?;
    Ok(format!("`{username}`"))
}

/// A client with rcfed's token; `None` while there is no token or Rocket.Chat does not run.
pub(crate) async fn with_token(machine: &Machine) -> Result<Option<Client>> {
    let Some(token) = machine.secrets.get(SecretName::PersonalAccessToken)? else { return Ok(None) };
    if machine.url(Service::Rocketchat, 3000).await?.is_none() {
        return Ok(None);
    }
    Ok(Some(client(machine).await?.with_token(&token)?))
}

/// Logs in with the password rcfed knows and takes a new token.
pub(crate) async fn renew_token(machine: &Machine) -> Result<()> {
    apply(machine).await.map(|_| ())
}

/// A client without a token.
pub(crate) async fn client(machine: &Machine) -> Result<Client> {
    let Some(base) = machine.url(Service::Rocketchat, 3000).await? else {
        return Err(StepError::NoRocketchat.into());
    };
    let base = Url::parse(&base).map_err(|_| StepError::NoRocketchat)?;
    let authorities = machine.config.federation.ca.as_ref().map(|ca| ca.pem.as_str());
    Ok(Client::new(base, authorities)?)
}
