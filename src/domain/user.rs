//! Rocket.Chat user names that are also valid Matrix localparts.

use super::text_type;

/// Lower-case letters, digits, `.`, `_` and `-`; the bridge uses it unchanged as the Matrix localpart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username(String);

impl Username {
    /// Reads a user name.
    pub fn parse(text: &str) -> Result<Self, UsernameError> {
        let text = text.trim();
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        match text {
            "" => Err(UsernameError::Empty),
            // Rocket.Chat's own bot, and the words it reserves for mentions of everybody.
            "rocket.cat" | "all" | "here" => Err(UsernameError::Reserved(text.into())),
            _ if text.len() > 64 => Err(UsernameError::TooLong(text.len())),
            _ => match text.chars().find(|c| !allowed(*c)) {
                Some(character) => Err(UsernameError::Character { name: text.into(), character }),
                None => Ok(Self(text.into())),
            },
        }
    }
}

text_type!(Username, UsernameError);

impl Default for Username {
    fn default() -> Self {
        Self("admin".into())
    }
}

/// Why a text is not a usable user name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsernameError {
    /// A character that a Matrix localpart or Rocket.Chat does not allow.
    #[error("the user name `{name}` contains `{character}`")]
    Character {
        /// The whole text.
        name: String,
        /// The first character that is not allowed.
        character: char,
    },
    /// Nothing was typed.
    #[error("no user name was given")]
    Empty,
    /// Rocket.Chat uses the name itself.
    #[error("Rocket.Chat keeps the user name `{0}` for itself")]
    Reserved(String),
    /// Longer than any client shows.
    #[error("the user name has {0} characters; 64 is the most")]
    TooLong(usize),
}

impl UsernameError {
    /// What to type instead.
    pub fn hint(&self) -> String {
        match self {
            Self::Character { name, .. } if Username::parse(&name.to_lowercase()).is_ok() => {
                format!("type `{}`", name.to_lowercase())
            }
            _ => "use a-z, 0-9, `.`, `_` and `-`, for example `admin`".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_names() {
        assert!(Username::parse("ada.lovelace-1").is_ok());
        let long = "a".repeat(65);
        let refused = ["", "rocket.cat", "all", "Admin", "a b", "a@b", "ü", "a\"b", &long].map(|bad| {
            let error = Username::parse(bad).unwrap_err();
            format!("{error}\n  hint: {}", error.hint())
        });
        insta::assert_snapshot!(refused.join("\n"));
    }
}
