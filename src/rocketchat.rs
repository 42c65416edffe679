//! Rocket.Chat over its REST interface: what cannot be said in an environment variable, and what must be read back.
//!
//! Settings forced by the environment are ignored in silence if Rocket.Chat does not know them, and a changed setting
//! can lose its forced value on the boot that upgrades it, so nothing counts as set until [`Client::read_back`] saw it.
//! Likewise Rocket.Chat federates only after its own check said so, and never runs that check at boot:
//! [`Client::verify_federation`] does. Requests go to the container's address without TLS, or to a Rocket.Chat elsewhere
//! with it; never through a proxy.

mod asks;
mod error;
pub mod license;
mod modules;
mod read_back;
mod transport;
mod users;
mod verdict;

#[cfg(test)]
mod tests;

pub use error::RestError;
pub use read_back::Mismatch;
pub use reqwest::Url;
pub use verdict::{Problem, Verdict};

use serde_json::{Value, json};

use crate::secrets::Secret;
use transport::{Call, field};

/// A Rocket.Chat, and who rcfed is to it.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    auth: Option<Auth>,
}

#[derive(Clone, Debug)]
struct Auth {
    user_id: String,
    token: Secret,
    /// What is sent where Rocket.Chat asks for a second factor; a token made with `bypassTwoFactor` needs none.
    factor: Option<Factor>,
}

/// A second factor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Factor {
    /// Rocket.Chat's word for it: `totp`, `email` or `password`.
    pub method: String,
    /// The code.
    pub code: Secret,
}

impl Factor {
    /// That of somebody who has none: the password once more.
    pub fn password(password: &Secret) -> Self {
        Self { method: "password".into(), code: transport::password_code(password) }
    }
}

/// What Rocket.Chat says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// `7.10` to a stranger, `7.10.15` to somebody who may see statistics.
    pub version: String,
}

impl Client {
    /// A client of the Rocket.Chat at `base`, e.g. `http://172.18.0.5:3000`; not logged in. Over HTTPS its certificate is
    /// checked by this machine's roots and those in `authorities` (PEM).
    pub fn new(base: Url, authorities: Option<&str>) -> Result<Self, RestError> {
        Ok(Self { http: transport::client(&base, authorities)?, base, auth: None })
    }

    /// The same client with a token as [`Client::personal_access_token`] gave it: `userId:token`.
    pub fn with_token(self, stored: &Secret) -> Result<Self, RestError> {
        let (user_id, token) = stored.expose().trim().split_once(':').ok_or(RestError::TokenForm)?;
        let auth = Auth { user_id: user_id.into(), token: Secret::new(token), factor: None };
        Ok(Self { auth: Some(auth), ..self })
    }

    /// Logs in for the length of this run, with a code if Rocket.Chat asked for one.
    pub async fn login(&mut self, user: &str, password: &Secret, factor: Option<&Factor>) -> Result<(), RestError> {
        let mut body = json!({ "user": user, "password": password.expose() });
        if let Some(factor) = factor {
            body["code"] = factor.code.expose().into();
        }
        let answer = self.call(Call::post("log in", "login").body(body).secret()).await?;
        let data = answer.get("data").unwrap_or(&Value::Null);
        self.auth = Some(Auth {
            user_id: field(data, "log in", "userId")?.into(),
            token: Secret::new(field(data, "log in", "authToken")?),
            factor: Some(factor.cloned().unwrap_or_else(|| Factor::password(password))),
        });
        Ok(())
    }

    /// Ends the session of [`Client::login`].
    pub async fn logout(&mut self) -> Result<(), RestError> {
        let ended = self.call(Call::post("log out", "logout").body(json!({}))).await.map(drop);
        self.auth = None;
        ended
    }

    /// Version; needs no login.
    pub async fn info(&self) -> Result<Info, RestError> {
        let answer = self.call(Call::get("ask for the version", "info").at("/api/info")).await?;
        // Some versions answer flat, some inside `info`.
        let info = answer.get("info").filter(|info| info.get("version").is_some()).unwrap_or(&answer);
        Ok(Info { version: field(info, "ask for the version", "version")?.into() })
    }

    /// Whether Rocket.Chat is up; `Ok` means yes.
    pub async fn health(&self) -> Result<(), RestError> {
        match self.probe("/health").await {
            // Gone one day: since 7.11 it is only another name of `/livez`.
            Err(RestError::Unexpected { status: 404, .. }) => self.probe("/livez").await,
            result => result,
        }
    }

    /// Whether the token this client was given still opens the door.
    pub async fn token_valid(&self) -> Result<bool, RestError> {
        match self.call(Call::get("ask who rcfed is", "me")).await {
            Ok(_) => Ok(true),
            Err(RestError::Unauthorized { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The value of a setting.
    pub async fn setting(&self, id: &str) -> Result<Value, RestError> {
        let mut answer = self.call(Call::get("read a setting", &format!("settings/{id}")).secret()).await?;
        match answer.get_mut("value") {
            Some(value) => Ok(value.take()),
            None => Err(RestError::lacks("read a setting", "value")),
        }
    }

    /// Gives a setting a value.
    pub async fn set_setting(&self, id: &str, value: impl Into<Value>) -> Result<(), RestError> {
        let call = Call::post("change a setting", &format!("settings/{id}"));
        self.call(call.body(json!({ "value": value.into() })).second_factor()).await.map(drop)
    }

    /// Presses the button that is the setting `id`.
    pub async fn execute(&self, id: &str) -> Result<(), RestError> {
        self.call(
            Call::post("run an action", &format!("settings/{id}")).body(json!({ "execute": true })).second_factor(),
        )
        .await
        .map(drop)
    }
}
