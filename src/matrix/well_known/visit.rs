//! One address asked for several documents, on one connection as long as the server keeps it.
//!
//! A handshake costs both sides more than everything that is said after it.

use std::net::SocketAddr;

use tokio::time::Instant;

use crate::host::net::exchange::{Answer, Request, Trouble, Wire};
use crate::host::tls::TlsFacts;
use crate::matrix::Eyes;

/// The connection that the last answer came over.
#[derive(Debug, Default)]
pub struct Visit(Option<Open>);

#[derive(Debug)]
struct Open {
    peer: SocketAddr,
    /// The name that was asked for in TLS; none for plain HTTP.
    name: Option<String>,
    wire: Wire,
    tls: Option<TlsFacts>,
}

impl Visit {
    /// The answer of `peer`, and what TLS showed as a certificate for `name`.
    pub async fn ask(
        &mut self,
        peer: SocketAddr,
        name: Option<&str>,
        request: &Request<'_>,
        eyes: &Eyes,
        until: Instant,
    ) -> Result<(Answer, Option<TlsFacts>), Trouble> {
        let fits = |open: &Open| open.peer == peer && open.name.as_deref() == name && open.wire.is_reusable();
        if let Some(mut open) = self.0.take().filter(fits) {
            match open.wire.exchange(request).await {
                // A server may close an idle connection at any moment; then the request was not seen (RFC 9112 §9.3.1).
                Err(Trouble::Closed(_) | Trouble::Reset(_)) => {}
                answer => {
                    let told = (answer?, open.tls.clone());
                    self.0 = Some(open);
                    return Ok(told);
                }
            }
        }
        let mut wire = eyes.open(peer, name, until).await?;
        let tls = name.and_then(|name| eyes.judge(&wire, name, &[]));
        let answer = wire.exchange(request).await?;
        self.0 = Some(Open { peer, name: name.map(str::to_owned), wire, tls: tls.clone() });
        Ok((answer, tls))
    }
}
