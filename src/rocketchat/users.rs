//! What rcfed does as the administrator: its own token, a message as a proof, a new password.

use serde_json::{Value, json};

use super::asks;
use super::transport::{Call, field};
use super::{Client, Factor, RestError};
use crate::secrets::Secret;

impl Client {
    /// A token for later runs, revocable in the administrator's account: `userId:token`, for [`Client::with_token`].
    ///
    /// Needs [`Client::login`]. A token of the same name from an earlier run stops working.
    pub async fn personal_access_token(&self, factor: &Factor) -> Result<Secret, RestError> {
        let what = "make an access token";
        let auth = self.auth.as_ref().ok_or(RestError::Unauthorized { what })?;
        let ask = |path: &str| {
            let body = json!({ "tokenName": TOKEN_NAME, "bypassTwoFactor": true });
            self.call(Call::post(what, path).body(body).factor(factor.clone()).secret())
        };
        let answer = match ask("users.generatePersonalAccessToken").await {
            Err(RestError::Refused { kind, .. }) if kind == "error-token-already-exists" => {
                ask("users.regeneratePersonalAccessToken").await?
            }
            answer => answer?,
        };
        Ok(Secret::new(format!("{}:{}", auth.user_id, field(&answer, what, "token")?)))
    }

    /// Has a code sent to the verified e-mail addresses of `user`.
    pub async fn send_email_code(&self, user: &str) -> Result<(), RestError> {
        let body = json!({ "emailOrUsername": user });
        self.call(Call::post(asks::SEND_CODE, "users.2fa.sendEmailCode").body(body)).await.map(drop)
    }

    /// Gives back the token that this client was made with.
    pub async fn revoke_token(&self) -> Result<(), RestError> {
        let body = json!({ "tokenName": TOKEN_NAME });
        let call = Call::post(asks::REVOKE_TOKEN, "users.removePersonalAccessToken").body(body);
        self.call(call.second_factor()).await.map(drop)
    }

    /// A user of another server, if there is one among the first thousands. Their names are Matrix ids without the `@`,
    /// and a name of this server cannot have a colon (`UTF8_User_Names_Validation`).
    pub async fn stranger(&self) -> Result<Option<String>, RestError> {
        let what = asks::LIST_USERS;
        for page in 0..PAGES {
            let call = Call::get(what, "users.list").query("count", &PAGE.to_string());
            let answer = self.call(call.query("offset", &(page * PAGE).to_string())).await?;
            let users = answer.get("users").and_then(Value::as_array).ok_or_else(|| RestError::lacks(what, "users"))?;
            let names = users.iter().filter_map(|user| user.get("username").and_then(Value::as_str));
            if let Some(name) = names.into_iter().find(|name| name.contains(':')) {
                return Ok(Some(name.into()));
            }
            if users.len() < PAGE {
                break;
            }
        }
        Ok(None)
    }

    /// Sends a message and deletes it: the only proof that the workspace is not read-only.
    ///
    /// The message goes to the user's conversation with itself, or to `#general` if that cannot be had.
    pub async fn send_and_delete(&self, username: &str) -> Result<(), RestError> {
        let room = match self.own_room(username).await {
            Err(RestError::Refused { .. } | RestError::Forbidden { .. }) => self.general().await?,
            room => room?,
        };
        let what = asks::SEND_MESSAGE;
        let body = json!({ "roomId": room, "text": asks::MESSAGE });
        let sent = self.call(Call::post(what, "chat.postMessage").body(body)).await?;
        let message = field(sent.get("message").unwrap_or(&Value::Null), what, "_id")?;
        let body = json!({ "roomId": room, "msgId": message });
        self.call(Call::post(asks::DELETE_MESSAGE, "chat.delete").body(body)).await.map(drop)
    }

    /// Gives a user a new password, which ends the user's sessions: look at [`Client::token_valid`] afterwards.
    pub async fn reset_password(&self, username: &str, new: &Secret) -> Result<(), RestError> {
        let what = asks::FIND_USER;
        let found = self.call(Call::get(what, "users.info").query("username", username)).await?;
        let id = field(found.get("user").unwrap_or(&Value::Null), what, "_id")?;
        let body = json!({ "userId": id, "data": { "password": new.expose() } });
        self.call(Call::post(asks::SET_PASSWORD, "users.update").body(body).second_factor()).await.map(drop)
    }

    async fn own_room(&self, username: &str) -> Result<String, RestError> {
        let what = asks::OPEN_ROOM;
        let answer = self.call(Call::post(what, "im.create").body(json!({ "username": username }))).await?;
        Ok(field(answer.get("room").unwrap_or(&Value::Null), what, "_id")?.into())
    }

    async fn general(&self) -> Result<String, RestError> {
        let what = asks::FIND_GENERAL;
        let answer = self.call(Call::get(what, "channels.info").query("roomName", "general")).await?;
        Ok(field(answer.get("channel").unwrap_or(&Value::Null), what, "_id")?.into())
    }
}

/// Users asked for at once; more are not given (`API_Upper_Count_Limit`).
const PAGE: usize = 100;
const PAGES: usize = 50;
const TOKEN_NAME: &str = "rcfed";
