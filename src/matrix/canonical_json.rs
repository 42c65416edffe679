//! Canonical JSON: the one text that is signed (specification, appendix "Canonical JSON").

use serde_json::Value;

/// The largest integer, and with a minus the smallest.
const LARGEST: i64 = (1 << 53) - 1;

/// The canonical text of `value`: keys in the order of their code points, no white space, only integers within ±(2⁵³−1).
pub fn canonical(value: &Value) -> Result<String, NotCanonical> {
    let mut text = String::new();
    write(value, &mut text)?;
    Ok(text)
}

/// What is signed of an object: all but `signatures` and `unsigned` (appendix "Signing JSON").
pub fn signed_text(object: &serde_json::Map<String, Value>) -> Result<String, NotCanonical> {
    let kept = object.iter().filter(|(key, _)| !matches!(key.as_str(), "signatures" | "unsigned"));
    let mut text = String::new();
    write_object(kept, &mut text)?;
    Ok(text)
}

/// A value has no canonical form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, serde::Serialize)]
#[error("{0} is no integer between -(2^53-1) and 2^53-1, so the document has no canonical form")]
pub struct NotCanonical(pub String);

fn write(value: &Value, text: &mut String) -> Result<(), NotCanonical> {
    match value {
        Value::Number(number) => match number.as_i64() {
            Some(integer) if (-LARGEST..=LARGEST).contains(&integer) => *text += &integer.to_string(),
            _ => return Err(NotCanonical(number.to_string())),
        },
        Value::Array(list) => {
            text.push('[');
            for (index, value) in list.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write(value, text)?;
            }
            text.push(']');
        }
        Value::Object(object) => write_object(object.iter(), text)?,
        // Strings are escaped only where they must be, and in the shortest way: just what the specification asks for.
        other => *text += &other.to_string(),
    }
    Ok(())
}

fn write_object<'a>(
    entries: impl Iterator<Item = (&'a String, &'a Value)>,
    text: &mut String,
) -> Result<(), NotCanonical> {
    // The order of UTF-8 is that of code points.
    let mut entries: Vec<_> = entries.collect();
    entries.sort_by_key(|(key, _)| *key);
    text.push('{');
    for (index, (key, value)) in entries.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        *text += &Value::from(key.as_str()).to_string();
        text.push(':');
        write(value, text)?;
    }
    text.push('}');
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sentences() {
        let refused =
            ["1.5", "9007199254740992"].map(|number| canonical(&number.parse().unwrap()).unwrap_err().to_string());
        insta::assert_snapshot!(refused.join("\n"));
    }

    /// The examples of the specification's appendix, and the edges of its rules.
    #[test]
    fn texts_are_canonical() {
        let cases = [
            ("{}", "{}"),
            (r#"{"one": 1, "two": "Two"}"#, r#"{"one":1,"two":"Two"}"#),
            (r#"{"b": "2", "a": "1"}"#, r#"{"a":"1","b":"2"}"#),
            (
                r#"{"auth": {"mxid": "@a:b", "c": [true, null, {"z": 1, "y": 2}]}}"#,
                r#"{"auth":{"c":[true,null,{"y":2,"z":1}],"mxid":"@a:b"}}"#,
            ),
            (r#"{"a": "日本語"}"#, r#"{"a":"日本語"}"#),
            (r#"{"本": 2, "日": 1}"#, r#"{"日":1,"本":2}"#),
            (r#"{"a": "\u65E5"}"#, r#"{"a":"日"}"#),
            ("{\"\u{FFFF}\": 1, \"\u{10000}\": 2}", "{\"\u{FFFF}\":1,\"\u{10000}\":2}"),
            (r#"{"a": "\u0000\u001f\u007f\t\n\/\"\\"}"#, "{\"a\":\"\\u0000\\u001f\u{7f}\\t\\n/\\\"\\\\\"}"),
            ("[9007199254740991, -9007199254740991, 0]", "[9007199254740991,-9007199254740991,0]"),
        ];
        for (text, wanted) in cases {
            assert_eq!(canonical(&serde_json::from_str(text).unwrap()).as_deref(), Ok(wanted));
        }
        for text in ["1.0", "1e3", "-0", "9007199254740992", "-9007199254740992", "18446744073709551616"] {
            let value: Value = serde_json::from_str(&format!("{{\"a\": {text}}}")).unwrap();
            assert!(canonical(&value).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_not_signed_is_left_out_at_the_top_only() {
        let value = serde_json::json!({"unsigned": 1.5, "signatures": {}, "a": {"unsigned": 1}});
        assert_eq!(signed_text(value.as_object().unwrap()).unwrap(), r#"{"a":{"unsigned":1}}"#);
    }

    proptest! {
        #[test]
        fn a_canonical_text_stays_as_it_is(text in "[\\[\\]{}\":,a-c0-9\\\\ -]{0,40}", key in "\\PC{0,8}") {
            for value in [serde_json::from_str(&text).unwrap_or_default(), serde_json::json!({ key: [text] })] {
                if let Ok(once) = canonical(&value) {
                    prop_assert_eq!(canonical(&serde_json::from_str(&once).unwrap()).unwrap(), once);
                }
            }
        }
    }
}
