//! YAML as `yaml.v2` decodes it into Go structs without strict mode: unknown keys are ignored in silence, `null` leaves the
//! default, a scalar of any type fits a string, and all type errors are told together.

use std::cell::RefCell;
use std::time::Duration;

use yaml_serde::Value;

/// A document being read, with the type errors found so far.
pub struct Document {
    root: Value,
    errors: RefCell<Vec<String>>,
}

/// One place in it; an absent place holds `Null`.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    value: &'a Value,
    document: &'a Document,
}

static NULL: Value = Value::Null;

impl Document {
    /// Parses the text.
    ///
    /// # Errors
    /// If it is not YAML.
    pub fn parse(text: &str) -> Result<Self, String> {
        let root = yaml_serde::from_str(text).map_err(|why| format!("yaml: {why}"))?;
        Ok(Self { root, errors: RefCell::default() })
    }

    /// The top.
    #[must_use]
    pub fn root(&self) -> Node<'_> {
        Node { value: &self.root, document: self }
    }

    /// To be asked after everything was read.
    ///
    /// # Errors
    /// With all values of a wrong type.
    pub fn finish(self) -> Result<(), String> {
        let errors = self.errors.into_inner();
        if errors.is_empty() { Ok(()) } else { Err(format!("yaml: unmarshal errors:\n  {}", errors.join("\n  "))) }
    }
}

impl<'a> Node<'a> {
    /// The value of a key below this place; `a.b` goes down twice.
    #[must_use]
    pub fn at(self, path: &str) -> Self {
        path.split('.').fold(self, |node, key| match node.value {
            Value::Mapping(map) => Self { value: map.get(key).unwrap_or(&NULL), ..node },
            Value::Null => node,
            other => {
                node.complain(other, "a struct");
                Self { value: &NULL, ..node }
            }
        })
    }

    /// Whether there is nothing here.
    #[must_use]
    pub fn is_null(self) -> bool {
        self.value.is_null()
    }

    /// The elements of a list.
    #[must_use]
    pub fn list(self) -> Vec<Self> {
        match self.value {
            Value::Sequence(list) => list.iter().map(|value| Self { value, ..self }).collect(),
            Value::Null => Vec::new(),
            other => {
                self.complain(other, "a list");
                Vec::new()
            }
        }
    }

    /// The entries of a mapping.
    #[must_use]
    pub fn entries(self) -> Vec<(String, Self)> {
        match self.value {
            Value::Mapping(map) => {
                map.iter().map(|(key, value)| (scalar(key).unwrap_or_default(), Self { value, ..self })).collect()
            }
            Value::Null => Vec::new(),
            other => {
                self.complain(other, "a map");
                Vec::new()
            }
        }
    }

    /// A string; empty by default.
    #[must_use]
    pub fn string(self) -> String {
        scalar(self.value).unwrap_or_else(|| {
            if !self.value.is_null() {
                self.complain(self.value, "string");
            }
            String::new()
        })
    }

    /// A switch; YAML 1.1's words count.
    #[must_use]
    pub fn bool(self, default: bool) -> bool {
        match self.value {
            Value::Null => default,
            Value::Bool(value) => *value,
            Value::String(word) => match word.to_ascii_lowercase().as_str() {
                "y" | "yes" | "on" => true,
                "n" | "no" | "off" => false,
                _ => {
                    self.complain(self.value, "bool");
                    default
                }
            },
            other => {
                self.complain(other, "bool");
                default
            }
        }
    }

    /// A whole number.
    #[must_use]
    pub fn int(self, default: i64) -> i64 {
        match self.value {
            Value::Null => default,
            Value::Number(number) if number.is_i64() => number.as_i64().unwrap_or(default),
            other => {
                self.complain(other, "int64");
                default
            }
        }
    }

    /// A duration as Go writes it, or nanoseconds; `None` if it is negative.
    #[must_use]
    pub fn duration(self, default: Duration) -> Option<Duration> {
        match self.value {
            Value::Null => Some(default),
            Value::Number(number) if number.is_i64() => number.as_u64().map(Duration::from_nanos),
            Value::String(text) if text.starts_with('-') && go_duration(&text[1..]).is_some() => None,
            Value::String(text) => go_duration(text).or_else(|| {
                self.complain(self.value, "time.Duration");
                Some(default)
            }),
            other => {
                self.complain(other, "time.Duration");
                Some(default)
            }
        }
    }

    /// Notes a type error. yaml.v2 names the line as well, which is not known any more here.
    pub fn complain(self, found: &Value, wanted: &str) {
        let found = match found {
            Value::Sequence(_) => "!!seq".to_owned(),
            Value::Mapping(_) => "!!map".to_owned(),
            other => format!("!!{} `{}`", tag(other), scalar(other).unwrap_or_default()),
        };
        let text = format!("cannot unmarshal {found} into {wanted}");
        let mut errors = self.document.errors.borrow_mut();
        if !errors.contains(&text) {
            errors.push(text);
        }
    }

    /// The value itself, for an error about it.
    #[must_use]
    pub fn value(self) -> &'a Value {
        self.value
    }
}

fn tag(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        _ => "str",
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Go's `time.ParseDuration` for what stands in configurations: `168h0m0s`, `1.5h`, `300ms`, `0`.
#[must_use]
pub fn go_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (mut total, mut rest) = (0.0, text);
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(tail.len());
        let factor = match &tail[..unit] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * factor;
        rest = &tail[unit..];
    }
    (!text.is_empty()).then(|| Duration::try_from_secs_f64(total).ok()).flatten()
}
