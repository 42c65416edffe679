//! What a homeserver at one target answers, and what stands between it and us.
//!
//! Ordinary testers ask for the version and the keys, and both pass through a proxy that rewrites paths and refuses large
//! bodies; federation then fails although every test is green. So the proxy is probed itself, with requests that
//! change nothing: no signature, no body, no state.

pub mod chat;
mod lane;
mod proxy;
mod seen;

use std::time::{Duration, SystemTime};

use futures_util::future::join3;
use rustls::pki_types::CertificateDer;
use tokio::time::Instant;

pub use proxy::{BODY, BodyLimit, Normalisation, Paths, Slashes, Status};
pub use seen::{Cloudflare, Keys, Seen, Signed, Verdict, Version};

use super::Eyes;
use super::discovery::Target;
use super::server_name::ServerName;
use super::signing_key::SigningKey;
use super::x_matrix::{Signable, authorization};
use crate::dns::is_cloudflare;
use crate::host::net::exchange::{Answer, Trouble};
use lane::Lane;

/// What is known beyond the target.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inside<'a> {
    /// The server's own key, for a signed request from it to itself.
    pub signing_key: Option<&'a SigningKey>,
    /// Certificates that the server could have presented as well.
    pub extra: &'a [CertificateDer<'static>],
}

/// Where a homeserver publishes its keys.
const KEYS: &str = "/_matrix/key/v2/server";
/// The longest documents that are read, in bytes: keys, and everything else.
const LONGEST_KEYS: usize = 256 * 1024;
const LONGEST: usize = 16 * 1024;
/// The most a server may take to answer an announced body, or over HTTP/2.
const PATIENCE: Duration = Duration::from_secs(3);

/// Looks at the homeserver of `name` at `target`; over at `until`.
pub async fn probe(name: &ServerName, target: &Target, inside: Inside<'_>, eyes: &Eyes, until: Instant) -> Seen {
    let mut seen = Seen::nothing(target.clone());
    let mut first = Lane::new(target, eyes, until);
    // The others wait for this one: where nobody listens, one attempt is enough.
    let (tls, connected_in) = match first.connect(inside.extra).await {
        Ok(connected) => connected,
        Err(trouble) => {
            seen.trouble = Some(trouble);
            return seen;
        }
    };
    seen.tls = tls;
    seen.connect_ms = Some(millis(connected_in));
    let identity = async {
        let keys = first.get(KEYS, &target.host_header, LONGEST_KEYS).await;
        let other = other_form(target);
        let plain = version(&mut first, &target.host_header).await;
        let other = version(&mut first, &other).await;
        let agents = proxy::agents(&mut first).await;
        (keys, [plain, other], agents)
    };
    let mut second = Lane::new(target, eyes, until);
    let through = async {
        let paths = proxy::paths(&mut second).await;
        let signed = match inside.signing_key {
            Some(key) => Some(signed(&mut second, name, key).await),
            None => None,
        };
        (paths, signed, proxy::body_limit(&mut second, PATIENCE).await)
    };
    let third = Lane::new(target, eyes, until.min(Instant::now() + PATIENCE));
    let http2 = async {
        // With less time than that, nothing would follow from silence.
        if until < Instant::now() + PATIENCE {
            return None;
        }
        match third.get_http2(KEYS, LONGEST_KEYS).await {
            // A server that is reloaded or busy just now is asked once more.
            Some(Err(trouble)) if !matches!(trouble, Trouble::Timeout(_)) => third.get_http2(KEYS, LONGEST_KEYS).await,
            Some(Ok(answer)) if answer.head.status >= 500 => third.get_http2(KEYS, LONGEST_KEYS).await,
            seen => seen,
        }
    };
    let ((keys, versions, agents), (paths, signed, body), http2) = join3(identity, through, http2).await;
    seen.paths = Some(paths);
    seen.agents = agents;
    seen.body_limit = Some(body);
    seen.signed = signed;
    seen.versions = versions.into();
    if let Ok(answer) = &keys {
        seen.date_skew_s = skew(answer);
        seen.server = answer.head.header("server").map(str::to_owned);
        seen.cloudflare = cloudflare(target, Some(answer));
    }
    seen.keys = Some(keys.map(|answer| Keys::of(&answer)));
    seen.http2 = http2.map(|keys| keys.map(|answer| Keys::of(&answer)));
    seen
}

async fn version(lane: &mut Lane<'_>, host: &str) -> Result<Version, Trouble> {
    let answer = lane.get("/_matrix/federation/v1/version", host, LONGEST).await?;
    Ok(Version::of(host, &answer))
}

/// A request from the server to itself, which it verifies with its own key and asks nobody. The path has escapes, so that a
/// proxy that rewrites them breaks the signature.
async fn signed(lane: &mut Lane<'_>, name: &ServerName, key: &SigningKey) -> Result<Signed, Trouble> {
    let escaped = name.as_str().replace(':', "%3A").replace('[', "%5B").replace(']', "%5D");
    let uri = format!("/_matrix/federation/v1/event/%24rcfed%3A{escaped}");
    let name = name.as_str();
    let request = Signable { method: "GET", uri: &uri, origin: name, destination: name, content: None };
    let authorization = authorization(key, &request).map_err(|error| Trouble::Other(error.to_string()))?;
    let answer = lane.send("GET", &uri, &[("Authorization", &authorization)], LONGEST).await?;
    Ok(Signed::of(&answer))
}

/// The other `Host` that real servers send: with the port if there is none, without it if there is one.
fn other_form(target: &Target) -> String {
    match ServerName::parse(&target.host_header) {
        Ok(name) if name.port().is_some() => name.host().to_string(),
        _ => format!("{}:{}", target.host_header, target.port),
    }
}

/// How far the server's clock is ahead of ours, in seconds; its own answer tells the time to the second only.
fn skew(answer: &Answer) -> Option<i64> {
    let theirs = httpdate::parse_http_date(answer.head.header("date")?.trim()).ok()?;
    let ours = SystemTime::now() - answer.took / 2;
    let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    Some(match theirs.duration_since(ours) {
        Ok(ahead) => seconds(ahead),
        Err(behind) => -seconds(behind.duration()),
    })
}

fn cloudflare(target: &Target, answer: Option<&Answer>) -> Cloudflare {
    let header = |name| answer.and_then(|answer: &Answer| answer.head.header(name));
    let server = header("server").is_some_and(|server| server.eq_ignore_ascii_case("cloudflare"));
    Cloudflare {
        address: is_cloudflare(target.address),
        header: server || header("cf-ray").is_some(),
        port: matches!(target.port, 443 | 2053 | 2083 | 2087 | 2096 | 8443),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
