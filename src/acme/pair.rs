//! A certificate chain with its private key, and what can be read from it.

use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::domain::DomainName;
use crate::error::Explain;
use crate::secrets::Secret;

/// What a web server needs to answer for its names.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate first, then those that signed it; PEM.
    pub fullchain_pem: String,
    /// The private key; PEM, PKCS #8.
    pub privkey_pem: Secret,
}

impl Pair {
    /// Reads the certificate.
    ///
    /// Fails if the chain or the key is damaged; a key of another certificate is only reported, in
    /// [`Certificate::key_matches`].
    pub fn describe(&self) -> Result<Certificate, PairError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(self.fullchain_pem.as_bytes()).collect();
        let chain = chain.map_err(|error| PairError::Chain(error.to_string()))?;
        for certificate in &chain {
            X509Certificate::from_der(certificate).map_err(|error| PairError::Chain(error.to_string()))?;
        }
        let leaf = chain.first().ok_or_else(|| PairError::Chain("there is no certificate in it".into()))?;
        let (_, leaf) = X509Certificate::from_der(leaf).map_err(|error| PairError::Chain(error.to_string()))?;
        let names = names(&leaf)?;
        let moment = |seconds| Timestamp::from_second(seconds).map_err(|error| PairError::Chain(error.to_string()));
        Ok(Certificate {
            names,
            not_before: moment(leaf.validity().not_before.timestamp())?,
            not_after: moment(leaf.validity().not_after.timestamp())?,
            serial: leaf.raw_serial_as_string(),
            issuer: issuer(&leaf),
            key_matches: key_matches(&chain, &self.privkey_pem)?,
        })
    }

    /// Whether a web server may use this pair now for all of these names.
    pub fn check(&self, names: &[&DomainName], now: Timestamp) -> Result<Certificate, PairError> {
        let certificate = self.describe()?;
        if !certificate.key_matches {
            return Err(PairError::Mismatch);
        }
        if let Some(name) = names.iter().find(|name| !certificate.covers(&[name])) {
            return Err(PairError::NotCovered((*name).clone()));
        }
        if now >= certificate.not_after {
            return Err(PairError::Expired { not_after: certificate.not_after });
        }
        if now < certificate.not_before {
            return Err(PairError::NotYet { not_before: certificate.not_before, now });
        }
        Ok(certificate)
    }
}

/// What can be read from a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The DNS names, in lower case.
    pub names: Vec<String>,
    /// The first moment it is valid.
    pub not_before: Timestamp,
    /// The moment it expires.
    pub not_after: Timestamp,
    /// Hexadecimal bytes with colons.
    pub serial: String,
    /// Common name of the issuer, or its whole name if it has none.
    pub issuer: String,
    /// Whether the private key beside it is its own.
    pub key_matches: bool,
}

impl Certificate {
    /// Whole days until it expires; negative afterwards.
    pub fn days_left(&self, now: Timestamp) -> i64 {
        self.not_after.duration_since(now).as_secs().div_euclid(86_400)
    }

    /// Whether it is valid for all of these names. A wildcard stands for one label (RFC 6125 §6.4.3).
    pub fn covers(&self, names: &[&DomainName]) -> bool {
        names.iter().all(|name| {
            let parent = name.as_str().split_once('.').map(|(_, parent)| parent);
            self.names
                .iter()
                .any(|own| own == name.as_str() || own.strip_prefix("*.").is_some_and(|own| Some(own) == parent))
        })
    }

    /// Whether the time in which it is valid has begun.
    pub fn has_begun(&self, now: Timestamp) -> bool {
        self.not_before <= now
    }

    /// Whether it is time to renew: a third of the lifetime is left, or half of it if the lifetime is under 10 days.
    ///
    /// Let's Encrypt's own advice: <https://letsencrypt.org/docs/integration-guide/#when-to-renew>.
    pub fn due(&self, now: Timestamp) -> bool {
        let lifetime = self.not_after.duration_since(self.not_before).as_secs();
        let part = if lifetime < 10 * 86_400 { 2 } else { 3 };
        self.not_after.duration_since(now).as_secs() <= lifetime / part
    }
}

/// Why a pair cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PairError {
    /// The chain is empty or damaged.
    #[error("its certificate chain is damaged: {0}")]
    Chain(String),
    /// Too old.
    #[error("it expired at {not_after}")]
    Expired {
        /// The moment it expired.
        not_after: Timestamp,
    },
    /// The private key is damaged.
    #[error("its private key is damaged: {0}")]
    Key(String),
    /// The key is that of another certificate.
    #[error("its private key belongs to another certificate")]
    Mismatch,
    /// It is for other names.
    #[error("it is not valid for {0}")]
    NotCovered(DomainName),
    /// Too new, or the clock is wrong.
    #[error("it is valid from {not_before} on, and this machine's clock says {now:.0}")]
    NotYet {
        /// The first moment it is valid.
        not_before: Timestamp,
        /// The clock.
        now: Timestamp,
    },
}

impl Explain for PairError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotYet { .. } | Self::Expired { .. } => "see whether the clock is right with `timedatectl`".into(),
            _ => "run the same command again; the certificate in use, if any, was not touched".into(),
        })
    }
}

fn names(leaf: &X509Certificate<'_>) -> Result<Vec<String>, PairError> {
    let extension = leaf.subject_alternative_name().map_err(|error| PairError::Chain(error.to_string()))?;
    let names = extension.map(|extension| extension.value.general_names.iter());
    Ok(names
        .into_iter()
        .flatten()
        .filter_map(|name| if let GeneralName::DNSName(name) = name { Some(name.to_lowercase()) } else { None })
        .collect())
}

fn issuer(leaf: &X509Certificate<'_>) -> String {
    let common_name = leaf.issuer().iter_common_name().next().and_then(|name| name.as_str().ok());
    common_name.map_or_else(|| leaf.issuer().to_string(), str::to_owned)
}

fn key_matches(chain: &[CertificateDer<'static>], key: &Secret) -> Result<bool, PairError> {
    let damaged = |error: &dyn std::fmt::Display| PairError::Key(error.to_string());
    let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes()).map_err(|error| damaged(&error))?;
    let key = rustls::crypto::ring::sign::any_supported_type(&key).map_err(|error| damaged(&error))?;
    match rustls::sign::CertifiedKey::new(chain.to_vec(), key).keys_match() {
        Ok(()) => Ok(true),
        Err(rustls::Error::InconsistentKeys(_)) => Ok(false),
        Err(error) => Err(damaged(&error)),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A pair signed by itself, valid from `start` for `seconds`.
    pub fn pair(names: &[&str], start: &str, seconds: i64) -> Pair {
        let start: Timestamp = start.parse().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = rcgen::CertificateParams::new(names).unwrap();
        params.not_before = std::time::SystemTime::from(start).into();
        params.not_after = (std::time::SystemTime::from(start) + std::time::Duration::from_secs(seconds as u64)).into();
        let certificate = params.self_signed(&key).unwrap();
        Pair { fullchain_pem: certificate.pem(), privkey_pem: Secret::new(key.serialize_pem()) }
    }

    fn name(text: &str) -> DomainName {
        DomainName::parse(text).unwrap()
    }

    #[test]
    fn a_pair_is_checked_before_it_is_used() {
        let good = pair(&["example.org", "*.example.net"], "2026-11-01T00:00:00Z", 90 * 86_400);
        let now: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
        let certificate = good.check(&[&name("example.org"), &name("chat.example.net")], now).unwrap();
        assert_eq!(certificate.days_left(now), 67);
        assert_eq!(certificate.names, ["example.org", "*.example.net"]);

        let other = pair(&["example.org"], "2026-11-01T00:00:00Z", 90 * 86_400);
        let mixed = Pair { fullchain_pem: good.fullchain_pem.clone(), privkey_pem: other.privkey_pem };
        assert_eq!(mixed.check(&[], now), Err(PairError::Mismatch));
        for uncovered in ["example.net", "a.b.example.net", "chat.example.org"] {
            assert_eq!(good.check(&[&name(uncovered)], now), Err(PairError::NotCovered(name(uncovered))));
        }
        let late = "2027-02-01T00:00:00Z".parse().unwrap();
        assert!(matches!(good.check(&[], late), Err(PairError::Expired { .. })));
        let early = "2026-10-31T23:00:00Z".parse().unwrap();
        assert!(matches!(good.check(&[], early), Err(PairError::NotYet { .. })));
        for chain in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            let damaged = Pair { fullchain_pem: chain.into(), privkey_pem: good.privkey_pem.clone() };
            assert!(matches!(damaged.describe(), Err(PairError::Chain(_))), "{chain}");
        }
        let keyless = Pair { privkey_pem: Secret::new(""), ..good };
        assert!(matches!(keyless.describe(), Err(PairError::Key(_))));
    }

    #[test]
    fn sentences() {
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let good = pair(&["example.org"], "2026-11-01T00:00:00Z", 90 * 86_400);
        let other = pair(&["example.org"], "2026-11-01T00:00:00Z", 90 * 86_400);
        let chain = |pem: &str| Pair { fullchain_pem: pem.into(), ..good.clone() }.describe().unwrap_err();
        let errors = [
            chain(""),
            chain("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            Pair { privkey_pem: Secret::new(""), ..good.clone() }.describe().unwrap_err(),
            Pair { privkey_pem: other.privkey_pem, ..good.clone() }
                .check(&[], time("2026-11-23T10:00:00Z"))
                .unwrap_err(),
            good.check(&[&name("chat.example.org")], time("2026-11-23T10:00:00Z")).unwrap_err(),
            good.check(&[], time("2027-02-01T00:00:00Z")).unwrap_err(),
            // A real clock has fractions of seconds, which nobody wants to read.
            good.check(&[], time("2026-10-31T23:00:00.123456789Z")).unwrap_err(),
        ];
        insta::assert_snapshot!(crate::error::told(errors.map(Into::into)));
    }

    #[test]
    fn renewal_is_due_at_a_third_or_at_half_of_a_short_life() {
        let due = |seconds: i64, now: &str| {
            pair(&["example.org"], "2026-11-01T00:00:00Z", seconds).describe().unwrap().due(now.parse().unwrap())
        };
        assert!(!due(90 * 86_400, "2026-12-30T23:59:59Z"));
        assert!(due(90 * 86_400, "2026-12-31T00:00:00Z"));
        // 160 hours: half is left after 80.
        assert!(!due(160 * 3_600, "2026-11-04T07:59:59Z"));
        assert!(due(160 * 3_600, "2026-11-04T08:00:00Z"));
        assert!(due(160 * 3_600, "2027-11-04T08:00:00Z"));
    }
}
