//! Zone files: one record per line, `NAME [TTL] TYPE VALUE…`.
//!
//! A name with a SOA line is the top of a zone (`example.test SOA` alone is enough; the numbers have defaults), and every
//! other name must lie in one. A zone without NS records is served by this server: it gets `ns.ZONE` with the addresses it
//! listens on. Values with spaces or `;` stand in double quotes; `#` and `;` begin comments. `!servfail`, `!refused`,
//! `!nxdomain` or `!hang` instead of a value makes just that question fail: `chat.example.test CAA !servfail`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::name::Name;
use super::rdata::{Rdata, Soa, kind, kind_of};
use super::server::Fault;
use super::wire::Record;

const TTL: u32 = 60;

/// Everything the server knows.
#[derive(Clone, Debug, Default)]
pub struct Zones {
    pub(super) records: BTreeMap<Name, Vec<Record>>,
    /// The SOA record of each zone, by its top.
    pub(super) tops: BTreeMap<Name, Record>,
    /// Names that exist, also those that only lie between others (RFC 8020).
    pub(super) existing: BTreeSet<Name>,
    pub(super) faults: BTreeMap<(Name, u16), Fault>,
}

impl Zones {
    /// Reads a zone file; `own` are the addresses of this server.
    ///
    /// # Errors
    /// With the number of the line that cannot be used.
    pub fn parse(text: &str, own: &[IpAddr]) -> Result<Self, String> {
        let mut zones = Self::default();
        for (number, line) in text.lines().enumerate() {
            zones.line(line).map_err(|why| format!("line {}: {why}", number + 1))?;
        }
        zones.own_name_servers(own)?;
        zones.check()?;
        Ok(zones)
    }

    /// The zone a name lies in: the one with the longest top.
    #[must_use]
    pub fn zone_of(&self, name: &Name) -> Option<&Name> {
        self.tops.keys().filter(|top| name.is_within(top)).max_by_key(|top| top.labels().len())
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        let words = words(line)?;
        let Some((owner, rest)) = words.split_first() else { return Ok(()) };
        let name = Name::parse(owner)?;
        let (ttl, rest) = match rest.split_first() {
            Some((word, after)) if word.parse::<u32>().is_ok() => (word.parse().unwrap_or(TTL), after),
            _ => (TTL, rest),
        };
        let rest = rest.strip_prefix(&["IN".to_owned()][..]).unwrap_or(rest);
        let (word, values) = rest.split_first().ok_or("the type is missing")?;
        let kind = kind_of(word).ok_or_else(|| format!("type {word:?} is not known here"))?;
        if let Some(fault) = values.first().and_then(|value| value.strip_prefix('!')) {
            self.faults.insert((name, kind), fault.parse()?);
            return Ok(());
        }
        let data = if kind == kind::SOA && values.is_empty() { soa(&name) } else { Rdata::parse(kind, values)? };
        self.add(Record { name, ttl, data })
    }

    fn add(&mut self, record: Record) -> Result<(), String> {
        if matches!(record.data, Rdata::Soa(_)) && self.tops.insert(record.name.clone(), record.clone()).is_some() {
            return Err(format!("{} has a SOA record already", record.name));
        }
        let there = self.records.entry(record.name.clone()).or_default();
        let alias = |record: &Record| record.data.kind() == kind::CNAME;
        if !there.is_empty() && (alias(&record) || there.iter().any(alias)) {
            return Err(format!("CNAME and other data at {} (RFC 1034 §3.6.2)", record.name));
        }
        if !there.contains(&record) {
            there.push(record);
        }
        Ok(())
    }

    fn own_name_servers(&mut self, own: &[IpAddr]) -> Result<(), String> {
        for top in self.tops.keys().cloned().collect::<Vec<_>>() {
            if self.of_kind(&top, kind::NS).next().is_some() {
                continue;
            }
            let server = top.child("ns");
            self.add(Record { name: top, ttl: TTL, data: Rdata::Ns(server.clone()) })?;
            if self.records.contains_key(&server) {
                continue;
            }
            for address in own.iter().filter(|address| !address.is_unspecified()) {
                let data = match address {
                    IpAddr::V4(address) => Rdata::A(*address),
                    IpAddr::V6(address) => Rdata::Aaaa(*address),
                };
                self.add(Record { name: server.clone(), ttl: TTL, data })?;
            }
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), String> {
        for name in self.records.keys() {
            let zone =
                self.zone_of(name).ok_or_else(|| format!("{name} lies in no zone: a SOA line makes one"))?.clone();
            let mut at = Some(name.clone());
            while let Some(between) = at.filter(|between| between.is_within(&zone)) {
                at = between.parent();
                self.existing.insert(between);
            }
        }
        Ok(())
    }

    /// The records of one type (or of all, for ANY) at a name.
    pub(super) fn of_kind(&self, name: &Name, wanted: u16) -> impl Iterator<Item = &Record> {
        let here = self.records.get(name).map_or(&[][..], Vec::as_slice);
        here.iter().filter(move |record| wanted == kind::ANY || record.data.kind() == wanted)
    }
}

/// SOA values for who gives none; the last number is how long "no such name" may be believed (RFC 2308 §5).
fn soa(zone: &Name) -> Rdata {
    Rdata::Soa(Soa { mname: zone.child("ns"), rname: zone.child("hostmaster"), numbers: [1, 3600, 600, 86400, TTL] })
}

/// Splits a line at blanks; text in double quotes stays together, `\` takes the next character as it is.
fn words(line: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), None::<String>, false);
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\\' => word.get_or_insert_default().push(letters.next().ok_or("a lone backslash at the end")?),
            '#' | ';' if !quoted && word.is_none() => break,
            blank if blank.is_whitespace() && !quoted => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    if quoted {
        return Err("a quotation mark is not closed".to_owned());
    }
    words.extend(word);
    Ok(words)
}
