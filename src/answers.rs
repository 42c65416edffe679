//! Raw answers.
