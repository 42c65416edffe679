//! The relay's configuration: a file of its own, because it holds tokens and is the only file in the container.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::Uri;
use hyper::header::HeaderValue;
use serde::de::{Deserialize, Deserializer, Error as _};

use super::pace::Pace;
use super::queue::Bounds;
use crate::error::Explain;
use crate::host::fs;
use crate::matrix::server_name::ServerName;
use crate::secrets::Secret;

/// What the relay needs to know; unknown keys are refused.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayConfig {
    /// Where it listens, e.g. `0.0.0.0:8080`.
    pub listen: SocketAddr,
    /// The bridge, e.g. `http://rocketchat:3300`.
    pub bridge_url: Base,
    /// Dendrite, e.g. `http://homeserver:8008`.
    pub homeserver_url: Base,
    /// The application service's id, as in the registration.
    pub appservice_id: Word,
    /// Rocket.Chat's token towards the homeserver.
    pub as_token: Token,
    /// The homeserver's token towards the bridge.
    pub hs_token: Token,
    /// The directory of the journal of invites.
    pub journal: PathBuf,
    /// Servers whose users may invite; all, if it is empty.
    #[serde(default)]
    pub federate_with: Vec<String>,
    /// Whether it stands for a federation tester.
    pub federation_ok: Option<Own>,
    /// How many invites may wait.
    #[serde(default = "queue_invites")]
    pub queue_invites: usize,
    /// How many bytes of them.
    #[serde(default = "queue_bytes")]
    pub queue_bytes: u64,
    /// How fast failures are repeated.
    #[serde(default)]
    pub pace: Pace,
    /// How long the bridge may take to answer a transaction with an invite. Not in the file.
    #[serde(skip, default = "answer_limit")]
    pub bridge_limit: Duration,
    /// How long Dendrite may take to answer an invite: it may have to fetch keys. Not in the file.
    #[serde(skip, default = "answer_limit")]
    pub homeserver_limit: Duration,
    /// How long the body of an invite may take to arrive. Not in the file.
    #[serde(skip, default = "ping_limit")]
    pub body_limit: Duration,
    /// How long the bridge may take to answer a ping. Not in the file.
    #[serde(skip, default = "ping_limit")]
    pub ping_limit: Duration,
}

/// The server that the relay vouches for.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Own {
    /// Its name.
    #[serde(deserialize_with = "server_name")]
    pub server_name: ServerName,
    /// The authorities that other servers of its network trust.
    pub authorities: PathBuf,
}

impl RelayConfig {
    /// Reads the file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_text(path).map_err(|source| ConfigError::Read { source })?;
        let text = text.ok_or_else(|| ConfigError::Missing(path.into()))?;
        if let Some(access) = fs::access(path).map_err(|source| ConfigError::Read { source })?
            && access.mode & 0o007 != 0
        {
            return Err(ConfigError::Open { path: path.into(), mode: access.mode });
        }
        toml::from_str(&text).map_err(|error| ConfigError::Content {
            path: path.into(),
            line: error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1),
            // Not the error itself: it quotes the line, and the line may hold a token.
            message: error.message().into(),
        })
    }
}

impl RelayConfig {
    /// How many invites may wait.
    pub fn bounds(&self) -> Bounds {
        Bounds { invites: self.queue_invites, bytes: self.queue_bytes }
    }
}

/// A server inside the containers' network: `http://host:port`, nothing after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base(String);

impl Base {
    /// The URL of a path with its query on this server; `None` if they do not make one.
    pub fn at(&self, path_and_query: &str) -> Option<Uri> {
        format!("{}{path_and_query}", self.0).parse().ok()
    }
}

impl std::fmt::Display for Base {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Base {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let url = text.strip_suffix('/').unwrap_or(&text);
        let authority = url.strip_prefix("http://").filter(|rest| rest.bytes().all(|b| b.is_ascii_graphic()));
        let whole = authority.is_some_and(|rest| !rest.is_empty() && !rest.contains(['/', '?', '#', '@']));
        match url.parse::<Uri>() {
            Ok(_) if whole => Ok(Self(url.into())),
            _ => Err(D::Error::custom(format!("`{text}` is not of the form http://host:port"))),
        }
    }
}

/// Text that stands in a URL as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word(String);

impl Word {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        word(deserializer).map(Self)
    }
}

/// A token, ready to be sent in both forms.
#[derive(Clone, Debug)]
pub struct Token {
    secret: Secret,
    bearer: HeaderValue,
}

impl Token {
    /// The value.
    pub fn expose(&self) -> &str {
        self.secret.expose()
    }

    /// `Bearer …`, marked so that no `Debug` shows it.
    pub fn bearer(&self) -> HeaderValue {
        self.bearer.clone()
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = word(deserializer)?;
        let mut bearer = HeaderValue::try_from(format!("Bearer {text}")).map_err(|_| D::Error::custom(NOT_A_WORD))?;
        bearer.set_sensitive(true);
        Ok(Self { secret: Secret::new(text), bearer })
    }
}

fn server_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ServerName, D::Error> {
    ServerName::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// Says nothing of the value it refuses.
fn word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match toml::Value::deserialize(deserializer)? {
        toml::Value::String(text)
            if !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b)) =>
        {
            Ok(text)
        }
        _ => Err(D::Error::custom(NOT_A_WORD)),
    }
}

fn queue_invites() -> usize {
    20_000
}

fn queue_bytes() -> u64 {
    64 * 1024 * 1024
}

fn answer_limit() -> Duration {
    Duration::from_secs(60)
}

fn ping_limit() -> Duration {
    Duration::from_secs(10)
}

const NOT_A_WORD: &str = "only letters, digits, `-`, `.`, `_` and `~` may stand here, in quotes";

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not what it should hold.
    #[error("`{}`, line {line}: {message}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Where in it.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// No such file.
    #[error("there is no relay configuration at `{}`", .0.display())]
    Missing(PathBuf),
    /// Everybody may read the tokens.
    #[error("`{}` holds tokens, and everybody may use it (mode {mode:04o})", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file cannot be read.
    #[error(transparent)]
    Read {
        /// What the kernel said.
        source: fs::FileError,
    },
}

impl Explain for ConfigError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Content { .. } | Self::Missing(_) => Some("run `sudo rcfed apply`: it writes this file".into()),
            Self::Open { path, .. } => Some(format!("run `chmod 0400 {}`", path.display())),
            Self::Read { source } => source.hint(),
        }
    }
}
