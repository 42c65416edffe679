//! What is told of servers, whole: each finding in its words, with all that was seen and all there is to do.

use std::collections::BTreeSet;

use rcfed::finding::Finding;
use serde_json::Value;

use crate::world;

/// A section for each server. The first one is well, and of the others nothing is told that is told of it.
#[derive(Default)]
pub struct Book {
    praise: bool,
    well: Option<Vec<String>>,
    advice: BTreeSet<String>,
    sections: Vec<String>,
}

impl Book {
    /// One that also tells what is in order with the others.
    pub fn with_praise() -> Self {
        Self { praise: true, ..Self::default() }
    }

    /// `findings` as `rcfed doctor --json` writes them; how many are told.
    pub fn tell<'a>(&mut self, name: &str, findings: impl IntoIterator<Item = &'a Value>) -> usize {
        let findings: Vec<&Value> = findings.into_iter().filter(|f| self.counts(f)).collect();
        let told: Vec<String> = findings.iter().map(|finding| self.one(finding)).collect();
        let well = self.well.get_or_insert_default();
        let told: Vec<String> = told.into_iter().filter(|finding| !well.contains(finding)).collect();
        if self.sections.is_empty() {
            well.clone_from(&told);
        }
        self.sections.push(format!("# {name}\n{}", told.concat()));
        told.len()
    }

    /// All of it.
    pub fn text(&self) -> String {
        self.sections.join("\n")
    }

    fn counts(&self, finding: &Value) -> bool {
        self.praise || self.well.is_none() || finding["status"] != "ok"
    }

    fn one(&mut self, finding: &Value) -> String {
        let text = |key: &str| finding[key].as_str().unwrap_or_default();
        let list = |key: &str| {
            let list = finding[key].as_array().into_iter().flatten();
            list.filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
        };
        let mut told = format!("{} {}  {} {}\n", text("status"), text("id"), text("subject"), text("summary"));
        let parts = [
            ("seen", list("evidence")),
            ("note", self.shortened(text("remedy"))),
            ("do", list("commands")),
            ("later", text("cached").to_owned()),
        ];
        for (label, lines) in parts {
            for (at, line) in lines.lines().enumerate() {
                told += format!("    {:<5} {line}", if at == 0 { label } else { "" }).trim_end();
                told.push('\n');
            }
        }
        world::without_dates(&steady(&told))
    }

    /// Lines of configuration are the same for many faults, and stand in full at the first of them.
    fn shortened(&mut self, remedy: &str) -> String {
        match remedy.split_once('\n') {
            Some((first, rest)) if !self.advice.insert(rest.to_owned()) => format!("{first}\n…"),
            _ => remedy.to_owned(),
        }
    }
}

/// As `rcfed doctor --json` writes them.
pub fn json<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Vec<Value> {
    findings.into_iter().map(|finding| serde_json::to_value(finding).unwrap()).collect()
}

/// Without what differs from run to run: how long something took, and keys.
fn steady(told: &str) -> String {
    let clock = told.contains(" server.clock ") || told.contains(" keys.validity ");
    let words: Vec<&str> = told.split(' ').collect();
    let is_number = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let same = |at: usize| {
        let (word, next) = (words[at], words.get(at + 1).copied().unwrap_or_default());
        let bare = word.trim_end_matches(['\n', ':', ',']);
        let counted = match next.trim_end_matches(['\n', ',']) {
            "ms" => true,
            "s" | "min" | "h" => clock,
            "more" => words.get(at + 2).is_some_and(|word| word.starts_with("day")),
            _ => false,
        };
        if is_number(bare) && counted {
            "SOME".to_owned()
        } else if is_number(bare) && bare.len() == 13 {
            word.replace(bare, "MILLISECONDS")
        } else if bare.starts_with("ed25519:") {
            word.replace(bare, "ed25519:ID")
        } else if bare.len() == 43 && bare.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte)) {
            word.replace(bare, "KEY")
        } else {
            word.to_owned()
        }
    };
    (0..words.len()).map(same).collect::<Vec<_>>().join(" ")
}
