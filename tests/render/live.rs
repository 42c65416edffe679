//! Requests through a real nginx to servers that repeat, byte for byte, what they were sent.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use rcfed::config::{Profile, Proxy};
use rcfed::render::digests;
use rcfed::sizes::Sizes;
use rustls::pki_types::ServerName;

use crate::nginx::{Nginx, Running, is_there};
use crate::{NAMES, config, files};

const S: &str = "example.org";
const C: &str = "chat.example.org";
const M: &str = "matrix.example.org";

#[test]
fn the_request_line_arrives_byte_for_byte() {
    let Some(bed) = Bed::new(Profile::Dendrite, Proxy::Gateway) else { return };
    for path in [
        "/_matrix/federation/v1/event/%24a%2Fb?x=%40",
        "/_matrix//federation/v1/version",
        "//_matrix/federation/v1/version",
        "/_matrix/client/v3/directory/room/%23a%3Aexample.org?a=b?c&d=%2F",
        "/_matrix/client/v3/rooms/!a:b/state/m.x/..%20not%20climbing",
    ] {
        let line = format!("GET {path} HTTP/1.1");
        let answer = bed.https(M, &line, "Host: matrix.example.org:443\r\nX-Forwarded-For: 192.0.2.7\r\n");
        assert!(answer.contains(&format!("homeserver\n{line}\r\nHost: matrix.example.org:443\r\n")), "{answer}");
        assert!(answer.contains("\r\nX-Forwarded-For: 127.0.0.1\r\n") && !answer.contains("192.0.2.7"), "{answer}");
        assert!(answer.contains("\r\nX-Forwarded-Proto: https\r\n"));
    }
    // An invite has to pass the relay, or the bridge never hears of it.
    let invite = bed.https(
        M,
        "PUT /_matrix/federation/v2/invite/!r:x/%24e HTTP/1.1",
        "Host: matrix.example.org\r\nContent-Length: 2\r\n\r\n{}",
    );
    assert!(invite.contains("relay\nPUT /_matrix/federation/v2/invite/!r:x/%24e HTTP/1.1"), "{invite}");
}

#[test]
fn what_is_not_for_the_public_is_not_there() {
    let Some(bed) = Bed::new(Profile::Synapse, Proxy::Gateway) else { return };
    for path in [
        "/_dendrite/admin/x",
        "/_synapse/admin/v1/register",
        "/_synapse/admin",
        "/_synapse",
        "/metrics",
        "/_matrix/media/r0/download/a/b",
        "/_matrix/media/v1/thumbnail/a/b",
        "/_matrix/media/v3/download/a/b/c.png",
        "/_matrix/media/v3/%64ownload/a/b",
        "/_matrix/media//v3//download/a/b",
        "/_matrix/x/../../_synapse/admin/v1/users",
        "/_synapse/admin/v1/users/..%2F..%2F..%2F..%2F_matrix%2Fx",
        "/_matrix/media/v3/download/a/b/..%2f..%2f..%2f..%2f..%2f..%2f_matrix%2fclient",
        "/_matrix/media/v3/download/a/b/%2E%2e/.%2e/../../../../../_matrix/client",
    ] {
        for host in [S, C, M] {
            // 400 is nginx's own answer to a path that climbs above the root.
            assert!(matches!(status(&bed.get(host, path)), 400 | 404), "{host}{path}");
        }
    }
    for path in ["/_matrix/client/v1/media/download/a/b", "/_matrix/media/v3/upload", "/_synapse/client/x"] {
        assert!(bed.get(M, path).contains("homeserver\nGET "), "{path}");
    }
    assert_eq!(status(&bed.get(C, "/_matrix/client/versions")), 404);
    assert_eq!(status(&bed.https(C, "GET / HTTP/1.1", "Host: other.example\r\n")), 421);
    let crossed = bed.https(C, "GET /_synapse/admin HTTP/1.1", "Host: matrix.example.org\r\n");
    assert_eq!(status(&crossed), 404);
}

#[test]
fn the_federated_domain_answers_what_others_ask_of_it() {
    let Some(bed) = Bed::new(Profile::Dendrite, Proxy::Gateway) else { return };
    for (path, json) in [
        ("/.well-known/matrix/server", r#"{"m.server":"matrix.example.org:443"}"#),
        ("/.well-known/matrix/client", r#"{"m.homeserver":{"base_url":"https://matrix.example.org"}}"#),
    ] {
        let get = bed.get(S, path);
        assert!(get.ends_with(&format!("\r\n\r\n{json}")), "{get}");
        assert!(get.contains("\r\nContent-Type: application/json\r\n"), "{get}");
        let options = bed.https(S, &format!("OPTIONS {path} HTTP/1.1"), "Host: example.org\r\n");
        assert_eq!((status(&get), status(&options)), (200, 204));
        for answer in [get, options] {
            assert_eq!(answer.matches("Access-Control-Allow-Origin: *\r\n").count(), 1, "{answer}");
            assert!(answer.contains("Access-Control-Allow-Methods: GET, POST, PUT, DELETE, OPTIONS\r\n"));
        }
    }
    let path = "/_matrix/client/v3/register/available?username=ada";
    assert!(bed.get(S, path).contains(&format!("homeserver\nGET {path} HTTP/1.1")));
    let post = bed.https(S, &format!("POST {path} HTTP/1.1"), "Host: example.org\r\nContent-Length: 0\r\n");
    assert_eq!(status(&post), 403);
    assert_eq!(status(&bed.get(S, "/_matrix/client/v3/register")), 404);
    let home = bed.get(S, "/anything");
    assert!(status(&home) == 302 && home.contains("\r\nLocation: https://chat.example.org/\r\n"), "{home}");
    assert!(!home.contains("Strict-Transport-Security"));
}

#[test]
fn websockets_reach_rocketchat_and_nothing_else_is_upgraded() {
    let Some(bed) = Bed::new(Profile::Dendrite, Proxy::Gateway) else { return };
    let upgrade = "Host: chat.example.org\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n";
    for path in ["/websocket", "/sockjs/123/abc/websocket"] {
        let answer = bed.https(C, &format!("GET {path} HTTP/1.1"), upgrade);
        assert_eq!(status(&answer), 101);
        assert!(answer.contains("\r\nUpgrade: websocket\r\n") && answer.contains("rocketchat\nGET "), "{answer}");
        assert!(answer.contains("\r\nConnection: upgrade\r\n"), "{answer}");
    }
    let smuggled =
        bed.https(C, "GET /websocket HTTP/1.1", "Host: chat.example.org\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n");
    assert!(status(&smuggled) == 200 && !smuggled.contains("h2c"), "{smuggled}");
    let page = bed.get(C, "/channel/general?token=1");
    assert!(page.contains("rocketchat\nGET /channel/general?token=1 HTTP/1.1"), "{page}");
    assert!(page.contains("\r\nStrict-Transport-Security: max-age=31536000\r\n"));
    bed.get(C, "/hooks/abc/topsecret");
    let log = std::fs::read_to_string(bed.nginx.path("access.log")).unwrap();
    assert!(log.contains("\"GET /channel/general HTTP/1.1\" 200"), "{log}");
    assert!(!log.contains("token") && !log.contains("topsecret"), "{log}");
}

#[test]
fn port_80_and_the_inner_door() {
    let Some(bed) = Bed::new(Profile::Dendrite, Proxy::Gateway) else { return };
    std::fs::write(bed.nginx.path("challenges/token-1"), "token-1.thumb").unwrap();
    for host in [S, C, M] {
        let challenge = bed.http(80, host, "/.well-known/acme-challenge/token-1");
        assert!(challenge.ends_with("\r\n\r\ntoken-1.thumb") && challenge.contains("Content-Type: text/plain\r\n"));
        let other = bed.http(80, host, "/a?b=%20");
        assert!(status(&other) == 301 && other.contains(&format!("Location: https://{host}/a?b=%20\r\n")), "{other}");
    }
    assert_eq!(status(&bed.http(80, "other.example", "/")), 404);
    assert_eq!(status(&bed.http(80, S, "/.well-known/acme-challenge/../certificate/pair.pem")), 301);
    assert_eq!(status(&bed.http(80, S, "/.well-known/acme-challenge/..%2fcertificate/pair.pem")), 301);

    let expected =
        digests(&config(Profile::Dendrite, NAMES[0], Proxy::Gateway), &Sizes::for_memory(2048, false)).unwrap();
    assert!(bed.http(8008, "gateway", "/rcfed/http").ends_with(&format!("\r\n\r\n{}", expected.http)));
    assert!(bed.http(8010, "gateway", "/").ends_with(&format!("\r\n\r\n{}", expected.site)));
    assert!(
        bed.http(8008, "gateway", "/_matrix/media/r0/download/a/b%2F")
            .contains("homeserver\nGET /_matrix/media/r0/download/a/b%2F ")
    );
    assert!(bed.http(8008, "gateway", "/_matrix/client/v1/appservice/abc/ping").contains("relay\nGET "));
    assert_eq!(status(&bed.http(8008, "gateway", "/_dendrite/admin")), 404);
}

#[test]
fn behind_another_proxy_its_word_counts() {
    let Some(bed) = Bed::new(Profile::Native, Proxy::Host) else { return };
    let head = format!("GET /_matrix/key/v2/server HTTP/1.1\r\nHost: {S}\r\nX-Forwarded-For: 192.0.2.1, 192.0.2.7\r\n");
    let answer = bed.plain(8080, &head);
    assert!(answer.contains("rocketchat\nGET /_matrix/key/v2/server"), "{answer}");
    assert!(answer.contains("\r\nX-Forwarded-For: 192.0.2.7\r\n"), "{answer}");
    assert!(answer.contains("\r\nX-Forwarded-Proto: https\r\n"), "{answer}");
    assert!(bed.http(8080, S, "/.well-known/matrix/server").ends_with(r#"{"m.server":"example.org:443"}"#));
    let client = bed.http(8080, S, "/.well-known/matrix/client");
    assert!(status(&client) == 404 && client.contains("Access-Control-Allow-Origin: *"), "{client}");
}

/// nginx in front of three servers that repeat what they are sent, and a name server that knows all three.
struct Bed {
    nginx: Nginx,
    ports: BTreeMap<u16, u16>,
    _running: Running,
}

impl Bed {
    fn new(profile: Profile, proxy: Proxy) -> Option<Self> {
        if !is_there() {
            return None;
        }
        let mut replace = BTreeMap::new();
        for (name, port) in [("homeserver", 8008), ("rocketchat", 3000), ("relay", 8080)] {
            replace.insert(format!("set $upstream {name}:{port}"), format!("set $upstream {name}:{}", upstream(name)));
        }
        replace.insert("resolver 127.0.0.11 ".into(), format!("resolver 127.0.0.1:{} ", name_server()));
        let ports: BTreeMap<u16, u16> = [80, 443, 8008, 8010, 8080].map(|port| (port, free_port())).into();
        for (from, to) in &ports {
            for end in [";", " "] {
                replace.insert(format!("listen {from}{end}"), format!("listen 127.0.0.1:{to}{end}"));
            }
        }
        let nginx = Nginx::new(&files(&config(profile, NAMES[0], proxy), false), true, &replace);
        let mut running = nginx.start();
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", ports[&8010])).is_err() {
            assert!(running.ended().is_none_or(|said| panic!("nginx ended: {said}")));
            assert!(Instant::now() < deadline, "nginx does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(Self { nginx, ports, _running: running })
    }

    fn get(&self, host: &str, path: &str) -> String {
        self.https(host, &format!("GET {path} HTTP/1.1"), &format!("Host: {host}\r\n"))
    }

    fn http(&self, port: u16, host: &str, path: &str) -> String {
        self.plain(port, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n"))
    }

    fn plain(&self, port: u16, head: &str) -> String {
        talk(self.connect(port), head)
    }

    /// Sends a request over TLS; `rest` is headers, or headers and a body.
    fn https(&self, name: &str, line: &str, rest: &str) -> String {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.nginx.certificate.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let session = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        talk(rustls::StreamOwned::new(session, self.connect(443)), &format!("{line}\r\n{rest}"))
    }

    fn connect(&self, port: u16) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.ports[&port])).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }
}

/// Sends a head that lacks its empty line, or a whole request, and reads to the end of the connection.
fn talk(mut stream: impl Read + Write, request: &str) -> String {
    let (head, body) = request.split_once("\r\n\r\n").unwrap_or((request.trim_end(), ""));
    let close = if head.contains("\r\nConnection:") { "" } else { "\r\nConnection: close" };
    stream.write_all(format!("{head}{close}\r\n\r\n{body}").as_bytes()).unwrap();
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    // A peer that just closes is an end like any other.
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        answer.extend_from_slice(&buffer[..length]);
        if close.is_empty() && answer.ends_with(b"\n.") {
            break;
        }
    }
    String::from_utf8(answer).unwrap()
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("no answer: {answer:?}"))
}

/// A port that nobody has, and that the kernel gives to nobody who does not ask for it: it gives those from 32768 on.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let own = u16::try_from(std::process::id() % 100).unwrap() * 100;
        let port = 20_000 + (own + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Answers with its name and the head it was sent, or switches protocols and then says the same.
fn upstream(name: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
                head.push(byte[0]);
            }
            let body = format!("{name}\n{}\n.", String::from_utf8_lossy(&head));
            let upgraded = body.contains("\r\nUpgrade: ");
            let start = if upgraded { "101 Switching Protocols" } else { "200 OK" };
            let more = if upgraded { "Upgrade: websocket\r\nConnection: Upgrade" } else { "Connection: close" };
            let _ = write!(stream, "HTTP/1.1 {start}\r\nContent-Length: {}\r\n{more}\r\n\r\n{body}", body.len());
        }
    });
    port
}

/// Says that every name is at 127.0.0.1, as Docker's name server does for the names of containers.
fn name_server() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
            let mut answer = buffer[..length].to_vec();
            // A response without error, one question, one answer.
            answer[2..8].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1]);
            // The name of the question, A, IN, one second, four bytes.
            answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 0, 0, 1]);
            let _ = socket.send_to(&answer, peer);
        }
    });
    port
}
