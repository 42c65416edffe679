//! One JSON line for each event, as mongod writes them since 4.4; attributes never hold a secret.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

pub(super) fn info(component: &str, id: u32, message: &str, attributes: Value) {
    line("I", component, id, message, &attributes);
}

pub(super) fn warning(component: &str, id: u32, message: &str, attributes: Value) {
    line("W", component, id, message, &attributes);
}

pub(super) fn error(component: &str, id: u32, message: &str, attributes: Value) {
    line("E", component, id, message, &attributes);
}

fn line(severity: &str, component: &str, id: u32, message: &str, attributes: &Value) {
    let mut line = json!({
        "t": { "$date": now() }, "s": severity, "c": component, "id": id, "ctx": "standin", "msg": message,
    });
    if attributes.as_object().is_some_and(|attributes| !attributes.is_empty()) {
        line["attr"] = attributes.clone();
    }
    // Nobody reading the log is no reason to stop.
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let millis = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    bson::DateTime::from_millis(millis).try_to_rfc3339_string().unwrap_or_default()
}
