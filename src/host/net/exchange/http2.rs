//! The same question over HTTP/2, as programs in Go and Rust prefer to ask it where a server offers both.
//!
//! A library speaks it: frames are not what a doctor has to see. Time, head and body have the same limits as elsewhere, and
//! interim answers end with the time.

use std::pin::pin;

use bytes::Bytes;
use futures_util::future::{Either, select};
use h2::client::{Builder, SendRequest};
use hyper::http;
use tokio::time::{Instant, timeout_at};

use super::{AGENT, Answer, End, Head, Request, Stage, Trouble, Wire};

impl Wire {
    /// Whether both sides agreed on HTTP/2 while TLS began (RFC 9113 §3.2).
    pub fn is_http2(&self) -> bool {
        self.handshake.as_ref().is_some_and(|handshake| handshake.alpn.as_deref() == Some("h2"))
    }

    /// Sends `request` over HTTP/2, for which [`Self::is_http2`] has to be true, and reads the answer with its body.
    ///
    /// # Errors
    /// If no head of an answer comes. A body that ends badly is in [`Answer::end`].
    pub async fn exchange_http2(self, request: &Request<'_>) -> Result<Answer, Trouble> {
        let (until, longest) = (self.limits.until, self.limits.head);
        let asked = async {
            let longest = u32::try_from(longest).unwrap_or(u32::MAX);
            let mut builder = Builder::new();
            builder.enable_push(false).max_header_list_size(longest);
            let (sender, connection) = builder.handshake::<_, Bytes>(self.stream).await.map_err(trouble)?;
            // What ends the connection also ends the exchange, with what had come by then.
            let driven = async {
                let _ = connection.await;
                std::future::pending::<std::convert::Infallible>().await
            };
            match select(pin!(exchange(sender, request, until)), pin!(driven)).await {
                Either::Left((answer, _)) => answer,
                Either::Right((never, _)) => match never {},
            }
        };
        timeout_at(until, asked).await.unwrap_or(Err(Trouble::Timeout(Stage::Head)))
    }
}

async fn exchange(sender: SendRequest<Bytes>, request: &Request<'_>, until: Instant) -> Result<Answer, Trouble> {
    let started = Instant::now();
    let mut question = http::Request::builder()
        .method(request.method)
        .uri(format!("https://{}{}", request.host, request.target))
        .header("accept-encoding", "identity")
        .header("user-agent", AGENT);
    for (name, value) in request.headers {
        question = question.header(*name, *value);
    }
    let question = question.body(()).map_err(|error| Trouble::Other(error.to_string()))?;
    let mut sender = sender.ready().await.map_err(trouble)?;
    let (answer, _) = sender.send_request(question, true).map_err(trouble)?;
    let (head, mut stream) = answer.await.map_err(trouble)?.into_parts();
    let mut body = Vec::new();
    let end = loop {
        match timeout_at(until, stream.data()).await {
            Err(_) => break End::Late,
            Ok(None) => break End::Whole,
            Ok(Some(Err(_))) => break End::Cut,
            Ok(Some(Ok(part))) => {
                let room = request.body.saturating_sub(body.len());
                body.extend_from_slice(part.get(..room).unwrap_or(&part));
                if part.len() > room {
                    break End::Capped;
                }
                let _ = stream.flow_control().release_capacity(part.len());
            }
        }
    };
    Ok(Answer { interim: Vec::new(), head: Head::of_http2(&head), body, end, took: started.elapsed() })
}

fn trouble(error: h2::Error) -> Trouble {
    match error.get_io() {
        Some(error) => Trouble::of(error, Stage::Head),
        // The library's words for the code, without what the other side may have written beside it.
        None => Trouble::Http2(error.reason().map_or_else(|| error.to_string(), |reason| reason.to_string())),
    }
}
