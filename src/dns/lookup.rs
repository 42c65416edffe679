//! What the world sees under a name: through this machine's resolver, and straight from the zone's own servers.
//!
//! Both matter. A certificate authority asks the zone's servers; this machine's resolver may remember yesterday. Only
//! the two together tell "wrong" from "not everywhere yet".

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all, join3};
use hickory_resolver::proto::op::Message;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use tokio::time::timeout;

use super::caa::{self, Caa};
use super::memory::Memory;
use super::message::{Fault, Question, ask, exchange, judged};
use crate::domain::DomainName;
use crate::host::Host;

/// Where questions go, and how long they may take.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// The resolvers, asked in this order until one answers.
    pub resolvers: Vec<SocketAddr>,
    /// The port of the zones' own servers; 53 except in tests.
    pub port: u16,
    /// The most a single question may take; 3 s.
    pub each: Duration,
    /// The most everything about a name may take; 8 s.
    pub overall: Duration,
    /// Answers that are not asked for again at once.
    pub memory: Memory,
}

/// Everything seen under one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What this machine's resolver says.
    pub resolver: View,
    /// What the zone's own servers say; empty if they could not be found.
    pub authoritative: Vec<ServerView>,
    /// Who may issue certificates.
    pub caa: Caa,
}

/// What one server says about a name.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct View {
    /// IPv4 addresses, sorted; none and no fault means that the name exists without any.
    pub a: Answer,
    /// IPv6 addresses, likewise.
    pub aaaa: Answer,
    /// The CNAMEs that were followed, without final dots.
    pub aliases: Vec<String>,
}

/// The addresses of one family, or why there is no answer.
pub type Answer = Result<Vec<IpAddr>, Fault>;

/// What one of the zone's own servers says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerView {
    /// The server.
    pub server: ZoneServer,
    /// Its answer.
    pub view: View,
}

/// A server that the delegation names for a zone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ZoneServer {
    /// Its name, without the final dot.
    pub name: String,
    /// Where it is asked.
    pub address: SocketAddr,
}

/// Servers of a zone that are asked; a zone rarely has more, and they hold the same data.
const MOST_SERVERS: usize = 6;

impl Lookup {
    /// Asks [`Host::nameserver`], or else the resolvers of `/etc/resolv.conf`.
    pub fn new(host: &Host) -> Self {
        Self::at(host.nameserver)
    }

    /// Asks this resolver, or else those of `/etc/resolv.conf`.
    pub fn at(resolver: Option<SocketAddr>) -> Self {
        let resolvers = resolver.map_or_else(system_resolvers, |server| vec![server]);
        let (each, overall) = (Duration::from_secs(3), Duration::from_secs(8));
        Self { resolvers, port: 53, each, overall, memory: Memory::default() }
    }

    /// Looks every name up, each once, all at the same time. Takes [`Lookup::overall`] at most; what is not known by then is a
    /// [`Fault::Timeout`].
    pub async fn all<'a>(&self, names: impl IntoIterator<Item = &'a DomainName>) -> BTreeMap<DomainName, Seen> {
        let names: BTreeSet<&DomainName> = names.into_iter().collect();
        let looked = names.into_iter().map(|name| async move { (name.clone(), self.name(name).await) });
        join_all(looked).await.into_iter().collect()
    }

    /// Looks one name up.
    pub async fn name(&self, name: &DomainName) -> Seen {
        let (resolver, caa, authoritative) = join3(
            timeout(self.overall, self.resolved(name)),
            timeout(self.overall, caa::climb(self, name)),
            timeout(self.overall, async { self.authoritative(name, &self.servers(name).await).await }),
        )
        .await;
        let silence = View { a: Err(Fault::Timeout), aaaa: Err(Fault::Timeout), aliases: Vec::new() };
        Seen {
            resolver: resolver.unwrap_or(silence),
            authoritative: authoritative.unwrap_or_default(),
            caa: caa.unwrap_or_else(|_| Caa::Unknown { at: name.to_string(), fault: Fault::Timeout }),
        }
    }

    /// The servers of the closest zone that holds `name`; empty if no resolver could name them.
    pub async fn servers(&self, name: &DomainName) -> Vec<ZoneServer> {
        let asked = ancestors(name).into_iter().map(|zone| async move {
            let answer = self.resolve(&zone, RecordType::NS).await.ok()?;
            let servers =
                answer.answers.iter().filter(|record| record.name == zone).filter_map(|record| {
                    if let RData::NS(server) = &record.data { Some(server.0.clone()) } else { None }
                });
            Some(servers.collect::<BTreeSet<_>>()).filter(|servers| !servers.is_empty())
        });
        let closest = join_all(asked).await.into_iter().flatten().next().unwrap_or_default();
        let located = closest.into_iter().take(MOST_SERVERS).map(|server| async move {
            let (v4, v6) =
                join(self.addresses(&server, RecordType::A), self.addresses(&server, RecordType::AAAA)).await;
            let address = [v4, v6].into_iter().find_map(|(answer, _)| answer.ok()?.into_iter().next())?;
            Some(ZoneServer { name: plain(&server), address: SocketAddr::new(address, self.port) })
        });
        join_all(located).await.into_iter().flatten().collect()
    }

    /// What each of `servers` says itself about `name`. An alias that leaves the zone is followed through the resolver.
    pub async fn authoritative(&self, name: &DomainName, servers: &[ZoneServer]) -> Vec<ServerView> {
        let name = &absolute(name);
        let views = servers.iter().map(|server| async move {
            let (a, aaaa) =
                join(self.authority(server, name, RecordType::A), self.authority(server, name, RecordType::AAAA)).await;
            ServerView { server: server.clone(), view: View::new(a, aaaa) }
        });
        join_all(views).await
    }

    /// What the resolvers say; that there is no such name is a fault.
    pub(super) async fn resolve(&self, name: &Name, kind: RecordType) -> Result<Arc<Message>, Fault> {
        let message = self.answered(name, kind).await?;
        judged(&message).map(|()| message)
    }

    /// The resolvers' own answer, be it that there is no such name.
    pub(super) async fn answered(&self, name: &Name, kind: RecordType) -> Result<Arc<Message>, Fault> {
        // Many of these wait at the same time, each with room for a packet.
        self.memory.or_ask(name, kind, Box::pin(self.ask(name, kind))).await
    }

    /// Asks the resolvers in turn; only an answer, or the news that there is none, ends the round.
    async fn ask(&self, name: &Name, kind: RecordType) -> Result<Message, Fault> {
        let question = Question { name: name.clone(), kind, recursive: true, unchecked: false, signed: false };
        let mut last = Fault::Unreachable("no resolver is configured".into());
        for server in &self.resolvers {
            let answer = exchange(*server, &question, self.each).await;
            match answer.as_ref().map_err(Clone::clone).and_then(judged) {
                Ok(()) | Err(Fault::NxDomain) => return answer,
                Err(Fault::ServFail { .. }) => {
                    let unchecked = Question { unchecked: true, ..question.clone() };
                    let bogus = matches!(ask(*server, &unchecked, self.each).await, Ok(_) | Err(Fault::NxDomain));
                    last = Fault::ServFail { bogus };
                }
                Err(fault) => last = fault,
            }
        }
        Err(last)
    }

    async fn resolved(&self, name: &DomainName) -> View {
        let name = absolute(name);
        let (a, aaaa) = join(self.addresses(&name, RecordType::A), self.addresses(&name, RecordType::AAAA)).await;
        View::new(a, aaaa)
    }

    pub(super) async fn addresses(&self, name: &Name, kind: RecordType) -> (Answer, Vec<Name>) {
        match self.resolve(name, kind).await {
            Ok(message) => {
                let (addresses, aliases) = follow(&message, name);
                (Ok(addresses), aliases)
            }
            Err(fault) => (Err(fault), Vec::new()),
        }
    }

    async fn authority(&self, server: &ZoneServer, name: &Name, kind: RecordType) -> (Answer, Vec<Name>) {
        let question = Question { name: name.clone(), kind, recursive: false, unchecked: false, signed: false };
        let message = match ask(server.address, &question, self.each).await {
            Ok(message) => message,
            Err(fault) => return (Err(fault), Vec::new()),
        };
        if !message.metadata.authoritative && message.answers.is_empty() {
            return (Err(Fault::Lame), Vec::new());
        }
        let (addresses, mut aliases) = follow(&message, name);
        match aliases.last().cloned() {
            Some(target) if addresses.is_empty() => {
                let (answer, further) = self.addresses(&target, kind).await;
                aliases.extend(further);
                (answer, aliases)
            }
            _ => (Ok(addresses), aliases),
        }
    }
}

impl View {
    pub(super) fn new((a, aliases): (Answer, Vec<Name>), (aaaa, others): (Answer, Vec<Name>)) -> Self {
        let aliases = if aliases.is_empty() { others } else { aliases };
        Self { a, aaaa, aliases: aliases.iter().map(plain).collect() }
    }
}

/// The addresses at the end of the chain of CNAMEs in an answer, and the chain.
fn follow(message: &Message, name: &Name) -> (Vec<IpAddr>, Vec<Name>) {
    let mut aliases: Vec<Name> = Vec::new();
    let end = end_of_chain(message, name, &mut aliases);
    let addresses: BTreeSet<IpAddr> =
        message.answers.iter().filter(|record| record.name == end).filter_map(|record| record.data.ip_addr()).collect();
    (addresses.into_iter().collect(), aliases)
}

/// The name that the CNAMEs of an answer lead to; each step is added to `aliases`.
pub(super) fn end_of_chain(message: &Message, name: &Name, aliases: &mut Vec<Name>) -> Name {
    let mut end = name.clone();
    while let Some(target) = message.answers.iter().find_map(|record| match &record.data {
        RData::CNAME(target) if record.name == end => Some(target.0.clone()),
        _ => None,
    }) {
        if aliases.contains(&target) {
            break;
        }
        aliases.push(target.clone());
        end = target;
    }
    end
}

/// `name` and the domains above it, the longest first, down to the top-level domain; each absolute.
pub(super) fn ancestors(name: &DomainName) -> Vec<Name> {
    let name = absolute(name);
    (1..=usize::from(name.num_labels())).rev().map(|labels| name.trim_to(labels)).collect()
}

/// The absolute form, so that no search list is ever tried. A [`DomainName`] is always a DNS name; the root stands in
/// for the impossible.
fn absolute(name: &DomainName) -> Name {
    Name::from_ascii(format!("{name}.")).unwrap_or_else(|_| Name::root())
}

/// A name as people write it: lower case, without the final dot.
pub(super) fn plain(name: &Name) -> String {
    name.to_lowercase().to_ascii().trim_end_matches('.').to_owned()
}

fn system_resolvers() -> Vec<SocketAddr> {
    let servers: Vec<SocketAddr> = hickory_resolver::system_conf::read_system_conf()
        .map(|(config, _)| config.name_servers().iter().map(|server| SocketAddr::new(server.ip, 53)).collect())
        .unwrap_or_default();
    if servers.is_empty() { vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 53))] } else { servers }
}
