//! A certificate authority that fails in one chosen way, at the step where Let's Encrypt would.
//!
//! Pebble knows no rate limits, pauses or overload; the texts here are Boulder's (ratelimits/limiter.go, wfe2/wfe.go).
//! Signatures of requests are not verified: a client that signs wrongly is Pebble's to find.

use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::web::{Answer, Handler, Request};

/// How to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// No account for anybody.
    Refuse,
    /// Five certificates for the same names this week.
    Limit,
    /// Too many failures in a row: the account may not ask for these names until somebody visits a page.
    Paused,
    /// The load balancer's answer when the CA is overloaded.
    Html,
    /// Connections are accepted and nothing more.
    Hang,
    /// A name the CA does not issue for.
    BadName,
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Ok(match word {
            "refuse" => Self::Refuse,
            "limit" => Self::Limit,
            "paused" => Self::Paused,
            "html" => Self::Html,
            "hang" => Self::Hang,
            "badname" => Self::BadName,
            other => return Err(format!("{other:?} is none of refuse, limit, paused, html, hang, badname")),
        })
    }
}

/// The server.
pub struct Authority {
    pub mode: Mode,
    /// `http` or `https`, for the addresses in the directory.
    pub scheme: &'static str,
    /// How many nonces were given out.
    pub nonces: AtomicU64,
    /// The time named in the rate limit's text, as Boulder prints it.
    pub retry_after: String,
    /// The same in seconds, for the header.
    pub retry_seconds: u64,
}

/// RFC 8555 §6.7
fn problem(status: u16, kind: &str, detail: &str) -> Answer {
    let body = json!({"type": format!("urn:ietf:params:acme:error:{kind}"), "detail": detail, "status": status});
    Answer::new(status, "application/problem+json", body.to_string())
}

impl Handler for Authority {
    async fn handle(&self, request: Request) -> Option<Answer> {
        if self.mode == Mode::Hang {
            return None;
        }
        let answer = self.answer(&request);
        println!("{} {} -> {}", request.method, request.path, answer.status);
        // RFC 8555 §6.5: a nonce with every answer to a POST and to newNonce
        let nonce = format!("standin{:012}", self.nonces.fetch_add(1, Ordering::Relaxed));
        Some(answer.with("Replay-Nonce", nonce).with("Cache-Control", "no-store"))
    }
}

impl Authority {
    fn answer(&self, request: &Request) -> Answer {
        let base = format!("{}://{}", self.scheme, request.header("Host"));
        let post = request.method == hyper::Method::POST;
        match request.path.as_str() {
            "/directory" | "/dir" if self.mode == Mode::Html => Answer::new(
                503,
                "text/html",
                "<html>\n<head><title>503 Service Temporarily Unavailable</title></head>\n<body>\n<center><h1>503 \
                 Service Temporarily Unavailable</h1></center>\n</body>\n</html>\n",
            )
            .with("Retry-After", "30"),
            "/directory" | "/dir" => Answer::json(
                200,
                &json!({
                    "newNonce": format!("{base}/nonce"),
                    "newAccount": format!("{base}/account"),
                    "newOrder": format!("{base}/order"),
                    "revokeCert": format!("{base}/revoke"),
                    "keyChange": format!("{base}/key-change"),
                    "renewalInfo": format!("{base}/renewal-info"),
                    "meta": {
                        "termsOfService": format!("{base}/terms"),
                        "profiles": {"classic": "the default", "shortlived": "six days"},
                    },
                }),
            ),
            "/nonce" => Answer::empty(if post { 405 } else { 200 }),
            "/account" if !post => problem(405, "malformed", "Method not allowed"),
            "/order" if !post => problem(405, "malformed", "Method not allowed"),
            "/account" | "/order" if protected(request).is_none() => {
                problem(400, "malformed", "Parse error reading JWS")
            }
            "/account" if self.mode == Mode::Refuse => {
                problem(403, "unauthorized", "An account with the provided public key exists but is deactivated")
            }
            "/account" => {
                let contact = payload(request)["contact"].clone();
                Answer::json(201, &json!({"status": "valid", "contact": contact, "orders": format!("{base}/orders")}))
                    .with("Location", format!("{base}/account/1"))
            }
            "/account/1" if post => Answer::json(200, &json!({"status": "valid"})),
            "/order" => self.order(request),
            _ => problem(404, "malformed", "Page not found"),
        }
    }

    fn order(&self, request: &Request) -> Answer {
        let body = payload(request);
        let names: Vec<&str> =
            body["identifiers"].as_array().into_iter().flatten().filter_map(|name| name["value"].as_str()).collect();
        let Some(first) = names.first() else {
            return problem(400, "malformed", "NewOrder request did not specify any identifiers");
        };
        match self.mode {
            Mode::Paused => problem(
                429,
                "rateLimited",
                &format!(
                    "Your account is temporarily prevented from requesting certificates for {} and possibly others. \
                     Please visit: https://unpause.example/sfe/v1/unpause?jwt=standin",
                    names.join(", ")
                ),
            ),
            Mode::BadName => problem(
                400,
                "rejectedIdentifier",
                &format!(
                    "Invalid identifiers requested :: Cannot issue for {first:?}: The ACME server refuses to issue a \
                     certificate for this domain name, because it is forbidden by policy"
                ),
            ),
            _ => problem(
                429,
                "rateLimited",
                &format!(
                    "too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s, \
                     retry after {}",
                    self.retry_after
                ),
            )
            .with("Retry-After", self.retry_seconds.to_string())
            .with("Link", "<https://letsencrypt.org/docs/rate-limits>;rel=\"help\""),
        }
    }
}

fn part(request: &Request, name: &str) -> Option<Value> {
    let jws: Value = serde_json::from_slice(&request.body).ok()?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(jws[name].as_str()?).ok()?).ok()
}

/// The protected header, if there is one with what RFC 8555 §6.2 demands.
fn protected(request: &Request) -> Option<Value> {
    part(request, "protected").filter(|header| {
        let key = header["jwk"].is_object() != header["kid"].is_string();
        key && header["alg"].is_string() && header["nonce"].is_string() && header["url"].is_string()
    })
}

fn payload(request: &Request) -> Value {
    part(request, "payload").unwrap_or(Value::Null)
}
