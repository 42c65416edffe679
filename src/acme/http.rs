//! The HTTP client that [`instant_acme`] speaks through.
//!
//! Its own client waits for ever, forgets `Retry-After`, and reports a load balancer's HTML as bad JSON; the answer of
//! an overloaded certificate authority is exactly that. This one has time-outs and a memory.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client as Hyper, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use instant_acme::{BodyWrapper, BytesResponse, HttpClient, Problem};
use jiff::{SignedDuration, Timestamp};

use super::error::Authority;
use super::trouble::Trouble;
use crate::clock::{self, Clock};
use crate::host::net::exchange::AGENT;
use crate::host::tls::roots;

/// For a TCP connection.
pub(super) const CONNECT: Duration = Duration::from_secs(10);
/// For a whole request: connection, TLS, answer and body.
const REQUEST: Duration = Duration::from_secs(30);
/// No ACME answer is nearly as long, in bytes.
const LONGEST: usize = 1 << 20;

/// A client for one certificate authority; clones share their connections and memory.
#[derive(Clone)]
pub(super) struct Client(Arc<Inner>);

struct Inner {
    hyper: Hyper<HttpsConnector<HttpConnector>, BodyWrapper<Bytes>>,
    directory: Uri,
    authority: Authority,
    patience: Duration,
    retry_after: Mutex<Option<Timestamp>>,
}

impl Client {
    /// A client for the certificate authority whose directory is at `directory`, an `https` URL.
    ///
    /// It trusts the machine's roots (those of `SSL_CERT_FILE` if that is set) and the certificates in `ca_pem`.
    pub fn new(directory: &str, ca_pem: Option<&[u8]>) -> Result<Self, Trouble> {
        Self::with_patience(directory, ca_pem, REQUEST)
    }

    fn with_patience(directory: &str, ca_pem: Option<&[u8]>, patience: Duration) -> Result<Self, Trouble> {
        let uri: Uri = directory.parse().map_err(|_| Trouble::NotAUrl(format!("`{directory}`")))?;
        if uri.scheme_str() != Some("https") || uri.host().is_none() {
            // RFC 8555 §6.1: HTTPS is not optional.
            return Err(Trouble::NotAUrl(format!("`{directory}` does not start with `https://` and a host name")));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_details(provider, Arc::new(Clock))
            .with_safe_default_protocol_versions()
            .map_err(|error| Trouble::Tls(error.to_string()))?
            .with_root_certificates(roots(ca_pem).map_err(|error| Trouble::Tls(error.to_string()))?)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.set_nodelay(true);
        let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().wrap_connector(tcp);
        let hyper = Hyper::builder(TokioExecutor::new()).build(https);
        let authority = Authority::of(directory);
        Ok(Self(Arc::new(Inner { hyper, directory: uri, authority, patience, retry_after: Mutex::new(None) })))
    }

    /// Who is asked.
    pub fn authority(&self) -> &Authority {
        &self.0.authority
    }

    /// The end of the wait that the latest answer asked for (RFC 8555 §6.6 and §7.4).
    pub fn retry_after(&self) -> Option<Timestamp> {
        *self.0.retry_after.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(&self, mut request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, instant_acme::Error> {
        let is_directory = request.method() == Method::GET && *request.uri() == self.0.directory;
        name_ourselves(request.headers_mut());
        let exchange = async {
            let response = self.0.hyper.request(request).await.map_err(|error| Trouble::of(&error))?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, LONGEST).collect().await.map_err(|error| Trouble::of(&*error))?;
            Ok((parts, body.to_bytes()))
        };
        let (parts, body) = match tokio::time::timeout(self.0.patience, exchange).await {
            Ok(answer) => answer.map_err(pack)?,
            Err(_) => return Err(pack(Trouble::Silent(self.0.patience.as_secs()))),
        };
        if is_directory && let Some(ahead) = too_wrong(&parts.headers, clock::now()) {
            return Err(pack(Trouble::Clock { ahead }));
        }
        let retry_after = wait_until(&parts.headers, clock::now());
        *self.0.retry_after.lock().unwrap_or_else(PoisonError::into_inner) = retry_after;
        let status = parts.status.as_u16();
        let json = serde_json::from_slice::<serde_json::Value>(&body).ok().filter(serde_json::Value::is_object);
        if status >= 400 && json.is_none() && (status >= 429 || !is_directory) {
            return Err(pack(Trouble::Status { status, retry_after }));
        }
        if is_directory && let Some(why) = not_a_directory(status, json.as_ref()) {
            // Only for this one request does the library not look at the status.
            if let Some(problem) = json.and_then(problem) {
                return Err(problem.into());
            }
            return Err(pack(Trouble::NotADirectory { url: self.0.directory.to_string(), why }));
        }
        Ok(BytesResponse { parts, body: Box::new(body) })
    }
}

impl HttpClient for Client {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let client = self.clone();
        Box::pin(async move { client.send(request).await })
    }
}

fn pack(trouble: Trouble) -> instant_acme::Error {
    instant_acme::Error::Other(Box::new(trouble))
}

/// A problem document of ACME (RFC 8555 §6.7), and no other.
fn problem(json: serde_json::Value) -> Option<Problem> {
    let is_ours = json["type"].as_str().is_some_and(|kind| kind.starts_with("urn:ietf:params:acme:error:"));
    is_ours.then(|| serde_json::from_value(json).ok()).flatten()
}

/// RFC 8555 §6.1: the client's name first, then the library's, which is there already.
fn name_ourselves(headers: &mut HeaderMap) {
    let library = headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let ours = format!("{AGENT} {library}");
    if let Ok(value) = HeaderValue::from_str(ours.trim_end()) {
        headers.insert(USER_AGENT, value);
    }
}

/// RFC 8555 §7.1.1: what every directory has.
fn not_a_directory(status: u16, json: Option<&serde_json::Value>) -> Option<String> {
    let Some(json) = json else { return Some(super::words::not_json(status)) };
    let missing = ["newNonce", "newAccount", "newOrder"].into_iter().find(|key| !json[*key].is_string())?;
    Some(format!("the answer (status {status}) has no `{missing}`"))
}

/// By how many seconds the clock is ahead of the answer's `Date`, if a certificate made now would be thrown away: authorities
/// date them back by an hour or less, and one that is refused here still counts there.
fn too_wrong(headers: &HeaderMap, now: Timestamp) -> Option<i64> {
    let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    let ahead = now.as_second() - Timestamp::try_from(date).ok()?.as_second();
    (ahead.abs() > 60 * 60).then_some(ahead)
}

/// RFC 9110 §10.2.3: seconds, or an HTTP date.
fn wait_until(headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse::<u32>() {
        return now.checked_add(SignedDuration::from_secs(seconds.into())).ok();
    }
    let date: SystemTime = httpdate::parse_http_date(value).ok()?;
    Timestamp::try_from(date).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
        let read = |value: &'static str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(value))]);
            wait_until(&headers, now).map(|until| until.to_string())
        };
        assert_eq!(read("90").unwrap(), "2026-11-23T10:01:30Z");
        assert_eq!(read("Tue, 01 Dec 2026 10:00:00 GMT").unwrap(), "2026-12-01T10:00:00Z");
        assert_eq!(read("soon"), None);
        assert_eq!(read("-1"), None);
        assert_eq!(wait_until(&HeaderMap::new(), now), None);
    }

    #[test]
    fn only_a_directory_is_one() {
        let look = |text: &str| not_a_directory(200, serde_json::from_str(text).ok().as_ref());
        assert_eq!(look(r#"{"newNonce":"a","newAccount":"b","newOrder":"c"}"#), None);
        assert_eq!(look(r#"{"newNonce":"a","newAccount":"b"}"#).unwrap(), "the answer (status 200) has no `newOrder`");
        assert_eq!(look("<html>").unwrap(), super::super::words::not_json(200));
    }

    #[test]
    fn plain_http_and_nonsense_are_refused() {
        for url in ["http://ca.example/dir", "ca.example", "https://", ""] {
            assert!(matches!(Client::new(url, None), Err(Trouble::NotAUrl(_))), "{url}");
        }
    }

    #[tokio::test]
    async fn a_server_that_never_answers_is_left() {
        // It takes the connection, which the kernel does, and nothing else.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}/dir", silent.local_addr().unwrap());
        let client = Client::with_patience(&url, None, Duration::from_secs(1)).unwrap();
        let request = Request::get(&url).body(BodyWrapper::default()).unwrap();
        let error = client.send(request).await.err().unwrap();
        assert_eq!(error.to_string(), Trouble::Silent(1).to_string());
    }
}
