//! What stands in a certificate.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::{OID_PKIX_ACCESS_DESCRIPTOR_CA_ISSUERS, OID_PKIX_AUTHORITY_INFO_ACCESS};
use x509_parser::prelude::FromDer;

/// A certificate's own words. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Certificate {
    /// Whom it is about.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Hexadecimal, as people compare it.
    pub serial: String,
    /// The first second it is valid in.
    pub not_before: i64,
    /// The last one.
    pub not_after: i64,
    /// DNS names and addresses it is for; at most [`Certificate::MOST_NAMES`].
    pub names: Vec<String>,
    /// Where its issuer's own certificate can be had (authority information access, caIssuers).
    pub ca_issuers: Vec<String>,
    /// SHA-256 of the whole, hexadecimal.
    pub fingerprint: String,
}

impl Certificate {
    /// Names beyond these are left out.
    pub const MOST_NAMES: usize = 100;

    /// Reads a certificate; `None` if it is none.
    pub fn read(der: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(der).ok()?;
        let names = parsed.subject_alternative_name().ok().flatten();
        let names = names.into_iter().flat_map(|extension| &extension.value.general_names);
        Some(Self {
            subject: parsed.subject().to_string(),
            issuer: parsed.issuer().to_string(),
            serial: hex(parsed.raw_serial()),
            not_before: parsed.validity().not_before.timestamp(),
            not_after: parsed.validity().not_after.timestamp(),
            names: names.filter_map(name).take(Self::MOST_NAMES).collect(),
            ca_issuers: ca_issuers(&parsed),
            fingerprint: hex(&Sha256::digest(der)),
        })
    }

    /// Whether it names itself as its issuer.
    pub fn is_self_signed(&self) -> bool {
        self.subject == self.issuer
    }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(|bytes| IpAddr::from(Ipv4Addr::from(bytes)));
            let v6 = <[u8; 16]>::try_from(*bytes).map(|bytes| IpAddr::from(Ipv6Addr::from(bytes)));
            v4.or(v6).ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

fn ca_issuers(certificate: &X509Certificate<'_>) -> Vec<String> {
    let access = certificate.extensions().iter().filter(|extension| extension.oid == OID_PKIX_AUTHORITY_INFO_ACCESS);
    let places = access.filter_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityInfoAccess(access) => Some(&access.accessdescs),
        _ => None,
    });
    places
        .flatten()
        .filter(|place| place.access_method == OID_PKIX_ACCESS_DESCRIPTOR_CA_ISSUERS)
        .filter_map(|place| match &place.access_location {
            GeneralName::URI(uri) => Some((*uri).to_owned()),
            _ => None,
        })
        .take(4)
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn real() -> Vec<u8> {
        let key = rcgen::KeyPair::generate().unwrap();
        let parameters = rcgen::CertificateParams::new(["a.example".to_owned(), "192.0.2.1".to_owned()]).unwrap();
        parameters.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn names_and_addresses_are_read() {
        let read = Certificate::read(&real().into()).unwrap();
        assert_eq!(read.names, ["a.example", "192.0.2.1"]);
        assert!(read.is_self_signed() && read.ca_issuers.is_empty());
        assert_eq!(read.fingerprint.len(), 64);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Certificate::read(&bytes.into());
        }

        #[test]
        fn a_damaged_certificate_is_read_or_refused(changes in prop::collection::vec((any::<usize>(), any::<u8>()), 1..6)) {
            static REAL: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
            let mut bytes = REAL.get_or_init(real).clone();
            for (place, value) in changes {
                let place = place % bytes.len();
                bytes[place] = value;
            }
            if let Some(read) = Certificate::read(&bytes.into()) {
                prop_assert!(read.names.len() <= Certificate::MOST_NAMES);
            }
        }
    }
}
