//! The federation API: keys, version, and invites, which are signed and answered but never handed to an app service.
//!
//! That last point is Dendrite's since PR #3020 (v0.13.0) and #3277 (v0.13.5): of an invite into a room the server is not in
//! there is only an OutputTypeNewInviteEvent, and the app service consumer drops it.

use std::collections::BTreeMap;

use hyper::Method;
use serde_json::{Value, json};

use super::server::{Server, internal, json_body, message, only, refusal, unhelpful, unrecognized, wrong_method};
use super::{log, own_rooms, sender};
use crate::web::{Answer, Request, decode};
use crate::{federation, fetch, matrix};

/// Paths below `/_matrix/key/v2/`.
pub fn keys(server: &Server, request: &Request, rest: &[&str]) -> Answer {
    match rest {
        // any {keyID} gets all keys, and any Host gets those of the one server name
        ["server"] | ["server", _] if request.method == Method::GET => local_keys(server),
        // NotaryKeys answers only under the server's own name
        ["query"] | ["query", _, _] if request.header("Host") != server.config.server_name => {
            refusal(404, "M_NOT_FOUND", "Server name not known")
        }
        ["query"] if request.method == Method::POST => notarised(server),
        ["query", _, _] if request.method == Method::GET => notarised(server),
        ["server"] | ["server", _] | ["query"] | ["query", _, _] => wrong_method(),
        _ => unrecognized(),
    }
}

/// federationapi/routing/keys.go localKeys
fn local_keys(server: &Server) -> Answer {
    match signed_keys(server) {
        Ok(keys) => Answer::new(200, "application/json", matrix::canonical(&keys).unwrap_or_default()),
        Err(why) => message(404, &why),
    }
}

/// NotaryKeys, as far as the own keys go: of another server's the stand-in keeps none.
fn notarised(server: &Server) -> Answer {
    signed_keys(server)
        .map_or_else(|why| message(404, &why), |keys| Answer::json(200, &json!({ "server_keys": [keys] })))
}

fn signed_keys(server: &Server) -> Result<Value, String> {
    let config = &server.config;
    let validity = i64::try_from(config.key_validity.as_millis()).unwrap_or(0);
    let old: BTreeMap<_, _> =
        config.old_keys.iter().map(|(id, key, expired)| (id, json!({"key": key, "expired_ts": expired}))).collect();
    let mut keys = json!({
        "server_name": config.server_name,
        "verify_keys": {&config.key.id: {"key": config.key.public()}},
        "valid_until_ts": jiff::Timestamp::now().as_millisecond() + validity,
        "old_verify_keys": old,
    });
    let form = keys.clone();
    config.key.add_signature(&mut keys, &form, &config.server_name)?;
    Ok(keys)
}

/// Paths below `/_matrix/federation/v1/` and `/v2/`.
pub async fn route(server: &Server, request: &Request, version: &str, rest: &[&str]) -> Answer {
    if let ("v1", ["version"]) = (version, rest) {
        let body = json!({"server": {"version": super::VERSION, "name": "Dendrite"}});
        return only(request, &[Method::GET], || Answer::json(200, &body));
    }
    let wanted = match (version, rest) {
        ("v1", ["event", id]) if !id.is_empty() => Method::GET,
        ("v1", ["query", "profile" | "directory"]) => Method::GET,
        ("v1", ["send", id]) if !id.is_empty() => Method::PUT,
        ("v1", ["make_join", room, user]) if !room.is_empty() && !user.is_empty() => Method::GET,
        ("v2", ["send_join", room, id]) if !room.is_empty() && !id.is_empty() => Method::PUT,
        (_, ["invite", room, id]) if !room.is_empty() && !id.is_empty() => Method::PUT,
        _ => return unrecognized(),
    };
    if request.method != wanted {
        return wrong_method();
    }
    let origin = match verify_request(server, request).await {
        Ok(origin) => origin,
        Err(refused) => return refused,
    };
    let answer = match rest {
        ["event", id] => event(server, &decode(id)).await,
        ["query", "profile"] => profile(server, request).await,
        ["send", _] => send(server, request, &origin).await,
        ["make_join", room, user] => {
            let (room, user) = (decode(room), decode(user));
            make_join(server, &room, &user, &origin).await
        }
        ["send_join", room, id] => send_join(server, request, &decode(room), &decode(id)).await,
        ["invite", room, id] => invite(server, request, version, &decode(room), &decode(id)).await,
        _ => {
            let alias = request.query_value("room_alias");
            Ok(refusal(404, "M_NOT_FOUND", &format!("Room alias {alias} not found")))
        }
    };
    answer.unwrap_or_else(|why| internal(&why))
}

/// gomatrixserverlib fclient.VerifyHTTPRequest; answers with the origin.
async fn verify_request(server: &Server, request: &Request) -> Result<String, Answer> {
    let mut fields = json!({"method": request.method.as_str(), "uri": uri(request)});
    if !request.body.is_empty() {
        let kind = request.header("Content-Type").split(';').next().unwrap_or("").trim();
        if kind != "application/json" || std::str::from_utf8(&request.body).is_err() {
            return Err(message(400, "Bad Request"));
        }
        fields["content"] = serde_json::from_slice(&request.body).map_err(|_| message(400, "Invalid JSON"))?;
    }
    let ours = &server.config.server_name;
    let mut signatures: Vec<BTreeMap<String, String>> = Vec::new();
    for value in request.headers.get_all("Authorization") {
        let Some(parameters) = value.to_str().ok().and_then(|text| text.strip_prefix("X-Matrix ")) else { continue };
        let pairs = parameters.split(',').filter_map(|pair| pair.split_once('='));
        let pairs = pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().trim_matches('"').to_owned()));
        signatures.push(pairs.collect());
    }
    let of = |signature: &BTreeMap<String, String>, name: &str| signature.get(name).cloned().unwrap_or_default();
    let bad = |s: &BTreeMap<String, String>| ["origin", "key", "sig"].iter().any(|name| of(s, name).is_empty());
    if signatures.iter().any(bad) || signatures.windows(2).any(|two| of(&two[0], "origin") != of(&two[1], "origin")) {
        return Err(message(400, "Bad Request"));
    }
    let Some(last) = signatures.last() else {
        return Err(message(401, "Missing \"Authorization: X-Matrix ...\" HTTP header"));
    };
    let (origin, destination) = (of(last, "origin"), of(last, "destination"));
    if !destination.is_empty() && destination != *ours {
        return Err(message(400, &format!("Unrecognised server name {destination:?} for Destination")));
    }
    if !server_name(&origin) {
        return Err(message(400, "Invalid server name for Origin"));
    }
    fields["origin"] = Value::from(origin.as_str());
    fields["destination"] = Value::from(ours.as_str());
    for signature in &signatures {
        let (id, value) = (of(signature, "key"), of(signature, "sig"));
        let public = public_key(server, &origin, &id).await;
        if let Err(why) = public.and_then(|public| matrix::verify(&fields, &value, &public)) {
            log::info(&format!("Invalid request signature: {origin} {id}: {why}"));
            return Err(message(401, "Invalid request signature"));
        }
    }
    Ok(origin)
}

/// spec.ParseAndValidateServerName, as far as letters go.
fn server_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte);
    !name.is_empty() && name.bytes().all(allowed)
}

fn uri(request: &Request) -> String {
    if request.query.is_empty() { request.path.clone() } else { format!("{}?{}", request.path, request.query) }
}

/// A server's key: the own one at once, another's from that server; there is no notary to ask.
async fn public_key(server: &Server, origin: &str, id: &str) -> Result<String, String> {
    if origin == server.config.server_name {
        return Ok(if id == server.config.key.id { server.config.key.public() } else { String::new() });
    }
    let fetched = async { federation::public_key(origin, id, &fetch::trust(None)?).await };
    fetched.await.inspect_err(|why| log::warn(&format!("failed to fetch keys of {origin}: {why}")))
}

type Outcome = Result<Answer, tokio_postgres::Error>;

async fn event(server: &Server, id: &str) -> Outcome {
    Ok(match server.database.event(id).await? {
        Some(event) => {
            let now = jiff::Timestamp::now().as_millisecond();
            Answer::json(200, &json!({"origin": server.config.server_name, "origin_server_ts": now, "pdus": [event]}))
        }
        None => refusal(404, "M_NOT_FOUND", "Event not found"),
    })
}

async fn profile(server: &Server, request: &Request) -> Outcome {
    let user = request.query_value("user_id");
    if user.is_empty() {
        let text = "The request body did not contain required argument 'user_id'.";
        return Ok(refusal(400, "M_MISSING_PARAM", text));
    }
    let (local, domain) = user.strip_prefix('@').and_then(|rest| rest.split_once(':')).unwrap_or_default();
    if domain != server.config.server_name {
        let text = format!("Domain {domain:?} does not match this server");
        return Ok(refusal(400, "M_INVALID_PARAM", &text));
    }
    let mut found = server.database.account(local).await?;
    if found.is_none() {
        // AppserviceAPI.UserIDExists: the app service may make the user now
        sender::ask_for_user(server, &user).await;
        found = server.database.account(local).await?;
    }
    Ok(match found {
        Some(_) => Answer::json(200, &json!({ "displayname": local })),
        None => refusal(404, "M_NOT_FOUND", "The user does not exist or does not have a profile."),
    })
}

/// A transaction: events of rooms with members here become room events, which app services get.
async fn send(server: &Server, request: &Request, origin: &str) -> Outcome {
    let body = match json_body(request) {
        Ok(body) => body,
        Err(refused) => return Ok(refused),
    };
    let mut results = serde_json::Map::new();
    for pdu in body["pdus"].as_array().into_iter().flatten() {
        let id = pdu["event_id"].as_str().map_or_else(|| matrix::event_id(pdu, "10"), |id| Ok(id.to_owned()));
        let Ok(id) = id else { continue };
        if !signed_by_its_origin(server, pdu, &matrix::redact(pdu, "10")).await {
            results.insert(id, json!({"error": "the event is not signed by its origin"}));
            continue;
        }
        let room = pdu["room_id"].as_str().unwrap_or("");
        let ours = format!(":{}", server.config.server_name);
        let here =
            server.database.members(room).await?.iter().any(|(user, state)| state == "join" && user.ends_with(&ours));
        let result = if here {
            server.new_room_event(&id, pdu).await?;
            json!({})
        } else {
            json!({"error": format!("{origin}: room {room} is not known here")})
        };
        results.insert(id, result);
    }
    Ok(Answer::json(200, &json!({ "pdus": results })))
}

/// gomatrixserverlib HandleInvite: the sender's server has to have signed the redacted event.
async fn signed_by_its_origin(server: &Server, event: &Value, form: &Value) -> bool {
    let Some(domain) = event["sender"].as_str().and_then(matrix::domain_of) else { return false };
    let signatures: Vec<_> = event["signatures"][domain].as_object().into_iter().flatten().collect();
    for (id, signature) in &signatures {
        let public = public_key(server, domain, id).await;
        if public.and_then(|public| matrix::verify(form, signature.as_str().unwrap_or(""), &public)).is_err() {
            return false;
        }
    }
    !signatures.is_empty()
}

/// federationapi/routing/join.go MakeJoin
async fn make_join(server: &Server, room: &str, user: &str, origin: &str) -> Outcome {
    let domain = matrix::domain_of(user).unwrap_or_default();
    if domain != origin {
        let text = format!("The join must be sent by the server of the user. Origin {origin} != {domain}");
        return Ok(refusal(403, "M_FORBIDDEN", &text));
    }
    if server.database.members(room).await?.is_empty() {
        return Ok(unhelpful());
    }
    let made = own_rooms::make_join(server, room, user).await;
    Ok(made.map_or_else(|why| refusal(403, "M_FORBIDDEN", &why), |made| Answer::json(200, &made)))
}

/// federationapi/routing/join.go SendJoin
async fn send_join(server: &Server, request: &Request, room: &str, id: &str) -> Outcome {
    let event = match json_body(request) {
        Ok(event) => event,
        Err(refused) => return Ok(refused),
    };
    if !signed_by_its_origin(server, &event, &matrix::redact(&event, "10")).await {
        return Ok(refusal(403, "M_FORBIDDEN", "Signature check failed"));
    }
    let taken = own_rooms::send_join(server, room, id, &event).await;
    Ok(taken.map_or_else(|why| refusal(403, "M_FORBIDDEN", &why), |state| Answer::json(200, &state)))
}

/// federationapi/routing/invite.go InviteV1 and InviteV2
async fn invite(server: &Server, request: &Request, version: &str, room: &str, id: &str) -> Outcome {
    let bad = |text: &str| Ok(refusal(400, "M_BAD_JSON", text));
    let undecoded = |why: &str| {
        let form = if version == "v1" { "invite v1 request" } else { "invite request" };
        let text = format!("The request body could not be decoded into an {form}. gomatrixserverlib: {why}");
        Ok(refusal(400, "M_NOT_JSON", &text))
    };
    let body = match json_body(request) {
        Ok(body) => body,
        Err(refused) => return Ok(refused),
    };
    if version == "v2" && body["event"].is_null() {
        return undecoded("request doesn't contain event");
    }
    // v1 is room version 1 by definition
    let (room_version, mut event) = if version == "v1" {
        ("1".to_owned(), body.clone())
    } else {
        (body["room_version"].as_str().unwrap_or("").to_owned(), body["event"].clone())
    };
    if !matrix::ROOM_VERSIONS.contains(&room_version.as_str()) {
        let text = format!("Room version {room_version:?} is not supported by this server.");
        return Ok(refusal(400, "M_UNSUPPORTED_ROOM_VERSION", &text));
    }
    if !room.starts_with('!') {
        return Ok(refusal(400, "M_INVALID_PARAM", "Invalid RoomID"));
    }
    let Some(user) = event["state_key"].as_str().map(str::to_owned) else {
        return bad("The invite event has no state key");
    };
    // spec.NewUserID, with the characters that were allowed once
    let historical = |user: &&str| user.bytes().all(|byte| (0x21..0x7f).contains(&byte));
    let Some(domain) = Some(user.as_str()).filter(historical).and_then(matrix::domain_of) else {
        return Ok(refusal(400, "M_INVALID_PARAM", "The user ID is invalid"));
    };
    if domain != server.config.server_name {
        return Ok(refusal(400, "M_INVALID_PARAM", "The invited user domain does not belong to this server"));
    }
    match matrix::event_id(&event, &room_version) {
        Ok(own) if own == id => {}
        Ok(_) => return bad("The event ID in the request path must match the event ID in the invite event JSON"),
        Err(why) => return undecoded(&why),
    }
    if event["room_id"] != room {
        return bad("The room ID in the request path must match the room ID in the invite event JSON");
    }
    // Neither the type nor the membership is looked at: whatever is addressed to a user here is signed and kept.
    let form = matrix::redact(&event, &room_version);
    if !signed_by_its_origin(server, &event, &form).await {
        return Ok(refusal(403, "M_FORBIDDEN", "The invite must be signed by the server it originated on"));
    }
    // NewEventFromUntrustedJSON: what the content hash does not fit is lost; of version 1 the JSON is trusted
    if version == "v2" && event["hashes"]["sha256"] != matrix::content_hash(&event).unwrap_or_default().as_str() {
        event = form.clone();
    }
    if let Err(why) = server.config.key.add_signature(&mut event, &form, &server.config.server_name) {
        return bad(&why);
    }
    // setUnsignedFieldForInvite; of version 1 the state is not read (a list is expected where an object stands)
    let state = if version == "v1" { json!([]) } else { body["invite_room_state"].clone() };
    event["unsigned"] = json!({ "invite_room_state": state });
    // (Dendrite keeps the others too, and shows them in syncs.)
    if event["type"] == "m.room.member" && event["content"]["membership"] == "invite" {
        server.database.add_event(id, &event).await?;
    }
    let answer = json!({ "event": event });
    Ok(Answer::json(200, &if version == "v1" { json!([200, answer]) } else { answer }))
}
