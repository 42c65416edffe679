//! The certificate for all names the gateway serves.

use super::State;
use crate::acme::{self, AcmeError, Options};
use crate::clock;
use crate::dns::Lookup;
use crate::error::{Error, Explain, Result};
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
        Some(Ok(certificate)) if certificate.due(clock::now()) => State::Differs("it is due for renewal".into()),
        Some(Ok(certificate)) if !certificate.has_begun(clock::now()) => State::Differs(format!(
            "it is valid from {} on, and this machine's clock says {}",
            certificate.not_before.strftime("%Y-%m-%d %H:%M UTC"),
            clock::now().strftime("%Y-%m-%d %H:%M UTC")
        )),
        Some(Ok(_)) => State::Current,
    })
}

pub(super) async fn apply(machine: &Machine) -> Result<String> {
    let store = acme::Store::new(machine.path(layout::CERTIFICATE));
    // A certificate that cannot be kept would count at the authority all the same.
    store.room()?;
    match acme::obtain(&options(machine)?, &store, &machine.config.names.served(), &machine.ui).await {
        Ok(_) => Ok(String::new()),
        Err(error) => Err(with_facts(machine, error).await),
    }
}

/// Sets what DNS and port 80 say here beside each name the authority refused: it is either the cause, or proof that the
/// cause lies between the authority and this machine.
pub(crate) async fn with_facts(machine: &Machine, error: AcmeError) -> Error {
    let hint = error.hint().unwrap_or_else(|| "run `sudo rcfed apply` to try again".into());
    let refusals = error.refusals().to_vec();
    let mut message = Error::from(error).message();
    let lookup = Lookup::new(&machine.host);
    for refusal in refusals {
        let seen = lookup.name(&refusal.name).await.resolver;
        let addresses: Vec<String> =
            [seen.a, seen.aaaa].into_iter().flatten().flatten().map(|ip| ip.to_string()).collect();
        let dns = if addresses.is_empty() { "no address".into() } else { addresses.join(", ") };
        let url = format!("http://{}/.well-known/acme-challenge/rcfed-looks", refusal.name);
        let port = match machine.host.get(&url).await {
            Ok((404, _)) => "answers from here".into(),
            Ok((status, _)) => format!("answers {status} from here, which is not rcfed's gateway"),
            Err(silence) => format!("does not answer from here ({silence})"),
        };
        message.push_str(&format!("\n  {}: DNS says {dns}; port 80 {port}", refusal.name));
    }
    Error::new(message, hint)
}

pub(crate) fn options(machine: &Machine) -> Result<Options> {
    Ok(Options { rehearse: true, ..Options::of(&machine.config, &machine.host)? })
}
