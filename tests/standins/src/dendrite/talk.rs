//! The client API of rooms: what a bridge does once it is in one, or makes one.

use serde_json::json;

use super::client::{Outcome, authenticate};
use super::server::{Server, json_body, refusal, unhelpful};
use super::{own_rooms, rooms};
use crate::matrix;
use crate::web::{Answer, Request};

/// CreateRoom
pub(super) async fn create(server: &Server, request: &Request) -> Outcome {
    let who = match authenticate(server, request).await? {
        Ok(who) => who,
        Err(refused) => return Ok(refused),
    };
    let body = match json_body(request) {
        Ok(body) => body,
        Err(refused) => return Ok(refused),
    };
    let version = body["room_version"].as_str().unwrap_or("10");
    if !matrix::ROOM_VERSIONS.contains(&version) {
        return Ok(refusal(400, "M_UNSUPPORTED_ROOM_VERSION", &format!("room version '{version}' is not known")));
    }
    Ok(match own_rooms::create(server, &who.user, &body).await {
        Ok(room) => Answer::json(200, &json!({ "room_id": room })),
        Err(why) => refusal(403, "M_FORBIDDEN", &why),
    })
}

/// OnIncomingStateTypeRequest
pub(super) async fn state(server: &Server, request: &Request, room: &str, kind: &str, key: &str) -> Outcome {
    let who = match authenticate(server, request).await? {
        Ok(who) => who,
        Err(refused) => return Ok(refused),
    };
    if !server.database.members(room).await?.iter().any(|(user, state)| *user == who.user && state == "join") {
        let text = format!("Unknown room {room:?} or user {:?} has never joined this room", who.user);
        return Ok(refusal(403, "M_FORBIDDEN", &text));
    }
    Ok(match own_rooms::content(server, room, kind, key).await {
        Ok(Some(content)) => Answer::json(200, &content),
        Ok(None) => refusal(404, "M_NOT_FOUND", &format!("Cannot find state event for {kind:?}")),
        Err(why) => refusal(500, "M_UNKNOWN", &why),
    })
}

/// LeaveRoomByID
pub(super) async fn leave(server: &Server, request: &Request, room: &str) -> Outcome {
    let who = match authenticate(server, request).await? {
        Ok(who) => who,
        Err(refused) => return Ok(refused),
    };
    let members = server.database.members(room).await?;
    let create = own_rooms::content(server, room, "m.room.create", "").await;
    if !matches!(create, Ok(Some(_))) {
        // Of a room of another server there is nothing but the invite. It is retired, whatever that server says to it.
        if members.iter().any(|(user, membership)| *user == who.user && membership == "invite") {
            server.database.retire_invite(&who.user, room).await?;
            return Ok(Answer::json(200, &json!({})));
        }
        return Ok(refusal(400, "M_UNKNOWN", &format!("room {room:?} does not exist")));
    }
    let content = json!({ "membership": "leave" });
    Ok(match rooms::send(server, &who.user, room, "m.room.member", Some(&who.user), &content).await {
        Ok(_) => Answer::json(200, &json!({})),
        Err(why) => refusal(400, "M_UNKNOWN", &why),
    })
}

/// SendInvite: what the other server says is the text of a 403
pub(super) async fn invite(server: &Server, request: &Request, room: &str) -> Outcome {
    let (who, invited) = match about(server, request, room).await? {
        Ok(about) => about,
        Err(refused) => return Ok(refused),
    };
    Ok(match own_rooms::invite(server, &who, room, &invited, false).await {
        Ok(()) => Answer::json(200, &json!({})),
        Err(why) => refusal(403, "M_FORBIDDEN", &why),
    })
}

/// SendKick, of somebody who is invited or joined
pub(super) async fn kick(server: &Server, request: &Request, room: &str) -> Outcome {
    let (who, kicked) = match about(server, request, room).await? {
        Ok(about) => about,
        Err(refused) => return Ok(refused),
    };
    let members = server.database.members(room).await?;
    if !members.iter().any(|(user, membership)| *user == kicked && (membership == "join" || membership == "invite")) {
        return Ok(refusal(403, "M_FORBIDDEN", "cannot /kick banned or left users"));
    }
    let content = json!({ "membership": "leave" });
    Ok(match rooms::send(server, &who, room, "m.room.member", Some(&kicked), &content).await {
        Ok(_) => Answer::json(200, &json!({})),
        Err(why) => refusal(500, "M_UNKNOWN", &why),
    })
}

/// SendForget: only of a room that was left
pub(super) async fn forget(server: &Server, request: &Request, room: &str) -> Outcome {
    let who = match authenticate(server, request).await? {
        Ok(who) => who,
        Err(refused) => return Ok(refused),
    };
    let members = server.database.members(room).await?;
    Ok(match members.iter().find(|(user, _)| *user == who.user) {
        None => refusal(400, "M_UNKNOWN", "user did not belong to room"),
        Some((_, membership)) if membership == "join" => {
            refusal(400, "M_UNKNOWN", "user is still a member of the room")
        }
        Some(_) => Answer::json(200, &json!({})),
    })
}

/// GetJoinedRooms
pub(super) async fn joined(server: &Server, request: &Request) -> Outcome {
    let who = match authenticate(server, request).await? {
        Ok(who) => who,
        Err(refused) => return Ok(refused),
    };
    Ok(Answer::json(200, &json!({ "joined_rooms": server.database.joined(&who.user).await? })))
}

/// Who asks, and about whom, if the one who asks is in the room.
async fn about(
    server: &Server,
    request: &Request,
    room: &str,
) -> Result<Result<(String, String), Answer>, tokio_postgres::Error> {
    let who = match authenticate(server, request).await? {
        Ok(who) => who.user,
        Err(refused) => return Ok(Err(refused)),
    };
    let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let Some(user) = body["user_id"].as_str().filter(|user| !user.is_empty()) else {
        return Ok(Err(refusal(400, "M_BAD_JSON", "missing user_id")));
    };
    if !server.database.members(room).await?.iter().any(|(member, state)| *member == who && state == "join") {
        return Ok(Err(refusal(403, "M_FORBIDDEN", "You aren't a member of the room")));
    }
    Ok(Ok((who, user.to_owned())))
}

/// SendEvent, without a state key
pub(super) async fn say(server: &Server, request: &Request, room: &str, kind: &str) -> Outcome {
    let who = match authenticate(server, request).await? {
        Ok(who) => who,
        Err(refused) => return Ok(refused),
    };
    let content = match json_body(request) {
        Ok(content) => content,
        Err(refused) => return Ok(refused),
    };
    let members = server.database.members(room).await?;
    if !members.iter().any(|(user, membership)| *user == who.user && membership == "join") {
        // A room that is not known, one of which there is an invite, one that is here.
        let here = matches!(own_rooms::content(server, room, "m.room.create", "").await, Ok(Some(_)));
        return Ok(match (members.is_empty(), here) {
            (true, _) => {
                let text = format!("QueryRoomVersionForRoom: missing room info for room {room}");
                refusal(400, "M_UNSUPPORTED_ROOM_VERSION", &text)
            }
            (false, false) => unhelpful(),
            (false, true) => refusal(403, "M_FORBIDDEN", &format!("eventauth: sender {:?} not in room", who.user)),
        });
    }
    Ok(match rooms::send(server, &who.user, room, kind, None, &content).await {
        Ok(id) => Answer::json(200, &json!({ "event_id": id })),
        Err(why) => refusal(500, "M_UNKNOWN", &why),
    })
}
