//! The HTTP side of the stand-ins: requests with their path exactly as it was sent, answers byte for byte as written.
//!
//! Paths stay raw because the servers stood in for match on the encoded path, and a proxy that decodes it is a fault the
//! bed must be able to see.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::{HeaderMap, Method, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What a client asked for.
#[derive(Debug)]
pub struct Request {
    pub method: Method,
    /// The path as sent, still percent-encoded.
    pub path: String,
    /// The query as sent, without `?`.
    pub query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The peer's address.
    pub peer: std::net::IpAddr,
}

impl Request {
    /// A header as text; empty if it is absent or not text.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// A decoded query parameter; empty if it is absent.
    #[must_use]
    pub fn query_value(&self, name: &str) -> String {
        let pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        let mut values =
            pairs.filter(|(key, _)| decode(key) == name).map(|(_, value)| decode(&value.replace('+', " ")));
        values.next().unwrap_or_default()
    }

    /// The parts of the path between slashes, still encoded.
    #[must_use]
    pub fn segments(&self) -> Vec<&str> {
        self.path.split('/').skip(1).collect()
    }
}

/// Undoes percent-encoding; what is not valid stays as it is.
#[must_use]
pub fn decode(text: &str) -> String {
    let (bytes, mut out, mut at) = (text.as_bytes(), Vec::new(), 0);
    while let Some(byte) = bytes.get(at) {
        let hex = text.get(at + 1..at + 3).filter(|_| *byte == b'%');
        if let Some(value) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            out.push(value);
            at += 3;
        } else {
            out.push(*byte);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Percent-encodes a part of a path or a value of a query, as Go's `url.QueryEscape` does.
#[must_use]
pub fn encode(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b' ' => "+".to_owned(),
        b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    let escaped: String = text.bytes().map(escape).collect();
    debug_assert_eq!(decode(&escaped.replace('+', " ")), text);
    escaped
}

/// What to answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
    /// After the body the connection breaks, whatever length was promised.
    pub cut: bool,
}

impl Answer {
    /// An answer without a body.
    #[must_use]
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new(), cut: false }
    }

    /// An answer of one content type.
    #[must_use]
    pub fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self { status, headers: vec![("Content-Type", content_type.to_owned())], body: body.into(), cut: false }
    }

    /// A JSON answer.
    #[must_use]
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    /// The same with one more header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn into_response(self) -> Response<Outgoing> {
        let mut builder = Response::builder().status(self.status);
        for (name, value) in self.headers {
            builder = builder.header(name, value);
        }
        builder.body(Outgoing { data: Some(self.body), cut: self.cut, flushed: None }).unwrap_or_else(|_| {
            let mut failed = Response::new(Outgoing { data: None, cut: false, flushed: None });
            *failed.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            failed
        })
    }
}

/// A body in one piece, which may end in an error.
struct Outgoing {
    data: Option<Bytes>,
    cut: bool,
    /// Until then what was written reaches the client; hyper throws unsent bytes away with the connection.
    flushed: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if let Some(data) = self.data.take().filter(|data| !data.is_empty()) {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if !self.cut {
            return Poll::Ready(None);
        }
        let flushed = self.flushed.get_or_insert_with(|| Box::pin(tokio::time::sleep(Duration::from_millis(200))));
        flushed.as_mut().poll(context).map(|()| Some(Err(std::io::ErrorKind::ConnectionAborted.into())))
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.data.as_ref().map_or(0, |data| data.len() as u64);
        if self.cut { SizeHint::default() } else { SizeHint::with_exact(length) }
    }

    fn is_end_stream(&self) -> bool {
        !self.cut && self.data.as_ref().is_none_or(Bytes::is_empty)
    }
}

/// Something that answers requests.
pub trait Handler: Send + Sync + 'static {
    /// The largest body read; a longer one is answered with 413.
    const LARGEST_BODY: usize = 16 << 20;

    /// The answer; `None` leaves the client waiting for ever.
    fn handle(&self, request: Request) -> impl Future<Output = Option<Answer>> + Send;
}

/// A whole stand-in over plain HTTP: says where it listens, serves, and ends when it is told to.
pub async fn main<H: Handler>(name: &str, address: std::net::SocketAddr, handler: H) -> std::process::ExitCode {
    let listener = match TcpListener::bind(address).await {
        Ok(listener) => listener,
        Err(why) => {
            eprintln!("{name}: {address}: {why}");
            return std::process::ExitCode::FAILURE;
        }
    };
    println!("listening on {}", listener.local_addr().unwrap_or(address));
    tokio::select! {
        () = serve(listener, None, Arc::new(handler)) => std::process::ExitCode::FAILURE,
        _ = until_told_to_stop() => std::process::ExitCode::SUCCESS,
    }
}

/// Accepts connections until the process ends.
pub async fn serve<H: Handler>(listener: TcpListener, tls: Option<TlsAcceptor>, handler: Arc<H>) {
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (tls, handler, peer) = (tls.clone(), handler.clone(), peer.ip().to_canonical());
        tokio::spawn(async move {
            match tls {
                None => converse(stream, peer, handler).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => converse(stream, peer, handler).await,
                    Err(why) => eprintln!("TLS with {peer}: {why}"),
                },
            }
        });
    }
}

async fn converse<H: Handler>(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    peer: std::net::IpAddr,
    handler: Arc<H>,
) {
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let handler = handler.clone();
        async move {
            let (parts, body) = request.into_parts();
            let Ok(body) = Limited::new(body, H::LARGEST_BODY).collect().await else {
                return Ok(Answer::new(413, "text/plain", "too large").into_response());
            };
            let request = Request {
                method: parts.method,
                path: parts.uri.path().to_owned(),
                query: parts.uri.query().unwrap_or("").to_owned(),
                headers: parts.headers,
                body: body.to_bytes(),
                peer,
            };
            match handler.handle(request).await {
                Some(answer) => Ok::<_, Infallible>(answer.into_response()),
                None => std::future::pending().await,
            }
        }
    });
    let mut server = hyper::server::conn::http1::Builder::new();
    let _ = server.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
}

/// Waits for SIGTERM or SIGINT; as PID 1 a process gets them only if it asks for them.
///
/// # Errors
/// If signals cannot be watched.
pub async fn until_told_to_stop() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = term.recv() => Ok(()),
        _ = int.recv() => Ok(()),
    }
}
