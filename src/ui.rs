//! What a person reads: talk and progress on stderr, data on stdout.

mod progress;
pub mod prompt;

pub use progress::{Task, Ui, Verbosity};
