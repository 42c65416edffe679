//! What the documents say, and what exactly is wrong with one that says nothing.

use serde_json::{Map, Value};
use url::Url;

use crate::matrix::server_name::{NameError, ServerName};

/// Why a document does not count.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Nothing in it.
    Empty,
    /// A web page.
    Html,
    /// A byte order mark in front of it, which JSON may not have (RFC 8259 §8.1).
    ByteOrderMark,
    /// JSON but for a comma before a closing bracket.
    TrailingComma,
    /// No JSON; what the reader says.
    NotJson(String),
    /// JSON, but not an object.
    NotAnObject,
    /// A value is missing: its path.
    Missing(&'static str),
    /// A value is of the wrong type: its path.
    WrongType(&'static str),
    /// `m.server` is not a server name: the text, cut after 100 characters, and what is wrong with it.
    BadName(String, NameError),
    /// A URL that is none, or not of `https` or `http`: its path and the text, cut after 100 characters.
    BadUrl(&'static str, String),
}

/// `/.well-known/matrix/client` (client-server API, "Well-known URIs").
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Client {
    /// `m.homeserver.base_url`, as written.
    pub base_url: String,
    /// `m.identity_server.base_url`, as written.
    pub identity_server: Option<String>,
}

/// `/.well-known/matrix/support` (since v1.10).
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Support {
    /// Whom to write to.
    pub contacts: Vec<Contact>,
    /// Where to read.
    pub support_page: Option<String>,
}

/// Whom to write to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Contact {
    /// `m.role.admin`, `m.role.security` or another one.
    pub role: String,
    /// A Matrix user id.
    pub matrix_id: Option<String>,
    /// An e-mail address.
    pub email_address: Option<String>,
}

/// Contacts beyond these are left out.
const MOST_CONTACTS: usize = 32;

/// The name that `/.well-known/matrix/server` delegates to.
pub fn server(body: &[u8]) -> Result<ServerName, Fault> {
    let object = object(body)?;
    let name = text(&object, "m.server", "m.server")?.ok_or(Fault::Missing("m.server"))?;
    ServerName::parse(&name).map_err(|error| Fault::BadName(short(&name), error))
}

/// What `/.well-known/matrix/client` says.
pub fn client(body: &[u8]) -> Result<Client, Fault> {
    let object = object(body)?;
    let homeserver = base_url(&object, "m.homeserver", "m.homeserver.base_url")?;
    let identity_server = base_url(&object, "m.identity_server", "m.identity_server.base_url")?;
    Ok(Client { base_url: homeserver.ok_or(Fault::Missing("m.homeserver"))?, identity_server })
}

/// What `/.well-known/matrix/support` says.
pub fn support(body: &[u8]) -> Result<Support, Fault> {
    let object = object(body)?;
    let support_page = text(&object, "support_page", "support_page")?;
    let contacts = match object.get("contacts") {
        None => Vec::new(),
        Some(Value::Array(list)) => list.iter().take(MOST_CONTACTS).map(contact).collect::<Result<_, _>>()?,
        Some(_) => return Err(Fault::WrongType("contacts")),
    };
    if contacts.is_empty() && support_page.is_none() {
        return Err(Fault::Missing("contacts"));
    }
    Ok(Support { contacts, support_page })
}

fn contact(value: &Value) -> Result<Contact, Fault> {
    let object = value.as_object().ok_or(Fault::WrongType("contacts[]"))?;
    let matrix_id = text(object, "matrix_id", "contacts[].matrix_id")?;
    let email_address = text(object, "email_address", "contacts[].email_address")?;
    if matrix_id.is_none() && email_address.is_none() {
        return Err(Fault::Missing("contacts[].matrix_id"));
    }
    if matrix_id.as_ref().is_some_and(|id| !id.starts_with('@')) {
        return Err(Fault::WrongType("contacts[].matrix_id"));
    }
    let role = text(object, "role", "contacts[].role")?.ok_or(Fault::Missing("contacts[].role"))?;
    Ok(Contact { role, matrix_id, email_address })
}

/// The JSON object that a body is, or exactly why it is none.
pub(in crate::matrix) fn object(body: &[u8]) -> Result<Map<String, Value>, Fault> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Fault::NotAnObject),
        Err(error) => Err(match body.trim_ascii_start() {
            [] => Fault::Empty,
            [0xEF, 0xBB, 0xBF, ..] => Fault::ByteOrderMark,
            [b'<', ..] => Fault::Html,
            _ if serde_json::from_slice::<Value>(&without_trailing_commas(body)).is_ok() => Fault::TrailingComma,
            _ => Fault::NotJson(error.to_string()),
        }),
    }
}

fn text(object: &Map<String, Value>, key: &str, path: &'static str) -> Result<Option<String>, Fault> {
    match object.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Fault::WrongType(path)),
    }
}

fn base_url(object: &Map<String, Value>, key: &'static str, path: &'static str) -> Result<Option<String>, Fault> {
    let Some(inner) = object.get(key) else { return Ok(None) };
    let inner = inner.as_object().ok_or(Fault::WrongType(key))?;
    let url = text(inner, "base_url", path)?.ok_or(Fault::Missing(path))?;
    match Url::parse(&url) {
        Ok(parsed) if matches!(parsed.scheme(), "https" | "http") && parsed.has_host() => Ok(Some(url)),
        _ => Err(Fault::BadUrl(path, short(&url))),
    }
}

/// The same text without commas that stand before a closing bracket, outside strings.
fn without_trailing_commas(body: &[u8]) -> Vec<u8> {
    let (mut kept, mut comma, mut quoted, mut escaped) = (Vec::with_capacity(body.len()), None, false, false);
    for byte in body.iter().copied() {
        if quoted {
            quoted = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else if matches!(byte, b'}' | b']') {
            if let Some(at) = comma.take() {
                kept.truncate(at);
            }
        } else if !byte.is_ascii_whitespace() {
            quoted = byte == b'"';
            comma = (byte == b',').then_some(kept.len());
        }
        kept.push(byte);
    }
    kept
}

fn short(text: &str) -> String {
    text.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_delegation_is_read_whatever_stands_around_it() {
        assert_eq!(server(br#" {"x": 1, "m.server": "a.example:443"}"#).unwrap().as_str(), "a.example:443");
    }

    #[test]
    fn every_bad_document_has_its_reason() {
        let bodies: [(&str, &[u8]); 17] = [
            ("server", b" \n"),
            ("server", b"<!doctype html>"),
            ("server", b"\xEF\xBB\xBF{\"m.server\": \"a.example\"}"),
            ("server", br#"{"m.server": "a.example", }"#),
            ("server", br#"{"m.server": "a,}\",}.example" "x"}"#),
            ("server", br#"["m.server"]"#),
            ("server", br#"{"m.homeserver": {}}"#),
            ("server", br#"{"m.server": 443}"#),
            ("server", br#"{"m.server": "https://a.example/"}"#),
            ("server", br#"{"m.server": "a.example/"}"#),
            ("client", br#"{"m.server": "a.example"}"#),
            ("client", br#"{"m.homeserver": {"base_url": "a.example"}}"#),
            ("client", br#"{"m.homeserver": {"base_url": "https://a.example"}, "m.identity_server": {}}"#),
            ("support", b"{}"),
            ("support", br#"{"contacts": [{"role": "m.role.admin"}]}"#),
            ("support", br#"{"contacts": [{"email_address": "a@b.example"}]}"#),
            ("support", br#"{"contacts": [{"role": "m.role.admin", "matrix_id": "a@b.example"}]}"#),
        ];
        let table: Vec<String> = bodies
            .iter()
            .map(|(kind, body)| {
                let fault = match *kind {
                    "server" => server(body).unwrap_err(),
                    "client" => client(body).unwrap_err(),
                    _ => support(body).unwrap_err(),
                };
                format!("{kind} {} → {fault:?}", String::from_utf8_lossy(body).escape_debug())
            })
            .collect();
        insta::assert_snapshot!(table.join("\n"));
    }

    #[test]
    fn good_documents_are_read() {
        let read = client(br#"{"m.homeserver": {"base_url": "https://a.example/"}}"#).unwrap();
        assert_eq!((read.base_url.as_str(), read.identity_server), ("https://a.example/", None));
        let read = support(br#"{"contacts": [{"role": "m.role.admin", "matrix_id": "@a:b.example"}]}"#).unwrap();
        assert_eq!(read.contacts.len(), 1);
        assert_eq!(support(br#"{"support_page": "https://a.example"}"#).unwrap().contacts, []);
    }

    proptest! {
        #[test]
        fn any_body_is_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}\":,m.servr a-z0-9\\\\]{0,60}") {
            for body in [body.as_slice(), text.as_bytes()] {
                let _ = (server(body), client(body), support(body));
            }
        }

        #[test]
        fn a_damaged_document_is_read_or_refused(which in 0..3_usize, changes in prop::collection::vec((any::<usize>(), any::<u8>()), 1..4)) {
            let good = [
                r#"{"m.server": "matrix.example.org:443"}"#,
                r#"{"m.homeserver": {"base_url": "https://a.example"}, "m.identity_server": {"base_url": "https://b.example"}}"#,
                r#"{"contacts": [{"role": "m.role.admin", "matrix_id": "@a:b.example"}], "support_page": "https://a.example"}"#,
            ];
            let mut body = good[which].as_bytes().to_vec();
            for (place, value) in changes {
                let place = place % body.len();
                body[place] = value;
            }
            for name in server(&body).into_iter() {
                prop_assert!(name.as_str().len() <= body.len());
            }
            for client in client(&body).into_iter() {
                prop_assert!(Url::parse(&client.base_url).is_ok());
            }
            let _ = support(&body);
        }

        #[test]
        fn any_name_in_a_document_is_read_or_refused(name in "\\PC{0,30}") {
            let body = serde_json::json!({ "m.server": name }).to_string();
            prop_assert_eq!(server(body.as_bytes()).ok(), ServerName::parse(&name).ok());
        }
    }
}
