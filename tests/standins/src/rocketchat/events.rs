//! What the bridge does with events: invitations of local users are accepted, messages of others are stored.

use serde_json::{Value, json};

use super::chat::{MESSAGES, ROOMS};
use super::{App, federation, now, random_id, users};
use crate::mongo::client::Error;

/// Every event that arrived, as text, since its keys may be anything.
pub(super) const EVENTS: &str = "standin_events";

pub(super) async fn handle(app: &App, events: &[Value]) {
    for event in events {
        let result = match keep(app, event) {
            Ok(()) => one(app, event).await,
            Err(error) => Err(error.to_string()),
        };
        if let Err(text) = result {
            println!("bridge: event {} failed: {text}", event["event_id"].as_str().unwrap_or_default());
        }
    }
}

async fn one(app: &App, event: &Value) -> Result<(), String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (room, sender) = (text(&event["room_id"]), text(&event["sender"]));
    let ours = |id: &str| id.split_once(':').is_some_and(|(_, domain)| domain == federation::domain(app));
    match (event["type"].as_str(), event["content"]["membership"].as_str()) {
        (Some("m.room.member"), Some("invite")) if !ours(&sender) => {
            let invited = text(&event["state_key"]);
            let name = invited.trim_start_matches('@').split(':').next().unwrap_or_default();
            let user = users::named(&app.store, name).map_err(|error| error.to_string())?;
            let Some(user) = user.filter(|_| ours(&invited)) else { return Ok(()) };
            federation::join(app, name, &room).await?;
            println!("bridge: {invited} joined {room}");
            if federated(app, &room).map_err(|error| error.to_string())?.is_none() {
                let names = json!([user["username"], sender.trim_start_matches('@')]);
                let room =
                    json!({ "_id": random_id(17), "t": "d", "federated": true, "external": room, "usernames": names });
                app.store.put(ROOMS, &room).map_err(|error| error.to_string())?;
            }
            Ok(())
        }
        // Whoever leaves is no longer in the room (handlers/Room.ts, `onChangeRoomMembership`).
        (Some("m.room.member"), Some("leave" | "ban")) if !ours(&text(&event["state_key"])) => {
            left(app, &room, &text(&event["state_key"])).map_err(|error| error.to_string())
        }
        // Own messages come back from the homeserver and are not new (Bridge.ts, `onEvent`).
        (Some("m.room.message"), _) if !ours(&sender) => {
            message(app, event, &room, &sender).map_err(|error| error.to_string())
        }
        _ => Ok(()),
    }
}

/// What a transaction to a server that federates by itself does: the same, but nobody joins by themselves.
pub(super) fn native(app: &App, event: &Value) -> Result<(), Error> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match (event["type"].as_str(), event["content"]["membership"].as_str()) {
        (Some("m.room.member"), Some("leave" | "ban")) => {
            left(app, &text(&event["room_id"]), &text(&event["state_key"]))
        }
        (Some("m.room.message"), _) => message(app, event, &text(&event["room_id"]), &text(&event["sender"])),
        _ => Ok(()),
    }
}

/// A message of somebody elsewhere; the event's id makes it come once however often it is delivered.
fn message(app: &App, event: &Value, room: &str, sender: &str) -> Result<(), Error> {
    let Some(room) = federated(app, room)? else { return Ok(()) };
    let id = &event["event_id"];
    let message = json!({
        "_id": id, "rid": room["_id"], "msg": event["content"]["body"], "ts": event["origin_server_ts"],
        "u": { "username": sender.trim_start_matches('@') }, "federation": { "eventId": id },
    });
    app.store.put(MESSAGES, &message)
}

fn left(app: &App, external: &str, user: &str) -> Result<(), Error> {
    let Some(mut room) = federated(app, external)? else { return Ok(()) };
    if let Some(names) = room["usernames"].as_array_mut() {
        names.retain(|name| *name != user.trim_start_matches('@'));
    }
    app.store.put(ROOMS, &room)
}

/// Rocket.Chat's own room for a federated one.
pub(super) fn federated(app: &App, external: &str) -> Result<Option<Value>, Error> {
    Ok(app.store.all(ROOMS)?.into_iter().find(|room| room["external"] == external))
}

/// Keeps an event.
pub(super) fn keep(app: &App, event: &Value) -> Result<(), Error> {
    let Some(id) = event["event_id"].as_str() else { return Ok(()) };
    // A clock that a test shares: it sees when an event arrived, and not when it looked.
    let first = app.store.find(EVENTS, id)?.and_then(|old| old["first"].as_i64()).unwrap_or_else(now);
    app.store.put(EVENTS, &json!({ "_id": id, "event": event.to_string(), "first": first }))
}
