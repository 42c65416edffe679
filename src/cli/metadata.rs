//! The flag that says where the cloud is asked: a test machine must not ask the cloud it happens to run in.

use std::net::SocketAddr;
use std::str::FromStr;

use crate::host::net::METADATA;

/// Where a cloud's metadata service is asked, or that none is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata(pub Option<SocketAddr>);

impl Default for Metadata {
    fn default() -> Self {
        Self(Some(METADATA))
    }
}

impl FromStr for Metadata {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self(None)),
            _ => text
                .parse()
                .map(|address| Self(Some(address)))
                .map_err(|_| "write `off`, or an address with its port such as 169.254.169.254:80".into()),
        }
    }
}

impl std::fmt::Display for Metadata {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("off"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_services() {
        for text in ["off", "127.0.0.1:8080", "169.254.169.254:80"] {
            assert_eq!(text.parse::<Metadata>().unwrap().to_string(), text);
        }
        assert!("on".parse::<Metadata>().is_err());
    }
}
