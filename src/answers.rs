//! Raw answers: what flags, environment, answers file and prompts said, and where each word of it came from.
//!
//! Nothing here is proven: [`crate::config::Config`] is. One table ([`KEYS`]) names everything that can be answered; the
//! answers file, the environment, the flags and the configuration rcfed writes are all read from and written by it, so a
//! key cannot exist in one of them only. Secrets are answered by naming a file, never by value.

mod env;
mod file;
mod flags;
mod keys;
mod near;
mod problem;
mod toml;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

pub use env::NOT_ANSWERS;
pub use file::{FileError, MAX_BYTES};
pub use flags::AnswerFlags;
pub use keys::{Entry, KEYS, Key, Kind};
pub(crate) use near::nearest;
pub use problem::{Problem, Problems};

/// What was answered so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers(BTreeMap<Key, Answer>);

/// One answer and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What was said, unproven.
    pub value: Value,
    /// Who said it.
    pub source: Source,
}

/// An answer in the form of its [`Kind`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `true` or `false`.
    Flag(bool),
    /// Several texts.
    List(Vec<String>),
    /// A text, a choice or a path.
    Text(String),
}

/// Where an answer came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A variable of the environment.
    Env(String),
    /// A line of an answers file.
    File {
        /// The file as it was named.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// A flag, with its dashes.
    Flag(String),
    /// The wizard.
    Prompt,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "from {name}"),
            Self::File { path, line } => write!(f, "{} line {line}", path.display()),
            Self::Flag(flag) => write!(f, "from {flag}"),
            Self::Prompt => f.write_str("as typed"),
        }
    }
}

impl Answers {
    /// These answers, and those of `lower` for what these do not say.
    pub fn over(mut self, lower: Self) -> Self {
        for (key, answer) in lower.0 {
            self.0.entry(key).or_insert(answer);
        }
        self
    }

    /// Records an answer in place of an earlier one.
    pub fn set(&mut self, key: Key, value: Value, source: Source) {
        self.0.insert(key, Answer { value, source });
    }

    /// Records what was typed at a prompt.
    pub fn typed(&mut self, key: Key, text: impl Into<String>) {
        self.set(key, Value::Text(text.into()), Source::Prompt);
    }

    /// The answer, if there is one.
    pub fn get(&self, key: Key) -> Option<&Answer> {
        self.0.get(&key)
    }

    /// Whether it was answered.
    pub fn has(&self, key: Key) -> bool {
        self.0.contains_key(&key)
    }

    /// The answer as text.
    pub fn text(&self, key: Key) -> Option<&str> {
        match &self.get(key)?.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The answer as yes or no.
    pub fn flag(&self, key: Key) -> Option<bool> {
        match self.get(key)?.value {
            Value::Flag(flag) => Some(flag),
            _ => None,
        }
    }

    /// The answer as a list; empty if there is none.
    pub fn list(&self, key: Key) -> &[String] {
        match self.get(key).map(|answer| &answer.value) {
            Some(Value::List(list)) => list,
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let one = |text: &str, source| {
            let mut answers = Answers::default();
            answers.set(Key::ChatDomain, Value::Text(text.into()), source);
            answers
        };
        let mut file = one("file.example", Source::File { path: "answers.toml".into(), line: 4 });
        file.typed(Key::Email, "you@example.org");
        let env = one("env.example", Source::Env("RCFED_CHAT_DOMAIN".into()));
        let flags = one("flag.example", Source::Flag("--chat-domain".into()));

        let merged = flags.over(env.clone()).over(file.clone());
        assert_eq!(merged.text(Key::ChatDomain), Some("flag.example"));
        assert_eq!(merged.text(Key::Email), Some("you@example.org"));
        assert_eq!(merged.get(Key::ChatDomain).unwrap().source.to_string(), "from --chat-domain");
        assert_eq!(env.over(file.clone()).text(Key::ChatDomain), Some("env.example"));
        assert_eq!(file.get(Key::ChatDomain).unwrap().source.to_string(), "answers.toml line 4");
    }
}
