//! The one clock. Certificates are judged by it and journals dated, so a test has to be able to put it wrong.
//!
//! In debug builds `RCFED_CLOCK=SECONDS` puts it that far ahead, or behind if negative. A release build has neither the
//! variable nor the code.

use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

/// What this machine takes for now.
pub fn now() -> Timestamp {
    let real = Timestamp::now();
    real.checked_add(wrong_by()).unwrap_or(real)
}

#[cfg(debug_assertions)]
fn wrong_by() -> SignedDuration {
    let seconds = std::env::var("RCFED_CLOCK").ok().and_then(|text| text.parse().ok());
    SignedDuration::from_secs(seconds.unwrap_or_default())
}

#[cfg(not(debug_assertions))]
fn wrong_by() -> SignedDuration {
    SignedDuration::ZERO
}

/// The same clock for TLS.
#[derive(Debug)]
pub struct Clock;

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(now().as_second()).ok()?;
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)))
    }
}
