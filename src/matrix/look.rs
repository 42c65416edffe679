//! One server name, looked at from outside, as data.
//!
//! [`look`] gathers and never judges: what was seen becomes findings elsewhere. It is over at its deadline, whatever a
//! stranger does, and holds no more than its limits allow.

use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::{OptionFuture, join, join_all, join3};
use rustls::pki_types::CertificateDer;
use tokio::time::Instant;
use url::Url;

use super::discovery::{Discovery, find};
use super::probe::chat::{Found, find as rocketchat};
use super::probe::{self, Inside, Seen};
use super::server_name::{Host, ServerName, Unwise};
use super::signing_key::SigningKey;
use super::well_known::{self, Client, Cors, Fetch, Kind, Support, Visit, fetch_on};
use super::{Eyes, Ground};
use crate::host::net::exchange::{Request, Trouble};

/// What is wanted of a look.
#[derive(Clone, Debug)]
pub struct Wishes {
    /// The most that all of it may take.
    pub deadline: Duration,
    /// Whether the documents for clients and people are looked at as well.
    pub clients: bool,
    /// Whether the Rocket.Chat of the name is looked for.
    pub chat: bool,
    /// The server's own key, if it is ours, for a signed request to itself.
    pub signing_key: Option<SigningKey>,
    /// Certificates that the server could present as well, e.g. all of a `fullchain.pem`.
    pub extra_chain: Vec<CertificateDer<'static>>,
}

/// Everything seen of a server name.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Look {
    /// The name.
    pub name: ServerName,
    /// What is allowed in it and unwise.
    pub unwise: Vec<Unwise>,
    /// How it is resolved.
    pub discovery: Discovery,
    /// What answers at each target, in the order of the targets.
    pub targets: Vec<Seen>,
    /// The zones of the name's host and of the hosts it leads to, the name's own first.
    pub grounds: Vec<Ground>,
    /// What clients see, if it was wanted and there is a host to ask.
    pub clients: Option<ClientSide>,
    /// Its Rocket.Chat, if it was wanted and one was found.
    pub chat: Option<Found>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// What clients and people see at the name's host.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ClientSide {
    /// The client document at the first address that answers.
    pub client: Fetch<Client>,
    /// What a browser is told before it asks: status and permission.
    pub preflight: Result<(u16, Cors), Trouble>,
    /// The support document.
    pub support: Fetch<Support>,
    /// `/_matrix/client/versions` below the base URL of the client document; none without one.
    pub versions: Option<Result<ClientVersions, Trouble>>,
}

/// The answer of the client API.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ClientVersions {
    /// What was asked for.
    pub url: String,
    /// Status code.
    pub status: u16,
    /// Whether it is a homeserver's answer.
    pub is_homeserver: bool,
    /// What browsers are allowed.
    pub cors: Cors,
}

impl Default for Wishes {
    /// Ten seconds, everything that can be seen from outside.
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(10),
            clients: true,
            chat: true,
            signing_key: None,
            extra_chain: Vec::new(),
        }
    }
}

/// Hosts beside the name's own whose zones are looked at.
const MOST_GROUNDS: usize = 4;

/// Looks at `name` from outside.
pub async fn look(name: &ServerName, eyes: &Eyes, wishes: &Wishes) -> Look {
    let started = Instant::now();
    let until = started + wishes.deadline;
    let federation = async {
        let discovery = find(name, eyes, until).await;
        let inside = Inside { signing_key: wishes.signing_key.as_ref(), extra: &wishes.extra_chain };
        let probes = join_all(discovery.targets.iter().map(|target| probe::probe(name, target, inside, eyes, until)));
        let others = discovery.hosts.iter().map(|seen| &seen.host).filter(|host| Some(host.as_str()) != own(name));
        let grounds = join_all(others.take(MOST_GROUNDS).map(|host| eyes.ground(host, until)));
        let (seen, grounds) = join(probes, grounds).await;
        (discovery, seen, grounds)
    };
    let people = people(name, eyes, wishes, until);
    let ground: OptionFuture<_> = own(name).map(|host| eyes.ground(host, until)).into();
    let ((discovery, targets, others), (clients, chat), ground) = join3(federation, people, ground).await;
    Look {
        name: name.clone(),
        unwise: name.unwise(),
        discovery,
        targets,
        grounds: ground.into_iter().chain(others).collect(),
        clients,
        chat,
        took_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    }
}

/// The name's host, if it has a zone.
fn own(name: &ServerName) -> Option<&str> {
    if let Host::Dns(host) = name.host() { Some(host) } else { None }
}

/// What is for people, as far as it is wanted, over one connection to the name's host.
async fn people(
    name: &ServerName,
    eyes: &Eyes,
    wishes: &Wishes,
    until: Instant,
) -> (Option<ClientSide>, Option<Found>) {
    if !wishes.clients && !wishes.chat {
        return (None, None);
    }
    let host = name.host().to_string();
    let address = match name.host() {
        Host::Ip(address) => Some(*address),
        Host::Dns(host) => first(host, eyes, until).await,
    };
    let own = async {
        let Some(address) = address else { return (None, None) };
        let (mut visit, mut clients) = (Visit::default(), None);
        if wishes.clients {
            let client_side = client_side(&mut visit, name, address, eyes, until).await;
            let silent = client_side.client.silence().is_some();
            clients = Some(client_side);
            // Who does not answer once is not asked twice.
            if silent {
                return (clients, None);
            }
        }
        let chat: OptionFuture<_> =
            wishes.chat.then(|| rocketchat::named(&mut visit, &host, address, eyes, until)).into();
        (clients, chat.await.flatten())
    };
    let guessed: OptionFuture<_> = wishes.chat.then(|| rocketchat::guessed(name, eyes, until)).into();
    let ((clients, named), guessed) = join(own, guessed).await;
    let found: OptionFuture<_> = named.or(guessed.flatten()).map(|host| rocketchat::closely(host, eyes, until)).into();
    (clients, found.await)
}

async fn client_side(visit: &mut Visit, name: &ServerName, address: IpAddr, eyes: &Eyes, until: Instant) -> ClientSide {
    let host = name.host().to_string();
    let client = fetch_on(visit, Kind::Client, &host, address, well_known::client, eyes, until).await;
    if let Some(trouble) = client.silence().cloned() {
        let support = Fetch::unasked(Kind::Support, address, trouble.clone());
        return ClientSide { client, preflight: Err(trouble), support, versions: None };
    }
    let versions: OptionFuture<_> = client.outcome.as_ref().ok().map(|it| versions(&it.base_url, eyes, until)).into();
    let others = async {
        let preflight = well_known::preflight(visit, &host, address, eyes, until).await;
        let support = fetch_on(visit, Kind::Support, &host, address, well_known::support, eyes, until).await;
        (preflight, support)
    };
    let (versions, (preflight, support)) = join(versions, others).await;
    ClientSide { client, preflight, support, versions }
}

/// As clients do: the path is put behind the base URL, one slash between them.
async fn versions(base_url: &str, eyes: &Eyes, until: Instant) -> Result<ClientVersions, Trouble> {
    let text = format!("{}/_matrix/client/versions", base_url.trim_end_matches('/'));
    let url = Url::parse(&text).map_err(|error| Trouble::Other(error.to_string()))?;
    let host = url.host_str().unwrap_or_default();
    let address = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(address) => address,
        Err(_) => first(host, eyes, until).await.ok_or_else(|| Trouble::Unreachable("no address".into()))?,
    };
    let peer = std::net::SocketAddr::new(address, url.port_or_known_default().unwrap_or(443));
    let mut wire = eyes.open(peer, (url.scheme() == "https").then_some(host), until).await?;
    let header = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let headers = [("Origin", "https://client.example")];
    let request = Request { method: "GET", target: url.path(), host: &header, headers: &headers, body: 64 * 1024 };
    let answer = wire.exchange(&request).await?;
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let is_homeserver = answer.head.status == 200 && body.get("versions").is_some_and(serde_json::Value::is_array);
    Ok(ClientVersions { url: text, status: answer.head.status, is_homeserver, cors: Cors::of(&answer.head) })
}

async fn first(host: &str, eyes: &Eyes, until: Instant) -> Option<IpAddr> {
    let view = eyes.host(host, until).await;
    [view.a, view.aaaa].into_iter().flatten().flatten().next()
}
