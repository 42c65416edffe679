//! Compares what was seen under each name with what has to be there. Pure: everything it needs was looked up before.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::caa::CaaVerdict;
use super::lookup::{Answer, Seen, View};
use super::message::Fault;
use super::ranges::{is_cloudflare, is_private};
use crate::config::{Apex, Names, Proxy};
use crate::domain::DomainName;
use crate::host::net::Addresses;
use crate::preflight::Status;

/// What the names have to point to, and who issues the certificate.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The addresses of this machine.
    pub addresses: Addresses,
    /// With [`Proxy::None`] something else answers on 80 and 443, perhaps on another machine.
    pub proxy: Proxy,
    /// The issuer's domain in CAA records; `None` if it is not known, and CAA is not judged then.
    pub issuer: Option<String>,
}

/// The issuer's domain in CAA records of Let's Encrypt.
pub const LETS_ENCRYPT: &str = "letsencrypt.org";

/// What [`judge`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// One report for each name, the federated one first.
    pub names: Vec<NameReport>,
    /// `Elsewhere` if the federated domain is another web site while the other names are or can be here.
    pub apex: Option<Apex>,
}

/// What was seen under a name, and what that means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameReport {
    /// The name.
    pub name: DomainName,
    /// Whether this machine must answer for it; the federated domain may be served elsewhere.
    pub required: bool,
    /// What was seen.
    pub seen: Seen,
    /// What the addresses mean.
    pub verdict: Verdict,
    /// What the CAA records mean for HTTP-01; they count only for names that get a certificate here.
    pub caa: CaaVerdict,
    /// The records to change, in the order to do it.
    pub changes: Vec<Change>,
}

/// What the addresses of a name mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It points here.
    Ok,
    /// It has no address.
    Missing,
    /// One address is ours, others are not: a part of all visitors goes astray.
    ElsewherePartly(Vec<IpAddr>),
    /// No address is ours.
    Elsewhere(Vec<IpAddr>),
    /// An AAAA record is not needed, but if there is one it must be ours: IPv6 is tried first.
    WrongAaaa(Vec<IpAddr>),
    /// It points here by IPv6 only, although this machine has IPv4.
    NoA,
    /// Addresses that nobody outside can reach.
    Private(Vec<IpAddr>),
    /// No usable answer.
    Broken(Fault),
    /// It is right at the source, but not everywhere yet.
    Propagating {
        /// The zone's own servers disagree; otherwise only this machine's resolver is behind.
        servers: bool,
    },
    /// Cloudflare's proxy stands in front.
    Cloudflare(Vec<IpAddr>),
    /// No public address of this machine is known, so there is nothing to compare with.
    Unsure(Vec<IpAddr>),
}

/// A record to add or remove, in zone-file form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It has to be there.
    Add(String),
    /// It has to go.
    Remove(String),
}

/// Judges every name of `names` by what was seen under it; a name that is not in `lookups` is left out.
pub fn judge(names: &Names, expected: &Expected, lookups: &BTreeMap<DomainName, Seen>) -> Judgement {
    let served = names.served();
    let apart = (names.apex == Apex::Elsewhere && !served.contains(&&names.federated)).then_some(&names.federated);
    let mut reports: Vec<NameReport> = apart
        .into_iter()
        .chain(served)
        .filter_map(|name| Some(report(name, apart != Some(name), expected, lookups.get(name)?)))
        .collect();
    let apex = suggestion(names, &reports);
    if apex.is_some() {
        // Nobody shall be told to take a web site down.
        reports.iter_mut().filter(|report| report.name == names.federated).for_each(|report| report.changes.clear());
    }
    Judgement { names: reports, apex }
}

fn report(name: &DomainName, required: bool, expected: &Expected, seen: &Seen) -> NameReport {
    let whole = Whole::of(seen);
    let verdict = verdict(&whole, seen, &expected.addresses);
    let caa = match &expected.issuer {
        Some(issuer) if required => seen.caa.judge(issuer),
        _ => CaaVerdict::Allows,
    };
    let mut changes = if required { addresses(name, &verdict, &whole, seen, &expected.addresses) } else { Vec::new() };
    if let (CaaVerdict::Forbids { at, record, remove }, Some(issuer)) = (&caa, &expected.issuer) {
        changes.push(match remove {
            true => Change::Remove(format!("{at}. 300 IN CAA {record}")),
            false => Change::Add(format!("{at}. 300 IN CAA 0 issue \"{issuer}\"")),
        });
    }
    NameReport { name: name.clone(), required, seen: seen.clone(), verdict, caa, changes }
}

/// The answers of all servers put together; the zone's own servers count more than the resolver.
struct Whole {
    a: Answer,
    aaaa: Answer,
    /// The zone's own servers disagree with each other.
    split: bool,
    /// The resolver says something else than the zone's own servers.
    stale: bool,
}

impl Whole {
    fn of(seen: &Seen) -> Self {
        let own: Vec<&View> = seen.authoritative.iter().map(|server| &server.view).collect();
        let own: Vec<&View> = own.into_iter().filter(|view| usable(&view.a) || usable(&view.aaaa)).collect();
        if own.is_empty() {
            let View { a, aaaa, .. } = seen.resolver.clone();
            return Self { a, aaaa, split: false, stale: false };
        }
        let a = merge(own.iter().map(|view| &view.a), &seen.resolver.a);
        let aaaa = merge(own.iter().map(|view| &view.aaaa), &seen.resolver.aaaa);
        let split = differ(own.iter().map(|view| &view.a)) || differ(own.iter().map(|view| &view.aaaa));
        let stale = list(&a) != list(&seen.resolver.a) || list(&aaaa) != list(&seen.resolver.aaaa);
        Self { a, aaaa, split, stale }
    }
}

/// An answer one can go by: addresses, or the news that there are none.
fn usable(answer: &Answer) -> bool {
    matches!(answer, Ok(_) | Err(Fault::NxDomain))
}

fn list(answer: &Answer) -> &[IpAddr] {
    answer.as_deref().unwrap_or_default()
}

/// All addresses that any server knows; without a usable answer, what the resolver says.
fn merge<'a>(answers: impl Iterator<Item = &'a Answer>, resolver: &Answer) -> Answer {
    let answers: Vec<&Answer> = answers.filter(|answer| usable(answer)).collect();
    if answers.is_empty() {
        return resolver.clone();
    }
    if answers.iter().all(|answer| answer.is_err()) {
        return Err(Fault::NxDomain);
    }
    let all: BTreeSet<IpAddr> = answers.into_iter().flat_map(list).copied().collect();
    Ok(all.into_iter().collect())
}

fn differ<'a>(answers: impl Iterator<Item = &'a Answer>) -> bool {
    let distinct: BTreeSet<&[IpAddr]> = answers.filter(|answer| usable(answer)).map(list).collect();
    distinct.len() > 1
}

fn verdict(whole: &Whole, seen: &Seen, ours: &Addresses) -> Verdict {
    let bogus = Err(Fault::ServFail { bogus: true });
    if seen.resolver.a == bogus || seen.resolver.aaaa == bogus {
        return Verdict::Broken(Fault::ServFail { bogus: true });
    }
    for answer in [&whole.a, &whole.aaaa] {
        if let Err(fault) = answer
            && *fault != Fault::NxDomain
        {
            return Verdict::Broken(fault.clone());
        }
    }
    let all: Vec<IpAddr> = list(&whole.a).iter().chain(list(&whole.aaaa)).copied().collect();
    let foreign = |list: &[IpAddr]| -> Vec<IpAddr> { list.iter().filter(|ip| !ours.contains(**ip)).copied().collect() };
    let private: Vec<IpAddr> = foreign(&all).into_iter().filter(|ip| is_private(*ip)).collect();
    let (a, aaaa) = (foreign(list(&whole.a)), foreign(list(&whole.aaaa)));
    if all.is_empty() {
        Verdict::Missing
    } else if !private.is_empty() {
        Verdict::Private(private)
    } else if all.iter().all(|ip| is_cloudflare(*ip)) {
        Verdict::Cloudflare(all)
    } else if ours.is_empty() {
        Verdict::Unsure(all)
    } else if whole.split && all.iter().any(|ip| ours.contains(*ip)) {
        Verdict::Propagating { servers: true }
    } else if foreign(&all).len() == all.len() {
        Verdict::Elsewhere(all)
    } else if !a.is_empty() {
        Verdict::ElsewherePartly(foreign(&all))
    } else if !aaaa.is_empty() {
        Verdict::WrongAaaa(aaaa)
    } else if whole.stale {
        Verdict::Propagating { servers: false }
    } else if list(&whole.a).is_empty() && ours.v4().is_some() {
        Verdict::NoA
    } else {
        Verdict::Ok
    }
}

/// What to change so that the addresses become right.
fn addresses(name: &DomainName, verdict: &Verdict, whole: &Whole, seen: &Seen, ours: &Addresses) -> Vec<Change> {
    let line = |ip: &IpAddr| format!("{name}. 300 IN {} {ip}", if ip.is_ipv4() { "A" } else { "AAAA" });
    let wrong = match verdict {
        Verdict::ElsewherePartly(wrong)
        | Verdict::Elsewhere(wrong)
        | Verdict::WrongAaaa(wrong)
        | Verdict::Private(wrong) => wrong.as_slice(),
        Verdict::Missing | Verdict::NoA => &[],
        _ => return Vec::new(),
    };
    let publish = ours.v4().or(ours.v6());
    let views = [&seen.resolver].into_iter().chain(seen.authoritative.iter().map(|server| &server.view));
    let alias = views.filter_map(|view| view.aliases.first()).next();
    let mut changes = Vec::new();
    match alias {
        // An alias and other records cannot stand beside each other.
        Some(target) if publish.is_some() => changes.push(Change::Remove(format!("{name}. 300 IN CNAME {target}."))),
        Some(_) => {}
        None => changes.extend(wrong.iter().map(|ip| Change::Remove(line(ip)))),
    }
    let there = |ip: &IpAddr| alias.is_none() && (list(&whole.a).contains(ip) || list(&whole.aaaa).contains(ip));
    changes.extend(publish.iter().filter(|ip| !there(ip)).map(|ip| Change::Add(line(ip))));
    changes
}

fn suggestion(names: &Names, reports: &[NameReport]) -> Option<Apex> {
    if names.apex == Apex::Elsewhere || [&names.chat, &names.matrix].contains(&&names.federated) {
        return None;
    }
    let (apex, others): (Vec<&NameReport>, Vec<&NameReport>) =
        reports.iter().partition(|report| report.name == names.federated);
    let away = apex.iter().any(|report| matches!(report.verdict, Verdict::Elsewhere(_) | Verdict::Cloudflare(_)));
    let here = !others.is_empty()
        && others.iter().all(|report| {
            matches!(report.verdict, Verdict::Ok | Verdict::Missing | Verdict::NoA | Verdict::Propagating { .. })
        });
    (away && here).then_some(Apex::Elsewhere)
}

impl Judgement {
    /// Whether nothing stands in the way of any name that this machine must answer for.
    pub fn is_right(&self, expected: &Expected) -> bool {
        self.names.iter().filter(|report| report.required).all(|report| report.is_right(expected))
    }
}

impl NameReport {
    /// Whether nothing stands in the way: a certificate can be asked for.
    pub fn is_right(&self, expected: &Expected) -> bool {
        self.status(expected).max(self.caa_status()) < Status::Fail
    }
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Add(record) => write!(f, "add     {record}"),
            Self::Remove(record) => write!(f, "remove  {record}"),
        }
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
