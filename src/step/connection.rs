//! The container of a Rocket.Chat that somebody else runs, on rcfed's network. It is neither stopped nor made anew: only
//! another network comes to those it has.

use super::State;
use super::error::StepError;
use super::words;
use crate::config::{Existing, Service};
use crate::error::Result;
use crate::machine::Machine;
use crate::topology::NETWORK;

/// The name under which the gateway, the homeserver and the relay look for it.
const ALIAS: Service = Service::Rocketchat;

pub(super) async fn inspect(machine: &Machine) -> Result<State> {
    let Some(name) = container(machine) else { return Ok(State::Current) };
    let Some(found) = machine.docker.foreign(name).await? else {
        return Ok(State::Differs(format!("there is no container `{name}`")));
    };
    Ok(match found.networks.get(NETWORK) {
        None => State::Absent,
        Some((_, names)) if names.iter().any(|known| known == ALIAS.name()) => State::Current,
        Some(_) => State::Differs(words::not_as(name, ALIAS)),
    })
}

pub(super) async fn apply(machine: &Machine) -> Result<String> {
    let Some(name) = container(machine) else { return Ok(String::new()) };
    let Some(found) = machine.docker.foreign(name).await? else {
        return Err(StepError::NoContainer(name.into()).into());
    };
    if found.networks.contains_key(NETWORK) {
        machine.docker.disconnect(name).await?;
    }
    machine.docker.connect(name, ALIAS.name()).await?;
    Ok(String::new())
}

/// The container's name, where Rocket.Chat is in one.
pub(super) fn container(machine: &Machine) -> Option<&str> {
    match &machine.config.rocketchat.existing {
        Some(Existing::Container(name)) => Some(name),
        _ => None,
    }
}
