//! The relay's process, the two servers it stands between, and who sends invites.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// What a server was asked: path with query, and body.
pub type Asked = Arc<Mutex<Vec<(String, String)>>>;

/// A server that answers each request by `answer`; it remembers nothing by itself.
pub fn serve(answer: impl Fn(&str, &str) -> (u16, String) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let answer = answer.clone();
            std::thread::spawn(move || converse(stream.unwrap(), &*answer));
        }
    });
    address
}

fn converse(mut stream: TcpStream, answer: &dyn Fn(&str, &str) -> (u16, String)) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut line, mut path, mut length, mut chunked) = (String::new(), None, 0, false);
    while reader.read_line(&mut line).is_ok_and(|read| read > 0) && line != "\r\n" {
        let lower = line.to_ascii_lowercase();
        match lower.split_once(':') {
            _ if path.is_none() => path = line.split(' ').nth(1).map(str::to_owned),
            Some(("content-length", value)) => length = value.trim().parse().unwrap(),
            Some(("transfer-encoding", value)) => chunked = value.trim() == "chunked",
            _ => {}
        }
        line.clear();
    }
    let Some(path) = path else { return };
    let mut body = Vec::new();
    loop {
        if chunked {
            let mut size = String::new();
            if !reader.read_line(&mut size).is_ok_and(|read| read > 0) {
                return;
            }
            length = usize::from_str_radix(size.trim(), 16).unwrap();
        }
        let mut part = vec![0; length];
        if reader.read_exact(&mut part).is_err() {
            return;
        }
        body.append(&mut part);
        if !chunked {
            break;
        }
        let _ = reader.read_line(&mut String::new());
        if length == 0 {
            break;
        }
    }
    let (status, text) = answer(&path, &String::from_utf8(body).unwrap());
    let _ = write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}", text.len());
}

/// A Dendrite that accepts every invite and shows it to the invited from then on.
pub fn dendrite() -> (SocketAddr, Asked) {
    let asked = Asked::default();
    let log = asked.clone();
    let address = serve(move |path, body| {
        if path.starts_with("/_matrix/client/v3/sync?") {
            let log = log.lock().unwrap();
            let accepted = log.iter().filter(|(path, _)| path.contains("/invite/"));
            let events: Vec<Value> =
                accepted.map(|(path, _)| json!({"type": "m.room.member", "event_id": id_of(path)})).collect();
            let invite = json!({"!r:a.example": {"invite_state": {"events": events}}});
            return (200, json!({"next_batch": "s", "rooms": {"invite": invite}}).to_string());
        }
        log.lock().unwrap().push((path.into(), body.into()));
        (200, r#"{"event":{}}"#.into())
    });
    (address, asked)
}

fn id_of(path: &str) -> String {
    path.rsplit('/').next().unwrap().replace("%24", "$")
}

/// A bridge that takes everything.
pub fn bridge() -> (SocketAddr, Asked) {
    let asked = Asked::default();
    let log = asked.clone();
    let address = serve(move |path, body| {
        log.lock().unwrap().push((path.into(), body.into()));
        (200, "{}".into())
    });
    (address, asked)
}

/// The relay, ended with the test.
pub struct Relay {
    pub child: Child,
    pub address: SocketAddr,
}

impl Relay {
    /// Starts it with its journal in `place`; `fault` is where it is to die.
    pub fn start(place: &Path, dendrite: SocketAddr, bridge: SocketAddr, fault: &str, more: &str) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = place.join("relay.toml");
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&config).unwrap();
        write!(
            file,
            "listen = \"{address}\"\nbridge_url = \"http://{bridge}\"\nhomeserver_url = \"http://{dendrite}\"\n\
             appservice_id = \"id\"\nas_token = \"as\"\nhs_token = \"hs\"\njournal = \"{}\"\n{more}\n\
             [pace]\nfirst = 20\nlongest = 500\ngrace = 600\n",
            place.display()
        )
        .unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_rcfed"));
        command.args(["relay", "--config"]).arg(&config).env("RCFED_FAULT", fault);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let relay = Self { child, address };
        until("it listens", || TcpStream::connect(address).is_ok());
        relay
    }

    /// Sends a request and reads the answer to its end; `None` if the connection breaks off.
    pub fn ask(&self, method: &str, path: &str, token: &str, body: &[u8]) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: b.example\r\nAuthorization: {token}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n"
        )
        .ok()?;
        stream.write_all(body).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    /// Sends an invite; the status, `None` if no answer came.
    pub fn invite(&self, id: &str) -> Option<u16> {
        let event = json!({
            "type": "m.room.member", "room_id": "!r:a.example", "sender": "@ann:a.example",
            "state_key": "@bob:b.example", "content": {"membership": "invite"}, "origin_server_ts": 5,
        });
        let body = json!({"room_version": "10", "event": event, "invite_room_state": []}).to_string();
        let path = format!("/_matrix/federation/v2/invite/%21r:a.example/{}", id.replace('$', "%24"));
        Some(self.ask("PUT", &path, "X-Matrix origin=a.example,key=\"ed25519:1\",sig=\"AA\"", body.as_bytes())?.0)
    }

    pub fn health(&self) -> Value {
        serde_json::from_str(&self.ask("GET", "/health", "-", b"").unwrap().1).unwrap()
    }

    /// Until nothing waits.
    pub fn drained(&self, longest: Duration) {
        let begun = Instant::now();
        while self.health()["invites"] != 0 {
            assert!(begun.elapsed() < longest, "{}", self.health());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kilobytes: resident now without the program itself, and the most there were with it. A build for tests is large; what
    /// is promised is about the whole of one for release.
    pub fn memory(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let of = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        (of("RssAnon:"), of("VmHWM:"))
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Until something is so.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(30), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
