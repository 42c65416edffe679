//! Connections to exactly one address, with TLS that looks at a certificate before anybody judges it.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use super::{Handshake, Limits, Stage, Trouble, Wire};
use crate::host::tls::witness;

/// Which protocols are offered inside TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpn {
    /// `http/1.1`, the one that is then spoken.
    Http1,
    /// `h2` before `http/1.1`, as programs do that know both; [`Wire::is_http2`] tells what the server took.
    Http2First,
    /// The extension is not sent, as by old clients.
    Nothing,
}

/// How TLS begins.
#[derive(Clone, Copy, Debug)]
pub struct Tls<'a> {
    /// The name that is asked for; without one, no name is sent.
    pub sni: Option<&'a str>,
    /// What is offered inside.
    pub alpn: Alpn,
}

/// The configurations that all connections of a process share. Certificates are taken as they come, see
/// [`crate::host::tls::Trust`]; sessions are not resumed, so that each handshake shows its certificates.
#[derive(Clone, Debug)]
pub struct Clients {
    http1: Arc<ClientConfig>,
    http2_first: Arc<ClientConfig>,
    nothing: Arc<ClientConfig>,
}

impl Clients {
    /// Makes them.
    ///
    /// # Errors
    /// Never with the provider that is compiled in; the library cannot promise it.
    pub fn new() -> Result<Self, rustls::Error> {
        let mut config = witness()?;
        config.resumption = Resumption::disabled();
        let with = |protocols: &[&str]| {
            let protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
            let mut config = config.clone();
            config.alpn_protocols = protocols;
            Arc::new(config)
        };
        Ok(Self { http1: with(&["http/1.1"]), http2_first: with(&["h2", "http/1.1"]), nothing: with(&[]) })
    }

    /// Connects to `peer`, and speaks TLS if asked to.
    pub async fn open(&self, peer: SocketAddr, tls: Option<Tls<'_>>, limits: Limits) -> Result<Wire, Trouble> {
        let started = Instant::now();
        let until = limits.until.min(started + limits.connect);
        let stream = within(until, Stage::Connect, TcpStream::connect(peer)).await?;
        // Small requests, each answered before the next.
        let _ = stream.set_nodelay(true);
        let mut wire = Wire {
            stream: Box::new(tokio::io::empty()),
            buffer: Vec::new(),
            limits,
            reusable: true,
            peer,
            connected_in: started.elapsed(),
            handshake: None,
        };
        let Some(tls) = tls else {
            wire.stream = Box::new(stream);
            return Ok(wire);
        };
        // An address instead of a name is how rustls sends no name.
        let name = tls.sni.map_or(Ok(ServerName::IpAddress(peer.ip().into())), |name| name.to_owned().try_into());
        let name = name.map_err(|_| Trouble::name())?;
        let config = match tls.alpn {
            Alpn::Http1 => &self.http1,
            Alpn::Http2First => &self.http2_first,
            Alpn::Nothing => &self.nothing,
        };
        let until = limits.until.min(Instant::now() + limits.connect);
        let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream);
        let stream = within(until, Stage::Tls, stream).await?;
        wire.handshake = Some(Handshake::of(stream.get_ref().1));
        wire.connected_in = started.elapsed();
        wire.stream = Box::new(stream);
        Ok(wire)
    }
}

impl Handshake {
    fn of(connection: &rustls::ClientConnection) -> Self {
        let chain = connection.peer_certificates().unwrap_or_default();
        Self {
            chain: chain.iter().map(|certificate| certificate.clone().into_owned()).collect(),
            protocol: match connection.protocol_version() {
                Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
                _ => "TLS 1.2",
            },
            alpn: connection.alpn_protocol().map(|protocol| String::from_utf8_lossy(protocol).into_owned()),
        }
    }
}

async fn within<T>(until: Instant, stage: Stage, work: impl Future<Output = std::io::Result<T>>) -> Result<T, Trouble> {
    match timeout_at(until, work).await {
        Ok(done) => done.map_err(|error| Trouble::of(&error, stage)),
        Err(_) => Err(Trouble::Timeout(stage)),
    }
}
