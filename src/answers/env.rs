//! Answers from the environment: `RCFED_` and the key in capitals.

use std::ffi::OsString;
use std::path::Path;

use super::toml::absolute;
use super::{Answers, KEYS, Key, Kind, Problem, Problems, Source, Value, nearest};

/// Variables that start with `RCFED_` and are no answers; a name that ends with `_` stands for all that start with it.
pub const NOT_ANSWERS: &[&str] = &[
    "RCFED_ANSWERS",
    "RCFED_BASE_URL",
    "RCFED_BED_",
    "RCFED_INSTALL_DIR",
    "RCFED_LOG",
    "RCFED_METADATA",
    "RCFED_NAMESERVER",
    "RCFED_PUBLIC_RESOLVERS",
    "RCFED_ROOT",
    "RCFED_TEST_",
    "RCFED_TWO_FACTOR_CODE",
    "RCFED_VERSION",
];

impl Answers {
    /// Reads the variables that are answers; an empty one counts as not set.
    pub fn from_env(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Self, Problems> {
        let mut answers = Self::default();
        let mut problems = Vec::new();
        // Sorted, so that two runs report the same problem first.
        let mut variables: Vec<_> = variables.into_iter().filter(|(name, _)| is_ours(name)).collect();
        variables.sort();
        for (name, value) in variables {
            let name = name.to_string_lossy().into_owned();
            match read(&name, value) {
                Ok(Some((key, value))) => answers.set(key, value, Source::Env(name)),
                Ok(None) => {}
                Err(problem) => problems.push(problem),
            }
        }
        Problems::unless_none(problems, answers)
    }
}

fn is_ours(name: &OsString) -> bool {
    let name = name.to_string_lossy();
    let other = |known: &&str| if known.ends_with('_') { name.starts_with(*known) } else { name == **known };
    name.starts_with("RCFED_") && !NOT_ANSWERS.iter().any(other)
}

fn read(name: &str, value: OsString) -> Result<Option<(Key, Value)>, Problem> {
    let problem = |message: String, hint: String| Problem { message, hint, missing: false };
    let Some(entry) = KEYS.iter().find(|entry| entry.key.env() == name) else {
        return match meant(name) {
            Some(hint) => Err(problem(format!("unknown variable {name} in the environment"), hint)),
            None => Ok(None),
        };
    };
    let text = value.into_string().map_err(|_| {
        problem(format!("{name} in the environment is not UTF-8 text"), format!("set it again, or `unset {name}`"))
    })?;
    if text.is_empty() {
        return Ok(None);
    }
    let value = match entry.kind {
        Kind::Choice(_) | Kind::Number | Kind::Text => Value::Text(text),
        Kind::Path => Value::Text(absolute(Path::new(&text))),
        Kind::List => Value::List(split(&text)),
        Kind::Flag => match text.to_lowercase().as_str() {
            "true" | "yes" | "1" => Value::Flag(true),
            "false" | "no" | "0" => Value::Flag(false),
            _ => {
                let message = format!("{name} must be `true` or `false`, found `{text}`");
                return Err(problem(message, format!("set it with `export {name}={}`", entry.example)));
            }
        },
    };
    Ok(Some((entry.key, value)))
}

fn meant(name: &str) -> Option<String> {
    let short = name.trim_start_matches("RCFED_");
    let full: Vec<(String, Key)> = KEYS.iter().map(|entry| (bare(entry.path), entry.key)).collect();
    // Without its table too: RCFED_REGISTRATION_TOKEN.
    let tail: Vec<(String, Key)> = KEYS.iter().map(|entry| (bare(entry.name()), entry.key)).collect();
    let near = [full, tail].into_iter().find_map(|names| {
        let near = nearest(short, names.iter().map(|(name, _)| name.as_str()))?;
        names.iter().find(|(name, _)| name == near).map(|(_, key)| key.env())
    })?;
    let secret = near.ends_with("_FILE") && !name.ends_with("_FILE");
    let why = if secret { " A secret is given as the name of a file that holds it" } else { "" };
    Some(format!("did you mean {near}?{why}"))
}

fn bare(path: &str) -> String {
    path.replace('.', "_").to_uppercase()
}

/// The parts between commas, without the spaces around them.
pub(super) fn split(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Explain;

    fn read(variables: &[(&str, &str)]) -> Result<Answers, Problems> {
        Answers::from_env(variables.iter().map(|(name, value)| (name.into(), value.into())))
    }

    #[test]
    fn variables_are_answers() {
        let answers = read(&[
            ("RCFED_FEDERATED_DOMAIN", "example.org"),
            ("RCFED_ADMIN_USERNAME", "ada"),
            ("RCFED_ADDRESS", "198.51.100.10, 2001:db8::1,"),
            ("RCFED_ACCEPT_END_OF_LIFE", "yes"),
            ("RCFED_EMAIL", ""),
            ("RCFED_LOG", "debug"),
            ("RCFED_ROOT", "/tmp/x"),
            ("RCFED_BED_CHAT_DOMAIN", "x"),
            ("RCFED_UNRELATED", "x"),
            ("PATH", "/bin"),
        ])
        .unwrap();
        assert_eq!(answers.text(Key::AdminUsername), Some("ada"));
        assert_eq!(answers.list(Key::Address), ["198.51.100.10", "2001:db8::1"]);
        assert_eq!(answers.flag(Key::AcceptEndOfLife), Some(true));
        assert!(!answers.has(Key::Email));
        assert_eq!(answers.get(Key::FederatedDomain).unwrap().source.to_string(), "from RCFED_FEDERATED_DOMAIN");
    }

    #[test]
    fn slips_are_refused() {
        let table = [
            ("RCFED_CHAT_DOMIAN", "chat.example.org"),
            ("RCFED_DOMAIN", "example.org"),
            ("RCFED_ADMIN_PASSWORD", "hunter2"),
            ("RCFED_REGISTRATION_TOKEN", "hunter2"),
            ("RCFED_ACCEPT_END_OF_LIFE", "perhaps"),
        ]
        .map(|variable| {
            let error = read(&[variable]).unwrap_err();
            assert!(!error.to_string().contains("hunter2"));
            format!("{}={}\n→ {error}\n  hint: {}", variable.0, variable.1, error.hint().unwrap())
        });
        let bytes = std::os::unix::ffi::OsStringExt::from_vec(vec![b'a', 0xFF]);
        let error = Answers::from_env([("RCFED_EMAIL".into(), bytes)]).unwrap_err();
        let told = format!("RCFED_EMAIL=a\\xff\n→ {error}\n  hint: {}", error.hint().unwrap());
        insta::assert_snapshot!(format!("{}\n{told}", table.join("\n")));
    }

    #[test]
    fn no_other_variable_has_the_name_of_an_answer() {
        for entry in KEYS {
            assert!(is_ours(&entry.key.env().into()), "{}", entry.path);
        }
    }
}
