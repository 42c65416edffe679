//! Signing and naming of Matrix JSON, as in the specification's appendix "Signing JSON" and the server-server API.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ring::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// Base64 as the specification wants it read: "decoders SHOULD accept padding".
pub const UNPADDED: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_encode_padding(false).with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Room versions gomatrixserverlib knows and calls stable.
pub const ROOM_VERSIONS: [&str; 12] = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"];

/// Canonical JSON: keys in order, no blanks, no floats.
///
/// # Errors
/// If a number is not an integer of at most 53 bits.
pub fn canonical(value: &Value) -> Result<String, String> {
    Ok(match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort(); // UTF-8 order is code point order
            let parts: Result<Vec<String>, String> = keys
                .iter()
                .map(|key| Ok(format!("{}:{}", Value::from(key.as_str()), canonical(&map[*key])?)))
                .collect();
            format!("{{{}}}", parts?.join(","))
        }
        Value::Array(list) => format!("[{}]", list.iter().map(canonical).collect::<Result<Vec<_>, _>>()?.join(",")),
        Value::Number(number) => match number.as_i64() {
            Some(whole) if whole.unsigned_abs() < 1 << 53 => whole.to_string(),
            _ => return Err(format!("{number} is not an integer of 53 bits")),
        },
        other => other.to_string(),
    })
}

/// The bytes a signature covers: everything but `signatures` and `unsigned`.
fn signed_bytes(object: &Value) -> Result<String, String> {
    let mut object = object.clone();
    if let Some(map) = object.as_object_mut() {
        map.remove("signatures");
        map.remove("unsigned");
    }
    canonical(&object)
}

/// A server's key.
pub struct SigningKey {
    pub id: String,
    pub pair: Ed25519KeyPair,
}

impl SigningKey {
    /// Signs the bytes of `object`, which may be the redacted form of what the signature is for.
    ///
    /// # Errors
    /// If it has no canonical form.
    pub fn sign(&self, object: &Value) -> Result<String, String> {
        Ok(STANDARD_NO_PAD.encode(self.pair.sign(signed_bytes(object)?.as_bytes())))
    }

    /// Adds the signature of `object` (or of its redacted form) under `server`.
    ///
    /// # Errors
    /// If it has no canonical form.
    pub fn add_signature(&self, object: &mut Value, form: &Value, server: &str) -> Result<(), String> {
        object["signatures"][server][&self.id] = Value::from(self.sign(form)?);
        Ok(())
    }

    /// The public half in unpadded base64.
    #[must_use]
    pub fn public(&self) -> String {
        use ring::signature::KeyPair as _;
        STANDARD_NO_PAD.encode(self.pair.public_key())
    }
}

/// Whether `signature` (base64) by `public` (base64) covers `object`.
///
/// # Errors
/// With the reason why not.
pub fn verify(object: &Value, signature: &str, public: &str) -> Result<(), String> {
    let read = |text: &str| UNPADDED.decode(text).map_err(|why| why.to_string());
    UnparsedPublicKey::new(&ED25519, read(public)?)
        .verify(signed_bytes(object)?.as_bytes(), &read(signature)?)
        .map_err(|_| "the signature does not fit".to_owned())
}

/// An event's content hash (server-server API, "Calculating the content hash for an event").
///
/// # Errors
/// If it has no canonical form.
pub fn content_hash(event: &Value) -> Result<String, String> {
    let mut event = event.clone();
    if let Some(map) = event.as_object_mut() {
        map.remove("hashes");
    }
    Ok(STANDARD_NO_PAD.encode(Sha256::digest(signed_bytes(&event)?)))
}

/// What is left of an event after redaction (specification, "Redactions" of each room version), as far as versions 6 to 10
/// and membership events of the others go.
#[must_use]
pub fn redact(event: &Value, room_version: &str) -> Value {
    let number = room_version.parse().unwrap_or(10);
    let mut keep = vec![
        "event_id",
        "type",
        "room_id",
        "sender",
        "state_key",
        "content",
        "hashes",
        "signatures",
        "depth",
        "prev_events",
        "auth_events",
        "origin_server_ts",
    ];
    if number < 11 {
        keep.extend(["prev_state", "origin", "membership"]);
    }
    let content: &[&str] = match (event["type"].as_str(), number) {
        (Some("m.room.member"), ..9) => &["membership"],
        (Some("m.room.member"), _) => &["membership", "join_authorised_via_users_server"],
        (Some("m.room.create"), ..11) => &["creator"],
        (Some("m.room.join_rules"), 8..) => &["join_rule", "allow"],
        (Some("m.room.join_rules"), _) => &["join_rule"],
        (Some("m.room.history_visibility"), _) => &["history_visibility"],
        (Some("m.room.power_levels"), _) => {
            &["ban", "events", "events_default", "kick", "redact", "state_default", "users", "users_default"]
        }
        _ => &[],
    };
    let pick = |from: &Value, keys: &[&str]| -> Map<String, Value> {
        let entries = from.as_object().into_iter().flatten();
        entries
            .filter(|(key, _)| keys.contains(&key.as_str()))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    };
    let mut left = pick(event, &keep);
    left.insert("content".to_owned(), Value::Object(pick(&event["content"], content)));
    Value::Object(left)
}

/// An event's id: written in it up to room version 2, its reference hash since (room versions 3 and 4).
///
/// # Errors
/// If there is none, or no canonical form to hash.
pub fn event_id(event: &Value, room_version: &str) -> Result<String, String> {
    let number: u8 = room_version.parse().unwrap_or(10);
    if number < 3 {
        return event["event_id"].as_str().map(str::to_owned).ok_or_else(|| "the event has no id".to_owned());
    }
    let mut redacted = redact(event, room_version);
    if let Some(map) = redacted.as_object_mut() {
        map.remove("event_id");
    }
    let hash = Sha256::digest(signed_bytes(&redacted)?);
    Ok(format!("${}", if number == 3 { STANDARD_NO_PAD.encode(hash) } else { URL_SAFE_NO_PAD.encode(hash) }))
}

/// The server part of a user id.
#[must_use]
pub fn domain_of(id: &str) -> Option<&str> {
    id.strip_prefix('@')?.split_once(':').map(|(_, domain)| domain)
}
