//! The name itself, and whether DNS knows it.

use super::super::check::{Doc, Place};
use super::{Remote, Sight};
use crate::dns::Fault;
use crate::finding::Finding;
use crate::host::net::exchange::Trouble;
use crate::matrix::discovery::Problem;
use crate::matrix::server_name::{Host, NameError, ServerName, Unwise};

pub(super) const GRAMMAR: &str = "name.grammar";
const UNWISE: &str = "name.unwise";
const LOOKUP: &str = "dns.lookup";
const PRIVATE: &str = "dns.private";

pub(super) const NAME: &[Remote] = &[
    Remote {
        id: GRAMMAR,
        place: Place::Dns,
        needs: &[],
        own: false,
        judge: |sight| vec![Finding::ok(GRAMMAR, sight.name(), "is a server name")],
        doc: Doc {
            what: "Whether the text is a Matrix server name: a host and perhaps a port, no scheme, no path.",
            why: "Every other server reads the name by this grammar before it does anything.",
            fails: "Nobody can invite a user of such a name.",
            fix: "Write only what stands after the colon of a Matrix id, e.g. `example.org`.",
            source: "Matrix specification, appendices, Server Name.",
        },
    },
    Remote {
        id: UNWISE,
        place: Place::Dns,
        needs: &[GRAMMAR],
        own: false,
        judge: unwise,
        doc: Doc {
            what: "What is allowed in a server name and still unwise: capital letters, zeros before a port, great length.",
            why: "DNS does not tell letters apart by case, Matrix does: two spellings are two servers.",
            fails: "Some servers know the name and others say that it is another one.",
            fix: "A name cannot be changed later; a new server should have one in lower case.",
            source: "Matrix specification, appendices, Server Name.",
        },
    },
];

pub(super) const CHECKS: &[Remote] = &[
    Remote {
        id: LOOKUP,
        place: Place::Dns,
        needs: &["dns.dnssec", "dns.delegation", "dns.lame", "dns.stale"],
        own: false,
        judge: lookup,
        doc: Doc {
            what: "Whether the name's own host has an address, in each family.",
            why: "Without an address and without an SRV record there is nowhere to connect to.",
            fails: "`no such name`, `server failure`; invites are never delivered.",
            fix: "Add an A record at whoever runs the zone, or mend its servers.",
            source: "Matrix server-server API, resolving server names.",
        },
    },
    Remote {
        id: PRIVATE,
        place: Place::Dns,
        needs: &[LOOKUP],
        own: false,
        judge: private,
        doc: Doc {
            what: "Whether an address that others are sent to is private, such as 10.0.0.0/8 or fd00::/8.",
            why: "Private addresses exist in every network; nobody outside reaches this one.",
            fails: "It works at home and nowhere else; Synapse refuses such addresses by its own block list.",
            fix: "Put the public address into the zone, and the private one only into the resolver at home.",
            source: "RFC 1918, RFC 4193; Synapse's `ip_range_blacklist`.",
        },
    },
];

/// What is told of a text that is no name.
pub(super) fn refused(text: &str, error: &NameError) -> Finding {
    let finding = Finding::fail(GRAMMAR, format!("`{text}`"), format!("is not a server name: {error}"));
    match meant(text) {
        Some(name) => finding.remedy(format!("write only the name: rcfed doctor {name}")),
        None => finding.remedy("a server name is what stands after the colon of a Matrix id, e.g. example.org"),
    }
}

/// The name in what people write instead of one: a URL, an id of a user or a room, an e-mail address, an IPv6 address without
/// its brackets, letters that DNS knows only in another form.
fn meant(text: &str) -> Option<ServerName> {
    let rest = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let rest = rest.split_once("://").map_or(rest, |(_, rest)| rest);
    let rest = rest.split(['/', '?']).next()?;
    let rest = match (rest.strip_prefix(['@', '#', '!', '$', '+']), rest.split_once('@')) {
        (Some(id), _) => id.split_once(':')?.1,
        (None, Some((_, host))) => host,
        (None, None) => rest,
    };
    let rest = rest.trim_end_matches('.');
    if rest.parse::<std::net::Ipv6Addr>().is_ok() {
        return ServerName::parse(&format!("[{rest}]")).ok();
    }
    let found = ServerName::parse(rest).ok().or_else(|| {
        let (host, port) = rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port)));
        let host = url::Host::parse(host).ok().filter(|host| matches!(host, url::Host::Domain(_)))?;
        ServerName::parse(&port.map_or(host.to_string(), |port| format!("{host}:{port}"))).ok()
    });
    found.filter(|name| name.as_str() != text)
}

fn unwise(sight: &Sight<'_>) -> Vec<Finding> {
    let told = |unwise: &Unwise| {
        let said = match unwise {
            Unwise::UpperCase => "has capital letters: DNS does not tell them apart, Matrix does",
            Unwise::LeadingZeros => "has zeros before its port: to others it is not the same name as without",
            Unwise::Long => "is longer than 230 characters, which leaves little room for the names of users",
        };
        Finding::warn(UNWISE, sight.name(), said)
            .remedy("the name of a server cannot be changed; use it as it is spelled in its Matrix ids")
    };
    sight.look.unwise.iter().map(told).collect()
}

fn lookup(sight: &Sight<'_>) -> Vec<Finding> {
    let host = sight.host();
    let told = |problem: &Problem| match problem {
        Problem::NoAddress(of, fault) if *of == host => {
            let said = match fault {
                Some(Fault::NxDomain) => "does not exist in DNS".to_owned(),
                Some(fault) => format!("cannot be looked up: {fault}"),
                None => "has neither an A nor an AAAA record, and no SRV record helps".to_owned(),
            };
            let remedy = match fault {
                Some(Fault::NxDomain) | None => format!(
                    "is the name spelled right? Otherwise add at whoever runs the zone: {host}. 3600 IN A ADDRESS"
                ),
                Some(_) => {
                    format!("ask the zone's own servers: dig {host} A +trace; mend the one that does not answer")
                }
            };
            let cached = match fault {
                Some(Fault::NxDomain) | None => sight.kept_none(&host),
                Some(_) => sight.failed(),
            };
            Some(Finding::fail(LOOKUP, &host, said).remedy(remedy).cached(cached))
        }
        Problem::HalfLookup(of, fault) => Some(
            Finding::warn(LOOKUP, of, format!("can be looked up in one family of addresses only: {fault}"))
                .remedy(format!("ask the zone's own servers: dig {of} A +trace; dig {of} AAAA +trace")),
        ),
        Problem::TooMany(more) => {
            Some(Finding::info(LOOKUP, &host, format!("has more addresses than were looked at: {more} were left out")))
        }
        _ => None,
    };
    let found: Vec<Finding> = sight.look.discovery.problems.iter().filter_map(told).collect();
    if found.is_empty() { vec![Finding::ok(LOOKUP, host, "can be looked up")] } else { found }
}

fn private(sight: &Sight<'_>) -> Vec<Finding> {
    let targets = sight.look.targets.iter().filter(|seen| seen.trouble == Some(Trouble::Private));
    let targets = targets.map(|seen| (seen.target.address, seen.target.certificate_name.clone()));
    let documents = sight
        .look
        .discovery
        .well_known
        .iter()
        // Behind a redirect it is the other host's address.
        .filter(|fetch| !fetch.reached())
        .filter(|fetch| matches!(fetch.outcome, Err(crate::matrix::well_known::Stop::Trouble(Trouble::Private))));
    let mut all: Vec<_> = targets.chain(documents.map(|fetch| (fetch.address, sight.host()))).collect();
    all.sort();
    all.dedup();
    let literal = matches!(sight.look.name.host(), Host::Ip(_));
    let told = |(address, host): (std::net::IpAddr, String)| {
        if literal {
            return Finding::fail(PRIVATE, &host, "is a private address, which nobody outside can reach")
                .remedy("a server name has to be reached by everybody: use a host name, or the public address");
        }
        Finding::fail(PRIVATE, &host, format!("has the private address {address}, which nobody outside can reach"))
            .remedy("put the public address into the zone; the private one belongs into a resolver at home")
            .cached(sight.kept(&host))
    };
    all.into_iter().map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_found_in_what_people_write_instead() {
        let texts = [
            "https://example.org",
            "https://example.org/_matrix/static/?x",
            "matrix://example.org:8448/",
            "example.org.",
            "example.org/",
            "@ada:example.org",
            "#room:example.org:8448",
            "!room:[2001:db8::1]",
            "ada@example.org",
            " example.org ",
            "\u{feff}example.org",
            "2001:db8::1",
            "https://[2001:db8::1]:8448/",
            "bücher.example",
            "https://bücher.example:8448",
            "@ada",
            "a..b",
            "999.1.1.1",
            "example.org:99999",
            "..",
            "",
        ];
        let table = texts.map(|text| format!("{text:?} → {:?}", meant(text).map(|name| name.to_string())));
        insta::assert_snapshot!(table.join("\n"));
    }
}
