//! Dendrite's requests to the application service, handed on to the bridge.
//!
//! The request is streamed: a transaction is never held in memory. The answer is small and is read whole first, so that
//! one which breaks off becomes a 502, on which Dendrite tries again, and not a success cut short.
//!
//! Transactions go one after the other, and each is followed to its end even if Dendrite hangs up, which it does after 30
//! seconds: it sends the same again, and only what became of the first tells which of its events the bridge has.

use std::error::Error;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use tokio::time::timeout;

use super::answer::{Answer, noted, refuse, too_large, unauthorized, unrecognized, whole};
use super::config::RelayConfig;
use super::serve::{BoxError, Relay, authorized, deepest, say};
use super::transaction::{Filtered, Passed};
use super::words;

/// Hands on anything below `/_matrix/app/`.
pub async fn forward(relay: Arc<Relay>, request: Request<Incoming>) -> Answer {
    if let Err(missing) = authorized(&request, &relay.config.hs_token) {
        return unauthorized(missing);
    }
    if ![Method::GET, Method::POST, Method::PUT].contains(request.method()) {
        return unrecognized(true);
    }
    if request.body().size_hint().lower() > BODY_LIMIT as u64 {
        return too_large();
    }
    let task = match request.method() == Method::PUT && request.uri().path().starts_with(TRANSACTIONS) {
        true => tokio::spawn(timeout(LIMIT, transaction(relay, request))),
        false => tokio::spawn(timeout(LIMIT, async move { send(&relay, request, |body| body).await })),
    };
    match task.await {
        Ok(Ok(Ok((status, content_type, body)))) => whole(status, content_type, body),
        Ok(Ok(Err(error))) if is_too_large(error.as_ref()) => too_large(),
        Ok(Ok(Err(error))) => {
            let answer = refuse(StatusCode::BAD_GATEWAY, "M_CONNECTION_FAILED", "The bridge cannot be reached");
            noted(answer, format_args!("bridge: {}", deepest(error.as_ref())))
        }
        Ok(Err(_)) => {
            let answer = refuse(StatusCode::GATEWAY_TIMEOUT, "M_CONNECTION_TIMEOUT", words::BRIDGE_LATE);
            noted(answer, words::reason(words::BRIDGE_LATE))
        }
        Err(error) => noted(refuse(StatusCode::INTERNAL_SERVER_ERROR, "M_UNKNOWN", "Internal error"), error),
    }
}

/// A transaction's path under a name that says how long it is.
///
/// Dendrite names a transaction by the time of its first event. What failed comes again under that name with all that happened
/// since behind it, and the bridge's library takes a transaction of the last one's name for the last one and passes over it
/// whole (matrix-appservice, `lastProcessedTxnId`). A transaction only grows, so one of the same length is the same.
fn named_by_length(uri: &Uri, length: Option<u64>) -> Option<Uri> {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}-{}{query}", uri.path(), length?).parse().ok()
}

type Sent = Result<(StatusCode, HeaderValue, Bytes), BoxError>;

/// A transaction, without the events that the bridge has.
async fn transaction(relay: Arc<Relay>, mut request: Request<Incoming>) -> Sent {
    if let Some(uri) = named_by_length(request.uri(), request.body().size_hint().exact()) {
        *request.uri_mut() = uri;
    }
    let _turn = relay.turn.lock().await;
    let passed = Arc::new(Mutex::new(Passed::default()));
    let filter = |body| Filtered::new(body, relay.queue.clone(), passed.clone()).boxed_unsync();
    let answer = send(&relay, request, filter).await?;
    let Passed { digests, accepted, dropped } = mem::take(&mut *passed.lock().unwrap_or_else(PoisonError::into_inner));
    if dropped > 0 {
        say(&words::left_out(dropped));
    }
    if answer.0 == StatusCode::OK {
        relay.queue.index().remember(digests);
    }
    for id in accepted {
        // Dendrite takes a success for the end of it, so the invite has to be safe before.
        if let Some(event) = relay.queue.event(&id).await? {
            relay.queue.accept(&id, event).await?;
        }
    }
    Ok(answer)
}

async fn send(
    relay: &Relay,
    request: Request<Incoming>,
    shape: impl FnOnce(UnsyncBoxBody<Bytes, BoxError>) -> UnsyncBoxBody<Bytes, BoxError>,
) -> Sent {
    let (parts, body) = request.into_parts();
    let url = bridge_url(&relay.config, &parts.uri).ok_or(words::NO_URL)?;
    let mut onward = Request::builder().method(parts.method).uri(url);
    onward = onward.header(AUTHORIZATION, relay.config.hs_token.bearer());
    if let Some(content_type) = parts.headers.get(CONTENT_TYPE) {
        onward = onward.header(CONTENT_TYPE, content_type);
    }
    let response = relay.client.request(onward.body(shape(Limited::new(body, BODY_LIMIT).boxed_unsync()))?).await?;
    let status = response.status();
    let content_type = response.headers().get(CONTENT_TYPE).cloned();
    let body = Limited::new(response.into_body(), ANSWER_LIMIT).collect().await.map_err(|error| {
        // Not to be taken for a request that is too large.
        BoxError::from(words::unusable(error))
    })?;
    let content_type = content_type.unwrap_or(HeaderValue::from_static("application/json"));
    Ok((status, content_type, body.to_bytes()))
}

/// The same path on the bridge, with the token in the query too: bridges before Rocket.Chat 7 read it only there.
pub fn bridge_url(config: &RelayConfig, uri: &Uri) -> Option<Uri> {
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

const TRANSACTIONS: &str = "/_matrix/app/v1/transactions/";
const BODY_LIMIT: usize = 50 * 1024 * 1024;
const ANSWER_LIMIT: usize = 1024 * 1024;
/// Dendrite itself gives up after 30 seconds and tries again later.
const LIMIT: Duration = Duration::from_secs(60);
