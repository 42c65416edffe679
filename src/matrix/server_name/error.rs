//! What is wrong with a text that is no server name; each reason is one a person can act on.

/// Why a text is not a server name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NameError {
    /// Nothing at all.
    #[error("the name is empty")]
    Empty,
    /// A URL.
    #[error("a server name has no scheme (`https://`)")]
    Scheme,
    /// A path, or only a slash at the end.
    #[error("a server name has no path and no slash")]
    Path,
    /// A character that may not stand in a server name.
    #[error("{0:?} may not stand in a server name")]
    Character(char),
    /// A bracket without its pair, or text after the closing one.
    #[error("the square brackets are not around an IPv6 address alone")]
    Bracket,
    /// What stands in brackets is no IPv6 address.
    #[error("what stands in square brackets is not an IPv6 address")]
    Ipv6,
    /// An IPv6 address without brackets.
    #[error("an IPv6 address needs square brackets")]
    Unbracketed,
    /// Numbers and dots that are no address.
    #[error("`{0}` looks like an IPv4 address and is none")]
    Ipv4(String),
    /// Nothing before the port.
    #[error("there is no host before the port")]
    NoHost,
    /// A dot at the end.
    #[error("the name ends with a dot")]
    TrailingDot,
    /// Two dots in a row, or one at the beginning.
    #[error("a part between two dots is empty")]
    EmptyLabel,
    /// A part of more than 63 characters.
    #[error("a part of the name has {0} characters; DNS knows 63")]
    LongLabel(usize),
    /// A part with a hyphen at its beginning or end.
    #[error("`{0}` begins or ends with a hyphen")]
    Hyphen(String),
    /// Longer than any DNS name.
    #[error("the name has {0} characters; DNS knows 253")]
    Long(usize),
    /// The port is not made of one to five digits, or not between 1 and 65535.
    #[error("`{0}` is not a port between 1 and 65535")]
    Port(String),
}
