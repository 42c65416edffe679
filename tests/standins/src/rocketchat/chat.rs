//! Rooms and messages: enough to prove that a workspace may send, and to send over the bridge.

use serde_json::{Value, json};

use super::App;
use super::api::Answer;
use super::http::{Reply, Request};
use super::{federation, native, now, random_id, users};
use crate::mongo::client::Error;

pub(super) const ROOMS: &str = "rocketchat_room";
pub(super) const MESSAGES: &str = "rocketchat_message";

/// `#general` exists from the first boot on (initialData.ts).
pub(super) fn initial(app: &App) -> Result<(), Error> {
    if app.store.find(ROOMS, "GENERAL")?.is_some() {
        return Ok(());
    }
    app.store.put(ROOMS, &json!({ "_id": "GENERAL", "t": "c", "name": "general", "default": true }))
}

pub(super) fn channel(app: &App, request: &Request) -> Answer {
    let room = match (request.query("roomId"), request.query("roomName")) {
        ("", name) => by_name(app, name)?,
        (id, _) => app.store.find(ROOMS, id)?,
    };
    let missing = || {
        let text = "The required \"roomId\" or \"roomName\" param provided does not match any channel";
        Reply::meteor("error-room-not-found", text, Value::Null)
    };
    Ok(json!({ "channel": room.filter(|room| room["t"] == "c").ok_or_else(missing)? }))
}

pub(super) async fn direct(app: &App, request: &Request, user: &Value) -> Answer {
    let name = request.body["username"].as_str().unwrap_or_default();
    if name.contains(':') && !app.environment.has_bridge() {
        unrestricted(app)?;
        return native::direct(app, user, name).await;
    }
    Ok(json!({ "room": direct_with(app, user, name)? }))
}

pub(super) fn direct_list(app: &App, user: &Value) -> Answer {
    let mine = |room: &Value| {
        room["t"] == "d" && room["usernames"].as_array().is_some_and(|names| names.contains(&user["username"]))
    };
    let ims: Vec<_> = app.store.all(ROOMS)?.into_iter().filter(mine).collect();
    Ok(json!({ "count": ims.len(), "offset": 0, "total": ims.len(), "ims": ims }))
}

pub(super) fn messages(app: &App, request: &Request) -> Answer {
    let id = request.query("roomId");
    let mut found: Vec<_> = app.store.all(MESSAGES)?.into_iter().filter(|message| message["rid"] == id).collect();
    found.sort_by_key(|message| -message["ts"].as_i64().unwrap_or_default());
    Ok(json!({ "count": found.len(), "offset": 0, "total": found.len(), "messages": found }))
}

/// `chat.postMessage`: a room by id, `#channel` or `@user`.
pub(super) async fn post(app: &App, request: &Request, user: &Value) -> Answer {
    let body = &request.body;
    let asked = body["roomId"].as_str().or(body["channel"].as_str()).unwrap_or_default();
    if asked.is_empty() {
        return Err(Reply::failure("must have required property 'roomId' [invalid-params]"));
    }
    let room = match asked.split_at_checked(1) {
        Some(("@", name)) => Some(direct_with(app, user, name)?),
        Some(("#", name)) => by_name(app, name)?,
        _ => match app.store.find(ROOMS, asked)? {
            Some(room) => Some(room),
            None => by_name(app, asked)?,
        },
    };
    let room = room.ok_or_else(|| Reply::failure("invalid-channel [invalid-channel]"))?;
    let message = say(app, &room, user, body["text"].as_str().unwrap_or_default()).await?;
    Ok(json!({ "ts": message["ts"], "channel": asked, "message": message }))
}

/// `chat.sendMessage`: a whole message with its room.
pub(super) async fn send(app: &App, request: &Request, user: &Value) -> Answer {
    let message = &request.body["message"];
    let Some(rid) = message["rid"].as_str() else {
        return Err(Reply::meteor("error-invalid-params", "The \"message\" parameter must be provided.", Value::Null));
    };
    let room = app.store.find(ROOMS, rid)?.ok_or_else(|| Reply::failure("error-invalid-room"))?;
    Ok(json!({ "message": say(app, &room, user, message["msg"].as_str().unwrap_or_default()).await? }))
}

pub(super) fn delete(app: &App, request: &Request) -> Answer {
    let id = request.body["msgId"].as_str().unwrap_or_default();
    let missing = || Reply::failure(&format!("No message found with the id of \"{id}\"."));
    let message = app.store.find(MESSAGES, id)?.ok_or_else(missing)?;
    if message["rid"] != request.body["roomId"] {
        return Err(Reply::failure("The room id provided does not match where the message is from."));
    }
    app.store.remove(MESSAGES, id)?;
    Ok(json!({ "_id": id, "ts": now(), "message": message }))
}

/// `/federation dm @user:server`, the one command of the community edition's bridge.
pub(super) async fn command(app: &App, request: &Request, user: &Value) -> Answer {
    let parameters = request.body["params"].as_str().unwrap_or_default();
    let invitee = match (request.body["command"].as_str(), parameters.split_once(' ')) {
        (Some("federation"), Some(("dm", invitee))) => invitee.trim(),
        _ => return Err(Reply::failure("The command provided does not exist (or is disabled).")),
    };
    unrestricted(app)?;
    let external = federation::direct(app, user, invitee).await.map_err(|text| Reply::failure(&text))?;
    let room = json!({
        "_id": random_id(17), "t": "d", "federated": true, "external": external,
        "usernames": [user["username"], invitee.trim_start_matches('@')],
    });
    app.store.put(ROOMS, &room)?;
    Ok(json!({ "result": room }))
}

/// `rooms.leave`: of a federated room also on the homeserver.
pub(super) async fn leave(app: &App, request: &Request, user: &Value) -> Answer {
    let id = request.body["roomId"].as_str().unwrap_or_default();
    let invalid = || Reply::meteor("error-invalid-room", "Invalid room", json!({ "method": "leaveRoom" }));
    let mut room = app.store.find(ROOMS, id)?.ok_or_else(invalid)?;
    if let Some(external) = room["external"].as_str() {
        federation::leave(app, user, external).await.map_err(|text| Reply::failure(&text))?;
    }
    if let Some(names) = room["usernames"].as_array_mut() {
        names.retain(|name| *name != user["username"]);
    }
    app.store.put(ROOMS, &room)?;
    Ok(json!({}))
}

/// A message, and over the bridge too if the room is federated.
async fn say(app: &App, room: &Value, user: &Value, text: &str) -> Answer {
    unrestricted(app)?;
    let mut message = json!({
        "_id": random_id(17), "rid": room["_id"], "msg": text, "ts": now(),
        "u": { "_id": user["_id"], "username": user["username"] },
    });
    if let Some(external) = room["external"].as_str() {
        let event = federation::message(app, user, external, text).await.map_err(|text| Reply::failure(&text))?;
        message["federation"] = json!({ "eventId": event });
    }
    app.store.put(MESSAGES, &message)?;
    Ok(message)
}

/// ee/server/patches/airGappedRestrictionsWrapper.ts: reading works, sending does not.
fn unrestricted(app: &App) -> Result<(), Reply> {
    if app.restricted() { Err(Reply::failure("restricted-workspace")) } else { Ok(()) }
}

fn by_name(app: &App, name: &str) -> Result<Option<Value>, Error> {
    Ok(app.store.all(ROOMS)?.into_iter().find(|room| room["t"] == "c" && room["name"] == name))
}

/// The conversation with somebody, or with oneself.
fn direct_with(app: &App, user: &Value, name: &str) -> Answer {
    let invalid = || Reply::meteor("error-invalid-user", "Invalid user", json!({ "method": "createDirectMessage" }));
    let other = users::named(&app.store, name)?.ok_or_else(invalid)?;
    let mut ids: Vec<_> = [user, &other].iter().filter_map(|user| user["_id"].as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    let id = ids.concat();
    if let Some(room) = app.store.find(ROOMS, &id)? {
        return Ok(room);
    }
    let mut names = vec![user["username"].clone(), other["username"].clone()];
    names.dedup();
    let room = json!({ "_id": id, "rid": id, "t": "d", "usernames": names });
    app.store.put(ROOMS, &room)?;
    Ok(room)
}
