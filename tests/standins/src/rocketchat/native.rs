//! Federation inside Rocket.Chat, as it is from 7.11 on: a Matrix server on the port of everything else, for who has a
//! licence with it (ee/packages/federation-matrix, and RocketChat/homeserver, packages/federation-sdk).

mod rooms;

use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use hyper::Method;
use ring::signature::Ed25519KeyPair;
use serde_json::{Value, json};

pub(super) use rooms::{accept, direct, leave, message};

use super::http::{Reply, Request};
use super::{App, license, users};
use crate::matrix::{self, SigningKey, UNPADDED};
use crate::room::Identity;
use crate::{federation, web};

/// What the service works with since it was last configured.
#[derive(Default)]
pub(super) struct Native {
    now: RwLock<Option<Arc<Us>>>,
}

/// Name and key.
pub(super) struct Us {
    pub(super) name: String,
    key: SigningKey,
}

impl Us {
    fn identity(&self) -> Identity<'_> {
        Identity { name: &self.name, key: &self.key }
    }
}

impl App {
    /// Name and key; `None` before there was a right configuration.
    fn us(&self) -> Option<Arc<Us>> {
        self.native.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether there is licence and setting for it; both are asked at every request (middlewares/isFederationEnabled.ts
    /// and isLicenseEnabled.ts).
    fn federates(&self) -> bool {
        self.settings.is("Federation_Service_Enabled") && self.has_module(license::FEDERATION)
    }
}

/// At boot and after a change of a setting or of the licence (ee/server/startup/federation.ts). A domain that is refused
/// leaves what was before.
pub(super) fn configure(app: &App) {
    if app.environment.has_bridge() || !app.federates() {
        return;
    }
    match read(app) {
        Ok(us) => *app.native.now.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(us)),
        Err(text) => println!("Failed to start federation-matrix service: {text}"),
    }
}

fn read(app: &App) -> Result<Us, String> {
    let name = app.settings.text("Federation_Service_Domain");
    if !valid(&name) {
        return Err(format!("Invalid Federation domain: {name}"));
    }
    let seed = UNPADDED.decode(app.settings.text("Federation_Service_Matrix_Signing_Key"));
    let pair = seed.ok().and_then(|seed| Ed25519KeyPair::from_seed_unchecked(&seed).ok());
    let version = app.settings.text("Federation_Service_Matrix_Signing_Version");
    let key = SigningKey { id: format!("ed25519:{version}"), pair: pair.ok_or("the signing key is none")? };
    Ok(Us { name, key })
}

/// `validateDomain` (setup.ts): a host name in small letters, without scheme, port or path.
fn valid(name: &str) -> bool {
    let parsed = reqwest::Url::parse(&format!("https://{name}"));
    !name.is_empty() && name == name.to_lowercase() && parsed.is_ok_and(|url| url.host_str() == Some(name))
}

/// Answers below `/_matrix/`, and the well-known document.
pub(super) async fn handle(app: &Arc<App>, request: &Request) -> Reply {
    if !app.federates() {
        return Reply::json(403, &json!({ "error": "Federation is not enabled" }));
    }
    let Some(us) = app.us() else { return failed("Signing key is not configured") };
    let parts: Vec<&str> = request.path.split('/').skip(1).collect();
    match (&request.method, parts.as_slice()) {
        (&Method::GET, [".well-known", "matrix", "server"]) => {
            Reply::json(200, &json!({ "m.server": format!("{}:443", us.name) }))
        }
        (&Method::GET, ["_matrix", "key", "v2", "server"]) => keys(&us),
        (&Method::GET, ["_matrix", "federation", "v1", "version"]) => {
            Reply::json(200, &json!({ "server": { "name": "rocket.chat", "version": app.environment.version } }))
        }
        // Everything else below it needs a signature, even what does not exist.
        (method, ["_matrix", "federation", rest @ ..]) => match authenticated(app, &us, request).await {
            Ok(()) => rooms::route(app, &us, method, rest, request).await,
            Err(refused) => refused,
        },
        _ => Reply::text(404, "text/plain; charset=UTF-8", "404 Not Found"),
    }
}

/// `getSignedServerKey`: for a day.
fn keys(us: &Us) -> Reply {
    let mut keys = json!({
        "old_verify_keys": {}, "server_name": us.name,
        "valid_until_ts": jiff::Timestamp::now().as_millisecond() + 86_400_000,
        "verify_keys": { &us.key.id: { "key": us.key.public() } },
    });
    let form = keys.clone();
    match us.key.add_signature(&mut keys, &form, &us.name) {
        Ok(()) => Reply::json(200, &keys),
        Err(text) => failed(&text),
    }
}

/// `verifyRequestSignature` (event-authorization.service.ts): what is wrong with it is not said.
async fn authenticated(app: &App, us: &Us, request: &Request) -> Result<(), Reply> {
    let refused = |text: &str| Reply::json(401, &json!({ "errcode": "M_UNAUTHORIZED", "error": text }));
    let header = request.header("authorization");
    if header.is_empty() {
        return Err(refused("Missing Authorization header"));
    }
    let wrong = || refused("Unauthorized");
    let pairs = header.strip_prefix("X-Matrix ").ok_or_else(wrong)?;
    let value = |name: &str| {
        let mut pairs = pairs.split(',').filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(key, _)| *key == name).map_or("", |(_, value)| value.trim_matches('"'))
    };
    let (origin, destination, id, signature) = (value("origin"), value("destination"), value("key"), value("sig"));
    if [origin, id, signature].contains(&"") || !["", us.name.as_str()].contains(&destination) {
        return Err(wrong());
    }
    let mut fields = json!({
        "method": request.method.as_str(), "uri": request.uri, "origin": origin, "destination": us.name,
    });
    if !request.body.is_null() {
        fields["content"] = request.body.clone();
    }
    let public = match origin == us.name {
        true => Ok(us.key.public()),
        false => federation::public_key(origin, id, &app.trust).await,
    };
    match public.and_then(|public| matrix::verify(&fields, signature, &public)) {
        Ok(()) => Ok(()),
        Err(text) => {
            println!("Invalid signature from {origin}: {text}");
            Err(wrong())
        }
    }
}

/// `query/profile` (profiles.service.ts): of local users only.
fn profile(app: &App, us: &Us, request: &Request) -> Reply {
    let id = request.query("user_id");
    let name = id.strip_prefix('@').and_then(|id| id.split_once(':')).filter(|(_, domain)| *domain == us.name);
    match name.map(|(name, _)| users::named(&app.store, name)) {
        Some(Ok(Some(user))) => Reply::json(200, &json!({ "displayname": user["name"] })),
        Some(Err(error)) => error.into(),
        _ => Reply::json(404, &json!({ "errcode": "M_NOT_FOUND", "error": format!("User {id} not found") })),
    }
}

fn failed(text: &str) -> Reply {
    Reply::json(500, &json!({ "errcode": "M_UNKNOWN", "error": text }))
}

fn body_of<'a>(request: &'a Request, key: &str) -> Result<&'a Value, Reply> {
    let missing =
        || Reply::json(400, &json!({ "success": false, "error": format!("must have required property '{key}'") }));
    request.body.get(key).ok_or_else(missing)
}

fn decoded(part: &str) -> String {
    web::decode(part)
}

#[cfg(test)]
mod tests {
    use super::valid;

    #[test]
    fn a_domain_is_a_bare_host_in_small_letters() {
        for (name, good) in [
            ("example.org", true),
            ("rc1", true),
            ("", false),
            ("Example.org", false),
            ("https://example.org", false),
            ("example.org:8448", false),
            ("example.org/", false),
        ] {
            assert_eq!(valid(name), good, "{name}");
        }
    }
}
