//! Starting the stand-ins as processes, and stopping them whatever happens.
#![allow(dead_code)] // each test file uses its part

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A child that is killed when the test is done with it.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a binary that says "listening on ADDRESS" first; answers with that address.
pub fn start(binary: &str, arguments: &[&str]) -> (Running, String) {
    let mut command = Command::new(binary);
    let mut child = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("started");
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    out.read_line(&mut line).expect("a line");
    std::thread::spawn(move || out.read_to_end(&mut Vec::new()));
    (Running(child), line.trim().strip_prefix("listening on ").expect("an address").to_owned())
}

/// A port nobody listens on just now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port()
}

/// Sends a request as raw text and reads the answer to its end: status line and headers, then body.
pub fn http(address: &str, head: &str, body: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).expect("connected");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("set");
    let length = body.len();
    write!(stream, "{head}\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
        .expect("sent");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    answer.split_once("\r\n\r\n").map(|(head, body)| (head.to_owned(), body.to_owned())).unwrap_or_default()
}

/// A GET; answers with status and body.
pub fn get(address: &str, path: &str, headers: &str) -> (u16, String) {
    status(http(address, &format!("GET {path} HTTP/1.1{headers}"), ""))
}

/// Status and body of an answer.
pub fn status((head, body): (String, String)) -> (u16, String) {
    (head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0), body)
}

/// Waits until something is so, at most ten seconds.
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !so() {
        assert!(Instant::now() < end, "{what}: not within ten seconds");
        std::thread::sleep(Duration::from_millis(50));
    }
}
