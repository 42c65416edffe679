//! Finds the answer to a question, by the algorithm of RFC 1034 §4.3.2.

use super::name::Name;
use super::rdata::{Rdata, Soa, kind};
use super::wire::{Rcode, Record, Reply};
use super::zone::Zones;

impl Zones {
    /// Answers from the data. `recursive` makes the answer end as a resolver's would: an alias that leads out of the data
    /// leads nowhere, and a loop of aliases is a failure.
    #[must_use]
    pub fn lookup(&self, name: &Name, wanted: u16, recursive: bool) -> Reply {
        let mut reply = Reply::empty(Rcode::NoError);
        let mut seen = vec![name.clone()];
        let mut name = name.clone();
        loop {
            let Some(zone) = self.zone_of(&name) else {
                // what lies above a zone exists (RFC 8020): "no such name" there would deny the zone as well
                let above = self.tops.keys().any(|top| top.is_within(&name));
                reply.rcode = match (recursive, seen.len()) {
                    (true, _) if above => Rcode::NoError,
                    (true, _) => Rcode::NxDomain,
                    (false, 1) => Rcode::Refused,
                    (false, _) => Rcode::NoError,
                };
                if recursive && seen.len() == 1 {
                    reply.authority.push(root());
                }
                return reply;
            };
            if let Some(cut) = self.cut(zone, &name, wanted) {
                reply.authority.extend(self.of_kind(&cut, kind::NS).cloned());
                self.add_addresses(&mut reply);
                return reply;
            }
            reply.authoritative |= seen.len() == 1;
            let Some(here) = self.node(zone, &name) else {
                reply.rcode = Rcode::NxDomain;
                reply.authority.extend(self.negative(zone));
                return reply;
            };
            let found: Vec<Record> =
                self.of_kind(&here, wanted).map(|record| Record { name: name.clone(), ..record.clone() }).collect();
            if !found.is_empty() {
                reply.answers.extend(found);
                self.add_addresses(&mut reply);
                return reply;
            }
            let alias = self.of_kind(&here, kind::CNAME).next();
            let Some((Record { data: Rdata::Cname(target), .. }, alias)) = alias.map(|alias| (alias, alias.clone()))
            else {
                reply.authority.extend(self.negative(zone));
                return reply;
            };
            reply.answers.push(Record { name: name.clone(), ..alias });
            if seen.contains(target) {
                return if recursive { Reply::empty(Rcode::ServFail) } else { reply };
            }
            name.clone_from(target);
            seen.push(name.clone());
        }
    }

    /// The delegation on the way down from a zone's top, if there is one. DS records lie above it (RFC 4035 §3.1.4.1).
    fn cut(&self, zone: &Name, name: &Name, wanted: u16) -> Option<Name> {
        let mut found = None;
        let mut at = if wanted == kind::DS { name.parent() } else { Some(name.clone()) };
        while let Some(here) = at.filter(|here| here.is_within(zone) && here != zone) {
            at = here.parent();
            if self.of_kind(&here, kind::NS).next().is_some() {
                found = Some(here);
            }
        }
        found
    }

    /// The name whose records answer: itself, or the wildcard below its closest encloser (RFC 4592 §3.3).
    fn node(&self, zone: &Name, name: &Name) -> Option<Name> {
        if self.existing.contains(name) {
            return Some(name.clone());
        }
        let mut at = name.parent();
        while let Some(encloser) = at.filter(|encloser| encloser.is_within(zone)) {
            if self.existing.contains(&encloser) {
                let wildcard = encloser.child("*");
                return self.records.contains_key(&wildcard).then_some(wildcard);
            }
            at = encloser.parent();
        }
        None
    }

    /// The zone's SOA, whose TTL is the time to believe in "no" (RFC 2308 §3).
    fn negative(&self, zone: &Name) -> Option<Record> {
        let mut record = self.tops.get(zone)?.clone();
        if let Rdata::Soa(Soa { numbers, .. }) = &record.data {
            record.ttl = record.ttl.min(numbers[4]);
        }
        Some(record)
    }

    /// Adds the addresses of the hosts the reply names.
    fn add_addresses(&self, reply: &mut Reply) {
        let targets: Vec<&Name> =
            reply.answers.iter().chain(&reply.authority).filter_map(|record| record.data.target()).collect();
        let mut extra: Vec<Record> = Vec::new();
        for target in targets {
            for record in self.of_kind(target, kind::A).chain(self.of_kind(target, kind::AAAA)) {
                if !extra.contains(record) {
                    extra.push(record.clone());
                }
            }
        }
        reply.additional = extra;
    }
}

/// What a resolver repeats from the root when a top-level domain does not exist.
fn root() -> Record {
    let name = |text| Name::parse(text).unwrap_or_default();
    let numbers = [2_026_010_100, 1800, 900, 604_800, 60];
    let soa = Soa { mname: name("a.root-servers.net"), rname: name("nstld.verisign-grs.com"), numbers };
    Record { name: Name::default(), ttl: 60, data: Rdata::Soa(soa) }
}
