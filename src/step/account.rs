//! rcfed's revocable access to Rocket.Chat.
//!
//! Rocket.Chat makes the first administrator itself, from its environment, if it has none. What remains is a personal
//! access token, so that later runs need neither the password nor a second factor.

use super::State;
use crate::config::Service;
use crate::error::{Error, Result};
use crate::machine::Machine;
use crate::rocketchat::{Client, Url};
use crate::secrets::SecretName;

pub(super) async fn inspect(machine: &Machine) -> Result<State> {
    let Some(client) = with_token(machine).await? else { return Ok(State::Absent) };
    Ok(match client.token_valid().await {
        Ok(true) => State::Current,
        Ok(false) => State::Differs("Rocket.Chat does not know rcfed's token any more".into()),
        Err(_) => State::Absent,
    })
}

pub(super) async fn apply(machine: &Machine) -> Result<String> {
    let Some(password) = machine.secrets.get(SecretName::AdminPassword)? else {
        return Err(Error::new("the administrator's password is not on this machine", "run `sudo rcfed admin reset`"));
    };
    let username = &machine.config.admin.username;
    let mut client = client(machine).await?;
    client.login(username.as_str(), &password).await.map_err(|error| {
        let changed = format!("could not log in to Rocket.Chat as `{username}` with the password rcfed knows: {error}");
        if machine.config.rocketchat.existing.is_some() {
            let hint = "check `username` and `password_file` below `[admin]`: an administrator of that Rocket.Chat; if the password \
                        was changed, also remove /var/lib/rcfed/secrets/admin_password, then run `sudo rcfed apply`";
            return Error::new(changed, hint);
        }
        let hint = "if the password was changed in Rocket.Chat, write it into a 0600 file, name it as `password_file` \
                    under `[admin]` and remove /var/lib/rcfed/secrets/admin_password; then run `sudo rcfed apply`";
        Error::new(changed, hint)
    })?;
    let token = client.personal_access_token(&password).await?;
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

async fn client(machine: &Machine) -> Result<Client> {
    let Some(base) = machine.url(Service::Rocketchat, 3000).await? else {
        return Err(Error::new("Rocket.Chat does not run", "run `sudo rcfed apply`"));
    };
    let base = Url::parse(&base).map_err(|error| Error::new(format!("`{base}`: {error}"), "run `sudo rcfed apply`"))?;
    Ok(Client::new(base)?)
}
