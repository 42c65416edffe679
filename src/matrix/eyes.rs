//! What every look at a stranger shares: where questions go, whom we trust, what we may touch.
//!
//! Made once for a whole run. A thousand names then cost a thousand looks, and not a thousand stores of root certificates.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join3;
use rustls::pki_types::{CertificateDer, UnixTime};
use tokio::time::{Instant, timeout_at};

use crate::dns::{Bogus, Caa, Fault, Heard, Lookup, Memory, SrvAnswer, View, Zone, heard, is_private};
use crate::error::Explain;
use crate::host::net::exchange::{Alpn, Clients, Limits, Tls, Trouble, Wire};
use crate::host::tls::{BadRoots, TlsFacts, Trust};

/// The most that a look at zones may take; it is over long before that, unless servers are silent.
const GROUND: Duration = Duration::from_secs(5);

/// How strangers are looked at. Clones share everything.
#[derive(Clone, Debug)]
pub struct Eyes {
    lookup: Arc<Lookup>,
    trust: Arc<Trust>,
    clients: Clients,
    /// Whether private addresses may be connected to. Nobody else could, so a look from outside does not.
    pub private_allowed: bool,
    /// Other ports to connect to instead of the real ones, which tests cannot listen on. Facts show the real ones.
    pub ports: Arc<BTreeMap<u16, u16>>,
    /// Resolvers that the whole world asks, which are asked beside this machine's own.
    pub public_resolvers: Arc<[SocketAddr]>,
    /// Addresses to connect to instead of others: a machine behind a router may not reach its own. Facts show the others.
    pub instead: Arc<BTreeMap<IpAddr, IpAddr>>,
}

impl Eyes {
    /// Asks through `lookup`, and trusts this machine's roots and those in `extra_roots` (PEM).
    pub fn new(lookup: Lookup, extra_roots: Option<&[u8]>) -> Result<Self, Blind> {
        let lookup = Lookup { memory: Memory::short(), ..lookup };
        Ok(Self {
            lookup: Arc::new(lookup),
            trust: Arc::new(Trust::new(extra_roots)?),
            clients: Clients::new()?,
            private_allowed: false,
            ports: Arc::default(),
            public_resolvers: Arc::default(),
            instead: Arc::default(),
        })
    }

    /// Connects to exactly this address. With `name`, TLS is spoken and the name is sent, or nothing if it is an address.
    pub async fn open(&self, peer: SocketAddr, name: Option<&str>, until: Instant) -> Result<Wire, Trouble> {
        self.open_offering(Alpn::Http1, peer, name, until).await
    }

    /// The same, with these protocols offered inside TLS.
    pub async fn open_offering(
        &self,
        alpn: Alpn,
        peer: SocketAddr,
        name: Option<&str>,
        until: Instant,
    ) -> Result<Wire, Trouble> {
        if is_private(peer.ip()) && !self.private_allowed {
            return Err(Trouble::Private);
        }
        let port = self.ports.get(&peer.port()).copied().unwrap_or(peer.port());
        let address = self.instead.get(&peer.ip()).copied().unwrap_or(peer.ip());
        let sni = name.filter(|name| name.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_err());
        let tls = name.map(|_| Tls { sni, alpn });
        let mut wire = self.clients.open(SocketAddr::new(address, port), tls, Limits::until(until)).await?;
        wire.peer = peer;
        Ok(wire)
    }

    /// Judges what TLS showed on `wire` as a certificate for `needed`; `None` if no TLS was spoken.
    pub fn judge(&self, wire: &Wire, needed: &str, extra: &[CertificateDer<'_>]) -> Option<TlsFacts> {
        let handshake = wire.handshake.as_ref()?;
        Some(TlsFacts::judge(handshake, needed, &self.trust, extra, UnixTime::now()))
    }

    /// The addresses of a host.
    pub async fn host(&self, host: &str, until: Instant) -> View {
        timeout_at(until, self.lookup.host(host)).await.unwrap_or_else(|_| View::failed(Fault::Timeout))
    }

    /// The zone of a host, and what keeps others from believing it.
    pub async fn ground(&self, host: &str, until: Instant) -> Ground {
        let zone = async {
            let zone = self.lookup.zone(host, self.private_allowed).await;
            let failed = zone.as_ref().is_some_and(|zone| matches!(zone.resolver, Err(Fault::ServFail { .. })));
            let now = u32::try_from(UnixTime::now().as_secs()).unwrap_or(u32::MAX);
            let bogus = if failed { self.lookup.bogus(host, now).await } else { None };
            (zone, bogus)
        };
        let until = until.min(Instant::now() + GROUND);
        let looked = timeout_at(until, join3(zone, self.lookup.caa(host), heard(&self.public_resolvers, host))).await;
        let ((zone, bogus), caa, public) = looked.unwrap_or_default();
        Ground { host: host.to_owned(), zone, bogus, caa, public }
    }

    /// SRV records.
    pub async fn srv(&self, query: &str, until: Instant) -> SrvAnswer {
        timeout_at(until, self.lookup.srv(query)).await.unwrap_or(Err(Fault::Timeout))
    }
}

/// What a host stands on.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Ground {
    /// The host.
    pub host: String,
    /// Its zone, if the way to it could be gone.
    pub zone: Option<Zone>,
    /// Why its records are not believed, if this machine's resolver does not.
    pub bogus: Option<Bogus>,
    /// Who may issue certificates for it.
    pub caa: Option<Caa>,
    /// What resolvers say that the whole world asks, where they were asked.
    pub public: Vec<Heard>,
}

/// Why nothing can be looked at.
#[derive(Debug, thiserror::Error)]
pub enum Blind {
    /// There is nobody to trust.
    #[error(transparent)]
    Roots(#[from] BadRoots),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

impl Explain for Blind {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Roots(BadRoots::None) => Some("install them: `sudo apt-get install ca-certificates`".into()),
            Self::Roots(_) => Some("the file must hold certificates as PEM: `-----BEGIN CERTIFICATE-----`".into()),
            Self::Tls(_) => Some("this is a fault of rcfed: report it with the output of `rcfed --version`".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        let extra = |pem: &[u8]| Blind::from(crate::host::tls::roots(Some(pem)).unwrap_err());
        let errors = [
            extra(b"no certificate"),
            extra(b"-----BEGIN CERTIFICATE-----\nnonsense!\n-----END CERTIFICATE-----\n"),
            Blind::Roots(BadRoots::None),
            Blind::Tls(rustls::Error::General("no provider".into())),
        ];
        insta::assert_snapshot!(crate::error::told(errors.map(Into::into)));
    }
}
