//! A Matrix user's id: `@localpart:server`.

use std::fmt;
use std::str::FromStr;

use super::server_name::{NameError, ServerName};

/// Somebody on some server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserId {
    text: String,
    server: ServerName,
}

impl UserId {
    /// The id as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The server.
    pub fn server(&self) -> &ServerName {
        &self.server
    }
}

impl FromStr for UserId {
    type Err = UserIdError;

    /// Reads an id. Historical localparts may hold any visible ASCII but a colon, and servers accept them.
    fn from_str(text: &str) -> Result<Self, UserIdError> {
        let rest = text.strip_prefix('@').ok_or(UserIdError::At)?;
        let (local, server) = rest.split_once(':').ok_or(UserIdError::Server)?;
        if local.is_empty() || !local.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(UserIdError::Local);
        }
        if text.len() > 255 {
            return Err(UserIdError::Long);
        }
        Ok(Self { text: text.to_owned(), server: ServerName::parse(server)? })
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why a text is no user id.
#[derive(Debug, thiserror::Error)]
pub enum UserIdError {
    /// It does not start as one.
    #[error("a Matrix id starts with `@`, as in @bob:example.org")]
    At,
    /// What stands before the colon.
    #[error("the part before the colon is empty or has characters that no Matrix id has")]
    Local,
    /// Longer than any server takes.
    #[error("a Matrix id has at most 255 characters")]
    Long,
    /// There is none.
    #[error("the server is missing: a Matrix id ends with it, as in @bob:example.org")]
    Server,
    /// It is none.
    #[error(transparent)]
    Name(#[from] NameError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids() {
        for good in ["@bob:example.org", "@b/=_.-+1:example.org:8448", "@Bob!:[2001:db8::1]:8448"] {
            assert_eq!(good.parse::<UserId>().unwrap().to_string(), good);
        }
        assert_eq!("@bob:example.org:8448".parse::<UserId>().unwrap().server().as_str(), "example.org:8448");
        let long = format!("@{}:example.org", "b".repeat(250));
        let bad = ["bob:example.org", "@bob", "@:example.org", "@b b:example.org", "@bob:", "@bob:https://x", &long];
        let told = bad.map(|text| {
            format!("{}: {}", text.chars().take(20).collect::<String>(), text.parse::<UserId>().unwrap_err())
        });
        insta::assert_snapshot!(told.join("\n"));
    }
}
