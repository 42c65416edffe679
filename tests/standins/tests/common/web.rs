//! HTTP by hand: a client, and a homeserver that does what the bridge needs of one.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// One request; status and body, as JSON where it is JSON.
pub fn request(port: u16, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> (u16, Value) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let body = body.map(Value::to_string).unwrap_or_default();
    let mut text =
        format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    write!(stream, "{text}\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head[9..12].parse().unwrap();
    if status == 200 {
        assert!(head.to_lowercase().contains("content-length:"), "{head}");
    }
    (status, serde_json::from_str(body).unwrap_or_else(|_| json!(body)))
}

/// A homeserver and a federation tester in one: it pings the bridge when it is asked to, and notes what it was asked.
pub struct Homeserver {
    pub port: u16,
    pub log: Arc<Mutex<Vec<String>>>,
}

impl Homeserver {
    pub fn start(bridge: u16, hs_token: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        let into = Arc::clone(&log);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let into = Arc::clone(&into);
                std::thread::spawn(move || one(stream, bridge, hs_token, &into));
            }
        });
        Self { port, log }
    }
}

fn one(mut stream: TcpStream, bridge: u16, hs_token: &str, log: &Mutex<Vec<String>>) {
    let head = head(&mut stream);
    let line = head.lines().next().unwrap_or_default().to_owned();
    let authorized = head.to_lowercase().contains("authorization: bearer as-token");
    log.lock().unwrap().push(format!("{}{line}", if authorized { "as " } else { "" }).replace(" HTTP/1.1", ""));
    let (status, body) = if line.contains("/api/federation-ok?server_name=chat.test ") {
        (200, "GOOD".to_owned())
    } else if !authorized {
        (401, json!({ "errcode": "M_UNKNOWN_TOKEN" }).to_string())
    } else if line.starts_with("POST /_matrix/client/v1/appservice/rcfed/ping ") {
        let token = format!("Bearer {hs_token}");
        let (status, _) = request(bridge, "POST", "/_matrix/app/v1/ping", &[("Authorization", &token)], None);
        assert_eq!(status, 200);
        (200, json!({ "duration_ms": 3 }).to_string())
    } else if line.contains("/register") {
        (400, json!({ "errcode": "M_USER_IN_USE" }).to_string())
    } else if line.contains("/send/") {
        (200, json!({ "event_id": "$sent" }).to_string())
    } else if line.contains("/join/") || line.contains("/createRoom") {
        (200, json!({ "room_id": "!new:chat.test" }).to_string())
    } else {
        (404, json!({ "errcode": "M_UNRECOGNIZED" }).to_string())
    };
    let _ = write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
}

/// The head of a request; its body is read too, and left aside.
fn head(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.to_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return head.to_owned();
            }
        }
        match stream.read(&mut buffer) {
            Ok(count) if count > 0 => bytes.extend_from_slice(&buffer[..count]),
            _ => return text,
        }
    }
}
