//! Everything that can be known before anything is changed.

mod finding;

pub use finding::{Finding, Status};
