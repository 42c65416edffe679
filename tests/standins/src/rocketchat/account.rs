//! Logging in, tokens and users over REST.

use serde_json::{Value, json};

use super::App;
use super::api::Answer;
use super::http::{Reply, Request};
use super::password::{allowed, hashed_token, matches, sha256_hex, stored};
use super::{now, second_factor, users};

/// Since 7.0 every failure has the same words (pull request 32159).
pub(super) fn login(app: &App, request: &Request) -> Answer {
    let refused =
        || Reply::json(401, &json!({ "status": "error", "error": "Unauthorized", "message": "Unauthorized" }));
    let body = &request.body;
    let name = match &body["user"] {
        Value::String(name) => Some(name.as_str()),
        _ => body["username"].as_str().or(body["email"].as_str()),
    };
    // Clients send the password or its digest.
    let digest = match &body["password"] {
        Value::String(password) => sha256_hex(password),
        password if password["algorithm"] == "sha-256" => password["digest"].as_str().unwrap_or_default().into(),
        _ => return Err(refused()),
    };
    let mut user = users::named(&app.store, name.unwrap_or_default())?.ok_or_else(refused)?;
    if !matches(&user["services"]["password"], &digest) || user["active"] == false {
        return Err(refused());
    }
    second_factor::at_log_in(app, request, &mut user)?;
    let token = users::add_token(&mut user, json!({ "when": now() }));
    app.store.put(users::COLLECTION, &user)?;
    let data = json!({ "userId": user["_id"], "authToken": token, "me": users::shown(&user) });
    Ok(json!({ "status": "success", "data": data }))
}

pub(super) fn logout(app: &App, request: &Request, user: &mut Value) -> Answer {
    let hashed = hashed_token(request.header("x-auth-token"));
    users::tokens(user).retain(|entry| entry["hashedToken"] != hashed.as_str());
    app.store.put(users::COLLECTION, user)?;
    Ok(json!({ "status": "success", "data": { "message": "You've been logged out!" } }))
}

/// `personalAccessTokens:generateToken`
pub(super) fn generate(app: &App, request: &Request, user: &mut Value) -> Answer {
    let name = token_name(request)?;
    if users::tokens(user).iter().any(|entry| is_personal(entry, name)) {
        let details = json!({ "method": "personalAccessTokens:generateToken" });
        return Err(Reply::meteor("error-token-already-exists", "A token with this name already exists", details));
    }
    let bypass = request.body["bypassTwoFactor"] == true;
    Ok(json!({ "token": personal(app, user, name, bypass)? }))
}

/// `personalAccessTokens:regenerateToken`: the old one ends, and the new one has its rights.
pub(super) fn regenerate(app: &App, request: &Request, user: &mut Value) -> Answer {
    let name = token_name(request)?;
    let bypass = take(user, name, "personalAccessTokens:regenerateToken")?["bypassTwoFactor"] == true;
    Ok(json!({ "token": personal(app, user, name, bypass)? }))
}

pub(super) fn remove(app: &App, request: &Request, user: &mut Value) -> Answer {
    take(user, token_name(request)?, "personalAccessTokens:removeToken")?;
    app.store.put(users::COLLECTION, user)?;
    Ok(json!({}))
}

pub(super) fn list(user: &mut Value) -> Value {
    let personal = users::tokens(user).iter().filter(|entry| entry["type"] == PERSONAL);
    let shown = personal.map(|entry| {
        json!({
            "name": entry["name"], "createdAt": entry["createdAt"], "lastTokenPart": entry["lastTokenPart"],
            "bypassTwoFactor": entry["bypassTwoFactor"],
        })
    });
    json!({ "tokens": shown.collect::<Vec<_>>() })
}

pub(super) fn info(app: &App, request: &Request) -> Answer {
    let user = match (request.query("userId"), request.query("username")) {
        ("", name) => users::named(&app.store, name)?,
        (id, _) => app.store.find(users::COLLECTION, id)?,
    };
    let user = user.ok_or_else(|| Reply::failure("User not found."))?;
    Ok(json!({ "user": users::shown(&user) }))
}

/// app/api/server/v1/users.ts, `users.list`: a page, and never more than `API_Upper_Count_Limit` (100) of it.
pub(super) fn listed(app: &App, request: &Request) -> Answer {
    let number = |name: &str, default: usize| request.query(name).parse().unwrap_or(default);
    let (count, offset) = (number("count", 50).min(100), number("offset", 0));
    let all = app.store.all(users::COLLECTION)?;
    let page: Vec<Value> = all.iter().skip(offset).take(count).map(users::shown).collect();
    Ok(json!({ "users": page, "count": page.len(), "offset": offset, "total": all.len() }))
}

/// A new password ends every session of the user *and* every personal access token: Meteor's `setPassword` unsets
/// `services.resume.loginTokens`, where Rocket.Chat keeps both (accounts-password, option `logout`).
pub(super) fn update(app: &App, request: &Request) -> Answer {
    let id = request.body["userId"].as_str().unwrap_or_default();
    let invalid = || Reply::meteor("error-invalid-user", "Invalid user", json!({ "method": "insertOrUpdateUser" }));
    let mut user = app.store.find(users::COLLECTION, id)?.ok_or_else(invalid)?;
    let Some(data) = request.body["data"].as_object() else {
        return Err(Reply::meteor("invalid-params", "must have required property 'data'", Value::Null));
    };
    if let Some(password) = data.get("password").and_then(Value::as_str) {
        if !allowed(&app.settings, password) {
            let text = "The password provided does not meet the server's password policy.";
            return Err(Reply::meteor("error-password-policy-not-met", text, json!([])));
        }
        user["services"]["password"] = stored(password.trim());
        users::tokens(&mut user).clear();
    }
    for field in ["name", "username"] {
        if let Some(value) = data.get(field).filter(|value| value.is_string()) {
            user[field] = value.clone();
        }
    }
    app.store.put(users::COLLECTION, &user)?;
    Ok(json!({ "user": users::shown(&user) }))
}

fn token_name(request: &Request) -> Result<&str, Reply> {
    let name = request.body["tokenName"].as_str().filter(|name| !name.is_empty());
    name.ok_or_else(|| Reply::failure("The 'tokenName' param is required"))
}

fn personal(app: &App, user: &mut Value, name: &str, bypass: bool) -> Result<String, Reply> {
    let entry = json!({ "type": PERSONAL, "name": name, "createdAt": now(), "bypassTwoFactor": bypass });
    let token = users::add_token(user, entry);
    app.store.put(users::COLLECTION, user)?;
    Ok(token)
}

fn take(user: &mut Value, name: &str, method: &str) -> Answer {
    let tokens = users::tokens(user);
    let missing = || Reply::meteor("error-token-does-not-exists", "Token does not exist", json!({ "method": method }));
    let at = tokens.iter().position(|entry| is_personal(entry, name)).ok_or_else(missing)?;
    Ok(tokens.remove(at))
}

fn is_personal(entry: &Value, name: &str) -> bool {
    entry["type"] == PERSONAL && entry["name"] == name
}

const PERSONAL: &str = "personalAccessToken";
