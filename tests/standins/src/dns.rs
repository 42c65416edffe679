//! A small DNS server for the bed: authoritative where it has data, faulty where it is told to be.
//!
//! A test of `doctor` or of certificate issuance is worth something only if the DNS under it tells "no such name" from
//! "no such record", sets AA, and repeats a long answer over TCP. Hence a server of the bed's own, with nothing recursive.

pub mod lookup;
pub mod name;
pub mod rdata;
pub mod server;
pub mod wire;
pub mod zone;
