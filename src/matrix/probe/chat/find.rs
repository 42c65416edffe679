//! Whether a Rocket.Chat answers where people would look for the one of a server name.
//!
//! Most Matrix servers have none, and nobody told us of one. So one page is asked for at each place, and only who answers it as
//! Rocket.Chat does is looked at closely.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use super::{ChatSeen, INFO, LONGEST_PAGE, look};
use crate::host::net::exchange::{Answer, Request};
use crate::host::tls::TlsFacts;
use crate::matrix::Eyes;
use crate::matrix::server_name::{Host, ServerName};
use crate::matrix::well_known::Visit;

/// A Rocket.Chat that nobody named.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Found {
    /// Its host.
    pub host: String,
    /// What was seen of it at each of its addresses.
    pub seen: Vec<ChatSeen>,
}

/// The most that a place may take to answer that is only guessed.
const PATIENCE: Duration = Duration::from_secs(3);
/// Addresses that are looked at.
const MOST_ADDRESSES: usize = 8;

/// The name's own host, or the one that it redirects to, if Rocket.Chat is there.
pub async fn named(visit: &mut Visit, host: &str, address: IpAddr, eyes: &Eyes, until: Instant) -> Option<String> {
    let (answer, _) = ask(visit, host, address, eyes, until).await?;
    if is_rocketchat(&answer) { Some(host.to_owned()) } else { elsewhere(&answer, host, eyes, until).await }
}

/// The host that most people choose, if Rocket.Chat is there. Where every name has an address, it counts only with a
/// certificate of its own.
pub async fn guessed(name: &ServerName, eyes: &Eyes, until: Instant) -> Option<String> {
    let Host::Dns(host) = name.host() else { return None };
    let (host, until) = (format!("chat.{host}"), until.min(Instant::now() + PATIENCE));
    let address = addresses(&host, eyes, until).await.into_iter().next()?;
    let (answer, tls) = ask(&mut Visit::default(), &host, address, eyes, until).await?;
    (is_rocketchat(&answer) && tls.is_some_and(|facts| facts.name.valid)).then_some(host)
}

/// Looks at the Rocket.Chat of `host` as its clients do.
pub async fn closely(host: String, eyes: &Eyes, until: Instant) -> Found {
    let addresses = addresses(&host, eyes, until).await.into_iter().take(MOST_ADDRESSES);
    let seen = join_all(addresses.map(|address| look(&host, address, eyes, until))).await;
    Found { host, seen }
}

/// A host that `answer` redirects to, if Rocket.Chat is there.
async fn elsewhere(answer: &Answer, host: &str, eyes: &Eyes, until: Instant) -> Option<String> {
    let location = answer.head.header("location").filter(|_| (300..400).contains(&answer.head.status))?;
    let url = Url::parse(&format!("https://{host}{INFO}")).ok()?.join(location).ok()?;
    let other = url.host_str().filter(|other| *other != host && url.scheme() == "https" && url.port().is_none())?;
    let address = addresses(other, eyes, until).await.into_iter().next()?;
    let (answer, _) = ask(&mut Visit::default(), other, address, eyes, until).await?;
    is_rocketchat(&answer).then(|| other.to_owned())
}

async fn ask(
    visit: &mut Visit,
    host: &str,
    address: IpAddr,
    eyes: &Eyes,
    until: Instant,
) -> Option<(Answer, Option<TlsFacts>)> {
    let request = Request { method: "GET", target: INFO, host, headers: &[], body: LONGEST_PAGE };
    visit.ask(SocketAddr::new(address, 443), Some(host), &request, eyes, until).await.ok()
}

/// Rocket.Chat says its version, and that all went well.
fn is_rocketchat(answer: &Answer) -> bool {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let version = body.get("version").and_then(Value::as_str).unwrap_or_default();
    let number = |part: Option<&str>| part.is_some_and(|part| part.parse::<u16>().is_ok());
    let mut parts = version.split('.');
    answer.head.status == 200
        && body.get("success") == Some(&Value::Bool(true))
        && number(parts.next())
        && number(parts.next())
}

async fn addresses(host: &str, eyes: &Eyes, until: Instant) -> Vec<IpAddr> {
    if let Ok(address) = host.trim_matches(['[', ']']).parse() {
        return vec![address];
    }
    let view = eyes.host(host, until).await;
    [view.a, view.aaaa].into_iter().flatten().flatten().collect()
}
