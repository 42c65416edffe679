//! Whether Rocket.Chat can be reached from outside as its clients reach it: over HTTP, and over a WebSocket.
//!
//! A proxy without the upgrade headers serves every page and loads for ever. So the socket is really opened, and Meteor's
//! first words are exchanged.

pub mod find;

use std::net::{IpAddr, SocketAddr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join3;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::Value;
use tokio::time::Instant;

pub use find::Found;

use crate::host::net::exchange::{Request, Stage, Trouble, Wire, beginning};
use crate::host::tls::TlsFacts;
use crate::matrix::Eyes;

/// What was seen of a Rocket.Chat at one address.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ChatSeen {
    /// The address.
    pub address: IpAddr,
    /// `/api/info`, with the version it tells.
    pub info: Result<Page, Trouble>,
    /// `/sockjs/info`, with whether it offers WebSockets.
    pub sockjs: Result<Page, Trouble>,
    /// `/websocket`.
    pub websocket: Result<Socket, Trouble>,
    /// What TLS showed, on the first connection.
    pub tls: Option<TlsFacts>,
}

/// A JSON page.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Page {
    /// Status code.
    pub status: u16,
    /// The value looked for, as text; none if it is not there.
    pub value: Option<String>,
    /// The first 60 bytes.
    pub beginning: String,
}

/// How far a WebSocket came.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Socket {
    /// Meteor greeted back.
    Connected,
    /// The upgrade was answered with another status than 101; with the first bytes of the reason.
    NotUpgraded(u16, String),
    /// 101, but the proof of the handshake (`Sec-WebSocket-Accept`) is wrong: something in between answered.
    WrongProof,
    /// The socket is open, and what came is no greeting of Meteor's; the first bytes.
    Stranger(String),
    /// The socket was opened and then closed.
    Closed,
    /// The socket is open, and nobody says anything.
    Silent,
}

/// Frames that may come before the greeting, and the longest of them in bytes.
const MOST_FRAMES: usize = 8;
const LONGEST_FRAME: usize = 64 * 1024;
/// A signed list of supported versions comes along, which grows with every release.
const LONGEST_PAGE: usize = 256 * 1024;
const INFO: &str = "/api/info";
/// RFC 6455 §1.3
const PROOF: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Looks at the Rocket.Chat of `host` at `address`, port 443; over at `until`.
pub async fn look(host: &str, address: IpAddr, eyes: &Eyes, until: Instant) -> ChatSeen {
    let peer = SocketAddr::new(address, 443);
    let info = page(host, peer, INFO, "version", eyes, until);
    let sockjs = page(host, peer, "/sockjs/info", "websocket", eyes, until);
    let (info, sockjs, websocket) = join3(info, sockjs, websocket(host, peer, eyes, until)).await;
    let (info, tls) = info.map_or_else(|trouble| (Err(trouble), None), |(page, tls)| (Ok(page), tls));
    ChatSeen { address, info, sockjs: sockjs.map(|(page, _)| page), websocket, tls }
}

async fn page(
    host: &str,
    peer: SocketAddr,
    path: &str,
    key: &str,
    eyes: &Eyes,
    until: Instant,
) -> Result<(Page, Option<TlsFacts>), Trouble> {
    let mut wire = eyes.open(peer, Some(host), until).await?;
    let tls = eyes.judge(&wire, host, &[]);
    let answer =
        wire.exchange(&Request { method: "GET", target: path, host, headers: &[], body: LONGEST_PAGE }).await?;
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let value = body.get(key).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    let value = value.map(|value| value.chars().take(60).collect());
    Ok((Page { status: answer.head.status, value, beginning: beginning(&answer.body) }, tls))
}

async fn websocket(host: &str, peer: SocketAddr, eyes: &Eyes, until: Instant) -> Result<Socket, Trouble> {
    let mut wire = eyes.open(peer, Some(host), until).await?;
    let mut random = [0; 16];
    SystemRandom::new().fill(&mut random).map_err(|_| Trouble::Other("there is no randomness".into()))?;
    let key = STANDARD.encode(random);
    let origin = format!("https://{host}");
    let headers = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", key.as_str()),
        ("Origin", origin.as_str()),
    ];
    let request = Request { method: "GET", target: "/websocket", host, headers: &headers, body: 0 };
    let (_, head) = wire.ask(&request).await?;
    if head.status != 101 {
        return Ok(Socket::NotUpgraded(head.status, beginning(head.reason.as_bytes())));
    }
    if head.header("sec-websocket-accept").map(str::trim) != Some(&proof(&key)) {
        return Ok(Socket::WrongProof);
    }
    greet(&mut wire).await
}

/// RFC 6455 §4.2.2, point 5.4
fn proof(key: &str) -> String {
    let text = format!("{key}{PROOF}");
    STANDARD.encode(ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()))
}

/// Meteor's DDP: we say `connect`, it says `connected` (or `failed`, with the version it would like), after anything else.
async fn greet(wire: &mut Wire) -> Result<Socket, Trouble> {
    wire.write(&text_frame(br#"{"msg":"connect","version":"1","support":["1"]}"#)).await?;
    let mut last = String::new();
    for _ in 0..MOST_FRAMES {
        let (opcode, payload) = match frame(wire).await {
            Err(Trouble::Closed(Stage::Body) | Trouble::Reset(_)) => return Ok(Socket::Closed),
            Err(Trouble::Timeout(_)) => return Ok(Socket::Silent),
            frame => frame?,
        };
        match opcode {
            0x8 => return Ok(Socket::Closed),
            0x9 | 0xA => continue,
            _ => {}
        }
        let message: Value = serde_json::from_slice(&payload).unwrap_or_default();
        if message.get("msg").and_then(Value::as_str) == Some("connected") {
            return Ok(Socket::Connected);
        }
        last = beginning(&payload);
        if message.get("server_id").is_none() {
            break;
        }
    }
    Ok(Socket::Stranger(last))
}

/// A whole text message of a client. The mask may be anything, and hides nothing here (RFC 6455 §5.3).
fn text_frame(text: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x5A, 0x13, 0xC7, 0x2E];
    let length = u8::try_from(text.len()).unwrap_or(0) & 0x7F;
    let mut frame = vec![0x81, 0x80 | length];
    frame.extend(MASK);
    frame.extend(text.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

const ODD_FRAME: &str = "a WebSocket frame is too long or masked";

/// One frame of a server: its opcode and payload (RFC 6455 §5.2).
async fn frame(wire: &mut Wire) -> Result<(u8, Vec<u8>), Trouble> {
    let mut number = async |bytes: usize| -> Result<u64, Trouble> {
        Ok(wire.read(bytes).await?.into_iter().fold(0, |number, byte| number << 8 | u64::from(byte)))
    };
    let start = number(2).await?;
    let opcode = u8::try_from(start >> 8 & 0xF).unwrap_or(0);
    let length = match start & 0xFF {
        126 => number(2).await?,
        127 => number(8).await?,
        short => short,
    };
    // A server never masks; the mask bit makes the length as large as no frame may be.
    match usize::try_from(length) {
        Ok(length) if length <= LONGEST_FRAME && start & 0x80 == 0 => Ok((opcode, wire.read(length).await?)),
        _ => Err(Trouble::Other(ODD_FRAME.into())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The example of RFC 6455 §1.3.
    #[test]
    fn the_proof_is_that_of_the_standard() {
        assert_eq!(proof("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn sentences() {
        insta::assert_snapshot!(Trouble::Other(ODD_FRAME.into()).to_string());
    }

    proptest! {
        #[test]
        fn any_frames_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300), start in 0usize..4) {
            let starts: [&[u8]; 4] = [b"", b"\x81\x02", b"\x81\x7e\x00", b"\x81\x7f\x00\x00\x00\x00"];
            let bytes = [starts[start], &bytes].concat();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let came = runtime.block_on(async { greet(&mut Wire::of_bytes(bytes)).await });
            prop_assert_ne!(came, Ok(Socket::Connected));
        }
    }
}
