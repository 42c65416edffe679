//! Requests signed with our own key (server-server API, "Request authentication").

use serde_json::{Map, Value};

use super::canonical_json::{NotCanonical, signed_text};
use super::signing_key::{BadKey, SigningKey};

/// A request between servers. Both are named by their server names, never by what these are delegated to.
#[derive(Clone, Copy, Debug)]
pub struct Signable<'a> {
    /// `GET` and the like.
    pub method: &'a str,
    /// Path and query, exactly as sent.
    pub uri: &'a str,
    /// Who asks.
    pub origin: &'a str,
    /// Who is asked.
    pub destination: &'a str,
    /// The body, if there is one.
    pub content: Option<&'a Value>,
}

/// Why a request cannot be signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsignable {
    /// Its body has no canonical form.
    #[error(transparent)]
    Content(#[from] NotCanonical),
    /// The key is damaged.
    #[error(transparent)]
    Key(#[from] BadKey),
}

/// The value of the `Authorization` header.
pub fn authorization(key: &SigningKey, request: &Signable<'_>) -> Result<String, Unsignable> {
    let Signable { method, uri, origin, destination, content } = *request;
    let entries = [("method", method), ("uri", uri), ("origin", origin), ("destination", destination)];
    let mut object: Map<String, Value> = entries.into_iter().map(|(k, v)| (k.to_owned(), v.into())).collect();
    if let Some(content) = content {
        object.insert("content".into(), content.clone());
    }
    let signature = sign(key, &object)?;
    let id = key.key_id();
    Ok(format!("X-Matrix origin=\"{origin}\",destination=\"{destination}\",key=\"{id}\",sig=\"{signature}\""))
}

/// The signature of an object, as unpadded base64 (appendix "Signing JSON").
pub fn sign(key: &SigningKey, object: &Map<String, Value>) -> Result<String, Unsignable> {
    Ok(key.sign(signed_text(object)?.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::secrets::Secret;

    /// The key of the specification's appendix "Cryptographic Test Vectors"; its last character there is `1`, which has
    /// bits that no byte needs.
    fn key() -> SigningKey {
        let seed = "YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA0=";
        SigningKey::from_secrets(Secret::new(seed), Secret::new("1")).unwrap()
    }

    #[test]
    fn signatures_are_those_of_the_specification() {
        let sign = |value: Value| sign(&key(), value.as_object().unwrap()).unwrap();
        assert_eq!(
            sign(json!({})),
            "K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ"
        );
        assert_eq!(
            sign(json!({"two": "Two", "one": 1})),
            "KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw"
        );
    }

    #[test]
    fn the_header_covers_every_part_of_the_request() {
        let body = json!({"a": 1});
        let whole = Signable {
            method: "PUT",
            uri: "/a%2Fb?c",
            origin: "a.example",
            destination: "b.example",
            content: Some(&body),
        };
        let header = authorization(&key(), &whole).unwrap();
        let text =
            r#"{"content":{"a":1},"destination":"b.example","method":"PUT","origin":"a.example","uri":"/a%2Fb?c"}"#;
        let signature = key().sign(text.as_bytes()).unwrap();
        assert_eq!(
            header,
            format!("X-Matrix origin=\"a.example\",destination=\"b.example\",key=\"ed25519:1\",sig=\"{signature}\"")
        );
        let float = json!({"a": 1.5});
        assert!(authorization(&key(), &Signable { content: Some(&float), ..whole }).is_err());
    }
}
