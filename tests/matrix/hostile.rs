//! Servers that want to cost something: each is over within its time and its bytes.

use std::net::SocketAddr;
use std::time::Duration;

use rcfed::host::net::exchange::{Answer, End, Request, Stage, Trouble, Wire};
use rcfed::matrix::server_name::ServerName;
use rcfed::matrix::well_known::{self, Fault, Fetch, Kind, Stop, fetch};
use rcfed::matrix::{Wishes, look};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use crate::servers::{Authority, Talk, eyes, head, loopback, name_server, raw, reply, web};

const CAP: usize = 1000;
/// Far longer than any limit below; reached only if there is none.
const FOR_EVER: Duration = Duration::from_secs(20);

fn soon(milliseconds: u64) -> Instant {
    Instant::now() + Duration::from_millis(milliseconds)
}

async fn open(server: SocketAddr, until: Instant) -> Wire {
    eyes("127.0.0.1:9".parse().unwrap(), &Authority::new(), &[]).open(server, None, until).await.unwrap()
}

async fn ask(server: SocketAddr, until: Instant) -> Result<Answer, Trouble> {
    let request = Request { method: "GET", target: "/", host: "a.example", headers: &[], body: CAP };
    let mut wire = open(server, until).await;
    timeout(FOR_EVER, wire.exchange(&request)).await.unwrap()
}

/// Reads the request, sends `start`, and then `again` for ever, with a pause in between.
async fn endless(start: &'static [u8], again: &'static [u8], pause: u64) -> SocketAddr {
    raw("127.0.0.1:0", None, move |mut stream| async move {
        head(&mut stream).await;
        let mut sent = stream.write_all(start).await;
        while sent.is_ok() {
            if pause > 0 {
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
            sent = stream.write_all(again).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_body_without_end_is_cut_at_the_cap() {
    for (start, again) in [
        (&b"HTTP/1.1 200 OK\r\n\r\n"[..], &[b'x'; 5000][..]),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n", &[b'x'; 5000]),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"a\r\n0123456789\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n", &[b'x'; 5000]),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9999999999\r\n\r\n\x1f\x8b\x08", &[0; 5000]),
    ] {
        let answer = ask(endless(start, again, 0).await, soon(5000)).await.unwrap();
        assert_eq!((answer.end, answer.body.len()), (End::Capped, CAP));
    }
}

#[tokio::test]
async fn a_head_without_end_is_given_up() {
    assert_eq!(
        ask(endless(b"HTTP/1.1 200 OK\r\nX: ", &[b'x'; 5000], 0).await, soon(5000)).await,
        Err(Trouble::LongHead)
    );
    let many = ask(endless(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n", 0).await, soon(5000)).await;
    assert_eq!(many, Err(Trouble::LongHead));
    let interim = ask(endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0).await, soon(5000)).await;
    assert!(matches!(interim, Err(Trouble::Other(_))), "{interim:?}");
    let other = ask(endless(b"SSH-2.0-OpenSSH_9.6\r\n", b"", 100).await, soon(5000)).await;
    assert_eq!(other, Err(Trouble::NotHttp("SSH-2.0-OpenSSH_9.6\r\n".into())));
}

#[tokio::test]
async fn the_slow_are_left_behind() {
    let slow = endless(b"HTTP/1.1 200 OK\r\nX: ", b"x", 20).await;
    assert_eq!(ask(slow, soon(300)).await, Err(Trouble::Timeout(Stage::Head)));
    let slow = endless(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", b"x", 20).await;
    // Long enough for the head on a machine that has much to do.
    let answer = ask(slow, soon(1500)).await.unwrap();
    assert_eq!(answer.end, End::Late);
    assert!(!answer.body.is_empty() && answer.body.len() < 100);
    let silent = raw("127.0.0.1:0", None, |mut stream| async move {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    assert_eq!(ask(silent, soon(300)).await, Err(Trouble::Timeout(Stage::Head)));
    let eyes = eyes(silent, &Authority::new(), &[]);
    let tls = timeout(FOR_EVER, eyes.open(silent, Some("a.example"), soon(300))).await.unwrap();
    assert_eq!(tls.unwrap_err(), Trouble::Timeout(Stage::Tls));
}

#[tokio::test]
async fn broken_answers_are_called_broken() {
    for (text, end) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", End::Cut),
        ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nabc", End::Cut),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc", End::Cut),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", End::Whole),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n", End::Cut),
        ("HTTP/1.0 200 OK\r\n\r\nabc", End::Whole),
        ("HTTP/1.1 204 No\r\n\r\n", End::Whole),
    ] {
        let server = raw("127.0.0.1:0", None, move |mut stream: Box<dyn Talk>| async move {
            head(&mut stream).await;
            let _ = stream.write_all(text.as_bytes()).await;
            let _ = stream.shutdown().await;
        })
        .await;
        assert_eq!(ask(server, soon(5000)).await.map(|answer| answer.end), Ok(end), "{text}");
    }
    let plain = web("127.0.0.1:0", None, |_| Some("HTTP/1.1 400 Bad\r\n\r\n".into())).await;
    let hasty = raw("127.0.0.1:0", None, |mut stream| async move {
        let _ = stream.read_u8().await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let eyes = eyes(plain, &Authority::new(), &[]);
    assert_eq!(eyes.open(hasty, Some("a.example"), soon(3000)).await.unwrap_err(), Trouble::NotTls);
    let nobody = "127.0.0.1:1".parse().unwrap();
    assert_eq!(eyes.open(nobody, None, soon(3000)).await.unwrap_err(), Trouble::Refused);
}

#[tokio::test]
async fn private_addresses_are_not_touched_unless_allowed() {
    let mut eyes = eyes("127.0.0.1:9".parse().unwrap(), &Authority::new(), &[]);
    eyes.private_allowed = false;
    for address in ["127.0.0.1:1", "10.0.0.1:1", "169.254.169.254:80", "[::1]:1", "[fd00::1]:1"] {
        let opened = eyes.open(address.parse().unwrap(), None, soon(1000)).await;
        assert_eq!(opened.unwrap_err(), Trouble::Private, "{address}");
    }
}

/// The server document of `a.example` at a server that answers like this.
async fn document(answer: impl Fn(&str) -> String + Clone + Send + Sync + 'static) -> Fetch<ServerName> {
    let authority = Authority::new();
    let resolver = name_server(&["a.example A 127.0.0.1"]).await;
    let tls = authority.leaf(&["a.example", "b.example"], |_| {}).acceptor();
    let server = web("127.0.0.1:0", Some(tls), move |request| Some(answer(request))).await;
    let eyes = eyes(resolver, &authority, &[(443, server.port())]);
    let fetched = fetch(Kind::Server, "a.example", loopback(1), well_known::server, &eyes, soon(8000));
    timeout(FOR_EVER, fetched).await.unwrap()
}

#[tokio::test]
async fn redirects_end() {
    let longer = document(|request| {
        let path = request.split(' ').nth(1).unwrap();
        reply(302, &format!("Location: {path}x\r\n"), "")
    })
    .await;
    assert_eq!((longer.outcome, longer.hops.len()), (Err(Stop::TooManyHops), 21));
    let circle = document(|_| reply(301, "Location: https://a.example/.well-known/matrix/server#x\r\n", "")).await;
    assert_eq!((circle.outcome, circle.hops.len()), (Err(Stop::Loop), 1));
    for (location, stop) in [
        ("Location: ftp://a.example/\r\n", Stop::BadLocation),
        ("Location: https://\r\n", Stop::BadLocation),
        ("", Stop::BadLocation),
        ("Location: https://nowhere.example/\r\n", Stop::NoAddress("nowhere.example".into())),
    ] {
        let stopped = document(move |_| reply(308, location, "")).await;
        assert_eq!(stopped.outcome, Err(stop), "{location}");
        assert_eq!(stopped.cache.believed, 3600);
    }
}

#[tokio::test]
async fn documents_are_as_large_and_as_good_as_others_take_them() {
    let good = r#"{"m.server": "b.example:443"}"#;
    let padded = |length: usize| format!("{good}{}", " ".repeat(length - good.len()));
    let (fits, over) = (padded(51_200), padded(51_201));
    let fetched = document(move |_| reply(200, "Cache-Control: max-age=60\r\n", &fits)).await;
    assert_eq!(fetched.outcome.unwrap().as_str(), "b.example:443");
    assert_eq!((fetched.cache.stated, fetched.cache.believed), (Some(60), 300));
    assert_eq!(document(move |_| reply(200, "", &over)).await.outcome, Err(Stop::TooLarge));
    let html = document(|_| reply(200, "Content-Type: text/html\r\n", "<!doctype html><p>Welcome")).await;
    assert_eq!(
        (html.outcome, html.beginning.as_str()),
        (Err(Stop::Document(Fault::Html)), "<!doctype html><p>Welcome")
    );
    assert_eq!(document(|_| reply(404, "", "no")).await.outcome, Err(Stop::Status(404)));
    let hop = document(move |request| match request.split(' ').nth(1).unwrap() {
        "/.well-known/matrix/server" => {
            reply(307, "Location: /elsewhere?a=%2F\r\nAccess-Control-Allow-Origin: *\r\n", "")
        }
        "/elsewhere?a=%2F" => reply(200, "", good),
        other => panic!("{other}"),
    })
    .await;
    assert_eq!(hop.outcome.unwrap().as_str(), "b.example:443");
    assert_eq!(
        (hop.hops[0].location.as_deref(), hop.hops[0].cors.allows_everybody()),
        (Some("/elsewhere?a=%2F"), true)
    );
    assert!(!hop.hops[1].cors.allows_everybody());
}

/// Every request is answered with a body that never ends, slowly; the look is over at its deadline all the same.
#[tokio::test]
async fn a_whole_look_ends_at_its_deadline() {
    let authority = Authority::new();
    let resolver = name_server(&["a.example A 127.0.0.1"]).await;
    let tls = authority.leaf(&["a.example"], |_| {}).acceptor();
    let server = raw("127.0.0.1:0", Some(tls), |mut stream| async move {
        head(&mut stream).await;
        let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while sent.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
            sent = stream.write_all(b" ").await;
        }
    })
    .await;
    let eyes = eyes(resolver, &authority, &[(443, server.port()), (8448, server.port())]);
    let wishes = Wishes { deadline: Duration::from_millis(700), ..Wishes::default() };
    let name = ServerName::parse("a.example").unwrap();
    let seen = timeout(FOR_EVER, look(&name, &eyes, &wishes)).await.unwrap();
    assert_eq!(seen.discovery.well_known[0].outcome, Err(Stop::Unfinished(End::Late)));
    assert_eq!(seen.discovery.targets.len(), 1);
}
