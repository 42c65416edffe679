//! The Matrix side of things.

pub mod signing_key;
