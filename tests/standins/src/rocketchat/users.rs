//! Users, and the first administrator from the environment.

use serde_json::{Value, json};

use super::environment::Environment;
use super::password::{hashed_token, stored};
use super::store::Store;
use super::{now, random_id};
use crate::mongo::client::Error;

pub(super) const COLLECTION: &str = "users";

/// What Rocket.Chat prints while it makes the first users (server/startup/initialData.ts).
pub(super) fn initial(environment: &Environment, store: &Store) -> Result<Vec<String>, Error> {
    let mut said = Vec::new();
    let mut users = store.all(COLLECTION)?;
    if !users.iter().any(|user| user["_id"] == "rocket.cat") {
        let cat = json!({
            "_id": "rocket.cat", "username": "rocket.cat", "name": "Rocket.Cat", "roles": ["bot"], "type": "bot",
            "active": true, "createdAt": now(),
        });
        store.put(COLLECTION, &cat)?;
    }
    if let Some(password) = environment.get("ADMIN_PASS") {
        if users.iter().any(is_admin) {
            said.push("Users with admin role already exist; Ignoring environment variables ADMIN_PASS".into());
        } else {
            let admin = first_admin(environment, password, &mut said);
            store.put(COLLECTION, &admin)?;
            users.push(admin);
        }
    }
    if !users.iter().any(is_admin) {
        let people = users.iter_mut().filter(|user| user["type"] != "bot");
        if let Some(oldest) = people.min_by_key(|user| user["createdAt"].as_i64()) {
            oldest["roles"] = json!(["admin"]);
            let name = oldest["username"].as_str().unwrap_or_default();
            said.push(format!("No admins are found. Set {name} as admin for being the oldest user"));
            store.put(COLLECTION, oldest)?;
        }
    }
    Ok(said)
}

fn first_admin(environment: &Environment, password: &str, said: &mut Vec<String>) -> Value {
    said.push("Inserting admin user:".into());
    let name = environment.get("ADMIN_NAME").unwrap_or("Administrator");
    said.push(format!("Name: {name}"));
    let mut emails = Vec::new();
    if let Some(address) = environment.get("ADMIN_EMAIL") {
        let plain = address.split_once('@').is_some_and(|(local, host)| !local.is_empty() && host.contains('.'));
        if plain {
            said.push(format!("Email: {address}"));
            emails.push(
                json!({ "address": address, "verified": environment.get("ADMIN_EMAIL_VERIFIED") == Some("true") }),
            );
        } else {
            said.push("Email provided is invalid; Ignoring environment variables ADMIN_EMAIL".into());
        }
    }
    let valid = |name: &&str| name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    let username = match environment.get("ADMIN_USERNAME").map(|name| Some(name).filter(valid)) {
        Some(None) => {
            said.push("Username provided is invalid; Ignoring environment variables ADMIN_USERNAME".into());
            "admin"
        }
        Some(Some(name)) => name,
        None => "admin",
    };
    said.push(format!("Username: {username}"));
    let mut services = json!({ "password": stored(password), "resume": { "loginTokens": [] } });
    if let Some(secret) = environment.get("STANDIN_TOTP_SECRET") {
        services["totp"] = json!({ "enabled": true, "secret": secret });
    }
    if environment.get("STANDIN_EMAIL_CODES").is_some() {
        services["email2fa"] = json!({ "enabled": true });
    }
    json!({
        "_id": random_id(17), "username": username, "name": name, "emails": emails, "roles": ["admin"], "type": "user",
        "active": true, "createdAt": now(), "services": services,
    })
}

pub(super) fn is_admin(user: &Value) -> bool {
    user["roles"].as_array().is_some_and(|roles| roles.iter().any(|role| role == "admin"))
}

/// By user name (or, to log in, by e-mail address).
pub(super) fn named(store: &Store, name: &str) -> Result<Option<Value>, Error> {
    let same = |value: &Value| value.as_str().is_some_and(|text| text.eq_ignore_ascii_case(name));
    Ok(store.all(COLLECTION)?.into_iter().find(|user| {
        same(&user["username"]) || user["emails"].as_array().into_iter().flatten().any(|email| same(&email["address"]))
    }))
}

/// The user's tokens: sessions and personal access tokens alike.
pub(super) fn tokens(user: &mut Value) -> &mut Vec<Value> {
    let tokens = &mut user["services"]["resume"]["loginTokens"];
    if !tokens.is_array() {
        *tokens = json!([]);
    }
    match tokens {
        Value::Array(tokens) => tokens,
        _ => unreachable!("made an array above"),
    }
}

/// The entry of `token`, if the user has it.
pub(super) fn token<'a>(user: &'a Value, token: &str) -> Option<&'a Value> {
    let hashed = hashed_token(token);
    let tokens = user["services"]["resume"]["loginTokens"].as_array()?;
    tokens.iter().find(|entry| entry["hashedToken"] == hashed.as_str())
}

/// A new token; `extra` is put into its entry.
pub(super) fn add_token(user: &mut Value, extra: Value) -> String {
    let token = random_id(43);
    let mut entry = extra;
    entry["hashedToken"] = json!(hashed_token(&token));
    tokens(user).push(entry);
    token
}

/// As others see a user.
pub(super) fn shown(user: &Value) -> Value {
    let mut shown = user.clone();
    if let Some(fields) = shown.as_object_mut() {
        fields.remove("services");
    }
    shown
}
