//! Real servers on 127.0.0.1: a relay, and a bridge behind it that records what it is asked.

use std::fmt::Write;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

use super::*;
use crate::loopback;

mod invites;
mod journal;
mod trouble;

const PING: &str = "/_matrix/client/v1/appservice/rcfed_id/ping";

fn config_text(bridge: SocketAddr) -> String {
    format!(
        "listen = \"127.0.0.1:0\"\nbridge_url = \"http://{bridge}/\"\nhomeserver_url = \"http://homeserver:8008\"\n\
         appservice_id = \"rcfed_id\"\nas_token = \"astoken\"\nhs_token = \"hstoken\"\njournal = \"/nonexistent\"\n"
    )
}

fn load(text: &str, mode: u32) -> Result<RelayConfig, ConfigError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
    RelayConfig::load(file.path())
}

/// A running relay; stops when told.
struct Running {
    _journal: Option<tempfile::TempDir>,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

async fn relay_before(bridge: SocketAddr) -> Running {
    relay_with(load(&config_text(bridge), 0o400).unwrap()).await
}

async fn relay_with(mut config: RelayConfig) -> Running {
    let journal = (!config.journal.exists()).then(|| tempfile::tempdir().unwrap());
    if let Some(journal) = &journal {
        config.journal = journal.path().into();
    }
    // The lock of one that has just ended lives on for a moment in programs that other tests were starting meanwhile.
    let mut tries = 0;
    let queue = loop {
        match open(&config) {
            Ok(queue) => break queue,
            Err(error) => assert!(tries < 100, "{error}"),
        }
        tries += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(serve::serve(listener, config, queue, async {
        let _ = stopped.await;
    }));
    Running { _journal: journal, address, stop, task }
}

/// Status, content type and body of an answer.
async fn ask(relay: &Running, method: &str, path: &str, token: Option<&str>, body: &str) -> (u16, String, Value) {
    let mut request = Request::builder().method(method).uri(format!("http://{}{path}", relay.address));
    if let Some(token) = token {
        request = request.header("Authorization", format!("Bearer {token}"));
    }
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let response = client.request(request.body(Full::from(body.to_owned())).unwrap()).await.unwrap();
    let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(response.headers().contains_key("content-length"));
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, content_type, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

fn closed_port() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

type Seen = Arc<Mutex<Vec<String>>>;

/// A bridge that records every request on one line and answers with `status` and `body`.
async fn bridge(status: u16, body: &'static str) -> (SocketAddr, Seen) {
    let seen = Seen::default();
    let log = seen.clone();
    let address = loopback::serve(move |request: Request<Incoming>| {
        let log = log.clone();
        async move {
            let (parts, sent) = request.into_parts();
            let sent = sent.collect().await.unwrap().to_bytes();
            let token = parts.headers.get("authorization").map_or("-", |value| value.to_str().unwrap()).to_owned();
            let sent = String::from_utf8_lossy(&sent).into_owned();
            log.lock().unwrap().push(format!("{} {} [{token}] {sent}", parts.method, parts.uri));
            loopback::text(status, body)
        }
    })
    .await;
    (address, seen)
}

#[tokio::test]
async fn a_ping_reaches_the_bridge_and_comes_back() {
    let (address, seen) = bridge(200, "{}").await;
    let relay = relay_before(address).await;
    let (status, content_type, body) = ask(&relay, "POST", PING, Some("astoken"), r#"{"transaction_id":"meow"}"#).await;
    assert_eq!((status, content_type.as_str()), (200, "application/json"));
    assert!(body["duration_ms"].is_u64(), "{body}");
    // As Rocket.Chat asks: with a user id in the query, and without a body.
    assert_eq!(ask(&relay, "POST", &format!("{PING}?user_id=@a:b"), Some("astoken"), "").await.0, 200);
    assert_eq!(ask(&relay, "POST", &format!("{PING}?access_token=astoken"), None, "{}").await.0, 200);
    let seen = seen.lock().unwrap().join("\n");
    insta::assert_snapshot!(seen, @r#"
    POST /_matrix/app/v1/ping [Bearer hstoken] {"transaction_id":"meow"}
    POST /_matrix/app/v1/ping [Bearer hstoken] {}
    POST /_matrix/app/v1/ping [Bearer hstoken] {}
    "#);
}

#[tokio::test]
async fn every_refusal_has_the_code_of_the_specification() {
    let (good, _) = bridge(200, "{}").await;
    let (wrong, _) = bridge(403, r#"{"errcode":"M_FORBIDDEN"}"#).await;
    let relay = relay_before(good).await;
    let behind_wrong = relay_before(wrong).await;
    let alone = relay_before(closed_port()).await;
    let other = "/_matrix/client/v1/appservice/other/ping";
    let app = "/_matrix/app/v1/transactions/1";
    let long = "x".repeat(5000);
    let cases = [
        (&relay, "POST", PING, None, "{}"),
        (&relay, "POST", PING, Some("hstoken"), "{}"),
        (&relay, "POST", PING, Some("astokenx"), "{}"),
        (&relay, "POST", other, Some("astoken"), "{}"),
        (&relay, "POST", PING, Some("astoken"), "nonsense"),
        (&relay, "POST", PING, Some("astoken"), r#"{"transaction_id":5}"#),
        (&relay, "POST", PING, Some("astoken"), &long),
        (&relay, "GET", PING, Some("astoken"), ""),
        (&relay, "POST", "/health", None, ""),
        (&relay, "GET", "/", None, ""),
        (&relay, "POST", "/_matrix/client/v1/appservice/a/b/ping", Some("astoken"), ""),
        (&behind_wrong, "POST", PING, Some("astoken"), "{}"),
        (&alone, "POST", PING, Some("astoken"), "{}"),
        (&relay, "PUT", app, None, "{}"),
        (&relay, "PUT", app, Some("astoken"), "{}"),
        (&relay, "DELETE", app, Some("hstoken"), "{}"),
        (&alone, "PUT", app, Some("hstoken"), "{}"),
    ];
    let mut table = String::new();
    for (relay, method, path, token, body) in cases {
        let (status, content_type, answer) = ask(relay, method, path, token, body).await;
        assert_eq!(content_type, "application/json");
        writeln!(table, "{method} {path} {}: {body:.20}\n  {status} {answer}", token.unwrap_or("-")).unwrap();
    }
    insta::assert_snapshot!(table);
}

#[tokio::test]
async fn a_bridge_that_never_answers_is_a_timeout() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = load(&config_text(silent.local_addr().unwrap()), 0o400).unwrap();
    config.ping_limit = Duration::from_millis(100);
    let relay = relay_with(config).await;
    let (status, _, body) = ask(&relay, "POST", PING, Some("astoken"), "{}").await;
    assert_eq!((status, body["errcode"].as_str().unwrap()), (504, "M_CONNECTION_TIMEOUT"));
}

#[tokio::test]
async fn transactions_and_queries_arrive_with_both_forms_of_the_token() {
    let (address, seen) = bridge(200, "{}").await;
    let relay = relay_before(address).await;
    let events = r#"{"events":[]}"#;
    let sent = [
        ("PUT", "/_matrix/app/v1/transactions/17", Some("hstoken"), events),
        ("PUT", "/_matrix/app/v1/transactions/18?access_token=hstoken", None, events),
        ("PUT", "/_matrix/app/v1/transactions/19?access_token=hstoken", Some("hstoken"), events),
        ("GET", "/_matrix/app/v1/users/%40a%3Ab.example", Some("hstoken"), ""),
        ("GET", "/_matrix/app/v1/thirdparty/user/irc?access_token=hstoken&nick=a%26b", Some("hstoken"), ""),
    ];
    for (method, path, token, body) in sent {
        assert_eq!(ask(&relay, method, path, token, body).await.0, 200, "{path}");
    }
    insta::assert_snapshot!(seen.lock().unwrap().join("\n"));
}

#[tokio::test]
async fn what_the_bridge_answers_is_handed_back() {
    let (address, _) = bridge(404, r#"{"errcode":"M_NOT_FOUND"}"#).await;
    let relay = relay_before(address).await;
    let (status, _, body) = ask(&relay, "GET", "/_matrix/app/v1/rooms/%23a%3Ab", Some("hstoken"), "").await;
    assert_eq!((status, body), (404, json!({ "errcode": "M_NOT_FOUND" })));
}

#[tokio::test]
async fn a_large_transaction_is_streamed_and_a_larger_one_refused() {
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let bridge = loopback::serve(move |request: Request<Incoming>| {
        let arrived = arrived.clone();
        async move {
            let mut body = request.into_body();
            let mut total = 0;
            while let Some(Ok(frame)) = body.frame().await {
                total += frame.data_ref().map_or(0, Bytes::len);
                arrived.send(total).unwrap();
            }
            loopback::json(200, &json!({ "bytes": total }))
        }
    })
    .await;
    let relay = relay_before(bridge).await;
    let (size, half) = (30 << 20, vec![b' '; 15 << 20]);
    let mut stream = TcpStream::connect(relay.address).await.unwrap();
    let head = |length: usize| {
        format!(
            "PUT /_matrix/app/v1/transactions/1 HTTP/1.1\r\nHost: relay\r\nAuthorization: Bearer hstoken\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n"
        )
    };
    stream.write_all(head(size).as_bytes()).await.unwrap();
    stream.write_all(&half).await.unwrap();
    // The bridge has the first half while the second was not even sent.
    let streamed = async { while arrivals.recv().await != Some(15 << 20) {} };
    tokio::time::timeout(Duration::from_secs(10), streamed).await.expect("the first half arrives by itself");
    stream.write_all(&half).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(r#"{"bytes":31457280}"#), "{answer}");

    let mut stream = TcpStream::connect(relay.address).await.unwrap();
    stream.write_all(head(51 << 20).as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("M_TOO_LARGE"), "{answer}");
}

#[tokio::test]
async fn a_body_without_a_length_is_bounded_too() {
    let (address, _) = bridge(200, "{}").await;
    let relay = relay_before(address).await;
    let mut stream = TcpStream::connect(relay.address).await.unwrap();
    let head = "PUT /_matrix/app/v1/transactions/1 HTTP/1.1\r\nHost: relay\r\nAuthorization: Bearer hstoken\r\n\
                Transfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let chunk = format!("100000\r\n{}\r\n", " ".repeat(1 << 20));
    let writer = tokio::spawn(async move { while write.write_all(chunk.as_bytes()).await.is_ok() {} });
    let mut start = [0; 12];
    read.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 413");
    writer.abort();
}

#[tokio::test]
async fn a_request_that_has_begun_is_finished_before_the_end() {
    let (begun, mut begins) = mpsc::unbounded_channel();
    let bridge = loopback::serve(move |_| {
        let begun = begun.clone();
        async move {
            begun.send(()).unwrap();
            tokio::time::sleep(Duration::from_millis(300)).await;
            loopback::text(200, "{}")
        }
    })
    .await;
    let relay = relay_before(bridge).await;
    serve::check(relay.address).await.unwrap();
    let Running { _journal, address, stop, task } = relay;
    let (none, idle) = (oneshot::channel().0, tokio::spawn(async {}));
    let asking = Running { _journal: None, address, stop: none, task: idle };
    let answer = tokio::spawn(async move { ask(&asking, "POST", PING, Some("astoken"), "{}").await.0 });
    begins.recv().await.unwrap();
    stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(5), task).await.expect("it stops").unwrap();
    assert_eq!(answer.await.unwrap(), 200);
    let error = serve::check(address).await.unwrap_err();
    assert_eq!(
        error.to_string().replace(&address.to_string(), "A"),
        "the relay does not answer on A: Connection refused (os error 111)"
    );
}

#[tokio::test]
async fn sigterm_ends_it_well() {
    let address = closed_port();
    let file = tempfile::NamedTempFile::new().unwrap();
    let journal = tempfile::tempdir().unwrap();
    let text = config_text(closed_port()).replace("127.0.0.1:0\"", &format!("{address}\""));
    let text = text.replace("/nonexistent", journal.path().to_str().unwrap());
    std::fs::write(file.path(), text).unwrap();
    let path = file.path().to_owned();
    let running = tokio::spawn(async move { run(&path, false).await });
    let listening = async {
        while run(file.path(), true).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), listening).await.expect("it listens");
    // It listens, so its handlers stand: the signal reaches them and not the test.
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM).unwrap();
    tokio::time::timeout(Duration::from_secs(5), running).await.expect("it stops").unwrap().unwrap();
    assert!(run(file.path(), true).await.is_err());
}

#[test]
fn a_configuration_is_refused_without_showing_its_tokens() {
    let good = config_text("127.0.0.1:3300".parse().unwrap());
    let cases = [
        (good.clone(), 0o404),
        (good.clone() + "colour = \"red\"\n", 0o400),
        (good.replace("\"astoken\"", "12345678"), 0o400),
        (good.replace("astoken\"", "geheim wort\""), 0o400),
        (good.replace("as_token = \"astoken\"", "as_token = \"geheim"), 0o400),
        (good.replace("http://homeserver:8008", "https://homeserver/path"), 0o400),
        (good.replace("hs_token = \"hstoken\"\n", ""), 0o400),
    ];
    let missing = RelayConfig::load(Path::new("/nonexistent/relay.toml")).unwrap_err();
    let errors = cases.map(|(text, mode)| load(&text, mode).unwrap_err()).into_iter().chain([missing]);
    let told = errors.map(|error| {
        let error = crate::error::Error::from(error);
        let line = format!("{} → {}", error.message(), error.hint().unwrap_or_default());
        assert!(!line.contains("geheim") && !line.contains("12345678"), "{line}");
        let path = line.split('`').nth(1).unwrap().to_owned();
        line.replace(&path, "relay.toml")
    });
    assert!(!format!("{:?}", load(&good, 0o400).unwrap()).contains("astoken"));
    insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n"));
}

#[test]
fn sentences_of_a_relay_that_does_not_run() {
    let address: SocketAddr = "0.0.0.0:8080".parse().unwrap();
    let journal = |kind: std::io::ErrorKind| RelayError::Journal { path: "/journal".into(), source: kind.into() };
    let errors = [
        RelayError::Listen { address, source: std::io::ErrorKind::AddrInUse.into() },
        journal(std::io::ErrorKind::WouldBlock),
        journal(std::io::ErrorKind::PermissionDenied),
        RelayError::Signals(std::io::ErrorKind::Unsupported.into()),
        RelayError::Unhealthy { address, why: "connection refused".into() },
    ];
    insta::assert_snapshot!(crate::error::told(errors.map(Into::into)));
}
