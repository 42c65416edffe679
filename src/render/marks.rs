//! Marks: what stands for a secret in a text, until the moment the text is written.

use std::collections::BTreeSet;

use crate::error::Explain;
use crate::secrets::{Secret, SecretName};

const START: &str = "@secret:";

/// The text with every mark replaced by its value, which `find` looks up.
///
/// The result is a [`Secret`], so that it cannot be printed by accident.
pub fn resolve(text: &str, find: &dyn Fn(SecretName) -> Option<Secret>) -> Result<Secret, UnknownMark> {
    replace(text, |name| {
        let value = name.and_then(find).ok_or_else(|| UnknownMark(name.map(SecretName::name)))?;
        Ok(value.expose().to_owned())
    })
    .map(Secret::new)
}

/// The text as it may be shown: `<secret hs_token>` in place of a mark.
pub fn redact(text: &str) -> String {
    let shown = |name: Option<SecretName>| format!("<secret {}>", name.map_or("?", SecretName::name));
    match replace(text, |name| Ok::<_, std::convert::Infallible>(shown(name))) {
        Ok(text) => text,
        Err(never) => match never {},
    }
}

/// The secrets that a text has marks of.
pub fn secrets_in(text: &str) -> BTreeSet<SecretName> {
    SecretName::ALL.into_iter().filter(|name| text.contains(&name.mark())).collect()
}

/// A mark without a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.map_or("a file needs a secret that this rcfed does not know".into(), |name| format!("the secret `{name}` is needed, but there is none")))]
pub struct UnknownMark(Option<&'static str>);

impl Explain for UnknownMark {
    fn hint(&self) -> Option<String> {
        let dir = crate::layout::SECRETS;
        Some(match self.0 {
            Some(name) => format!("put the file `{dir}/{name}` back from a backup, then run `sudo rcfed apply`"),
            None => "run `sudo rcfed apply` with the version of rcfed that wrote this configuration".into(),
        })
    }
}

/// Walks over the marks; one that names no secret is given as `None`.
fn replace<E>(text: &str, mut with: impl FnMut(Option<SecretName>) -> Result<String, E>) -> Result<String, E> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(START) {
        result.push_str(before);
        let known = SecretName::ALL.into_iter().find_map(|name| {
            let rest = after.strip_prefix(name.name())?.strip_prefix('@')?;
            Some((name, rest))
        });
        result.push_str(&with(known.map(|(name, _)| name))?);
        rest = known.map_or(after, |(_, rest)| rest);
    }
    result.push_str(rest);
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_replaced_and_hidden() {
        let text: String = SecretName::ALL.iter().map(|name| format!("\"{}\"@", name.mark())).collect();
        assert_eq!(secrets_in(&text).len(), SecretName::ALL.len());
        let resolved = resolve(&text, &|name| Some(Secret::new(name.name().to_uppercase()))).unwrap();
        assert!(resolved.expose().starts_with("\"ADMIN_PASSWORD\"@\"AS_TOKEN\"@"));
        assert!(!resolved.expose().contains("@secret"));
        assert_eq!(redact("a \"@secret:signing_key_id@\" b"), "a \"<secret signing_key_id>\" b");
    }

    #[test]
    fn a_value_that_looks_like_a_mark_stays_as_it_is() {
        let text = format!("{}/{}", SecretName::AsToken.mark(), SecretName::HsToken.mark());
        let resolved = resolve(&text, &|_| Some(Secret::new("@secret:license@"))).unwrap();
        assert_eq!(resolved.expose(), "@secret:license@/@secret:license@");
    }

    #[test]
    fn a_mark_without_value_is_an_error_with_a_way_out() {
        let missing = resolve("@secret:license@", &|_| None).unwrap_err();
        let unknown = resolve("@secret:nonsense@", &|_| Some(Secret::new("x"))).unwrap_err();
        insta::assert_snapshot!(crate::error::told([missing, unknown].map(Into::into)));
        assert_eq!(redact("@secret:nonsense@"), "<secret ?>nonsense@");
    }
}
