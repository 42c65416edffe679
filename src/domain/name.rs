//! A DNS host name that can be a Matrix server name, a certificate name and an nginx `server_name`.

use std::net::IpAddr;

use super::text_type;

/// A lower-case, fully qualified host name without the final dot, at most [`DomainName::MAX`] characters long.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainName(String);

impl DomainName {
    /// The Matrix specification's advice for server names, so that user ids fit into 255 characters.
    pub const MAX: usize = 230;

    /// Reads a host name as a person types it; spaces around it are forgiven, nothing else is.
    pub fn parse(text: &str) -> Result<Self, DomainError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(DomainError::Empty);
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            let host = rest.split(['/', ':']).next().unwrap_or_default();
            return Err(DomainError::Scheme { scheme: scheme.into(), suggestion: host.to_lowercase() });
        }
        if text.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
            return Err(DomainError::Address(text.into()));
        }
        if let Some((host, rest)) = text.split_once(['/', ':', '@']) {
            let host = if text.contains('@') { rest } else { host };
            return Err(DomainError::Extra { text: text.into(), suggestion: host.to_lowercase() });
        }
        if !text.is_ascii() {
            return Err(DomainError::International { text: text.into(), ascii: punycode(text) });
        }
        if let Some(without) = text.strip_suffix('.') {
            return Err(DomainError::TrailingDot { suggestion: without.to_lowercase() });
        }
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(DomainError::UpperCase { suggestion: text.to_lowercase() });
        }
        if text.len() > Self::MAX {
            return Err(DomainError::TooLong { length: text.len() });
        }
        let labels: Vec<&str> = text.split('.').collect();
        for label in &labels {
            check_label(text, label)?;
        }
        match labels.as_slice() {
            [_] => Err(DomainError::OneLabel(text.into())),
            [.., last] if last.bytes().all(|b| b.is_ascii_digit()) => Err(DomainError::Address(text.into())),
            _ => Ok(Self(text.into())),
        }
    }

    /// `sub.self`, if that is still a valid name.
    pub fn child(&self, sub: &str) -> Result<Self, DomainError> {
        Self::parse(&format!("{sub}.{self}"))
    }
}

text_type!(DomainName, DomainError);

/// Why a text is not a usable host name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
    /// An IPv4 or IPv6 address.
    #[error("`{0}` is an IP address; a domain name is needed")]
    Address(String),
    /// A character outside letters, digits, hyphen and dot.
    #[error("`{name}` contains `{character}`")]
    Character {
        /// The whole text.
        name: String,
        /// The first character that may not stand in a host name.
        character: char,
    },
    /// Nothing was typed.
    #[error("no domain name was given")]
    Empty,
    /// Two dots in a row, or a leading dot.
    #[error("`{0}` has an empty part between two dots")]
    EmptyLabel(String),
    /// A port, a path or a user part.
    #[error("`{text}` is more than a domain name")]
    Extra {
        /// The whole text.
        text: String,
        /// The part that looks like the name.
        suggestion: String,
    },
    /// A label that starts or ends with a hyphen.
    #[error("`{label}` in `{name}` starts or ends with a hyphen")]
    Hyphen {
        /// The whole text.
        name: String,
        /// The part in question.
        label: String,
    },
    /// Letters outside ASCII.
    #[error("`{text}` has letters outside a-z")]
    International {
        /// The whole text.
        text: String,
        /// The same name in its ASCII form, if it has one.
        ascii: Option<String>,
    },
    /// A label over 63 characters.
    #[error("a part of the name has {length} characters; 63 is the most")]
    LongLabel {
        /// Characters in the part.
        length: usize,
    },
    /// A name without a dot.
    #[error("`{0}` has no dot; a name that others can find in DNS is needed")]
    OneLabel(String),
    /// A URL was pasted.
    #[error("`{scheme}://` does not belong to a domain name")]
    Scheme {
        /// What stood before `://`.
        scheme: String,
        /// The host in it.
        suggestion: String,
    },
    /// The name is longer than Matrix allows.
    #[error("the name has {length} characters; {} is the most for a Matrix server name", DomainName::MAX)]
    TooLong {
        /// Characters in the name.
        length: usize,
    },
    /// The absolute form with a final dot.
    #[error("the name ends with a dot")]
    TrailingDot {
        /// The name without it.
        suggestion: String,
    },
    /// Matrix compares server names letter by letter.
    #[error("the name has upper-case letters, and Matrix compares names letter by letter")]
    UpperCase {
        /// The name in lower case.
        suggestion: String,
    },
}

impl DomainError {
    /// What to type instead.
    pub fn hint(&self) -> String {
        match self {
            Self::Scheme { suggestion, .. }
            | Self::Extra { suggestion, .. }
            | Self::TrailingDot { suggestion }
            | Self::UpperCase { suggestion }
                if DomainName::parse(suggestion).is_ok() =>
            {
                format!("type `{suggestion}`")
            }
            Self::International { ascii: Some(ascii), .. } => format!("type its ASCII form, `{ascii}`"),
            Self::Character { character: '_', .. } => {
                "host names have no underscores: certificate authorities refuse them".into()
            }
            _ => "type a name such as `example.org`".into(),
        }
    }
}

fn check_label(name: &str, label: &str) -> Result<(), DomainError> {
    if label.is_empty() {
        return Err(DomainError::EmptyLabel(name.into()));
    }
    if let Some(character) = label.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '-') {
        return Err(DomainError::Character { name: name.into(), character });
    }
    if label.len() > 63 {
        return Err(DomainError::LongLabel { length: label.len() });
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Err(DomainError::Hyphen { name: name.into(), label: label.into() });
    }
    Ok(())
}

fn punycode(text: &str) -> Option<String> {
    let ascii = idna::domain_to_ascii(text).ok()?;
    DomainName::parse(&ascii).ok().map(|name| name.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_are_taken() {
        for name in ["example.org", "a.b.c.d.example", "xn--bcher-kva.example", "1and1.de", " example.org "] {
            assert_eq!(DomainName::parse(name).unwrap().as_str(), name.trim());
        }
    }

    #[test]
    fn every_refusal_says_why_and_what_to_type() {
        let long = format!("{}.example.org", "a.".repeat(121));
        let label = format!("{}.org", "a".repeat(64));
        let refused = [
            "",
            "Example.org",
            "example.org.",
            "https://example.org/x",
            "example.org:443",
            "@me:example.org",
            "192.0.2.1",
            "[2001:db8::1]",
            "1.2.3.4.5",
            "bücher.example",
            "my_host.example.org",
            "a..b",
            ".org",
            "-a.org",
            "a-.org",
            "localhost",
            "exa mple.org",
            &long,
            &label,
        ];
        let table: Vec<String> = refused
            .iter()
            .map(|text| {
                let error = DomainName::parse(text).unwrap_err();
                format!("{text:.40} → {error}; {}", error.hint())
            })
            .collect();
        insta::assert_snapshot!(table.join("\n"));
    }
}
