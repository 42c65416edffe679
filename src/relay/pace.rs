//! How long to wait before trying again.

use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};

/// The pace of repetitions; in the file in milliseconds.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[serde(from = "Milliseconds")]
pub struct Pace {
    /// After the first failure.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
    /// How long Dendrite is asked about an invite before its "no" is believed: it may still be fetching a key.
    pub grace: Duration,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Milliseconds {
    first: u32,
    longest: u32,
    grace: u32,
}

impl From<Milliseconds> for Pace {
    fn from(Milliseconds { first, longest, grace }: Milliseconds) -> Self {
        let [first, longest, grace] = [first, longest, grace].map(|text| Duration::from_millis(text.into()));
        Self { first, longest, grace }
    }
}

impl Default for Pace {
    fn default() -> Self {
        let [first, longest, grace] = [1, 300, 90].map(Duration::from_secs);
        Self { first, longest, grace }
    }
}

impl Pace {
    /// The wait after so many failures in a row: doubled each time, and shortened by up to a quarter, so that what failed
    /// together does not come back together.
    pub fn wait(&self, failures: u32) -> Duration {
        let doubled = self.first.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
        let whole = doubled.min(self.longest);
        let mut byte = [0];
        // Without randomness it is the whole wait.
        let _ = SystemRandom::new().fill(&mut byte);
        whole - whole * u32::from(byte[0]) / 1024
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_differ() {
        let pace = Pace::default();
        for (failures, whole) in [(1, 1), (2, 2), (5, 16), (9, 256), (10, 300), (40, 300), (u32::MAX, 300)] {
            let waits: Vec<Duration> = (0..64).map(|_| pace.wait(failures)).collect();
            let (whole, least) = (Duration::from_secs(whole), Duration::from_millis(whole * 750));
            assert!(waits.iter().all(|wait| *wait <= whole && *wait >= least), "{failures}: {waits:?}");
            assert!(waits.iter().any(|wait| *wait != waits[0]), "{failures}");
        }
    }
}
