//! Fetching a document from one address, hop by hop.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::SystemTime;

use tokio::time::Instant;
use url::Url;

use super::cache::{Cache, FAILURE, believed};
use super::document::Fault;
use super::visit::Visit;
use crate::host::net::exchange::{Answer, End, Head, Request, Trouble, beginning};
use crate::host::tls::TlsFacts;
use crate::matrix::Eyes;

/// Which document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `/.well-known/matrix/server`, for other servers.
    Server,
    /// `/.well-known/matrix/client`, for clients, many of them in a browser.
    Client,
    /// `/.well-known/matrix/support`, for people.
    Support,
}

/// A document as one address has it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Fetch<T> {
    /// Which document.
    pub kind: Kind,
    /// The address that was asked first.
    pub address: IpAddr,
    /// What answered, redirects included, in order.
    pub hops: Vec<Hop>,
    /// The first 60 bytes of the last body.
    pub beginning: String,
    /// How long others believe what they saw, in seconds; a failure for an hour.
    pub cache: Cache,
    /// What the document says, or why it does not count.
    pub outcome: Result<T, Stop>,
}

/// One answer on the way.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Hop {
    /// What was asked for.
    pub url: String,
    /// Who was asked.
    pub address: SocketAddr,
    /// Status code.
    pub status: u16,
    /// `Location`, as sent.
    pub location: Option<String>,
    /// `Content-Type`, as sent.
    pub content_type: Option<String>,
    /// What browsers are allowed.
    pub cors: Cors,
    /// What TLS showed; none for plain HTTP.
    pub tls: Option<TlsFacts>,
    /// From sending to the last byte, in milliseconds.
    pub took_ms: u64,
}

/// The headers that allow a page from elsewhere to read an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Cors {
    /// Every `Access-Control-Allow-Origin`; two of them allow nothing.
    pub allow_origin: Vec<String>,
    /// `Access-Control-Allow-Methods`.
    pub allow_methods: Option<String>,
    /// `Access-Control-Allow-Headers`.
    pub allow_headers: Option<String>,
}

/// Why a document does not count.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// There is no answer.
    Trouble(Trouble),
    /// An answer came over TLS that others do not accept; see the last hop.
    Certificate,
    /// A status other than 200, and no redirect.
    Status(u16),
    /// A redirect without `Location`, or to something that is no HTTP URL.
    BadLocation,
    /// A redirect back to where it came from.
    Loop,
    /// More redirects than anybody follows.
    TooManyHops,
    /// A redirect to a host without an address.
    NoAddress(String),
    /// More than 50 KiB.
    TooLarge,
    /// The body ended early.
    Unfinished(End),
    /// It says nothing.
    Document(Fault),
}

/// The longest document that servers read, in bytes.
const LONGEST: usize = 50 * 1024;
/// Redirects that the most patient server follows.
const MOST_HOPS: usize = 20;
/// A page that is not the server's own, as browsers name it.
const ORIGIN: (&str, &str) = ("Origin", "https://client.example");

impl Kind {
    /// The path.
    pub fn path(self) -> &'static str {
        match self {
            Self::Server => "/.well-known/matrix/server",
            Self::Client => "/.well-known/matrix/client",
            Self::Support => "/.well-known/matrix/support",
        }
    }
}

impl Cors {
    /// The headers of an answer.
    pub fn of(head: &Head) -> Self {
        Self {
            allow_origin: head.all("access-control-allow-origin").map(str::to_owned).collect(),
            allow_methods: head.header("access-control-allow-methods").map(str::to_owned),
            allow_headers: head.header("access-control-allow-headers").map(str::to_owned),
        }
    }

    /// Whether a page from anywhere may read the answer.
    pub fn allows_everybody(&self) -> bool {
        matches!(self.allow_origin.as_slice(), [one] if one == "*" || one == ORIGIN.1)
    }
}

impl<T> Fetch<T> {
    /// A document that is not asked for, because its address did not answer before.
    pub fn unasked(kind: Kind, address: IpAddr, trouble: Trouble) -> Self {
        let cache = Cache { stated: None, believed: FAILURE };
        let outcome = Err(Stop::Trouble(trouble));
        Self { kind, address, hops: Vec::new(), beginning: String::new(), cache, outcome }
    }

    /// Why no answer came at all, not even a redirect.
    pub fn silence(&self) -> Option<&Trouble> {
        match &self.outcome {
            Err(Stop::Trouble(trouble)) if self.hops.is_empty() => Some(trouble),
            _ => None,
        }
    }

    /// Whether the address answered at all. One that cannot be connected to decides nothing: others take the next address.
    pub fn reached(&self) -> bool {
        !self.silence().is_some_and(Trouble::is_silence)
    }
}

/// Fetches the document of `host` from `address`, and follows redirects wherever they lead.
pub async fn fetch<T>(
    kind: Kind,
    host: &str,
    address: IpAddr,
    read: fn(&[u8]) -> Result<T, Fault>,
    eyes: &Eyes,
    until: Instant,
) -> Fetch<T> {
    fetch_on(&mut Visit::default(), kind, host, address, read, eyes, until).await
}

/// As [`fetch`], on the connection that there is.
pub async fn fetch_on<T>(
    visit: &mut Visit,
    kind: Kind,
    host: &str,
    address: IpAddr,
    read: fn(&[u8]) -> Result<T, Fault>,
    eyes: &Eyes,
    until: Instant,
) -> Fetch<T> {
    let host_name = host.to_owned();
    let mut way =
        Way { visit, kind, address, host: host_name, eyes, until, hops: Vec::new(), beginning: String::new() };
    let (outcome, cache) = match way.go(host).await {
        Ok((body, cache)) => (read(&body).map_err(Stop::Document), cache),
        Err(stop) => (Err(stop), Cache { stated: None, believed: FAILURE }),
    };
    let cache = if outcome.is_err() { Cache { believed: FAILURE, ..cache } } else { cache };
    Fetch { kind, address, hops: way.hops, beginning: way.beginning, cache, outcome }
}

/// Asks as a browser asks before it reads the client document: status, and what it is allowed.
pub async fn preflight(
    visit: &mut Visit,
    host: &str,
    address: IpAddr,
    eyes: &Eyes,
    until: Instant,
) -> Result<(u16, Cors), Trouble> {
    let headers = [ORIGIN, ("Access-Control-Request-Method", "GET")];
    let path = Kind::Client.path();
    let request = Request { method: "OPTIONS", target: path, host, headers: &headers, body: 1024 };
    let (answer, _) = visit.ask(SocketAddr::new(address, 443), Some(host), &request, eyes, until).await?;
    Ok((answer.head.status, Cors::of(&answer.head)))
}

struct Way<'a> {
    visit: &'a mut Visit,
    kind: Kind,
    address: IpAddr,
    host: String,
    eyes: &'a Eyes,
    until: Instant,
    hops: Vec<Hop>,
    beginning: String,
}

impl Way<'_> {
    async fn go(&mut self, host: &str) -> Result<(Vec<u8>, Cache), Stop> {
        let mut url = Url::parse(&format!("https://{host}{}", self.kind.path())).map_err(|_| Stop::BadLocation)?;
        let mut seen = BTreeSet::new();
        for _ in 0..=MOST_HOPS {
            if !seen.insert(url.to_string()) {
                return Err(Stop::Loop);
            }
            let (answer, location) = self.hop(&url).await?;
            match (answer.head.status, location) {
                (301 | 302 | 303 | 307 | 308, None) => return Err(Stop::BadLocation),
                (301 | 302 | 303 | 307 | 308, Some(location)) => {
                    url = url.join(&location).map_err(|_| Stop::BadLocation)?;
                    url.set_fragment(None);
                    if !matches!(url.scheme(), "https" | "http") || !url.has_host() {
                        return Err(Stop::BadLocation);
                    }
                }
                (200, _) => {
                    let cache = believed(&answer.head, SystemTime::now());
                    return match answer.end {
                        End::Whole => Ok((answer.body, cache)),
                        End::Capped => Err(Stop::TooLarge),
                        end => Err(Stop::Unfinished(end)),
                    };
                }
                (status, _) => return Err(Stop::Status(status)),
            }
        }
        Err(Stop::TooManyHops)
    }

    async fn hop(&mut self, url: &Url) -> Result<(Answer, Option<String>), Stop> {
        let secure = url.scheme() == "https";
        let host = url.host_str().unwrap_or_default();
        let peer = SocketAddr::new(self.address_of(url).await?, url.port_or_known_default().unwrap_or(443));
        let target = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let header = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let headers: &[(&str, &str)] = if self.kind == Kind::Client { &[ORIGIN] } else { &[] };
        let request = Request { method: "GET", target: &target, host: &header, headers, body: LONGEST };
        let answer = self.visit.ask(peer, secure.then_some(host), &request, self.eyes, self.until).await;
        let (answer, tls) = answer.map_err(Stop::Trouble)?;
        let location = answer.head.header("location").map(str::to_owned);
        let accepted = tls.as_ref().is_none_or(TlsFacts::is_valid);
        self.beginning = beginning(&answer.body);
        self.hops.push(Hop {
            url: url.to_string(),
            address: peer,
            status: answer.head.status,
            location: location.clone(),
            content_type: answer.head.header("content-type").map(str::to_owned),
            cors: Cors::of(&answer.head),
            tls,
            took_ms: u64::try_from(answer.took.as_millis()).unwrap_or(u64::MAX),
        });
        if accepted { Ok((answer, location)) } else { Err(Stop::Certificate) }
    }

    /// The address under test as long as the host is the same, another host's first one otherwise.
    async fn address_of(&self, url: &Url) -> Result<IpAddr, Stop> {
        match url.host() {
            Some(url::Host::Ipv4(address)) => Ok(address.into()),
            Some(url::Host::Ipv6(address)) => Ok(address.into()),
            Some(url::Host::Domain(host)) if host.eq_ignore_ascii_case(&self.host) => Ok(self.address),
            Some(url::Host::Domain(host)) => {
                let view = self.eyes.host(host, self.until).await;
                let first = [view.a, view.aaaa].into_iter().flatten().flatten().next();
                first.ok_or_else(|| Stop::NoAddress(host.to_owned()))
            }
            None => Err(Stop::BadLocation),
        }
    }
}
