//! Rooms of a server that federates by itself: direct conversations with people elsewhere, made here or there.
//!
//! Rooms made here are of version 10, and `make_join` asks for no other (room.service.ts, `joinUser`). What is signed is
//! what the specification wants; of state there is what was last said.

use std::collections::{BTreeMap, BTreeSet};

use hyper::Method;
use serde_json::{Value, json};

use super::{Us, body_of, decoded, failed, profile};
use crate::matrix;
use crate::mongo::client::Error;
use crate::rocketchat::api::Answer;
use crate::rocketchat::chat::ROOMS;
use crate::rocketchat::http::{Reply, Request};
use crate::rocketchat::{App, bridge, events, random_id, users};
use crate::room::{ask, path, seal, stripped, template};

const VERSION: &str = "10";
/// `RoomVersion` (packages/room/src/manager/factory.ts)
const VERSIONS: [&str; 11] = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"];

/// Requests that are signed.
pub(super) async fn route(app: &App, us: &Us, method: &Method, rest: &[&str], request: &Request) -> Reply {
    let answer = match (method, rest) {
        (&Method::GET, ["v1", "query", "profile"]) => Ok(profile(app, us, request)),
        (&Method::PUT, ["v2", "invite", room, id]) => invited(app, us, &decoded(room), &decoded(id), request),
        (&Method::GET, ["v1", "make_join", room, user]) => made_join(app, &decoded(room), &decoded(user), request),
        (&Method::PUT, ["v2", "send_join", room, id]) => sent_join(app, us, &decoded(room), &decoded(id), request),
        (&Method::PUT, ["v1", "send", id]) => sent(app, id, request),
        (&Method::GET, ["v1", "event", _]) => {
            Ok(Reply::json(404, &json!({ "errcode": "M_NOT_FOUND", "error": "Event not found" })))
        }
        _ => Ok(Reply::text(404, "text/plain; charset=UTF-8", "404 Not Found")),
    };
    answer.unwrap_or_else(|reply| reply)
}

/// invite.ts and `processInvite`: the room must be of a version it reads, neither encrypted nor public.
fn invited(app: &App, us: &Us, room: &str, id: &str, request: &Request) -> Result<Reply, Reply> {
    let (version, state) = (body_of(request, "room_version")?, body_of(request, "invite_room_state")?);
    let version = version.as_str().filter(|version| VERSIONS.contains(version));
    let version = version.ok_or_else(|| Reply::failure("must be equal to one of the allowed values"))?;
    let state: Vec<&Value> = state.as_array().into_iter().flatten().collect();
    let encrypted = state.iter().any(|event| event["type"] == "m.room.encryption");
    let public = state.iter().any(|event| event["content"]["join_rule"] == "public");
    if (encrypted && !app.settings.is("Federation_Service_Join_Encrypted_Rooms"))
        || (public && !app.settings.is("Federation_Service_Join_Non_Private_Rooms"))
    {
        let error = "This server does not allow joining this type of room based on federation settings.";
        return Err(Reply::json(403, &json!({ "errcode": "M_FORBIDDEN", "error": error })));
    }
    let mut event = body_of(request, "event")?.clone();
    if matrix::event_id(&event, version).ok().as_deref() != Some(id) || event["room_id"] != room {
        return Err(failed(&format!("Invalid eventId {id}")));
    }
    let user = event["state_key"].as_str().unwrap_or_default().to_owned();
    let name = user.strip_prefix('@').and_then(|user| user.split_once(':')).filter(|(_, domain)| *domain == us.name);
    let Some((name, _)) = name else {
        let text = format!("Cannot sign invite for user {user}: user does not belong to this server ({})", us.name);
        return Err(failed(&text));
    };
    let form = matrix::redact(&event, version);
    us.key.add_signature(&mut event, &form, &us.name).map_err(|text| failed(&text))?;
    // member.ts, `handleInvite`: an inviter without a create event in the room's state is not believed.
    if state.iter().any(|event| event["type"] == "m.room.create")
        && let Some(user) = users::named(&app.store, name)?
    {
        let sender = event["sender"].as_str().unwrap_or_default();
        let kind = if event["content"]["is_direct"] == true { "d" } else { "p" };
        if events::federated(app, room)?.is_none() {
            let names = json!([user["username"], sender]);
            app.store.put(
                ROOMS,
                &json!({
                    "_id": random_id(17), "t": kind, "federated": true, "external": room, "usernames": names,
                    "invited": [user["username"]],
                }),
            )?;
        }
        // Nothing a test could count but this: that the invite came, and how often.
        let told = with_id(&event, id);
        bridge::remember(app, id, "native", std::slice::from_ref(&told))?;
        events::keep(app, &told)?;
    }
    Ok(Reply::json(200, &json!({ "event": event })))
}

/// profiles.service.ts, `makeJoin`
fn made_join(app: &App, room: &str, user: &str, request: &Request) -> Result<Reply, Reply> {
    let known = known(app, room)?;
    let asked = |version: &str| request.query.iter().any(|(name, value)| name == "ver" && value == version);
    let invited = membership(&known).get(user).is_some_and(|membership| membership == "invite");
    let made = template(&known, user, room, "m.room.member", Some(user), json!({ "membership": "join" }));
    match made {
        Ok((version, _)) if !asked(&version) => Err(failed(&format!("Unsupported room version: {version}"))),
        Ok(_) if !invited => Err(failed(&format!("User {user} is not invited"))),
        Ok((version, event)) => Ok(Reply::json(200, &json!({ "room_version": version, "event": event }))),
        Err(text) => Err(failed(&text)),
    }
}

/// send-join.service.ts
fn sent_join(app: &App, us: &Us, room: &str, id: &str, request: &Request) -> Result<Reply, Reply> {
    let event = &request.body;
    if matrix::event_id(event, VERSION).ok().as_deref() != Some(id) || event["content"]["membership"] != "join" {
        return Err(failed("join event id did not match what was passed in param"));
    }
    let state: Vec<Value> = known(app, room)?.into_iter().map(|(_, event)| event).filter(is_state).collect();
    let told = with_id(event, id);
    bridge::remember(app, id, "native", std::slice::from_ref(&told))?;
    events::keep(app, &told)?;
    Ok(Reply::json(
        200,
        &json!({ "origin": us.name, "event": event, "members_omitted": false, "state": state, "auth_chain": state }),
    ))
}

/// A transaction; it is always taken (transactions.ts).
fn sent(app: &App, id: &str, request: &Request) -> Result<Reply, Reply> {
    let pdus = body_of(request, "pdus")?.as_array().cloned().unwrap_or_default();
    let mut told = Vec::new();
    for pdu in &pdus {
        let room = pdu["room_id"].as_str().unwrap_or_default();
        // What is said in rooms that nobody here is in falls to the ground.
        if !known(app, room)?.is_empty() {
            let id = matrix::event_id(pdu, VERSION).map_err(|text| failed(&text))?;
            told.push(with_id(pdu, &id));
        }
    }
    bridge::remember(app, id, "native", &told)?;
    for event in &told {
        events::keep(app, event)?;
        events::native(app, event)?;
    }
    Ok(Reply::json(200, &json!({ "pdus": {}, "edus": {} })))
}

/// `im.create` with somebody elsewhere: their server is asked first whether it is there and knows them
/// (federation-validation.service.ts).
pub(in super::super) async fn direct(app: &App, user: &Value, invitee: &str) -> Answer {
    let us = ready(app)?;
    let refused = |code: &str, text: &str| Reply::meteor(code, text, Value::Null);
    let to = matrix::domain_of(invitee).ok_or_else(|| refused("error-invalid-user", "Invalid user"))?;
    let version = "/_matrix/federation/v1/version";
    get(app, &us, to, version).await.map_err(|_| refused("federation-connection-failed", UNREACHABLE))?;
    let target = format!("/_matrix/federation/v1/query/profile?user_id={}", crate::web::encode(invitee));
    get(app, &us, to, &target).await.map_err(|_| refused("federation-user-not-found", UNKNOWN))?;
    let me = mxid(&us, user);
    let room = format!("!{}:{}", random_id(18), us.name);
    let levels = json!({ "users": { &me: 50, invitee: 50 }, "users_default": 0, "events_default": 0, "invite": 50 });
    for (kind, key, content) in [
        ("m.room.create", "", json!({ "creator": me, "room_version": VERSION })),
        ("m.room.member", me.as_str(), json!({ "membership": "join", "is_direct": true })),
        ("m.room.power_levels", "", levels),
        ("m.room.join_rules", "", json!({ "join_rule": "invite" })),
        ("m.room.history_visibility", "", json!({ "history_visibility": "shared" })),
    ] {
        add(app, &us, &me, &room, kind, Some(key), content)?;
    }
    let content = json!({ "membership": "invite", "is_direct": true });
    let (id, event) = build(app, &us, &me, &room, "m.room.member", Some(invitee), content)?;
    let state: Vec<Value> = known(app, &room)?.iter().map(|(_, event)| stripped(event)).collect();
    let body = json!({ "event": event, "room_version": VERSION, "invite_room_state": state });
    let target = path("v2", "invite", &room, &id);
    let answer = ask(us.identity(), &app.trust, to, Method::PUT, &target, Some(&body)).await;
    let signed = answer.map_err(|text| Reply::failure(&text))?["event"].take();
    events::keep(app, &with_id(&signed, &id))?;
    let id = random_id(17);
    let document = json!({
        "_id": id, "rid": id, "t": "d", "federated": true, "external": room, "usernames": [user["username"], invitee],
    });
    app.store.put(ROOMS, &document)?;
    Ok(json!({ "room": document }))
}

/// `rooms.invite` with `accept`: in by make_join and send_join, through the server whose room it is.
pub(in super::super) async fn accept(app: &App, request: &Request, user: &Value) -> Answer {
    let id = request.body["roomId"].as_str().unwrap_or_default();
    let invalid = || Reply::meteor("error-invalid-room", "Invalid room", Value::Null);
    let mut document = app.store.find(ROOMS, id)?.ok_or_else(invalid)?;
    let room = document["external"].as_str().ok_or_else(invalid)?.to_owned();
    let us = ready(app)?;
    if request.body["action"] != "accept" {
        return Err(Reply::failure("must be equal to one of the allowed values"));
    }
    join(app, &us, &mxid(&us, user), &room).await.map_err(|text| Reply::failure(&text))?;
    document["invited"] = json!([]);
    app.store.put(ROOMS, &document)?;
    Ok(json!({}))
}

async fn join(app: &App, us: &Us, me: &str, room: &str) -> Result<(), String> {
    let to = room.split_once(':').map(|(_, server)| server).ok_or("the room has no server")?;
    let target = format!("{}?ver={VERSION}", path("v1", "make_join", room, me));
    let mut event = get(app, us, to, &target).await?["event"].take();
    if let Some(fields) = event.as_object_mut() {
        fields.remove("origin");
    }
    let id = seal(us.identity(), &mut event, VERSION)?;
    let target = path("v2", "send_join", room, &id);
    let answer = ask(us.identity(), &app.trust, to, Method::PUT, &target, Some(&event)).await?;
    for old in answer["state"].as_array().ok_or("there is no state")? {
        let id = matrix::event_id(old, VERSION)?;
        events::keep(app, &with_id(old, &id)).map_err(|error| error.to_string())?;
    }
    events::keep(app, &with_id(&event, &id)).map_err(|error| error.to_string())
}

/// A message in a federated room; its event id.
pub(in super::super) async fn message(app: &App, user: &Value, room: &str, text: &str) -> Result<String, String> {
    tell(app, user, room, "m.room.message", None, json!({ "msgtype": "m.text", "body": text })).await
}

/// Leaves a federated room.
pub(in super::super) async fn leave(app: &App, user: &Value, room: &str) -> Result<(), String> {
    tell(app, user, room, "m.room.member", Some(()), json!({ "membership": "leave" })).await.map(drop)
}

/// An event for everybody in the room. `own` makes it the state of whoever says it.
async fn tell(
    app: &App,
    user: &Value,
    room: &str,
    kind: &str,
    own: Option<()>,
    content: Value,
) -> Result<String, String> {
    let us = app.us().filter(|_| app.federates()).ok_or("Federation is not enabled")?;
    let me = mxid(&us, user);
    let failed = |error: Error| error.to_string();
    let members = membership(&known(app, room).map_err(failed)?);
    let (id, event) = build(app, &us, &me, room, kind, own.map(|()| me.as_str()), content).map_err(said)?;
    events::keep(app, &with_id(&event, &id)).map_err(failed)?;
    let servers: BTreeSet<&str> = members.keys().filter_map(|user| matrix::domain_of(user)).collect();
    for to in servers.into_iter().filter(|to| *to != us.name) {
        let now = jiff::Timestamp::now();
        let body = json!({ "origin": us.name, "origin_server_ts": now.as_millisecond(), "pdus": [event], "edus": [] });
        let target = format!("/_matrix/federation/v1/send/{}", now.as_nanosecond());
        ask(us.identity(), &app.trust, to, Method::PUT, &target, Some(&body)).await?;
    }
    Ok(id)
}

fn add(app: &App, us: &Us, me: &str, room: &str, kind: &str, key: Option<&str>, content: Value) -> Result<(), Reply> {
    let (id, event) = build(app, us, me, room, kind, key, content)?;
    Ok(events::keep(app, &with_id(&event, &id))?)
}

fn build(
    app: &App,
    us: &Us,
    me: &str,
    room: &str,
    kind: &str,
    key: Option<&str>,
    content: Value,
) -> Result<(String, Value), Reply> {
    let (version, mut event) =
        template(&known(app, room)?, me, room, kind, key, content).map_err(|text| Reply::failure(&text))?;
    let id = seal(us.identity(), &mut event, &version).map_err(|text| Reply::failure(&text))?;
    Ok((id, event))
}

async fn get(app: &App, us: &Us, to: &str, target: &str) -> Result<Value, String> {
    ask(us.identity(), &app.trust, to, Method::GET, target, None).await
}

fn ready(app: &App) -> Result<std::sync::Arc<Us>, Reply> {
    app.us().filter(|_| app.federates()).ok_or_else(|| Reply::failure("error-federation-not-enabled"))
}

/// All events of a room with their ids, as they were signed.
fn known(app: &App, room: &str) -> Result<Vec<(String, Value)>, Error> {
    let event = |kept: Value| {
        let mut event: Value = serde_json::from_str(kept["event"].as_str()?).ok()?;
        let id = event.as_object_mut()?.remove("event_id")?;
        (event["room_id"] == room).then(|| (id.as_str().unwrap_or_default().to_owned(), event))
    };
    Ok(app.store.all(events::EVENTS)?.into_iter().filter_map(event).collect())
}

/// How everybody stands to a room.
fn membership(known: &[(String, Value)]) -> BTreeMap<String, String> {
    let mut members: Vec<&Value> =
        known.iter().map(|(_, event)| event).filter(|event| event["type"] == "m.room.member").collect();
    members.sort_by_key(|event| event["depth"].as_i64());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    members.iter().map(|event| (text(&event["state_key"]), text(&event["content"]["membership"]))).collect()
}

fn is_state(event: &Value) -> bool {
    event["state_key"].is_string()
}

fn with_id(event: &Value, id: &str) -> Value {
    let mut event = event.clone();
    event["event_id"] = json!(id);
    event
}

fn mxid(us: &Us, user: &Value) -> String {
    format!("@{}:{}", user["username"].as_str().unwrap_or_default(), us.name)
}

fn said(reply: Reply) -> String {
    reply.body().to_owned()
}

const UNREACHABLE: &str = "Connection Failed. The server domain could not be reached or does not support federation.";
const UNKNOWN: &str = "Invitation blocked. The specified user couldn't be found on their homeserver.";
