//! What `Verify` of setup/config refuses, all of it at once.
//!
//! Not refused, because Dendrite does not: an empty `jetstream.storage_path`, trailing slashes, unknown keys, bad networks.

use std::time::Duration;

use super::flags::Flags;
use super::yaml::{Node, go_duration};
use crate::matrix::ROOM_VERSIONS;

/// The `Verify` methods, in the order in which they run.
pub fn verify(root: Node<'_>, flags: &Flags) -> Vec<String> {
    let mut problems = Vec::new();
    let global = root.at("global");
    let client = root.at("client_api");
    let needed = |key: &str, value: String, problems: &mut Vec<String>| {
        if value.is_empty() {
            problems.push(format!("missing config key {key:?}"));
        }
    };
    let positive = |key: &str, value: i64, problems: &mut Vec<String>| {
        if value < 0 {
            problems.push(format!("invalid value for config key {key:?}: {value}"));
        }
    };
    needed("global.server_name", global.at("server_name").string(), &mut problems);
    needed("global.private_key", global.at("private_key").string(), &mut problems);
    let base = global.at("well_known_client_name").string();
    if !base.is_empty() && !base.starts_with("http://") && !base.starts_with("https://") {
        problems.push(
            "The configuration for well_known_client_name does not have a proper format, consider adding http:// or \
             https://. Some clients may fail to connect."
                .to_owned(),
        );
    }
    positive("cache_size", global.at("dns_cache.cache_size").int(256), &mut problems);
    if global.at("dns_cache.cache_lifetime").duration(Duration::from_secs(300)).is_none() {
        problems.push("invalid value for config key \"cache_lifetime\": negative".to_owned());
    }
    let stats = global.at("report_stats");
    if stats.at("enabled").bool(false) && !stats.at("endpoint").is_null() {
        needed("global.report_stats.endpoint", stats.at("endpoint").string(), &mut problems);
    }
    positive("max_size_estimated", data_unit(global.at("cache.max_size_estimated")), &mut problems);
    let lifetime = client.at("turn.turn_user_lifetime").string();
    if !lifetime.is_empty() && go_duration(lifetime.trim_start_matches(['-', '+'])).is_none() {
        problems.push(format!("invalid duration for config key \"client_api.turn.turn_user_lifetime\": {lifetime}"));
    }
    let limits = client.at("rate_limiting");
    if limits.at("enabled").bool(true) {
        positive("client_api.rate_limiting.threshold", limits.at("threshold").int(5), &mut problems);
        positive("client_api.rate_limiting.cooloff_ms", limits.at("cooloff_ms").int(500), &mut problems);
    }
    let captcha = client.at("enable_registration_captcha").bool(false);
    if captcha {
        for key in ["recaptcha_public_key", "recaptcha_private_key"] {
            needed(&format!("client_api.{key}"), client.at(key).string(), &mut problems);
        }
    }
    if !client.at("registration_disabled").bool(true) && !flags.open_registration && !captcha {
        problems.push(
            "You have tried to enable open registration without any secondary verification methods (such as reCAPTCHA). \
             By enabling open registration, you are SIGNIFICANTLY increasing the risk that your server will be used to \
             send spam or abuse, and may result in your server being banned from some rooms. If you are ABSOLUTELY \
             CERTAIN you want to do this, start Dendrite with the -really-enable-open-registration command line flag. \
             Otherwise, you should set the registration_disabled option in your Dendrite config."
                .to_owned(),
        );
    }
    let media = root.at("media_api");
    let own_database = |key: &str, told: &str, problems: &mut Vec<String>| {
        if global.at("database.connection_string").string().is_empty() {
            needed(told, root.at(key).at("connection_string").string(), problems);
        }
    };
    own_database("federation_api.database", "federation_api.database.connection_string", &mut problems);
    own_database("key_server.database", "key_server.database.connection_string", &mut problems);
    needed("media_api.base_path", media.at("base_path").string(), &mut problems);
    for (key, default) in [("max_file_size_bytes", 10_485_760), ("max_thumbnail_generators", 10)] {
        positive(&format!("media_api.{key}"), media.at(key).int(default), &mut problems);
    }
    for (at, size) in media.at("thumbnail_sizes").list().into_iter().enumerate() {
        for key in ["width", "height"] {
            positive(&format!("media_api.thumbnail_sizes[{at}].{key}"), size.at(key).int(0), &mut problems);
        }
    }
    own_database("media_api.database", "media_api.database.connection_string", &mut problems);
    own_database("room_server.database", "room_server.database.connection_string", &mut problems);
    let version = root.at("room_server.default_room_version");
    if !version.is_null() && !ROOM_VERSIONS.contains(&version.string().as_str()) {
        let version = version.string();
        problems.push(format!(
            "invalid value for config key 'room_server.default_room_version': unsupported room version: {version:?}"
        ));
    }
    let search = root.at("sync_api.search");
    if search.at("enabled").bool(false) {
        for key in ["index_path", "language"] {
            if !search.at(key).is_null() {
                needed(&format!("syncapi.search.{key}"), search.at(key).string(), &mut problems);
            }
        }
    }
    own_database("sync_api.database", "sync_api.database", &mut problems);
    positive(
        "user_api.openid_token_lifetime_ms",
        root.at("user_api.openid_token_lifetime_ms").int(3_600_000),
        &mut problems,
    );
    own_database("user_api.account_database", "user_api.account_database.connection_string", &mut problems);
    own_database("relay_api.database", "relay_api.database.connection_string", &mut problems);
    own_database("mscs.database", "mscs.database.connection_string", &mut problems);
    problems
}

/// DataUnit: a number with tb, gb, mb or kb, in any case.
fn data_unit(node: Node<'_>) -> i64 {
    if node.is_null() {
        return 1 << 30;
    }
    let text = node.string().to_lowercase();
    let units = [("tb", 1_i64 << 40), ("gb", 1 << 30), ("mb", 1 << 20), ("kb", 1 << 10)];
    let (number, factor) = units
        .iter()
        .find_map(|(unit, factor)| text.strip_suffix(unit).map(|number| (number, *factor)))
        .unwrap_or((&text, 1));
    match number.parse::<f64>() {
        Ok(number) => (number * factor as f64) as i64,
        Err(_) => {
            node.complain(node.value(), "config.DataUnit");
            0
        }
    }
}
