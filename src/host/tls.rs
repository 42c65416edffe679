//! Which certificate a server shows, whether or not it is a valid one, and then what is right and wrong about it.

mod certificate;
mod facts;
mod trust;

use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error as TlsError, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::net::plain;

pub use certificate::Certificate;
pub use facts::{Name, Path, TlsFacts};
pub use trust::{BadRoots, Trust, roots, trusting};

/// The leaf certificate (DER) a server at `address` (`host:port`) shows for `name`; `None` if it shows none within 5 s.
pub async fn served_certificate(address: &str, name: &str) -> Option<Vec<u8>> {
    let handshake = async {
        let stream = connect(address, name).await?;
        stream.get_ref().1.peer_certificates()?.first().map(|leaf| leaf.to_vec())
    };
    tokio::time::timeout(Duration::from_secs(5), handshake).await.ok()?
}

/// What the server at `address` answers to a GET of `path` for `name`, whatever its certificate; `None` without an answer
/// within 5 s.
pub async fn get(address: &str, name: &str, path: &str) -> Option<(u16, String)> {
    let exchange = async {
        let stream = connect(address, name).await?;
        let (status, body) = plain::send(stream, "GET", path, &[("host", name)]).await.ok()?;
        Some((status.as_u16(), body))
    };
    tokio::time::timeout(Duration::from_secs(5), exchange).await.ok()?
}

async fn connect(address: &str, name: &str) -> Option<TlsStream<TcpStream>> {
    let config = witness().ok()?;
    let name = ServerName::try_from(name.to_string()).ok()?;
    let stream = TcpStream::connect(address).await.ok()?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()
}

/// A client that takes every certificate and leaves the judgement to others.
pub(super) fn witness() -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let verifier = Arc::new(Witness(provider));
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// Looks at a certificate without judging it; the handshake's own signature is still checked.
#[derive(Debug)]
struct Witness(Arc<CryptoProvider>);

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
