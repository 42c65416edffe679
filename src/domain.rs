//! Names a user types, proven once: domain names, e-mail addresses, user names, image references.
//!
//! A value of one of these types can stand in any template, header or command without quoting, because its characters
//! were checked when it was made.

mod image;
mod mail;
mod name;
mod user;

pub use image::{ImageError, ImageRef};
pub use mail::{Email, EmailError};
pub use name::{DomainError, DomainName};
pub use user::{Username, UsernameError};

/// Gives a newtype over `String` its `Display`, `FromStr`, serde and accessor, all through `parse`.
macro_rules! text_type {
    ($type:ident, $error:ident) => {
        impl $type {
            /// The text as it was accepted.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl std::str::FromStr for $type {
            type Err = $error;
            fn from_str(text: &str) -> Result<Self, $error> {
                Self::parse(text)
            }
        }
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    };
}
use text_type;
