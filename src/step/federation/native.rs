//! The same proof where Rocket.Chat federates by itself: its licence has the module, the settings are those it was given,
//! and it answers other servers with keys of its own under the federated domain.
//!
//! No part of it says so by itself: without the module, or with a domain it does not like, Rocket.Chat runs on and people
//! notice nothing but that nobody elsewhere can be found.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::Instant as Until;

use super::super::words;
use super::Verdict;
use crate::clock;
use crate::config::{Apex, Config, Proxy, Service};
use crate::domain::DomainName;
use crate::error::{Error, Explain, Result};
use crate::host::net::listeners;
use crate::host::tls;
use crate::machine::Machine;
use crate::matrix::discovery;
use crate::matrix::keys::ServerKeys;
use crate::render;
use crate::rocketchat::license::FEDERATION;
use crate::rocketchat::{Client, RestError};
use crate::secrets::SecretName;
use crate::ui::Task;

/// The service starts some time after Rocket.Chat answers, and again after a licence was taken.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(300);

/// The settings that federation stands on, by Rocket.Chat's ids.
pub(super) fn expected(config: &Config) -> Vec<(&'static str, Value)> {
    vec![
        ("Federation_Service_Enabled", json!(true)),
        ("Federation_Service_Domain", json!(config.names.federated.as_str())),
    ]
}

/// Whether all of it is still so.
pub(super) async fn holds(machine: &Machine, client: &Client) -> Result<bool> {
    let licensed = client.modules().await.is_ok_and(|modules| has(&modules));
    let same = client.read_back(&expected(&machine.config)).await.is_ok_and(|mismatches| mismatches.is_empty());
    Ok(licensed && same && keys(machine).await?.is_ok())
}

/// Proves it, and says how far it goes.
pub(super) async fn apply(machine: &Machine, client: &Client, task: &Task, verdict: &mut Verdict) -> Result<()> {
    task.note(words::ASKING_FOR_MODULES);
    licensed(machine, client).await?;
    task.note("reading settings back");
    super::read_back(client, &expected(&machine.config), false).await?;
    task.note(words::ASKING_FOR_KEYS);
    let started = Instant::now();
    while let Err(why) = keys(machine).await? {
        if started.elapsed() > PATIENCE {
            let name = &machine.config.names.federated;
            return Err(silent(name, &why));
        }
        tokio::time::sleep(PAUSE).await;
    }
    let name = &machine.config.names.federated;
    verdict.words = proven(name);
    if machine.config.names.apex == Apex::Elsewhere {
        task.note(words::ASKING_THE_SITE);
        if let Err(why) = delegated(machine).await? {
            verdict.federation = "pending".into();
            (verdict.words, verdict.hint) = (not_sent(name, &why), Some(LET_IT.into()));
        }
    } else if machine.config.proxy == Proxy::None && !answered(machine).await? {
        verdict.federation = "invalid".into();
        verdict.words = unanswered(name);
        verdict.hint = Some(format!("{}, then run `sudo rcfed apply`", super::at_the_proxy(&machine.config)));
    }
    Ok(())
}

/// Whether there is a proxy at all. Not every machine reaches its own public address, but it sees who listens here.
async fn answered(machine: &Machine) -> Result<bool> {
    let here = listeners(Path::new("/"), &[443]).is_ok_and(|found| !found.is_empty());
    Ok(here || delegated(machine).await?.is_ok())
}

/// The licence in use has federation; one on disk that may have it is tried.
async fn licensed(machine: &Machine, client: &Client) -> Result<()> {
    let mut modules = client.modules().await?;
    if let (false, Some(license)) = (has(&modules), machine.secrets.get(SecretName::License)?) {
        match client.add_license(&license).await {
            Ok(()) => {}
            Err(RestError::Refused { reason, .. }) => {
                let file = file(machine);
                return Err(refused(&file, &reason));
            }
            Err(error) => return Err(error.into()),
        }
        let started = Instant::now();
        loop {
            modules = client.modules().await?;
            if has(&modules) || started.elapsed() > PATIENCE / 4 {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
    if has(&modules) { Ok(()) } else { Err(NoFederation { file: file(machine), modules }.into()) }
}

/// Rocket.Chat itself says that its licence is not enough.
#[derive(Debug, thiserror::Error)]
#[error(
    "Rocket.Chat's licence, from {file}, does not include federation: {}",
    if modules.is_empty() { "none is in force".to_owned() } else { format!("it has only {}", modules.join(", ")) }
)]
pub(crate) struct NoFederation {
    file: String,
    modules: Vec<String>,
}

impl NoFederation {
    /// What Rocket.Chat says, if it does not have the module.
    pub(crate) async fn find(machine: &Machine, client: &Client) -> Result<Option<Self>> {
        let modules = client.modules().await?;
        Ok((!has(&modules)).then(|| Self { file: file(machine), modules }))
    }
}

impl Explain for NoFederation {
    fn hint(&self) -> Option<String> {
        Some(remedy(&self.file))
    }
}

fn silent(name: &DomainName, why: &str) -> Error {
    Error::new(
        format!("Rocket.Chat does not answer other servers as {name}: {why}"),
        "look for `federation` in `sudo rcfed logs rocketchat`, restart it with `sudo docker restart rcfed-rocketchat`, then \
         run `sudo rcfed apply`",
    )
}

fn proven(name: &DomainName) -> String {
    format!("Rocket.Chat answers other servers as {name} with keys of its own")
}

fn not_sent(name: &DomainName, why: &str) -> String {
    format!("the web site on {name} does not send other servers here yet: {why}")
}

const LET_IT: &str = "let it answer as is said below, then run `sudo rcfed apply`";

fn unanswered(name: &DomainName) -> String {
    format!("Rocket.Chat has keys as {name}, but nobody answers for {name} at port 443")
}

fn wrong_way(other: &str, wanted: &str) -> String {
    format!("it names {other}, not {wanted}")
}

const NO_DOCUMENT: &str = "it has no document that names a server";
const NO_GATEWAY_ANSWER: &str = "no answer through the gateway";

fn refused(file: &str, reason: &str) -> Error {
    Error::new(format!("Rocket.Chat does not take the licence of {file}: {reason}"), remedy(file))
}

fn remedy(file: &str) -> String {
    format!("put a licence for this address with the federation add-on into {file}, then run `sudo rcfed apply`")
}

fn file(machine: &Machine) -> String {
    let path = machine.config.rocketchat.license_file.as_ref();
    path.map_or_else(|| "`license_file`".into(), |path| format!("`{}`", path.display()))
}

fn has(modules: &[String]) -> bool {
    modules.iter().any(|module| module == FEDERATION)
}

/// Whether Rocket.Chat gives its keys, through the gateway where that ends TLS; the inner error is what is wrong.
pub(crate) async fn keys(machine: &Machine) -> Result<Result<(), String>> {
    const PATH: &str = "/_matrix/key/v2/server";
    let config = &machine.config;
    let answer = if config.proxy == Proxy::Gateway {
        let Some(base) = machine.url(Service::Gateway, 443).await? else {
            return Ok(Err("the gateway does not run".into()));
        };
        let host = render::delegate(config).as_str();
        tls::get(base.trim_start_matches("http://"), host, PATH).await.ok_or(NO_GATEWAY_ANSWER.to_owned())
    } else {
        let Some(base) = machine.url(Service::Rocketchat, 3000).await? else {
            return Ok(Err("Rocket.Chat does not run".into()));
        };
        machine.host.get(&format!("{base}{PATH}")).await.map_err(|error| error.to_string())
    };
    Ok(match answer {
        Ok((200, body)) => judge(&body, config.names.federated.as_str(), clock::now().as_millisecond()),
        Ok((status, body)) => {
            let said =
                serde_json::from_str::<Value>(&body).ok().and_then(|body| body["error"].as_str().map(str::to_owned));
            let said = said.unwrap_or_else(|| body.chars().take(60).collect());
            Err(format!("status {status} to {PATH}: {said}"))
        }
        Err(why) => Err(why),
    })
}

fn judge(body: &str, name: &str, now: i64) -> Result<(), String> {
    let Ok(keys) = ServerKeys::read(body.as_bytes()) else { return Err("what it answers are no keys".into()) };
    match keys.server_name.as_deref() {
        Some(own) if own != name => Err(format!("its keys are those of {own}")),
        _ if keys.are_good(name, now) => Ok(()),
        _ => Err("its keys are not signed as they should be, or have expired".into()),
    }
}

/// Whether the web site on the federated domain sends other servers here.
async fn delegated(machine: &Machine) -> Result<Result<(), String>> {
    let config = &machine.config;
    let name = machine.server_name()?;
    let seen = discovery::find(&name, &machine.eyes()?, Until::now() + PATIENCE / 2).await;
    let wanted = format!("{}:443", render::delegate(config));
    let said: Vec<String> =
        seen.well_known.iter().filter_map(|fetch| fetch.outcome.as_ref().ok()).map(ToString::to_string).collect();
    Ok(match said.iter().find(|said| **said != wanted) {
        Some(other) => Err(wrong_way(other, &wanted)),
        None if said.is_empty() => Err(NO_DOCUMENT.into()),
        None => Ok(()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_another_name_or_without_signature_are_none() {
        let told: Vec<String> = [
            "<html>",
            r#"{"server_name":"old.example","verify_keys":{}}"#,
            r#"{"server_name":"example.org","verify_keys":{"ed25519:0":{"key":"AAAA"}},"valid_until_ts":9}"#,
        ]
        .map(|body| judge(body, "example.org", 1).unwrap_err())
        .into();
        insta::assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn how_far_it_goes() {
        let name = DomainName::parse("example.org").unwrap();
        let way = wrong_way("old.example:443", "matrix.example.org:443");
        let told = [
            proven(&name),
            silent(&name, NO_GATEWAY_ANSWER).message(),
            not_sent(&name, &way),
            not_sent(&name, NO_DOCUMENT),
            format!("  hint: {LET_IT}"),
            unanswered(&name),
        ];
        insta::assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn what_the_licence_lacks_is_said_with_the_file_to_change() {
        let error = |modules: &[&str]| NoFederation {
            file: "`/root/license`".into(),
            modules: modules.iter().map(|module| (*module).into()).collect(),
        };
        let errors = [
            error(&[]).into(),
            error(&["auditing", "oauth-enterprise"]).into(),
            refused("`/root/license`", "Invalid license"),
            silent(&DomainName::parse("example.org").unwrap(), "the gateway does not run"),
        ];
        insta::assert_snapshot!(crate::error::told(errors));
    }
}
