//! A deployment's look at itself through its public names: with its own key, and with its chat.
//!
//! A machine behind a router often cannot reach its own public address. That says nothing about others, so the same look is
//! then taken through the gateway's own address, and told as that. What nobody outside reaches either stays a failure.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use futures_util::future::{join, join_all};
use tokio::time::Instant;

use super::{Sight, judge, reach, table};
use crate::config::{Apex, Service};
use crate::doctor::OUTBOUND;
use crate::doctor::check::Place;
use crate::doctor::engine::{Ended, Outcome};
use crate::error::Result;
use crate::finding::{Finding, Status};
use crate::host::net;
use crate::machine::Machine;
use crate::matrix::probe::chat::{self, ChatSeen};
use crate::matrix::server_name::ServerName;
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
    /// A federation tester outside reaches this machine.
    pub reached: bool,
    /// Rocket.Chat federates by itself, so there is nothing for Matrix clients.
    pub without_homeserver: bool,
}

/// A finished look of a deployment at itself.
pub struct Seen {
    look: Look,
    own: Own,
    around: Option<Around>,
    at: jiff::Timestamp,
}

/// The same through the gateway's own address, where a public one does not answer from here and the gateway does.
struct Around {
    look: Look,
    chat: Vec<ChatSeen>,
    instead: Vec<(IpAddr, IpAddr)>,
    /// An interface has such an address, so no router stands between: only a tester outside can say that others reach it.
    inside: bool,
}

/// Looks. The error is what keeps it from being tried at all.
pub async fn see(machine: &Machine, public_resolvers: Arc<[SocketAddr]>) -> Result<Seen> {
    let names = &machine.config.names;
    let name = machine.server_name()?;
    // Whether the records are right is asked by another check.
    let mut eyes = machine.eyes()?;
    eyes.public_resolvers = public_resolvers;
    let secrets = machine.secrets.get(SecretName::SigningKey)?.zip(machine.secrets.get(SecretName::SigningKeyId)?);
    let signing_key = secrets.map(|(seed, id)| SigningKey::from_secrets(seed, id)).transpose()?;
    let wishes = Wishes { signing_key, chat: false, ..Wishes::default() };
    let (look, chat) = both(&name, names.chat.as_str(), &eyes, &wishes).await;
    // Rocket.Chat at its own address is another machine's.
    let here = |chat: &[ChatSeen]| if names.chat_elsewhere { Vec::new() } else { chat.to_vec() };
    let mut silent = silent(&look, &here(&chat));
    if names.apex == Apex::Elsewhere {
        // The other web site is not behind our gateway.
        silent.retain(|address| chat.iter().any(|seen| seen.address == *address));
    }
    let gateway = if silent.is_empty() { None } else { gateway(machine).await? };
    let mut around = None;
    if let Some(gateway) = gateway {
        eyes.instead = Arc::new(silent.iter().map(|public| (*public, gateway)).collect());
        let (look, chat) = both(&name, names.chat.as_str(), &eyes, &wishes).await;
        if self::silent(&look, &here(&chat)).is_disjoint(&silent) {
            let instead = silent.iter().map(|public| (*public, gateway)).collect();
            let inside = silent.iter().any(|public| net::has(Path::new("/"), *public));
            around = Some(Around { look, chat, instead, inside });
        }
    }
    let without_homeserver = !machine.config.profile.has_homeserver();
    let own = Own { chat_host: names.chat.to_string(), chat, without_homeserver, ..Own::default() };
    Ok(Seen { look, own, around, at: jiff::Timestamp::now() })
}

/// The outcomes of every row beside those from inside: what a failure inside explains is not told again. Without a
/// `homeserver` Rocket.Chat is what answers other servers. `reached` is what a federation tester outside says, if one was
/// asked and could say.
pub fn beside(
    seen: Result<Seen>,
    reached: Option<bool>,
    inside: &[Outcome],
    only: &[&'static str],
    homeserver: bool,
) -> Vec<Outcome> {
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
    let Seen { mut look, mut own, around, at } = seen;
    own.reached = reached == Some(true);
    // What neither we nor somebody outside can reach is not the fault of a router that leads nothing back in.
    if let Some(around) = around.filter(|around| reached.unwrap_or(!around.inside)) {
        (look, own.chat, own.instead) = (around.look, around.chat, around.instead);
    }
    let sight = Sight { look: &look, now: at.as_millisecond(), own: Some(&own) };
    let explained = |outcome: Outcome| {
        // The chat does not need the homeserver, nor the other way round.
        let other = if outcome.place == Place::Rocketchat { Place::Homeserver } else { Place::Rocketchat };
        let counts = |place: Place| !homeserver || (place != other && place != Place::Bridge);
        // That it does not reach others keeps nobody from reaching it.
        let explains = |there: &&Outcome| counts(there.place) && there.id != OUTBOUND;
        let cause = inside.iter().filter(explains).find_map(cause);
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

/// Addresses that were tried and did not take a single connection. Where this machine has no IPv6, nothing was tried.
fn silent(look: &Look, chat: &[ChatSeen]) -> BTreeSet<IpAddr> {
    let documents = look.discovery.well_known.iter().map(|fetch| (fetch.address, fetch.silence()));
    let targets = look.targets.iter().map(|seen| (seen.target.address, reach::silent(seen)));
    let chats = chat.iter().map(|seen| (seen.address, seen.info.as_ref().err()));
    let tried = documents.chain(targets).chain(chats);
    let (silent, others): (Vec<_>, Vec<_>) = tried.partition(|(address, trouble)| {
        trouble.is_some_and(|trouble| trouble.is_silence() && !reach::is_no_ipv6(*address, trouble))
    });
    let others: BTreeSet<IpAddr> = others.into_iter().map(|(address, _)| address).collect();
    silent.into_iter().map(|(address, _)| address).filter(|address| !others.contains(address)).collect()
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
