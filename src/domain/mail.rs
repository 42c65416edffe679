//! E-mail addresses, checked as far as a certificate authority and Rocket.Chat care.

use super::{DomainName, text_type};

/// `local@domain` with a plain local part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// Reads an address; quoted local parts are refused, as Rocket.Chat refuses them.
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        let text = text.trim();
        let (local, domain) = text.rsplit_once('@').ok_or_else(|| EmailError(text.into()))?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
        let dots = local.starts_with('.') || local.ends_with('.') || local.contains("..");
        if local.is_empty() || local.len() > 64 || dots || !local.chars().all(plain) {
            return Err(EmailError(text.into()));
        }
        DomainName::parse(&domain.to_lowercase()).map_err(|_| EmailError(text.into()))?;
        Ok(Self(text.into()))
    }
}

text_type!(Email, EmailError);

/// The text is not an e-mail address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an e-mail address")]
pub struct EmailError(String);

impl EmailError {
    /// What to type instead.
    pub fn hint(&self) -> String {
        "type an address such as `you@example.org`, or leave it out".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in ["you@example.org", "a.b+c@sub.example.org", "A@Example.org"] {
            assert!(Email::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "you", "@example.org", "a b@example.org", "a@b", "\"x\"@example.org", "a..b@example.org"] {
            assert!(Email::parse(bad).is_err(), "{bad}");
        }
    }
}
