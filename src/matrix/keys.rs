//! A server's published keys, and whether they prove what they say (server-server API, "Publishing keys").

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::{Map, Value};

use super::canonical_json::{NotCanonical, signed_text};
use super::well_known::{Fault, object};

/// What `/_matrix/key/v2/server` says.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ServerKeys {
    /// The name the server gives itself; others compare it letter by letter with the one they look for.
    pub server_name: Option<String>,
    /// Until when the keys may be used, in milliseconds since 1970.
    pub valid_until_ts: Option<i64>,
    /// The keys in use; at most [`ServerKeys::MOST`].
    pub keys: Vec<Key>,
    /// Keys of the past, good for old events only; at most [`ServerKeys::MOST`].
    pub old_keys: Vec<OldKey>,
    /// The document has numbers that cannot be signed, so no signature can be right.
    pub not_canonical: Option<NotCanonical>,
}

/// A key in use.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Key {
    /// Its id, e.g. `ed25519:a1B2c3`.
    pub id: String,
    /// The public key as served.
    pub key: String,
    /// What is wrong with the key itself.
    pub fault: Option<KeyFault>,
    /// Whether it signed this document.
    pub signature: Signature,
}

/// A key of the past.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct OldKey {
    /// Its id.
    pub id: String,
    /// The public key as served.
    pub key: Option<String>,
    /// When it went out of use, in milliseconds since 1970.
    pub expired_ts: Option<i64>,
}

/// What is wrong with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyFault {
    /// The id is not `ed25519:` and letters, digits or `_`.
    Id,
    /// It is not base64.
    NotBase64,
    /// It has not 32 bytes but as many.
    Length(usize),
}

/// Whether a key signed the document that it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Signature {
    /// It did.
    Valid,
    /// There is no signature of this key under the server's name.
    Missing,
    /// There is one, and it is not right.
    Wrong,
}

impl ServerKeys {
    /// Keys beyond these are left out.
    pub const MOST: usize = 64;

    /// Reads and verifies a document.
    ///
    /// # Errors
    /// If it is not a JSON object, or has no `verify_keys`.
    pub fn read(body: &[u8]) -> Result<Self, Fault> {
        let document = object(body)?;
        let text = |key: &str| document.get(key).and_then(Value::as_str).map(str::to_owned);
        let server_name = text("server_name");
        let signed = signed_text(&document);
        let keys = document.get("verify_keys").ok_or(Fault::Missing("verify_keys"))?;
        let keys = keys.as_object().ok_or(Fault::WrongType("verify_keys"))?;
        let signatures = server_name.as_ref().and_then(|name| document.get("signatures")?.get(name)?.as_object());
        let message = signed.as_ref().map(String::as_bytes).ok();
        Ok(Self {
            keys: keys.iter().take(Self::MOST).map(|(id, key)| judge(id, key, signatures, message)).collect(),
            old_keys: document.get("old_verify_keys").and_then(Value::as_object).map(old).unwrap_or_default(),
            valid_until_ts: document.get("valid_until_ts").and_then(Value::as_i64),
            not_canonical: signed.err(),
            server_name,
        })
    }

    /// Whether others take the document for the server `name` at `now`, in milliseconds since 1970.
    pub fn are_good(&self, name: &str, now: i64) -> bool {
        self.server_name.as_deref() == Some(name)
            && self.valid_until_ts.is_some_and(|until| until > now)
            && !self.keys.is_empty()
            && self.keys.iter().all(|key| key.fault.is_none() && key.signature == Signature::Valid)
    }
}

fn judge(id: &str, key: &Value, signatures: Option<&Map<String, Value>>, message: Option<&[u8]>) -> Key {
    let text = key.get("key").and_then(Value::as_str).unwrap_or_default().to_owned();
    let bytes = decode(&text);
    let fault = match &bytes {
        _ if !is_id(id) => Some(KeyFault::Id),
        None => Some(KeyFault::NotBase64),
        Some(bytes) if bytes.len() != 32 => Some(KeyFault::Length(bytes.len())),
        Some(_) => None,
    };
    let signature = match signatures.and_then(|all| all.get(id)) {
        None => Signature::Missing,
        Some(signature) => {
            let verified = || {
                let signature = decode(signature.as_str()?)?;
                UnparsedPublicKey::new(&ED25519, bytes?).verify(message?, &signature).ok()
            };
            if verified().is_some() { Signature::Valid } else { Signature::Wrong }
        }
    };
    Key { id: id.to_owned(), key: text, fault, signature }
}

fn old(keys: &Map<String, Value>) -> Vec<OldKey> {
    let read = |(id, key): (&String, &Value)| OldKey {
        id: id.clone(),
        key: key.get("key").and_then(Value::as_str).map(str::to_owned),
        expired_ts: key.get("expired_ts").and_then(Value::as_i64),
    };
    keys.iter().take(ServerKeys::MOST).map(read).collect()
}

fn is_id(id: &str) -> bool {
    let version = id.strip_prefix("ed25519:").unwrap_or_default();
    !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Base64 with or without padding (appendix "Unpadded Base64").
fn decode(text: &str) -> Option<Vec<u8>> {
    const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(&STANDARD, CONFIG).decode(text).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::matrix::signing_key::SigningKey;

    /// A document of `example.org` signed by `keys`, changed by `change` before it is signed.
    fn document(keys: &[&SigningKey], change: impl Fn(&mut Value)) -> Value {
        let verify: Map<String, Value> =
            keys.iter().map(|key| (key.key_id(), json!({"key": key.public_key().unwrap()}))).collect();
        let mut document = json!({"server_name": "example.org", "valid_until_ts": 2000, "verify_keys": verify,
            "old_verify_keys": {"ed25519:old": {"key": "AAAA", "expired_ts": 5}}});
        change(&mut document);
        let text = signed_text(document.as_object().unwrap()).unwrap_or_default();
        let signatures: Map<String, Value> =
            keys.iter().map(|key| (key.key_id(), json!(key.sign(text.as_bytes()).unwrap()))).collect();
        document["signatures"] = json!({ "example.org": signatures });
        document
    }

    fn read(document: &Value) -> ServerKeys {
        ServerKeys::read(document.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn every_key_has_to_have_signed() {
        let (a, b) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let good = document(&[&a, &b], |_| {});
        assert!(read(&good).are_good("example.org", 1999));
        assert!(!read(&good).are_good("example.org", 2000));
        assert!(!read(&good).are_good("Example.org", 1999));
        assert_eq!(read(&good).old_keys[0].expired_ts, Some(5));

        let mut one = good.clone();
        one["signatures"]["example.org"].as_object_mut().unwrap().remove(&b.key_id());
        let seen = read(&one);
        assert!(!seen.are_good("example.org", 0));
        let signatures: Vec<_> = seen.keys.iter().map(|key| key.signature).collect();
        assert_eq!(signatures, [Signature::Valid, Signature::Missing]);

        let mut swapped = good.clone();
        swapped["signatures"]["example.org"][a.key_id()] = good["signatures"]["example.org"][b.key_id()].clone();
        assert_eq!(read(&swapped).keys[0].signature, Signature::Wrong);
        assert_eq!(read(&swapped).keys[1].signature, Signature::Valid);
    }

    #[test]
    fn a_changed_document_is_not_signed_and_unsigned_parts_may_change() {
        let key = SigningKey::generate().unwrap();
        let mut changed = document(&[&key], |_| {});
        changed["unsigned"] = json!({"age": 1.5});
        assert!(read(&changed).are_good("example.org", 0));
        changed["valid_until_ts"] = json!(3000);
        assert_eq!(read(&changed).keys[0].signature, Signature::Wrong);
        let float = read(&document(&[&key], |document| document["x"] = json!(1.5)));
        assert_eq!(float.not_canonical, Some(NotCanonical("1.5".into())));
        assert_eq!(float.keys[0].signature, Signature::Wrong);
    }

    #[test]
    fn bad_keys_have_their_reason() {
        let key = SigningKey::generate().unwrap();
        let fault = |id: &str, value: Value| {
            let bad = document(&[&key], |document| document["verify_keys"] = json!({ id: value }));
            read(&bad).keys[0].fault
        };
        assert_eq!(fault("ed25519:a-b", json!({"key": key.public_key().unwrap()})), Some(KeyFault::Id));
        assert_eq!(fault("rsa:a", json!({"key": key.public_key().unwrap()})), Some(KeyFault::Id));
        assert_eq!(fault("ed25519:a", json!({"key": "!"})), Some(KeyFault::NotBase64));
        assert_eq!(fault("ed25519:a", json!({"key": "AAAA"})), Some(KeyFault::Length(3)));
        assert_eq!(fault("ed25519:a", json!(5)), Some(KeyFault::Length(0)));
        assert_eq!(fault("ed25519:a", json!({"key": format!("{}=", key.public_key().unwrap())})), None);
        assert_eq!(ServerKeys::read(b"{}"), Err(Fault::Missing("verify_keys")));
        assert_eq!(ServerKeys::read(b"<html>"), Err(Fault::Html));
        assert!(
            !read(&json!({"server_name": "example.org", "valid_until_ts": 9, "verify_keys": {}}))
                .are_good("example.org", 0)
        );
    }

    proptest! {
        #[test]
        fn any_body_is_read_or_refused(id in "\\PC{0,20}", key in "\\PC{0,50}", signature in "[A-Za-z0-9+/=]{0,90}", name in "\\PC{0,9}") {
            let body = json!({"server_name": name, "verify_keys": {id.clone(): {"key": key}}, "signatures": {name: {id: signature}}});
            let read = ServerKeys::read(body.to_string().as_bytes()).unwrap();
            prop_assert!(read.keys.iter().all(|key| key.signature != Signature::Valid));
        }

        /// A good document with some bytes replaced: whoever still believes it, believes what was signed.
        #[test]
        fn a_damaged_document_is_read_or_refused(changes in prop::collection::vec((any::<usize>(), any::<u8>()), 1..4)) {
            static REAL: std::sync::OnceLock<(SigningKey, Value)> = std::sync::OnceLock::new();
            let (_, good) = REAL.get_or_init(|| {
                let key = SigningKey::generate().unwrap();
                let document = document(&[&key], |_| {});
                (key, document)
            });
            let mut bytes = good.to_string().into_bytes();
            for (place, value) in changes {
                let place = place % bytes.len();
                bytes[place] = value;
            }
            let Ok(read) = ServerKeys::read(&bytes) else { return Ok(()) };
            if read.keys.iter().any(|key| key.signature == Signature::Valid) {
                let mut changed: Value = serde_json::from_slice(&bytes).unwrap();
                changed["signatures"] = good["signatures"].clone();
                prop_assert_eq!(&changed, good);
            }
        }
    }
}
