//! What is served on Rocket.Chat's own port: REST, health, well-known, WebSocket; who may ask for what.

use std::sync::Arc;

use hyper::Method;
use serde_json::{Map, Value, json};

use super::http::{Reply, Request};
use super::{App, account, bridge, chat, ddp, events, federation, license, native, second_factor, settings, users};

/// What an endpoint says if all is well; `success: true` is added.
pub(super) type Answer = Result<Value, Reply>;

pub(super) async fn handle(app: Arc<App>, mut request: Request) -> Reply {
    let path = request.path.clone();
    if let Some(name) = path.strip_prefix("/api/v1/") {
        return match v1(&app, &mut request, name).await {
            Ok(Value::Object(mut answer)) => {
                if !answer.contains_key("status") {
                    answer.insert("success".into(), json!(true));
                }
                Reply::json(200, &Value::Object(answer))
            }
            Ok(answer) => Reply::json(200, &answer),
            Err(reply) => reply,
        };
    }
    let later = app.environment.release() >= (7, 11);
    if later && (path.starts_with("/_matrix/") || path == "/.well-known/matrix/server") {
        return native::handle(&app, &request).await;
    }
    match path.as_str() {
        "/" => Reply::text(200, "text/html; charset=utf-8", "<!DOCTYPE html><title>Rocket.Chat</title>"),
        "/api/info" => info(&app, &request),
        "/health" if app.store.version().is_err() => Reply::text(500, "text/plain", "not healthy"),
        "/health" => Reply::text(200, "text/plain", "ok"),
        // Pull request 36955.
        "/livez" | "/readyz" if later => Reply::json(200, &json!({ "status": "ok" })),
        "/sockjs/info" => {
            let info = json!({ "websocket": true, "origins": ["*:*"], "cookie_needed": false, "entropy": 1 });
            Reply::json(200, &info)
        }
        "/websocket" => ddp::upgrade(request),
        "/.well-known/matrix/server" | "/.well-known/matrix/client" => well_known(&app, &path),
        "/standin/transactions" => received(&app, &request).map_or_else(|reply| reply, |list| Reply::json(200, &list)),
        _ => Reply::json(404, &json!({ "success": false, "error": "Not found" })),
    }
}

async fn v1(app: &Arc<App>, request: &mut Request, name: &str) -> Answer {
    match (request.method.clone(), name) {
        (Method::POST, "login") => return account::login(app, request),
        (Method::POST, "users.2fa.sendEmailCode") => return second_factor::send(app, request),
        (Method::GET, "settings.public") => {
            let public = app.settings.public();
            return Ok(json!({ "count": public.len(), "offset": 0, "total": public.len(), "settings": public }));
        }
        _ => {}
    }
    let mut user = authenticate(app, request)?;
    let user = &mut user;
    if let Some(id) = name.strip_prefix("settings/") {
        return setting(app, request, user, id).await;
    }
    match (request.method.clone(), name) {
        (Method::GET, "channels.info") => chat::channel(app, request),
        (Method::POST, "chat.delete") => chat::delete(app, request),
        (Method::POST, "chat.postMessage") => chat::post(app, request, user).await,
        (Method::POST, "chat.sendMessage") => chat::send(app, request, user).await,
        (Method::POST, "commands.run") => chat::command(app, request, user).await,
        (Method::GET, "federation/configuration.verify")
            if app.environment.has_bridge() && app.environment.has_gate() =>
        {
            admin(user)?;
            let status = federation::status(app).await;
            let good = status["appservice"]["ok"] == true && status["externalReachability"]["ok"] == true;
            if good { Ok(status) } else { Err(unsuccessful(status)) }
        }
        (Method::GET, "federation/matrixIds.verify") => federation::verify_ids(app, request).await,
        (Method::POST, "im.create") => chat::direct(app, request, user).await,
        (Method::GET, "im.list") => chat::direct_list(app, user),
        (Method::GET, "im.messages" | "channels.messages") => chat::messages(app, request),
        (Method::POST, "licenses.add") => {
            admin(user)?;
            license::add(app, request)
        }
        (Method::GET, "licenses.info") => Ok(license::info(app)),
        (Method::POST, "logout") => account::logout(app, request, user),
        (Method::GET, "me") => Ok(users::shown(user)),
        (Method::POST, "users.generatePersonalAccessToken") => {
            second_factor::check(app, request, user)?;
            account::generate(app, request, user)
        }
        (Method::POST, "rooms.invite") if !app.environment.has_bridge() => native::accept(app, request, user).await,
        (Method::POST, "rooms.leave") => chat::leave(app, request, user).await,
        (Method::GET, "users.getPersonalAccessTokens") => Ok(account::list(user)),
        (Method::GET, "users.list") => account::listed(app, request),
        (Method::GET, "users.info") => account::info(app, request),
        (Method::POST, "users.regeneratePersonalAccessToken") => {
            second_factor::check(app, request, user)?;
            account::regenerate(app, request, user)
        }
        (Method::POST, "users.removePersonalAccessToken") => {
            second_factor::check(app, request, user)?;
            account::remove(app, request, user)
        }
        (Method::POST, "users.update") => {
            second_factor::check(app, request, user)?;
            admin(user)?;
            account::update(app, request)
        }
        _ => Err(Reply::json(404, &json!({ "success": false, "error": "Not found" }))),
    }
}

/// The user whom `X-Auth-Token` and `X-User-Id` name.
fn authenticate(app: &App, request: &Request) -> Answer {
    let unknown = || Reply::json(401, &json!({ "status": "error", "message": "You must be logged in to do this." }));
    let (token, id) = (request.header("x-auth-token"), request.header("x-user-id"));
    if token.is_empty() || id.is_empty() {
        return Err(unknown());
    }
    let user = app.store.find(users::COLLECTION, id)?.ok_or_else(unknown)?;
    if users::token(&user, token).is_none() { Err(unknown()) } else { Ok(user) }
}

fn admin(user: &Value) -> Result<(), Reply> {
    if users::is_admin(user) {
        return Ok(());
    }
    let error = "User does not have the permissions required for this action [error-unauthorized]";
    Err(Reply::json(403, &json!({ "success": false, "error": error })))
}

/// app/api/server/v1/settings.ts
async fn setting(app: &Arc<App>, request: &mut Request, user: &mut Value, id: &str) -> Answer {
    // `API.v1.failure()` without words is all there is to say about a setting that does not exist.
    let unknown = || Reply::json(400, &json!({ "success": false }));
    admin(user)?;
    if request.method == Method::GET {
        let value = app.settings.get(id).ok_or_else(unknown)?;
        return Ok(json!({ "_id": id, "value": value }));
    }
    second_factor::check(app, request, user)?;
    if app.settings.is_action(id) && request.body["execute"] == true {
        return federation::button(app).await;
    }
    let value = request.body.get("value").cloned().ok_or_else(unknown)?;
    let changed = app.settings.set(&app.store, id, value)?.ok_or_else(unknown)?;
    if changed && id.starts_with("Federation_Service_") {
        native::configure(app);
    }
    if changed && settings::WATCHED.contains(&id) {
        let app = Arc::clone(app);
        // The reply does not wait for the bridge.
        tokio::spawn(async move { bridge::changed(&app).await });
    }
    Ok(json!({}))
}

/// `/api/info`: strangers see no patch level (app/api/server/lib/getServerInfo.ts).
fn info(app: &App, request: &Request) -> Reply {
    let version = &app.environment.version;
    let known = authenticate(app, request).is_ok_and(|user| users::is_admin(&user));
    let (major, minor) = app.environment.release();
    let shown = if known { version.clone() } else { format!("{major}.{minor}") };
    let mut info = Map::new();
    if known {
        info.insert("info".into(), json!({ "version": version }));
    }
    info.insert("version".into(), json!(shown));
    info.insert("minimumClientVersions".into(), json!({ "desktop": "3.9.6", "mobile": "4.39.0" }));
    info.insert("success".into(), json!(true));
    Reply::json(200, &Value::Object(info))
}

/// The bridge's answers come from `homeserver_url` (well-known.ts): right only if that one is public.
fn well_known(app: &App, path: &str) -> Reply {
    let missing = || Reply::json(404, &json!({ "success": false, "error": "Not found" }));
    if !app.settings.is("Federation_Matrix_enabled") || !app.settings.is("Federation_Matrix_serve_well_known") {
        return missing();
    }
    let Ok(url) = reqwest::Url::parse(&app.settings.text("Federation_Matrix_homeserver_url")) else { return missing() };
    let host = url.host_str().unwrap_or_default();
    let body = match path.ends_with("server") {
        true => json!({ "m.server": format!("{host}:{}", url.port().unwrap_or(443)) }),
        false => json!({ "m.homeserver": { "base_url": format!("{}://{host}", url.scheme()) } }),
    };
    Reply::json(200, &body)
}

/// For tests only: what the homeserver has delivered so far.
fn received(app: &App, request: &Request) -> Answer {
    admin(&authenticate(app, request)?)?;
    let event = |kept: Value| {
        let text = kept["event"].as_str().unwrap_or_default();
        json!({ "first": kept["first"], "event": serde_json::from_str::<Value>(text).unwrap_or_default() })
    };
    let events: Vec<Value> = app.store.all(events::EVENTS)?.into_iter().map(event).collect();
    Ok(json!({ "transactions": app.store.all(bridge::TRANSACTIONS)?, "events": events }))
}

fn unsuccessful(mut status: Value) -> Reply {
    status["success"] = json!(false);
    Reply::json(400, &status)
}
