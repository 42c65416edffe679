//! Whom this machine trusts: its own root certificates, and one more file if there is one.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, RootCertStore};

/// Root certificates and how signatures are checked. Made once: reading the roots takes longer than a handshake.
#[derive(Clone, Debug)]
pub struct Trust {
    roots: RootCertStore,
    algorithms: &'static [&'static dyn SignatureVerificationAlgorithm],
}

impl Trust {
    /// The machine's roots (those of `SSL_CERT_FILE` if that is set) and the certificates in `extra`, which is PEM.
    pub fn new(extra: Option<&[u8]>) -> Result<Self, BadRoots> {
        let algorithms = ring::default_provider().signature_verification_algorithms.all;
        roots(extra).map(|roots| Self { roots, algorithms })
    }

    /// Whether a path leads from `leaf` over `intermediates` to a root at `time`. Names are not looked at.
    pub(super) fn path(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        time: UnixTime,
    ) -> Result<(), rustls::Error> {
        let leaf = ParsedCertificate::try_from(leaf)?;
        let (roots, algorithms) = (&self.roots, self.algorithms);
        rustls::client::verify_server_cert_signed_by_trust_anchor(&leaf, roots, intermediates, time, algorithms)
    }
}

/// As [`Trust::new`], for whoever needs the store itself.
pub fn roots(extra: Option<&[u8]>) -> Result<RootCertStore, BadRoots> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(of_this_machine());
    if let Some(pem) = extra {
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let certificates = certificates.map_err(|error| BadRoots::Damaged(error.to_string()))?;
        if roots.add_parsable_certificates(certificates).0 == 0 {
            return Err(BadRoots::Empty);
        }
    }
    if roots.is_empty() { Err(BadRoots::None) } else { Ok(roots) }
}

/// A client that trusts these and no others, without a default for the whole process.
pub fn trusting(roots: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(versions.with_root_certificates(roots).with_no_client_auth())
}

/// The bundle alone, where there is one: the directory beside it holds every root of it twice more, each in a file of its
/// own, and to read them takes longer than all else a short run does.
fn of_this_machine() -> Vec<CertificateDer<'static>> {
    if !openssl_probe::has_ssl_cert_env_vars()
        && let Some(bundle) = openssl_probe::probe().cert_file
    {
        let found = rustls_native_certs::load_certs_from_paths(Some(&bundle), None).certs;
        if !found.is_empty() {
            return found;
        }
    }
    rustls_native_certs::load_native_certs().certs
}

/// Why there is nobody to trust.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRoots {
    /// The extra file is not PEM.
    #[error("the extra root is damaged: {0}")]
    Damaged(String),
    /// The extra file has no certificate.
    #[error("the file with the extra root holds no certificate")]
    Empty,
    /// Neither the machine nor the extra file has one.
    #[error("this machine has no root certificates")]
    None,
}
