//! An invite as another server sends it, and the reasons for which the bridge could not serve it.
//!
//! Server-server API, "Inviting to a room": version 1 has the event as its body and is only for room versions 1 and 2;
//! version 2 has event, room version and stripped state beside each other. From room version 3 on the event does not hold
//! its own id, so the path's is taken; Dendrite refuses an invite whose path does not fit its event
//! (federationapi/routing/invite.go).

use std::borrow::Cow;

use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::compat::BRIDGE_ROOM_VERSIONS;
use crate::matrix::refusal;

/// Where an invite is sent to.
#[derive(Debug, PartialEq, Eq)]
pub struct Target {
    /// Whether the path is that of version 1.
    pub first: bool,
    /// The room, decoded.
    pub room: String,
    /// The event's id, decoded.
    pub event_id: String,
}

impl Target {
    /// Reads a path; `None` if it is not an invite's.
    pub fn parse(path: &str) -> Option<Self> {
        let rest = path.strip_prefix("/_matrix/federation/")?;
        let (version, rest) = rest.split_once("/invite/")?;
        let (room, event_id) = rest.split_once('/')?;
        let first = match version {
            "v1" => true,
            "v2" => false,
            _ => return None,
        };
        let id = |text: &str, sigil| {
            let text = decode(text).filter(|text| text.len() <= LONGEST_ID && !text.contains(char::is_control))?;
            text.starts_with(sigil).then_some(text)
        };
        if event_id.contains('/') {
            return None;
        }
        Some(Self { first, room: id(room, '!')?, event_id: id(event_id, '$')? })
    }
}

fn decode(text: &str) -> Option<String> {
    let (bytes, mut out, mut at) = (text.as_bytes(), Vec::new(), 0);
    while let Some(byte) = bytes.get(at) {
        if *byte == b'%' {
            let digits = text.get(at + 1..at + 3).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
            out.push(u8::from_str_radix(digits, 16).ok()?);
            at += 3;
        } else {
            out.push(*byte);
            at += 1;
        }
    }
    String::from_utf8(out).ok()
}

/// The server that signed a request: `origin` of its `X-Matrix` headers, of which all must name the same.
///
/// Not proven here; Dendrite checks the signature. To refuse on its word is safe, to accept on it would not be.
pub fn origin(headers: &HeaderMap) -> Option<String> {
    let mut origin: Option<String> = None;
    for value in headers.get_all(AUTHORIZATION) {
        let Some(parameters) = value.to_str().ok().and_then(|text| text.split_once(' ')) else { continue };
        if !parameters.0.eq_ignore_ascii_case("X-Matrix") {
            continue;
        }
        let pairs = parameters.1.split(',').filter_map(|pair| pair.split_once('='));
        let mut named = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("origin")).peekable();
        named.peek()?;
        for (_, name) in named {
            let name = name.trim().trim_matches('"').to_ascii_lowercase();
            if name.is_empty() || origin.as_ref().is_some_and(|other| *other != name) {
                return None;
            }
            origin = Some(name);
        }
    }
    origin
}

/// An invite, as far as it is read.
#[derive(Debug)]
pub struct Invite<'a> {
    event: Event<'a>,
    room_version: Cow<'a, str>,
    state: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
struct Second<'a> {
    #[serde(borrow)]
    room_version: Cow<'a, str>,
    #[serde(borrow)]
    event: Event<'a>,
    #[serde(borrow, default)]
    invite_room_state: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    content: &'a RawValue,
    #[serde(default)]
    origin_server_ts: Option<u64>,
    #[serde(borrow)]
    room_id: Cow<'a, str>,
    #[serde(borrow)]
    sender: Cow<'a, str>,
    #[serde(borrow)]
    state_key: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    unsigned: Option<Unsigned<'a>>,
}

#[derive(Debug, Deserialize)]
struct Unsigned<'a> {
    #[serde(borrow, default)]
    invite_room_state: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    membership: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Typed<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
}

impl<'a> Invite<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// With the specification's code and words for the sender.
    pub fn parse(target: &Target, body: &'a [u8]) -> Result<Self, (&'static str, String)> {
        let bad = |error: serde_json::Error| match error.classify() {
            serde_json::error::Category::Data => ("M_BAD_JSON", format!("This is no invite: {error}")),
            _ => ("M_NOT_JSON", format!("The body is not JSON: {error}")),
        };
        let invite = if target.first {
            let event: Event<'a> = serde_json::from_slice(body).map_err(bad)?;
            // In version 1 the state has no other place.
            let state = event.unsigned.as_ref().and_then(|unsigned| unsigned.invite_room_state);
            Self { event, room_version: "1".into(), state }
        } else {
            let Second { room_version, event, invite_room_state: state } = serde_json::from_slice(body).map_err(bad)?;
            Self { event, room_version, state }
        };
        let event = &invite.event;
        let membership = serde_json::from_str::<Content<'_>>(event.content.get()).map(|content| content.membership);
        if event.kind != "m.room.member" || !membership.is_ok_and(|membership| membership == "invite") {
            return Err(("M_BAD_JSON", "The event is no invite".into()));
        }
        if event.room_id != target.room {
            return Err(("M_BAD_JSON", "The event belongs to another room than the path".into()));
        }
        Ok(invite)
    }

    /// Why the bridge could not serve this invite, in words for the person who sends it.
    ///
    /// The bridge takes a room's origin from its id and its creator from `content.creator`; room version 11 has no such
    /// creator and 12 no domain in the id. It has no keys for encrypted rooms.
    pub fn refusal(&self, origin: &str, federate_with: &[String]) -> Option<String> {
        let sender = self.event.sender.split_once(':').map_or("", |(_, server)| server);
        let allowed = |server: &str| federate_with.iter().any(|name| name.eq_ignore_ascii_case(server));
        if !federate_with.is_empty()
            && let Some(stranger) = [origin, sender].into_iter().find(|server| !allowed(server))
        {
            return Some(format!("This server takes no invites from {}", shown(stranger, LONGEST_ID)));
        }
        if !BRIDGE_ROOM_VERSIONS.contains(&&*self.room_version) {
            return Some(refusal::version(&shown(&self.room_version, 32)));
        }
        if self.is_encrypted() {
            return Some(refusal::ENCRYPTED.into());
        }
        None
    }

    fn is_encrypted(&self) -> bool {
        let Some(state) = self.state else { return false };
        let events: Vec<&RawValue> = serde_json::from_str(state.get()).unwrap_or_default();
        let mut kinds = events.iter().filter_map(|event| serde_json::from_str::<Typed<'_>>(event.get()).ok());
        kinds.any(|event| event.kind == "m.room.encryption")
    }

    /// The event as an application service gets it: the form of the client-server API, with the room's stripped state.
    pub fn for_bridge(&self, event_id: &str) -> String {
        #[derive(Serialize)]
        struct Out<'a> {
            #[serde(rename = "type")]
            kind: &'a str,
            event_id: &'a str,
            room_id: &'a str,
            sender: &'a str,
            state_key: &'a str,
            origin_server_ts: u64,
            content: &'a RawValue,
            unsigned: OutUnsigned<'a>,
        }
        #[derive(Serialize)]
        struct OutUnsigned<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            invite_room_state: Option<&'a RawValue>,
        }
        let event = &self.event;
        let out = Out {
            kind: &event.kind,
            event_id,
            room_id: &event.room_id,
            sender: &event.sender,
            state_key: &event.state_key,
            origin_server_ts: event.origin_server_ts.unwrap_or_default(),
            content: event.content,
            unsigned: OutUnsigned { invite_room_state: self.state },
        };
        // Strings, numbers and JSON cannot fail to become JSON.
        serde_json::to_string(&out).unwrap_or_default()
    }
}

/// A word from outside, short and without anything that could disturb who reads it.
fn shown(text: &str, longest: usize) -> String {
    text.chars().filter(char::is_ascii_graphic).take(longest).collect()
}

/// Bytes of an identifier (specification, "Common Identifier Format").
const LONGEST_ID: usize = 255;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::matrix::signing_key::SigningKey;
    use crate::matrix::x_matrix::{Signable, authorization};

    const PATH: &str = "/_matrix/federation/v2/invite/%21room%3Aa.example/%24event";
    const BODY: &str = r#"{"room_version": "10", "event": {"type": "m.room.member", "room_id": "!room:a.example",
        "sender": "@a:a.example", "state_key": "@b:b.example", "content": {"membership": "invite"}, "origin_server_ts": 1},
        "invite_room_state": [{"type": "m.room.encryption"}]}"#;

    fn headers(values: &[&[u8]]) -> HeaderMap {
        let values = values.iter().filter_map(|value| hyper::header::HeaderValue::from_bytes(value).ok());
        values.map(|value| (AUTHORIZATION, value)).collect()
    }

    /// Some bytes of a good text replaced, left out or put in.
    fn damaged(text: &'static str) -> impl Strategy<Value = Vec<u8>> {
        let change = (0..text.len(), any::<u8>(), 0..3_u8);
        prop::collection::vec(change, 0..4).prop_map(move |changes| {
            let mut bytes = text.as_bytes().to_vec();
            for (at, byte, how) in changes {
                let at = at.min(bytes.len().saturating_sub(1));
                match how {
                    0 => bytes[at] = byte,
                    1 => drop(bytes.remove(at)),
                    _ => bytes.insert(at, byte),
                }
            }
            bytes
        })
    }

    proptest! {
        #[test]
        fn any_path_is_read_or_refused(path in damaged(PATH), any in "\\PC{0,60}") {
            for path in [String::from_utf8_lossy(&path).into_owned(), any] {
                if let Some(target) = Target::parse(&path) {
                    prop_assert!(target.room.starts_with('!') && target.event_id.starts_with('$'));
                    prop_assert!(target.room.len() <= LONGEST_ID && target.event_id.len() <= LONGEST_ID);
                }
            }
        }

        #[test]
        fn any_header_is_read_or_refused(one in "X-Matrix \\PC{0,60}", other in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Some(origin) = origin(&headers(&[one.as_bytes(), &other])) {
                prop_assert!(!origin.is_empty() && origin.len() <= 120);
            }
        }

        #[test]
        fn a_header_of_our_own_names_us(name in "[a-z0-9-]{1,20}\\.example(:[1-9][0-9]{1,3})?") {
            let key = SigningKey::generate().unwrap();
            let request = Signable { method: "GET", uri: "/", origin: &name, destination: "b.example", content: None };
            let header = authorization(&key, &request).unwrap();
            prop_assert_eq!(origin(&headers(&[header.as_bytes()])), Some(name));
        }

        #[test]
        fn any_body_is_read_or_refused(body in damaged(BODY), first in any::<bool>()) {
            let target = Target { first, room: "!room:a.example".into(), event_id: "$event".into() };
            if let Ok(invite) = Invite::parse(&target, &body) {
                let _ = invite.refusal("a.example", &[]);
                let event: serde_json::Value = serde_json::from_str(&invite.for_bridge("$event")).unwrap();
                prop_assert_eq!(&event["room_id"], "!room:a.example");
            }
        }
    }
}
