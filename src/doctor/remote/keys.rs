//! The homeserver's keys: whether it answers at all, whether it is the one that was meant, and whether it can prove it.

use super::super::check::{Doc, Place};
use super::wellknown::said;
use super::{Remote, Sight, at, utc, words};
use crate::finding::{Finding, Status};
use crate::host::net::exchange::{AGENT, End};
use crate::matrix::keys::{KeyFault, ServerKeys, Signature};
use crate::matrix::probe::{Keys, Seen};
use crate::matrix::server_name::ServerName;
use crate::matrix::well_known::Fault;

const ANSWER: &str = "keys.answer";
const NAME: &str = "keys.name";
const CLOCK: &str = "server.clock";
const VALIDITY: &str = "keys.validity";
const FORMAT: &str = "keys.format";
const SIGNATURE: &str = "keys.signature";
const SPLIT: &str = "keys.split";

const SOURCE: &str = "Matrix server-server API, publishing keys.";

const TLS: &[&str] = &["tls.handshake", "tls.expired", "tls.early", "tls.chain", "tls.untrusted", "tls.name"];

pub(super) const CHECKS: &[Remote] = &[
    Remote::row(
        Place::Homeserver,
        ANSWER,
        TLS,
        answer,
        Doc {
            what: "Whether a homeserver answers with its keys where others connect.",
            why: "Before anything else, others fetch the keys by which they check every signature.",
            fails: "Others get an error page of the proxy, or of another site on the same machine.",
            fix: "Start the homeserver, and let the proxy pass `/_matrix` to it.",
            source: SOURCE,
        },
    ),
    Remote::row(
        Place::Homeserver,
        NAME,
        &[ANSWER],
        name,
        Doc {
            what: "Whether the homeserver gives itself the name that was looked for.",
            why: "Others compare it letter by letter, and throw keys of another name away.",
            fails: "`MatchingServerName: false`; others say that keys could not be found.",
            fix: "Look for the name after the colon of its Matrix ids; or let the document point to the right homeserver.",
            source: "Matrix server-server API, publishing keys; matrix-federation-tester issue 87.",
        },
    ),
    Remote::row(
        Place::Homeserver,
        CLOCK,
        &[ANSWER],
        clock,
        Doc {
            what: "The homeserver's time, as its answer tells it, against this machine's.",
            why: "Certificates, keys and events carry times; a clock that is wrong makes good ones look expired.",
            fails: "Keys seem expired, certificates seem to begin tomorrow, messages stand at the wrong place.",
            fix: "Switch time synchronisation on: `timedatectl set-ntp true`.",
            source: "Matrix specification issue 1450; Synapse issue 11510.",
        },
    ),
    Remote::row(
        Place::Homeserver,
        VALIDITY,
        &[CLOCK],
        validity,
        Doc {
            what: "Until when the keys may be used.",
            why: "Others do not take a request that is signed with a key whose time is over.",
            fails: "Others say that the key has expired, often after a clock or a cache went wrong.",
            fix: "Set the clock right, and let no proxy keep answers below `/_matrix`.",
            source: SOURCE,
        },
    ),
    Remote::row(
        Place::Homeserver,
        FORMAT,
        &[ANSWER],
        format,
        Doc {
            what: "Whether each key is an Ed25519 key of 32 bytes with a proper id, and the document one that can be signed.",
            why: "One key that is none makes others throw the whole document away.",
            fails: "Others say that the keys cannot be read.",
            fix: "Put the homeserver's own signing key back; do not write the document by hand.",
            source: "Matrix specification, appendices, Signing JSON and Cryptographic key representation.",
        },
    ),
    Remote::row(
        Place::Homeserver,
        SIGNATURE,
        &[NAME, FORMAT],
        signature,
        Doc {
            what: "Whether every key has signed the document that it stands in.",
            why: "Only so it proves that the homeserver has the secret half; Synapse checks every one.",
            fails: "Others say `Invalid signature` for everything from this server.",
            fix: "Let no proxy change the body; restart the homeserver with the key that it has always had.",
            source: "Matrix specification, appendices, Signing JSON.",
        },
    ),
    Remote::row(
        Place::Homeserver,
        SPLIT,
        &[ANSWER],
        split,
        Doc {
            what: "Whether every address answers with the same keys.",
            why: "Two homeservers under one name sign with two keys, and others know only one of them.",
            fails: "Signatures are refused, now and then.",
            fix: "Let every address lead to the same homeserver.",
            source: "Synapse issues 2034 and 3807.",
        },
    ),
];

fn answer(sight: &Sight<'_>) -> Vec<Finding> {
    let found = sight.each(|seen| {
        let finding = |said: String| Finding::fail(ANSWER, at(&seen.target), said);
        let keys = match seen.keys.as_ref()? {
            Err(trouble) => {
                return Some(
                    finding(format!("does not answer when it is asked for its keys: {trouble}")).remedy(words::FORWARD),
                );
            }
            Ok(keys) => keys,
        };
        let server = seen.server.as_ref().map(|server| format!(", from {server}")).unwrap_or_default();
        let told = |said: String, remedy: &str| {
            let seen = format!("status {}{server}; begins with {:?}", keys.status, keys.beginning);
            Some(finding(said).seen(seen).remedy(remedy))
        };
        match (keys.status, &keys.document) {
            (200, Ok(_)) if keys.end == End::Whole => None,
            (200, Ok(_)) => {
                told("breaks its answer off".into(), "see the proxy's log; proxy_buffering and its disk space")
            }
            (401 | 403 | 406 | 503, _) if only_we_are_refused(seen) => Some(
                Finding::warn(
                    ANSWER,
                    at(&seen.target),
                    "refuses this doctor by its name (`User-Agent`), and lets other servers in",
                )
                .seen(format!("{AGENT}: status {}{server}", keys.status))
                .remedy("what others see is not known from here; to look at the rest, exempt /_matrix from the filter"),
            ),
            (421, _) => told(
                "takes the connection for one to another name (status 421)".into(),
                "give the name a virtual host of its own, and a certificate of its own where the proxy speaks HTTP/2",
            ),
            (520..=527, _) if seen.cloudflare.header || seen.cloudflare.address => told(
                format!("is Cloudflare's proxy, which does not reach the machine behind it (status {})", keys.status),
                "see whether the machine lets Cloudflare's addresses in on that port, with a certificate",
            ),
            (403 | 429 | 503, _) if seen.cloudflare.header => told(
                format!("is Cloudflare's proxy, which takes other servers for bots (status {})", keys.status),
                "make a rule that skips all checks for /_matrix and /.well-known/matrix",
            ),
            (502..=504, _) => told(
                format!("is a proxy that does not reach the homeserver behind it (status {})", keys.status),
                words::FORWARD,
            ),
            (301 | 302 | 303 | 307 | 308, _) => told(
                format!("redirects /_matrix (status {}), which others do not follow", keys.status),
                "exempt /_matrix from the redirect",
            ),
            (200, Err(fault)) => told(
                match fault {
                    Fault::Html => "answers with a web page: it is no homeserver".into(),
                    fault => format!("answers with something else than keys, which {}", said(fault)),
                },
                words::FORWARD,
            ),
            (404, _) => {
                told("is no homeserver, or its proxy keeps /_matrix/key to itself (status 404)".into(), words::FORWARD)
            }
            (status, _) => told(format!("answers with status {status} when it is asked for its keys"), words::FORWARD),
        }
    });
    if found.is_empty() {
        sight.each(|seen| {
            keys(seen).map(|keys| {
                Finding::ok(ANSWER, at(&seen.target), format!("answers with its keys in {} ms", keys.took_ms))
            })
        })
    } else {
        found
    }
}

/// The same question is answered under another name than ours.
fn only_we_are_refused(seen: &Seen) -> bool {
    let ours = seen.versions.first().and_then(|version| version.as_ref().ok());
    ours.is_some_and(|version| version.status != 200) && seen.agents.iter().any(|(_, answer)| *answer == Ok(200))
}

fn name(sight: &Sight<'_>) -> Vec<Finding> {
    let name = sight.name();
    sight.each(|seen| {
        let document = document(seen)?;
        let theirs = document.server_name.as_deref().unwrap_or_default();
        if theirs == name {
            return None;
        }
        const SET: &str = "set `server_name` of the homeserver; it cannot be changed once there are users";
        if theirs.is_empty() {
            let said = format!("does not say whose keys it has; they should be those of `{name}`");
            return Some(Finding::fail(NAME, at(&seen.target), said).seen("there is no `server_name`").remedy(SET));
        }
        let finding = Finding::fail(NAME, at(&seen.target), format!("calls itself `{theirs}`, not `{name}`")).seen(format!("\"server_name\": \"{theirs}\""));
        Some(match sight.delegate() {
            // Without a delegation, the name that was looked for is only where the homeserver lives. Only a name becomes part
            // of a command.
            None if ServerName::parse(theirs).is_ok() => finding.remedy(format!("{name} is where the homeserver of {theirs} answers, not a server name: rcfed doctor {theirs}")),
            Some(delegate) => finding
                .remedy(format!("the well-known document sends others to {delegate}, which is the homeserver of {theirs}: name the right one there\n{}", words::document(&sight.host(), "HOST:443")))
                .cached(sight.cached().unwrap_or_default()),
            None => finding.remedy(SET),
        })
    })
}

/// Seconds that everybody's clock may differ, and those with which times begin to matter.
const SKEW: i64 = 5;
const WRONG: i64 = 60;

fn clock(sight: &Sight<'_>) -> Vec<Finding> {
    let mut found = sight.each(|seen| {
        let skew = seen.date_skew_s.filter(|skew| skew.abs() > SKEW)?;
        let way = if skew > 0 { "ahead of" } else { "behind" };
        let said = format!("is {} {way} this machine's clock", duration(skew.unsigned_abs()));
        let status = if skew.abs() > WRONG { Status::Fail } else { Status::Warn };
        Some(Finding::new(status, CLOCK, at(&seen.target), said).seen("by the `Date` of its answer").remedy("see with `timedatectl timesync-status` which of the two clocks is wrong, then on that machine: timedatectl set-ntp true"))
    });
    found.truncate(1);
    found
}

fn validity(sight: &Sight<'_>) -> Vec<Finding> {
    sight.each(|seen| {
        let until = document(seen)?.valid_until_ts;
        let finding = |said: String| Finding::fail(VALIDITY, at(&seen.target), said);
        let Some(until) = until else {
            return Some(finding("does not say until when its keys are valid".into()).remedy("`valid_until_ts` is required: mend the homeserver"));
        };
        let left = until.saturating_sub(sight.now) / 1000;
        match left {
            ..=0 => Some(
                finding(format!("has keys that ended {} ago", duration(left.unsigned_abs())))
                    .seen(format!("\"valid_until_ts\": {until}"))
                    .remedy("restart the homeserver, and let no proxy keep answers below /_matrix (nginx: proxy_cache off;)"),
            ),
            1..3600 => Some(
                Finding::warn(VALIDITY, at(&seen.target), format!("has keys for only {} more", duration(left.unsigned_abs())))
                    .seen(format!("\"valid_until_ts\": {until}"))
                    .remedy("an hour is the least that is advised: key_refresh_interval (Synapse), key_validity_period (Dendrite)"),
            ),
            _ => None,
        }
    })
}

fn format(sight: &Sight<'_>) -> Vec<Finding> {
    sight.each(|seen| {
        let document = document(seen)?;
        let finding = |said: String| Finding::fail(FORMAT, at(&seen.target), said);
        let mend = "put the homeserver's own signing key back (Synapse: *.signing.key, Dendrite: matrix_key.pem), and serve what the homeserver itself answers";
        if let Some(number) = &document.not_canonical {
            return Some(finding(format!("has a document that cannot be signed: {number}")).remedy(mend));
        }
        if document.keys.is_empty() {
            return Some(finding("has no key in use".into()).remedy(mend));
        }
        let (key, fault) = document.keys.iter().find_map(|key| Some((key, key.fault?)))?;
        let said = match fault {
            KeyFault::Id => format!("has a key with the id `{}`, which is not `ed25519:` and then letters, digits or `_`", key.id),
            KeyFault::NotBase64 => format!("has a key {} that is not base64", key.id),
            KeyFault::Length(bytes) => format!("has a key {} of {bytes} bytes; it has to have 32", key.id),
        };
        Some(finding(said).seen(format!("\"key\": \"{}\"", key.key)).remedy(mend))
    })
}

fn signature(sight: &Sight<'_>) -> Vec<Finding> {
    let found = sight.each(|seen| {
        let key = document(seen)?.keys.iter().find(|key| key.signature != Signature::Valid)?;
        let said = match key.signature {
            Signature::Missing => format!("has keys that {} has not signed", key.id),
            _ => format!("has keys with a wrong signature of {}", key.id),
        };
        Some(Finding::fail(SIGNATURE, at(&seen.target), said).seen(format!("{}: {}", key.id, key.key)).remedy(
            "let no proxy change the body (nginx: sub_filter, Cloudflare: minify); then start the homeserver with the signing key that it has always had",
        ))
    });
    let id = |seen: &Seen| document(seen).and_then(|document| document.keys.first()).map(|key| key.id.clone());
    if found.is_empty() {
        sight.each(|seen| {
            id(seen).map(|id| Finding::ok(SIGNATURE, at(&seen.target), format!("has signed its keys with {id}")))
        })
    } else {
        found
    }
}

fn split(sight: &Sight<'_>) -> Vec<Finding> {
    let keys = |seen: &Seen| -> Option<Vec<String>> {
        let mut keys: Vec<String> = document(seen)?.keys.iter().map(|key| format!("{} {}", key.id, key.key)).collect();
        keys.sort();
        Some(keys)
    };
    let all: Vec<(String, Vec<String>)> =
        sight.connected().filter_map(|seen| Some((at(&seen.target), keys(seen)?))).collect();
    let Some((_, first)) = all.first() else { return Vec::new() };
    if all.iter().all(|(_, keys)| keys == first) {
        return Vec::new();
    }
    let finding = Finding::fail(SPLIT, sight.name(), "is two homeservers: its addresses answer with different keys");
    let finding = all.iter().fold(finding, |finding, (at, keys)| finding.seen(format!("{at}: {}", keys.join(", "))));
    vec![
        finding
            .remedy("let every address, IPv6 too, lead to the same homeserver, or remove the record of the other one")
            .cached(kept(sight)),
    ]
}

/// Until when others keep the keys they have seen: as long as those say, and a week at most.
fn kept(sight: &Sight<'_>) -> String {
    const WEEK: i64 = 7 * 86_400_000;
    let longest = sight.connected().filter_map(|seen| document(seen)?.valid_until_ts).max().unwrap_or_default();
    let until = longest.min(sight.now.saturating_add(WEEK));
    format!("others may believe the keys of the wrong one until {}", utc(until))
}

fn keys(seen: &Seen) -> Option<&Keys> {
    seen.keys.as_ref()?.as_ref().ok()
}

fn document(seen: &Seen) -> Option<&ServerKeys> {
    keys(seen).filter(|keys| keys.status == 200)?.document.as_ref().ok()
}

/// Seconds as a person counts them.
fn duration(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}
