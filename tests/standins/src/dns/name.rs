//! Domain names as DNS compares them: label by label, without case (RFC 4343).

use std::fmt;

/// Labels from left to right in lower case; the root has none.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Vec<Vec<u8>>);

impl Name {
    /// From labels as they came over the wire.
    #[must_use]
    pub fn from_labels(labels: Vec<Vec<u8>>) -> Self {
        Self(labels.into_iter().map(|label| label.to_ascii_lowercase()).collect())
    }

    /// From text; a final dot may be there or not, `.` is the root.
    ///
    /// # Errors
    /// If a label is empty or longer than 63 bytes, or the whole name longer than 255 (RFC 1035 §2.3.4).
    pub fn parse(text: &str) -> Result<Self, String> {
        let bare = text.strip_suffix('.').unwrap_or(text);
        if bare.is_empty() {
            return if text == "." { Ok(Self::default()) } else { Err("empty name".to_owned()) };
        }
        let labels: Vec<Vec<u8>> = bare.split('.').map(|label| label.as_bytes().to_ascii_lowercase()).collect();
        if labels.iter().any(|label| label.is_empty() || label.len() > 63) || bare.len() > 253 {
            return Err(format!("{text:?} is not a domain name"));
        }
        Ok(Self(labels))
    }

    /// The labels, leftmost first.
    #[must_use]
    pub fn labels(&self) -> &[Vec<u8>] {
        &self.0
    }

    /// The name without its leftmost label; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0.get(1..).map(|rest| Self(rest.to_vec()))
    }

    /// Whether this is `zone` or lies below it.
    #[must_use]
    pub fn is_within(&self, zone: &Self) -> bool {
        self.0.ends_with(&zone.0)
    }

    /// This name with one more label on the left.
    #[must_use]
    pub fn child(&self, label: &str) -> Self {
        let mut labels = vec![label.as_bytes().to_ascii_lowercase()];
        labels.extend_from_slice(&self.0);
        Self(labels)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return out.write_str(".");
        }
        for label in &self.0 {
            write!(out, "{}.", label.escape_ascii())?;
        }
        Ok(())
    }
}
