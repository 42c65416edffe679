//! The certificate for all names the gateway serves.

use super::State;
use crate::acme::{self, Options};
use crate::error::Result;
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
    Ok(Options { rehearse: true, ..Options::of(&machine.config, &machine.host)? })
}
