//! One request and its answer: bounded in time and size, and every refusal told apart.

use std::time::Duration;

use reqwest::{Method, Response, StatusCode};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Client, Factor, RestError, Url};
use crate::host::net::exchange::AGENT;
use crate::host::tls;
use crate::secrets::Secret;

/// A request to be made, with the words for it.
pub(super) struct Call {
    what: &'static str,
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    body: Option<Value>,
    second_factor: bool,
    factor: Option<Factor>,
    secret: bool,
    limit: Duration,
}

impl Call {
    /// `GET /api/v1/{path}`; `what` completes the sentence "Rocket.Chat refused to …".
    pub(super) fn get(what: &'static str, path: &str) -> Self {
        Self {
            what,
            method: Method::GET,
            path: format!("/api/v1/{path}"),
            query: Vec::new(),
            body: None,
            second_factor: false,
            factor: None,
            secret: false,
            limit: REQUEST_LIMIT,
        }
    }

    /// `POST /api/v1/{path}`.
    pub(super) fn post(what: &'static str, path: &str) -> Self {
        Self { method: Method::POST, ..Self::get(what, path) }
    }

    /// Another path than below `/api/v1`.
    pub(super) fn at(self, path: &str) -> Self {
        Self { path: path.into(), ..self }
    }

    pub(super) fn query(mut self, name: &'static str, value: &str) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub(super) fn body(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }

    /// Rocket.Chat asks for a second factor here: send the one of the login, if there is one.
    pub(super) fn second_factor(self) -> Self {
        Self { second_factor: true, ..self }
    }

    /// As [`Call::second_factor`], with this one.
    pub(super) fn factor(self, factor: Factor) -> Self {
        Self { second_factor: true, factor: Some(factor), ..self }
    }

    /// A good answer holds a secret: no part of it may reach an error.
    pub(super) fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    pub(super) fn limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }
}

impl Client {
    /// Makes a request and gives back the JSON of a good answer.
    pub(super) async fn call(&self, call: Call) -> Result<Value, RestError> {
        let (what, secret) = (call.what, call.secret);
        let (status, body) = self.exchange(call).await?;
        let json = serde_json::from_slice(&body).ok();
        match json {
            Some(json) if status.is_success() => Ok(json),
            json => Err(refusal(what, status, json.as_ref(), if secret && status.is_success() { b"" } else { &body })),
        }
    }

    /// As [`Client::call`], for an answer that means something with status 400 too.
    pub(super) async fn call_or_400(&self, call: Call) -> Result<Value, RestError> {
        let what = call.what;
        let (status, body) = self.exchange(call).await?;
        match serde_json::from_slice(&body) {
            Ok(json) if status.is_success() || status == StatusCode::BAD_REQUEST => Ok(json),
            json => Err(refusal(what, status, json.ok().as_ref(), &body)),
        }
    }

    /// Whether `path` answers 2xx.
    pub(super) async fn probe(&self, path: &str) -> Result<(), RestError> {
        let what = super::asks::SAY_UP;
        let (status, body) = self.exchange(Call::get(what, "").at(path)).await?;
        if status.is_success() { Ok(()) } else { Err(unexpected(what, status, &body)) }
    }

    async fn exchange(&self, call: Call) -> Result<(StatusCode, Vec<u8>), RestError> {
        let mut url = self.base.clone();
        url.set_path(&call.path);
        for (name, value) in &call.query {
            url.query_pairs_mut().append_pair(name, value);
        }
        let mut request = self.http.request(call.method, url).timeout(call.limit);
        if let Some(auth) = &self.auth {
            request = request.header("X-Auth-Token", auth.token.expose()).header("X-User-Id", &auth.user_id);
            let factor = call.factor.as_ref().or(auth.factor.as_ref());
            if let (true, Some(factor)) = (call.second_factor, factor) {
                request = request.header("x-2fa-code", factor.code.expose()).header("x-2fa-method", &factor.method);
            }
        }
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        let unreachable = |source: reqwest::Error| match certificate(&source) {
            Some(why) => RestError::Certificate { base: self.base.to_string(), why },
            // The URL is said once, by the error around it.
            None => RestError::Unreachable { base: self.base.clone(), source: source.without_url() },
        };
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        match bounded(response).await.map_err(unreachable)? {
            Some(body) => Ok((status, body)),
            None => Err(RestError::Unexpected {
                what: call.what,
                status: status.as_u16(),
                start: format!("the answer is longer than {} KiB", BODY_LIMIT / 1024),
            }),
        }
    }
}

/// The HTTP client: straight to Rocket.Chat, never elsewhere.
pub(super) fn client(base: &Url, authorities: Option<&str>) -> Result<reqwest::Client, RestError> {
    // Without HTTPS reqwest wants to know its TLS too: one that trusts nobody.
    let roots = match base.scheme() {
        "https" => {
            tls::roots(authorities.map(str::as_bytes)).map_err(|error| RestError::Client(error.to_string().into()))?
        }
        _ => rustls::RootCertStore::empty(),
    };
    let tls = tls::trusting(roots).map_err(|error| RestError::Client(error.into()))?;
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(AGENT)
        .build()
        .map_err(|error| RestError::Client(error.into()))
}

/// Why a certificate was not accepted, if that is what went wrong.
fn certificate(error: &reqwest::Error) -> Option<String> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(rustls::Error::InvalidCertificate(why)) = error.downcast_ref() {
            return Some(why.to_string());
        }
        // What is inside an I/O error is not its source.
        let inner = error.downcast_ref::<std::io::Error>().and_then(|error| error.get_ref());
        next = inner.map(|inner| inner as _).or_else(|| error.source());
    }
    None
}

/// The text at `name`, or the error that it is not there.
pub(super) fn field<'a>(answer: &'a Value, what: &'static str, name: &str) -> Result<&'a str, RestError> {
    answer.get(name).and_then(Value::as_str).ok_or_else(|| RestError::lacks(what, name))
}

/// The second factor of somebody who has none: the lower-case hex SHA-256 of the password.
pub(super) fn password_code(password: &Secret) -> Secret {
    let digest = Sha256::digest(password.expose());
    Secret::new(digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// The whole body, or `None` if it is longer than it may be.
async fn bounded(mut response: Response) -> reqwest::Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > BODY_LIMIT {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

fn refusal(what: &'static str, status: StatusCode, json: Option<&Value>, body: &[u8]) -> RestError {
    let text = |name| json.and_then(|json| json.get(name)).and_then(Value::as_str).unwrap_or_default();
    let (kind, reason) = match (text("errorType"), text("error"), text("message")) {
        ("", "", message) => ("", message),
        ("", error, "") => (error, error),
        ("", error, message) => (error, message),
        (kind, error, _) => (kind, error),
    };
    if kind.contains("restricted-workspace") || reason.contains("restricted-workspace") {
        return RestError::Restricted;
    }
    if kind.starts_with("totp-") {
        let details = json.and_then(|json| json.get("details"));
        let method = details.and_then(|details| details.get("method")).and_then(Value::as_str).unwrap_or("unknown");
        let of = |name: &str| details.and_then(|details| details.get(name));
        return match kind == "totp-required" || method == "password" {
            true => {
                RestError::TotpRequired { what, method: method.into(), sent: of("codeGenerated") == Some(&true.into()) }
            }
            false => RestError::WrongCode { what, method: method.into() },
        };
    }
    match status {
        StatusCode::UNAUTHORIZED => RestError::Unauthorized { what },
        StatusCode::FORBIDDEN => RestError::Forbidden { what },
        StatusCode::TOO_MANY_REQUESTS => RestError::RateLimited { what },
        // `{"success":false}` alone is how Rocket.Chat says that there is no such thing.
        StatusCode::BAD_REQUEST if json.is_some() => {
            let reason = if reason.is_empty() { "it gave no reason" } else { reason };
            RestError::Refused { what, kind: kind.into(), reason: line(reason.as_bytes(), REASON_SHOWN) }
        }
        _ => unexpected(what, status, body),
    }
}

fn unexpected(what: &'static str, status: StatusCode, body: &[u8]) -> RestError {
    let start = if body.is_empty() { "nothing".into() } else { line(body, BODY_SHOWN) };
    RestError::Unexpected { what, status: status.as_u16(), start }
}

/// The first `most` bytes of an answer, on one line.
fn line(text: &[u8], most: usize) -> String {
    let shown = String::from_utf8_lossy(&text[..text.len().min(most)]);
    let mut line: String = shown.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.len() > most {
        line.push('…');
    }
    line
}

const REQUEST_LIMIT: Duration = Duration::from_secs(15);
const BODY_LIMIT: usize = 1024 * 1024;
/// Bytes shown of an answer that is not understood.
const BODY_SHOWN: usize = 80;
/// Bytes shown of a reason that Rocket.Chat gives.
const REASON_SHOWN: usize = 400;
