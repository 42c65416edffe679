//! Why there was no answer, as finely as the network tells.
//!
//! "Refused" and "no answer" have different causes (nobody listens, a firewall drops), so they must not end up as one text.

use std::io::{Error, ErrorKind};

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// Nobody listens, or a firewall rejects.
    #[error("connection refused")]
    Refused,
    /// No route, or the network says that the host is not there.
    #[error("not reachable ({0})")]
    Unreachable(String),
    /// Time was over.
    #[error("no answer in time while {0}")]
    Timeout(Stage),
    /// The other side broke the connection off.
    #[error("the connection was reset while {0}")]
    Reset(Stage),
    /// The other side closed the connection without a word.
    #[error("the connection was closed while {0}")]
    Closed(Stage),
    /// What listens there does not speak TLS.
    #[error("what listens there does not speak TLS")]
    NotTls,
    /// TLS failed before a certificate could be looked at.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// No HTTP came back; the first bytes.
    #[error("the answer is not HTTP/1: {0:?}")]
    NotHttp(String),
    /// HTTP/2 was agreed on, and what came is none, or says no.
    #[error("HTTP/2 failed: {0}")]
    Http2(String),
    /// The head of the answer never ended.
    #[error("the head of the answer is longer than 64 KiB")]
    LongHead,
    /// The address is private and that was not allowed, so nothing was sent.
    #[error("the address is private, so nobody outside can reach it")]
    Private,
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl Trouble {
    /// Whether nobody took the connection.
    pub fn is_silence(&self) -> bool {
        use Trouble::{Private, Refused, Timeout, Unreachable};
        matches!(self, Private | Refused | Unreachable(_) | Timeout(Stage::Connect))
    }
}

/// How far an exchange had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The TCP connection.
    Connect,
    /// The TLS handshake.
    Tls,
    /// Sending the request.
    Request,
    /// Waiting for the head of the answer.
    Head,
    /// Reading the body, or another protocol after HTTP.
    Body,
}

impl Trouble {
    /// More heads than one that announce another.
    pub(super) fn interim(most: usize) -> Self {
        Self::Other(format!("it sent more than {most} interim answers and no other"))
    }

    /// A name that TLS cannot ask for.
    pub(super) fn name() -> Self {
        Self::Tls("the name cannot stand in TLS".into())
    }

    /// What `error`, seen at `stage`, means.
    pub(super) fn of(error: &Error, stage: Stage) -> Self {
        if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return match tls {
                // The first byte is no TLS record's.
                rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => Self::NotTls,
                other => Self::Tls(other.to_string()),
            };
        }
        match error.kind() {
            ErrorKind::ConnectionRefused => Self::Refused,
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => Self::Reset(stage),
            ErrorKind::UnexpectedEof => Self::Closed(stage),
            ErrorKind::TimedOut => Self::Timeout(stage),
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::AddrNotAvailable => {
                Self::Unreachable(error.kind().to_string())
            }
            _ => Self::Other(error.to_string()),
        }
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting",
            Self::Tls => "TLS began",
            Self::Request => "sending the request",
            Self::Head => "waiting for an answer",
            Self::Body => "reading the answer",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        let stages = [Stage::Connect, Stage::Tls, Stage::Request, Stage::Head, Stage::Body];
        let of = |kind: ErrorKind, stage| Trouble::of(&kind.into(), stage);
        let mut all: Vec<Trouble> = stages.into_iter().map(|stage| of(ErrorKind::TimedOut, stage)).collect();
        all.extend([
            of(ErrorKind::ConnectionRefused, Stage::Connect),
            of(ErrorKind::HostUnreachable, Stage::Connect),
            of(ErrorKind::NetworkUnreachable, Stage::Connect),
            of(ErrorKind::ConnectionReset, Stage::Request),
            of(ErrorKind::UnexpectedEof, Stage::Head),
            of(ErrorKind::InvalidData, Stage::Body),
            Trouble::of(
                &Error::other(rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType)),
                Stage::Tls,
            ),
            Trouble::of(&Error::other(rustls::Error::HandshakeNotComplete), Stage::Tls),
            Trouble::NotHttp("SSH-2.0-OpenSSH".into()),
            Trouble::Http2("frame with invalid size".into()),
            Trouble::interim(8),
            Trouble::name(),
            Trouble::LongHead,
            Trouble::Private,
        ]);
        let lines: Vec<String> = all.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(lines.join("\n"));
    }
}
