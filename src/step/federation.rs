//! The last proof: both sides have the same tokens, a message can be sent, and Rocket.Chat's own check passes. Where there
//! is only one side, `native` proves that one.
//!
//! Settings are read *back*: what was put into the environment does not count until Rocket.Chat says it has it.

pub(crate) mod native;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::State;
use super::account;
use super::error::StepError;
use super::words;
use crate::acme::Store;
use crate::clock;
use crate::config::{Apex, Config, Profile, Proxy, Service};
use crate::error::{Error, Result};
use crate::host::fs::{self, Access};
use crate::layout;
use crate::machine::Machine;
use crate::rocketchat::{self, Client, RestError};
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
        return Err(StepError::NoAccess.into());
    };
    task.note("sending a message");
    let existing = machine.config.rocketchat.existing.is_some();
    client.send_and_delete(machine.config.admin.username.as_str()).await.map_err(|error| match error {
        RestError::Restricted if existing => Error::from(StepError::Unregistered(error)),
        error => error.into(),
    })?;
    let at = clock::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let mut verdict = Verdict { federation: "valid".into(), words: String::new(), hint: None, message_sent: true, at };
    if machine.config.profile == Profile::Native {
        native::apply(machine, &client, task, &mut verdict).await?;
        verdict.store(machine)?;
        return match verdict.hint {
            Some(hint) if verdict.federation == "invalid" => Err(Error::new(verdict.words, hint)),
            _ => Ok(verdict.words),
        };
    }
    task.note("reading settings back");
    read_back(&client, &expected(machine)?, existing).await?;
    task.note(words::ASKING_WHO);
    whoami(machine).await?;
    task.note("Rocket.Chat checks its federation");
    let tester = machine.config.rocketchat.federation_tester.as_ref();
    let seen = match client.verify_federation(tester).await {
        // Older than 6.12, it asks nobody before it federates.
        Err(RestError::NoVerification) if existing => {
            verdict.words = words::NO_CHECK.into();
            verdict.store(machine)?;
            return Ok(verdict.words);
        }
        seen => seen?,
    };
    verdict.words = seen.words.clone();
    verdict.hint = hint(&machine.config, &seen);
    verdict.federation = match (seen.valid, machine.config.names.apex) {
        (true, _) => "valid",
        // The other web site may not have been changed yet: that is for its owner to do, and no failure of this run.
        (false, Apex::Elsewhere) if seen.ping.is_ok() => "pending",
        (false, _) => "invalid",
    }
    .into();
    verdict.store(machine)?;
    if verdict.federation == "invalid" {
        return Err(StepError::Federation { words: verdict.words, hint: verdict.hint }.into());
    }
    Ok(verdict.words)
}

/// What to do; the last step behind a proxy of one's own is to let it answer.
fn hint(config: &Config, seen: &rocketchat::Verdict) -> Option<String> {
    let hint = seen.hint()?;
    if config.proxy != Proxy::None || seen.ping.is_err() {
        return Some(hint.to_owned());
    }
    Some(format!("{}. If it does already: {hint}", at_the_proxy(config)))
}

/// What is left to its owner, once there is a certificate.
fn at_the_proxy(config: &Config) -> String {
    let names: Vec<&str> = config.names.served().into_iter().map(|name| name.as_str()).collect();
    format!(
        "let your proxy answer on port 443 for {} and forward to 127.0.0.1:8080; it may use the certificate in \
         {}/{} (docs/proxy.md)",
        names.join(", "),
        layout::CERTIFICATE,
        Store::FILE,
    )
}

/// Rocket.Chat has the settings it was given.
async fn read_back(client: &Client, expected: &[(&'static str, Value)], existing: bool) -> Result<()> {
    let mismatches = client.read_back(expected).await?;
    if mismatches.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = mismatches.iter().map(ToString::to_string).collect();
    Err(StepError::SettingsDiffer { list: list.join("; "), existing }.into())
}

/// The homeserver knows the bridge by its token.
async fn whoami(machine: &Machine) -> Result<()> {
    let Some(base) = machine.url(Service::Homeserver, 8008).await? else {
        return Err(StepError::HomeserverDown.into());
    };
    let token = machine.secrets.get(SecretName::AsToken)?;
    let url = format!("{base}/_matrix/client/v3/account/whoami");
    let wanted = format!("@rocket.cat:{}", machine.config.names.federated);
    let answer = machine.host.get_as(&url, token.as_ref().map(|t| t.expose())).await;
    match answer {
        Ok((200, body)) if serde_json::from_str::<Value>(&body).is_ok_and(|b| b["user_id"] == wanted.as_str()) => {
            Ok(())
        }
        Ok((status, body)) => Err(StepError::HomeserverToken { status, body: body.chars().take(120).collect() }.into()),
        Err(error) => Err(StepError::HomeserverSilent(error.to_string()).into()),
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::answers::Answers;
    use crate::config::Mode;
    use crate::rocketchat::Problem;

    #[test]
    fn behind_a_proxy_of_ones_own_the_last_step_is_told() {
        let told = ["gateway", "none"].map(|proxy| {
            let toml = format!(
                "federated_domain = \"example.org\"\nprofile = \"synapse\"\nproxy = \"{proxy}\"\n\
                 accept_end_of_life = true\n[admin]\nusername = \"ada\"\n"
            );
            let answers = Answers::from_toml(&toml, std::path::Path::new("answers.toml")).unwrap();
            let config = Config::from_answers(&answers, Mode::Unattended).unwrap();
            let problem = || Problem { text: String::new(), hint: "look, then run `sudo rcfed apply`".into() };
            let seen = |ping| rocketchat::Verdict {
                valid: false,
                ping,
                reachability: Err(problem()),
                reached: None,
                words: String::new(),
            };
            let told = [Ok(Duration::ZERO), Err(problem())].map(|ping| hint(&config, &seen(ping)).unwrap());
            format!("{proxy}: {}", told.join("\nwithout a ping: "))
        });
        insta::assert_snapshot!(told.join("\n"));
    }
}
