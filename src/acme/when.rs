//! Moments as a person reads them.

use jiff::{SignedDuration, Timestamp};

/// `2026-12-01 10:00 UTC (in 8 days)`; rounded up to a minute, so that it is never too early.
pub(super) fn from_now(then: Timestamp, now: Timestamp) -> String {
    let seconds = then.as_second();
    let minute = Timestamp::from_second(seconds + (-seconds).rem_euclid(60)).unwrap_or(then);
    format!("{} ({})", minute.strftime("%Y-%m-%d %H:%M UTC"), distance(then.duration_since(now)))
}

fn distance(away: SignedDuration) -> String {
    let seconds = away.as_secs();
    let (count, unit) = match seconds {
        ..=0 => return "now".into(),
        1..=99 => (seconds, "second"),
        100..=5_999 => (seconds.div_euclid(60), "minute"),
        6_000..=172_799 => (seconds.div_euclid(3_600), "hour"),
        _ => (seconds.div_euclid(86_400), "day"),
    };
    format!("in {count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_never_too_early() {
        let now: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
        let say = |then: &str| from_now(then.parse().unwrap(), now);
        assert_eq!(say("2026-12-01T10:00:00Z"), "2026-12-01 10:00 UTC (in 8 days)");
        assert_eq!(say("2026-11-23T10:00:30Z"), "2026-11-23 10:01 UTC (in 30 seconds)");
        assert_eq!(say("2026-11-23T11:00:01Z"), "2026-11-23 11:01 UTC (in 60 minutes)");
        assert_eq!(say("2026-11-24T21:00:00Z"), "2026-11-24 21:00 UTC (in 35 hours)");
        assert_eq!(say("2026-11-23T09:00:00Z"), "2026-11-23 09:00 UTC (now)");
    }
}
