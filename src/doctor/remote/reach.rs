//! Whether anything listens where others connect: each address on its own, because each server out there takes one.

use std::net::SocketAddr;

use super::super::check::{Doc, Place};
use super::{Remote, Sight, at};
use crate::finding::Finding;
use crate::host::net::exchange::{Stage, Trouble};
use crate::matrix::probe::Seen;
use crate::matrix::well_known::Stop;

const CLOUDFLARE: &str = "cloudflare.port";
const PROXIED: &str = "cloudflare.proxied";
const SERVER: &str = "reach.server";
const ADDRESS: &str = "reach.address";

const WAY: &[&str] = &[
    "dns.lookup",
    "dns.private",
    "wellknown.tls",
    "wellknown.redirect",
    "wellknown.answer",
    "wellknown.document",
    "wellknown.name",
    "wellknown.missing",
    "wellknown.target",
    "wellknown.port",
    "srv.lookup",
    "srv.unavailable",
    "srv.target",
];

pub(super) const CHECKS: &[Remote] = &[
    Remote::row(
        Place::Proxy,
        CLOUDFLARE,
        WAY,
        port,
        Doc {
            what: "Whether a port that others dial is behind Cloudflare's proxy, which forwards only a few of them.",
            why: "Port 8448 is not among them; 443, 2053, 2083, 2087, 2096 and 8443 are.",
            fails: "Connections to port 8448 end in a timeout, or in status 522.",
            fix: "Delegate to port 443, or switch the proxy off for the host (a grey cloud).",
            source: "Cloudflare's documentation, network ports; Synapse issue 16228.",
        },
    ),
    Remote::row(
        Place::Proxy,
        SERVER,
        &[CLOUDFLARE],
        server,
        Doc {
            what: "Whether a connection can be made to any address that others are sent to.",
            why: "Refused means that nothing listens there or a firewall rejects; silence means that a firewall drops.",
            fails: "Others say `connection refused` or `timed out`; nothing arrives.",
            fix: "Start what listens there, open the port in the firewall of the machine and of its provider, forward it in the router.",
            source: "Matrix server-server API, resolving server names; Synapse issues 17102 and 8794.",
        },
    ),
    Remote::row(
        Place::Proxy,
        ADDRESS,
        &[SERVER],
        address,
        Doc {
            what: "Whether every address answers, IPv6 too, for the document and for the homeserver.",
            why: "Whoever takes the dead one waits for nothing, and many take IPv6 first.",
            fails: "It works from some servers only, or with long delays.",
            fix: "Let the server listen on that address, or remove its record.",
            source: "matrix-federation-tester issues 103, 121 and 143; Synapse issue 12287.",
        },
    ),
    Remote::row(
        Place::Proxy,
        PROXIED,
        &[SERVER],
        proxied,
        Doc {
            what: "Whether Cloudflare's proxy stands before the homeserver.",
            why: "Its rules against bots and its limits apply to other servers as well.",
            fails: "Some servers get status 403 with a page about cookies, large requests get 413 or 520.",
            fix: "Except `/_matrix` and `/.well-known/matrix` from its rules.",
            source: "Synapse issue 17035; matrix-federation-tester issue 149.",
        },
    ),
];

fn port(sight: &Sight<'_>) -> Vec<Finding> {
    let behind = |seen: &&Seen| seen.cloudflare.address && !seen.cloudflare.port && silent(seen).is_some();
    let told = |seen: &Seen| {
        let port = seen.target.port;
        Finding::fail(
            CLOUDFLARE,
            at(&seen.target),
            format!("is an address of Cloudflare's proxy, which does not forward port {port}"),
        )
        .seen(silent(seen).map(ToString::to_string).unwrap_or_default())
        .remedy(format!(
            "delegate to port 443, or switch the proxy off for this host (a grey cloud) in Cloudflare's DNS page\n{}",
            super::words::document(&sight.host(), &format!("{}:443", seen.target.certificate_name))
        ))
    };
    sight.look.targets.iter().filter(behind).map(told).collect()
}

fn server(sight: &Sight<'_>) -> Vec<Finding> {
    let targets = &sight.look.targets;
    if let Some(seen) = targets.iter().find(|seen| silent(seen).is_none()) {
        let took = seen.connect_ms.map(|ms| format!(" in {ms} ms")).unwrap_or_default();
        return vec![Finding::ok(SERVER, at(&seen.target), format!("can be connected to{took}"))];
    }
    let Some(first) = targets.first() else {
        return vec![Finding::unknown(SERVER, sight.name(), "was not looked at: it is not known where to connect")];
    };
    let kinds: Vec<&Trouble> = targets.iter().filter_map(silent).collect();
    if targets.iter().all(no_ipv6_here) {
        return vec![
            Finding::unknown(SERVER, sight.name(), "can be reached over IPv6 only, and this machine has none")
                .seen(format!("{}: {}", at(&first.target), kinds[0])),
        ];
    }
    // Where a document could lead others to the homeserver, if port 443 answered.
    let fallen_back = targets.iter().all(|seen| seen.target.port == 8448);
    let documents = sight.look.discovery.well_known.iter().filter(|_| fallen_back);
    let documents: Option<Vec<_>> =
        documents.map(|fetch| Some((fetch.address, fetch.silence().filter(|trouble| trouble.is_silence())?))).collect();
    let documents = documents.unwrap_or_default();
    let (said, trouble, port) = match documents.first() {
        Some((_, trouble)) => (
            "cannot be connected to: neither port 443, where its document would be, nor port 8448 answers",
            Some(*trouble),
            443,
        ),
        None => ("cannot be connected to: no address answers", kinds.first().copied(), first.target.port),
    };
    let finding = Finding::fail(SERVER, sight.name(), said);
    let finding = documents.iter().fold(finding, |finding, (address, trouble)| {
        finding.seen(format!("{}: {trouble}", SocketAddr::new(*address, 443)))
    });
    let finding = targets.iter().fold(finding, |finding, seen| {
        finding.seen(format!(
            "{}: {}",
            at(&seen.target),
            seen.trouble.as_ref().map(ToString::to_string).unwrap_or_default()
        ))
    });
    vec![finding.remedy(advice(trouble, port))]
}

fn address(sight: &Sight<'_>) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    let mut dead = |address: std::net::IpAddr, port: u16, host: &str, trouble: &Trouble| {
        let family = if address.is_ipv6() { "AAAA" } else { "A" };
        let subject = format!("{} ({host})", SocketAddr::new(address, port));
        let finding = if is_no_ipv6(address, trouble) {
            Finding::info(ADDRESS, subject, "was not tried: this machine has no IPv6").seen(trouble.to_string())
        } else {
            Finding::fail(ADDRESS, subject, "does not answer, while other addresses of the same name do")
                .seen(trouble.to_string())
                .remedy(format!(
                    "{}, or remove the {family} record of {host}{}",
                    advice(Some(trouble), port),
                    if address.is_ipv6() { "\nnginx listens on IPv6 only if told: listen [::]:443 ssl;" } else { "" }
                ))
                .cached(sight.kept(host))
        };
        if !found.contains(&finding) {
            found.push(finding);
        }
    };
    let host = sight.host();
    let some = sight.look.discovery.well_known.iter().any(crate::matrix::well_known::Fetch::reached);
    for fetch in sight.look.discovery.well_known.iter().filter(|fetch| some && !fetch.reached()) {
        if let Err(Stop::Trouble(trouble)) = &fetch.outcome {
            dead(fetch.address, 443, &host, trouble);
        }
    }
    for seen in &sight.look.targets {
        if let Some(trouble) = silent(seen) {
            // The record is that of the host which an SRV record names.
            let host = seen.target.srv.as_ref().map_or(&seen.target.certificate_name, |srv| &srv.target);
            dead(seen.target.address, seen.target.port, host, trouble);
        }
    }
    found
}

fn proxied(sight: &Sight<'_>) -> Vec<Finding> {
    sight.each(|seen| {
        let sign = match (seen.cloudflare.address, seen.cloudflare.header) {
            (true, _) => "the address is Cloudflare's",
            (false, true) => "the answer has Cloudflare's headers",
            _ => return None,
        };
        Some(
            Finding::info(PROXIED, at(&seen.target), "is behind Cloudflare's proxy")
                .seen(sign)
                .remedy("exempt /_matrix and /.well-known/matrix from its firewall rules, bot rules and caches"),
        )
    })
}

/// Why there is no connection at all; what speaks, if only nonsense, is not silent.
pub(super) fn silent(seen: &Seen) -> Option<&Trouble> {
    use Trouble::{Closed, NotTls, Reset, Tls};
    seen.trouble.as_ref().filter(|trouble| {
        !matches!(trouble, NotTls | Tls(_) | Closed(Stage::Tls) | Reset(Stage::Tls) | Trouble::Timeout(Stage::Tls))
    })
}

fn no_ipv6_here(seen: &Seen) -> bool {
    seen.trouble.as_ref().is_some_and(|trouble| is_no_ipv6(seen.target.address, trouble))
}

/// A network that says at once that it has no way to IPv6 is ours, not theirs.
pub(super) fn is_no_ipv6(address: std::net::IpAddr, trouble: &Trouble) -> bool {
    address.is_ipv6() && matches!(trouble, Trouble::Unreachable(why) if why != "host unreachable")
}

fn advice(trouble: Option<&Trouble>, port: u16) -> String {
    match trouble {
        Some(Trouble::Refused) => format!("nothing listens on port {port}, or a firewall rejects: see `ss -ltn` on the server, then its firewall"),
        Some(Trouble::Timeout(_)) => format!("a firewall drops, or a router does not forward: open TCP port {port} on the machine, at its provider and in the router"),
        Some(Trouble::Reset(_) | Trouble::Closed(_)) => "something accepts the connection and breaks it off: a firewall, or a proxy without a server behind it".into(),
        _ => "there is no way to that address: see whether the machine has it (`ip address`), and whether the record is right".into(),
    }
}
