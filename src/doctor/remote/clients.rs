//! What Matrix clients and people find at the name's host. Federation does not need it, so nothing here is a failure of it.

use super::super::check::{Doc, Place};
use super::{Remote, Sight, words};
use crate::finding::{Finding, Status};
use crate::matrix::ClientSide;
use crate::matrix::well_known::{Cors, Fault, Fetch, Stop};

const DOCUMENT: &str = "client.document";
const CORS: &str = "client.cors";
const API: &str = "client.api";
const SUPPORT: &str = "support.document";

const SOURCE: &str = "Matrix client-server API, well-known URIs and web browser clients.";

pub(super) const CHECKS: &[Remote] = &[
    Remote::row(
        Place::Wellknown,
        DOCUMENT,
        &["dns.lookup"],
        |sight| with(sight, document),
        Doc {
            what: "Whether `/.well-known/matrix/client`, where there is one, can be read and names a homeserver.",
            why: "Clients turn a server name into an address by it.",
            fails: "Clients say that the homeserver cannot be found.",
            fix: "Serve `{\"m.homeserver\": {\"base_url\": \"https://HOST\"}}`.",
            source: SOURCE,
        },
    ),
    Remote::row(
        Place::Wellknown,
        CORS,
        &[DOCUMENT],
        |sight| with(sight, cors),
        Doc {
            what: "Whether pages from elsewhere may read the client document: one `Access-Control-Allow-Origin: *`, at every redirect too.",
            why: "Browsers hide an answer without it, and one with two of them, from Element and all web clients.",
            fails: "Web clients say that the homeserver cannot be found; apps work.",
            fix: "Send the header once: in the proxy or in the application, not in both.",
            source: SOURCE,
        },
    ),
    Remote::row(
        Place::Wellknown,
        API,
        &[DOCUMENT],
        |sight| with(sight, api),
        Doc {
            what: "Whether a homeserver answers below the base URL of the client document.",
            why: "Clients ask there for the versions before anything else.",
            fails: "Clients say that the homeserver is not valid.",
            fix: "Correct `base_url`, or let the proxy pass `/_matrix/client` on.",
            source: SOURCE,
        },
    ),
    Remote::row(
        Place::Wellknown,
        SUPPORT,
        &["dns.lookup"],
        |sight| with(sight, support),
        Doc {
            what: "Whether `/.well-known/matrix/support`, where there is one, says whom to write to.",
            why: "Operators of other servers look there when something from here goes wrong.",
            fails: "Nobody knows whom to tell.",
            fix: "Name at least one contact with a role and a Matrix id or an e-mail address.",
            source: "Matrix client-server API, GET /.well-known/matrix/support.",
        },
    ),
];

fn with(sight: &Sight<'_>, judge: fn(&Sight<'_>, &ClientSide) -> Vec<Finding>) -> Vec<Finding> {
    sight.look.clients.as_ref().map(|clients| judge(sight, clients)).unwrap_or_default()
}

fn document(sight: &Sight<'_>, clients: &ClientSide) -> Vec<Finding> {
    // Whatever is there belongs to the web site, and to name a homeserver would be wrong.
    if sight.own.is_some_and(|own| own.without_homeserver) {
        return Vec::new();
    }
    let url = url(sight, "client");
    let serve = format!(
        "serve {{\"m.homeserver\": {{\"base_url\": \"https://matrix.{}\"}}}} there, with Access-Control-Allow-Origin: *",
        sight.host()
    );
    match &clients.client.outcome {
        Ok(client) => vec![Finding::ok(DOCUMENT, url, format!("names {}", client.base_url))],
        Err(stop) => wrong(DOCUMENT, url, stop, &clients.client, &serve)
            .into_iter()
            .map(|finding| with_cache(finding, sight, &clients.client))
            .collect(),
    }
}

fn support(sight: &Sight<'_>, clients: &ClientSide) -> Vec<Finding> {
    let url = url(sight, "support");
    let serve = "serve {\"contacts\": [{\"role\": \"m.role.admin\", \"email_address\": \"…\"}]} there";
    match &clients.support.outcome {
        Ok(support) => {
            let said = match support.contacts.len() {
                0 => "names a page".to_owned(),
                1 => "names one contact".to_owned(),
                many => format!("names {many} contacts"),
            };
            vec![Finding::ok(SUPPORT, url, said)]
        }
        Err(stop) => wrong(SUPPORT, url, stop, &clients.support, serve)
            .into_iter()
            .map(|finding| Finding { status: Status::Info, ..finding })
            .collect(),
    }
}

/// Clients keep what a server tells them to keep.
fn with_cache<T>(finding: Finding, sight: &Sight<'_>, fetch: &Fetch<T>) -> Finding {
    match fetch.cache.stated {
        Some(seconds @ 1..) => {
            finding.cached(format!("clients may believe the old one until {}", sight.until(seconds)))
        }
        _ => finding,
    }
}

/// A document that is not there is a choice; one that cannot be read is a mistake.
fn wrong<T>(id: &'static str, url: String, stop: &Stop, fetch: &Fetch<T>, serve: &str) -> Vec<Finding> {
    let said = match stop {
        _ if !fetch.reached() => return Vec::new(),
        Stop::Certificate => return Vec::new(),
        Stop::Status(404 | 410) | Stop::Document(Fault::Html | Fault::Empty) => {
            return vec![Finding::info(id, url, "is not there").remedy(serve)];
        }
        Stop::Status(status) => format!("is answered with status {status}"),
        Stop::Document(Fault::BadUrl(what, text)) => format!("has `{text}` as `{what}`, which is no URL"),
        Stop::Document(fault) => super::wellknown::said(fault),
        Stop::Loop | Stop::TooManyHops => "is redirected without end".into(),
        Stop::Trouble(trouble) => format!("does not come: {trouble}"),
        _ => "cannot be read".into(),
    };
    let finding = Finding::warn(id, url, said).remedy(serve);
    let begins = fetch.beginning.trim();
    vec![if begins.is_empty() { finding } else { finding.seen(format!("begins with {begins:?}")) }]
}

fn cors(sight: &Sight<'_>, clients: &ClientSide) -> Vec<Finding> {
    if clients.client.outcome.is_err() {
        return Vec::new();
    }
    let url = url(sight, "client");
    let warn = |said: &str, seen: String| {
        let finding = Finding::warn(CORS, &url, said).seen(seen).remedy(words::CORS);
        vec![with_cache(finding, sight, &clients.client)]
    };
    let Some(bad) = clients.client.hops.iter().find(|hop| !hop.cors.allows_everybody()) else {
        return vec![match &clients.preflight {
            // Only a page that sends headers of its own asks first, and nobody needs one for this document.
            Ok((status, cors)) if !(200..300).contains(status) || !cors.allows_everybody() => {
                Finding::info(CORS, &url, "may be read by pages from everywhere, unless they ask with OPTIONS first")
                    .seen(format!("OPTIONS: status {status}, {}", allowed(cors)))
                    .remedy(words::CORS)
            }
            _ => Finding::ok(CORS, url, "may be read by pages from everywhere"),
        }];
    };
    match bad.cors.allow_origin.as_slice() {
        [] if bad.location.is_some() => warn(
            "is redirected without permission for pages from elsewhere to follow",
            format!("{}: {}", bad.url, allowed(&bad.cors)),
        ),
        [] => warn("may not be read by pages from elsewhere, such as web clients", allowed(&bad.cors)),
        [_] => warn("may be read by pages from one other place only", allowed(&bad.cors)),
        _ => warn("has the permission for pages from elsewhere twice, which browsers take as none", allowed(&bad.cors)),
    }
}

fn allowed(cors: &Cors) -> String {
    let seen = if cors.allow_origin.is_empty() { "not there".into() } else { cors.allow_origin.join(", and again: ") };
    format!("Access-Control-Allow-Origin: {seen}")
}

fn api(_: &Sight<'_>, clients: &ClientSide) -> Vec<Finding> {
    let Ok(client) = &clients.client.outcome else { return Vec::new() };
    const LEAD: &str =
        "correct base_url in the client document, or let the proxy pass /_matrix/client to the homeserver";
    const ALLOW: &str = "the homeserver sends `Access-Control-Allow-Origin: *` itself: let the proxy pass it on, and add none of its own";
    let warn =
        |said: &str, seen: String, remedy| vec![Finding::warn(API, &client.base_url, said).seen(seen).remedy(remedy)];
    match &clients.versions {
        None => Vec::new(),
        Some(Err(trouble)) => warn("is where clients are sent, and it does not answer", trouble.to_string(), LEAD),
        Some(Ok(versions)) if !versions.is_homeserver => warn(
            "is where clients are sent, and no homeserver answers there",
            format!("{}: status {}", versions.url, versions.status),
            LEAD,
        ),
        Some(Ok(versions)) if !versions.cors.allows_everybody() => warn(
            "does not let pages from elsewhere read its answers",
            format!("{}: {}", versions.url, allowed(&versions.cors)),
            ALLOW,
        ),
        Some(Ok(_)) => vec![Finding::ok(API, &client.base_url, "answers clients")],
    }
}

fn url(sight: &Sight<'_>, which: &str) -> String {
    format!("https://{}/.well-known/matrix/{which}", sight.host())
}
