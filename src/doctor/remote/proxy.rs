//! The proxy before the homeserver: what ordinary testers do not see, because it changes only requests that they do not send.

use super::super::check::{Doc, Place};
use super::{Remote, Sight, at, words};
use crate::finding::{Finding, Status as Worth};
use crate::host::net::exchange::{AGENT as OURS, End, Trouble};
use crate::matrix::probe::{BODY, BodyLimit, Keys, Normalisation, Slashes, Status};

const PATHS: &str = "proxy.paths";
const SLASHES: &str = "proxy.slashes";
const BODIES: &str = "proxy.body";
const AGENT: &str = "proxy.agent";
const ALPN: &str = "proxy.alpn";

pub(super) const CHECKS: &[Remote] = &[
    Remote {
        id: PATHS,
        place: Place::Proxy,
        needs: &["keys.answer"],
        own: false,
        judge: paths,
        doc: Doc {
            what: "Whether an escaped slash arrives at the homeserver as it was sent.",
            why: "Signatures cover the path byte for byte; a proxy that undoes escapes breaks every one that has some.",
            fails: "Others get `Invalid signature for server`; joins and invites fail while all testers are green.",
            fix: "nginx: `proxy_pass http://127.0.0.1:8008;` without a path or slash after the port; Apache: `nocanon`.",
            source: "Matrix server-server API, request authentication; Synapse issues 3294, 3387 and 4858.",
        },
    },
    Remote {
        id: SLASHES,
        place: Place::Proxy,
        needs: &[PATHS],
        own: false,
        judge: slashes,
        doc: Doc {
            what: "Whether two slashes in a row arrive as two.",
            why: "A proxy that merges them works with paths of its own, not with those that were sent.",
            fails: "Nothing yet; it is the first sign of rewritten paths.",
            fix: "Pass paths on as they came.",
            source: "The manual of nginx, merge_slashes.",
        },
    },
    Remote {
        id: BODIES,
        place: Place::Proxy,
        needs: &["keys.answer"],
        own: false,
        judge: body,
        doc: Doc {
            what: "Whether a request of 13,107,200 bytes is refused before it is sent. Nothing of it ever is.",
            why: "Transactions and answers of large rooms are that long; nginx takes 1 MB if nothing else is said.",
            fails: "Large servers try the same transaction again and again, and nothing arrives from them any more.",
            fix: "nginx: `client_max_body_size 50M;`.",
            source: "Synapse's synapse/api/constants.py, MAX_REQUEST_SIZE; matrix-docker-ansible-deploy issue 4100.",
        },
    },
    Remote {
        id: AGENT,
        place: Place::Proxy,
        needs: &["keys.answer"],
        own: false,
        judge: agent,
        doc: Doc {
            what: "Whether requests are answered that carry the names of other homeservers' software as `User-Agent`.",
            why: "Firewalls for web sites know browsers, and take other programs for bots.",
            fails: "Other servers get 403, while browsers and some testers see nothing wrong.",
            fix: "Exempt `/_matrix` from the filter.",
            source: "matrix-federation-tester issue 144; Synapse issue 14220.",
        },
    },
    Remote::row(
        Place::Proxy,
        ALPN,
        &["keys.answer"],
        http2,
        Doc {
            what: "Where HTTP/2 is offered: whether the keys come over it as they do over HTTP/1.1.",
            why: "Dendrite and others speak HTTP/2 wherever it is offered, Synapse never does.",
            fails: "Some servers cannot reach this one, always the same ones; the others can, and so can most testers.",
            fix: "Let the proxy pass `/_matrix` on over both, or do not offer HTTP/2: nginx without `http2`.",
            source: "RFC 9113, section 3.2; RFC 9110, section 15.5.20 (421); Synapse issue 5551.",
        },
    ),
];

fn paths(sight: &Sight<'_>) -> Vec<Finding> {
    sight.each(|seen| {
        let paths = seen.paths.as_ref()?;
        let line = |path: &str, answer: &Result<Status, Trouble>| match answer {
            Ok(status) => format!("GET {path}: {} {}", status.status, status.errcode.as_deref().unwrap_or_default()).trim_end().to_owned(),
            Err(trouble) => format!("GET {path}: {trouble}"),
        };
        let both = |finding: Finding| {
            finding
                .seen(line("/_matrix/federation/v1/event/%24ab", &paths.control))
                .seen(line("/_matrix/federation/v1/event/%24a%2Fb", &paths.escaped))
        };
        Some(match paths.normalisation {
            Normalisation::Untouched => Finding::ok(PATHS, at(&seen.target), "gets paths as they were sent"),
            Normalisation::Normalised => both(Finding::fail(PATHS, at(&seen.target), "gets changed paths: what is escaped is undone on the way, so signatures break")).remedy(words::PASS),
            Normalisation::Inconclusive => both(Finding::info(PATHS, at(&seen.target), "does not answer as a homeserver that federates, so it is not known whether paths arrive as they were sent")),
        })
    })
}

fn slashes(sight: &Sight<'_>) -> Vec<Finding> {
    sight.each(|seen| {
        let paths = seen.paths.as_ref().filter(|paths| paths.merging == Slashes::Merged)?;
        let status = paths.slashes.as_ref().map(|status| status.status).unwrap_or_default();
        Some(
            Finding::warn(
                SLASHES,
                at(&seen.target),
                "gets two slashes in a path as one: the proxy makes paths of its own",
            )
            .seen(format!("GET /_matrix//federation/v1/version: {status}"))
            .remedy(words::PASS),
        )
    })
}

fn agent(sight: &Sight<'_>) -> Vec<Finding> {
    sight.each(|seen| {
        let ours = seen.versions.first()?.as_ref().ok().filter(|version| version.status == 200)?;
        // One who asks often may have to wait; that is no filter.
        let refused = |answer: &Result<u16, Trouble>| answer.as_ref().is_ok_and(|status| !matches!(status, 200 | 429));
        if !seen.agents.iter().any(|(_, answer)| refused(answer)) {
            return None;
        }
        let finding = Finding::fail(AGENT, at(&seen.target), "refuses other servers by their names (`User-Agent`)");
        let told = seen.agents.iter().filter_map(|(agent, answer)| Some((*agent, answer.as_ref().ok()?)));
        let finding = told.fold(finding, |finding, (agent, status)| finding.seen(format!("{agent}: status {status}")));
        Some(finding.seen(format!("{OURS}: status {}", ours.status)).remedy(words::AGENT))
    })
}

fn http2(sight: &Sight<'_>) -> Vec<Finding> {
    // Milliseconds after which an answer that does not come may only be late.
    const QUICK: u64 = 2000;
    sight.each(|seen| {
        let plain = seen.keys.as_ref()?.as_ref().ok()?;
        keys_of(plain)?;
        let finding = |said: &str| Finding::fail(ALPN, at(&seen.target), said).remedy(words::HTTP2);
        Some(match seen.http2.as_ref()? {
            Ok(keys) if keys_of(keys).is_some() && keys_of(keys) == keys_of(plain) => {
                Finding::ok(ALPN, at(&seen.target), "answers with its keys over HTTP/2, too")
            }
            // One who asks often may have to wait.
            Ok(Keys { status: 429, .. }) => return None,
            Ok(keys) if keys_of(keys).is_some() => {
                let told = |keys: &Keys| {
                    keys_of(keys).map(|(name, keys)| format!("{} of {name}", keys.join(", "))).unwrap_or_default()
                };
                finding("answers over HTTP/2 with other keys than over HTTP/1.1")
                    .seen(format!("HTTP/1.1: {}", told(plain)))
                    .seen(format!("HTTP/2: {}", told(keys)))
            }
            Ok(keys) => {
                let said = match keys.status {
                    421 => "takes a connection over HTTP/2 for one to another name; its keys come over HTTP/1.1 only",
                    200 if keys.end == End::Cut => {
                        "breaks its answer off over HTTP/2; its keys come over HTTP/1.1 only"
                    }
                    200 => "answers over HTTP/2 with something else than its keys, which come over HTTP/1.1 only",
                    _ => "answers over HTTP/2 with an error; its keys come over HTTP/1.1 only",
                };
                // Who fails twice may be well a moment later.
                let finding =
                    if keys.status >= 500 { Finding { status: Worth::Warn, ..finding(said) } } else { finding(said) };
                finding.seen(format!("over HTTP/2: status {}; begins with {:?}", keys.status, keys.beginning))
            }
            Err(trouble @ Trouble::Timeout(_)) if plain.took_ms > QUICK => Finding::unknown(
                ALPN,
                at(&seen.target),
                format!("offers HTTP/2 and is too slow to be asked over it: {trouble}"),
            )
            .remedy("look again when it is less busy"),
            Err(trouble) => finding("offers HTTP/2 and gives no answer over it; its keys come over HTTP/1.1 only")
                .seen(trouble.to_string()),
        })
    })
}

/// Whose keys an answer has, and which, if it has any.
fn keys_of(answer: &Keys) -> Option<(&str, Vec<String>)> {
    let document = answer.document.as_ref().ok().filter(|_| answer.status == 200 && answer.end == End::Whole)?;
    let mut keys: Vec<String> = document.keys.iter().map(|key| format!("{} {}", key.id, key.key)).collect();
    keys.sort();
    Some((document.server_name.as_deref().unwrap_or_default(), keys))
}

fn body(sight: &Sight<'_>) -> Vec<Finding> {
    sight.each(|seen| match seen.body_limit.as_ref()? {
        Ok(BodyLimit::Refused) => Some(
            Finding::fail(BODIES, at(&seen.target), "refuses large requests, such as those of large rooms")
                .seen(format!("PUT with Content-Length: {BODY}, before any of it was sent: 413"))
                .remedy(words::BODY),
        ),
        Ok(BodyLimit::Taken) => Some(Finding::ok(BODIES, at(&seen.target), "takes large requests")),
        _ => None,
    })
}
