//! What can go wrong with the engine, in words.

use bollard::errors::Error as ApiError;

use super::exec::RUN;
use crate::error::Explain;
use crate::host::fs::FileError;

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
    /// A file on this side could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The engine ended while it was asked. Which of many questions met that is chance, and is not told.
    #[error("Docker went away in the middle of the work")]
    Gone,
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
        if is_broken(&error) {
            return Self::Gone;
        }
        let (mut said, status) = said(error);
        // hyper's words for a stream that ended too early, of which only the text gets here.
        if status == 0 && said.contains("error reading a body from connection") {
            return Self::Gone;
        }
        let late = ["Client.Timeout exceeded", "context deadline exceeded", "i/o timeout"];
        if what == "pull" && late.iter().any(|sign| said.contains(sign)) {
            // Which of its wordings the engine uses is chance.
            said = "the registry did not answer in time".into();
        }
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
            Self::Call { said, .. } if said.to_lowercase().contains("no space left") => {
                "make room on the disk that holds Docker's data (`docker system df`, `df -h`)".into()
            }
            Self::Call { what: "pull", subject, said, status } => pull_hint(subject, said, *status),
            Self::Call { what: RUN, subject, .. } => {
                let service = subject.trim_start_matches("rcfed-");
                format!("see how it is with `sudo rcfed logs {service}`, then run the same command again")
            }
            Self::Call { .. } => "look at the engine's log with `journalctl -u docker -n 50`".into(),
            Self::File(error) => return error.hint(),
            Self::Gone => {
                "see `systemctl status docker`, start it with `sudo systemctl start docker`, then run the same \
                                 command again: it goes on where this stopped"
                    .into()
            }
            Self::Unreachable { said, .. } if said.contains("ermission denied") => {
                "run it as root: put `sudo` in front of the command".into()
            }
            Self::Unreachable { .. } => "start it with `sudo systemctl start docker`".into(),
            Self::Silent { .. } => "restart it with `sudo systemctl restart docker`".into(),
        })
    }
}

/// Whether the connection to the engine could not be made, or broke.
fn is_broken(error: &ApiError) -> bool {
    if matches!(error, ApiError::SocketNotFoundError(_)) {
        return true;
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> = match error {
        // It shows the error inside as its own, and so has not that one, but its source, as its source.
        ApiError::IOError { err } => Some(err),
        other => Some(other),
    };
    while let Some(error) = cause {
        if error.is::<hyper::Error>() {
            return true;
        }
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            use std::io::ErrorKind as Kind;
            let broken =
                [Kind::BrokenPipe, Kind::ConnectionRefused, Kind::ConnectionReset, Kind::NotFound, Kind::UnexpectedEof];
            if broken.contains(&error.kind()) {
                return true;
            }
            // An `io::Error` made from another error has that one's source, and not itself, as its source.
            cause = error.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static));
            continue;
        }
        cause = error.source();
    }
    false
}

/// What to do about an image that did not come, by the engine's words.
fn pull_hint(reference: &str, said: &str, status: u16) -> String {
    let says = |signs: &[&str]| signs.iter().any(|sign| said.contains(sign));
    let again = "then run the same command again";
    if says(&["toomanyrequests", "429"]) {
        // A login counts for the command line only; an image that is there is not pulled again.
        let login = format!("`sudo docker login` and `sudo docker pull {reference}`");
        return format!("the registry limits how often one may pull: wait some hours, or use {login}, {again}");
    }
    if says(&["x509", "certificate"]) {
        return format!("the clock must be right (`date -u`); `sudo apt-get install ca-certificates`, {again}");
    }
    if status == 404 || says(&["manifest unknown", "name unknown", "not found", "denied", "HTTP 404"]) {
        return "check the image's name and tag under `[images]` in the config".into();
    }
    if says(&["HTTP status: 5"]) {
        return "the registry has trouble of its own; run the same command again in a few minutes".into();
    }
    let host = reference.split('/').next().unwrap_or_default();
    let host = if host == "docker.io" { "registry-1.docker.io" } else { host };
    if says(&["no such host"]) {
        return format!("check DNS with `getent hosts {host}`, and the image under `[images]` in the config, {again}");
    }
    if says(&["refused", "in time", "timeout", "unreachable", "no route", "sent nothing"]) {
        return format!("see whether this machine reaches the registry with `curl -sSI https://{host}/v2/`, {again}");
    }
    format!("try `docker pull {reference}`; once that works, run the same command again")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        let call = |said: &str| {
            let message = said.to_owned();
            DockerError::call(
                "start",
                "rcfed-gateway",
                ApiError::DockerResponseServerError { status_code: 500, message },
            )
        };
        let address = || "unix:///var/run/docker.sock".to_owned();
        let io = |kind: std::io::ErrorKind| ApiError::IOError { err: kind.into() };
        let errors = [
            call(
                "driver failed programming external connectivity: Bind for 0.0.0.0:80 failed: port is already allocated",
            ),
            call("mkdir /var/lib/docker/overlay2/x: no space left on device"),
            call("OCI runtime create failed\n"),
            DockerError::call("start", "rcfed-gateway", ApiError::RequestTimeoutError),
            DockerError::call("start", "rcfed-gateway", io(std::io::ErrorKind::ConnectionReset)),
            DockerError::call("start", "rcfed-gateway", ApiError::SocketNotFoundError("/var/run/docker.sock".into())),
            DockerError::unreachable(&address(), ApiError::SocketNotFoundError("/var/run/docker.sock".into())),
            DockerError::unreachable(&address(), io(std::io::ErrorKind::PermissionDenied)),
            DockerError::Silent { address: address() },
        ];
        insta::assert_snapshot!(crate::error::told(errors.map(Into::into)));
    }

    #[test]
    fn what_to_do_about_an_image_that_did_not_come() {
        let told = [
            "toomanyrequests: You have reached your pull rate limit.",
            "Get \"https://ghcr.io/v2/\": tls: failed to verify certificate: x509: certificate signed by unknown authority",
            "manifest for x:1 not found: manifest unknown: manifest unknown",
            "pull access denied for x, repository does not exist or may require 'docker login': denied",
            "error parsing HTTP 404 response body: unexpected end of JSON input: \"\"",
            "received unexpected HTTP status: 503 Service Unavailable",
            "Get \"https://ghcr.io/v2/\": dial tcp: lookup ghcr.io: no such host",
            "Get \"https://ghcr.io/v2/\": dial tcp 192.0.2.1:443: i/o timeout",
            "the registry sent nothing for 90 s",
            "unexpected EOF",
        ];
        let table = told.map(|said| format!("{said}\n  hint: {}", pull_hint("ghcr.io/element-hq/x:1", said, 0)));
        insta::assert_snapshot!(table.join("\n"));
    }
}
