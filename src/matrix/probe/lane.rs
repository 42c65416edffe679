//! Requests to one target, one after another on one connection as long as the server keeps it.

use std::net::SocketAddr;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use tokio::time::{Instant, timeout_at};

use crate::host::net::exchange::{Alpn, Answer, End, Head, Request, Stage, Trouble, Wire};
use crate::host::tls::TlsFacts;
use crate::matrix::Eyes;
use crate::matrix::discovery::Target;

pub(super) struct Lane<'a> {
    target: &'a Target,
    eyes: &'a Eyes,
    until: Instant,
    wire: Option<Wire>,
}

impl<'a> Lane<'a> {
    pub fn new(target: &'a Target, eyes: &'a Eyes, until: Instant) -> Self {
        Self { target, eyes, until, wire: None }
    }

    /// Connects, and judges the certificate; how long it took.
    pub async fn connect(
        &mut self,
        extra: &[CertificateDer<'static>],
    ) -> Result<(Option<TlsFacts>, Duration), Trouble> {
        let wire = self.open().await?;
        let tls = self.eyes.judge(&wire, &self.target.certificate_name, extra);
        let took = wire.connected_in;
        self.wire = Some(wire);
        Ok((tls, took))
    }

    pub async fn get(&mut self, path: &str, host: &str, most: usize) -> Result<Answer, Trouble> {
        self.exchange(&Request { method: "GET", target: path, host, headers: &[], body: most }).await
    }

    /// A request with the target's own `Host`.
    pub async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        most: usize,
    ) -> Result<Answer, Trouble> {
        let host = &self.target.host_header;
        self.exchange(&Request { method, target: path, host, headers, body: most }).await
    }

    /// Announces a body of `length` bytes, see [`Wire::expect`]; over after `patience`.
    pub async fn announce(&mut self, path: &str, length: u64, patience: Duration) -> Result<Head, Trouble> {
        let headers = [("Content-Type", "application/json")];
        let host = &self.target.host_header;
        let request = Request { method: "PUT", target: path, host, headers: &headers, body: 0 };
        let kept = self.wire.take().filter(Wire::is_reusable);
        let asked = async {
            if let Some(mut wire) = kept {
                match wire.expect(&request, length).await {
                    Err(Trouble::Closed(_) | Trouble::Reset(_)) => {}
                    answer => return answer,
                }
            }
            self.open().await?.expect(&request, length).await
        };
        let until = self.until.min(Instant::now() + patience);
        timeout_at(until, asked).await.unwrap_or(Err(Trouble::Timeout(Stage::Head)))
    }

    /// Asks on a connection of its own that offers HTTP/2 as well; `None` if the server does not take that up.
    pub async fn get_http2(&self, path: &str, most: usize) -> Option<Result<Answer, Trouble>> {
        let (peer, name) = (SocketAddr::new(self.target.address, self.target.port), &self.target.certificate_name);
        let request = Request { method: "GET", target: path, host: &self.target.host_header, headers: &[], body: most };
        match self.eyes.open_offering(Alpn::Http2First, peer, Some(name), self.until).await {
            Ok(wire) if wire.is_http2() => Some(match wire.exchange_http2(&request).await {
                Ok(Answer { end: End::Late, .. }) => Err(Trouble::Timeout(Stage::Body)),
                answer => answer,
            }),
            Ok(_) => None,
            // Who takes connections but not one more has limits, which says nothing about HTTP/2.
            Err(_) => None,
        }
    }

    async fn exchange(&mut self, request: &Request<'_>) -> Result<Answer, Trouble> {
        if let Some(mut wire) = self.wire.take().filter(Wire::is_reusable) {
            match wire.exchange(request).await {
                // A server may close an idle connection at any moment; then the request was not seen (RFC 9112 §9.3.1).
                Err(Trouble::Closed(_) | Trouble::Reset(_)) => {}
                answer => {
                    self.wire = Some(wire);
                    return answer;
                }
            }
        }
        let mut wire = self.open().await?;
        let answer = wire.exchange(request).await;
        self.wire = Some(wire);
        answer
    }

    async fn open(&self) -> Result<Wire, Trouble> {
        let peer = SocketAddr::new(self.target.address, self.target.port);
        self.eyes.open(peer, Some(&self.target.certificate_name), self.until).await
    }
}
