//! The string literals of the code, without those that only tests and programmers see.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A string literal, with each run of white space as one space.
pub struct Literal {
    pub file: String,
    pub line: usize,
    pub text: String,
}

impl Literal {
    /// Whether it stands in this file and begins so.
    pub fn is(&self, file: &str, beginning: &str) -> bool {
        self.file == file && self.text.starts_with(beginning)
    }
}

/// Those of all files below `src`.
pub fn below(root: &Path, fewest_words: usize) -> Vec<Literal> {
    let mut files = BTreeSet::new();
    walk(&root.join("src"), "rs", &mut files);
    let codes: Vec<(&PathBuf, String)> = files.iter().map(|file| (file, fs::read_to_string(file).unwrap())).collect();
    let gated: BTreeSet<PathBuf> = codes
        .iter()
        .flat_map(|(file, code)| only_for_tests(code).into_iter().map(|name| home(file).join(name)))
        .collect();
    let for_tests = |file: &Path| {
        file.file_stem().unwrap().to_str().unwrap().ends_with("tests")
            || file.ancestors().any(|path| gated.contains(&path.with_extension("")))
    };
    let codes = codes.iter().filter(|(file, _)| !for_tests(file));
    let name = |file: &Path| file.strip_prefix(root).unwrap().display().to_string();
    codes.flat_map(|(file, code)| of(&name(file), code, fewest_words)).collect()
}

/// Those of one file.
pub fn of(file: &str, code: &str, fewest_words: usize) -> Vec<Literal> {
    let mut found = Vec::new();
    visit(code.parse().unwrap(), &mut |line, text| {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if words(&text) >= fewest_words {
            found.push(Literal { file: file.into(), line, text });
        }
    });
    found
}

/// How many words stay the same, whatever is put in between.
fn words(text: &str) -> usize {
    let fixed = text.split('{').enumerate().map(|(at, part)| match at {
        0 => part,
        _ => part.split_once('}').map_or(part, |(_, rest)| rest),
    });
    fixed.collect::<String>().split(' ').filter(|word| word.contains(char::is_alphabetic)).count()
}

/// Modules with files of their own that are there for tests only.
pub fn only_for_tests(code: &str) -> Vec<String> {
    let tokens: Vec<TokenTree> = code.parse::<TokenStream>().unwrap().into_iter().collect();
    let gates = (0..tokens.len()).filter(|at| attribute(&tokens[*at..]).as_deref() == Some("cfg(test)"));
    let names = gates.filter_map(|at| {
        let words: Vec<String> = tokens[at..at + item(&tokens[at..])].iter().map(ToString::to_string).collect();
        match &words[..] {
            [.., keyword, name, end] if keyword == "mod" && end == ";" => Some(name.clone()),
            _ => None,
        }
    });
    names.collect()
}

/// All files of this kind, in all directories.
pub fn walk(dir: &Path, kind: &str, files: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, kind, files);
        } else if path.extension().is_some_and(|extension| extension == kind) {
            files.insert(path);
        }
    }
}

/// Where a file's modules are.
fn home(file: &Path) -> PathBuf {
    let root = ["lib.rs", "main.rs"].iter().any(|root| file.ends_with(root));
    if root { file.parent().unwrap().into() } else { file.with_extension("") }
}

fn visit(tokens: TokenStream, found: &mut impl FnMut(usize, String)) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += match attribute(&tokens[at..]).as_deref() {
            Some("cfg(test)") => item(&tokens[at..]),
            // What is said to the compiler, and to readers of the code.
            Some(name) if ["allow(", "doc=", "expect("].iter().any(|start| name.starts_with(start)) => {
                2 + usize::from(is(&tokens[at + 1], '!'))
            }
            _ => 1,
        };
        match token {
            TokenTree::Group(group) => visit(group.stream(), found),
            TokenTree::Literal(literal) => {
                if let syn::Lit::Str(text) = syn::Lit::new(literal.clone()) {
                    found(literal.span().start().line, text.value());
                }
            }
            _ => {}
        }
    }
}

/// The attribute that begins here, without spaces.
fn attribute(tokens: &[TokenTree]) -> Option<String> {
    match tokens {
        [sign, inner, rest @ ..] if is(sign, '#') && is(inner, '!') => bracketed(rest),
        [sign, rest @ ..] if is(sign, '#') => bracketed(rest),
        _ => None,
    }
}

fn bracketed(tokens: &[TokenTree]) -> Option<String> {
    match tokens.first() {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Bracket => {
            Some(group.stream().to_string().replace(' ', ""))
        }
        _ => None,
    }
}

/// How many tokens an item has, with its attributes.
fn item(tokens: &[TokenTree]) -> usize {
    let ends = |token: &TokenTree| {
        is(token, ';') || matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
    };
    tokens.iter().position(ends).map_or(tokens.len(), |end| end + 1)
}

fn is(token: &TokenTree, sign: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == sign)
}
