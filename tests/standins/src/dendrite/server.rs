//! The HTTP surface of port 8008: internal/httputil/paths.go and setup/base/base.go.
//!
//! Routes match on the encoded path (`UseEncodedPath`), nothing is cleaned (`SkipClean`), every answer carries CORS headers,
//! and what no route knows is 404 or 405 M_UNRECOGNIZED.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use hyper::Method;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::config::Config;
use super::database::Database;
use super::sender::Queue;
use super::{client, federation, log};
use crate::room::Identity;
use crate::web::{Answer, Handler, Request};

/// A running server.
pub struct Server {
    pub config: Config,
    pub database: Database,
    /// One per app service, in the same order.
    pub queues: Vec<Arc<Queue>>,
    /// Callers without a token of their own, and when each of their requests of late is forgotten.
    pub callers: Mutex<HashMap<String, Vec<Instant>>>,
    /// A join runs once at a time, as behind Dendrite's singleflight group.
    pub joining: Mutex<()>,
}

/// An error as the Matrix API has it.
#[must_use]
pub fn refusal(status: u16, code: &str, text: &str) -> Answer {
    Answer::json(status, &json!({"errcode": code, "error": text}))
}

/// `util.MessageResponse`, which has no error code.
#[must_use]
pub fn message(status: u16, text: &str) -> Answer {
    Answer::json(status, &json!({ "message": text }))
}

/// `spec.InternalServerError{}`, for which no text is given.
#[must_use]
pub fn unhelpful() -> Answer {
    Answer::json(500, &json!({ "Err": "" }))
}

/// httputil.UnmarshalJSONRequest
///
/// # Errors
/// With what Dendrite answers.
pub fn json_body(request: &Request) -> Result<Value, Answer> {
    if std::str::from_utf8(&request.body).is_err() {
        return Err(refusal(400, "M_NOT_JSON", "Body contains invalid UTF-8"));
    }
    serde_json::from_slice(&request.body).map_err(|why| {
        refusal(400, "M_BAD_JSON", &format!("The request body could not be decoded into valid JSON. {why}"))
    })
}

/// NotFoundCORSHandler
#[must_use]
pub fn unrecognized() -> Answer {
    refusal(404, "M_UNRECOGNIZED", "Unrecognized request")
}

/// NotAllowedHandler
#[must_use]
pub fn wrong_method() -> Answer {
    refusal(405, "M_UNRECOGNIZED", "Unrecognized request")
}

/// A database that fails is the server's fault.
#[must_use]
pub fn internal(why: &tokio_postgres::Error) -> Answer {
    log::error(&format!("database: {why}"));
    refusal(500, "M_UNKNOWN", "Internal server error")
}

impl Handler for Server {
    async fn handle(&self, request: Request) -> Option<Answer> {
        let answer = self.route(&request).await;
        log::line("debug", &format!("{} {} from {}: {}", request.method, request.path, request.peer, answer.status));
        // matrix-org/util SetCORSHeaders, around everything but these
        if request.path == "/"
            || ["/_dendrite/monitor/", "/_matrix/static/"].iter().any(|at| request.path.starts_with(at))
        {
            return Some(answer);
        }
        Some(
            answer
                .with("Access-Control-Allow-Origin", "*")
                .with("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE, OPTIONS")
                .with("Access-Control-Allow-Headers", "Origin, X-Requested-With, Content-Type, Accept, Authorization"),
        )
    }
}

impl Server {
    /// internal/httputil/rate_limiting.go, for requests that are not known to be a user's: each takes a place, which is free
    /// again after `cooloff_ms`. A caller is what X-Forwarded-For says, or else an address (with Dendrite each connection of it).
    pub async fn too_many(&self, request: &Request) -> Option<Answer> {
        let (threshold, cooloff) = self.config.rate_limit?;
        let forwarded = request.header("X-Forwarded-For");
        let caller = if forwarded.is_empty() { request.peer.to_string() } else { forwarded.to_owned() };
        let (mut callers, now) = (self.callers.lock().await, Instant::now());
        callers.retain(|_, places| {
            places.retain(|until| *until > now);
            !places.is_empty()
        });
        let places = callers.entry(caller).or_default();
        if places.len() < threshold {
            places.push(now + cooloff);
            return None;
        }
        Some(Answer::json(
            429,
            &json!({
                "errcode": "M_LIMIT_EXCEEDED", "error": "You are sending too many requests too quickly!",
                "retry_after_ms": u64::try_from(cooloff.as_millis()).unwrap_or(u64::MAX),
            }),
        ))
    }

    /// Name and key.
    #[must_use]
    pub fn identity(&self) -> Identity<'_> {
        Identity { name: &self.config.server_name, key: &self.config.key }
    }

    async fn route(&self, request: &Request) -> Answer {
        let segments = request.segments();
        let federating = !self.config.disable_federation;
        match segments.as_slice() {
            [""] => Answer::new(302, "text/html; charset=utf-8", "<a href=\"/_matrix/static/\">Found</a>.\n\n")
                .with("Location", "/_matrix/static/"),
            ["_dendrite", "monitor", "up"] => Answer::empty(200),
            ["_dendrite", "monitor", "health"] if self.database.is_open() => Answer::empty(200),
            ["_dendrite", "monitor", "health"] => {
                Answer::json(503, &json!({"warnings": ["the database connection is gone"]}))
            }
            ["metrics"] => self.metrics(request),
            ["_matrix", "static", ""] => {
                Answer::new(200, "text/html; charset=utf-8", "<h1>It works! Dendrite is running</h1>")
            }
            [".well-known", "matrix", which] => self.well_known(request, which),
            ["_matrix", "client", rest @ ..] => client::route(self, request, rest).await,
            ["_matrix", "key", "v2", rest @ ..] if federating => federation::keys(self, request, rest),
            ["_matrix", "federation", version @ ("v1" | "v2"), rest @ ..] if federating => {
                federation::route(self, request, version, rest).await
            }
            ["standin", "event"] if request.method == Method::POST => self.inject(request).await,
            _ => unrecognized(),
        }
    }

    /// clientapi/routing and federationapi/routing: each file is there only if its name is configured.
    fn well_known(&self, request: &Request, which: &str) -> Answer {
        let body = match which {
            "server" if !self.config.well_known_server.is_empty() => json!({"m.server": self.config.well_known_server}),
            "client" if !self.config.well_known_client.is_empty() => {
                json!({"m.homeserver": {"base_url": self.config.well_known_client}})
            }
            _ => return unrecognized(),
        };
        only(request, &[Method::GET], || Answer::json(200, &body))
    }

    fn metrics(&self, request: &Request) -> Answer {
        use base64::Engine as _;
        let Some((user, password)) = &self.config.metrics else { return unrecognized() };
        let wanted = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        if !user.is_empty() && request.header("Authorization") != format!("Basic {wanted}") {
            return Answer::new(403, "text/plain; charset=utf-8", "Forbidden\n");
        }
        Answer::new(200, "text/plain; version=0.0.4", format!("dendrite_up{{version=\"{}\"}} 1\n", super::VERSION))
    }

    /// A test's way to make something happen in a room: the body becomes a room event, as if Dendrite had received it.
    async fn inject(&self, request: &Request) -> Answer {
        let Ok(mut event) = serde_json::from_slice::<Value>(&request.body) else {
            return refusal(400, "M_NOT_JSON", "not JSON");
        };
        if !event["type"].is_string() || !event["sender"].is_string() || !event["room_id"].is_string() {
            return refusal(400, "M_BAD_JSON", "type, sender and room_id are needed");
        }
        let now = jiff::Timestamp::now();
        if event["event_id"].is_null() {
            event["event_id"] = Value::from(format!("$standin{}", now.as_nanosecond()));
        }
        if event["origin_server_ts"].is_null() {
            event["origin_server_ts"] = Value::from(now.as_millisecond());
        }
        let id = event["event_id"].as_str().unwrap_or("").to_owned();
        match self.new_room_event(&id, &event).await {
            Ok(count) => Answer::json(200, &json!({"event_id": id, "appservices": count})),
            Err(why) => internal(&why),
        }
    }

    /// OutputTypeNewRoomEvent: the event is kept, and queued for each app service that is interested (the rules of
    /// appserviceIsInterestedInEvent, without aliases). Answers with their number.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn new_room_event(&self, id: &str, event: &Value) -> Result<usize, tokio_postgres::Error> {
        if self.database.add_event(id, event).await? { self.tell(id, event).await } else { Ok(0) }
    }

    /// Queues an event for each app service that is interested; their number.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn tell(&self, id: &str, event: &Value) -> Result<usize, tokio_postgres::Error> {
        let room = event["room_id"].as_str().unwrap_or("");
        let members = self.database.members(room).await?;
        let state_key = (event["type"] == "m.room.member").then(|| event["state_key"].as_str()).flatten();
        let mut count = 0;
        for (service, queue) in self.config.registrations.iter().zip(&self.queues) {
            let interested = service.wants_user(event["sender"].as_str().unwrap_or(""))
                || service.wants_room(room)
                || state_key.is_some_and(|user| service.wants_user(user))
                || members.iter().any(|(user, membership)| membership == "join" && service.wants_user(user));
            // without a url an app service is never interested
            if service.url.is_empty() || !interested {
                continue;
            }
            let mut event = event.clone();
            event["event_id"] = Value::from(id);
            match queue.push(&event) {
                Ok(()) => count += 1,
                Err(why) => log::error(&why),
            }
        }
        Ok(count)
    }
}

/// `Methods(...)` of a route. OPTIONS is answered by matrix-org/util with 200 and no body.
pub fn only(request: &Request, methods: &[Method], then: impl FnOnce() -> Answer) -> Answer {
    if request.method == Method::OPTIONS {
        return Answer::empty(200);
    }
    if methods.contains(&request.method) { then() } else { wrong_method() }
}
