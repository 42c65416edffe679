//! What somebody probably meant.

/// The candidate most like `word`, if one is like it at all.
///
/// A candidate that only has more words than `word` (`domain`, `chat_domain`) counts as alike: people shorten names.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let score = |candidate: &str| {
        let candidate = candidate.to_lowercase();
        let alike = strsim::normalized_damerau_levenshtein(&word, &candidate);
        let part = |longer: &str, shorter: &str| {
            shorter.len() > 3
                && (longer.strip_prefix(shorter).is_some_and(|rest| rest.starts_with(['_', '.', '-']))
                    || longer.strip_suffix(shorter).is_some_and(|rest| rest.ends_with(['_', '.', '-'])))
        };
        if part(&candidate, &word) || part(&word, &candidate) { alike.max(0.6) + 0.1 } else { alike }
    };
    let scored = candidates.into_iter().map(|candidate| (score(candidate), candidate));
    // The first of equals, so that the answer does not depend on the order of a later one.
    let best = scored.reduce(|best, next| if next.0 > best.0 { next } else { best })?;
    (best.0 >= 0.6).then_some(best.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_understood_and_strangers_are_not() {
        let names = ["federated_domain", "chat_domain", "matrix_domain", "email", "admin.password_file"];
        for (word, meant) in [
            ("chat_domian", Some("chat_domain")),
            ("Email", Some("email")),
            ("e-mail", Some("email")),
            ("domain", Some("federated_domain")),
            ("admin.password", Some("admin.password_file")),
            ("colour", None),
            ("x", None),
        ] {
            assert_eq!(nearest(word, names), meant, "{word}");
        }
    }
}
