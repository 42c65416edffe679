//! `dendrite.yaml`, schema version 2: what is read of it, and what setup/config refuses.

use std::time::Duration;

use base64::Engine as _;

use super::key;
use super::log;
use super::registration::{self, Registration};
use super::verify::verify;
use super::yaml::{Document, Node};
use super::{Stop, flags::Flags};
use crate::matrix::SigningKey;

/// The configuration, as far as the stand-in acts on it.
pub struct Config {
    pub server_name: String,
    pub key: SigningKey,
    /// Key id, public key in base64 and expiry in milliseconds of each retired key.
    pub old_keys: Vec<(String, String, i64)>,
    pub key_validity: Duration,
    pub connection_string: String,
    pub max_open_conns: i64,
    pub well_known_server: String,
    pub well_known_client: String,
    pub disable_federation: bool,
    pub jetstream: String,
    pub metrics: Option<(String, String)>,
    pub legacy_auth: bool,
    pub legacy_paths: bool,
    pub registrations: Vec<Registration>,
    pub registration_disabled: bool,
    /// Requests at once and how long each counts; `None` without a limit.
    pub rate_limit: Option<(usize, Duration)>,
    pub media_path: String,
}

/// Loads and verifies. The first half (`Load`) stops at the first error, the second (`Verify`) lists all.
///
/// # Errors
/// With Dendrite's texts, ready to be printed.
pub fn load(text: &str, flags: &Flags) -> Result<Config, Stop> {
    let invalid = |why: String| Stop::Fatal(format!("Invalid config file: {why}"));
    let document = Document::parse(text).map_err(invalid)?;
    let root = document.root();
    check_version(root).map_err(invalid)?;
    let mut config = read(root).map_err(invalid)?;
    let files: Vec<String> = root.at("app_service_api.config_files").list().into_iter().map(Node::string).collect();
    let problems = verify(root, flags);
    document.finish().map_err(invalid)?;
    config.registrations = registration::load(&files, &config.server_name).map_err(|stop| match stop {
        Stop::Fatal(why) => invalid(why),
        panic @ Stop::Panic(_) => panic,
    })?;
    if !problems.is_empty() {
        for problem in problems {
            log::error(&format!("Configuration error: {problem}"));
        }
        return Err(Stop::fatal("Failed to start due to configuration errors"));
    }
    Ok(config)
}

/// Dendrite.check: the version first, then the kinds of logging.
fn check_version(root: Node<'_>) -> Result<(), String> {
    let version = root.at("version").int(2);
    if version != 2 {
        return Err(format!(
            "config version is '{}', expected '\\x02' - this means that the format of the configuration file has changed \
             in some significant way, so please revisit the sample config and ensure you are not missing any important \
             options that may have been added or changed recently!",
            u32::try_from(version).ok().and_then(char::from_u32).unwrap_or('\u{fffd}').escape_default()
        ));
    }
    let mut missing = Vec::new();
    for hook in root.at("logging").list() {
        for key in ["type", "level"] {
            if hook.at(key).string().is_empty() {
                missing.push(format!("missing config key \"logging.{key}\""));
            }
        }
    }
    match missing.len() {
        0 => Ok(()),
        1 => Err(missing.remove(0)),
        more => Err(format!("{} (and {} other problems)", missing[0], more - 1)),
    }
}

fn read(root: Node<'_>) -> Result<Config, String> {
    let global = root.at("global");
    let metrics = global.at("metrics");
    let database = if global.at("database.connection_string").string().is_empty() {
        root.at("room_server.database")
    } else {
        global.at("database")
    };
    let private_key = global.at("private_key").string();
    // an empty path is joined to the working directory, which cannot be read as a file
    let private_key = if private_key.is_empty() { ".".to_owned() } else { private_key };
    let limits = root.at("client_api.rate_limiting");
    let limit = |key, default| u64::try_from(limits.at(key).int(default)).unwrap_or_default();
    let rate_limit = (limit("threshold", 5), limit("cooloff_ms", 500));
    Ok(Config {
        server_name: global.at("server_name").string(),
        key: key::load(&private_key, true).map_err(|why| format!("failed to load private_key: {why}"))?,
        old_keys: global.at("old_private_keys").list().into_iter().map(old_key).collect::<Result<_, _>>()?,
        key_validity: global.at("key_validity_period").duration(Duration::from_secs(168 * 3600)).unwrap_or_default(),
        connection_string: database.at("connection_string").string(),
        max_open_conns: database.at("max_open_conns").int(90),
        well_known_server: global.at("well_known_server_name").string(),
        well_known_client: global.at("well_known_client_name").string(),
        disable_federation: global.at("disable_federation").bool(false),
        jetstream: global.at("jetstream.storage_path").string(),
        metrics: metrics
            .at("enabled")
            .bool(false)
            .then(|| (metrics.at("basic_auth.username").string(), metrics.at("basic_auth.password").string())),
        legacy_auth: root.at("app_service_api.legacy_auth").bool(false),
        legacy_paths: root.at("app_service_api.legacy_paths").bool(false),
        registrations: Vec::new(),
        registration_disabled: root.at("client_api.registration_disabled").bool(true),
        rate_limit: limits
            .at("enabled")
            .bool(true)
            .then(|| (usize::try_from(rate_limit.0).unwrap_or(usize::MAX), Duration::from_millis(rate_limit.1))),
        media_path: root.at("media_api.base_path").string(),
    })
}

fn old_key(node: Node<'_>) -> Result<(String, String, i64), String> {
    let (path, id, public) =
        (node.at("private_key").string(), node.at("key_id").string(), node.at("public_key").string());
    let expired = node.at("expired_at").int(0);
    if !path.is_empty() {
        let key = key::load(&path, false).map_err(|why| format!("failed to parse {path:?}: {why}"))?;
        return Ok((key.id.clone(), key.public(), expired));
    }
    match (id.is_empty(), crate::matrix::UNPADDED.decode(&public).map_or(usize::MAX, |bytes| bytes.len())) {
        (true, _) => Err("'key_id' must be specified if 'public_key' is specified".to_owned()),
        (_, 32) => Ok((id, public, expired)),
        (_, 0) => Err("either specify a 'private_key' path or supply both 'public_key' and 'key_id'".to_owned()),
        _ => Err("the supplied 'public_key' is the wrong length".to_owned()),
    }
}
