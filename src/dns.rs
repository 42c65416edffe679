//! DNS as others see it: looked up from both ends, judged, and waited for.
//!
//! [`Lookup`] asks, [`judge`] compares what was seen with what has to be there, [`report`] says it in lines, and
//! [`wait_for`] asks again until it is right. Only the first and the last touch the network.

mod caa;
mod dnssec;
mod judge;
mod lookup;
mod memory;
mod message;
mod public;
mod ranges;
mod records;
mod report;
mod wait;
mod zone;

pub use caa::{Caa, CaaRecord, CaaVerdict};
pub use dnssec::{Bogus, Cause};
pub use judge::{Change, Expected, Judgement, LETS_ENCRYPT, NameReport, Verdict, judge};
pub use lookup::{Answer, Lookup, Seen, ServerView, View, ZoneServer};
pub use memory::Memory;
pub use message::Fault;
pub use public::{Heard, PUBLIC_RESOLVERS, heard};
pub use ranges::{is_cloudflare, is_private};
pub use records::{Srv, SrvAnswer};
pub use report::{findings, report};
pub use wait::{Patience, WaitError, wait_for};
pub use zone::{NameServer, Own, Said, Zone};
