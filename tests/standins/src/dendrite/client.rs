//! The client API an app service and a health check use: clientapi/routing, clientapi/auth and userapi/internal.
//!
//! There is no `/_matrix/client/v1/appservice/{id}/ping` here, because Dendrite has none.

use hyper::Method;
use serde_json::{Value, json};

use super::server::{Server, internal, json_body, only, refusal, unhelpful, unrecognized, wrong_method};
use super::talk::{create, forget, invite, joined, kick, leave, say, state};
use super::{log, rooms};
use crate::matrix;
use crate::web::{Answer, Request, decode, encode};

/// Who is asking.
pub(super) struct Device {
    pub(super) user: String,
    device: String,
}

/// Paths below `/_matrix/client/`.
pub async fn route(server: &Server, request: &Request, rest: &[&str]) -> Answer {
    match rest {
        ["versions"] => only(request, &[Method::GET], versions),
        ["r0" | "v3", path @ ..] => v3(server, request, path).await,
        _ => unrecognized(),
    }
}

async fn v3(server: &Server, request: &Request, path: &[&str]) -> Answer {
    let wanted = match path {
        ["account", "whoami"] | ["register", "available"] | ["sync"] | ["joined_rooms"] => Method::GET,
        ["profile", _] => Method::GET,
        ["rooms", _, "state", _] | ["rooms", _, "state", _, _] => Method::GET,
        ["register"] | ["createRoom"] | ["join", _] => Method::POST,
        ["rooms", _, "forget" | "invite" | "join" | "kick" | "leave"] => Method::POST,
        ["rooms", _, "send", _, _] => Method::PUT,
        _ => return unrecognized(),
    };
    if request.method == Method::OPTIONS {
        return Answer::empty(200);
    }
    if request.method != wanted {
        return wrong_method();
    }
    if path[0] == "register"
        && let Some(refused) = server.too_many(request).await
    {
        return refused;
    }
    let answer = match path {
        ["account", "whoami"] => whoami(server, request).await,
        ["register", "available"] => available(server, request).await,
        ["register"] => register(server, request).await,
        ["sync"] => sync(server, request).await,
        ["profile", user] => profile(server, &decode(user)).await,
        ["createRoom"] => create(server, request).await,
        ["joined_rooms"] => joined(server, request).await,
        ["rooms", room, "state", kind] => state(server, request, &decode(room), &decode(kind), "").await,
        ["rooms", room, "state", kind, key] => state(server, request, &decode(room), &decode(kind), &decode(key)).await,
        ["rooms", room, "invite"] => invite(server, request, &decode(room)).await,
        ["rooms", room, "kick"] => kick(server, request, &decode(room)).await,
        ["rooms", room, "forget"] => forget(server, request, &decode(room)).await,
        ["rooms", room, "leave"] => leave(server, request, &decode(room)).await,
        ["rooms", room, "send", kind, _] => say(server, request, &decode(room), &decode(kind)).await,
        ["join", room] | ["rooms", room, "join"] => join(server, request, &decode(room)).await,
        _ => Ok(unrecognized()),
    };
    answer.unwrap_or_else(|why| internal(&why))
}

pub(super) type Outcome = Result<Answer, tokio_postgres::Error>;

/// clientapi/routing/routing.go: r0.0.1 to v1.2 and nothing newer.
fn versions() -> Answer {
    let versions = ["r0.0.1", "r0.1.0", "r0.2.0", "r0.3.0", "r0.4.0", "r0.5.0", "r0.6.1", "v1.0", "v1.1", "v1.2"];
    let unstable = json!({
        "org.matrix.e2e_cross_signing": true,
        "org.matrix.msc2285.stable": true,
        "org.matrix.msc3916.stable": true,
    });
    Answer::json(200, &json!({"versions": versions, "unstable_features": unstable}))
}

/// clientapi/auth ExtractAccessToken
fn token(request: &Request) -> Result<String, &'static str> {
    let (header, query) = (request.header("Authorization"), request.query_value("access_token"));
    match (header.is_empty(), query.is_empty()) {
        (false, false) => Err("mixing Authorization headers and access_token query parameters"),
        (true, false) => Ok(query),
        (true, true) => Err("missing access token"),
        (false, true) => header.strip_prefix("Bearer ").map(str::to_owned).ok_or("invalid Authorization header"),
    }
}

/// VerifyUserFromRequest with QueryAccessToken and queryAppServiceToken
pub(super) async fn authenticate(
    server: &Server,
    request: &Request,
) -> Result<Result<Device, Answer>, tokio_postgres::Error> {
    let token = match token(request) {
        Ok(token) => token,
        Err(why) => return Ok(Err(refusal(401, "M_MISSING_TOKEN", why))),
    };
    let (ours, database) = (&server.config.server_name, &server.database);
    let masked = request.query_value("user_id");
    let service = server.config.registrations.iter().find(|service| service.as_token == token);
    if let (false, Some(service)) = (masked.is_empty(), service) {
        let local = match (masked.strip_prefix('@'), matrix::domain_of(&masked)) {
            (None, _) => Some(masked.as_str()),
            (Some(rest), Some(domain)) if domain == ours => rest.split(':').next(),
            // ParseUsernameParam fails and no device results
            _ => None,
        };
        let Some(local) = local else { return Ok(Err(unknown_token())) };
        let owner = database.account(&local.to_lowercase()).await?;
        let fits = owner.is_some_and(|owner| owner == service.id || service.wants_user(&masked));
        return Ok(if fits {
            Ok(Device { user: masked, device: "AS_Device".to_owned() })
        } else {
            Err(refusal(403, "M_FORBIDDEN", "Forbidden: appservice has not registered this user"))
        });
    }
    Ok(match database.device(&token).await? {
        Some((local, device)) => Ok(Device { user: format!("@{local}:{ours}"), device }),
        None => Err(unknown_token()),
    })
}

fn unknown_token() -> Answer {
    refusal(401, "M_UNKNOWN_TOKEN", "Unknown token")
}

async fn whoami(server: &Server, request: &Request) -> Outcome {
    Ok(match authenticate(server, request).await? {
        Ok(who) => Answer::json(200, &json!({"user_id": who.user, "device_id": who.device, "is_guest": false})),
        Err(refused) => refused,
    })
}

/// clientapi/routing/profile.go, GetProfile: for anybody; a server elsewhere is asked, and whatever comes of it that is
/// neither a profile nor 404 is an internal error, and a line of the log.
async fn profile(server: &Server, user: &str) -> Outcome {
    let ours = &server.config.server_name;
    let missing = || refusal(404, "M_NOT_FOUND", "The user does not exist or does not have a profile");
    let failed = |why: &str| {
        log::failed("getProfile failed", why);
        // spec.InternalServerError without a reason
        Answer::json(500, &json!({"Err": ""}))
    };
    let Some((local, domain)) = user.strip_prefix('@').and_then(|rest| rest.split_once(':')) else {
        return Ok(failed(&format!("invalid ID {user:?}")));
    };
    if domain == ours {
        let found = server.database.account(local).await?;
        return Ok(match found {
            Some(_) => Answer::json(200, &json!({"avatar_url": "", "displayname": local})),
            None => missing(),
        });
    }
    // fclient LookupProfile
    let path = "/_matrix/federation/v1/query/profile";
    let target = format!("{path}?user_id={}", encode(user));
    let why = match rooms::ask(server, domain, Method::GET, &target, None).await {
        Ok(profile) => {
            let profile = json!({"avatar_url": profile["avatar_url"], "displayname": profile["displayname"]});
            return Ok(Answer::json(200, &profile));
        }
        Err(why) => why,
    };
    let answered = why.strip_prefix(&format!("{domain}: ")).and_then(|rest| rest.split_once(' '));
    Ok(match answered.and_then(|(status, body)| Some((status.parse::<u16>().ok()?, body))) {
        Some((404, _)) => missing(),
        // gomatrix.HTTPError, with each byte of the answer as a number
        Some((status, body)) => {
            let bytes: Vec<String> = body.bytes().map(|byte| byte.to_string()).collect();
            failed(&format!(
                "contents=[{}] msg=Failed to GET JSON (hostname {domain:?} path {path:?}) code={status} wrapped={body}",
                bytes.join(" ")
            ))
        }
        None => failed(&format!("Get \"matrix://{domain}{target}\": {why}")),
    })
}

/// A complete sync of the pending invites and of nothing else (syncapi/streams/stream_invite.go): the stripped state, then
/// the invite itself, without its room.
async fn sync(server: &Server, request: &Request) -> Outcome {
    let who = match authenticate(server, request).await? {
        Ok(who) => who,
        Err(refused) => return Ok(refused),
    };
    let filter = request.query_value("filter");
    // What does not begin like an object is the name of a stored filter, and one that is not there is as none.
    if filter.starts_with('{') && serde_json::from_str::<serde_json::Map<String, Value>>(&filter).is_err() {
        return Ok(refusal(400, "M_UNKNOWN", "json.Unmarshal: invalid filter"));
    }
    let mut invite = serde_json::Map::new();
    for (room, id, event) in server.database.invites(&who.user).await? {
        let mut events = event["unsigned"]["invite_room_state"].as_array().cloned().unwrap_or_default();
        let mut own = json!({ "event_id": id });
        for key in ["content", "origin_server_ts", "sender", "state_key", "type"] {
            own[key] = event[key].clone();
        }
        events.push(own);
        invite.insert(room, json!({ "invite_state": { "events": events } }));
    }
    let mut answer = json!({ "device_unused_fallback_key_types": [], "next_batch": "s1_0_0_0_0_0_0_0_0" });
    // Response.MarshalJSON leaves out what is empty.
    if !invite.is_empty() {
        answer["rooms"] = json!({ "invite": invite });
    }
    Ok(Answer::json(200, &answer))
}

/// internal/validate.go
fn username_problem(local: &str, server_name: &str, appservice: bool) -> Option<Answer> {
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-+=./".contains(&byte);
    if format!("@{local}:{server_name}").len() > 254 {
        return Some(refusal(400, "M_BAD_JSON", "username exceeds the maximum length of 254 characters"));
    }
    if local.is_empty() || !local.bytes().all(letters) {
        let text = "username can only contain characters a-z, 0-9, or '_+-./='";
        return Some(refusal(400, "M_INVALID_USERNAME", text));
    }
    (!appservice && local.starts_with('_'))
        .then(|| refusal(400, "M_INVALID_USERNAME", "username cannot start with a '_'"))
}

/// RegisterAvailable, which answers whether or not registration is disabled
async fn available(server: &Server, request: &Request) -> Outcome {
    let ours = &server.config.server_name;
    let asked = request.query_value("username").to_lowercase();
    let local = match asked.strip_prefix('@').and_then(|rest| rest.split_once(':')) {
        Some((local, domain)) if domain == ours => local.to_owned(),
        _ => asked,
    };
    if let Some(problem) = username_problem(&local, ours, false) {
        return Ok(problem);
    }
    let user = format!("@{local}:{ours}");
    if server.config.registrations.iter().any(|service| service.owns_user(&user)) {
        return Ok(refusal(400, "M_USER_IN_USE", "Desired user ID is reserved by an application service."));
    }
    Ok(match server.database.account(&local).await? {
        Some(_) => refusal(400, "M_USER_IN_USE", "Desired User ID is already taken."),
        None => Answer::json(200, &json!({"available": true})),
    })
}

/// Register, for app services; everyone else meets a closed door
async fn register(server: &Server, request: &Request) -> Outcome {
    let body = match json_body(request) {
        Ok(body) => body,
        Err(refused) => return Ok(refused),
    };
    let ours = &server.config.server_name;
    if request.query_value("kind") == "guest" {
        return Ok(refusal(403, "M_FORBIDDEN", &format!("Guest registration is disabled on {ours:?}")));
    }
    let mut local = body["username"].as_str().unwrap_or("").to_lowercase();
    if local.parse::<i64>().is_ok() {
        return Ok(refusal(400, "M_INVALID_USERNAME", "Numeric user IDs are reserved"));
    }
    if local.is_empty() {
        // QueryNumericLocalpart: who asks for no name gets a number
        local = server.database.accounts().await?.to_string();
    }
    let Ok(token) = token(request) else {
        return Ok(match username_problem(&local, ours, false) {
            Some(problem) => problem,
            None => refusal(403, "M_FORBIDDEN", &format!("Registration is disabled on {ours:?}")),
        });
    };
    if body["type"] != "m.login.application_service" {
        let text = "A known registration type (e.g. m.login.application_service) must be specified if an access_token is \
                    provided";
        return Ok(refusal(400, "M_MISSING_PARAM", text));
    }
    if let Some(problem) = username_problem(&local, ours, true) {
        return Ok(problem);
    }
    let Some(service) = server.config.registrations.iter().find(|service| service.as_token == token) else {
        let text = "Supplied access_token does not match any known application service";
        return Ok(refusal(401, "M_UNKNOWN_TOKEN", text));
    };
    let user = format!("@{local}:{ours}");
    if local != service.sender_localpart && !service.wants_user(&user) {
        let text = format!(
            "Supplied username {local} did not match any namespaces for application service ID: {}",
            service.id
        );
        return Ok(refusal(400, "M_EXCLUSIVE", &text));
    }
    if server.config.registrations.iter().filter(|service| service.owns_user(&user)).count() > 1 {
        let text = format!(
            "Supplied username {local} matches multiple exclusive application service namespaces. Only 1 match allowed"
        );
        return Ok(refusal(400, "M_EXCLUSIVE", &text));
    }
    if !server.database.add_account(&local, &service.id).await? {
        return Ok(refusal(400, "M_USER_IN_USE", "Desired user ID is already taken."));
    }
    if body["inhibit_login"] == true {
        return Ok(Answer::json(200, &json!({ "user_id": user })));
    }
    let now = jiff::Timestamp::now().as_nanosecond();
    let (token, device) = (format!("standin_{local}_{now}"), body["device_id"].as_str().unwrap_or("STANDIN"));
    server.database.add_device(&token, &local, device).await?;
    Ok(Answer::json(200, &json!({"user_id": user, "access_token": token, "device_id": device})))
}

/// JoinRoomByIDOrAlias, for rooms the stand-in knows from an event or an invite. To a room of another server the way leads
/// over the inviter; where that cannot be walked (tests invent such rooms), the membership is just written down.
async fn join(server: &Server, request: &Request, room: &str) -> Outcome {
    let who = match authenticate(server, request).await? {
        Ok(who) => who,
        Err(refused) => return Ok(refused),
    };
    let _one = server.joining.lock().await;
    let members = server.database.members(room).await?;
    let Some((_, membership)) = members.iter().find(|(user, _)| *user == who.user) else {
        // A room that is not known has no version; the error for that is not a client's, and its text stays inside.
        return Ok(if members.is_empty() { unhelpful() } else { refusal(403, "M_FORBIDDEN", "InputWasRejected") });
    };
    if membership != "join" {
        match rooms::join(server, &who.user, room).await {
            Ok(()) => return Ok(Answer::json(200, &json!({ "room_id": room }))),
            Err(why) => log::warn(&format!("no federated join to {room}: {why}")),
        }
        let now = jiff::Timestamp::now();
        let event = json!({
            "type": "m.room.member",
            "room_id": room,
            "sender": who.user,
            "state_key": who.user,
            "origin_server_ts": now.as_millisecond(),
            "content": {"membership": "join"},
        });
        server.new_room_event(&format!("$standin{}", now.as_nanosecond()), &event).await?;
    }
    Ok(Answer::json(200, &json!({ "room_id": room })))
}
