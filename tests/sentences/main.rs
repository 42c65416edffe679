//! Every sentence that a person can see stands in a snapshot, so that a change to one is read before it is kept.
//!
//! Clap's help is told apart: it comes from doc comments, and the snapshots of `tests/cli.rs` hold it whole.

mod literals;
mod shown;

use std::{collections::BTreeMap, fs, path::Path};

use literals::Literal;
use shown::Shown;

/// Words that are no placeholders. A shorter one is no sentence yet: a key, a path, a label.
const FEWEST_WORDS: usize = 5;

#[test]
fn every_sentence_stands_in_a_snapshot() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let literals = literals::below(root, FEWEST_WORDS);
    assert!(literals.len() > 1000, "only {} sentences were found: is the code elsewhere?", literals.len());
    let wrong = judge(&literals, &Shown::below(root), &Hidden::read(&root.join("tests/sentences/hidden.toml")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Sentences that nobody has read, then exceptions that are none.
fn judge(literals: &[Literal], shown: &Shown, hidden: &Hidden) -> Vec<String> {
    let unread: Vec<&Literal> = literals.iter().filter(|literal| !shown.holds(&literal.text)).collect();
    let excused = |literal: &Literal| hidden.0.iter().any(|(file, text)| literal.is(file, text));
    let unseen = unread.iter().filter(|literal| !excused(literal));
    let unseen = unseen.map(|literal| format!("{}:{}: in no snapshot: {}", literal.file, literal.line, literal.text));
    let stale = hidden.0.iter().filter(|(file, text)| !unread.iter().any(|literal| literal.is(file, text)));
    let stale = stale.map(|(file, text)| {
        let there = literals.iter().any(|literal| literal.is(file, text));
        let why = if there { "is in a snapshot" } else { "is not in the code" };
        format!("tests/sentences/hidden.toml: {why}: {file}: {text}")
    });
    unseen.chain(stale).collect()
}

/// Literals that are written for no person: the file, and the literal or how it begins.
struct Hidden(Vec<(String, String)>);

impl Hidden {
    /// Groups by reason; in each, a file's literals.
    fn read(path: &Path) -> Self {
        let groups: BTreeMap<String, BTreeMap<String, Vec<String>>> =
            toml::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        let files = groups.into_values().flatten();
        Self(files.flat_map(|(file, texts)| texts.into_iter().map(move |text| (file.clone(), text))).collect())
    }
}

#[test]
fn what_is_found() {
    let code = r##"
        //! Not a comment of the module, however long.
        /// Not a doc comment, however long it is.
        #[allow(dead_code, reason = "not what is said to the compiler")]
        #[error("an error {0} with its words")]
        struct A(#[doc = "not the doc of a field"] u8);
        #[cfg(test)]
        #[derive(Debug)]
        mod tests { const A: &str = "not what only tests can see"; }
        #[cfg(test)]
        use a::b;
        #[cfg(test)]
        mod elsewhere;
        // "not what is in a comment"
        fn a() { say!("on the \"first\" of \
            two lines", "too short {a} {b}", r#"a raw "string" with five words"#) }
    "##;
    let found = literals::of("src/a.rs", code, FEWEST_WORDS);
    let found: Vec<_> = found.iter().map(|literal| (literal.line, literal.text.as_str())).collect();
    assert_eq!(
        found,
        [
            (5, "an error {0} with its words"),
            (15, "on the \"first\" of two lines"),
            (16, "a raw \"string\" with five words"),
        ]
    );
    assert_eq!(literals::only_for_tests(code), ["elsewhere"]);
}

#[test]
fn what_is_wrong() {
    let literal = |text: &str| Literal { file: "src/a.rs".into(), line: 7, text: text.into() };
    let literals = [
        "`{name}` is in the way of {}",
        "`{name}` is not in the way",
        "select a from b where c = d",
        "all is as it was",
    ]
    .map(literal);
    let mut shown = Shown::default();
    shown.add("---\nexpression: not in the way of\n---\n`nginx` is in the\n  way of Docker.\nall is as it was");
    let hidden = |texts: &[&str]| Hidden(texts.iter().map(|text| ("src/a.rs".into(), (*text).into())).collect());
    assert_eq!(
        judge(&literals, &shown, &hidden(&["select a from"])),
        ["src/a.rs:7: in no snapshot: `{name}` is not in the way"]
    );
    assert_eq!(
        judge(&literals, &shown, &hidden(&["select a", "`{name}` is not in the way", "all is as", "gone"])),
        [
            "tests/sentences/hidden.toml: is in a snapshot: src/a.rs: all is as",
            "tests/sentences/hidden.toml: is not in the code: src/a.rs: gone",
        ]
    );
}
