//! What a reader has seen: snapshots, and the pages that are made from the code and compared with it.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    path::Path,
};

use crate::literals::walk;

const PAGES: [&str; 3] = ["docs/checks.md", "docs/faults.md", "docs/remote-faults.md"];

/// What may stand in the place of a placeholder, in bytes.
const LONGEST_FILLING: usize = 600;

/// Each text with each run of white space as one space, and where each word is.
#[derive(Default)]
pub struct Shown {
    texts: Vec<String>,
    words: HashMap<String, Vec<usize>>,
}

impl Shown {
    pub fn below(root: &Path) -> Self {
        let mut files = BTreeSet::new();
        for dir in ["src", "tests"] {
            walk(&root.join(dir), "snap", &mut files);
        }
        files.extend(PAGES.map(|page| root.join(page)));
        let mut all = Self::default();
        files.iter().for_each(|file| all.add(&fs::read_to_string(file).unwrap()));
        all
    }

    /// Adds a snapshot, without its head: that repeats code.
    pub fn add(&mut self, text: &str) {
        let body =
            text.strip_prefix("---\n").and_then(|text| text.split_once("\n---\n")).map_or(text, |(_, body)| body);
        // As in JSON and in `Debug`.
        let body = body.replace("\\\"", "\"").replace("\\n", " ");
        let number = self.texts.len();
        let words: Vec<&str> = body.split_whitespace().collect();
        for word in &words {
            let places = match self.words.get_mut(*word) {
                Some(places) => places,
                None => self.words.entry((*word).to_owned()).or_default(),
            };
            if places.last() != Some(&number) {
                places.push(number);
            }
        }
        self.texts.push(words.join(" "));
    }

    /// Whether a text holds all that is fixed in it, in this order.
    pub fn holds(&self, sentence: &str) -> bool {
        let parts = parts(sentence);
        let Some((first, rest)) = parts.split_first() else { return true };
        let text = |number: &usize| {
            let text = &self.texts[*number];
            text.match_indices(first.as_str()).any(|(at, _)| follow(&text[at + first.len()..], rest))
        };
        // A word between two others is a whole one in every text that holds it; those of the rarest are few.
        let inner = parts.iter().flat_map(|part| {
            let words: Vec<&str> = part.split(' ').collect();
            words.get(1..words.len() - 1).unwrap_or_default().to_vec()
        });
        match inner.map(|word| self.words.get(word).map_or(&[][..], Vec::as_slice)).min_by_key(|places| places.len()) {
            Some(places) => places.iter().any(text),
            None => (0..self.texts.len()).collect::<Vec<_>>().iter().any(text),
        }
    }
}

fn follow(text: &str, parts: &[String]) -> bool {
    let mut text = text;
    parts.iter().all(|part| match text.find(part.as_str()) {
        Some(at) if at <= LONGEST_FILLING => {
            text = &text[at + part.len()..];
            true
        }
        _ => false,
    })
}

/// What stands around the placeholders, `{{` and `}}` as they are printed.
fn parts(sentence: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut rest = sentence.chars().peekable();
    while let Some(sign) = rest.next() {
        match sign {
            '{' | '}' if rest.next_if_eq(&sign).is_some() => parts.last_mut().unwrap().push(sign),
            '{' => {
                rest.by_ref().find(|sign| *sign == '}');
                parts.push(String::new());
            }
            _ => parts.last_mut().unwrap().push(sign),
        }
    }
    parts.retain(|part| part.chars().any(char::is_alphanumeric));
    parts.into_iter().map(|part| part.trim().to_owned()).collect()
}
