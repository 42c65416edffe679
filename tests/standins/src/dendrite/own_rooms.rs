//! Rooms of this server: made, with invites to others, who come in by make_join and send_join
//! (clientapi/routing/createroom.go, federationapi/routing/join.go).

use hyper::Method;
use serde_json::{Value, json};

use super::rooms::{ask, build, failed, template};
use super::server::Server;
use crate::{matrix, room};

/// Makes a room of `user` and invites to it; its id.
///
/// # Errors
/// With what the server of an invited user said.
pub async fn create(server: &Server, user: &str, body: &Value) -> Result<String, String> {
    let ours = &server.config.server_name;
    let room = format!("!standin{}:{ours}", jiff::Timestamp::now().as_nanosecond());
    let mut creation = body["creation_content"].as_object().cloned().unwrap_or_default();
    creation.insert("creator".into(), json!(user));
    creation.insert("room_version".into(), json!(body["room_version"].as_str().unwrap_or("10")));
    let levels = json!({
        "users": { user: 100 }, "users_default": 0, "events": {}, "events_default": 0, "state_default": 50, "ban": 50,
        "kick": 50, "redact": 50, "invite": 0,
    });
    for (kind, key, content) in [
        ("m.room.create", "", Value::Object(creation)),
        ("m.room.member", user, json!({ "membership": "join" })),
        ("m.room.power_levels", "", levels),
        ("m.room.join_rules", "", json!({ "join_rule": "invite" })),
        ("m.room.history_visibility", "", json!({ "history_visibility": "shared" })),
    ] {
        let (id, event) = build(server, user, &room, kind, Some(key), content).await?;
        server.new_room_event(&id, &event).await.map_err(failed)?;
    }
    for invited in body["invite"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        invite(server, user, &room, invited, body["is_direct"] == true).await?;
    }
    Ok(room)
}

/// Invites somebody here or elsewhere.
///
/// # Errors
/// With what their server said.
pub async fn invite(server: &Server, user: &str, room: &str, invited: &str, direct: bool) -> Result<(), String> {
    let content = json!({ "membership": "invite", "is_direct": direct });
    let (id, mut event) = build(server, user, room, "m.room.member", Some(invited), content).await?;
    let to = matrix::domain_of(invited).ok_or("the invited user has no server")?;
    if to != server.config.server_name {
        let events = state(server, room).await?;
        let version = events.iter().find(|event| event["type"] == "m.room.create");
        let body = json!({
            "event": event, "room_version": version.map(|create| create["content"]["room_version"].clone()),
            "invite_room_state": events.iter().map(room::stripped).collect::<Vec<_>>(),
        });
        let target = room::path("v2", "invite", room, &id);
        event = ask(server, to, Method::PUT, &target, Some(&body)).await?["event"].take();
    }
    server.new_room_event(&id, &event).await.map(drop).map_err(failed)
}

/// A join for `user` of another server to sign, if somebody here invited them.
///
/// # Errors
/// If not.
pub async fn make_join(server: &Server, room: &str, user: &str) -> Result<Value, String> {
    let members = server.database.members(room).await.map_err(failed)?;
    if !members.iter().any(|(member, membership)| member == user && membership != "leave" && membership != "ban") {
        return Err(format!(
            "eventauth: {user:?} is not allowed to change their membership from \"leave\" to \"join\" as join rule \
             \"invite\" forbids it"
        ));
    }
    let content = json!({ "membership": "join" });
    let (version, event) = template(server, user, room, "m.room.member", Some(user), content).await?;
    Ok(json!({ "room_version": version, "event": event }))
}

/// Takes a signed join; the state before it.
///
/// # Errors
/// If it is not the join that was asked for.
pub async fn send_join(server: &Server, room: &str, id: &str, event: &Value) -> Result<Value, String> {
    let user = event["sender"].as_str().unwrap_or_default();
    let wanted = make_join(server, room, user).await?;
    let version = wanted["room_version"].as_str().unwrap_or("1");
    let same = ["type", "room_id", "sender", "state_key", "auth_events", "prev_events"];
    if same.iter().any(|key| event[*key] != wanted["event"][*key]) || matrix::event_id(event, version)? != id {
        return Err("this is not the join that was made".into());
    }
    if event["hashes"]["sha256"] != matrix::content_hash(event)?.as_str() {
        return Err("the content hash does not fit".into());
    }
    let before = state(server, room).await?;
    server.new_room_event(id, event).await.map_err(failed)?;
    Ok(json!({
        "origin": server.config.server_name, "members_omitted": false, "state": before, "auth_chain": before, "event": event,
    }))
}

/// The content of a room's state event.
///
/// # Errors
/// If the database fails.
pub async fn content(server: &Server, room: &str, kind: &str, key: &str) -> Result<Option<Value>, String> {
    let found =
        state(server, room).await?.into_iter().rev().find(|event| event["type"] == kind && event["state_key"] == key);
    Ok(found.map(|mut event| event["content"].take()))
}

/// All state events of a room; of rooms as short as here none is older than the state.
async fn state(server: &Server, room: &str) -> Result<Vec<Value>, String> {
    let mut events = server.database.room_events(room).await.map_err(failed)?;
    events.sort_by_key(|(_, event)| event["depth"].as_i64());
    Ok(events.into_iter().map(|(_, event)| event).filter(|event| event["state_key"].is_string()).collect())
}
