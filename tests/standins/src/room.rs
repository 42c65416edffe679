//! Events as a server that takes part in rooms makes them, and the signed way to other servers; shared by all stand-ins
//! that federate.
//!
//! State is what was last said: there is no state resolution and no backfill.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use rustls::ClientConfig;
use serde_json::{Value, json};

use crate::fetch::Call;
use crate::matrix::{self, SigningKey};
use crate::{federation, web};

const LIMIT: Duration = Duration::from_secs(30);

/// Who makes events and signs them.
#[derive(Clone, Copy)]
pub struct Identity<'a> {
    pub name: &'a str,
    pub key: &'a SigningKey,
}

/// An event of `user` at the end of a room of which `events` are all, without hash and signature; with the room's
/// version.
///
/// # Errors
/// If the room is not known.
pub fn template(
    events: &[(String, Value)],
    user: &str,
    room: &str,
    kind: &str,
    state_key: Option<&str>,
    content: Value,
) -> Result<(String, Value), String> {
    let last = |kind: &str, key: &str| {
        let state = events.iter().filter(|(_, event)| event["type"] == kind && event["state_key"] == key);
        state.max_by_key(|(_, event)| depth(event)).map(|(id, event)| (id.as_str(), event))
    };
    let create = last("m.room.create", "").map(|(_, create)| create);
    let first = kind == "m.room.create";
    let version = create.filter(|_| !first).unwrap_or(&Value::Null)["content"]["room_version"].as_str();
    let version = version.or(content["room_version"].as_str()).unwrap_or("1").to_owned();
    if create.is_none() && !first {
        return Err("the room is not known".into());
    }
    // Server-server API, "Auth events selection".
    let mut auth: BTreeSet<&str> = BTreeSet::new();
    let mut needed = vec![("m.room.create", ""), ("m.room.power_levels", ""), ("m.room.member", user)];
    if kind == "m.room.member" {
        needed.push(("m.room.member", state_key.unwrap_or_default()));
        // With a leave Synapse refuses the event for having one too many.
        if matches!(content["membership"].as_str(), Some("join" | "invite")) {
            needed.push(("m.room.join_rules", ""));
        }
    }
    auth.extend(needed.into_iter().filter_map(|(kind, key)| last(kind, key)).map(|(id, _)| id));
    let newest = events.iter().max_by_key(|(_, event)| depth(event));
    let mut event = json!({
        "type": kind, "room_id": room, "sender": user, "content": content, "auth_events": auth,
        "prev_events": newest.iter().map(|(id, _)| id).collect::<Vec<_>>(),
        "depth": newest.map_or(0, |(_, event)| depth(event)) + 1,
        "origin_server_ts": jiff::Timestamp::now().as_millisecond(),
    });
    if let Some(key) = state_key {
        event["state_key"] = json!(key);
    }
    Ok((version, event))
}

fn depth(event: &Value) -> i64 {
    event["depth"].as_i64().unwrap_or(0)
}

/// Hashes and signs an event; its id.
///
/// # Errors
/// If it has no canonical form.
pub fn seal(us: Identity<'_>, event: &mut Value, version: &str) -> Result<String, String> {
    event["hashes"] = json!({ "sha256": matrix::content_hash(event)? });
    let form = matrix::redact(event, version);
    us.key.add_signature(event, &form, us.name)?;
    matrix::event_id(event, version)
}

/// What an invited server is shown of a state event.
#[must_use]
pub fn stripped(event: &Value) -> Value {
    let keys = ["type", "state_key", "sender", "content"];
    Value::Object(keys.iter().map(|key| ((*key).to_owned(), event[*key].clone())).collect())
}

/// The path of a federation request about a room and something in it, both encoded.
#[must_use]
pub fn path(version: &str, what: &str, room: &str, thing: &str) -> String {
    format!("/_matrix/federation/{version}/{what}/{}/{}", web::encode(room), web::encode(thing))
}

/// A signed request to another server; its answer, if that is a success.
///
/// # Errors
/// With what the other server said, or why it could not be asked.
pub async fn ask(
    us: Identity<'_>,
    trust: &Arc<ClientConfig>,
    to: &str,
    method: Method,
    target: &str,
    body: Option<&Value>,
) -> Result<Value, String> {
    let ours = us.name;
    let mut fields = json!({ "method": method.as_str(), "uri": target, "origin": ours, "destination": to });
    if let Some(body) = body {
        fields["content"] = body.clone();
    }
    let signature = us.key.sign(&fields)?;
    let key = &us.key.id;
    let header = format!("X-Matrix origin=\"{ours}\",destination=\"{to}\",key=\"{key}\",sig=\"{signature}\"");
    let place = federation::resolve(to, trust).await;
    let mut last = format!("{to} has no address");
    for address in place.addresses().await? {
        let call = Call {
            method: method.clone(),
            target: target.to_owned(),
            host: place.header.clone(),
            headers: vec![("Authorization", header.clone()), ("Content-Type", "application/json".to_owned())],
            body: body.map(matrix::canonical).transpose()?.unwrap_or_default().into(),
        };
        match call.send(address, Some((&place.host, trust.clone())), LIMIT).await {
            Ok((200, body)) => return serde_json::from_slice(&body).map_err(|why| why.to_string()),
            Ok((status, body)) => return Err(format!("{to}: {status} {}", String::from_utf8_lossy(&body))),
            Err(why) => last = format!("{to} ({address}): {why}"),
        }
    }
    Err(last)
}
