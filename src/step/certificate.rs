//! The certificate for all names the gateway serves.

use super::State;
use crate::acme::{self, Options};
use crate::error::Result;
use crate::host::fs;
use crate::layout;
use crate::machine::Machine;

pub(super) fn inspect(machine: &Machine) -> Result<State> {
    Ok(match acme::Store::new(machine.path(layout::CERTIFICATE)).describe()? {
        None => State::Absent,
        Some(Err(error)) => State::Differs(error.to_string()),
        Some(Ok(certificate)) if !certificate.key_matches => State::Differs("its key is another one".into()),
        Some(Ok(certificate)) if !certificate.covers(&machine.config.names.served()) => {
            State::Differs("it does not cover all names".into())
        }
        Some(Ok(certificate)) if certificate.due(jiff::Timestamp::now()) => {
            State::Differs("it is due for renewal".into())
        }
        Some(Ok(_)) => State::Current,
    })
}

pub(super) async fn apply(machine: &Machine) -> Result<String> {
    let pair = acme::obtain(&options(machine)?, &machine.config.names.served(), &machine.ui).await?;
    acme::Store::new(machine.path(layout::CERTIFICATE)).save(&pair)?;
    Ok(String::new())
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
        rehearse: true,
    })
}
