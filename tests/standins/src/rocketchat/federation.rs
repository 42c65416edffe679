//! The bridge's way out: its check of the configuration, the gate before everything federated, and the homeserver's
//! client interface (server/services/federation/service.ts and infrastructure/matrix/Bridge.ts).

use std::time::Duration;

use reqwest::{Method, StatusCode, Url};
use serde_json::{Value, json};

use super::App;
use super::api::Answer;
use super::http::{Reply, Request};
use super::{native, random_id};

const STATUS: &str = "Federation_Matrix_configuration_status";

/// `configurationStatus`: both halves, stored nowhere.
pub(super) async fn status(app: &App) -> Value {
    let appservice = match ping(app).await {
        Ok(duration) => json!({ "roundTrip": { "durationMs": duration }, "ok": true }),
        Err(error) => json!({ "roundTrip": { "durationMs": -1 }, "ok": false, "error": error }),
    };
    let reachability = match reachable(app).await {
        Ok(ok) => json!({ "ok": ok }),
        Err(error) => json!({ "ok": false, "error": error }),
    };
    json!({ "appservice": appservice, "externalReachability": reachability })
}

/// The method behind the button (app/lib/server/methods/checkFederationConfiguration.ts).
pub(super) async fn button(app: &App) -> Answer {
    let status = status(app).await;
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    let (ping, outside) = (&status["appservice"], &status["externalReachability"]);
    match (outside["ok"] == true, outside["error"].as_str()) {
        (true, _) => good.push("homeserver configuration looks good".to_owned()),
        (false, None) => bad.push("external reachability could not be verified".to_owned()),
        (false, Some(error)) => bad.push(format!("external reachability could not be verified, error: {error}")),
    }
    if ping["ok"] == true {
        let trip = &ping["roundTrip"]["durationMs"];
        good.push(format!("appservice configuration looks good, total round trip time to homeserver {trip}ms"));
    } else {
        let error = ping["error"].as_str().unwrap_or("undefined");
        bad.push(format!("failed to verify appservice configuration: {error}"));
    }
    mark(app, bad.is_empty())?;
    if bad.is_empty() {
        return Ok(json!({}));
    }
    let first =
        if good.is_empty() { "Invalid configuration" } else { "Configuration could only be partially verified" };
    let message = [vec![first.to_owned()], good, bad].concat().join(", ");
    let details = json!({ "method": "checkFederationConfiguration" });
    Err(Reply::meteor("error-invalid-configuration", &message, details))
}

/// `verifyConfiguration`: after a change of a watched setting, never at boot.
pub(super) async fn verify(app: &App) {
    let good = ping(app).await.is_ok() && reachable(app).await == Ok(true);
    if let Err(error) = mark(app, good) {
        eprintln!("{error:?}");
    }
}

/// `throwIfFederationNotEnabledOrNotReady`: what stops everything that would go out.
pub(super) fn ready(app: &App) -> Result<(), String> {
    if !app.settings.is("Federation_Matrix_enabled") {
        return Err("Federation is not enabled".into());
    }
    if app.environment.has_gate() && app.settings.text(STATUS) != "Valid" {
        return Err("Federation configuration is invalid".into());
    }
    Ok(())
}

/// A direct room on the homeserver with somebody elsewhere; its id.
pub(super) async fn direct(app: &App, user: &Value, invitee: &str) -> Result<String, String> {
    ready(app)?;
    let me = register(app, user["username"].as_str().unwrap_or_default()).await?;
    let body = json!({
        "visibility": "private", "preset": "private_chat", "is_direct": true, "invite": [invitee],
        "creation_content": { "was_internally_programatically_created": true },
    });
    let answer = call(app, Method::POST, &["v3", "createRoom"], Some(&me), body).await?;
    Ok(answer["room_id"].as_str().ok_or("the homeserver named no room")?.to_owned())
}

/// A message in a room of the homeserver; its event id.
pub(super) async fn message(app: &App, user: &Value, room: &str, text: &str) -> Result<String, String> {
    if !app.environment.has_bridge() {
        return native::message(app, user, room, text).await;
    }
    ready(app)?;
    let me = mxid(app, user["username"].as_str().unwrap_or_default());
    let path = ["v3", "rooms", room, "send", "m.room.message", &random_id(17)];
    let answer = call(app, Method::PUT, &path, Some(&me), json!({ "msgtype": "m.text", "body": text })).await?;
    Ok(answer["event_id"].as_str().ok_or("the homeserver named no event")?.to_owned())
}

/// Joins a room as a local user, who is made on the homeserver if need be.
pub(super) async fn join(app: &App, username: &str, room: &str) -> Result<(), String> {
    let me = register(app, username).await?;
    call(app, Method::POST, &["v3", "join", room], Some(&me), json!({})).await.map(drop)
}

/// Leaves a room as a local user (Bridge.ts, `leaveRoom`).
pub(super) async fn leave(app: &App, user: &Value, room: &str) -> Result<(), String> {
    if !app.environment.has_bridge() {
        return native::leave(app, user, room).await;
    }
    ready(app)?;
    let me = mxid(app, user["username"].as_str().unwrap_or_default());
    call(app, Method::POST, &["v3", "rooms", room, "leave"], Some(&me), json!({})).await.map(drop)
}

/// `federation/matrixIds.verify`: asks the host of the server name itself, without well-known (`verifyInviteeId`).
pub(super) async fn verify_ids(app: &App, request: &Request) -> Answer {
    let mut results = serde_json::Map::new();
    let ids = request.query.iter().filter(|(name, _)| name == "matrixIds" || name == "matrixIds[]");
    for (_, id) in ids {
        let verdict = match id.trim_start_matches('@').split_once(':') {
            Some((user, host)) if app.environment.has_bridge() => verify_id(app, user, host).await,
            _ => "UNABLE_TO_VERIFY",
        };
        results.insert(id.clone(), json!(verdict));
    }
    Ok(json!({ "results": results }))
}

async fn verify_id(app: &App, user: &str, host: &str) -> &'static str {
    let url = format!("https://{host}/_matrix/client/v3/register/available");
    let Ok(url) = Url::parse_with_params(&url, [("username", user)]) else { return "UNABLE_TO_VERIFY" };
    let Ok(response) = app.http.get(url).timeout(Duration::from_secs(20)).send().await else {
        return "UNABLE_TO_VERIFY";
    };
    let status = response.status();
    let body: Value = response.json().await.unwrap_or_default();
    match status {
        StatusCode::BAD_REQUEST if body["errcode"] == "M_USER_IN_USE" => "VERIFIED",
        StatusCode::OK => "UNVERIFIED",
        _ => "UNABLE_TO_VERIFY",
    }
}

/// The homeserver must ping the bridge in turn; how long that took, by the homeserver.
async fn ping(app: &App) -> Result<Value, String> {
    if !app.bridge.is_running() {
        return Err("Error: matrix bridge isn't yet running".into());
    }
    let url = client_url(app, &["v1", "appservice", &app.settings.text("Federation_Matrix_id"), "ping"])?;
    let request = app.http.post(url).bearer_auth(app.settings.text("Federation_Matrix_as_token"));
    // The transaction id is optional, and Rocket.Chat sends none.
    let response = request.json(&json!({})).timeout(Duration::from_secs(60)).send().await;
    let response = response.map_err(|error| node_error(&error))?;
    match response.status() {
        StatusCode::NOT_FOUND => Err("homeserver version must be >=1.84.x".into()),
        status if !status.is_success() => {
            let reason = status.canonical_reason().unwrap_or_default();
            Err(format!("received unknown status from homeserver, message: {reason}"))
        }
        _ => {
            let body: Value = response.json().await.map_err(|error| node_error(&error))?;
            Ok(body["duration_ms"].clone())
        }
    }
}

/// Whether the federation tester says exactly `GOOD`.
async fn reachable(app: &App) -> Result<bool, String> {
    let tester = app.environment.get("FEDERATION_TESTER_HOST").map(str::trim).filter(|host| !host.is_empty());
    let tester = tester.map_or("https://federationtester.matrix.org", |host| host.strip_suffix('/').unwrap_or(host));
    let domain = Url::parse(&format!("https://{}", domain(app))).map_err(|_| "TypeError: Invalid URL")?;
    let host = domain.host_str().unwrap_or_default();
    let name = domain.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let url = format!("{tester}/api/federation-ok?server_name={name}");
    let failed = |error: reqwest::Error| match error.is_timeout() {
        true => "Operation timed out".to_owned(),
        false => format!("FetchError: request to {url} failed, reason: {}", node_error(&error)),
    };
    let response = app.http.get(&url).timeout(Duration::from_secs(20)).send().await.map_err(failed)?;
    Ok(response.text().await.map_err(failed)? == "GOOD")
}

fn mark(app: &App, valid: bool) -> Result<(), crate::mongo::client::Error> {
    let status = if valid { "Valid" } else { "Invalid" };
    app.settings.set(&app.store, STATUS, json!(status)).map(drop)
}

/// Makes the user on the homeserver, which may have it already; its Matrix id.
async fn register(app: &App, username: &str) -> Result<String, String> {
    let body = json!({ "type": "m.login.application_service", "username": username.to_lowercase() });
    match call(app, Method::POST, &["r0", "register"], None, body).await {
        Err(text) if !text.contains("M_USER_IN_USE") => Err(text),
        _ => Ok(mxid(app, username)),
    }
}

/// A call of the client interface with the app service's token, as `user`.
async fn call(app: &App, method: Method, path: &[&str], user: Option<&str>, body: Value) -> Result<Value, String> {
    let mut url = client_url(app, path)?;
    if let Some(user) = user {
        url.query_pairs_mut().append_pair("user_id", user);
    }
    let request = app.http.request(method, url).bearer_auth(app.settings.text("Federation_Matrix_as_token"));
    let response = request.json(&body).timeout(Duration::from_secs(180)).send().await;
    let response = response.map_err(|error| node_error(&error))?;
    let status = response.status();
    let body: Value = response.json().await.unwrap_or_default();
    if status.is_success() {
        return Ok(body);
    }
    let (code, text) = (body["errcode"].as_str().unwrap_or_default(), body["error"].as_str().unwrap_or_default());
    Err(format!("{status} {code}: {text}"))
}

/// `{homeserver_url}/_matrix/client/…`, each part of the path encoded.
fn client_url(app: &App, path: &[&str]) -> Result<Url, String> {
    let mut url =
        Url::parse(&app.settings.text("Federation_Matrix_homeserver_url")).map_err(|_| "Error: Invalid URI")?;
    url.path_segments_mut()
        .map_err(|()| "Error: Invalid URI")?
        .pop_if_empty()
        .extend(["_matrix", "client"])
        .extend(path);
    Ok(url)
}

pub(super) fn domain(app: &App) -> String {
    app.settings.text("Federation_Matrix_homeserver_domain")
}

fn mxid(app: &App, username: &str) -> String {
    format!("@{}:{}", username.to_lowercase(), domain(app))
}

/// A failure in Node's words.
fn node_error(error: &reqwest::Error) -> String {
    let mut deepest: &dyn std::error::Error = error;
    let mut texts = Vec::new();
    while let Some(source) = deepest.source() {
        texts.push(source.to_string());
        deepest = source;
    }
    let said = texts.join(": ").to_lowercase();
    let url = error.url();
    let host = url.and_then(Url::host_str).unwrap_or_default();
    let port = url.and_then(Url::port_or_known_default).unwrap_or_default();
    if error.is_timeout() {
        "Operation timed out".into()
    } else if said.contains("dns") || said.contains("lookup") {
        format!("Error: getaddrinfo ENOTFOUND {host}")
    } else if said.contains("refused") {
        format!("Error: connect ECONNREFUSED {host}:{port}")
    } else if said.contains("certificate") {
        "Error: unable to verify the first certificate".into()
    } else {
        format!("Error: {}", texts.last().cloned().unwrap_or_else(|| "socket hang up".into()))
    }
}
