//! The Matrix side of things: our own key, and any server's name as other servers see it.

pub mod canonical_json;
pub mod discovery;
pub mod eyes;
pub mod keys;
pub mod look;
pub mod probe;
pub mod refusal;
pub mod server_name;
pub mod signing_key;
pub mod user_id;
pub mod well_known;
pub mod x_matrix;

pub use eyes::{Blind, Eyes, Ground};
pub use look::{ClientSide, Look, Wishes, look};
