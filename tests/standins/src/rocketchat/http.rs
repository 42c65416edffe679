//! HTTP: requests read whole, replies with their length said, which app services' clients depend on.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Response};
use hyper_util::rt::TokioIo;
use reqwest::Url;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::mongo::client::Error;

/// A request with its body.
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) path: String,
    /// Path and query as they were sent, which is what is signed.
    pub(super) uri: String,
    pub(super) query: Vec<(String, String)>,
    headers: HeaderMap,
    pub(super) body: Value,
    /// What the connection becomes if it is asked to.
    pub(super) upgrade: Option<hyper::upgrade::OnUpgrade>,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub(super) fn query(&self, name: &str) -> &str {
        self.query.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }
}

/// A reply.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    kind: &'static str,
    body: String,
    /// Extra headers.
    pub(super) headers: Vec<(&'static str, String)>,
}

impl Reply {
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self { status, kind: "application/json; charset=utf-8", body: body.to_string(), headers: Vec::new() }
    }

    pub(super) fn text(status: u16, kind: &'static str, body: &str) -> Self {
        Self { status, kind, body: body.into(), headers: Vec::new() }
    }

    pub(super) fn body(&self) -> &str {
        &self.body
    }

    /// `API.v1.failure(text)`.
    pub(super) fn failure(text: &str) -> Self {
        Self::json(400, &json!({ "success": false, "error": text }))
    }

    /// A `Meteor.Error` as the REST interface shows it.
    pub(super) fn meteor(error: &str, message: &str, details: Value) -> Self {
        let text = format!("{message} [{error}]");
        Self::json(400, &json!({ "success": false, "error": text, "errorType": error, "details": details }))
    }
}

impl From<Error> for Reply {
    fn from(error: Error) -> Self {
        Self::json(500, &json!({ "success": false, "error": error.to_string() }))
    }
}

/// Serves `handler` until the task ends, and with it every connection.
pub(super) async fn serve<H, F>(listener: TcpListener, handler: H)
where
    H: Fn(Request) -> F + Send + Sync + 'static,
    F: Future<Output = Reply> + Send + 'static,
{
    let handler = Arc::new(handler);
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let handler = Arc::clone(&handler);
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let handler = Arc::clone(&handler);
                async move { Ok::<_, Infallible>(respond(request, &*handler).await) }
            });
            let builder = hyper::server::conn::http1::Builder::new();
            // A client that goes away is no error.
            let _ = builder.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn respond<H, F>(mut request: hyper::Request<Incoming>, handler: &H) -> Response<Full<Bytes>>
where
    H: Fn(Request) -> F,
    F: Future<Output = Reply>,
{
    let upgrade = request.headers().contains_key("upgrade").then(|| hyper::upgrade::on(&mut request));
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_LIMIT).collect().await else {
        return respond_with(Reply::failure("the body cannot be read"));
    };
    let body = body.to_bytes();
    let body = if body.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&body) };
    let Ok(body) = body else { return respond_with(Reply::failure("Invalid JSON")) };
    // Only the query needs taking apart; the host does not matter for it.
    let pairs = Url::parse(&format!("http://x/?{}", parts.uri.query().unwrap_or_default()));
    let query = pairs.map(|url| url.query_pairs().into_owned().collect()).unwrap_or_default();
    let (path, uri) = (parts.uri.path().to_owned(), parts.uri.to_string());
    let request = Request { method: parts.method, path, uri, query, headers: parts.headers, body, upgrade };
    respond_with(handler(request).await)
}

fn respond_with(reply: Reply) -> Response<Full<Bytes>> {
    let mut builder = Response::builder().status(reply.status);
    if reply.status != 101 {
        builder = builder.header("content-type", reply.kind);
    }
    for (name, value) in reply.headers {
        builder = builder.header(name, value);
    }
    builder.body(Full::new(Bytes::from(reply.body))).unwrap_or_default()
}

/// More than any transaction of a homeserver.
const BODY_LIMIT: usize = 32 << 20;
