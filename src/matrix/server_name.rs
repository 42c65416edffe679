//! A Matrix server name, read as strictly as the strictest server reads it.
//!
//! Libraries forgive what others do not (a port of `+80`, an address of `999.999.999.999`), and a doctor that forgives
//! finds nothing. So this is the grammar itself, with a reason for every refusal.

mod error;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU16;

pub use error::NameError;

/// `host[:port]` (Matrix specification, appendix "Server Name"). Compared letter by letter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerName {
    text: String,
    host: Host,
    port: Option<NonZeroU16>,
}

/// The part of a server name before the port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// An address literal; IPv6 without its brackets.
    Ip(IpAddr),
    /// A DNS name, as it was written.
    Dns(String),
}

/// What is allowed in a server name and still unwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unwise {
    /// DNS does not tell letters apart by case, Matrix does.
    UpperCase,
    /// `:0443` is another name than `:443` to whoever compares texts.
    LeadingZeros,
    /// More than [`ServerName::MAX`] characters leave too little room in a user id.
    Long,
}

impl ServerName {
    /// The length that the specification advises to stay below, in characters.
    pub const MAX: usize = 230;
    /// The longest DNS name that can be looked up, in characters.
    const LONGEST: usize = 253;

    /// Reads a name; nothing is trimmed and nothing is forgiven.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.contains("://") {
            return Err(NameError::Scheme);
        }
        if text.contains('/') {
            return Err(NameError::Path);
        }
        if let Some(character) = text.chars().find(|c| !c.is_ascii_alphanumeric() && !"-.:[]".contains(*c)) {
            return Err(NameError::Character(character));
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (inside, after) = rest.split_once(']').ok_or(NameError::Bracket)?;
                let address = inside.parse::<Ipv6Addr>().map_err(|_| NameError::Ipv6)?;
                let port = match after.strip_prefix(':') {
                    None if after.is_empty() => None,
                    None => return Err(NameError::Bracket),
                    port => port,
                };
                (Host::Ip(address.into()), port)
            }
            None => {
                let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
                if port.is_some() && text.parse::<Ipv6Addr>().is_ok() {
                    return Err(NameError::Unbracketed);
                }
                (host_of(host)?, port)
            }
        };
        let port = port.map(port_of).transpose()?;
        Ok(Self { text: text.to_owned(), host, port })
    }

    /// The name as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part before the port.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port, if the name has one.
    pub fn port(&self) -> Option<u16> {
        self.port.map(NonZeroU16::get)
    }

    /// What is allowed in it and still unwise, sorted.
    pub fn unwise(&self) -> Vec<Unwise> {
        let dns = matches!(self.host, Host::Dns(_));
        let port = self.text.rsplit_once(':').filter(|_| self.port.is_some()).map_or("", |(_, port)| port);
        let found = [
            (Unwise::UpperCase, dns && self.text.bytes().any(|b| b.is_ascii_uppercase())),
            (Unwise::LeadingZeros, port.starts_with('0')),
            (Unwise::Long, self.text.len() > Self::MAX),
        ];
        found.into_iter().filter_map(|(what, there)| there.then_some(what)).collect()
    }
}

impl std::fmt::Display for ServerName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::fmt::Display for Host {
    /// As it stands in a URL: IPv6 in brackets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ip(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Ip(address) => address.fmt(f),
            Self::Dns(name) => f.write_str(name),
        }
    }
}

impl std::str::FromStr for ServerName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

impl serde::Serialize for ServerName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

fn host_of(text: &str) -> Result<Host, NameError> {
    if text.is_empty() {
        return Err(NameError::NoHost);
    }
    if text.contains(['[', ']']) {
        return Err(NameError::Bracket);
    }
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Ok(Host::Ip(address.into()));
    }
    if text.len() > ServerName::LONGEST {
        return Err(NameError::Long(text.len()));
    }
    if text.len() > 1 && text.ends_with('.') {
        return Err(NameError::TrailingDot);
    }
    for label in text.split('.') {
        match label.len() {
            0 => return Err(NameError::EmptyLabel),
            1..=63 if label.starts_with('-') || label.ends_with('-') => return Err(NameError::Hyphen(label.into())),
            1..=63 => {}
            more => return Err(NameError::LongLabel(more)),
        }
    }
    // A top-level domain is never a number (RFC 3696 §2): this was meant to be an address.
    let last = text.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|b| b.is_ascii_digit()) {
        return Err(NameError::Ipv4(text.into()));
    }
    Ok(Host::Dns(text.into()))
}

fn port_of(text: &str) -> Result<NonZeroU16, NameError> {
    let digits = (1..=5).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or_else(|| NameError::Port(text.into()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn good_names_come_apart() {
        let read = |text: &str| {
            let name = ServerName::parse(text).unwrap();
            format!("{} {:?} {:?} {:?}", name.host(), matches!(name.host(), Host::Ip(_)), name.port(), name.unwise())
        };
        assert_eq!(read("example.org"), "example.org false None []");
        assert_eq!(read("example.org:8448"), "example.org false Some(8448) []");
        assert_eq!(read("localhost"), "localhost false None []");
        assert_eq!(read("192.0.2.1"), "192.0.2.1 true None []");
        assert_eq!(read("192.0.2.1:80"), "192.0.2.1 true Some(80) []");
        assert_eq!(read("[2001:DB8::1]"), "[2001:db8::1] true None []");
        assert_eq!(read("[::1]:65535"), "[::1] true Some(65535) []");
        assert_eq!(read("Example.org:00080"), "Example.org false Some(80) [UpperCase, LeadingZeros]");
        assert_eq!(read("1.example"), "1.example false None []");
        let long =
            format!("{}.example.org", ["a".repeat(60), "b".repeat(60), "c".repeat(60), "d".repeat(60)].join("."));
        assert!(read(&long[30..]).ends_with("None []"));
        assert_eq!(ServerName::parse(&long[10..]).unwrap().unwise(), [Unwise::Long]);
    }

    #[test]
    fn every_refusal_has_its_reason() {
        let long = format!("{}example.org", "a.".repeat(125));
        let label = format!("{}.org", "a".repeat(64));
        let refused = [
            "",
            "https://example.org",
            "example.org/",
            "example.org:443/x",
            "exa mple.org",
            "a_b.example",
            "bücher.example",
            "example.org:",
            "example.org:+80",
            "example.org:0",
            "example.org:65536",
            "example.org:000443",
            "example.org:443:1",
            "example.org:http",
            ":443",
            "999.999.999.999",
            "192.0.2",
            "192.0.2.01",
            "1.2.3.4.5",
            "-a..b",
            "a..b",
            ".a",
            "a.",
            ".",
            "a-.example",
            "[::1",
            "::1",
            "[::1]443",
            "[::1]:",
            "[127.0.0.1]",
            "[example.org]",
            "[fe80::1%eth0]",
            "exam]ple.org",
            "@example.org",
            &long,
            &label,
        ];
        let table: Vec<String> =
            refused.iter().map(|text| format!("{text:.30} → {}", ServerName::parse(text).unwrap_err())).collect();
        insta::assert_snapshot!(table.join("\n"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}|[a-z0-9.:\\[\\]-]{0,40}") {
            if let Ok(name) = ServerName::parse(&text) {
                prop_assert_eq!(name.as_str(), &text);
                prop_assert!(text.is_ascii() && text.len() <= 260);
                let port = name.port().map(|port| format!(":{port}")).unwrap_or_default();
                let again = format!("{}{port}", name.host());
                prop_assert!(ServerName::parse(&again).is_ok());
            }
        }
    }
}
