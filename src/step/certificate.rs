//! The certificate for all names the gateway serves.

use std::net::IpAddr;

use jiff::Timestamp;

use super::State;
use crate::acme::{self, AcmeError, Certificate, Options, PairError};
use crate::clock;
use crate::dns::Lookup;
use crate::domain::DomainName;
use crate::error::{Error, Explain, Result};
use crate::layout;
use crate::machine::Machine;

pub(super) fn inspect(machine: &Machine) -> Result<State> {
    let kept = acme::Store::new(machine.path(layout::CERTIFICATE)).describe()?;
    Ok(judge(kept, &machine.config.names.served(), clock::now()))
}

fn judge(kept: Option<Result<Certificate, PairError>>, names: &[&DomainName], now: Timestamp) -> State {
    let time = |time: Timestamp| time.strftime("%Y-%m-%d %H:%M UTC");
    match kept {
        None => State::Absent,
        Some(Err(error)) => State::Differs(error.to_string()),
        Some(Ok(certificate)) if !certificate.key_matches => State::Differs("its key is another one".into()),
        Some(Ok(certificate)) if !certificate.covers(names) => State::Differs("it does not cover all names".into()),
        Some(Ok(certificate)) if certificate.due(now) => State::Differs("it is due for renewal".into()),
        Some(Ok(certificate)) if !certificate.has_begun(now) => State::Differs(format!(
            "it is valid from {} on, and this machine's clock says {}",
            time(certificate.not_before),
            time(now)
        )),
        Some(Ok(_)) => State::Current,
    }
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
        let addresses: Vec<IpAddr> = [seen.a, seen.aaaa].into_iter().flatten().flatten().collect();
        let url = format!("http://{}/.well-known/acme-challenge/rcfed-looks", refusal.name);
        let answer = machine.host.get(&url).await.map(|(status, _)| status).map_err(|silence| silence.to_string());
        message.push_str(&facts(&refusal.name, &addresses, answer));
    }
    Error::new(message, hint)
}

pub(crate) fn options(machine: &Machine) -> Result<Options> {
    Ok(Options { rehearse: true, ..Options::of(&machine.config, &machine.host)? })
}

fn facts(name: &DomainName, addresses: &[IpAddr], answer: Result<u16, String>) -> String {
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let dns = if addresses.is_empty() { "no address".into() } else { addresses.join(", ") };
    let port = match answer {
        Ok(404) => "answers from here".into(),
        Ok(status) => format!("answers {status} from here, which is not rcfed's gateway"),
        Err(silence) => format!("does not answer from here ({silence})"),
    };
    format!("\n  {name}: DNS says {dns}; port 80 {port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        let name = DomainName::parse("example.org").unwrap();
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let good = Certificate {
            names: vec!["example.org".into()],
            not_before: time("2026-11-01T00:00:00Z"),
            not_after: time("2027-01-30T00:00:00Z"),
            serial: "01".into(),
            issuer: "somebody".into(),
            key_matches: true,
        };
        let judge = |certificate: Certificate, now: &str| judge(Some(Ok(certificate)), &[&name], time(now));
        let now = "2026-11-23T10:00:00Z";
        let states = [
            super::judge(None, &[&name], time(now)),
            super::judge(Some(Err(PairError::Mismatch)), &[&name], time(now)),
            judge(Certificate { key_matches: false, ..good.clone() }, now),
            judge(Certificate { names: vec!["example.net".into()], ..good.clone() }, now),
            judge(good.clone(), "2027-01-20T00:00:00Z"),
            judge(good.clone(), "2026-10-31T00:00:00Z"),
            judge(good, now),
        ];
        let addresses = ["203.0.113.9".parse().unwrap(), "2001:db8::9".parse().unwrap()];
        let seen = [
            facts(&name, &addresses, Ok(404)),
            facts(&name, &addresses, Ok(200)),
            facts(&name, &[], Err("connection refused".into())),
        ];
        let states = states.map(|state| format!("{state:?}"));
        insta::assert_snapshot!(format!("{}{}", states.join("\n"), seen.concat()));
    }
}
