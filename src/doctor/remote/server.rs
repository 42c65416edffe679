//! What the homeserver says of itself, under each form of its name that real servers send.

use super::super::check::{Doc, Place};
use super::{Remote, Sight, at};
use crate::finding::Finding;
use crate::matrix::probe::Verdict;

const VERSION: &str = "server.version";
const HOST: &str = "server.host";
const SIGNED: &str = "server.signed";

pub(super) const CHECKS: &[Remote] = &[
    Remote {
        id: VERSION,
        place: Place::Homeserver,
        needs: &["keys.answer"],
        own: false,
        judge: version,
        doc: Doc {
            what: "Whether the homeserver tells its name and version.",
            why: "Testers, and people who help, ask for it first; servers do not need it.",
            fails: "Testers call the server offline.",
            fix: "Let the proxy pass `/_matrix/federation` on, and not only `/_matrix/key`.",
            source: "Matrix server-server API, server implementation.",
        },
    },
    Remote {
        id: HOST,
        place: Place::Proxy,
        needs: &[VERSION],
        own: false,
        judge: host,
        doc: Doc {
            what: "Whether the homeserver answers to its name with and without the port in `Host`.",
            why: "Servers differ: Synapse and Dendrite send the port only if it was written, others always or never.",
            fails: "It works from some servers; others get the default site of the proxy.",
            fix: "Let the proxy compare the name without its port: `server_name` does, `if ($http_host …)` does not.",
            source: "RFC 9110, section 7.2; Synapse's matrix_federation_agent, gomatrixserverlib, resolvematrix.",
        },
    },
    Remote {
        id: SIGNED,
        place: Place::Homeserver,
        needs: &["keys.signature"],
        own: true,
        judge: signed,
        doc: Doc {
            what: "A request of the homeserver to itself through its public name, signed with its own key.",
            why: "It is the only test that takes the whole way of a real request: path, proxy, signature, homeserver.",
            fails: "Others get `Invalid signature for server`, although every tester is green.",
            fix: "Let the proxy pass paths on byte for byte; start the homeserver with the key on disk.",
            source: "Matrix server-server API, request authentication.",
        },
    },
];

fn version(sight: &Sight<'_>) -> Vec<Finding> {
    sight.each(|seen| {
        let finding = match seen.versions.first()? {
            Ok(version) if version.status == 200 && version.name.is_some() => {
                let text = |part: &Option<String>| part.clone().unwrap_or_default();
                let said =
                    format!("is {} {}, {} ms away", text(&version.name), text(&version.version), version.took_ms);
                return Some(Finding::ok(VERSION, at(&seen.target), said));
            }
            Ok(version) => Finding::warn(VERSION, at(&seen.target), "does not tell its version")
                .seen(format!("status {}", version.status)),
            Err(trouble) => {
                Finding::warn(VERSION, at(&seen.target), "does not tell its version").seen(trouble.to_string())
            }
        };
        Some(finding.remedy(
            "let the proxy pass everything below /_matrix on, not only /_matrix/key\nnginx: location /_matrix { … }",
        ))
    })
}

fn host(sight: &Sight<'_>) -> Vec<Finding> {
    sight.each(|seen| {
        let [Ok(own), other] = seen.versions.as_slice() else { return None };
        let own = own.name.is_some().then_some(own)?;
        let (other, why) = match other {
            Ok(other) if other.name == own.name => return None,
            Ok(other) => (format!("`Host: {}`", other.host), format!("status {}", other.status)),
            Err(trouble) => ("the other form of that name".to_owned(), trouble.to_string()),
        };
        Some(
            Finding::warn(HOST, at(&seen.target), format!("answers to `Host: {}` and not to {other}, which some servers send", own.host))
                .seen(why)
                .remedy("compare the name without its port\nnginx: server_name NAME; (it ignores the port), and no `if ($http_host …)`\nTraefik: Host(`NAME`) on every entry point; Apache: ServerAlias"),
        )
    })
}

fn signed(sight: &Sight<'_>) -> Vec<Finding> {
    sight.each(|seen| {
        let answer = seen.signed.as_ref()?;
        let signed = match answer {
            Ok(signed) => signed,
            Err(trouble) => {
                let said = format!("did not answer a signed request: {trouble}");
                return Some(Finding::warn(SIGNED, at(&seen.target), said).remedy(
                    "look again; if it stays so, `sudo rcfed logs homeserver` shows whether the request came",
                ));
            }
        };
        let said = signed.error.clone().unwrap_or_default();
        let code = signed.status.errcode.as_deref().unwrap_or("without a code");
        let line = format!("status {} {code}: {said}", signed.status.status).trim_end_matches(": ").to_owned();
        Some(match signed.verdict {
            Verdict::Accepted => {
                Finding::ok(SIGNED, at(&seen.target), "accepts its own signature through its public name")
            }
            Verdict::Inconclusive => Finding::info(
                SIGNED,
                at(&seen.target),
                "answered a signed request with something from which nothing follows",
            )
            .seen(line),
            // Synapse and Dendrite alike begin with this word.
            Verdict::BadSignature if said.starts_with("Missing") => Finding::fail(
                SIGNED,
                at(&seen.target),
                "does not get the signatures of requests: something on the way removes their `Authorization` header",
            )
            .seen(line)
            .remedy(
                "pass the header on\nnginx: no `proxy_set_header Authorization …` and no `auth_basic` for /_matrix",
            ),
            Verdict::BadSignature => Finding::fail(
                SIGNED,
                at(&seen.target),
                "refuses its own signature: the path is changed on the way, or it works with another key",
            )
            .seen(line)
            .remedy(format!("start the homeserver again with the key on disk; {}", super::words::PASS)),
        })
    })
}
