//! A zone as its delegation names it, and what each of its own servers says about a host in it.
//!
//! A resolver hides this: it takes any server that answers, remembers what it heard, and says SERVFAIL for everything that
//! went wrong on the way. So the way is gone once more, from the top-level domain down, and every server that is named is
//! asked itself.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::future::{join, join_all};
use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, RecordType};

use super::lookup::{Lookup, end_of_chain, plain};
use super::message::{Fault, Question, exchange};
use super::ranges::is_private;

/// The closest zone that holds a host.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Zone {
    /// The host.
    pub host: String,
    /// The zone, without the final dot.
    pub apex: String,
    /// How long others keep the delegation, in seconds; `None` if it could not be seen from above.
    pub delegated: Option<u32>,
    /// Every server that the delegation names and that was looked at.
    pub servers: Vec<NameServer>,
    /// What this machine's resolver says of the host.
    pub resolver: Result<Own, Fault>,
}

/// One server of a zone.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct NameServer {
    /// Its name, without the final dot.
    pub name: String,
    /// What it says.
    pub said: Said,
}

/// What a server says about the host.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// It knows the zone.
    Answer(Own),
    /// It has no address; the fault, if that is not what DNS says of its name.
    NoAddress(Option<Fault>),
    /// It is reached and does not answer for the zone.
    Lame(IpAddr, Fault),
    /// It does not answer at all, or not to this machine.
    Silent(IpAddr, Fault),
    /// Its address is private; nobody outside can ask it.
    Private(IpAddr),
}

/// The answer of a zone's own server, or of a resolver.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Own {
    /// The name exists, with or without addresses.
    pub exists: bool,
    /// The addresses, sorted; none if the name is an alias for one elsewhere.
    pub addresses: BTreeSet<IpAddr>,
    /// The name is an alias that leaves what the server knows.
    pub elsewhere: bool,
    /// How long it is kept, in seconds, the news that there is none as well; from a resolver, what is left of it.
    pub ttl: u32,
}

/// Cuts between the top-level domain and a host; a way that is longer leads in a circle.
const MOST_CUTS: usize = 6;
/// Servers of a zone that are asked.
const MOST_SERVERS: usize = 6;
/// Servers that are asked for the way to the next zone.
const GUIDES: usize = 2;
/// Enough for a server that answers; a resolver waits no longer either.
const PATIENCE: Duration = Duration::from_millis(1500);

impl Lookup {
    /// The zone of `host`, and its servers. `None` if nobody could say the way: a resolver that knows no name servers, or a
    /// network that lets only resolvers ask. With `private_allowed`, servers with private addresses are asked as well.
    pub async fn zone(&self, host: &str, private_allowed: bool) -> Option<Zone> {
        let host = Name::from_ascii(format!("{host}.")).ok()?;
        let walk = Walk { lookup: self, host: &host, private_allowed };
        let (way, resolver) = join(walk.down(), walk.resolver()).await;
        let (apex, delegated, servers) = way?;
        Some(Zone { host: plain(&host), apex: plain(&apex), delegated, servers, resolver })
    }
}

/// A server's name and where it is asked.
type Place = (Name, Result<IpAddr, Option<Fault>>);
/// What came of asking a server.
type Heard = (Name, Result<Reply, Said>);

/// A delegation as seen from above.
#[derive(Clone, Debug)]
struct Cut {
    apex: Name,
    ttl: u32,
    servers: BTreeSet<Name>,
    glue: BTreeMap<Name, IpAddr>,
}

/// What one packet means.
#[derive(Clone, Debug)]
enum Reply {
    /// The server knows the zone.
    Knows(IpAddr, Own),
    /// The host lies in a zone further down.
    Below(Cut),
}

struct Walk<'a> {
    lookup: &'a Lookup,
    host: &'a Name,
    private_allowed: bool,
}

impl Walk<'_> {
    /// The closest zone, and its servers.
    async fn down(&self) -> Option<(Name, Option<u32>, Vec<NameServer>)> {
        let (mut apex, mut places) = self.start().await?;
        let mut delegated = None;
        for _ in 0..MOST_CUTS {
            let mut heard = self.ask(&apex, places.iter().take(GUIDES)).await;
            if next(&heard).is_none() {
                heard.extend(self.ask(&apex, places.iter().take(MOST_SERVERS).skip(GUIDES)).await);
            }
            let Some(cut) = next(&heard) else {
                let servers = self.servers(&apex, heard).await?;
                return Some((apex, delegated, servers));
            };
            places = self.places(&cut).await;
            (apex, delegated) = (cut.apex, Some(cut.ttl));
        }
        None
    }

    async fn resolver(&self) -> Result<Own, Fault> {
        let (a, aaaa) = join(self.resolved(RecordType::A), self.resolved(RecordType::AAAA)).await;
        let (mut own, more) = (a?, aaaa?);
        own.add(more);
        Ok(own)
    }

    async fn resolved(&self, kind: RecordType) -> Result<Own, Fault> {
        let message = self.lookup.answered(self.host, kind).await?;
        exists(&message).map(|exists| Own::of(&message, self.host, exists))
    }

    /// The highest domain above the host for which the resolver can name servers; the root is left out.
    async fn start(&self) -> Option<(Name, Vec<Place>)> {
        let labels = usize::from(self.host.num_labels());
        for count in 1..=labels {
            let zone = self.host.trim_to(count);
            let Ok(answer) = self.lookup.resolve(&zone, RecordType::NS).await else { continue };
            let servers: BTreeSet<Name> = named(answer.answers.iter(), &zone);
            if !servers.is_empty() {
                let cut = Cut { apex: zone.clone(), ttl: 0, servers, glue: BTreeMap::new() };
                return Some((zone, self.places(&cut).await));
            }
        }
        None
    }

    /// Where the servers of a zone are; those with an address first.
    async fn places(&self, cut: &Cut) -> Vec<Place> {
        let located = cut.servers.iter().take(MOST_SERVERS).map(|server| async move {
            if let Some(address) = cut.glue.get(server) {
                return (server.clone(), Ok(*address));
            }
            let (v4, v6) =
                join(self.lookup.addresses(server, RecordType::A), self.lookup.addresses(server, RecordType::AAAA))
                    .await;
            let found = [&v4.0, &v6.0].into_iter().find_map(|answer| answer.as_ref().ok()?.first().copied());
            (server.clone(), found.ok_or_else(|| v4.0.err().or(v6.0.err())))
        });
        let mut places = join_all(located).await;
        places.sort_by_key(|(_, place)| place.is_err());
        places
    }

    async fn ask(&self, apex: &Name, places: impl Iterator<Item = &Place>) -> Vec<Heard> {
        let asked = places.map(|(server, place)| async move {
            let said = match place {
                Err(fault) => Err(Said::NoAddress(fault.clone())),
                Ok(address) => self.reply(apex, *address, RecordType::A).await,
            };
            (server.clone(), said)
        });
        join_all(asked).await
    }

    async fn reply(&self, apex: &Name, address: IpAddr, kind: RecordType) -> Result<Reply, Said> {
        if is_private(address) && !self.private_allowed {
            return Err(Said::Private(address));
        }
        let question = Question { name: self.host.clone(), kind, recursive: false, unchecked: false, signed: false };
        let server = SocketAddr::new(address, self.lookup.port);
        match exchange(server, &question, PATIENCE.min(self.lookup.each)).await {
            Ok(message) => read(&message, self.host, apex, address),
            Err(fault) => Err(Said::Silent(address, fault)),
        }
    }

    /// The servers at the end of the way. `None` if every server is silent: then it is this machine that may not ask.
    async fn servers(&self, apex: &Name, heard: Vec<Heard>) -> Option<Vec<NameServer>> {
        if heard.iter().all(|(_, said)| matches!(said, Err(Said::Silent(..)))) {
            return None;
        }
        let asked = heard.into_iter().map(|(server, said)| async move {
            let said = match said {
                Ok(Reply::Knows(address, mut own)) => {
                    if let Ok(Reply::Knows(_, more)) = self.reply(apex, address, RecordType::AAAA).await {
                        own.add(more);
                    }
                    Said::Answer(own)
                }
                // A zone below that only some know of: these still know the way.
                Ok(Reply::Below(_)) => return None,
                Err(said) => said,
            };
            Some(NameServer { name: plain(&server), said })
        });
        let mut servers: Vec<NameServer> = join_all(asked).await.into_iter().flatten().collect();
        servers.sort_by(|a, b| a.name.cmp(&b.name));
        Some(servers)
    }
}

/// The first delegation further down.
fn next(heard: &[Heard]) -> Option<Cut> {
    heard.iter().find_map(|(_, said)| if let Ok(Reply::Below(cut)) = said { Some(cut.clone()) } else { None })
}

fn named<'a>(records: impl Iterator<Item = &'a hickory_resolver::proto::rr::Record>, zone: &Name) -> BTreeSet<Name> {
    let servers = records.filter(|record| record.name == *zone);
    servers
        .filter_map(|record| if let RData::NS(server) = &record.data { Some(server.0.to_lowercase()) } else { None })
        .collect()
}

/// What the answer of a server of `apex` to the question for an address of `host` means.
fn read(message: &Message, host: &Name, apex: &Name, address: IpAddr) -> Result<Reply, Said> {
    let lame = |fault| Err(Said::Lame(address, fault));
    let exists = match exists(message) {
        Ok(exists) => exists,
        Err(fault) => return lame(fault),
    };
    if !message.metadata.authoritative {
        let below = message.authorities.iter().find(|record| {
            matches!(record.data, RData::NS(_))
                && record.name != *apex
                && apex.zone_of(&record.name)
                && record.name.zone_of(host)
        });
        let Some(below) = below.filter(|_| message.answers.is_empty()) else { return lame(Fault::Lame) };
        let apex = below.name.to_lowercase();
        let servers = named(message.authorities.iter(), &apex);
        let mut glue = BTreeMap::new();
        // IPv4 first: not every network has the other.
        let mut extra: Vec<_> =
            message.additionals.iter().filter_map(|r| Some((r.name.to_lowercase(), r.data.ip_addr()?))).collect();
        extra.sort_by_key(|(_, address)| address.is_ipv6());
        for (server, address) in extra.into_iter().filter(|(server, _)| servers.contains(server)) {
            glue.entry(server).or_insert(address);
        }
        return Ok(Reply::Below(Cut { apex, ttl: below.ttl, servers, glue }));
    }
    Ok(Reply::Knows(address, Own::of(message, host, exists)))
}

/// Whether the name exists at all.
pub(super) fn exists(message: &Message) -> Result<bool, Fault> {
    match message.metadata.response_code {
        ResponseCode::NoError => Ok(true),
        ResponseCode::NXDomain => Ok(false),
        ResponseCode::Refused => Err(Fault::Refused),
        ResponseCode::ServFail => Err(Fault::ServFail { bogus: false }),
        other => Err(Fault::Code(other.to_string())),
    }
}

impl Own {
    pub(super) fn of(message: &Message, host: &Name, exists: bool) -> Self {
        let end = end_of_chain(message, host, &mut Vec::new());
        let records = message.answers.iter().filter(|record| record.name == end);
        let addresses: BTreeSet<IpAddr> = records.filter_map(|record| record.data.ip_addr()).collect();
        let negative = message.authorities.iter().find_map(|record| match &record.data {
            RData::SOA(soa) => Some(record.ttl.min(soa.minimum)),
            _ => None,
        });
        let ttl = message.answers.iter().map(|record| record.ttl).max().or(negative).unwrap_or_default();
        Self { exists, elsewhere: end != *host && addresses.is_empty(), addresses, ttl }
    }

    /// The other family of the same host. How long there is none in one counts only if there is none in either.
    pub(super) fn add(&mut self, other: Self) {
        self.ttl = match (self.addresses.is_empty(), other.addresses.is_empty()) {
            (false, true) => self.ttl,
            (true, false) => other.ttl,
            _ => self.ttl.max(other.ttl),
        };
        self.exists |= other.exists;
        self.elsewhere |= other.elsewhere && other.addresses.is_empty();
        self.addresses.extend(other.addresses);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hickory_resolver::proto::op::OpCode;
    use hickory_resolver::proto::rr::Record;
    use hickory_resolver::proto::rr::rdata::{A, CNAME, NS};
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn ns(owner: &str, server: &str) -> Record {
        Record::from_rdata(name(owner), 3600, RData::NS(NS(name(server))))
    }

    fn told(message: &Message) -> String {
        match read(message, &name("m.a.example."), &name("example."), IpAddr::from([192, 0, 2, 1])) {
            Ok(Reply::Knows(_, own)) => format!("{:?} {} {} {}", own.addresses, own.exists, own.elsewhere, own.ttl),
            Ok(Reply::Below(cut)) => format!("{} {:?} {:?}", cut.apex, cut.servers.len(), cut.glue.values()),
            Err(Said::Lame(_, fault)) => format!("{fault:?}"),
            Err(other) => format!("{other:?}"),
        }
    }

    #[test]
    fn a_delegation_is_told_from_an_answer_and_from_a_server_that_knows_nothing() {
        let mut message = Message::response(1, OpCode::Query);
        assert_eq!(told(&message), "Lame");
        // Upwards, to itself, and beside: no way to the host.
        for owner in [".", "example.", "b.example."] {
            message.authorities = vec![ns(owner, "ns.b.example.")];
            assert_eq!(told(&message), "Lame", "{owner}");
        }
        message.authorities = vec![ns("a.example.", "ns.A.example."), ns("a.example.", "ns.b.example.")];
        let glue = |owner: &str| Record::from_rdata(name(owner), 60, RData::A(A(Ipv4Addr::new(192, 0, 2, 7))));
        // An address that nobody asked for is left out.
        message.additionals = vec![glue("NS.a.example."), glue("www.evil.example.")];
        assert_eq!(told(&message), "a.example. 2 [192.0.2.7]");
        message.metadata.authoritative = true;
        message.authorities.clear();
        assert_eq!(told(&message), "{} true false 0");
        message.answers = vec![Record::from_rdata(name("m.a.example."), 60, RData::CNAME(CNAME(name("x.example."))))];
        assert_eq!(told(&message), "{} true true 60");
        message.answers.push(glue("x.example."));
        assert_eq!(told(&message), "{192.0.2.7} true false 60");
        message.metadata.response_code = ResponseCode::Refused;
        assert_eq!(told(&message), "Refused");
    }

    proptest! {
        #[test]
        fn a_damaged_answer_is_read_or_refused(authoritative in any::<bool>(), changes in prop::collection::vec((2_usize..400, any::<u8>()), 0..6)) {
            let mut message = Message::response(1, OpCode::Query);
            message.metadata.authoritative = authoritative;
            message.authorities = vec![ns("a.example.", "ns.a.example."), ns("example.", "ns.b.example.")];
            message.answers = vec![Record::from_rdata(name("m.a.example."), 60, RData::CNAME(CNAME(name("m.a.example."))))];
            let mut packet = message.to_vec().unwrap();
            for (at, byte) in changes {
                let at = at % packet.len();
                packet[at] = byte;
            }
            if let Ok(message) = Message::from_vec(&packet)
                && let Ok(Reply::Below(cut)) = read(&message, &name("m.a.example."), &name("example."), IpAddr::from([192, 0, 2, 1]))
            {
                // Each cut leads further down, so the way ends.
                prop_assert!(name("example.").zone_of(&cut.apex) && cut.apex != name("example."));
                prop_assert!(!cut.servers.is_empty());
            }
        }
    }
}
