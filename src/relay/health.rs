//! How the relay is: what waits, since when, and how the last attempts went.

use hyper::StatusCode;
use serde_json::json;

use super::answer::{Answer, reply};
use super::index::Kind;
use super::queue::now;
use super::serve::Relay;

/// What the workers have told.
#[derive(Default)]
pub struct Told {
    success: Option<u64>,
    /// By kind: what is wrong now.
    errors: [Option<(u64, String)>; 2],
    /// How many invites were refused for what they are, and why the last one was.
    refused: u64,
    refusal: Option<String>,
}

impl Told {
    /// Notes how an attempt went; says whether an error is another than before.
    pub fn tell(&mut self, kind: Kind, error: Option<String>) -> bool {
        if error.is_none() && kind == Kind::Deliver {
            self.success = Some(now());
        }
        let old = &mut self.errors[kind as usize];
        let new = error.is_some() && old.as_ref().map(|(_, text)| text) != error.as_ref();
        *old = error.map(|error| (now(), error));
        new
    }

    /// Notes an invite that the bridge could not serve.
    pub fn refused(&mut self, why: &str) {
        self.refused += 1;
        self.refusal = Some(why.to_owned());
    }
}

/// Answers `GET /health`. Always 200: a relay whose bridge is away does what it can.
pub fn health(relay: &Relay) -> Answer {
    let index = relay.queue.index();
    let (invites, unresolved, oldest) = index.numbers();
    let (bytes, trouble) = (index.bytes, index.trouble.clone());
    drop(index);
    let bounds = relay.config.bounds();
    let told = relay.told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let error = told.errors.iter().flatten().max_by_key(|(at, _)| *at);
    reply(
        StatusCode::OK,
        &json!({
            "invites": invites,
            "unresolved": unresolved,
            "bytes": bytes,
            "full": invites >= bounds.invites || bytes >= bounds.bytes,
            "oldest_seconds": oldest.map(|at| now().saturating_sub(at)),
            "last_success": told.success,
            "last_error": error.map(|(at, text)| json!({ "at": at, "error": text })),
            "journal": trouble.unwrap_or_else(|| "ok".into()),
            "refused": told.refused,
            "last_refusal": told.refusal,
        }),
    )
}
