//! Stand-ins.

pub mod dns;
