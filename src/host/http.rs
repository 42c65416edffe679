//! Small questions to servers on the containers' network and on loopback.

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::Method;
use rustls::RootCertStore;
use serde_json::Value;

use super::Host;
use super::tls::trusting;

/// Why a question got no answer, in words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoAnswer(String);

impl Host {
    /// Status and body (at most 64 KiB) of a GET, within 5 s and without following redirects.
    pub async fn get(&self, url: &str) -> Result<(u16, String), NoAnswer> {
        self.get_as(url, None).await
    }

    /// The same with a bearer token.
    pub async fn get_as(&self, url: &str, token: Option<&str>) -> Result<(u16, String), NoAnswer> {
        self.send(Method::GET, url, token, None).await
    }

    /// The same with any method, and with a JSON body if there is one.
    pub async fn send(
        &self,
        method: Method,
        url: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<(u16, String), NoAnswer> {
        self.send_within(LIMIT, method, url, token, body).await
    }

    /// The same with another limit than 5 s.
    pub async fn send_within(
        &self,
        limit: Duration,
        method: Method,
        url: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<(u16, String), NoAnswer> {
        let mut request = client()?.request(method, url).timeout(limit);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let mut answer = request.send().await.map_err(|error| NoAnswer(innermost(&error)))?;
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(|error| NoAnswer(innermost(&error)))? {
            body.extend_from_slice(&part);
            if body.len() > 64 * 1024 {
                return Err(NoAnswer("the answer is longer than 64 KiB".into()));
            }
        }
        Ok((answer.status().as_u16(), String::from_utf8_lossy(&body).into_owned()))
    }
}

const LIMIT: Duration = Duration::from_secs(5);

fn client() -> Result<&'static reqwest::Client, NoAnswer> {
    static CLIENT: OnceLock<reqwest::Client> = OnceLock::new();
    if let Some(client) = CLIENT.get() {
        return Ok(client);
    }
    // Only http is spoken, but reqwest wants to know its TLS.
    let tls = trusting(RootCertStore::empty()).map_err(|error| NoAnswer(error.to_string()))?;
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .connect_timeout(Duration::from_secs(3))
        .redirect(reqwest::redirect::Policy::none())
        // A connection kept from before a reload would end in the arms of a worker that is leaving.
        .pool_max_idle_per_host(0)
        .no_proxy()
        .build()
        .map_err(|error| NoAnswer(error.to_string()))?;
    Ok(CLIENT.get_or_init(|| client))
}

fn innermost(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), innermost)
}
