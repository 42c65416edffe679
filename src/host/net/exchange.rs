//! HTTP/1.1 for diagnosis: one stream, requests byte for byte as given, and everything seen on the way; and one question over
//! HTTP/2, which a library asks.
//!
//! An HTTP library repairs what a doctor has to see: it re-encodes paths, follows, decompresses, forgets times, and trusts
//! the length that a stranger promises. Here nothing is repaired, and everything has a limit: the time of the whole
//! exchange, the bytes of the head, the bytes of the body. No encoding is offered and none undone, so a compressed bomb
//! is only as large as its bytes.

mod body;
mod head;
mod http2;
mod open;
mod trouble;

use std::net::SocketAddr;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

pub use head::{Head, parse as parse_head};
pub use open::{Alpn, Clients, Tls};
pub use trouble::{Stage, Trouble};

/// What one stranger may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most that connecting may take, TCP and TLS each.
    pub connect: Duration,
    /// When everything has to be over.
    pub until: Instant,
    /// The longest head of an answer, in bytes.
    pub head: usize,
}

/// Our own name in requests.
pub const AGENT: &str = concat!("rcfed/", env!("CARGO_PKG_VERSION"));

/// The longest head that is read, in bytes.
pub const LONGEST_HEAD: usize = 64 * 1024;

/// Interim answers (status 1xx) that are passed over before the real one.
const MOST_INTERIM: usize = 4;

/// One request. Nothing of it is encoded or checked: it is sent as it stands.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// `GET` and the like.
    pub method: &'a str,
    /// Path and query, byte for byte.
    pub target: &'a str,
    /// The value of `Host`.
    pub host: &'a str,
    /// More headers. `Accept-Encoding: identity` is always sent, and our own `User-Agent` if there is no other.
    pub headers: &'a [(&'a str, &'a str)],
    /// The most that is kept of the answer's body, in bytes.
    pub body: usize,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The statuses of interim answers that came first.
    pub interim: Vec<u16>,
    /// Status line and headers.
    pub head: Head,
    /// The body, or its beginning.
    pub body: Vec<u8>,
    /// How the body ended.
    pub end: End,
    /// From the first byte sent to the last one read.
    pub took: Duration,
}

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// It was all there.
    Whole,
    /// It is longer than what is kept.
    Capped,
    /// The connection ended before the promised length, or the chunks make no sense.
    Cut,
    /// Time was over.
    Late,
}

/// What the other side showed while TLS began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// The certificates as presented, the leaf first; not judged.
    pub chain: Vec<CertificateDer<'static>>,
    /// `TLS 1.2` or `TLS 1.3`.
    pub protocol: &'static str,
    /// The protocol agreed on, e.g. `http/1.1`.
    pub alpn: Option<String>,
}

/// A connection, open for one exchange after another.
pub struct Wire {
    stream: Box<dyn Stream>,
    /// Read and not used yet.
    buffer: Vec<u8>,
    limits: Limits,
    reusable: bool,
    /// Whom it leads to.
    pub peer: SocketAddr,
    /// From the first packet until requests could be sent.
    pub connected_in: Duration,
    /// What TLS showed, if it was spoken.
    pub handshake: Option<Handshake>,
}

/// Anything that bytes can be read from and written to.
trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

impl Wire {
    /// Whether another request may be sent: the last answer was whole and nobody wants to close.
    pub fn is_reusable(&self) -> bool {
        self.reusable
    }

    /// Sends `request` and reads the answer with its body.
    ///
    /// # Errors
    /// If there is no head of an answer. A body that ends badly is in [`Answer::end`].
    pub async fn exchange(&mut self, request: &Request<'_>) -> Result<Answer, Trouble> {
        let started = Instant::now();
        let (interim, head) = self.ask(request).await?;
        let (body, end) = self.body(&head, request).await;
        self.reusable = end == End::Whole && head.keeps_alive() && self.buffer.is_empty();
        Ok(Answer { interim, head, body, end, took: started.elapsed() })
    }

    /// Sends `request` with `Expect: 100-continue` for a body of `length` bytes that is never sent, and returns the
    /// first answer, be it interim or not. The connection is of no use afterwards.
    pub async fn expect(&mut self, request: &Request<'_>, length: u64) -> Result<Head, Trouble> {
        let length = length.to_string();
        let mut headers = vec![("Content-Length", length.as_str()), ("Expect", "100-continue")];
        headers.extend(request.headers);
        self.send(&Request { headers: &headers, ..*request }).await?;
        self.head().await
    }

    /// Sends `request` and reads heads until one is not interim, or is 101 (the stream then speaks another protocol).
    pub async fn ask(&mut self, request: &Request<'_>) -> Result<(Vec<u16>, Head), Trouble> {
        self.send(request).await?;
        let mut interim = Vec::new();
        loop {
            let head = self.head().await?;
            if head.status >= 200 || head.status == 101 {
                return Ok((interim, head));
            }
            interim.push(head.status);
            if interim.len() > MOST_INTERIM {
                return Err(Trouble::interim(MOST_INTERIM));
            }
        }
    }

    /// Writes bytes that are no HTTP.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        let written = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        match timeout_at(self.limits.until, written).await {
            Ok(written) => written.map_err(|error| Trouble::of(&error, Stage::Request)),
            Err(_) => Err(Trouble::Timeout(Stage::Request)),
        }
    }

    /// Reads exactly `length` bytes that are no HTTP; the caller has limited `length`.
    pub async fn read(&mut self, length: usize) -> Result<Vec<u8>, Trouble> {
        while self.buffer.len() < length {
            if self.fill(Stage::Body).await? == 0 {
                return Err(Trouble::Closed(Stage::Body));
            }
        }
        Ok(self.buffer.drain(..length).collect())
    }

    async fn send(&mut self, request: &Request<'_>) -> Result<(), Trouble> {
        self.reusable = false;
        let mut text = format!("{} {} HTTP/1.1\r\nHost: {}\r\n", request.method, request.target, request.host);
        text += "Accept-Encoding: identity\r\n";
        if !request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("User-Agent")) {
            text += &format!("User-Agent: {AGENT}\r\n");
        }
        for (name, value) in request.headers {
            text += &format!("{name}: {value}\r\n");
        }
        text += "\r\n";
        self.write(text.as_bytes()).await
    }

    async fn head(&mut self) -> Result<Head, Trouble> {
        let mut seen = 0;
        loop {
            // Whoever sends byte by byte must not make us parse everything anew each time.
            if let Some(end) = head::end(&self.buffer, seen) {
                let bytes: Vec<u8> = self.buffer.drain(..end).collect();
                return head::parse(&bytes);
            }
            seen = self.buffer.len();
            if seen > self.limits.head {
                return Err(Trouble::LongHead);
            }
            if !head::may_begin(&self.buffer) {
                return Err(Trouble::NotHttp(beginning(&self.buffer)));
            }
            if self.fill(Stage::Head).await? == 0 {
                return Err(if seen == 0 {
                    Trouble::Closed(Stage::Head)
                } else {
                    Trouble::NotHttp(beginning(&self.buffer))
                });
            }
        }
    }

    /// Reads once; the number of bytes that came.
    async fn fill(&mut self, stage: Stage) -> Result<usize, Trouble> {
        let mut piece = [0; 8192];
        match timeout_at(self.limits.until, self.stream.read(&mut piece)).await {
            Ok(Ok(length)) => {
                self.buffer.extend_from_slice(piece.get(..length).unwrap_or_default());
                Ok(length)
            }
            Ok(Err(error)) => Err(Trouble::of(&error, stage)),
            Err(_) => Err(Trouble::Timeout(stage)),
        }
    }
}

#[cfg(test)]
impl Wire {
    /// A connection to somebody who sends these bytes and then closes.
    pub(crate) fn of_bytes(bytes: Vec<u8>) -> Self {
        let stream = tokio::io::join(std::io::Cursor::new(bytes), tokio::io::sink());
        let peer = SocketAddr::from(([127, 0, 0, 1], 0));
        let limits = Limits::until(Instant::now() + Duration::from_secs(5));
        let (buffer, connected_in, handshake) = (Vec::new(), Duration::ZERO, None);
        Self { stream: Box::new(stream), buffer, limits, reusable: true, peer, connected_in, handshake }
    }
}

impl Limits {
    /// Everything has to be over at `until`; connecting takes 4 s at most, a head has [`LONGEST_HEAD`] bytes.
    pub fn until(until: Instant) -> Self {
        Self { connect: Duration::from_secs(4), until, head: LONGEST_HEAD }
    }
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").field("peer", &self.peer).field("reusable", &self.reusable).finish_non_exhaustive()
    }
}

/// The first bytes of something, for people.
pub fn beginning(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..60).unwrap_or(bytes)).into_owned()
}
