//! Settings as Rocket.Chat really has them, against what they should be.

use std::fmt;

use serde_json::Value;

use super::{Client, RestError};

/// A setting that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The setting.
    pub id: String,
    /// What it should be, as it may be shown.
    pub expected: String,
    /// What it is, as it may be shown.
    pub found: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is {}, not {}", self.id, self.found, self.expected)
    }
}

impl Client {
    /// Reads every setting in `expected` and tells those that differ, in the same order.
    pub async fn read_back(&self, expected: &[(&str, Value)]) -> Result<Vec<Mismatch>, RestError> {
        let mut mismatches = Vec::new();
        for (id, wanted) in expected {
            let found = match self.setting(id).await {
                Ok(value) => Some(value),
                // Not registered by this version: Rocket.Chat answers without a reason.
                Err(RestError::Refused { .. }) => None,
                Err(error) => return Err(error),
            };
            if found.as_ref() != Some(wanted) {
                let (expected, found) = told(id, wanted, found.as_ref());
                mismatches.push(Mismatch { id: (*id).into(), expected, found });
            }
        }
        Ok(mismatches)
    }
}

fn told(id: &str, wanted: &Value, found: Option<&Value>) -> (String, String) {
    let secret = ["token", "password", "secret"].iter().any(|word| id.to_ascii_lowercase().contains(word));
    match (found, secret) {
        (None, true) => ("rcfed's".into(), "unknown to this version".into()),
        (None, false) => (wanted.to_string(), "unknown to this version".into()),
        (Some(_), true) => ("rcfed's".into(), "another one".into()),
        (Some(found), false) => (wanted.to_string(), found.to_string()),
    }
}
