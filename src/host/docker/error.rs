//! What can go wrong with the engine, in words.

use bollard::errors::Error as ApiError;

use crate::error::Explain;

/// An engine that did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum DockerError {
    /// A call failed; the engine's own words are kept.
    #[error("Docker could not {what} `{subject}`: {said}")]
    Call {
        /// What was asked.
        what: &'static str,
        /// The thing it was asked for.
        subject: String,
        /// The engine's words.
        said: String,
        /// HTTP status of the answer; 0 without one.
        status: u16,
    },
    /// Nobody answers at the address.
    #[error("Docker does not answer at {address}: {said}")]
    Unreachable {
        /// The engine's address.
        address: String,
        /// What the attempt gave.
        said: String,
    },
    /// Somebody took the connection and said nothing.
    #[error("Docker at {address} took the connection and did not answer within 10 s")]
    Silent {
        /// The engine's address.
        address: String,
    },
}

impl DockerError {
    pub(super) fn call(what: &'static str, subject: &str, error: ApiError) -> Self {
        let (said, status) = said(error);
        Self::Call { what, subject: subject.into(), said, status }
    }

    pub(super) fn unreachable(address: &str, error: ApiError) -> Self {
        Self::Unreachable { address: address.into(), said: said(error).0 }
    }
}

impl Explain for DockerError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Call { said, .. }
                if said.contains("port is already allocated") || said.contains("address already in use") =>
            {
                "see who holds the port with `ss -ltnp`, stop it, then run the same command again".into()
            }
            Self::Call { said, .. } if said.contains("no space left") => {
                "make room on the disk that holds Docker's data (`docker system df`, `df -h`)".into()
            }
            Self::Call { what: "pull", status: 404, .. } => {
                "check the image's name and tag under `[images]` in the config".into()
            }
            Self::Call { what: "pull", said, .. } if said.contains("unknown") || said.contains("denied") => {
                "check the image's name and tag under `[images]` in the config".into()
            }
            Self::Call { what: "pull", subject, .. } => {
                format!("try `docker pull {subject}`; once that works, run the same command again")
            }
            Self::Call { .. } => "look at the engine's log with `journalctl -u docker -n 50`".into(),
            Self::Unreachable { said, .. } if said.contains("ermission denied") => {
                "run it as root: put `sudo` in front of the command".into()
            }
            Self::Unreachable { .. } => "start it with `sudo systemctl start docker`".into(),
            Self::Silent { .. } => "restart it with `sudo systemctl restart docker`".into(),
        })
    }
}

fn said(error: ApiError) -> (String, u16) {
    match error {
        ApiError::DockerResponseServerError { status_code, message } => (message.trim().into(), status_code),
        ApiError::DockerStreamError { error } => (error.trim().into(), 0),
        ApiError::RequestTimeoutError => ("no answer within 2 minutes".into(), 0),
        ApiError::SocketNotFoundError(path) => (format!("there is no socket `{path}`"), 0),
        other => {
            let mut text = other.to_string();
            let mut cause = std::error::Error::source(&other);
            while let Some(error) = cause {
                if let Some(error) = error.downcast_ref::<std::io::Error>() {
                    // What the system says; what is around it only names libraries.
                    return (error.to_string(), 0);
                }
                let part = error.to_string();
                if !text.contains(&part) {
                    text = format!("{text}: {part}");
                }
                cause = error.source();
            }
            (text, 0)
        }
    }
}
