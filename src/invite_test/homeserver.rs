//! The deployment's own homeserver, asked in the name of the probe user with the bridge's token.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{PROBE, own_broken};
use crate::config::Service;
use crate::error::Result;
use crate::host::Host;
use crate::machine::Machine;
use crate::matrix::user_id::UserId;
use crate::secrets::{Secret, SecretName};

/// What bridges can read, in both directions.
pub(super) const VERSION: &str = "10";

/// The homeserver, and who asks.
pub(super) struct Homeserver {
    host: Host,
    base: String,
    token: Secret,
    /// The probe user's id.
    pub probe: String,
}

/// What became of an invite.
pub(super) enum Invited {
    Accepted,
    Refused { status: u16, errcode: String, said: String },
    Silent(String),
}

impl Homeserver {
    pub async fn of(machine: &Machine) -> Result<Self> {
        let Some(base) = machine.url(Service::Homeserver, 8008).await? else {
            return Err(own_broken(NOT_RUNNING));
        };
        let Some(token) = machine.secrets.get(SecretName::AsToken)? else {
            return Err(own_broken(NO_TOKEN));
        };
        let probe = format!("@{PROBE}:{}", machine.config.names.federated);
        Ok(Self { host: machine.host.clone(), base, token, probe })
    }

    /// The probe user exists, and rooms that a killed run left are put away.
    pub async fn ready(&self) -> Result<()> {
        let body = json!({ "type": "m.login.application_service", "username": PROBE, "inhibit_login": true });
        match self.call(Method::POST, "register", false, Some(&body), SHORT).await {
            Ok((200, _)) => {}
            Ok((400, answer)) if answer["errcode"] == "M_USER_IN_USE" => {}
            other => return Err(broken(REGISTER, other)),
        }
        self.tidy(None).await
    }

    /// A room of the probe user alone.
    pub async fn room(&self) -> Result<String> {
        let body = json!({
            "room_version": VERSION, "preset": "private_chat", "visibility": "private", "name": "rcfed invite-test",
            "topic": TOPIC,
        });
        match self.call(Method::POST, "createRoom", true, Some(&body), SHORT).await {
            Ok((200, answer)) if answer["room_id"].is_string() => {
                Ok(answer["room_id"].as_str().unwrap_or_default().into())
            }
            other => Err(broken(ROOM, other)),
        }
    }

    /// Invites; the other server answers while we wait.
    pub async fn invite(&self, room: &str, person: &UserId) -> Result<Invited> {
        let path = format!("rooms/{}/invite", escaped(room));
        let body = json!({ "user_id": person.as_str(), "reason": "a test of federation" });
        Ok(match self.call(Method::POST, &path, true, Some(&body), PATIENCE).await {
            Ok((200, _)) => Invited::Accepted,
            Ok((status, answer)) => {
                let text = |key: &str| answer[key].as_str().unwrap_or_default().chars().take(300).collect();
                Invited::Refused { status, errcode: text("errcode"), said: text("error") }
            }
            Err(why) => Invited::Silent(why),
        })
    }

    /// Whether the person joins in time.
    pub async fn joins(&self, room: &str, person: &UserId, wait: Duration) -> Result<bool> {
        let until = Instant::now() + wait;
        loop {
            if self.membership(room, person).await?.as_deref() == Some("join") {
                return Ok(true);
            }
            if Instant::now() >= until {
                return Ok(false);
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    async fn membership(&self, room: &str, person: &UserId) -> Result<Option<String>> {
        let path = format!("rooms/{}/state/m.room.member/{}", escaped(room), escaped(person.as_str()));
        match self.call(Method::GET, &path, true, None, SHORT).await {
            Ok((200, answer)) => Ok(answer["membership"].as_str().map(str::to_owned)),
            Ok((404, _)) => Ok(None),
            other => Err(broken(MEMBERS, other)),
        }
    }

    /// Takes invites back, and leaves and forgets every room of the probe user.
    pub async fn tidy(&self, person: Option<&UserId>) -> Result<()> {
        let rooms = match self.call(Method::GET, "joined_rooms", true, None, SHORT).await {
            Ok((200, answer)) => answer["joined_rooms"].as_array().cloned().unwrap_or_default(),
            other => return Err(broken(ROOMS, other)),
        };
        for room in rooms.iter().filter_map(Value::as_str) {
            let room = escaped(room);
            if let Some(person) = person {
                // They may have left by themselves; then there is nobody to put out.
                let body = json!({ "user_id": person.as_str(), "reason": "the test is over" });
                let _ = self.call(Method::POST, &format!("rooms/{room}/kick"), true, Some(&body), SHORT).await;
            }
            for verb in ["leave", "forget"] {
                let done =
                    self.call(Method::POST, &format!("rooms/{room}/{verb}"), true, Some(&json!({})), SHORT).await;
                if !matches!(done, Ok((200, _))) {
                    return Err(broken(LEAVE, done));
                }
            }
        }
        Ok(())
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        as_probe: bool,
        body: Option<&Value>,
        limit: Duration,
    ) -> Result<(u16, Value), String> {
        let user = if as_probe { format!("?user_id={}", escaped(&self.probe)) } else { String::new() };
        let url = format!("{}/_matrix/client/v3/{path}{user}", self.base);
        let answer = self.host.send_within(limit, method, &url, Some(self.token.expose()), body).await;
        let (status, text) = answer.map_err(|error| error.to_string())?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
    }
}

/// The homeserver did not do what every homeserver does.
fn broken(what: &str, answer: Result<(u16, Value), String>) -> crate::error::Error {
    let seen = match answer {
        Ok((status, body)) => format!("status {status} {}", body["error"].as_str().unwrap_or_default()),
        Err(why) => why,
    };
    own_broken(format!("the homeserver {what}: {}", seen.trim_end()))
}

/// Matrix ids in a path or a query.
fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// The room's topic: the invited person may see it.
const TOPIC: &str = "A test of federation. It can be ignored, and ends by itself.";
const NOT_RUNNING: &str = "the homeserver does not run";
const NO_TOKEN: &str = "the bridge's token is not on this machine";
// What the homeserver did not do.
const REGISTER: &str = "does not take the bridge's token";
const ROOM: &str = "does not make a room";
const MEMBERS: &str = "does not say who is in the room";
const ROOMS: &str = "does not say which rooms the probe user is in";
const LEAVE: &str = "does not let the probe user leave its room";
const SHORT: Duration = Duration::from_secs(20);
/// A homeserver tries several addresses, and gives each a minute.
const PATIENCE: Duration = Duration::from_secs(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        let answer = || Ok((403, json!({ "errcode": "M_FORBIDDEN", "error": "not allowed" })));
        let mut errors = vec![own_broken(NOT_RUNNING), own_broken(NO_TOKEN), broken(ROOM, Err("timed out".into()))];
        errors.extend([REGISTER, ROOM, MEMBERS, ROOMS, LEAVE].map(|what| broken(what, answer())));
        insta::assert_snapshot!(format!("topic: {TOPIC}\n{}", crate::error::told(errors)));
    }
}
