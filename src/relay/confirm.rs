//! Invites of which nobody knows whether Dendrite took them, after a crash or an answer that never came: Dendrite is asked.
//!
//! An invite is no member of any room's state that Dendrite would show: `/rooms/{id}/state/…` answers 403 to somebody who is
//! only invited (clientapi/routing/state.go, `HasBeenInRoom`). But `/sync` shows an invited user the pending invites, each
//! with the invite event and its id (syncapi/types, `NewInviteResponse`), and an application service may ask as any user of
//! its namespace that has an account (userapi/internal, `queryAppServiceToken`). Who has no account yet is given one, which
//! the bridge would do when it gets the invite (clientapi/routing/register.go; registration may be disabled). All read in
//! element-hq/dendrite at 08cac1cc.
//!
//! Sync learns of an invite some time after it was accepted, and Dendrite may still be busy with the request of a relay that
//! died, so its "no" is believed only after [`super::pace::Pace::grace`].

use std::collections::HashMap;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{Method, Request, StatusCode};
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use super::index::Kind;
use super::serve::{BoxError, Relay, deepest, say};
use super::words;

/// Asks for ever.
pub async fn run(relay: &Relay) {
    let mut failures = 0;
    loop {
        let next = relay.queue.index().next(Kind::Confirm, Instant::now());
        let id = match next {
            Ok(id) => id,
            Err(None) => {
                relay.queue.changed(Kind::Confirm).await;
                continue;
            }
            Err(Some(when)) => {
                let _ = tokio::time::timeout_at(when.into(), relay.queue.changed(Kind::Confirm)).await;
                continue;
            }
        };
        // It may have been resolved meanwhile.
        if relay.queue.index().get(&id).is_none_or(|waiting| waiting.accepted) {
            continue;
        }
        let answer = match timeout(relay.config.homeserver_limit, ask(relay, &id)).await {
            Ok(answer) => answer,
            Err(_) => Err(words::reason(words::HOMESERVER_LATE).into()),
        };
        let pace = &relay.config.pace;
        let now = Instant::now();
        match answer {
            Ok(Some(event)) => {
                failures = 0;
                relay.tell(Kind::Confirm, &None);
                say(&words::accepted(&id));
                // If it cannot be written, it gets another turn there.
                let _ = relay.queue.accept(&id, event).await;
            }
            Ok(None) => {
                failures = 0;
                relay.tell(Kind::Confirm, &None);
                let mut since = now;
                relay.queue.index().change(&id, |waiting| since = *waiting.asked.get_or_insert(now));
                if now.duration_since(since) >= pace.grace {
                    say(&words::forgotten(&id));
                    relay.queue.index().deny(&id);
                    let _ = relay.queue.void(&id).await;
                    continue;
                }
                relay.queue.index().turn(Kind::Confirm, &id, now + pace.wait(3).min(pace.grace));
            }
            Err(error) => {
                failures += 1;
                let why = format!("homeserver: {}", deepest(error.as_ref()));
                relay.tell(Kind::Confirm, &Some(why));
                relay.queue.index().turn(Kind::Confirm, &id, now + pace.wait(failures));
            }
        }
    }
}

#[derive(Deserialize)]
struct Event {
    room_id: String,
    state_key: String,
}

#[derive(Deserialize)]
struct Sync {
    #[serde(default)]
    rooms: Rooms,
}

#[derive(Default, Deserialize)]
struct Rooms {
    #[serde(default)]
    invite: HashMap<String, Invited>,
}

#[derive(Deserialize)]
struct Invited {
    invite_state: Stripped,
}

#[derive(Deserialize)]
struct Stripped {
    events: Vec<Id>,
}

#[derive(Deserialize)]
struct Id {
    #[serde(default)]
    event_id: Option<String>,
}

/// The event, if Dendrite has the invite.
async fn ask(relay: &Relay, id: &str) -> Result<Option<String>, BoxError> {
    let Some(event) = relay.queue.event(id).await? else { return Ok(None) };
    let Event { room_id, state_key } = serde_json::from_str(&event)?;
    let (mut status, mut body) = sync(relay, &state_key).await?;
    if status == StatusCode::FORBIDDEN {
        register(relay, &state_key).await?;
        (status, body) = sync(relay, &state_key).await?;
    }
    if status != StatusCode::OK {
        return Err(words::sync_status(status.as_u16()).into());
    }
    let sync: Sync = serde_json::from_slice(&body)?;
    let invited = sync.rooms.invite.get(&room_id);
    let mut ids = invited.into_iter().flat_map(|room| &room.invite_state.events);
    Ok(ids.any(|stripped| stripped.event_id.as_deref() == Some(id)).then_some(event))
}

async fn sync(relay: &Relay, user: &str) -> Result<(StatusCode, Bytes), BoxError> {
    let none = json!({ "not_types": ["*"] });
    let timeline = json!({ "not_types": ["*"], "limit": 1 });
    let filter = json!({
        "account_data": none, "presence": none,
        "room": { "account_data": none, "ephemeral": none, "state": none, "timeline": timeline },
    });
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("user_id", user)
        .append_pair("timeout", "0")
        .append_pair("set_presence", "offline")
        .append_pair("filter", &filter.to_string())
        .finish();
    call(relay, Method::GET, &format!("/_matrix/client/v3/sync?{query}"), String::new()).await
}

async fn register(relay: &Relay, user: &str) -> Result<(), BoxError> {
    let local = user.strip_prefix('@').and_then(|rest| rest.split(':').next()).ok_or(words::NO_LOCAL_PART)?;
    let body = json!({ "type": "m.login.application_service", "username": local, "inhibit_login": true });
    let (status, _) = call(relay, Method::POST, "/_matrix/client/v3/register", body.to_string()).await?;
    match status {
        StatusCode::OK => Ok(()),
        status => Err(words::no_account(user, status.as_u16()).into()),
    }
}

async fn call(relay: &Relay, method: Method, path: &str, body: String) -> Result<(StatusCode, Bytes), BoxError> {
    let url = relay.config.homeserver_url.at(path).ok_or(words::NO_URL)?;
    let request = Request::builder()
        .method(method)
        .uri(url)
        .header(AUTHORIZATION, relay.config.as_token.bearer())
        .header(CONTENT_TYPE, "application/json")
        .body(Full::from(body).map_err(|never| match never {}).boxed_unsync())?;
    let response = relay.client.request(request).await?;
    let status = response.status();
    Ok((status, Limited::new(response.into_body(), ANSWER_LIMIT).collect().await?.to_bytes()))
}

/// The filter leaves little more than the invites.
const ANSWER_LIMIT: usize = 4 * 1024 * 1024;
