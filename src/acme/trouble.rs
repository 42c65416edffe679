//! What went wrong on the way to a certificate authority, before it could say anything in ACME.
//!
//! The layers below report a refused connection, an untrusted certificate and a misspelt host name with much the same
//! words; a person has to do something different about each, so they are told apart here.

use std::error::Error as StdError;
use std::io;

use jiff::Timestamp;

/// Why there was no ACME answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// This machine's clock, measured by the authority's.
    #[error("this machine's clock is {} {} its own", amount(*ahead), if *ahead > 0 { "ahead of" } else { "behind" })]
    Clock {
        /// Seconds; negative if it is behind.
        ahead: i64,
    },
    /// The host name has no address.
    #[error("its host name was not found in DNS")]
    NoAddress,
    /// The URL cannot be used.
    #[error("the directory URL is not usable: {0}")]
    NotAUrl(String),
    /// Something answers, but it is not a certificate authority.
    #[error("there is no ACME directory at {url}: {why}")]
    NotADirectory {
        /// Where it was looked for.
        url: String,
        /// What was there instead.
        why: String,
    },
    /// Nothing listens there.
    #[error("its server refused the connection")]
    Refused,
    /// No answer in time.
    #[error("it did not answer within {0} s")]
    Silent(u64),
    /// An answer from something in front of the certificate authority, such as a load balancer.
    #[error("it answered with status {status} and no explanation")]
    Status {
        /// The HTTP status.
        status: u16,
        /// The end of the wait it asked for with `Retry-After`.
        retry_after: Option<Timestamp>,
    },
    /// TLS failed; the usual cause is an unknown root certificate.
    #[error("its TLS connection failed: {0}")]
    Tls(String),
    /// Anything else on the network.
    #[error("it could not be reached: {0}")]
    Unreachable(String),
}

impl Trouble {
    /// Names the cause of a failed request.
    pub(super) fn of(error: &(dyn StdError + 'static)) -> Self {
        let mut next = Some(error);
        let mut last = error.to_string();
        while let Some(error) = next {
            last = error.to_string();
            if last.starts_with("dns error") {
                return Self::NoAddress;
            }
            if let Some(error) = error.downcast_ref::<rustls::Error>() {
                return Self::Tls(tls(error));
            }
            next = error.source();
            if let Some(error) = error.downcast_ref::<io::Error>() {
                match error.kind() {
                    io::ErrorKind::ConnectionRefused => return Self::Refused,
                    io::ErrorKind::TimedOut => return Self::Silent(super::http::CONNECT.as_secs()),
                    _ => {}
                }
                // An `io::Error` made from another error has that one's source, and not itself, as its source.
                if let Some(inner) = error.get_ref() {
                    next = Some(inner);
                }
            }
        }
        Self::Unreachable(last)
    }

    /// An exact command, or a fact that was observed.
    ///
    /// `host` may have a port.
    pub(super) fn hint(&self, host: &str) -> String {
        let (name, port) = host.rsplit_once(':').unwrap_or((host, "443"));
        match self {
            Self::Clock { .. } => {
                "set the clock with `sudo timedatectl set-ntp true`, look at it with `date -u`, then run the same \
                                   command again"
                    .to_owned()
            }
            Self::NoAddress => format!("check the spelling of the directory URL, and DNS with `getent hosts {name}`"),
            Self::NotAUrl(_) => {
                "Let's Encrypt's directory is https://acme-v02.api.letsencrypt.org/directory".to_owned()
            }
            Self::NotADirectory { url, .. } => format!("look at it with `curl -i {url}`"),
            Self::Tls(_) => format!(
                "see who signed it with `openssl s_client -connect {name}:{port}`; the clock must be right (`date -u`), \
                 and `sudo apt-get install ca-certificates` brings the public roots"
            ),
            Self::Status { status: 500.., .. } if host.ends_with(".letsencrypt.org") => {
                "https://letsencrypt.status.io shows maintenance; run the same command again when it is over".to_owned()
            }
            Self::Status { status: 500.., retry_after: Some(_) } => {
                "run the same command again after that time".to_owned()
            }
            Self::Status { status: 500.., .. } => "run the same command again in a few minutes".to_owned(),
            Self::Refused | Self::Silent(_) | Self::Status { .. } | Self::Unreachable(_) => {
                format!("see what this machine gets from it with `curl -iv https://{host}/`")
            }
        }
    }
}

/// `26 hours`, `100 days`.
fn amount(seconds: i64) -> String {
    match seconds.unsigned_abs() {
        seconds @ ..172_800 => format!("{} hours", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

fn tls(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer) => {
            "its certificate was signed by a root that this machine does not know".into()
        }
        rustls::Error::InvalidCertificate(
            rustls::CertificateError::Expired | rustls::CertificateError::ExpiredContext { .. },
        ) => "its certificate has expired, by this machine's clock".into(),
        rustls::Error::InvalidCertificate(
            rustls::CertificateError::NotValidYet | rustls::CertificateError::NotValidYetContext { .. },
        ) => "its certificate is not valid yet, by this machine's clock".into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_apart() {
        use rustls::CertificateError as Bad;
        let tls = |error: Bad| io::Error::other(rustls::Error::InvalidCertificate(error));
        let causes = [
            tls(Bad::UnknownIssuer),
            tls(Bad::Expired),
            tls(Bad::NotValidYet),
            io::Error::other(rustls::Error::HandshakeNotComplete),
            io::ErrorKind::ConnectionRefused.into(),
            io::ErrorKind::TimedOut.into(),
            io::Error::other("dns error: no such host"),
            io::ErrorKind::NetworkUnreachable.into(),
        ];
        let told = causes.map(|cause| {
            let trouble = Trouble::of(&cause);
            format!("{trouble}\n  hint: {}", trouble.hint("ca.example.org:14000"))
        });
        insta::assert_snapshot!(told.join("\n"));
    }
}
