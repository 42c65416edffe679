//! What is right and wrong about a presented chain, each question on its own.
//!
//! Most clients stop at the first complaint and report one word for an expired certificate, a missing intermediate and a
//! wrong name. Here the chain is kept, and the name, the path now and the path at a time when all of it was valid are
//! three questions with three answers.

use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error};

use super::certificate::Certificate;
use super::trust::Trust;
use crate::host::net::exchange::Handshake;

/// Everything about one handshake.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct TlsFacts {
    /// `TLS 1.2` or `TLS 1.3`.
    pub protocol: &'static str,
    /// The protocol agreed on inside, e.g. `http/1.1`.
    pub alpn: Option<String>,
    /// The chain as presented, the leaf first; a certificate that cannot be read is left out.
    pub chain: Vec<Certificate>,
    /// How many certificates were presented, readable or not.
    pub presented: usize,
    /// Whether the leaf is for the name that is needed.
    pub name: Name,
    /// Whether a path leads to a root.
    pub path: Path,
    /// Full days until the leaf ends; negative after that.
    pub days_left: i64,
}

/// Whether the leaf is for a name.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Name {
    /// The name or address it has to be for.
    pub needed: String,
    /// Whether it is.
    pub valid: bool,
}

/// Whether a path leads from the leaf to a root that is trusted.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Path {
    /// Yes, now.
    Trusted,
    /// It did, until a certificate of the chain ended (seconds since 1970).
    Expired(i64),
    /// It will, once every certificate of the chain has begun (seconds since 1970).
    NotYetValid(i64),
    /// The leaf signed itself, and is no root.
    SelfSigned,
    /// Only the leaf was presented, and it says where its issuer's certificate can be had.
    MissingIntermediate {
        /// Where.
        ca_issuers: Vec<String>,
    },
    /// Only the leaf or a part of the chain was presented; with the certificates given to [`TlsFacts::judge`] the path
    /// leads to a root.
    CompletedByExtra,
    /// The chain ends at somebody this machine does not know.
    UnknownIssuer,
    /// A certificate cannot be read, was revoked, has a bad signature or the like.
    Bad(String),
}

impl TlsFacts {
    /// Judges what `handshake` showed as a certificate for `needed` at `now`. `extra` are certificates that could have been
    /// presented too, such as those of a `fullchain.pem` on disk.
    pub fn judge(
        handshake: &Handshake,
        needed: &str,
        trust: &Trust,
        extra: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Self {
        let chain: Vec<Certificate> = handshake.chain.iter().filter_map(Certificate::read).collect();
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let days_left = chain.first().map_or(0, |leaf| leaf.not_after.saturating_sub(seconds).div_euclid(86_400));
        Self {
            protocol: handshake.protocol,
            alpn: handshake.alpn.clone(),
            presented: handshake.chain.len(),
            name: Name { needed: needed.to_owned(), valid: is_for(&handshake.chain, needed) },
            path: path(&handshake.chain, &chain, trust, extra, now),
            chain,
            days_left,
        }
    }

    /// Whether other servers take it.
    pub fn is_valid(&self) -> bool {
        self.name.valid && self.path == Path::Trusted
    }
}

fn is_for(chain: &[CertificateDer<'_>], needed: &str) -> bool {
    let needed = needed.trim_matches(['[', ']']);
    let Ok(name) = ServerName::try_from(needed) else { return false };
    let leaf = chain.first().and_then(|leaf| ParsedCertificate::try_from(leaf).ok());
    leaf.is_some_and(|leaf| rustls::client::verify_server_name(&leaf, &name).is_ok())
}

const NO_LEAF: &str = "none was presented";
const UNREADABLE_LEAF: &str = "the leaf cannot be read";

fn path(
    presented: &[CertificateDer<'_>],
    chain: &[Certificate],
    trust: &Trust,
    extra: &[CertificateDer<'_>],
    now: UnixTime,
) -> Path {
    let Some((leaf, intermediates)) = presented.split_first() else { return Path::Bad(NO_LEAF.into()) };
    let Some(first) = chain.first() else { return Path::Bad(UNREADABLE_LEAF.into()) };
    let Err(error) = trust.path(leaf, intermediates, now) else { return Path::Trusted };
    // The time at which all of the chain had begun; the leaf's own beginning can be before its issuer's.
    let begun = chain.iter().map(|certificate| certificate.not_before).max().unwrap_or_default();
    let then = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(begun).unwrap_or(0).saturating_add(1)));
    if is_about_time(&error) {
        let Err(error) = trust.path(leaf, intermediates, then) else {
            return out_of_time(chain, now);
        };
        return untrusted(leaf, intermediates, first, trust, extra, then, &error);
    }
    untrusted(leaf, intermediates, first, trust, extra, now, &error)
}

/// Which end of the time was missed, by a chain that is trusted otherwise.
fn out_of_time(chain: &[Certificate], now: UnixTime) -> Path {
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let begun = chain.iter().map(|certificate| certificate.not_before).max().unwrap_or_default();
    if begun > now {
        return Path::NotYetValid(begun);
    }
    Path::Expired(chain.iter().map(|certificate| certificate.not_after).min().unwrap_or_default())
}

/// Why a chain is not trusted at a time when none of it has ended.
fn untrusted(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    first: &Certificate,
    trust: &Trust,
    extra: &[CertificateDer<'_>],
    time: UnixTime,
    error: &Error,
) -> Path {
    if first.is_self_signed() {
        return Path::SelfSigned;
    }
    if !matches!(error, Error::InvalidCertificate(CertificateError::UnknownIssuer)) {
        return Path::Bad(error.to_string());
    }
    if !extra.is_empty() {
        let all: Vec<CertificateDer<'_>> = intermediates.iter().chain(extra).cloned().collect();
        if trust.path(leaf, &all, time).is_ok() {
            return Path::CompletedByExtra;
        }
    }
    if intermediates.is_empty() && !first.ca_issuers.is_empty() {
        return Path::MissingIntermediate { ca_issuers: first.ca_issuers.clone() };
    }
    Path::UnknownIssuer
}

fn is_about_time(error: &Error) -> bool {
    use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    matches!(
        error,
        Error::InvalidCertificate(Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. })
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate() {
        let trust = Trust::new(None).unwrap();
        let bytes = [CertificateDer::from(vec![0x30, 0])];
        let looks = [path(&[], &[], &trust, &[], UnixTime::now()), path(&bytes, &[], &trust, &[], UnixTime::now())];
        insta::assert_snapshot!(looks.map(|look| format!("{look:?}")).join("\n"));
    }
}
