//! Rate limits: which one, and until when.
//!
//! The texts are Boulder's; the limits themselves are at <https://letsencrypt.org/docs/rate-limits/>. An authority with
//! other texts still gets a sentence, with the end of the wait from `Retry-After`.

use jiff::Timestamp;

/// A refusal with the problem type `rateLimited` (RFC 8555 §6.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Too often; time heals it.
    Until {
        /// What there is no more of, e.g. `certificates for example.org`.
        what: String,
        /// When there is more again, if that was said.
        until: Option<Timestamp>,
    },
    /// After very many failures Let's Encrypt pauses a name until a person asks it not to.
    Paused {
        /// Where to ask.
        url: String,
    },
}

impl Limit {
    /// Reads the text of a `rateLimited` problem; `retry_after` is what the header said.
    pub(super) fn read(detail: &str, retry_after: Option<Timestamp>) -> Self {
        let paused = detail.contains("temporarily prevented") || detail.contains("paused");
        let url = detail.split_whitespace().map(|word| word.trim_matches(['<', '>', '"']));
        if let Some(url) = url.into_iter().find(|word| paused && word.starts_with("https://")) {
            return Self::Paused { url: url.trim_end_matches(['.', ',']).into() };
        }
        Self::Until { what: what(detail), until: date(detail).or(retry_after) }
    }
}

fn what(detail: &str) -> String {
    let quoted = detail.split('"').nth(1);
    match quoted {
        _ if detail.contains("exact set of") => "certificates for these same names".into(),
        Some(name) if detail.contains("failed authorizations") => format!("attempts to prove {name}"),
        Some(name) if detail.contains("too many certificates") => format!("certificates for {name}"),
        _ if detail.contains("failed authorizations") => "attempts to prove these names".into(),
        _ if detail.contains("new registrations") => "new accounts from this address".into(),
        _ if detail.contains("new orders") => "orders from this account".into(),
        _ => "certificates".into(),
    }
}

/// `… retry after 2026-12-01 10:00:00 UTC: see …`
fn date(detail: &str) -> Option<Timestamp> {
    let (_, rest) = detail.split_once("retry after ")?;
    let text = rest.get(..19).filter(|_| rest.get(19..).is_some_and(|zone| zone.starts_with(" UTC")))?;
    format!("{}Z", text.replacen(' ', "T", 1)).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_is_named_and_dated() {
        let see = "retry after 2026-12-01 10:00:00 UTC: see https://letsencrypt.org/docs/rate-limits/";
        let told = [
            format!("too many new registrations (10) from this IP address in the last 3h0m0s, {see}"),
            format!("too many new orders (300) from this account in the last 3h0m0s, {see}"),
            format!("too many failed authorizations (5) for \"chat.example.org\" in the last 1h0m0s, {see}"),
            format!("too many certificates (50) already issued for \"example.org\" in the last 168h0m0s, {see}"),
            format!("too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s, {see}"),
            "Your account is temporarily prevented from requesting certificates for example.org and possibly others. Please visit: https://portal.letsencrypt.org/sfe/v1/unpause?jwt=abc".into(),
            format!("too many failed authorizations recently, {see}"),
            "slow down, retry after a while".into(),
            String::new(),
        ];
        let fallback: Timestamp = "2026-11-24T00:00:00Z".parse().unwrap();
        let table: Vec<String> =
            told.iter().map(|detail| format!("{detail}\n  → {:?}", Limit::read(detail, Some(fallback)))).collect();
        insta::assert_snapshot!(table.join("\n"));
    }
}
