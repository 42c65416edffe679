//! Taking part in rooms of other servers: join by make_join and send_join, events sent and signed (server-server API,
//! "Joining rooms" and "Transactions"; roomserver/internal/perform/perform_join.go).

use std::collections::BTreeSet;

use hyper::Method;
use serde_json::{Value, json};

use super::server::Server;
use crate::web::encode;
use crate::{fetch, matrix, room};

/// Joins `user` to a room through the server that the invite came from.
///
/// # Errors
/// With what the other server said, or why it could not be asked.
pub async fn join(server: &Server, user: &str, room: &str) -> Result<(), String> {
    let invites = server.database.invites(user).await.map_err(|why| why.to_string())?;
    let invite = invites.iter().find(|(of, ..)| of == room).ok_or("there is no invite")?;
    let via = invite.2["sender"].as_str().and_then(matrix::domain_of).ok_or("the invite has no sender")?;
    let (place, who) = (encode(room), encode(user));
    let versions: Vec<String> = matrix::ROOM_VERSIONS.iter().map(|version| format!("ver={version}")).collect();
    let target = format!("/_matrix/federation/v1/make_join/{place}/{who}?{}", versions.join("&"));
    let made = ask(server, via, Method::GET, &target, None).await?;
    let (version, mut event) = (made["room_version"].as_str().unwrap_or("1"), made["event"].clone());
    let fits = [("room_id", room), ("sender", user), ("state_key", user), ("type", "m.room.member")];
    if fits.iter().any(|(key, value)| event[key] != *value) || event["content"]["membership"] != "join" {
        return Err(format!("{via} gave no join to sign: {event}"));
    }
    event["origin_server_ts"] = json!(jiff::Timestamp::now().as_millisecond());
    let id = seal(server, &mut event, version)?;
    let target = format!("/_matrix/federation/v2/send_join/{place}/{}", encode(&id));
    let sent = ask(server, via, Method::PUT, &target, Some(&event)).await?;
    for old in sent["state"].as_array().ok_or_else(|| format!("{via} sent no state"))? {
        let id = matrix::event_id(old, version)?;
        server.database.add_event(&id, old).await.map_err(failed)?;
        // The state that a join brings in comes in the transaction too, the invite among it (`AddsStateEventIDs`).
        server.tell(&id, old).await.map_err(failed)?;
    }
    server.new_room_event(&id, &event).await.map(drop).map_err(failed)
}

/// Sends an event of `user` to everybody in a room; its id.
///
/// # Errors
/// If the room is not known, or a server refuses the event.
pub async fn send(
    server: &Server,
    user: &str,
    room: &str,
    kind: &str,
    state_key: Option<&str>,
    content: &Value,
) -> Result<String, String> {
    let (id, event) = build(server, user, room, kind, state_key, content.clone()).await?;
    let members = server.database.members(room).await.map_err(failed)?;
    let joined = members.iter().filter(|(_, membership)| membership == "join");
    let servers: BTreeSet<&str> = joined.filter_map(|(user, _)| matrix::domain_of(user)).collect();
    server.new_room_event(&id, &event).await.map_err(failed)?;
    let ours = &server.config.server_name;
    for other in servers.into_iter().filter(|other| other != ours) {
        let now = jiff::Timestamp::now();
        let body = json!({ "origin": ours, "origin_server_ts": now.as_millisecond(), "pdus": [event], "edus": [] });
        let target = format!("/_matrix/federation/v1/send/{}", now.as_nanosecond());
        let answer = ask(server, other, Method::PUT, &target, Some(&body)).await?;
        if let Some(error) = answer["pdus"][&id]["error"].as_str() {
            return Err(format!("{other}: {error}"));
        }
    }
    Ok(id)
}

/// An event of `user` at the end of a room, hashed and signed, with its id.
pub(super) async fn build(
    server: &Server,
    user: &str,
    room: &str,
    kind: &str,
    state_key: Option<&str>,
    content: Value,
) -> Result<(String, Value), String> {
    let (version, mut event) = template(server, user, room, kind, state_key, content).await?;
    let id = seal(server, &mut event, &version)?;
    Ok((id, event))
}

/// The same without hash and signature; with the room's version.
pub(super) async fn template(
    server: &Server,
    user: &str,
    room: &str,
    kind: &str,
    state_key: Option<&str>,
    content: Value,
) -> Result<(String, Value), String> {
    let events = server.database.room_events(room).await.map_err(failed)?;
    room::template(&events, user, room, kind, state_key, content)
}

pub(super) fn failed(why: tokio_postgres::Error) -> String {
    why.to_string()
}

fn seal(server: &Server, event: &mut Value, version: &str) -> Result<String, String> {
    room::seal(server.identity(), event, version)
}

/// A signed request to another server; its answer, if that is a success.
pub(super) async fn ask(
    server: &Server,
    to: &str,
    method: Method,
    target: &str,
    body: Option<&Value>,
) -> Result<Value, String> {
    room::ask(server.identity(), &fetch::trust(None)?, to, method, target, body).await
}
