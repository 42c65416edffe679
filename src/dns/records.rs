//! Single records under any name, as a server that looks for another one asks for them.
//!
//! [`super::Lookup::name`] judges a name that is to be set up; here a stranger's name is only followed. What matters is
//! the difference between "there is none" and "nobody could say", because servers go on after the first and stop at
//! the second.

use std::cmp::Reverse;

use futures_util::future::join;
use hickory_resolver::proto::op::Message;
use hickory_resolver::proto::rr::{Name, RData, RecordType};

use super::caa::{self, Caa};
use super::lookup::{Lookup, View, end_of_chain, plain};
use super::message::Fault;
use crate::domain::DomainName;

/// One SRV record (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Srv {
    /// The lowest is tried first.
    pub priority: u16,
    /// A share among those of one priority.
    pub weight: u16,
    /// Where the service listens.
    pub port: u16,
    /// Its host, without the final dot; `.` says that there is no such service.
    pub target: String,
    /// How long the resolver keeps it, in seconds.
    pub ttl: u32,
}

/// The records, best first. None is an answer as well; [`Fault::NxDomain`] means the same.
pub type SrvAnswer = Result<Vec<Srv>, Fault>;

/// More records than this are not looked at.
const MOST: usize = 32;

impl Lookup {
    /// The addresses of `host`, a name without a final dot; search lists are never tried.
    pub async fn host(&self, host: &str) -> View {
        let Some(name) = absolute(host) else { return View::failed(Fault::NxDomain) };
        let (a, aaaa) = join(self.addresses(&name, RecordType::A), self.addresses(&name, RecordType::AAAA)).await;
        View::new(a, aaaa)
    }

    /// The SRV records of `name`, e.g. `_matrix-fed._tcp.example.org`.
    pub async fn srv(&self, name: &str) -> SrvAnswer {
        let name = absolute(name).ok_or(Fault::NxDomain)?;
        self.resolve(&name, RecordType::SRV).await.map(|message| srv_of(&message, &name))
    }
}

impl Lookup {
    /// Who may issue certificates for `host`; `None` if it is no name that can have one.
    pub async fn caa(&self, host: &str) -> Option<Caa> {
        let name: DomainName = host.parse().ok()?;
        Some(caa::climb(self, &name).await)
    }
}

impl View {
    /// Both families failed alike.
    pub fn failed(fault: Fault) -> Self {
        Self { a: Err(fault.clone()), aaaa: Err(fault), aliases: Vec::new() }
    }
}

/// The SRV records in an answer that belong to `name` or to the end of its aliases, best first.
fn srv_of(message: &Message, name: &Name) -> Vec<Srv> {
    let end = end_of_chain(message, name, &mut Vec::new());
    let records = message.answers.iter().filter(|record| record.name == end);
    let mut found: Vec<Srv> = records
        .filter_map(|record| {
            let RData::SRV(srv) = &record.data else { return None };
            let target = if srv.target.is_root() { ".".to_owned() } else { plain(&srv.target) };
            Some(Srv { priority: srv.priority, weight: srv.weight, port: srv.port, target, ttl: record.ttl })
        })
        .take(MOST)
        .collect();
    found.sort_by(|a, b| {
        (a.priority, Reverse(a.weight), &a.target, a.port).cmp(&(b.priority, Reverse(b.weight), &b.target, b.port))
    });
    found.dedup();
    found
}

fn absolute(name: &str) -> Option<Name> {
    Name::from_ascii(format!("{name}.")).ok()
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::rr::Record;
    use hickory_resolver::proto::rr::rdata::{CNAME, SRV};
    use proptest::prelude::*;

    use super::*;

    fn record(owner: &str, data: RData) -> Record {
        Record::from_rdata(absolute(owner).unwrap(), 60, data)
    }

    #[test]
    fn records_are_sorted_and_those_of_others_are_left_out() {
        let srv = |priority, weight, target: &str| {
            RData::SRV(SRV::new(priority, weight, 8448, Name::from_ascii(target).unwrap()))
        };
        let (asked, alias) = ("_matrix-fed._tcp.example.org", "_matrix-fed._tcp.other.example");
        let mut message = Message::query();
        message.answers = vec![
            record(asked, RData::CNAME(CNAME(absolute(alias).unwrap()))),
            record(alias, srv(20, 0, "b.example.")),
            record(alias, srv(10, 1, ".")),
            record(alias, srv(10, 9, "A.example.")),
            record(alias, srv(10, 9, "A.example.")),
            record("_matrix-fed._tcp.evil.example", srv(0, 0, "c.example.")),
        ];
        let found: Vec<String> = srv_of(&message, &absolute(asked).unwrap())
            .iter()
            .map(|s| format!("{} {}", s.priority, s.target))
            .collect();
        assert_eq!(found, ["10 a.example", "10 .", "20 b.example"]);
    }

    proptest! {
        #[test]
        fn any_packet_is_read_or_refused(packet in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(message) = Message::from_vec(&packet) {
                prop_assert!(srv_of(&message, &Name::root()).len() <= MOST);
            }
        }

        /// Most random bytes stop at the header; these have a right one and go wrong later.
        #[test]
        fn any_answer_section_is_read_or_refused(tail in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut packet = vec![0, 1, 0x81, 0x80, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 33, 0, 1, 0, 0, 0, 60];
            packet.extend(tail);
            if let Ok(message) = Message::from_vec(&packet) {
                prop_assert!(srv_of(&message, &Name::root()).len() <= MOST);
            }
        }
    }
}
