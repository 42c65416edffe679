//! What ends an attempt to get a certificate.

use std::path::PathBuf;

use jiff::Timestamp;

use super::limit::Limit;
use super::pair::PairError;
use super::refusal::Refusal;
use super::trouble::Trouble;
use super::when::from_now;
use crate::error::Explain;
use crate::host::fs::FileError;

/// Who issues certificates, by the name people know it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    host: String,
}

impl Authority {
    /// The authority whose directory is at this URL.
    pub fn of(directory: &str) -> Self {
        let rest = directory.split_once("://").map_or(directory, |(_, rest)| rest);
        Self { host: rest.split(['/', '?']).next().unwrap_or_default().to_owned() }
    }

    /// Host and port of the directory.
    pub fn host(&self) -> &str {
        &self.host
    }

    fn is_lets_encrypt(&self) -> bool {
        self.host == "letsencrypt.org" || self.host.ends_with(".letsencrypt.org")
    }

    /// The name in CAA records (RFC 8659 §4.2), as far as it is known.
    fn caa(&self) -> &str {
        if self.is_lets_encrypt() { "letsencrypt.org" } else { &self.host }
    }
}

impl std::fmt::Display for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_lets_encrypt() { "Let's Encrypt" } else { &self.host })
    }
}

/// Why there is no new certificate.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    /// The account, an answer or the state could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A key or a request for a certificate could not be made.
    #[error("could not make a key and a request for the certificate: {what}")]
    Key {
        /// Why.
        what: String,
    },
    /// The authority limits how often one may ask.
    #[error("{}", limited(authority, limit, *now))]
    Limited {
        /// Who said so.
        authority: Authority,
        /// Which limit.
        limit: Limit,
        /// When it was said.
        now: Timestamp,
    },
    /// The file with the root that signed the authority's own web certificate is not there.
    #[error("there is no file `{}` with the certificate authority's root", path.display())]
    NoRoot {
        /// The path in the configuration.
        path: PathBuf,
    },
    /// What was issued cannot be used.
    #[error("{authority} issued a certificate that cannot be used: {source}")]
    Pair {
        /// Who issued it.
        authority: Authority,
        /// What is wrong with it.
        source: PairError,
    },
    /// A problem that is about no name in particular.
    #[error("{authority} refused the request: {detail} ({kind})")]
    Problem {
        /// Who said so.
        authority: Authority,
        /// The last part of the problem type of RFC 8555 §6.7.
        kind: String,
        /// The authority's own text.
        detail: String,
    },
    /// An answer that ACME does not allow for.
    #[error("{authority} does not speak ACME as rcfed does: {what}")]
    Protocol {
        /// Who answered.
        authority: Authority,
        /// What was wrong.
        what: String,
    },
    /// Some names could not be proven.
    #[error("{authority} gave no certificate: {}", sentences(failures))]
    Refused {
        /// Who said so.
        authority: Authority,
        /// Each name that failed, at least one.
        failures: Vec<Refusal>,
    },
    /// The rehearsal failed; the real authority was not asked.
    #[error("the rehearsal failed, so no certificate was asked for and nothing counts against the limits")]
    Rehearsal(#[source] Box<AcmeError>),
    /// The overall deadline passed.
    #[error("{authority} did not finish {what} within {seconds} s")]
    Slow {
        /// Who was waited for.
        authority: Authority,
        /// What was waited for.
        what: &'static str,
        /// The deadline.
        seconds: u64,
    },
    /// An earlier attempt failed, and it is too early for the next.
    #[error("the last attempt failed ({reason}), and the next may be made at {}", from_now(*until, *now))]
    TooEarly {
        /// The error of the last attempt.
        reason: String,
        /// When the next may be made.
        until: Timestamp,
        /// When this was asked.
        now: Timestamp,
    },
    /// There was no ACME answer at all.
    #[error("{}", troubled(authority, trouble, *now))]
    Unreachable {
        /// Who was asked.
        authority: Authority,
        /// What happened instead.
        trouble: Trouble,
        /// When it happened.
        now: Timestamp,
    },
}

impl AcmeError {
    /// When the authority allows another attempt, if it said so.
    pub fn retry_at(&self) -> Option<Timestamp> {
        match self {
            Self::Limited { limit: Limit::Until { until, .. }, .. } => *until,
            Self::Unreachable { trouble: Trouble::Status { retry_after, .. }, .. } => *retry_after,
            Self::TooEarly { until, .. } => Some(*until),
            // A wait for the rehearsal's authority is a wait for everything behind it.
            Self::Rehearsal(inner) => inner.retry_at(),
            _ => None,
        }
    }

    /// The names that failed, with the authority's reasons; empty if it was about something else.
    pub fn refusals(&self) -> &[Refusal] {
        match self {
            Self::Refused { failures, .. } => failures,
            Self::Rehearsal(inner) => inner.refusals(),
            _ => &[],
        }
    }

    pub(super) fn says(&self, expected: &str) -> bool {
        matches!(self, Self::Problem { kind, .. } if kind == expected)
    }
}

impl Explain for AcmeError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::File(error) => return error.hint(),
            Self::Key { .. } => "run the same command again; if it fails again, please report it".into(),
            Self::Limited { limit: Limit::Paused { url }, .. } => format!("open {url} in a browser, then try again"),
            Self::Limited { authority, .. } if authority.is_lets_encrypt() => {
                "limits end by themselves only; they are listed at https://letsencrypt.org/docs/rate-limits/".into()
            }
            Self::Limited { authority, .. } => format!("{authority} sets this limit; it ends by itself"),
            Self::NoRoot { path } => format!("check the path with `ls -l {}`", path.display()),
            Self::Pair { source, .. } => return source.hint(),
            Self::Problem { kind, .. } if kind == "badNonce" => "run the same command again".into(),
            Self::Problem { kind, .. } if kind == "externalAccountRequired" => {
                "choose an authority that needs no contract, such as Let's Encrypt".into()
            }
            Self::Problem { kind, .. } if kind == "invalidContact" || kind == "unsupportedContact" => {
                "correct the e-mail address in the configuration, or leave it out".into()
            }
            Self::Problem { kind, .. } if kind == "unauthorized" => {
                "let rcfed make a new account: `sudo rm -f /var/lib/rcfed/acme/account-*.json`, then run the same command \
                 again"
                    .into()
            }
            Self::Problem { .. } => {
                "the words are the authority's own; run the same command again later, or name another one with \
                 `directory` below `[acme]` in the config"
                    .into()
            }
            Self::Protocol { authority, .. } => {
                format!("see what this machine gets from it with `curl -i https://{}/`", authority.host)
            }
            Self::Refused { authority, failures } => failures.first()?.hint(authority.caa()),
            Self::Rehearsal(inner) => return inner.hint(),
            Self::Slow { .. } => "run the same command again; what has been proven stays proven for a while".into(),
            Self::TooEarly { .. } => "`sudo rcfed apply` tries at once".into(),
            Self::Unreachable { authority, trouble, .. } => trouble.hint(&authority.host),
        })
    }
}

fn sentences(failures: &[Refusal]) -> String {
    failures.iter().map(Refusal::sentence).collect::<Vec<_>>().join("; ")
}

fn limited(authority: &Authority, limit: &Limit, now: Timestamp) -> String {
    match limit {
        Limit::Until { what, until: Some(until) } => {
            format!("{authority} allows no more {what} until {}", from_now(*until, now))
        }
        Limit::Until { what, until: None } => format!("{authority} allows no more {what} for now"),
        Limit::Paused { url } => {
            format!("{authority} paused these names after too many failures; it goes on once you say so at {url}")
        }
    }
}

fn troubled(authority: &Authority, trouble: &Trouble, now: Timestamp) -> String {
    match trouble {
        Trouble::Status { status, retry_after } if *status >= 500 => {
            let when = retry_after.map(|until| format!("; try again after {}", from_now(until, now)));
            let when = when.unwrap_or_default();
            format!("the certificate authority {authority} is overloaded or under maintenance (status {status}){when}")
        }
        Trouble::Clock { .. } => format!("the certificate authority {authority} was asked for nothing: {trouble}"),
        Trouble::NotAUrl(_) | Trouble::NotADirectory { .. } => trouble.to_string(),
        _ => format!("the certificate authority {authority} gave no answer: {trouble}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::DomainName;

    #[test]
    fn every_error_has_a_sentence_and_a_hint() {
        let real = Authority::of("https://acme-v02.api.letsencrypt.org/directory");
        let own = Authority::of("https://ca.example.org:14000/dir");
        let now: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
        let later: Timestamp = "2026-12-01T10:00:00Z".parse().unwrap();
        let name = DomainName::parse("chat.example.org").unwrap();
        let refusal = Refusal::new(&name, "caa", "CAA record for example.org prevents issuance");
        let trouble = |trouble| AcmeError::Unreachable { authority: own.clone(), trouble, now };
        let until = |until| Limit::Until { what: "certificates for example.org".into(), until };
        let errors = [
            AcmeError::Limited { authority: real.clone(), limit: until(Some(later)), now },
            AcmeError::Limited { authority: own.clone(), limit: until(None), now },
            AcmeError::Limited {
                authority: real.clone(),
                limit: Limit::Paused { url: "https://portal/x".into() },
                now,
            },
            AcmeError::Refused { authority: real.clone(), failures: vec![refusal.clone(), refusal] },
            AcmeError::Problem {
                authority: own.clone(),
                kind: "badNonce".into(),
                detail: "JWS has an invalid nonce".into(),
            },
            AcmeError::Problem { authority: own.clone(), kind: "unauthorized".into(), detail: "deactivated".into() },
            AcmeError::Problem { authority: own.clone(), kind: "userActionRequired".into(), detail: "terms".into() },
            AcmeError::Protocol { authority: own.clone(), what: "no http-01 challenge".into() },
            AcmeError::Slow { authority: real.clone(), what: "its checks", seconds: 90 },
            AcmeError::TooEarly { reason: "x".into(), until: later, now },
            AcmeError::NoRoot { path: "/etc/rcfed/root.pem".into() },
            AcmeError::Key { what: "no random numbers".into() },
            AcmeError::Pair { authority: own.clone(), source: PairError::Mismatch },
            AcmeError::Problem { authority: own.clone(), kind: "externalAccountRequired".into(), detail: "eab".into() },
            AcmeError::Problem { authority: own.clone(), kind: "invalidContact".into(), detail: "no MX".into() },
            AcmeError::Problem { authority: own.clone(), kind: "serverInternal".into(), detail: "oops".into() },
            trouble(Trouble::NotAUrl("`ca` does not start with `https://` and a host name".into())),
            AcmeError::Unreachable {
                authority: real.clone(),
                trouble: Trouble::Status { status: 503, retry_after: None },
                now,
            },
            trouble(Trouble::Clock { ahead: 100 * 86_400 }),
            trouble(Trouble::Clock { ahead: -86_400 }),
            trouble(Trouble::Silent(30)),
            trouble(Trouble::Refused),
            trouble(Trouble::NoAddress),
            trouble(Trouble::Tls("its certificate was signed by a root that this machine does not know".into())),
            trouble(Trouble::Status { status: 503, retry_after: Some(later) }),
            trouble(Trouble::Status { status: 503, retry_after: None }),
            trouble(Trouble::Status { status: 403, retry_after: None }),
            trouble(Trouble::NotADirectory {
                url: "https://x/".into(),
                why: "the answer (status 200) has no `newOrder`".into(),
            }),
            AcmeError::Rehearsal(Box::new(trouble(Trouble::Unreachable("network is unreachable".into())))),
        ];
        let table = errors.map(|error| {
            let error = crate::error::Error::from(error);
            format!("{error}\n  hint: {}", error.hint().unwrap())
        });
        insta::assert_snapshot!(table.join("\n"));
    }

    #[test]
    fn only_its_own_hosts_are_lets_encrypt() {
        assert_eq!(
            Authority::of("https://acme-staging-v02.api.letsencrypt.org/directory").to_string(),
            "Let's Encrypt"
        );
        assert_eq!(Authority::of("https://notletsencrypt.org/directory").to_string(), "notletsencrypt.org");
    }
}
