//! The last proof: both sides have the same tokens, a message can be sent, and Rocket.Chat's own check passes. Where there
//! is only one side, `native` proves that one.
//!
//! Settings are read *back*: what was put into the environment does not count until Rocket.Chat says it has it.

pub(crate) mod native;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::State;
use super::account;
use crate::clock;
use crate::config::{Apex, Profile, Service};
use crate::error::{Error, Result};
use crate::host::fs::{self, Access};
use crate::layout;
use crate::machine::Machine;
use crate::rocketchat::{Client, RestError};
use crate::secrets::SecretName;
use crate::ui::Task;

const STATUS: &str = "Federation_Matrix_configuration_status";

/// What was found out about federation, kept for `rcfed status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// `valid`, `invalid` or `pending`.
    pub federation: String,
    /// In words.
    pub words: String,
    /// What to do, if anything.
    pub hint: Option<String>,
    /// Whether a message was really sent.
    pub message_sent: bool,
    /// When, RFC 3339.
    pub at: String,
}

impl Verdict {
    /// The last verdict, if there is one.
    pub fn load(machine: &Machine) -> Result<Option<Self>> {
        let text = fs::read_text(&machine.path(layout::VERDICT))?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    fn store(&self, machine: &Machine) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).unwrap_or_default();
        Ok(fs::write(&machine.path(layout::VERDICT), &text, Access::root(0o644))?)
    }
}

pub(super) async fn inspect(machine: &Machine) -> Result<State> {
    let Some(verdict) = Verdict::load(machine)? else { return Ok(State::Absent) };
    if verdict.federation != "valid" || !verdict.message_sent {
        return Ok(State::Absent);
    }
    let Some(client) = account::with_token(machine).await? else { return Ok(State::Absent) };
    if machine.config.profile == Profile::Native {
        return Ok(if native::holds(machine, &client).await? { State::Current } else { State::Absent });
    }
    let status = match client.setting(STATUS).await {
        // Older than its own check.
        Err(RestError::Refused { .. }) if machine.config.rocketchat.existing.is_some() => json!("Valid"),
        status => status.unwrap_or(Value::Null),
    };
    let same = client.read_back(&expected(machine)?).await.is_ok_and(|mismatches| mismatches.is_empty());
    Ok(if same && status == "Valid" { State::Current } else { State::Absent })
}

pub(super) async fn apply(machine: &Machine, task: &Task) -> Result<String> {
    let Some(client) = account::with_token(machine).await? else {
        return Err(Error::new("Rocket.Chat does not run, or rcfed has no token of it", "run `sudo rcfed apply`"));
    };
    task.note("sending a message");
    let existing = machine.config.rocketchat.existing.is_some();
    client.send_and_delete(machine.config.admin.username.as_str()).await.map_err(|error| match error {
        RestError::Restricted if existing => Error::new(
            error.to_string(),
            "register it in its administration (Workspace > Registration), then run `sudo rcfed apply`",
        ),
        error => error.into(),
    })?;
    let at = clock::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let mut verdict = Verdict { federation: "valid".into(), words: String::new(), hint: None, message_sent: true, at };
    if machine.config.profile == Profile::Native {
        native::apply(machine, &client, task, &mut verdict).await?;
        verdict.store(machine)?;
        return Ok(verdict.words);
    }
    task.note("reading settings back");
    let held = read_back(&client, &expected(machine)?).await;
    held.map_err(|error| match existing {
        true => Error::new(error.message(), "see whether somebody else writes them, then run `sudo rcfed apply`"),
        false => error,
    })?;
    task.note("asking the homeserver who the bridge is");
    whoami(machine).await?;
    task.note("Rocket.Chat checks its federation");
    let tester = machine.config.rocketchat.federation_tester.as_ref();
    let seen = match client.verify_federation(tester).await {
        // Older than 6.12, it asks nobody before it federates.
        Err(RestError::NoVerification) if existing => {
            verdict.words = "Rocket.Chat has its settings; this version has no check of its own".into();
            verdict.store(machine)?;
            return Ok(verdict.words);
        }
        seen => seen?,
    };
    verdict.words = seen.words.clone();
    verdict.hint = seen.hint().map(ToString::to_string);
    verdict.federation = match (seen.valid, machine.config.names.apex) {
        (true, _) => "valid",
        // The other web site may not have been changed yet: that is for its owner to do, and no failure of this run.
        (false, Apex::Elsewhere) if seen.ping.is_ok() => "pending",
        (false, _) => "invalid",
    }
    .into();
    verdict.store(machine)?;
    if verdict.federation == "invalid" {
        let hint = verdict.hint.unwrap_or_else(|| "run `sudo rcfed apply` to try again".into());
        return Err(Error::new(format!("Rocket.Chat's own check of its federation failed: {}", verdict.words), hint));
    }
    Ok(verdict.words)
}

/// Rocket.Chat has the settings it was given.
async fn read_back(client: &Client, expected: &[(&'static str, Value)]) -> Result<()> {
    let mismatches = client.read_back(expected).await?;
    if mismatches.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = mismatches.iter().map(ToString::to_string).collect();
    Err(Error::new(
        format!("Rocket.Chat does not have the settings it was given: {}", list.join("; ")),
        "restart it with `docker restart rcfed-rocketchat`, then run `sudo rcfed apply`",
    ))
}

/// The homeserver knows the bridge by its token.
async fn whoami(machine: &Machine) -> Result<()> {
    let Some(base) = machine.url(Service::Homeserver, 8008).await? else {
        return Err(Error::new("the homeserver does not run", "see `sudo rcfed logs homeserver`"));
    };
    let token = machine.secrets.get(SecretName::AsToken)?;
    let url = format!("{base}/_matrix/client/v3/account/whoami");
    let wanted = format!("@rocket.cat:{}", machine.config.names.federated);
    let answer = machine.host.get_as(&url, token.as_ref().map(|t| t.expose())).await;
    match answer {
        Ok((200, body)) if serde_json::from_str::<Value>(&body).is_ok_and(|b| b["user_id"] == wanted.as_str()) => {
            Ok(())
        }
        Ok((status, body)) => {
            let body: String = body.chars().take(120).collect();
            Err(Error::new(
                format!("the homeserver does not take the bridge's token (status {status}: {body})"),
                "restart it with `docker restart rcfed-homeserver`, since it reads the registration only when it starts",
            ))
        }
        Err(error) => {
            Err(Error::new(format!("the homeserver does not answer: {error}"), "see `sudo rcfed logs homeserver`"))
        }
    }
}

/// The settings that both sides must agree on, by Rocket.Chat's ids.
pub(crate) fn expected(machine: &Machine) -> Result<Vec<(&'static str, Value)>> {
    if machine.config.profile == Profile::Native {
        return Ok(native::expected(&machine.config));
    }
    let secret = |name| machine.secrets.get(name).map(|s| s.map(|s| s.expose().to_string()));
    Ok(vec![
        ("Federation_Matrix_enabled", json!(true)),
        ("Federation_Matrix_homeserver_domain", json!(machine.config.names.federated.as_str())),
        ("Federation_Matrix_homeserver_url", json!(machine.config.homeserver_url())),
        ("Federation_Matrix_bridge_url", json!(machine.config.bridge())),
        ("Federation_Matrix_id", json!(secret(SecretName::AppserviceId)?)),
        ("Federation_Matrix_hs_token", json!(secret(SecretName::HsToken)?)),
        ("Federation_Matrix_as_token", json!(secret(SecretName::AsToken)?)),
    ])
}
