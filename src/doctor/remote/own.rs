//! A deployment's look at itself through its public names: with its own key, and with its chat.
//!
//! A machine behind a router often cannot reach its own public address. That says nothing about others, so the same look is
//! then taken through the gateway's own address, and told as that.

use std::net::IpAddr;
use std::sync::Arc;

use futures_util::future::{join, join_all};
use tokio::time::Instant;

use super::{Sight, judge, reach, table};
use crate::config::Service;
use crate::doctor::check::Place;
use crate::doctor::engine::{Ended, Outcome};
use crate::error::{Error, Result};
use crate::finding::{Finding, Status};
use crate::machine::Machine;
use crate::matrix::probe::chat::{self, ChatSeen};
use crate::matrix::server_name::{NameError, ServerName};
use crate::matrix::signing_key::SigningKey;
use crate::matrix::{Eyes, Look, Wishes, look};
use crate::secrets::SecretName;

/// What only the server's own machine sees.
#[derive(Clone, Debug, Default)]
pub struct Own {
    /// The chat's public name.
    pub chat_host: String,
    /// Rocket.Chat at each of its addresses.
    pub chat: Vec<ChatSeen>,
    /// Public addresses that do not answer from here, and the gateway's address that was asked instead.
    pub instead: Vec<(IpAddr, IpAddr)>,
    /// Rocket.Chat federates by itself, so there is nothing for Matrix clients.
    pub without_homeserver: bool,
}

/// A finished look of a deployment at itself.
pub struct Seen {
    look: Look,
    own: Own,
    at: jiff::Timestamp,
}

/// Looks. The error is what keeps it from being tried at all.
pub async fn see(machine: &Machine) -> Result<Seen> {
    let names = &machine.config.names;
    let name = ServerName::parse(names.federated.as_str()).map_err(|error| no_name(&error))?;
    // Whether the records are right is asked by another check.
    let mut eyes = machine.eyes()?;
    let secrets = machine.secrets.get(SecretName::SigningKey)?.zip(machine.secrets.get(SecretName::SigningKeyId)?);
    let signing_key = secrets.map(|(seed, id)| SigningKey::from_secrets(seed, id)).transpose()?;
    let wishes = Wishes { signing_key, chat: false, ..Wishes::default() };
    let (mut seen, mut chat) = both(&name, names.chat.as_str(), &eyes, &wishes).await;
    let mut instead = Vec::new();
    if blocked(&seen)
        && let Some(gateway) = gateway(machine).await?
    {
        let publics = publics(&seen).into_iter().chain(chat.iter().map(|seen| seen.address));
        eyes.instead = Arc::new(publics.map(|public| (public, gateway)).collect());
        let (through, chat_through) = both(&name, names.chat.as_str(), &eyes, &wishes).await;
        if !blocked(&through) {
            instead = eyes.instead.iter().map(|(public, gateway)| (*public, *gateway)).collect();
            (seen, chat) = (through, chat_through);
        }
    }
    let without_homeserver = !machine.config.profile.has_homeserver();
    let own = Own { chat_host: names.chat.to_string(), chat, instead, without_homeserver };
    Ok(Seen { look: seen, own, at: jiff::Timestamp::now() })
}

fn no_name(error: &NameError) -> Error {
    Error::new(
        format!("the federated domain is no server name: {error}"),
        "see `federated_domain` in the configuration",
    )
}

/// The outcomes of every row beside those from inside: what a failure inside explains is not told again. Without a
/// `homeserver` Rocket.Chat is what answers other servers.
pub fn beside(seen: Result<Seen>, inside: &[Outcome], only: &[&'static str], homeserver: bool) -> Vec<Outcome> {
    let seen = match seen {
        Ok(seen) => seen,
        Err(error) => {
            let id = "reach.server";
            let finding = Finding::unknown(id, "this machine", error.message());
            return vec![Outcome {
                id,
                place: Place::Proxy,
                result: Ended::Found(vec![finding]),
                took: std::time::Duration::ZERO,
            }];
        }
    };
    let sight = Sight { look: &seen.look, now: seen.at.as_millisecond(), own: Some(&seen.own) };
    let explained = |outcome: Outcome| {
        // The chat does not need the homeserver, nor the other way round.
        let other = if outcome.place == Place::Rocketchat { Place::Homeserver } else { Place::Rocketchat };
        let counts = |place: Place| !homeserver || (place != other && place != Place::Bridge);
        let cause = inside.iter().filter(|there| counts(there.place)).find_map(cause);
        match cause {
            Some(cause) => Outcome { result: Ended::Skipped(cause), ..outcome },
            None => outcome,
        }
    };
    judge(&sight, only).into_iter().map(explained).collect()
}

/// Whether nothing at all answers at the public addresses, as behind a router without a way back in.
pub fn blocked(look: &Look) -> bool {
    let documents = &look.discovery.well_known;
    !look.targets.is_empty()
        && documents.iter().all(|fetch| !fetch.reached())
        && look.targets.iter().all(|seen| reach::silent(seen).is_some())
}

/// Whether `only` picks a row of this table at all.
pub fn wanted(only: &[&'static str]) -> bool {
    only.is_empty() || table().iter().any(|row| only.contains(&row.id))
}

fn cause(outcome: &Outcome) -> Option<&'static str> {
    match &outcome.result {
        Ended::Skipped(cause) => Some(cause),
        Ended::Found(found) => found.iter().any(|finding| finding.status == Status::Fail).then_some(outcome.id),
    }
}

async fn both(name: &ServerName, chat: &str, eyes: &Eyes, wishes: &Wishes) -> (Look, Vec<ChatSeen>) {
    let until = Instant::now() + wishes.deadline;
    let chats = async {
        let view = eyes.host(chat, until).await;
        let addresses: Vec<IpAddr> = [view.a, view.aaaa].into_iter().flatten().flatten().collect();
        join_all(addresses.into_iter().map(|address| chat::look(chat, address, eyes, until))).await
    };
    join(look(name, eyes, wishes), chats).await
}

pub(super) fn publics(look: &Look) -> Vec<IpAddr> {
    let documents = look.discovery.well_known.iter().map(|fetch| fetch.address);
    let mut all: Vec<IpAddr> = documents.chain(look.targets.iter().map(|seen| seen.target.address)).collect();
    // The delegate is known only once the document was read; its addresses are those of the same machine.
    all.extend(look.discovery.hosts.iter().flat_map(|seen| [&seen.view.a, &seen.view.aaaa]).flatten().flatten());
    all.sort();
    all.dedup();
    all
}

async fn gateway(machine: &Machine) -> Result<Option<IpAddr>> {
    let url = machine.url(Service::Gateway, 443).await?;
    let address = url.as_deref().and_then(|url| url.strip_prefix("http://")?.parse::<std::net::SocketAddr>().ok());
    Ok(address.map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        let error = ServerName::parse("exam ple.org").unwrap_err();
        insta::assert_snapshot!(crate::error::told([no_name(&error)]));
    }
}
