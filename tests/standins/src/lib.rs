//! Stand-ins.

pub mod ca;
pub mod dendrite;
pub mod dns;
pub mod federation;
pub mod fetch;
pub mod matrix;
pub mod web;
