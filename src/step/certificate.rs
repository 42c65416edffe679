//! The certificate for all names the gateway serves.

use super::State;
use crate::acme::{self, Options};
use crate::domain::DomainName;
use crate::error::Result;
use crate::host::fs;
use crate::layout;
use crate::machine::Machine;
use crate::ui::Task;

pub(super) fn inspect(machine: &Machine) -> Result<State> {
    Ok(match acme::Store::new(machine.path(layout::CERTIFICATE)).load()? {
        None => State::Absent,
        Some(pair) if !pair.covers(&names(machine)) => State::Differs("it does not cover all names".into()),
        Some(pair) if pair.due(jiff::Timestamp::now()) => State::Differs("it is due for renewal".into()),
        Some(_) => State::Current,
    })
}

pub(super) async fn apply(machine: &Machine, task: &Task) -> Result<String> {
    let pair = acme::obtain(&options(machine)?, &names(machine), task).await?;
    acme::Store::new(machine.path(layout::CERTIFICATE)).save(&pair)?;
    Ok(String::new())
}

pub(crate) fn names(machine: &Machine) -> Vec<DomainName> {
    machine.config.names.served().into_iter().cloned().collect()
}

pub(crate) fn options(machine: &Machine) -> Result<Options> {
    let acme = &machine.config.acme;
    let ca_pem = match &acme.ca {
        None => None,
        Some(path) => fs::read(path)?,
    };
    Ok(Options {
        directory: acme.directory.clone(),
        staging: acme.staging.clone(),
        ca_pem,
        email: machine.config.email.clone(),
        acme_dir: machine.path(layout::ACME),
        challenge_dir: machine.path(layout::CHALLENGES),
    })
}
