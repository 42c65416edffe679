//! HTTP without TLS over any stream: a cloud's metadata service, or the Docker engine's socket.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// The most that is read of an answer.
const MOST: usize = 1 << 20;

/// What goes wrong on the way.
pub(crate) type Problem = Box<dyn std::error::Error + Send + Sync>;

/// Sends one request without a body over `stream`, and reads the whole answer (a MiB at most). There is no time-out here.
pub(crate) async fn send(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> Result<(StatusCode, String), Problem> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", "localhost");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = sender.send_request(request.body(Full::<Bytes>::default())?).await?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MOST).collect().await?.to_bytes();
    connection.abort();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}
