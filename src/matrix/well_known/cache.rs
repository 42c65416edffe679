//! How long other servers go on believing what they have once seen.
//!
//! A mistake in the server document outlives its correction: the specification lets others keep it for two days.

use std::time::{Duration, SystemTime};

use crate::host::net::exchange::Head;

/// How long an answer can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Cache {
    /// What the headers ask for, in seconds.
    pub stated: Option<u64>,
    /// What others make of it, in seconds: 24 h if nothing is stated, never more than 48 h, and with Synapse never less
    /// than 5 min.
    pub believed: u64,
}

/// How long a failure is believed, in seconds (server-server API: at most an hour).
pub const FAILURE: u64 = 3600;
const LEAST: u64 = 300;
const DEFAULT: u64 = 24 * 3600;
const MOST: u64 = 48 * 3600;

/// How long a good answer with this head is believed. `max-age` beats `Expires` (RFC 9111 §5.3).
pub fn believed(head: &Head, now: SystemTime) -> Cache {
    let directives = || head.all("cache-control").flat_map(|value| value.split(',')).map(str::trim);
    let max_age = directives().find_map(|directive| {
        let (name, value) = directive.split_once('=')?;
        name.trim().eq_ignore_ascii_case("max-age").then(|| value.trim().trim_matches('"').parse::<u64>().ok())?
    });
    let stated = if directives().any(|directive| directive.eq_ignore_ascii_case("no-store")) {
        Some(0)
    } else {
        max_age.or_else(|| {
            let until = httpdate::parse_http_date(head.header("expires")?.trim());
            // RFC 9111 §5.3: a date that cannot be read is a date in the past.
            Some(until.map_or(0, |until| until.duration_since(now).unwrap_or(Duration::ZERO).as_secs()))
        })
    };
    Cache { stated, believed: stated.unwrap_or(DEFAULT).clamp(LEAST, MOST) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::host::net::exchange::parse_head;

    #[test]
    fn headers_become_seconds_as_others_count_them() {
        let now = httpdate::parse_http_date("Mon, 23 Nov 2026 10:00:00 GMT").unwrap();
        let read = |headers: &str| {
            let cache = believed(&parse_head(format!("HTTP/1.1 200 OK\r\n{headers}\r\n").as_bytes()).unwrap(), now);
            (cache.stated, cache.believed)
        };
        assert_eq!(read(""), (None, 86_400));
        assert_eq!(read("Cache-Control: public, Max-Age=3600\r\n"), (Some(3600), 3600));
        assert_eq!(read("Cache-Control: max-age=\"600\"\r\n"), (Some(600), 600));
        assert_eq!(read("Cache-Control: max-age=31536000\r\n"), (Some(31_536_000), 172_800));
        assert_eq!(read("Cache-Control: no-store, max-age=9999\r\n"), (Some(0), 300));
        assert_eq!(read("Expires: Mon, 23 Nov 2026 11:00:00 GMT\r\n"), (Some(3600), 3600));
        assert_eq!(read("Expires: Mon, 23 Nov 2026 09:00:00 GMT\r\n"), (Some(0), 300));
        assert_eq!(read("Expires: 0\r\n"), (Some(0), 300));
        assert_eq!(read("Cache-Control: max-age=700\r\nExpires: 0\r\n"), (Some(700), 700));
        assert_eq!(read("Cache-Control: max-age=x\r\n"), (None, 86_400));
    }

    proptest! {
        #[test]
        fn whatever_the_headers_say_others_forget_in_time(value in "\\PC{0,40}|max-age=[0-9\"]{0,30}", expires in "\\PC{0,30}") {
            let head = format!("HTTP/1.1 200 OK\r\nCache-Control: {value}\r\nExpires: {expires}\r\n\r\n");
            if let Ok(head) = parse_head(head.as_bytes()) {
                let cache = believed(&head, SystemTime::now());
                prop_assert!((LEAST..=MOST).contains(&cache.believed));
            }
        }
    }
}
