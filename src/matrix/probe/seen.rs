//! What was seen at one target, as data.

use serde_json::Value;

use super::proxy::{BodyLimit, Paths, Status};
use crate::host::net::exchange::{Answer, End, Trouble};
use crate::host::tls::TlsFacts;
use crate::matrix::discovery::Target;
use crate::matrix::keys::ServerKeys;
use crate::matrix::well_known::Fault;

/// Everything seen at one target.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Seen {
    /// Where.
    pub target: Target,
    /// Why there is no connection; then there is nothing else.
    pub trouble: Option<Trouble>,
    /// What TLS showed.
    pub tls: Option<TlsFacts>,
    /// TCP and TLS together, in milliseconds.
    pub connect_ms: Option<u64>,
    /// The version, asked with each `Host` that real servers send: the target's own first.
    pub versions: Vec<Result<Version, Trouble>>,
    /// The keys.
    pub keys: Option<Result<Keys, Trouble>>,
    /// The keys once more over HTTP/2; none if the server does not speak it.
    pub http2: Option<Result<Keys, Trouble>>,
    /// How paths arrive.
    pub paths: Option<Paths>,
    /// What others get who ask for the version under these names: the `User-Agent`, and the status.
    pub agents: Vec<(&'static str, Result<u16, Trouble>)>,
    /// What becomes of a large body.
    pub body_limit: Option<Result<BodyLimit, Trouble>>,
    /// What the server says to its own signature, if its key is known.
    pub signed: Option<Result<Signed, Trouble>>,
    /// How far its clock is ahead of ours, in seconds, give or take one.
    pub date_skew_s: Option<i64>,
    /// The `Server` header.
    pub server: Option<String>,
    /// Signs of Cloudflare's proxy.
    pub cloudflare: Cloudflare,
}

/// The answer to a request for the version.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Version {
    /// The `Host` that was sent.
    pub host: String,
    /// Status code.
    pub status: u16,
    /// The software's name; none if the answer is not what the specification says.
    pub name: Option<String>,
    /// The software's version.
    pub version: Option<String>,
    /// From sending to the last byte, in milliseconds.
    pub took_ms: u64,
}

/// The answer to a request for the keys.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Keys {
    /// Status code.
    pub status: u16,
    /// `Content-Type`, as sent.
    pub content_type: Option<String>,
    /// How the body ended.
    pub end: End,
    /// Its first 60 bytes.
    pub beginning: String,
    /// What it says.
    pub document: Result<ServerKeys, Fault>,
    /// From sending to the last byte, in milliseconds.
    pub took_ms: u64,
}

/// The answer to a signed request.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Signed {
    /// Status and error code.
    pub status: Status,
    /// The error in the server's words, cut after 200 characters.
    pub error: Option<String>,
    /// What it means.
    pub verdict: Verdict,
}

/// What a server's answer to its own signature means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It accepted the signature and went on to the request.
    Accepted,
    /// It did not: the path was changed on the way, or the key is another one.
    BadSignature,
    /// It answered something else, from which nothing follows.
    Inconclusive,
}

/// Signs of Cloudflare's proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Cloudflare {
    /// The address is one of its own.
    pub address: bool,
    /// The answer has its headers.
    pub header: bool,
    /// It proxies this port at all.
    pub port: bool,
}

impl Seen {
    pub(super) fn nothing(target: Target) -> Self {
        Self {
            cloudflare: super::cloudflare(&target, None),
            target,
            trouble: None,
            tls: None,
            connect_ms: None,
            versions: Vec::new(),
            keys: None,
            http2: None,
            paths: None,
            agents: Vec::new(),
            body_limit: None,
            signed: None,
            date_skew_s: None,
            server: None,
        }
    }
}

impl Version {
    pub(super) fn of(host: &str, answer: &Answer) -> Self {
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let text = |key: &str| Some(body.get("server")?.get(key)?.as_str()?.chars().take(100).collect());
        Self {
            host: host.to_owned(),
            status: answer.head.status,
            name: text("name"),
            version: text("version"),
            took_ms: super::millis(answer.took),
        }
    }
}

impl Keys {
    pub(super) fn of(answer: &Answer) -> Self {
        Self {
            status: answer.head.status,
            content_type: answer.head.header("content-type").map(str::to_owned),
            end: answer.end,
            beginning: crate::host::net::exchange::beginning(&answer.body),
            document: ServerKeys::read(&answer.body),
            took_ms: super::millis(answer.took),
        }
    }
}

impl Signed {
    pub(super) fn of(answer: &Answer) -> Self {
        // Only a homeserver answers in JSON, if only with `""` as Synapse does for an event that it does not have; a
        // proxy's own page says nothing about signatures.
        let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
        let error = body.as_ref().and_then(|body| body.get("error")?.as_str());
        let error = error.map(|text| text.chars().take(200).collect());
        let status = Status::of(answer);
        let verdict = match status.status {
            _ if body.is_none() => Verdict::Inconclusive,
            401 => Verdict::BadSignature,
            // The event does not exist; who looks at the room first says 403.
            403 | 404 if status.errcode.as_deref() != Some("M_UNRECOGNIZED") => Verdict::Accepted,
            _ => Verdict::Inconclusive,
        };
        Self { status, error, verdict }
    }
}
