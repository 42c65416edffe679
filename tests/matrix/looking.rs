//! Whole looks at real servers: what is right is seen to be right, and a fault is seen where it is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rcfed::host::net::exchange::{Stage, Trouble};
use rcfed::host::tls::Path;
use rcfed::matrix::discovery::{Problem, Rule};
use rcfed::matrix::probe::chat::{self, Socket};
use rcfed::matrix::probe::{BodyLimit, Normalisation, Slashes, Verdict};
use rcfed::matrix::server_name::ServerName;
use rcfed::matrix::signing_key::SigningKey;
use rcfed::matrix::well_known::Stop;
use rcfed::matrix::{Eyes, Look, Wishes, look};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::{Duration, Instant};

use crate::servers::{Authority, eyes, homeserver, loopback, name_server, name_server_heard, raw, reply, web};

/// The documents of `example.org`.
fn documents(server: &'static str) -> impl Fn(&str) -> Option<String> + Clone + Send + Sync + 'static {
    move |request| {
        let mut words = request.split(' ');
        let cors = "Access-Control-Allow-Origin: *\r\n";
        Some(match (words.next()?, words.next()?) {
            ("OPTIONS", _) => reply(204, cors, ""),
            (_, "/.well-known/matrix/server") => reply(200, "", server),
            (_, "/.well-known/matrix/client") => {
                reply(200, cors, r#"{"m.homeserver": {"base_url": "https://matrix.example.org:8448/"}}"#)
            }
            (_, "/.well-known/matrix/support") => reply(200, "", r#"{"support_page": "https://example.org/"}"#),
            _ => reply(404, "", ""),
        })
    }
}

async fn seen(eyes: &Eyes, name: &str, key: Option<SigningKey>) -> Look {
    let wishes = Wishes { signing_key: key, ..Wishes::default() };
    look(&ServerName::parse(name).unwrap(), eyes, &wishes).await
}

#[tokio::test]
async fn a_good_server_is_seen_to_be_good() {
    let (authority, key) = (Authority::new(), SigningKey::generate().unwrap());
    let site = authority.leaf(&["example.org"], |_| {}).acceptor();
    let matrix = authority.deep_leaf(&["matrix.example.org"], |_| {}).acceptor();
    let site = web("127.0.0.1:0", Some(site), documents(r#"{"m.server": "matrix.example.org:8448"}"#)).await;
    let matrix = web("127.0.0.1:0", Some(matrix), homeserver("example.org", key.clone())).await;
    let resolver = name_server(&["example.org A 127.0.0.1", "matrix.example.org A 127.0.0.1"]).await;
    let eyes = eyes(resolver, &authority, &[(443, site.port()), (8448, matrix.port())]);

    let look = seen(&eyes, "example.org", Some(key.clone())).await;
    assert_eq!((look.discovery.problems.as_slice(), look.targets.len()), (&[][..], 1));
    let target = &look.targets[0];
    assert_eq!((target.target.rule, target.trouble.as_ref()), (Rule::DelegatedPort, None));
    assert!(target.tls.as_ref().unwrap().is_valid());
    let hosts: Vec<String> = target
        .versions
        .iter()
        .map(|version| version.as_ref().unwrap())
        .map(|v| format!("{} {}", v.host, v.status))
        .collect();
    assert_eq!(hosts, ["matrix.example.org:8448 200", "matrix.example.org 200"]);
    assert_eq!(target.versions[0].as_ref().unwrap().name.as_deref(), Some("Standin"));
    let keys = target.keys.as_ref().unwrap().as_ref().unwrap();
    assert!(keys.document.as_ref().unwrap().are_good("example.org", 0));
    let paths = target.paths.as_ref().unwrap();
    assert_eq!((paths.normalisation, paths.merging), (Normalisation::Untouched, Slashes::Kept));
    assert_eq!(target.body_limit, Some(Ok(BodyLimit::Taken)));
    assert_eq!(target.signed.as_ref().unwrap().as_ref().unwrap().verdict, Verdict::Accepted);
    assert!(target.date_skew_s.is_some() && !target.cloudflare.header && !target.cloudflare.port);
    let clients = look.clients.as_ref().unwrap();
    assert_eq!(clients.client.outcome.as_ref().unwrap().base_url, "https://matrix.example.org:8448/");
    assert!(clients.versions.as_ref().unwrap().as_ref().unwrap().is_homeserver);
    assert_eq!(clients.preflight.as_ref().unwrap().0, 204);
    assert!(clients.support.outcome.is_ok());
    assert!(serde_json::to_string(&look).unwrap().contains(r#""rule":"3.2""#));

    let other = SigningKey::generate().unwrap();
    let look = seen(&eyes, "example.org", Some(other)).await;
    assert_eq!(look.targets[0].signed.as_ref().unwrap().as_ref().unwrap().verdict, Verdict::BadSignature);
}

/// A thousand names in one run: what costs time is questions and handshakes.
#[tokio::test]
async fn a_look_asks_nothing_twice() {
    let (authority, key) = (Authority::new(), SigningKey::generate().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let site = authority.leaf(&["example.org"], |_| {}).acceptor();
    let counter = Arc::clone(&connections);
    let site = raw("127.0.0.1:0", Some(site), move |mut stream| {
        counter.fetch_add(1, Ordering::SeqCst);
        async move {
            let answer = documents(r#"{"m.server": "matrix.example.org:8448"}"#);
            while let Some(text) = answer(&crate::servers::head(&mut stream).await) {
                stream.write_all(text.as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    let matrix = authority.deep_leaf(&["matrix.example.org"], |_| {}).acceptor();
    let matrix = web("127.0.0.1:0", Some(matrix), homeserver("example.org", key)).await;
    let heard = Arc::new(Mutex::new(Vec::new()));
    let records = ["example.org A 127.0.0.1", "matrix.example.org A 127.0.0.1"];
    let resolver = name_server_heard(&records, Arc::clone(&heard)).await;
    let eyes = eyes(resolver, &authority, &[(443, site.port()), (8448, matrix.port())]);
    let look = seen(&eyes, "example.org", None).await;
    let clients = look.clients.unwrap();
    assert!(clients.support.outcome.is_ok() && clients.preflight.is_ok() && clients.client.outcome.is_ok());
    // One for the document of servers, and one for all others.
    assert_eq!(connections.load(Ordering::SeqCst), 2);
    let mut questions = std::mem::take(&mut *heard.lock().unwrap());
    let all = questions.len();
    questions.sort();
    questions.dedup();
    assert_eq!(questions.len(), all, "{questions:?}");
    // Another name of the same domain: nothing is asked about what both stand on.
    seen(&eyes, "other.example.org", None).await;
    let again: Vec<String> = heard.lock().unwrap().iter().filter(|asked| questions.contains(asked)).cloned().collect();
    assert_eq!(again, Vec::<String>::new());
}

/// Where nothing answers, one attempt is enough for the documents of clients and people.
#[tokio::test]
async fn an_address_that_hangs_is_waited_for_once() {
    let authority = Authority::new();
    let silent = raw("127.0.0.1:0", None, |mut stream| async move {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let resolver = name_server(&["example.org A 127.0.0.1"]).await;
    let eyes = eyes(resolver, &authority, &[(443, silent.port()), (8448, 1)]);
    let started = Instant::now();
    let look = seen(&eyes, "example.org", None).await;
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
    let clients = look.clients.unwrap();
    assert_eq!(clients.support.silence(), clients.client.silence());
    assert_eq!(clients.client.silence(), Some(&Trouble::Timeout(Stage::Tls)));
}

#[tokio::test]
async fn every_srv_target_is_looked_at_and_needs_the_name_before_it() {
    let (authority, key) = (Authority::new(), SigningKey::generate().unwrap());
    let right = authority.leaf(&["example.org"], |_| {}).acceptor();
    let wrong = authority.leaf(&["two.example.org"], |_| {}).acceptor();
    let right = web("127.0.0.2:0", Some(right), homeserver("example.org", key.clone())).await;
    let wrong = web("127.0.0.3:0", Some(wrong), homeserver("example.org", key)).await;
    let resolver = name_server(&[
        "example.org A 127.0.0.1",
        "one.example.org A 127.0.0.2",
        "two.example.org A 127.0.0.3",
        &format!("_matrix-fed._tcp.example.org SRV {} one.example.org", right.port()),
        &format!("_matrix-fed._tcp.example.org SRV {} two.example.org", wrong.port()),
        "_matrix-fed._tcp.example.org SRV 1 one.example.org",
    ])
    .await;
    let eyes = eyes(resolver, &authority, &[(443, 1)]);
    let look = seen(&eyes, "example.org", None).await;
    assert!(matches!(look.discovery.well_known[0].outcome, Err(Stop::Trouble(Trouble::Refused))));
    let mut found: Vec<String> = look
        .targets
        .iter()
        .map(|seen| {
            let name = seen.tls.as_ref().map(|tls| tls.name.valid);
            format!("{} {:?} {name:?}", seen.target.address, seen.trouble)
        })
        .collect();
    found.sort();
    assert_eq!(found, ["127.0.0.2 None Some(true)", "127.0.0.2 Some(Refused) None", "127.0.0.3 None Some(false)"]);
    assert!(look.discovery.srv.iter().any(|srv| srv.used));
}

#[tokio::test]
async fn addresses_that_disagree_lead_to_both_places() {
    let (authority, key) = (Authority::new(), SigningKey::generate().unwrap());
    let tls = authority.leaf(&["example.org"], |_| {}).acceptor();
    let one = web("127.0.0.2:0", Some(tls.clone()), documents(r#"{"m.server": "127.0.0.9:1"}"#)).await;
    let other = format!("127.0.0.3:{}", one.port());
    web(&other, Some(tls), |_| Some(reply(404, "", ""))).await;
    let resolver =
        name_server(&["example.org A 127.0.0.2", "example.org A 127.0.0.3", "example.org A 127.0.0.4"]).await;
    let eyes = eyes(resolver, &authority, &[(443, one.port()), (8448, 1)]);
    let look = seen(&eyes, "example.org", Some(key)).await;
    assert_eq!(look.discovery.well_known.len(), 3);
    assert_eq!(look.discovery.problems, [Problem::SplitWellKnown]);
    let rules: Vec<&str> = look.targets.iter().map(|seen| seen.target.rule.number()).collect();
    assert_eq!(rules, ["6", "6", "6", "3.1"]);
    assert!(look.targets.iter().all(|seen| seen.trouble == Some(Trouble::Refused)));
}

/// Others try the next address, so a dead one is worth a word and changes nothing.
#[tokio::test]
async fn an_address_that_is_dead_decides_nothing() {
    let authority = Authority::new();
    let tls = authority.leaf(&["example.org"], |_| {}).acceptor();
    let one = web("127.0.0.2:0", Some(tls), documents(r#"{"m.server": "127.0.0.9:1"}"#)).await;
    let resolver = name_server(&["example.org A 127.0.0.2", "example.org A 127.0.0.4"]).await;
    let eyes = eyes(resolver, &authority, &[(443, one.port())]);
    let look = seen(&eyes, "example.org", None).await;
    assert_eq!((look.discovery.problems.as_slice(), look.targets.len()), (&[][..], 1));
    assert_eq!(look.targets[0].target.rule, Rule::DelegatedAddress);
    let dead = look.discovery.well_known.iter().find(|fetch| !fetch.reached()).unwrap();
    assert_eq!((dead.address, &dead.outcome), (loopback(4), &Err(Stop::Trouble(Trouble::Refused))));
}

#[tokio::test]
async fn a_document_behind_a_bad_certificate_does_not_count_and_is_shown() {
    let authority = Authority::new();
    let tls = authority.leaf(&["www.example.org"], |_| {}).acceptor();
    let site = web("127.0.0.1:0", Some(tls), documents(r#"{"m.server": "matrix.example.org:443"}"#)).await;
    let resolver = name_server(&["example.org A 127.0.0.1"]).await;
    let eyes = eyes(resolver, &authority, &[(443, site.port()), (8448, 1)]);
    let look = seen(&eyes, "example.org", None).await;
    let fetched = &look.discovery.well_known[0];
    assert_eq!(fetched.outcome, Err(Stop::Certificate));
    assert!(fetched.beginning.contains("matrix.example.org:443"));
    let tls = fetched.hops[0].tls.as_ref().unwrap();
    assert_eq!((tls.name.valid, &tls.path), (false, &Path::Trusted));
    assert_eq!(look.targets[0].target.rule, Rule::Plain);
}

#[tokio::test]
async fn websockets_are_really_opened() {
    let authority = Authority::new();
    let acceptor = authority.leaf(&["chat.example"], |_| {}).acceptor();
    // A plain page server first, then by turns: Meteor, a stranger, somebody who hangs up.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let meteor = listener.local_addr().unwrap();
    let tls = acceptor.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tls = tls.clone();
            tokio::spawn(async move {
                use futures_util::{SinkExt, StreamExt};
                use tokio_tungstenite::tungstenite::Message;
                let Ok(stream) = tls.accept(stream).await else { return };
                let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
                socket.send(Message::text(r#"{"server_id":"0"}"#)).await.unwrap();
                let Some(Ok(said)) = socket.next().await else { return };
                let said: serde_json::Value = serde_json::from_str(said.to_text().unwrap()).unwrap();
                assert_eq!(said["msg"], "connect");
                socket.send(Message::Ping(Vec::new().into())).await.unwrap();
                let greeting = format!(r#"{{"msg":"connected","session":"{}"}}"#, "x".repeat(300));
                socket.send(Message::text(greeting)).await.unwrap();
            });
        }
    });
    let answers = [
        ("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", Socket::NotUpgraded(400, "Bad Request".into())),
        ("HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n", Socket::WrongProof),
    ];
    let resolver = "127.0.0.1:9".parse().unwrap();
    let until = || Instant::now() + Duration::from_secs(5);
    let seen =
        chat::look("chat.example", loopback(1), &eyes(resolver, &authority, &[(443, meteor.port())]), until()).await;
    assert_eq!(seen.websocket, Ok(Socket::Connected));
    for (text, expected) in answers {
        let server = raw("127.0.0.1:0", Some(acceptor.clone()), move |mut stream| async move {
            crate::servers::head(&mut stream).await;
            let _ = stream.write_all(text.as_bytes()).await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
        })
        .await;
        let eyes = eyes(resolver, &authority, &[(443, server.port())]);
        let seen = chat::look("chat.example", loopback(1), &eyes, until()).await;
        assert_eq!(seen.websocket, Ok(expected));
    }
    let pages = web("127.0.0.1:0", Some(acceptor), |request| {
        let sockjs = request.contains("/sockjs/info");
        Some(reply(200, "", if sockjs { r#"{"websocket":true}"# } else { r#"{"version":"7.10","success":true}"# }))
    })
    .await;
    let seen =
        chat::look("chat.example", loopback(1), &eyes(resolver, &authority, &[(443, pages.port())]), until()).await;
    assert_eq!(seen.info.unwrap().value.as_deref(), Some("7.10"));
    assert_eq!(seen.sockjs.unwrap().value.as_deref(), Some("true"));
    assert!(seen.tls.unwrap().is_valid());
}
