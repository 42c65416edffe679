//! What resolvers say that the whole world asks.
//!
//! This machine's resolver may know more than others, or something else: a network often has a zone of its own for its own
//! names, and a resolver that checks no signatures finds what others refuse.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::{join, join_all};
use hickory_resolver::proto::rr::{Name, RecordType};

use super::message::{Fault, Question, exchange};
use super::zone::{Own, exists};

/// Resolvers that everybody may ask: Cloudflare's, Google's, Quad9's.
pub const PUBLIC_RESOLVERS: [SocketAddr; 3] = [at([1, 1, 1, 1]), at([8, 8, 8, 8]), at([9, 9, 9, 9])];

/// What one of them says of a host.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Heard {
    /// Which one.
    pub server: SocketAddr,
    /// What it says.
    pub said: Result<Own, Fault>,
}

/// The most that each may take: many networks let nobody ask them.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks all of `servers` at the same time.
pub async fn heard(servers: &[SocketAddr], host: &str) -> Vec<Heard> {
    let Ok(name) = Name::from_ascii(format!("{host}.")) else { return Vec::new() };
    join_all(servers.iter().map(|server| async { Heard { server: *server, said: said(*server, &name).await } })).await
}

async fn said(server: SocketAddr, host: &Name) -> Result<Own, Fault> {
    let asked = |kind| async move {
        let question = Question { name: host.clone(), kind, recursive: true, unchecked: false, signed: false };
        let message = exchange(server, &question, PATIENCE).await?;
        exists(&message).map(|exists| Own::of(&message, host, exists))
    };
    let (a, aaaa) = join(asked(RecordType::A), asked(RecordType::AAAA)).await;
    let mut own = a?;
    own.add(aaaa?);
    Ok(own)
}

const fn at(address: [u8; 4]) -> SocketAddr {
    let [a, b, c, d] = address;
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(a, b, c, d)), 53)
}
