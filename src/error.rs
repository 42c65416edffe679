//! The one error type that reaches `main`: what went wrong, and separately what to do about it.
//!
//! Modules have error enums of their own; each implements [`Explain`], so that the text of an error stays apart from
//! its hint. A hint is an exact command, or a fact that was observed.

use std::fmt;

/// An error that knows what to do next.
pub trait Explain: std::error::Error + Send + Sync + 'static {
    /// An exact command, or a fact that was observed.
    fn hint(&self) -> Option<String>;

    /// Exit code of the process if this error ends it: 1, or 2 for wrong usage.
    fn exit_code(&self) -> u8 {
        1
    }
}

/// Any module's error, on its way to `main`.
pub struct Error(Box<dyn Explain>);

/// What most of rcfed returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error made on the spot, with its hint.
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self(Box::new(Plain { message: message.into(), hint: Some(hint.into()), code: 1 }))
    }

    /// Wrong usage: exit code 2.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self(Box::new(Plain { message: message.into(), hint: Some(hint.into()), code: 2 }))
    }

    /// Somebody asked to stop: the exit code says who ([`crate::stop::Reason::exit_code`]).
    pub fn stopped(message: impl Into<String>, hint: impl Into<String>, code: u8) -> Self {
        Self(Box::new(Plain { message: message.into(), hint: Some(hint.into()), code }))
    }

    /// Only an exit code: what was found has been told already, as data.
    pub fn told(code: u8) -> Self {
        Self(Box::new(Plain { message: String::new(), hint: None, code }))
    }

    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        self.0.hint()
    }

    /// Exit code of the process.
    pub fn exit_code(&self) -> u8 {
        self.0.exit_code()
    }

    /// The message and its causes, one after the other, without repeating a cause that the message already holds.
    pub fn message(&self) -> String {
        let mut text = self.0.to_string();
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let part = error.to_string();
            if !text.contains(&part) {
                text = format!("{text}: {part}");
            }
            cause = error.source();
        }
        text
    }
}

impl<E: Explain> From<E> for Error {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message())?;
        self.hint().map_or(Ok(()), |hint| write!(f, " (hint: {hint})"))
    }
}

/// The runtime that everything else runs on cannot be made.
pub fn not_started(error: &std::io::Error) -> Error {
    Error::new(format!("could not start: {error}"), "see `ulimit -a` and `df -h`")
}

/// Errors as a person sees them, for snapshots of a module's sentences.
#[cfg(test)]
pub(crate) fn told(errors: impl IntoIterator<Item = Error>) -> String {
    let lines = errors.into_iter().map(|error| {
        let code = if error.exit_code() == 1 { String::new() } else { format!(" (exit code {})", error.exit_code()) };
        format!("{error}{code}\n  hint: {}", error.hint().unwrap_or("none".into()))
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Plain {
    message: String,
    hint: Option<String>,
    code: u8,
}

impl Explain for Plain {
    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
    fn exit_code(&self) -> u8 {
        self.code
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        insta::assert_snapshot!(told([not_started(&std::io::Error::from_raw_os_error(24))]));
    }
}
