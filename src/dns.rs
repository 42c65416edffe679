//! DNS as others see it: looked up from both ends, judged, and waited for.
//!
//! [`Lookup`] asks, [`judge`] compares what was seen with what has to be there, [`report`] says it in lines, and
//! [`wait_for`] asks again until it is right. Only the first and the last touch the network.

mod caa;
mod lookup;
mod message;
mod ranges;

pub use caa::{Caa, CaaRecord, CaaVerdict};
pub use lookup::{Answer, Lookup, Seen, ServerView, View, ZoneServer};
pub use message::Fault;
pub use ranges::{is_cloudflare, is_private};
