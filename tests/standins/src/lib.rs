//! Stand-ins for servers that cannot be had as packages: each keeps its original's contract, strict where that one is.

pub mod ca;
pub mod dendrite;
pub mod dns;
pub mod federation;
pub mod fetch;
pub mod matrix;
pub mod mongo;
pub mod rocketchat;
pub mod room;
pub mod web;
