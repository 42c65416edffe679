//! The document that delegates a name. It outlives its correction in the memory of others, so it has to be named first.
//!
//! A document that does not count is a mistake only where the way without it leads nowhere: everybody falls back to SRV
//! records and port 8448, and for many servers that is how it is meant.

use super::super::check::{Doc, Place};
use super::{Remote, Sight, tls, words};
use crate::finding::{Finding, Status};
use crate::host::net::exchange::{End, Stage, Trouble};
use crate::matrix::discovery::{Problem, Rule};
use crate::matrix::server_name::ServerName;
use crate::matrix::well_known::{Fault, Fetch, Stop};

const TLS: &str = "wellknown.tls";
const REDIRECT: &str = "wellknown.redirect";
const ANSWER: &str = "wellknown.answer";
const DOCUMENT: &str = "wellknown.document";
const NAME: &str = "wellknown.name";
const MISSING: &str = "wellknown.missing";
const SPLIT: &str = "wellknown.split";
const TARGET: &str = "wellknown.target";
const PORT: &str = "wellknown.port";
const CACHE: &str = "wellknown.cache";
const TYPE: &str = "wellknown.type";

const SOURCE: &str = "Matrix server-server API, resolving server names, step 3.";

pub(super) const CHECKS: &[Remote] = &[
    Remote::row(
        Place::Wellknown,
        TLS,
        &["dns.lookup", "dns.private"],
        |sight| of(sight, TLS),
        Doc {
            what: "Whether `https://NAME/.well-known/matrix/server` is served with a certificate that others accept, at every address and redirect.",
            why: "Nobody reads a document behind a bad certificate; all fall back to port 8448, and report that instead.",
            fails: "Others say that port 8448 is refused, although the document looks right in a browser that was told to go on.",
            fix: "Mend the certificate of the web site itself: renew it, serve the full chain, cover the name.",
            source: SOURCE,
        },
    ),
    Remote::row(
        Place::Wellknown,
        REDIRECT,
        &["dns.lookup", "dns.private"],
        redirect,
        Doc {
            what: "Whether redirects of the document end, and where they lead.",
            why: "Others follow some redirects, but not in a circle, and not all of them to plain HTTP.",
            fails: "Others behave as if there were no document.",
            fix: "Exempt `/.well-known/matrix/` from the redirect.",
            source: SOURCE,
        },
    ),
    Remote::row(
        Place::Wellknown,
        ANSWER,
        &["dns.lookup", "dns.private"],
        |sight| of(sight, ANSWER),
        Doc {
            what: "Whether the document comes whole, in time, with status 200 or 404.",
            why: "Any other answer counts as no document, and is remembered for up to an hour.",
            fails: "Others behave as if there were no document, some of them only some of the time.",
            fix: "Serve the document as a file, not through an application that can be down.",
            source: SOURCE,
        },
    ),
    Remote::row(
        Place::Wellknown,
        DOCUMENT,
        &["dns.lookup", "dns.private"],
        |sight| of(sight, DOCUMENT),
        Doc {
            what: "Whether the document is a JSON object with `m.server`, of at most 50 KiB.",
            why: "A web page with status 200, a comma too many or a byte order mark make it none, and nobody says so.",
            fails: "Others behave as if there were no document and dial port 8448.",
            fix: "Serve exactly the text that is shown, before any catch-all of the site.",
            source: SOURCE,
        },
    ),
    Remote::row(
        Place::Wellknown,
        NAME,
        &["dns.lookup", "dns.private"],
        |sight| of(sight, NAME),
        Doc {
            what: "Whether `m.server` is a server name: a host and perhaps a port.",
            why: "A scheme, a path or a slash make it something that cannot be connected to.",
            fails: "Strict servers behave as if there were no document, others look for a host called `https`.",
            fix: "Write only `HOST:PORT`.",
            source: "Matrix specification, appendices, Server Name.",
        },
    ),
    Remote::row(
        Place::Wellknown,
        MISSING,
        &["dns.lookup", "dns.private"],
        |sight| of(sight, MISSING),
        Doc {
            what: "Whether there is a document where nothing answers without one.",
            why: "Without it everybody looks for SRV records and then dials port 8448 of the name's own host.",
            fails: "Others say that port 8448 is refused or does not answer.",
            fix: "Serve the document on the host of the name itself (not on `matrix.`), or open port 8448.",
            source: SOURCE,
        },
    ),
    Remote::row(
        Place::Wellknown,
        SPLIT,
        &["dns.lookup", "dns.private"],
        split,
        Doc {
            what: "Whether all addresses of the name's host have the same document.",
            why: "Each server out there takes one of the addresses, and then goes where that one sends it.",
            fails: "It works from some servers and not from others.",
            fix: "Serve the same document on every address, IPv6 too, or remove the record of the other one.",
            source: "matrix-federation-tester issues 103 and 121.",
        },
    ),
    Remote::row(
        Place::Wellknown,
        TARGET,
        &[NAME],
        target,
        Doc {
            what: "Whether the host that `m.server` names can be looked up.",
            why: "Once there is a document, nobody looks anywhere else.",
            fails: "Others say that a host does not exist which nobody has ever typed.",
            fix: "Correct the name in the document, or add its record.",
            source: SOURCE,
        },
    ),
    Remote::row(
        Place::Wellknown,
        PORT,
        &[TARGET],
        port,
        Doc {
            what: "Whether `m.server` has a port, where nothing answers on 8448.",
            why: "Without a port it means 8448, not 443.",
            fails: "Others say that port 8448 is refused.",
            fix: "Write `\"m.server\": \"HOST:443\"`.",
            source: "Matrix server-server API, resolving server names, step 3.5.",
        },
    ),
    Remote::row(
        Place::Wellknown,
        CACHE,
        &[DOCUMENT],
        cache,
        Doc {
            what: "How long others may keep the document.",
            why: "A change reaches everybody only when the longest of these times is over; a day is usual.",
            fails: "After a move, others go to the old place for as long.",
            fix: "Lower `Cache-Control: max-age` two days before a move.",
            source: "Matrix server-server API, resolving server names; RFC 9111.",
        },
    ),
    Remote::row(
        Place::Wellknown,
        TYPE,
        &[DOCUMENT],
        kind,
        Doc {
            what: "Whether the documents, those for clients and people too, are called JSON.",
            why: "Servers read it whatever it is called; some tools do not.",
            fails: "Testers complain, servers do not.",
            fix: "nginx: `default_type application/json;` in its location.",
            source: SOURCE,
        },
    ),
];

/// What is told of one document at one address.
struct Told {
    id: &'static str,
    status: Status,
    said: String,
    remedy: String,
}

/// The findings of one row, addresses with the same one put together.
fn of(sight: &Sight<'_>, id: &'static str) -> Vec<Finding> {
    let mut all: Vec<Finding> = Vec::new();
    for fetch in &sight.look.discovery.well_known {
        let Some(told) = judge(sight, fetch).filter(|told| told.id == id) else { continue };
        let same = all.iter_mut().find(|finding| finding.status == told.status && finding.summary == told.said);
        match same {
            Some(finding) => finding.evidence.push(format!("the same from {}", fetch.address)),
            None => {
                let finding = Finding::new(told.status, id, url(sight), told.said).remedy(told.remedy);
                let finding = seen(fetch).into_iter().fold(finding, Finding::seen);
                all.push(if told.status > Status::Info { finding.cached(failure(sight)) } else { finding });
            }
        }
    }
    let good = sight.look.discovery.well_known.iter().find_map(|fetch| fetch.outcome.as_ref().ok());
    match good {
        Some(delegate) if all.is_empty() && id == DOCUMENT => {
            vec![Finding::ok(DOCUMENT, url(sight), format!("says {delegate}"))]
        }
        _ => all,
    }
}

fn judge(sight: &Sight<'_>, fetch: &Fetch<ServerName>) -> Option<Told> {
    let stop = fetch.outcome.as_ref().err()?;
    let works = sight.works();
    // Where a site simply has no document, only a way that leads nowhere says that one was meant.
    let reached = sight.connected().next().is_some();
    let meant = if works { Status::Warn } else { Status::Fail };
    // Where SRV records lead, or should lead, nobody misses a document.
    let last_resort =
        !sight.look.targets.is_empty() && sight.look.targets.iter().all(|seen| seen.target.rule == Rule::Plain);
    let perhaps = match (works, reached || !last_resort) {
        (true, _) => Status::Info,
        (false, true) => Status::Warn,
        (false, false) => Status::Fail,
    };
    let serve = || words::document(&sight.host(), &guess(sight));
    let told = |id, status, said: String, remedy: String| Some(Told { id, status, said, remedy });
    match stop {
        _ if !fetch.reached() => None,
        Stop::Certificate => {
            let facts = fetch.hops.last().and_then(|hop| hop.tls.as_ref())?;
            let reason = tls::reason(facts)?;
            told(TLS, meant, format!("is behind a certificate that others refuse: it {}", reason.said), reason.remedy)
        }
        Stop::Trouble(
            trouble @ (Trouble::NotTls
            | Trouble::Tls(_)
            | Trouble::Closed(Stage::Tls)
            | Trouble::Reset(Stage::Tls)
            | Trouble::Timeout(Stage::Tls)),
        ) => told(
            TLS,
            perhaps,
            format!("cannot be asked for over TLS: {trouble}"),
            "let the web server speak TLS on port 443 with a certificate for this name".into(),
        ),
        Stop::Status(404 | 410) if reached || !last_resort => None,
        Stop::Status(404 | 410) => {
            told(MISSING, perhaps, "is not there, and without it nothing answers for this name".into(), serve())
        }
        Stop::Status(status) => told(
            ANSWER,
            if *status >= 500 { meant } else { perhaps },
            format!("is answered with status {status}"),
            serve(),
        ),
        Stop::BadLocation | Stop::Loop | Stop::TooManyHops | Stop::NoAddress(_) | Stop::Trouble(Trouble::Private) => {
            let said = match stop {
                Stop::Trouble(_) => "is redirected to a private address, which nobody outside can reach".to_owned(),
                Stop::Loop => "is redirected in a circle".to_owned(),
                Stop::TooManyHops => "is redirected more often than anybody follows".to_owned(),
                Stop::NoAddress(host) => format!("is redirected to {host}, which has no address"),
                _ => "is redirected to something that is no address on the web".to_owned(),
            };
            let remedy = "exempt /.well-known/matrix/ from the redirect\n\
                 nginx: location ^~ /.well-known/matrix/ { … } beside the location that redirects\n\
                 Apache: RewriteCond %{REQUEST_URI} !^/\\.well-known/matrix/ before the RewriteRule\n\
                 Caddy: handle /.well-known/matrix/* { … } before the redir";
            told(REDIRECT, meant, said, remedy.into())
        }
        Stop::Trouble(trouble) => told(ANSWER, meant, format!("does not come: {trouble}"), serve()),
        Stop::TooLarge => told(DOCUMENT, meant, "is larger than 50 KiB, more than others read".into(), serve()),
        Stop::Unfinished(End::Late) => told(ANSWER, meant, "takes too long".into(), serve()),
        Stop::Unfinished(_) => told(ANSWER, meant, "ends before its length".into(), serve()),
        Stop::Document(Fault::BadName(text, error)) => {
            let (scheme, rest) =
                text.split_once("://").map_or((None, text.as_str()), |(scheme, rest)| (Some(scheme), rest));
            let bare = rest.split('/').next().unwrap_or_default();
            let bare = if scheme.is_some() && !bare.contains(':') { format!("{bare}:443") } else { bare.to_owned() };
            let delegate = ServerName::parse(&bare).map_or_else(|_| guess(sight), |name| name.to_string());
            told(
                NAME,
                meant,
                format!("says `{text}`, which is not a server name: {error}"),
                words::document(&sight.host(), &delegate),
            )
        }
        Stop::Document(Fault::Html | Fault::Empty) => {
            let said = if *stop == Stop::Document(Fault::Html) { "is a web page, with status 200" } else { "is empty" };
            told(DOCUMENT, perhaps, said.into(), serve())
        }
        Stop::Document(fault) => told(DOCUMENT, meant, said(fault), serve()),
    }
}

/// What is wrong with a text that should be JSON.
pub(super) fn said(fault: &Fault) -> String {
    match fault {
        Fault::Empty => "is empty".into(),
        Fault::Html => "is a web page".into(),
        Fault::ByteOrderMark => "begins with a byte order mark, which JSON may not have".into(),
        Fault::TrailingComma => "has a comma before a closing bracket, so it is no JSON".into(),
        Fault::NotJson(why) => format!("is no JSON: {why}"),
        Fault::NotAnObject => "is JSON, but not an object".into(),
        Fault::Missing(what) => format!("has no `{what}`"),
        Fault::WrongType(what) => format!("has something else than a text as `{what}`"),
        other => format!("does not count: {other:?}"),
    }
}

fn redirect(sight: &Sight<'_>) -> Vec<Finding> {
    let mut found = of(sight, REDIRECT);
    for fetch in &sight.look.discovery.well_known {
        let plain = fetch.hops.iter().find(|hop| hop.tls.is_none());
        if let Some(hop) = plain.filter(|_| fetch.outcome.is_ok()) {
            let said = format!("is redirected to plain HTTP: {}", hop.url);
            let told = Finding::warn(REDIRECT, url(sight), said)
                .remedy("redirect to https, or better: serve the document where it is asked for");
            let told = seen(fetch).into_iter().fold(told, Finding::seen);
            if found.iter().all(|other| other.summary != told.summary) {
                found.push(told);
            }
        }
    }
    found
}

fn split(sight: &Sight<'_>) -> Vec<Finding> {
    if !sight.look.discovery.problems.contains(&Problem::SplitWellKnown) {
        return Vec::new();
    }
    let finding =
        Finding::fail(SPLIT, url(sight), "is not the same at every address: it depends on the address where others go");
    let each = sight.look.discovery.well_known.iter().map(|fetch| match &fetch.outcome {
        Ok(delegate) => format!("{} says {delegate}", fetch.address),
        Err(_) => format!("{} has no document that counts", fetch.address),
    });
    let finding = each.fold(finding, Finding::seen).remedy(
        "serve the same document on every address (nginx: `listen [::]:443 ssl;` beside `listen 443 ssl;`), or remove the A or AAAA record of the other one",
    );
    vec![finding.cached(sight.cached().unwrap_or_default())]
}

fn target(sight: &Sight<'_>) -> Vec<Finding> {
    let Some(delegate) = sight.delegate() else { return Vec::new() };
    let (name, host) = (sight.host(), delegate.host().to_string());
    let told = |problem: &Problem| match problem {
        Problem::NoAddress(of, fault) if *of == host && *of != name => {
            let why = fault.as_ref().map_or_else(|| "it has no address".to_owned(), ToString::to_string);
            Some(
                Finding::fail(TARGET, url(sight), format!("sends others to {host}, which cannot be looked up: {why}"))
                    .seen(format!("\"m.server\": \"{delegate}\""))
                    .remedy(format!(
                        "name the right host in the document, or add the record: {host}. 3600 IN A ADDRESS"
                    ))
                    .cached(sight.cached().unwrap_or_default()),
            )
        }
        _ => None,
    };
    sight.look.discovery.problems.iter().filter_map(told).collect()
}

fn port(sight: &Sight<'_>) -> Vec<Finding> {
    let targets = || sight.look.targets.iter().filter(|seen| seen.target.rule == Rule::Delegated);
    let Some(host) = targets().next().map(|seen| seen.target.certificate_name.clone()) else { return Vec::new() };
    if targets().any(|seen| seen.trouble.is_none()) {
        return vec![Finding::ok(PORT, url(sight), "has no port, and 8448 answers")];
    }
    let finding = Finding::fail(
        PORT,
        url(sight),
        format!("says `{host}` without a port, so others dial 8448, where nothing answers"),
    );
    let finding = targets()
        .filter_map(|seen| Some((seen, seen.trouble.as_ref()?)))
        .fold(finding, |finding, (seen, trouble)| finding.seen(format!("{}: {trouble}", super::at(&seen.target))));
    vec![
        finding
            .remedy(format!(
                "write the port that the homeserver answers on, usually 443\n{}",
                words::document(&sight.host(), &format!("{host}:443"))
            ))
            .cached(sight.cached().unwrap_or_default()),
    ]
}

fn cache(sight: &Sight<'_>) -> Vec<Finding> {
    let good = sight.look.discovery.well_known.iter().filter(|fetch| fetch.outcome.is_ok());
    let Some(cache) = good.map(|fetch| fetch.cache).max_by_key(|cache| cache.believed) else { return Vec::new() };
    let hours = cache.believed / 3600;
    match cache.stated {
        Some(stated) if stated > cache.believed => vec![Finding::info(
            CACHE,
            url(sight),
            format!(
                "asks to be kept for {} days; others keep it for two, and a mistake in it as long",
                stated / 86_400
            ),
        )],
        Some(0) => {
            vec![Finding::info(CACHE, url(sight), "asks not to be kept, so every server asks for it again and again")]
        }
        _ => vec![Finding::ok(
            CACHE,
            url(sight),
            format!(
                "is kept by others for {}",
                if hours == 0 { format!("{} min", cache.believed / 60) } else { format!("{hours} h") }
            ),
        )],
    }
}

fn kind(sight: &Sight<'_>) -> Vec<Finding> {
    let clients = sight.look.clients.as_ref();
    let last = sight.look.discovery.well_known.iter().filter_map(named).chain(clients.and_then(|it| named(&it.client)));
    let mut found: Vec<Finding> = Vec::new();
    for (path, kind) in last.chain(clients.and_then(|it| named(&it.support))) {
        let url = format!("https://{}{path}", sight.host());
        if kind.is_none_or(|kind| !kind.starts_with("application/json")) && found.iter().all(|f| f.subject != url) {
            let said = match kind {
                Some(kind) => format!("is called {kind}, not application/json; it is read all the same"),
                None => "comes without a Content-Type; it is read all the same".to_owned(),
            };
            let remedy = "nginx: default_type application/json; in its location";
            found.push(Finding::info(TYPE, url, said).remedy(remedy));
        }
    }
    found
}

/// What a document that counts is called.
fn named<T>(fetch: &Fetch<T>) -> Option<(&'static str, Option<&str>)> {
    let last = fetch.hops.last().filter(|_| fetch.outcome.is_ok())?;
    Some((fetch.kind.path(), last.content_type.as_deref()))
}

/// What was seen on the way to a document.
fn seen(fetch: &Fetch<ServerName>) -> Vec<String> {
    let hop = |hop: &crate::matrix::well_known::Hop| {
        let location = hop.location.as_ref().map(|to| format!(" to {to}")).unwrap_or_default();
        format!("{} at {}: status {}{location}", hop.url, hop.address, hop.status)
    };
    // A circle says everything in its first steps.
    let mut lines: Vec<String> = fetch.hops.iter().take(4).map(hop).collect();
    match fetch.hops.len() {
        0 => lines.push(format!("at {}", fetch.address)),
        5.. => lines.push(format!("and {} more", fetch.hops.len() - 4)),
        _ => {}
    }
    if !fetch.beginning.trim().is_empty() {
        lines.push(format!("begins with {:?}", fetch.beginning));
    }
    lines
}

/// The delegate that is most likely meant.
fn guess(sight: &Sight<'_>) -> String {
    sight.delegate().map_or_else(|| format!("matrix.{}:443", sight.host()), ToString::to_string)
}

fn failure(sight: &Sight<'_>) -> String {
    format!("other servers may believe the failure until {}", sight.until(3600))
}

fn url(sight: &Sight<'_>) -> String {
    format!("https://{}/.well-known/matrix/server", sight.host())
}
