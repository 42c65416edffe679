//! The ground that a name stands on: who is asked for its zone, whether these answer, and whether others believe them.
//!
//! A resolver turns everything here into SERVFAIL, or hides it as long as one server answers or an old answer is kept. So what
//! breaks tomorrow, or for others only, is told as a warning; a failure is what keeps others away now.

use super::super::check::{Doc, Place};
use super::names::GRAMMAR;
use super::{Remote, Sight};
use crate::dns::{Bogus, Cause, Fault, NameServer, Own, Said, Zone, is_private};
use crate::finding::{Finding, Status};
use crate::matrix::Ground;

const DNSSEC: &str = "dns.dnssec";
const DELEGATION: &str = "dns.delegation";
const LAME: &str = "dns.lame";
const AGREE: &str = "dns.agree";
const STALE: &str = "dns.stale";

pub(super) const CHECKS: &[Remote] = &[
    Remote::row(
        Place::Dns,
        DNSSEC,
        &[GRAMMAR],
        dnssec,
        Doc {
            what: "Whether a lookup fails only as long as signatures are checked, and what is wrong with them then.",
            why: "A resolver that checks signatures answers SERVFAIL for a zone whose signatures are wrong.",
            fails: "Servers behind a checking resolver say that the name cannot be resolved; others work.",
            fix: "Sign the zone again, or remove the DS record at the registrar until it is signed.",
            source: "RFC 4035, section 5.5; RFC 4034, sections 3.1 and 5.",
        },
    ),
    Remote::row(
        Place::Dns,
        DELEGATION,
        &[GRAMMAR],
        delegation,
        Doc {
            what: "Whether the name servers that the delegation names exist: each has an address.",
            why: "The domain above says whom to ask. A name server without an address is nobody, and each question to it is lost.",
            fails: "If no other is left, the name cannot be resolved; otherwise some lookups are slow.",
            fix: "Correct the name servers at the registrar.",
            source: "RFC 1034, sections 4.2 and 5.3.3; RFC 1912, section 2.8.",
        },
    ),
    Remote::row(
        Place::Dns,
        LAME,
        &[DELEGATION],
        lame,
        Doc {
            what: "Whether every name server of the delegation answers for the zone, asked itself.",
            why: "A server that refuses or points to others is lame. Resolvers try the next one, until there is none.",
            fails: "Lookups take seconds, fail now and then, or fail for everybody: SERVFAIL.",
            fix: "Let the server have the zone, or take it out of the delegation at the registrar.",
            source: "RFC 1912, section 2.8; RFC 8499, lame delegation.",
        },
    ),
    Remote::row(
        Place::Dns,
        AGREE,
        &[LAME],
        agree,
        Doc {
            what: "Whether all name servers of the zone say the same addresses for a host.",
            why: "Everybody asks any one of them: some get the old address as long as one server has the old zone.",
            fails: "It works from some servers only, and that changes from hour to hour.",
            fix: "See why the secondary does not take the new zone: its transfer, or a serial number that did not grow.",
            source: "RFC 1034, section 4.3.5; RFC 1982.",
        },
    ),
    Remote::row(
        Place::Dns,
        STALE,
        &[DNSSEC, AGREE],
        stale,
        Doc {
            what: "Whether this machine's resolver, and the resolvers 1.1.1.1, 8.8.8.8 and 9.9.9.9 that many people use (asked for up to ten names, and without `--nameserver`), say what the zone's own servers say.",
            why: "An answer is kept for its time to live, the news that there is none too. Others believe the old one as long.",
            fails: "It works from some servers and not from others, although the zone is right.",
            fix: "Wait until that time, or ask whoever runs the resolver to flush the name.",
            source: "RFC 1035, section 3.2.1; RFC 2308, section 5.",
        },
    ),
];

fn dnssec(sight: &Sight<'_>) -> Vec<Finding> {
    let bogus = |fault: &Fault| *fault == Fault::ServFail { bogus: true };
    let discovery = &sight.look.discovery;
    let hosts = discovery
        .hosts
        .iter()
        .filter(|seen| [&seen.view.a, &seen.view.aaaa].into_iter().any(|answer| answer.as_ref().is_err_and(bogus)));
    let srv = discovery.srv.iter().filter(|seen| seen.answer.as_ref().is_err_and(bogus));
    let told = |name: &str| {
        let why = sight.look.grounds.iter().find(|ground| name.ends_with(&ground.host));
        let (said, remedy) = match why.and_then(|ground| ground.bogus.as_ref()) {
            Some(bogus) => words(bogus),
            None => (
                "is answered only when DNSSEC is not checked: the zone's signatures are wrong".to_owned(),
                "sign the zone again, or remove its DS record at the registrar until it is".to_owned(),
            ),
        };
        let own =
            why.and_then(|ground| ground.zone.as_ref()?.servers.iter().find(|s| matches!(s.said, Said::Answer(_))));
        let finding = Finding::fail(DNSSEC, name, said).seen("SERVFAIL, and an answer with checking disabled");
        let finding = match own {
            Some(server) => finding.seen(format!("{} answers for the zone", server.name)),
            None => finding,
        };
        let kept = why.and_then(|ground| ground.bogus.as_ref()).map(|bogus| bogus.kept);
        let kept = kept.map(|kept| format!(", and the old DS record until {}", sight.until(kept.into())));
        finding.remedy(remedy).cached(sight.failed() + &kept.unwrap_or_default())
    };
    let mut found: Vec<Finding> = Vec::new();
    for finding in hosts.map(|seen| told(&seen.host)).chain(srv.map(|seen| told(&seen.query))) {
        // What is wrong with a zone is wrong with every name in it.
        match found.iter_mut().find(|other| other.summary == finding.summary && other.remedy == finding.remedy) {
            Some(other) => other.evidence.push(format!("the same for {}", finding.subject)),
            None => found.push(finding),
        }
    }
    found
}

/// What is wrong with the signatures, and what to do.
fn words(bogus: &Bogus) -> (String, String) {
    let zone = &bogus.zone;
    let tags = |tags: &[u16]| tags.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
    let day = |seconds: u32| super::utc(i64::from(seconds).saturating_mul(1000));
    match &bogus.cause {
        Cause::Expired(at) => (
            format!("is in the zone {zone}, whose DNSSEC signatures ended on {}", day(*at)),
            format!("sign {zone} again, and see why its signer did not: it does not run, or has no keys"),
        ),
        Cause::Early(at) => (
            format!("is in the zone {zone}, whose DNSSEC signatures begin only on {}", day(*at)),
            format!("set the clock of the machine that signs {zone}, and sign it again"),
        ),
        Cause::OtherKey { ds, keys } => (
            format!("is in the zone {zone}, and the DS record above it is that of a key the zone does not have"),
            format!(
                "at the registrar, replace the DS record of {zone} (key tag {}) by one of its keys (key tag {}), or remove it",
                tags(ds),
                tags(keys)
            ),
        ),
        Cause::Unsigned => (
            format!("is in the zone {zone}, which is not signed, while a DS record above says that it is"),
            format!("remove the DS record of {zone} at the registrar, or sign the zone"),
        ),
        Cause::Changed => (
            format!("is in the zone {zone}, whose DNSSEC signatures are not those of its records"),
            format!(
                "sign {zone} again: something has changed it since, or its keys were replaced without their records"
            ),
        ),
    }
}

fn delegation(sight: &Sight<'_>) -> Vec<Finding> {
    zones(sight).filter_map(|zone| {
        let missing: Vec<(&NameServer, &Option<Fault>)> = zone
            .servers
            .iter()
            .filter_map(|server| if let Said::NoAddress(fault) = &server.said { Some((server, fault)) } else { None })
            .collect();
        let names: Vec<&str> = missing.iter().map(|(server, _)| server.name.as_str()).collect();
        let said = match names.as_slice() {
            [] => return None,
            [one] => format!("is delegated to the name server {one}, which has no address"),
            several => format!("is delegated to the name servers {}, which have no addresses", several.join(", ")),
        };
        let finding = Finding::new(severity(sight, zone), DELEGATION, &zone.apex, said);
        let finding = missing.iter().fold(finding, |finding, (server, fault)| {
            let why = fault.as_ref().map_or_else(|| "neither an A nor an AAAA record".to_owned(), ToString::to_string);
            finding.seen(format!("{}: {why}", server.name))
        });
        let finding = finding.remedy(format!(
            "at the registrar of {}, name the servers that whoever runs the zone tells, instead of {}; or give {} an address",
            zone.apex,
            names.join(" and "),
            if names.len() == 1 { "that name" } else { "each of them" }
        ));
        Some(finding.cached(delegated(sight, zone)))
    })
    .collect()
}

fn lame(sight: &Sight<'_>) -> Vec<Finding> {
    let ours = |address: &std::net::IpAddr, fault: &Fault| address.is_ipv6() && matches!(fault, Fault::Unreachable(_));
    let mut found = Vec::new();
    for zone in zones(sight) {
        let bad: Vec<(&str, String)> = zone
            .servers
            .iter()
            .filter_map(|server| {
                let why = match &server.said {
                    Said::Lame(address, fault) => format!("at {address}: {fault}"),
                    // A network without IPv6 is ours.
                    Said::Silent(address, fault) if !ours(address, fault) => format!("at {address}: {fault}"),
                    Said::Private(address) => {
                        format!("has the private address {address}, which nobody outside can ask")
                    }
                    _ => return None,
                };
                Some((server.name.as_str(), why))
            })
            .collect();
        let names: Vec<&str> = bad.iter().map(|(name, _)| *name).collect();
        let said = match names.len() {
            0 => continue,
            _ if !zone.servers.iter().any(is_good) => "has no name server that answers for it".to_owned(),
            1 => format!("has the name server {}, which does not answer for it", names[0]),
            _ => format!("has the name servers {}, which do not answer for it", names.join(", ")),
        };
        let finding = Finding::new(severity(sight, zone), LAME, &zone.apex, said);
        let finding = bad.iter().fold(finding, |finding, (name, why)| finding.seen(format!("{name} {why}")));
        found.push(
            finding
                .remedy(format!(
                    "let {} have the zone {} (its configuration, or the transfer from the primary), or take it out of the \
                     delegation at the registrar",
                    names.join(" and "),
                    zone.apex
                ))
                .cached(delegated(sight, zone)),
        );
    }
    found
}

fn agree(sight: &Sight<'_>) -> Vec<Finding> {
    hosts(sight).filter_map(|zone| {
        let answers: Vec<(&NameServer, &Own)> = answers(zone).collect();
        let (_, first) = answers.first()?;
        if answers.iter().all(|(_, own)| !differ(first, own)) {
            return None;
        }
        let status = if sight.works() { Status::Warn } else { Status::Fail };
        let finding = Finding::new(status, AGREE, &zone.host, "has other addresses on one of its name servers than on another");
        let finding = answers.iter().fold(finding, |f, (server, own)| f.seen(format!("{}: {}", server.name, list(own))));
        let longest = answers.iter().map(|(_, own)| own.ttl).max().unwrap_or_default();
        Some(
            finding
                .remedy(format!(
                    "compare the serial numbers: dig {} SOA @SERVER, for each of them; let the one that is behind take the zone again",
                    zone.apex
                ))
                .cached(format!("others may believe the old answer until {}", sight.until(longest.into()))),
        )
    })
    .collect()
}

fn stale(sight: &Sight<'_>) -> Vec<Finding> {
    let told = |ground: &Ground, zone: &Zone| {
        let answers: Vec<(&NameServer, &Own)> = answers(zone).collect();
        let (server, own) = answers.first()?;
        if answers.iter().any(|(_, other)| differ(own, other)) {
            return None;
        }
        let status = if sight.works() { Status::Warn } else { Status::Fail };
        let (finding, cached) = match &zone.resolver {
            Err(fault) => (
                Finding::new(
                    status,
                    STALE,
                    &zone.host,
                    "is not found by this machine's resolver, while the zone's own servers answer",
                )
                .seen(format!("the resolver: {fault}"))
                .remedy(format!(
                    "the zone is right: see why the resolver fails (dig {}), or ask with another: --nameserver ADDRESS",
                    zone.host
                )),
                sight.failed(),
            ),
            // At home a name may have another address than outside, and that is told elsewhere.
            Ok(old) if !differ(old, own) || old.addresses.iter().any(|address| is_private(*address)) => {
                let finding = elsewhere(sight, ground, own, old)?;
                return Some(finding.seen(format!("{}: {}", server.name, list(own))));
            }
            Ok(old) => {
                let said = match (old.addresses.is_empty(), old.exists) {
                    (true, false) => "does not exist for this machine's resolver, while its zone has it now",
                    (true, true) => "has no address for this machine's resolver, while its zone has one now",
                    _ => "has another address in its zone than this machine's resolver remembers",
                };
                (
                    Finding::new(status, STALE, &zone.host, said).seen(format!("the resolver: {}", list(old))).remedy(
                        format!(
                            "the zone is right: wait until the old answer is forgotten, or let the resolver forget it \
                         (unbound-control flush {}, resolvectl flush-caches)",
                            zone.host
                        ),
                    ),
                    format!("others may believe the old answer until {}", sight.until(old.ttl.into())),
                )
            }
        };
        let finding = heard(ground).fold(finding, |finding, (who, _, said)| finding.seen(format!("{who}: {said}")));
        Some(finding.seen(format!("{}: {}", server.name, list(own))).cached(cached))
    };
    let grounds = sight.look.grounds.iter().filter_map(|ground| Some((ground, ground.zone.as_ref()?)));
    grounds.filter_map(|(ground, zone)| told(ground, zone)).collect()
}

/// What resolvers that the whole world asks say, where they say something else than the zone and this machine's resolver.
fn elsewhere(sight: &Sight<'_>, ground: &Ground, own: &Own, here: &Own) -> Option<Finding> {
    let private = |said: &Own| said.addresses.iter().any(|address| is_private(*address));
    let all: Vec<_> = heard(ground).collect();
    let bad: Vec<&Result<Own, Fault>> = all
        .iter()
        .map(|(_, said, _)| *said)
        .filter(|said| said.as_ref().map_or(true, |said| differ(said, own) && !private(said)))
        .collect();
    let old = bad.iter().find_map(|said| said.as_ref().ok());
    let (said, remedy) = match old {
        None if bad.is_empty() => return None,
        None => (
            "is not found by public resolvers, while the zone's own servers answer",
            format!(
                "their signatures are the likely cause, which this machine's resolver does not check: see dig {} +cd and \
                 https://dnsviz.net, then sign the zone again or remove its DS record at the registrar",
                ground.host
            ),
        ),
        Some(old) => (
            match (old.addresses.is_empty(), old.exists) {
                (true, false) => "does not exist for public resolvers, while its zone has it now",
                (true, true) => "has no address for public resolvers, while its zone has one now",
                _ => "has another address in its zone than public resolvers remember",
            },
            "nothing in the zone: wait until then, or let them forget the name (https://one.one.one.one/purge-cache/, \
             https://dns.google/cache)"
                .into(),
        ),
    };
    // Where some agree with the zone, a zone may also have other addresses for other parts of the world.
    let status = match (bad.len() == all.len(), sight.works()) {
        (false, _) => Status::Info,
        (true, true) => Status::Warn,
        (true, false) => Status::Fail,
    };
    let finding = Finding::new(status, STALE, &ground.host, said).remedy(remedy);
    let finding = finding.seen(format!("this machine's resolver: {}", list(here)));
    let finding = all.iter().fold(finding, |finding, (who, _, said)| finding.seen(format!("{who}: {said}")));
    let longest = bad.iter().filter_map(|said| said.as_ref().ok()).map(|old| old.ttl).max();
    Some(finding.cached(match longest {
        Some(ttl) => format!("others may believe the old answer until {}", sight.until(ttl.into())),
        None => sight.failed(),
    }))
}

/// Resolvers that many people use, as far as they answer or say that they cannot; silence says something about this network.
fn heard(ground: &Ground) -> impl Iterator<Item = (String, &Result<Own, Fault>, String)> {
    ground.public.iter().filter_map(|heard| {
        let who = if heard.server.port() == 53 { heard.server.ip().to_string() } else { heard.server.to_string() };
        match &heard.said {
            Ok(said) => Some((who, &heard.said, list(said))),
            Err(fault @ Fault::ServFail { .. }) => Some((who, &heard.said, fault.to_string())),
            Err(_) => None,
        }
    })
}

/// Each zone once.
fn zones<'a>(sight: &Sight<'a>) -> impl Iterator<Item = &'a Zone> {
    let grounds = &sight.look.grounds;
    hosts(sight).enumerate().filter_map(move |(at, zone)| {
        let earlier = grounds.iter().filter_map(|ground| ground.zone.as_ref()).take(at);
        (!earlier.into_iter().any(|other| other.apex == zone.apex)).then_some(zone)
    })
}

/// The zone of each host.
fn hosts<'a>(sight: &Sight<'a>) -> impl Iterator<Item = &'a Zone> {
    sight.look.grounds.iter().filter_map(|ground| ground.zone.as_ref())
}

/// Servers that know the zone, and hold the host's addresses themselves.
fn answers(zone: &Zone) -> impl Iterator<Item = (&NameServer, &Own)> {
    zone.servers.iter().filter_map(|server| match &server.said {
        Said::Answer(own) if !own.elsewhere => Some((server, own)),
        _ => None,
    })
}

fn is_good(server: &NameServer) -> bool {
    matches!(server.said, Said::Answer(_))
}

/// Nothing in common. Many zones give a part of their addresses to each who asks.
fn differ(one: &Own, other: &Own) -> bool {
    one.addresses.is_disjoint(&other.addresses) && !(one.addresses.is_empty() && other.addresses.is_empty())
}

/// Without a server that answers nobody finds the name, unless an old answer is still kept.
fn severity(sight: &Sight<'_>, zone: &Zone) -> Status {
    if zone.servers.iter().any(is_good) || sight.works() { Status::Warn } else { Status::Fail }
}

fn delegated(sight: &Sight<'_>, zone: &Zone) -> String {
    match zone.delegated {
        Some(ttl) => format!("others may believe the old delegation until {}", sight.until(ttl.into())),
        None => "others may believe the old delegation until its time to live is over".into(),
    }
}

fn list(own: &Own) -> String {
    match (own.addresses.is_empty(), own.exists) {
        (true, false) => "no such name".into(),
        (true, true) => "no address".into(),
        _ => own.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

impl Sight<'_> {
    /// What is told of a record of `host` that was put right: how long others keep the old one.
    pub(super) fn kept(&self, host: &str) -> String {
        let of = |ground: &Ground| answers(ground.zone.as_ref()?).map(|(_, own)| own.ttl).max();
        match self.look.grounds.iter().find(|ground| ground.host == host).and_then(of) {
            Some(ttl) => format!("others may believe the old record until {}", self.until(ttl.into())),
            None => "resolvers may believe the old record until its time to live is over".into(),
        }
    }

    /// What is told of a record of `host` that was added: how long others keep that there was none.
    pub(super) fn kept_none(&self, host: &str) -> String {
        let of = |ground: &Ground| {
            let zone = ground.zone.as_ref()?;
            let none = answers(zone).map(|(_, own)| own).chain(zone.resolver.as_ref().ok());
            none.filter(|own| own.addresses.is_empty()).map(|own| own.ttl).max()
        };
        match self.look.grounds.iter().find(|ground| ground.host == host).and_then(of) {
            Some(ttl) => format!("others may believe that there is no address until {}", self.until(ttl.into())),
            None => "resolvers may believe that there is no address for as long as the zone's SOA record says".into(),
        }
    }

    /// What is told of a lookup that failed: how long resolvers keep the failure (RFC 2308, section 7).
    pub(super) fn failed(&self) -> String {
        format!("resolvers may believe the failure until {}", self.until(300))
    }
}
