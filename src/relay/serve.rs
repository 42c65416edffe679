//! Listens, routes, logs, and drains.

use std::convert::Infallible;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use subtle::ConstantTimeEq;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::answer::{Answer, Note, unrecognized};
use super::config::Token;
use super::health::{Told, health};
use super::index::Kind;
use super::queue::Queue;
use super::{RelayConfig, RelayError, confirm, deliver, federation_ok, forward, invite, ping, words};

/// What every request needs.
pub struct Relay {
    pub config: RelayConfig,
    pub client: Outgoing,
    pub queue: Queue,
    /// Held while the bridge is given events.
    pub turn: tokio::sync::Mutex<()>,
    /// Invites that are being worked on.
    pub invites: Arc<Semaphore>,
    /// Bytes of their bodies.
    pub memory: Arc<Semaphore>,
    pub told: Mutex<Told>,
    /// Held during a look at this server.
    pub looking: tokio::sync::Mutex<()>,
}

impl Relay {
    fn new(config: RelayConfig, queue: Queue) -> Self {
        Self {
            config,
            client: client(),
            queue,
            turn: tokio::sync::Mutex::new(()),
            invites: Arc::new(Semaphore::new(INVITES)),
            memory: Arc::new(Semaphore::new(MEMORY)),
            told: Mutex::default(),
            looking: tokio::sync::Mutex::default(),
        }
    }

    /// Notes for the health how it went with the bridge, or with the homeserver; says an error that is new.
    pub fn tell(&self, kind: Kind, error: &Option<String>) {
        let new = self.told.lock().unwrap_or_else(PoisonError::into_inner).tell(kind, error.clone());
        if let (true, Some(error)) = (new, error) {
            say(&format!("invites wait: {error}"));
        }
    }

    /// Notes for the health that an invite was refused for what it is.
    pub fn refused(&self, why: &str) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).refused(why);
    }
}

/// The client towards the bridge.
pub type Outgoing = Client<HttpConnector, UnsyncBoxBody<Bytes, BoxError>>;
/// What a body may fail with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Serves until `stop`, then finishes what was begun, for at most [`DRAIN_LIMIT`].
pub async fn serve(listener: TcpListener, config: RelayConfig, queue: Queue, stop: impl Future<Output = ()>) {
    say(&words::listens(config.listen, &config.bridge_url));
    let relay = Arc::new(Relay::new(config, queue));
    let mut workers = JoinSet::new();
    let (delivering, confirming) = (relay.clone(), relay.clone());
    workers.spawn(async move { deliver::run(&delivering).await });
    workers.spawn(async move { confirm::run(&confirming).await });
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    let (drain, draining) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(_) = connections.join_next() => {}
            accepted = accept(&listener, &permits) => {
                let Some((stream, permit)) = accepted else { continue };
                connections.spawn(connection(relay.clone(), stream, draining.clone(), permit));
            }
        }
    }
    drop(listener);
    let _ = drain.send(true);
    say("stopping");
    let finished = async { while connections.join_next().await.is_some() {} };
    if timeout(DRAIN_LIMIT, finished).await.is_err() {
        say(&format!("{} requests cut off", connections.len()));
    }
    // A delivery that has begun is brought to its end: its answer is worth a repetition.
    let _turn = timeout(DRAIN_LIMIT, relay.turn.lock()).await;
    workers.shutdown().await;
}

/// Asks the relay that listens on `listen` for its health.
pub async fn check(listen: SocketAddr) -> Result<(), RelayError> {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let address = SocketAddr::new(ip, listen.port());
    let unhealthy = |why: String| RelayError::Unhealthy { address, why };
    let request = Request::get(format!("http://{address}/health"))
        .body(Empty::new().map_err(|never: Infallible| match never {}).boxed_unsync())
        .map_err(|error| unhealthy(error.to_string()))?;
    match timeout(CHECK_LIMIT, client().request(request)).await {
        Err(_) => Err(unhealthy("no answer in time".into())),
        Ok(Err(error)) => Err(unhealthy(deepest(&error))),
        Ok(Ok(response)) if response.status().is_success() => Ok(()),
        Ok(Ok(response)) => Err(unhealthy(format!("status {}", response.status().as_u16()))),
    }
}

/// Whether a request carries `token`, in the header or, as older servers do it, in the query; `Err(true)` if it has none.
pub fn authorized(request: &Request<Incoming>, token: &Token) -> Result<(), bool> {
    let header = request.headers().get(hyper::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer =
        header.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let query = || request.uri().query()?.split('&').find_map(|pair| pair.strip_prefix("access_token="));
    match bearer.map(|(_, token)| token.trim()).or_else(query) {
        None | Some("") => Err(true),
        Some(given) if bool::from(given.as_bytes().ct_eq(token.expose().as_bytes())) => Ok(()),
        Some(_) => Err(false),
    }
}

/// The innermost cause, which is what an operator can act on.
pub fn deepest(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
}

fn client() -> Outgoing {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(CONNECT_LIMIT));
    connector.set_nodelay(true);
    // A fresh connection each time: the other side is one bridge away, and a stale one would cost a retry of a
    // transaction whose body is gone.
    Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector)
}

async fn accept(listener: &TcpListener, permits: &Arc<Semaphore>) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let permit = permits.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, permit)),
        Err(error) => {
            say(&words::no_connection(error));
            // Out of file descriptors, most likely: trying again at once would only spin.
            sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

async fn connection(
    relay: Arc<Relay>,
    stream: TcpStream,
    mut draining: watch::Receiver<bool>,
    _permit: OwnedSemaphorePermit,
) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let relay = relay.clone();
        async move { Ok::<_, Infallible>(logged(&relay, request).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_LIMIT)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => {}
        _ = draining.changed() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

async fn logged(relay: &Arc<Relay>, request: Request<Incoming>) -> Answer {
    let start = Instant::now();
    // Without the query, which may hold a token.
    let line = format!("{} {}", request.method(), request.uri().path());
    let quiet = request.uri().path() == HEALTH;
    let answer = route(relay.clone(), request).await;
    if !quiet || !answer.status().is_success() {
        let note = answer.extensions().get::<Note>().map(|note| format!(" ({})", note.0)).unwrap_or_default();
        say(&format!("{line} {} {} ms{note}", answer.status().as_u16(), start.elapsed().as_millis()));
    }
    answer
}

async fn route(relay: Arc<Relay>, request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    let pinged = path.strip_prefix(PING_START).and_then(|rest| rest.strip_suffix(PING_END));
    match (request.method(), pinged) {
        (&Method::GET | &Method::HEAD, None) if path == HEALTH => health(&relay),
        (_, None) if path == HEALTH => unrecognized(true),
        (&Method::GET, None) if path == OK => {
            federation_ok::federation_ok(&relay, request.uri().query().unwrap_or_default()).await
        }
        (&Method::POST, Some(id)) if !id.contains('/') => ping::ping(&relay, id, request).await,
        (_, Some(id)) if !id.contains('/') => unrecognized(true),
        _ if path.starts_with(INVITE[0]) || path.starts_with(INVITE[1]) => invite::invite(relay, request).await,
        _ if path.starts_with(APP) => forward::forward(relay, request).await,
        _ => unrecognized(false),
    }
}

/// A line of the log.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "relay: {line}");
}

const HEALTH: &str = "/health";
const OK: &str = "/api/federation-ok";
const PING_START: &str = "/_matrix/client/v1/appservice/";
const PING_END: &str = "/ping";
const INVITE: [&str; 2] = ["/_matrix/federation/v1/invite/", "/_matrix/federation/v2/invite/"];
const APP: &str = "/_matrix/app/";
/// Connections served at once; more wait in the kernel's queue.
const CONNECTIONS: usize = 64;
/// Of these so many are invites, so that strangers do not keep Dendrite out.
const INVITES: usize = 32;
/// Bytes of invites in memory.
const MEMORY: usize = 2 * 1024 * 1024;
const BUFFER: usize = 64 * 1024;
const HEADER_LIMIT: Duration = Duration::from_secs(10);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const CHECK_LIMIT: Duration = Duration::from_secs(3);
const DRAIN_LIMIT: Duration = Duration::from_secs(5);
