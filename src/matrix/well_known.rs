//! The three documents below `/.well-known/matrix/`, as a server at one address has them.
//!
//! What counts is decided as servers decide it: the status, the length and the text, and never the content type. What is
//! seen on the way (redirects, headers, certificates, the first bytes) is kept, because that is where the cause is.

mod cache;
mod document;
mod fetch;
mod visit;

pub use cache::{Cache, believed};
pub(super) use document::object;
pub use document::{Client, Contact, Fault, Support, client, server, support};
pub use fetch::{Cors, Fetch, Hop, Kind, Stop, fetch, fetch_on, preflight};
pub use visit::Visit;
