//! The client API of rooms: what a bridge does once it is in one, or makes one.

use serde_json::{Value, json};

use super::client::{Outcome, authenticate};
use super::server::{Server, refusal};
use super::{own_rooms, rooms};
use crate::web::{Answer, Request};

/// CreateRoom
pub(super) async fn create(server: &Server, request: &Request) -> Outcome {
    let who = match authenticate(server, request).await? {
        Ok(who) => who,
        Err(refused) => return Ok(refused),
    };
    let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
        return Ok(refusal(400, "M_NOT_JSON", "The request body could not be decoded into valid JSON."));
    };
    Ok(match own_rooms::create(server, &who.user, &body).await {
        Ok(room) => Answer::json(200, &json!({ "room_id": room })),
        Err(why) => refusal(403, "M_FORBIDDEN", &why),
    })
}

/// OnIncomingStateTypeRequest, with an empty state key
pub(super) async fn state(server: &Server, request: &Request, room: &str, kind: &str) -> Outcome {
    let who = match authenticate(server, request).await? {
        Ok(who) => who,
        Err(refused) => return Ok(refused),
    };
    if !server.database.members(room).await?.iter().any(|(user, state)| *user == who.user && state == "join") {
        return Ok(refusal(403, "M_FORBIDDEN", "You aren't a member of the room"));
    }
    Ok(match own_rooms::content(server, room, kind).await {
        Ok(Some(content)) => Answer::json(200, &content),
        Ok(None) => refusal(404, "M_NOT_FOUND", &format!("Cannot find state event for {kind}")),
        Err(why) => refusal(500, "M_UNKNOWN", &why),
    })
}

/// LeaveRoomByID
pub(super) async fn leave(server: &Server, request: &Request, room: &str) -> Outcome {
    let who = match authenticate(server, request).await? {
        Ok(who) => who,
        Err(refused) => return Ok(refused),
    };
    let content = json!({ "membership": "leave" });
    Ok(match rooms::send(server, &who.user, room, "m.room.member", Some(&who.user), &content).await {
        Ok(_) => Answer::json(200, &json!({})),
        Err(why) => refusal(400, "M_UNKNOWN", &why),
    })
}

/// SendEvent, without a state key
pub(super) async fn say(server: &Server, request: &Request, room: &str, kind: &str) -> Outcome {
    let who = match authenticate(server, request).await? {
        Ok(who) => who,
        Err(refused) => return Ok(refused),
    };
    let Ok(content) = serde_json::from_slice::<Value>(&request.body) else {
        return Ok(refusal(400, "M_NOT_JSON", "The request body could not be decoded into valid JSON."));
    };
    let members = server.database.members(room).await?;
    if !members.iter().any(|(user, membership)| *user == who.user && membership == "join") {
        return Ok(refusal(403, "M_FORBIDDEN", "You are not joined to this room."));
    }
    Ok(match rooms::send(server, &who.user, room, kind, None, &content).await {
        Ok(id) => Answer::json(200, &json!({ "event_id": id })),
        Err(why) => refusal(500, "M_UNKNOWN", &why),
    })
}
