//! Dendrite's requests to the application service, handed on to the bridge.
//!
//! The request is streamed: a transaction is never held in memory. The answer is small and is read whole first, so that
//! one which breaks off becomes a 502, on which Dendrite tries again, and not a success cut short.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use tokio::time::timeout;

use super::answer::{Answer, noted, refuse, too_large, unauthorized, unrecognized, whole};
use super::config::RelayConfig;
use super::serve::{BoxError, Relay, authorized, deepest};

/// Hands on anything below `/_matrix/app/`.
pub async fn forward(relay: &Relay, request: Request<Incoming>) -> Answer {
    if let Err(missing) = authorized(&request, &relay.config.hs_token) {
        return unauthorized(missing);
    }
    if ![Method::GET, Method::POST, Method::PUT].contains(request.method()) {
        return unrecognized(true);
    }
    if request.body().size_hint().lower() > BODY_LIMIT as u64 {
        return too_large();
    }
    match timeout(LIMIT, send(relay, request)).await {
        Ok(Ok((status, content_type, body))) => whole(status, content_type, body),
        Ok(Err(error)) if is_too_large(error.as_ref()) => too_large(),
        Ok(Err(error)) => {
            let answer = refuse(StatusCode::BAD_GATEWAY, "M_CONNECTION_FAILED", "The bridge cannot be reached");
            noted(answer, format_args!("bridge: {}", deepest(error.as_ref())))
        }
        Err(_) => {
            let answer =
                refuse(StatusCode::GATEWAY_TIMEOUT, "M_CONNECTION_TIMEOUT", "The bridge did not answer in time");
            noted(answer, "the bridge did not answer in time")
        }
    }
}

async fn send(relay: &Relay, request: Request<Incoming>) -> Result<(StatusCode, HeaderValue, Bytes), BoxError> {
    let (parts, body) = request.into_parts();
    let url = bridge_url(&relay.config, &parts.uri).ok_or("the path does not make a URL")?;
    let mut onward = Request::builder().method(parts.method).uri(url);
    onward = onward.header(AUTHORIZATION, relay.config.hs_token.bearer());
    if let Some(content_type) = parts.headers.get(CONTENT_TYPE) {
        onward = onward.header(CONTENT_TYPE, content_type);
    }
    let response = relay.client.request(onward.body(Limited::new(body, BODY_LIMIT).boxed_unsync())?).await?;
    let status = response.status();
    let content_type = response.headers().get(CONTENT_TYPE).cloned();
    let body = Limited::new(response.into_body(), ANSWER_LIMIT).collect().await.map_err(|error| {
        // Not to be taken for a request that is too large.
        BoxError::from(format!("its answer cannot be used: {error}"))
    })?;
    let content_type = content_type.unwrap_or(HeaderValue::from_static("application/json"));
    Ok((status, content_type, body.to_bytes()))
}

/// The same path on the bridge, with the token in the query too: bridges before Rocket.Chat 7 read it only there.
fn bridge_url(config: &RelayConfig, uri: &Uri) -> Option<Uri> {
    let mut target = format!("{}?access_token={}", uri.path(), config.hs_token.expose());
    let rest = uri.query().unwrap_or_default().split('&');
    for pair in rest.filter(|pair| !pair.is_empty() && !pair.starts_with("access_token=")) {
        target.push('&');
        target.push_str(pair);
    }
    config.bridge_url.at(&target)
}

fn is_too_large(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<LengthLimitError>() {
            return true;
        }
        next = error.source();
    }
    false
}

const BODY_LIMIT: usize = 50 * 1024 * 1024;
const ANSWER_LIMIT: usize = 1024 * 1024;
/// Dendrite itself gives up after 30 seconds and tries again later.
const LIMIT: Duration = Duration::from_secs(60);
