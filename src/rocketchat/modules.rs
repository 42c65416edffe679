//! What the licence in use lets Rocket.Chat do, which only Rocket.Chat knows.

use serde_json::{Value, json};

use super::asks;
use super::transport::Call;
use super::{Client, RestError};
use crate::secrets::Secret;

impl Client {
    /// The modules that the licence in use grants; none without a valid licence.
    pub async fn modules(&self) -> Result<Vec<String>, RestError> {
        let what = asks::TELL_LICENSE;
        let answer = self.call(Call::get(what, "licenses.info")).await?;
        let Some(modules) = answer.pointer("/license/activeModules").and_then(Value::as_array) else {
            return Err(RestError::lacks(what, "license.activeModules"));
        };
        Ok(modules.iter().filter_map(|module| module.as_str().map(str::to_owned)).collect())
    }

    /// Puts a licence in the place of the one in use. At its start Rocket.Chat takes one from the environment only if it
    /// keeps none that is valid, so a better one would wait for ever.
    pub async fn add_license(&self, license: &Secret) -> Result<(), RestError> {
        let body = json!({ "license": license.expose().trim() });
        self.call(Call::post(asks::TAKE_LICENSE, "licenses.add").body(body).second_factor()).await.map(drop)
    }
}
