//! Answers as TOML, read with the place of every key, so that a refusal can name its line.

use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Answers, Entry, KEYS, Kind, Problem, Problems, Source, Value, nearest};

impl Answers {
    /// Reads the text of an answers file. `path` is named in errors, and relative paths start from its directory.
    pub fn from_toml(text: &str, path: &Path) -> Result<Self, Problems> {
        let mut reader = Reader { text, path, answers: Self::default(), problems: Vec::new() };
        match DeTable::parse(text) {
            Ok(table) => reader.table("", table.get_ref()),
            Err(error) => {
                let place = error.span().map(|span| format!(" line {}", reader.line(&span))).unwrap_or_default();
                let why = error.message().replace('\n', ", ");
                let hint = match why.as_str() {
                    "duplicate key" => "each answer can be given once: remove one of the two lines",
                    _ => "write each answer as `key = \"value\"` on a line of its own",
                };
                reader.problems.push((
                    0,
                    Problem {
                        message: format!("{}{place} is not TOML: {why}", path.display()),
                        hint: hint.into(),
                        missing: false,
                    },
                ));
            }
        }
        reader.problems.sort_by_key(|(line, _)| *line);
        Problems::unless_none(reader.problems.into_iter().map(|(_, problem)| problem).collect(), reader.answers)
    }
}

struct Reader<'a> {
    text: &'a str,
    path: &'a Path,
    answers: Answers,
    problems: Vec<(usize, Problem)>,
}

impl Reader<'_> {
    fn table(&mut self, table: &str, content: &DeTable<'_>) {
        for (key, value) in content.iter() {
            let name = key.get_ref().as_ref();
            let path = if table.is_empty() { name.to_owned() } else { format!("{table}.{name}") };
            let line = self.line(&key.span());
            if let Some(entry) = KEYS.iter().find(|entry| entry.path == path) {
                match self.value(entry, value.get_ref()) {
                    Ok(value) => {
                        self.answers.set(entry.key, value, Source::File { path: self.path.into(), line });
                    }
                    Err(found) => self.wrong_type(entry, line, found),
                }
            } else if KEYS.iter().any(|entry| entry.table() == path) {
                match value.get_ref() {
                    DeValue::Table(inner) => self.table(&path, inner),
                    other => {
                        let message =
                            format!("{} must be a table, found {}", self.at(&path, line), article(other.type_str()));
                        self.push(line, message, format!("write `[{path}]` on a line of its own"));
                    }
                }
            } else {
                let message = format!("unknown key {}", self.at(&path, line));
                self.push(line, message, suggestion(table, name, &path));
            }
        }
    }

    fn value(&self, entry: &Entry, value: &DeValue<'_>) -> Result<Value, String> {
        match (entry.kind, value) {
            (Kind::Flag, DeValue::Boolean(flag)) => Ok(Value::Flag(*flag)),
            (Kind::Text | Kind::Choice(_), DeValue::String(text)) => Ok(Value::Text(text.clone().into_owned())),
            (Kind::Number, DeValue::Integer(number)) => Ok(Value::Text(number.to_string())),
            (Kind::Path, DeValue::String(text)) => Ok(Value::Text(self.beside(text))),
            (Kind::List, DeValue::Array(items)) => {
                let text = |item: &Spanned<DeValue<'_>>| match item.get_ref() {
                    DeValue::String(text) => Ok(text.clone().into_owned()),
                    other => Err(format!("{} in it", article(other.type_str()))),
                };
                items.iter().map(text).collect::<Result<_, _>>().map(Value::List)
            }
            (_, other) => Err(article(other.type_str())),
        }
    }

    fn wrong_type(&mut self, entry: &Entry, line: usize, found: String) {
        let expected = match entry.kind {
            Kind::Flag => "`true` or `false`",
            Kind::List => "an array of strings",
            Kind::Number => "a number without quotes",
            Kind::Choice(_) | Kind::Path | Kind::Text => "a string",
        };
        let message = format!("{} must be {expected}, found {found}", self.at(entry.path, line));
        self.push(line, message, format!("write it as {}", entry.key.line()));
    }

    fn at(&self, path: &str, line: usize) -> String {
        format!("`{path}` in line {line} of {}", self.path.display())
    }

    fn push(&mut self, line: usize, message: String, hint: String) {
        self.problems.push((line, Problem { message, hint, missing: false }));
    }

    fn line(&self, span: &Range<usize>) -> usize {
        let before = self.text.as_bytes().iter().take(span.start);
        before.filter(|byte| **byte == b'\n').count() + 1
    }

    /// A relative path starts where the answers file is: the file may be read from anywhere.
    fn beside(&self, text: &str) -> String {
        let directory = self.path.parent().map(Path::to_path_buf).unwrap_or_default();
        absolute(&directory.join(text))
    }
}

/// The path from the root on; a path that cannot be made so is left as it is, and its reader will say why.
pub(super) fn absolute(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
    path.display().to_string()
}

fn suggestion(table: &str, name: &str, path: &str) -> String {
    // A line below `[admin]` that belongs to the top of the file, or the other way round.
    if let Some(entry) = KEYS.iter().find(|entry| entry.name() == name) {
        return match entry.table() {
            "" => format!("did you mean `{name}`? It belongs above the first `[table]`, but stands below `[{table}]`"),
            other => format!("did you mean `{name}` below `[{other}]`?"),
        };
    }
    if let Some(near) = nearest(path, KEYS.iter().map(|entry| entry.path).chain(tables().filter(|_| table.is_empty())))
    {
        let file = near.ends_with("_file") && !path.ends_with("_file");
        let why = if file { " A secret is given as the name of a file that holds it" } else { "" };
        return format!("did you mean `{near}`?{why}");
    }
    let here = KEYS.iter().filter(|entry| entry.table() == table).map(|entry| format!("`{}`", entry.name()));
    match here.collect::<Vec<_>>() {
        known if known.is_empty() || table.is_empty() => "`rcfed init --help` lists the keys that are known".into(),
        known => format!("`[{table}]` knows {}", known.join(", ")),
    }
}

fn tables() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(Entry::table).filter(|table| !table.is_empty())
}

fn article(kind: &str) -> String {
    let an = kind.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {kind}", if an { "an" } else { "a" })
}

#[cfg(test)]
mod tests {
    use super::super::Key;
    use super::*;
    use crate::error::Explain;

    #[test]
    fn every_key_is_read_with_its_line() {
        let text = "federated_domain = \"example.org\"\naccept_end_of_life = true\n\naddress = [\"198.51.100.10\"]\n\
                    [admin]\npassword_file = \"secret/password\"\n[images]\nmongodb = \"mongo:7.0\"\n";
        let answers = Answers::from_toml(text, Path::new("/srv/answers.toml")).unwrap();
        assert_eq!(answers.text(Key::FederatedDomain), Some("example.org"));
        assert_eq!(answers.flag(Key::AcceptEndOfLife), Some(true));
        assert_eq!(answers.list(Key::Address), ["198.51.100.10"]);
        assert_eq!(answers.text(Key::AdminPasswordFile), Some("/srv/secret/password"));
        assert_eq!(answers.get(Key::ImageMongodb).unwrap().source.to_string(), "/srv/answers.toml line 8");
    }

    #[test]
    fn every_example_in_the_table_can_be_read() {
        for entry in KEYS {
            let table = entry.table();
            let head = if table.is_empty() { String::new() } else { format!("[{table}]\n") };
            let text = format!("{head}{} = {}\n", entry.name(), entry.example);
            let answers = Answers::from_toml(&text, Path::new("answers.toml")).unwrap();
            assert!(answers.has(entry.key), "{text}");
        }
    }

    #[test]
    fn every_refusal_names_file_line_key_and_what_was_meant() {
        let files = [
            "email = \"a\"\n\nchat_domian = \"chat.example.org\"\n",
            "email = 5\n",
            "address = \"198.51.100.10\"\n",
            "address = [1]\n",
            "accept_end_of_life = \"yes\"\n",
            "username = \"admin\"\n",
            "[admin]\nusername = \"a\"\nproxy = \"none\"\n",
            "[admin]\npassword = \"hunter2\"\n",
            "[admin]\ncolour = \"red\"\n",
            "[image]\ngateway = \"nginx:1\"\n",
            "colour = \"red\"\n",
            "[[admin]]\nusername = \"a\"\n",
            "[email]\n",
            "chat_domain = chat.example.org\n",
            "email = \"a\"\nemail = \"b\"\n",
            "chat_domain \"x\"\n",
            "chat_domian = 1\n[admin]\nuser = 1\nemail = 2\n",
        ];
        let table = files.map(|text| {
            let error = Answers::from_toml(text, Path::new("answers.toml")).unwrap_err();
            assert!(!error.to_string().contains("hunter2"));
            format!("{}\n→ {error}\n  hint: {}\n", text.trim_end(), error.hint().unwrap())
        });
        insta::assert_snapshot!(table.join("\n"));
    }
}
