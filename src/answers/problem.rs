//! Answers that cannot be used: all of them at once, each with its place and what to write instead.

use std::fmt;

use super::{Key, Source};
use crate::error::Explain;

/// One answer that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, with the place where it was said.
    pub message: String,
    /// What to write instead.
    pub hint: String,
    /// Whether something is not there, rather than wrong.
    pub missing: bool,
}

impl Problem {
    /// An answer that is there and wrong.
    pub fn wrong(key: Key, source: &Source, why: impl fmt::Display, hint: impl Into<String>) -> Self {
        Self { message: format!("`{}` ({source}): {why}", key.path()), hint: hint.into(), missing: false }
    }

    /// An answer that is needed and not there.
    pub fn missing(key: Key, why: impl fmt::Display) -> Self {
        let hint = format!("give {} or {}, or write {} in the answers file", key.flag(), key.env(), key.line());
        Self { message: why.to_string(), hint, missing: true }
    }
}

/// Every answer that cannot be used; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// `problems`, of which there is at least one.
    pub(crate) fn some(problems: Vec<Problem>) -> Self {
        Self(problems)
    }

    /// `value`, unless there were problems.
    pub fn unless_none<T>(problems: Vec<Problem>, value: T) -> Result<T, Self> {
        if problems.is_empty() { Ok(value) } else { Err(Self(problems)) }
    }

    /// The problems, in the order they were found.
    pub fn all(&self) -> &[Problem] {
        &self.0
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = self.0.as_slice() {
            return f.write_str(&only.message);
        }
        write!(f, "{} answers cannot be used", self.0.len())?;
        for problem in &self.0 {
            write!(f, "\n  - {}\n    {}", problem.message, problem.hint)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl Explain for Problems {
    fn hint(&self) -> Option<String> {
        match self.0.as_slice() {
            [only] => Some(only.hint.clone()),
            _ => Some("change the lines above, then run the same command again".into()),
        }
    }

    fn exit_code(&self) -> u8 {
        2
    }
}
