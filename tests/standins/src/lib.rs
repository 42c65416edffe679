//! Stand-ins for servers that cannot be had as packages: each keeps its original's contract, strict where that one is.

pub mod mongo;
pub mod rocketchat;
