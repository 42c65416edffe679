//! Accepted invites on their way to the bridge, each a transaction of its own, until the bridge has it.
//!
//! At least once: an invite is taken from the queue only after the bridge's 200 was written down. It comes twice only if
//! the process dies between that 200 and the end of the sync; the transaction's id is made from the event's, so the
//! repetition looks like one. Bridges remember only the last id (npm `matrix-appservice`, `lastProcessedTxnId`), so the relay
//! does not rely on that while it lives.

use std::time::Instant;

use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{Request, StatusCode};
use tokio::time::timeout;

use super::forward::bridge_url;
use super::index::Kind;
use super::seen::digest;
use super::serve::{BoxError, Relay, deepest, say};
use super::words;
use crate::fault;

/// How an attempt ended.
enum Outcome {
    /// The bridge has it.
    Taken,
    /// Nobody answered: the next would fare no better.
    Away(String),
    /// The bridge does not accept our token: it will not before somebody changes something.
    Forbidden(String),
    /// The bridge failed over this one.
    Failed(String),
    /// The bridge says this one is wrong.
    Wrong(String),
}

/// Delivers for ever.
pub async fn run(relay: &Relay) {
    let mut failures = 0;
    let mut gate = Instant::now();
    loop {
        let next = relay.queue.index().next(Kind::Deliver, Instant::now());
        let id = match next {
            Ok(id) => id,
            Err(when) => {
                wait(relay, when).await;
                continue;
            }
        };
        if let Some(rest) = gate.checked_duration_since(Instant::now()) {
            tokio::time::sleep(rest).await;
        }
        // No transaction runs meanwhile, so none brings the same event; and who stops the relay waits for its turn, so it
        // does not stop between the bridge's answer and the journal.
        let turn = relay.turn.lock().await;
        let outcome = one(relay, &id).await;
        relay.tell(Kind::Deliver, &outcome_text(&outcome));
        let pace = &relay.config.pace;
        let now = Instant::now();
        let (again, pause) = match outcome {
            Outcome::Taken => {
                failures = 0;
                gate = now;
                match relay.queue.done(&id).await {
                    Ok(()) => {
                        fault::point("invite-done");
                        continue;
                    }
                    Err(error) => say(&words::not_written(&id, error)),
                }
                (now + pace.wait(1), None)
            }
            Outcome::Away(_) => {
                failures += 1;
                (now, Some(pace.wait(failures)))
            }
            Outcome::Forbidden(_) => (now, Some(pace.longest)),
            // Others may fare better: this one waits longer than the rest.
            Outcome::Failed(_) => {
                failures += 1;
                (now + pace.wait(count(relay, &id) + 1), Some(pace.wait(failures)))
            }
            Outcome::Wrong(why) => {
                let attempts = count(relay, &id);
                if attempts >= WRONG_LIMIT {
                    say(&words::given_up(&id, attempts, &why));
                    let _ = relay.queue.drop_for_good(&id).await;
                    continue;
                }
                (now + pace.wait(attempts + 1), None)
            }
        };
        drop(turn);
        gate = now + pause.unwrap_or_default();
        relay.queue.index().turn(Kind::Deliver, &id, again);
    }
}

/// Until something is new, or it is `when`.
pub async fn wait(relay: &Relay, when: Option<Instant>) {
    let kind = Kind::Deliver;
    match when {
        None => relay.queue.changed(kind).await,
        Some(when) => drop(tokio::time::timeout_at(when.into(), relay.queue.changed(kind)).await),
    }
}

fn count(relay: &Relay, id: &str) -> u32 {
    let mut attempts = 0;
    relay.queue.index().change(id, |waiting| {
        waiting.attempts += 1;
        attempts = waiting.attempts;
    });
    attempts
}

async fn one(relay: &Relay, id: &str) -> Outcome {
    if relay.queue.index().has_seen(id) {
        return Outcome::Taken;
    }
    let event = match relay.queue.event(id).await {
        Ok(Some(event)) => event,
        Ok(None) => return Outcome::Taken,
        Err(error) => return Outcome::Away(words::journal_unreadable(error)),
    };
    match timeout(relay.config.bridge_limit, send(relay, id, &event)).await {
        Err(_) => Outcome::Failed(words::reason(words::BRIDGE_LATE)),
        Ok(Err(error)) => Outcome::Away(format!("bridge: {}", deepest(error.as_ref()))),
        Ok(Ok(StatusCode::OK)) => {
            fault::point("invite-delivered");
            relay.queue.index().remember([digest(id)]);
            say(&words::delivered(id));
            Outcome::Taken
        }
        Ok(Ok(status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN))) => {
            Outcome::Forbidden(words::wrong_token(status.as_u16()))
        }
        Ok(Ok(
            status @ (StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY),
        )) => Outcome::Wrong(words::refused(status.as_u16())),
        Ok(Ok(status)) => Outcome::Failed(words::failed(status.as_u16())),
    }
}

async fn send(relay: &Relay, id: &str, event: &str) -> Result<StatusCode, BoxError> {
    let hash = crate::topology::hex(&digest(id));
    let path = format!("/_matrix/app/v1/transactions/rcfed-{hash}").parse()?;
    let url = bridge_url(&relay.config, &path).ok_or(words::NO_URL)?;
    let body = Full::from(format!("{{\"events\":[{event}]}}")).map_err(|never| match never {}).boxed_unsync();
    let request = Request::put(url)
        .header(AUTHORIZATION, relay.config.hs_token.bearer())
        .header(CONTENT_TYPE, "application/json")
        .body(body)?;
    let response = relay.client.request(request).await?;
    let status = response.status();
    // Read to its end, so that the bridge is not cut off in its own.
    Limited::new(response.into_body(), ANSWER_LIMIT).collect().await?;
    Ok(status)
}

fn outcome_text(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Taken => None,
        Outcome::Away(why) | Outcome::Forbidden(why) | Outcome::Failed(why) | Outcome::Wrong(why) => Some(why.clone()),
    }
}

/// How often an invite is tried that the bridge says is wrong.
const WRONG_LIMIT: u32 = 10;
const ANSWER_LIMIT: usize = 64 * 1024;
