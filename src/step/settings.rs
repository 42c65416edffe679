//! Federation settings of a Rocket.Chat that somebody else runs, written over REST and read back; before the first one is
//! written, all are kept as they were.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::error::StepError;
use super::words;
use super::{State, account, federation};
use crate::adopt::{self, SETTINGS};
use crate::answers::{Answers, Key};
use crate::config::Existing;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::host::authorities::Authorities;
use crate::host::docker::Docker;
use crate::host::fs::{self, Access};
use crate::host::secrets::SecretStore;
use crate::layout;
use crate::machine::Machine;
use crate::receipt::Undo;
use crate::rocketchat::{Client, RestError, Url};
use crate::secrets::SecretName;

const WELL_KNOWN: &str = "Federation_Matrix_serve_well_known";
/// Tells one workspace from another.
const UNIQUE: &str = "uniqueID";
const ENABLED: &str = "Federation_Matrix_enabled";

pub(super) fn undo(existing: &Existing) -> Undo {
    Undo::RestoreSettings { of: existing.name().into(), backup: layout::SETTINGS_BEFORE.into() }
}

pub(super) async fn inspect(machine: &Machine) -> Result<State> {
    let Some(client) = account::with_token(machine).await? else { return Ok(State::Absent) };
    for (id, value) in wanted(machine)? {
        match client.setting(id).await {
            Ok(found) if found == value => {}
            Err(RestError::Refused { .. }) if id == WELL_KNOWN => {}
            _ => return Ok(State::Absent),
        }
    }
    Ok(State::Current)
}

pub(super) async fn apply(machine: &Machine) -> Result<String> {
    let Some(client) = account::with_token(machine).await? else {
        return Err(StepError::NoAccess.into());
    };
    keep(machine, &client).await?;
    let mut written = 0;
    for (id, value) in wanted(machine)? {
        let found = match client.setting(id).await {
            Ok(found) => found,
            // It came later than the bridge (pull request 31965); a version without it serves nothing.
            Err(RestError::Refused { .. }) if id == WELL_KNOWN => continue,
            Err(error) => return Err(error.into()),
        };
        if found == value {
            continue;
        }
        client.set_setting(id, value.clone()).await?;
        let now = client.setting(id).await?;
        if now != value {
            return Err(StepError::Overwritten(id).into());
        }
        written += 1;
    }
    Ok(words::written(written, SETTINGS.len()))
}

/// What is written, the switch last: the bridge starts with everything else in place.
fn wanted(machine: &Machine) -> Result<Vec<(&'static str, Value)>> {
    let mut all = federation::expected(machine)?;
    all.push((WELL_KNOWN, json!(false)));
    all.sort_by_key(|(id, _)| SETTINGS.iter().position(|known| known == id));
    Ok(all)
}

/// Every setting that may be written, as it is now; never over what an earlier run kept.
async fn keep(machine: &Machine, client: &Client) -> Result<()> {
    let path = machine.path(layout::SETTINGS_BEFORE);
    if let Some(text) = fs::read_text(&path)? {
        let kept: BTreeMap<String, Value> = serde_json::from_str(&text).unwrap_or_default();
        if kept.get(UNIQUE) == Some(&client.setting(UNIQUE).await?) {
            return Ok(());
        }
        return Err(StepError::AnotherRocketchat.into());
    }
    let mut before = BTreeMap::new();
    for id in SETTINGS.into_iter().chain([UNIQUE]) {
        match client.setting(id).await {
            Ok(value) => _ = before.insert(id, value),
            Err(RestError::Refused { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let text = serde_json::to_vec_pretty(&before).unwrap_or_default();
    Ok(fs::write(&path, &text, Access::root(0o600))?)
}

/// Puts the settings back that were kept, and gives rcfed's token back. What another version does not know any more is
/// passed over.
pub(crate) async fn restore(host: &Host, docker: Option<&Docker>, of: &str) -> Result<()> {
    let path = host.path(layout::SETTINGS_BEFORE);
    // One that was made anew under another name is in the receipt twice.
    let Some(text) = fs::read_text(&path)? else { return Ok(()) };
    let Ok(before) = serde_json::from_str::<BTreeMap<String, Value>>(&text) else {
        return Err(StepError::RestoreUnreadable(path).into());
    };
    let existing = match of.contains("://") {
        true => Existing::Elsewhere { url: of.into(), bridge: String::new() },
        false => Existing::Container(of.into()),
    };
    let skip = |why: String| Error::from(StepError::Restore { why, path: path.clone() });
    let Some(base) = adopt::address(docker, &existing).await? else {
        return Err(skip(format!("`{of}` does not run")));
    };
    let Some(token) = SecretStore::new(host).get(SecretName::PersonalAccessToken)? else {
        return Err(skip("rcfed has no token of it".into()));
    };
    let url = Url::parse(&base).map_err(|error| skip(error.to_string()))?;
    let client = Client::new(url, authorities(host).as_deref())?.with_token(&token)?;
    // The bridge stops before its settings go, or starts after they came.
    let stops_first = before.get(ENABLED) == Some(&json!(false));
    let mut all: Vec<(&String, &Value)> = before.iter().filter(|(id, _)| id.as_str() != UNIQUE).collect();
    all.sort_by_key(|(id, _)| (id.as_str() == ENABLED) != stops_first);
    for (id, value) in all {
        match client.setting(id).await {
            Ok(now) if now == *value => {}
            Ok(_) => client.set_setting(id, value.clone()).await.map_err(|error| skip(Error::from(error).message()))?,
            Err(RestError::Refused { .. }) => {}
            Err(error) => return Err(skip(Error::from(error).message())),
        }
    }
    fs::remove(&path)?;
    // Whoever comes back later takes a new one.
    let _ = client.revoke_token().await;
    Ok(())
}

/// Whom the federation trusts besides, as the configuration says it; what cannot be read is no reason to keep anything.
fn authorities(host: &Host) -> Option<String> {
    let answers = Answers::from_file(&host.path(layout::CONFIG)).ok()?;
    let file = answers.text(Key::FederationCa)?;
    Some(Authorities::read(file.as_ref()).ok()?.pem)
}
