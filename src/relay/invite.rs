//! An invite from another server: noted, given to Dendrite as it came, noted again, answered.
//!
//! Dendrite signs and keeps the invite but tells no application service of it (element-hq/dendrite since #3020 and #3277:
//! appservice/consumers/roomserver.go passes over `OutputTypeNewInviteEvent`); what is noted here is handed to the bridge
//! by [`super::deliver`]. The signature covers method, path and body, so these go on byte for byte.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::http::request::Parts;
use hyper::{Method, Request, StatusCode};
use tokio::time::timeout;

use super::answer::{Answer, noted, refuse, too_large, unrecognized, whole};
use super::queue::Intended;
use super::request::{Invite, Target, origin};
use super::serve::{BoxError, Relay, deepest};
use super::words;
use crate::fault;

/// Answers `PUT /_matrix/federation/v1|v2/invite/{roomId}/{eventId}`.
pub async fn invite(relay: Arc<Relay>, request: Request<Incoming>) -> Answer {
    if request.method() != Method::PUT {
        return unrecognized(true);
    }
    let Some(target) = Target::parse(request.uri().path()) else { return unrecognized(false) };
    let Some(origin) = origin(request.headers()) else {
        let why = "Missing or contradictory \"Authorization: X-Matrix ...\" header";
        return refuse(StatusCode::UNAUTHORIZED, "M_UNAUTHORIZED", why);
    };
    let Ok(place) = relay.invites.clone().try_acquire_owned() else {
        return noted(later(words::TOO_MANY), words::reason(words::TOO_MANY));
    };
    let (parts, body) = request.into_parts();
    let (body, _memory) = match collect(&relay, body).await {
        Ok(collected) => collected,
        Err(answer) => return *answer,
    };
    // Who asked may hang up; what has begun is brought to its end all the same.
    let task = tokio::spawn(async move {
        let _held = (place, _memory);
        take(&relay, &target, &origin, parts, body).await
    });
    let failed = |error| noted(refuse(StatusCode::INTERNAL_SERVER_ERROR, "M_UNKNOWN", "Internal error"), error);
    task.await.unwrap_or_else(failed)
}

async fn take(relay: &Relay, target: &Target, origin: &str, parts: Parts, body: Bytes) -> Answer {
    let invite = match Invite::parse(target, &body) {
        Ok(invite) => invite,
        Err((code, text)) => return refuse(StatusCode::BAD_REQUEST, code, &text),
    };
    if let Some(why) = invite.refusal(origin, &relay.config.federate_with) {
        relay.refused(&why);
        return noted(refuse(StatusCode::FORBIDDEN, "M_FORBIDDEN", &why), format_args!("refused: {why}"));
    }
    let (id, event) = (target.event_id.as_str(), invite.for_bridge(&target.event_id));
    fault::point("invite-read");
    let known = relay.queue.index().has_seen(id);
    if !known {
        match relay.queue.intend(id, event.clone()).await {
            Ok(Intended::Written | Intended::Delivered) => {}
            Ok(Intended::Full) => return noted(later(words::QUEUE_FULL), "the queue is full"),
            Err(error) => {
                let answer = refuse(StatusCode::SERVICE_UNAVAILABLE, "M_UNKNOWN", words::NOT_KEPT);
                return noted(again(answer), format_args!("journal: {error}"));
            }
        }
    }
    fault::point("invite-intended");
    let answer = match timeout(relay.config.homeserver_limit, forward(relay, parts, body.clone())).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(Failed { sent, why })) => {
            // What never reached Dendrite cannot have been accepted by it.
            match sent {
                false => drop(relay.queue.void(id).await),
                true => relay.queue.release(id).await,
            }
            let answer = refuse(StatusCode::BAD_GATEWAY, "M_CONNECTION_FAILED", words::HOMESERVER_AWAY);
            return noted(answer, format_args!("homeserver: {why}"));
        }
        Err(_) => {
            relay.queue.release(id).await;
            let answer = refuse(StatusCode::GATEWAY_TIMEOUT, "M_CONNECTION_TIMEOUT", words::HOMESERVER_LATE);
            return noted(answer, words::reason(words::HOMESERVER_LATE));
        }
    };
    fault::point("invite-answered");
    let status = answer.status();
    if status == StatusCode::OK && !known {
        if let Err(error) = relay.queue.accept(id, event).await {
            let answer = refuse(StatusCode::INTERNAL_SERVER_ERROR, "M_UNKNOWN", words::NOT_KEPT);
            return noted(answer, format_args!("journal: {error}"));
        }
        fault::point("invite-accepted");
    } else if status.is_client_error() {
        let _ = relay.queue.void(id).await;
    } else if status != StatusCode::OK {
        relay.queue.release(id).await;
    }
    answer
}

struct Failed {
    sent: bool,
    why: String,
}

/// Gives the request to Dendrite and reads the whole answer, so that one which breaks off is not taken for a success.
async fn forward(relay: &Relay, parts: Parts, body: Bytes) -> Result<Answer, Failed> {
    let failed = |sent, why: String| Failed { sent, why };
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let url = relay.config.homeserver_url.at(path).ok_or_else(|| failed(false, words::NO_URL.into()))?;
    let mut onward = Request::builder().method(parts.method).uri(url);
    for name in [AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT] {
        for value in parts.headers.get_all(&name) {
            onward = onward.header(&name, value);
        }
    }
    let body = Full::new(body).map_err(|never| match never {}).boxed_unsync();
    let request = onward.body(body).map_err(|error| failed(false, error.to_string()))?;
    let response = relay.client.request(request).await;
    let response = response.map_err(|error| failed(!error.is_connect(), deepest(&error)))?;
    let status = response.status();
    let content_type = response.headers().get(CONTENT_TYPE).cloned();
    let body = Limited::new(response.into_body(), ANSWER_LIMIT).collect().await;
    let body = body.map_err(|error: BoxError| failed(true, words::unusable(error)))?;
    Ok(whole(status, content_type.unwrap_or(HeaderValue::from_static("application/json")), body.to_bytes()))
}

type Memory = Vec<tokio::sync::OwnedSemaphorePermit>;

/// The whole body; memory is claimed as it arrives, so a slow sender holds only what it has sent.
async fn collect(relay: &Relay, mut body: Incoming) -> Result<(Bytes, Memory), Box<Answer>> {
    if body.size_hint().lower() > BODY_LIMIT as u64 {
        return Err(too_large().into());
    }
    let all = async {
        let (mut whole, mut claimed) = (BytesMut::new(), Memory::new());
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                return Err(refuse(StatusCode::BAD_REQUEST, "M_NOT_JSON", "The body broke off"));
            };
            let Some(data) = frame.data_ref() else { continue };
            if whole.len() + data.len() > BODY_LIMIT {
                return Err(too_large());
            }
            let size = u32::try_from(data.len()).unwrap_or(u32::MAX);
            let Ok(claim) = relay.memory.clone().try_acquire_many_owned(size) else {
                return Err(noted(later(words::TOO_MANY_LARGE), words::reason(words::TOO_MANY_LARGE)));
            };
            claimed.push(claim);
            whole.extend_from_slice(data);
        }
        Ok((whole.freeze(), claimed))
    };
    match timeout(relay.config.body_limit, all).await {
        Ok(collected) => collected.map_err(Box::new),
        Err(_) => {
            let answer = refuse(StatusCode::REQUEST_TIMEOUT, "M_UNKNOWN", words::BODY_LATE);
            Err(noted(answer, words::reason(words::BODY_LATE)).into())
        }
    }
}

/// 429: the sender is to come again.
fn later(why: &str) -> Answer {
    again(refuse(StatusCode::TOO_MANY_REQUESTS, "M_LIMIT_EXCEEDED", why))
}

fn again(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(RETRY.as_secs()));
    answer
}

/// Bytes of an invite: an event of 64 KiB, and room for the stripped state.
const BODY_LIMIT: usize = 512 * 1024;
const ANSWER_LIMIT: usize = 1024 * 1024;
const RETRY: Duration = Duration::from_secs(30);
