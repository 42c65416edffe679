//! What getting a certificate says while it goes on, and what authorities do that ACME does not know.

use std::fmt::Display;

pub(super) const BAD_TOKEN: &str = "a challenge's token is not base64url";
pub(super) const GONE: &str = "it is gone, so another is ordered";
pub(super) const LOOKING: &str = "waiting for the authority's look at every name";
pub(super) const NO_CHAIN: &str = "a finished order has no certificate";
pub(super) const NO_HTTP_01: &str = "it offers no http-01 challenge";
pub(super) const NO_REASON: &str = "it made the order invalid and gives no reason";
pub(super) const PROVEN: &str = "every name can be proven";

pub(super) fn resumed(authority: impl Display) -> String {
    format!("certificate from {authority}, ordered by an earlier run")
}

pub(super) fn not_json(status: u16) -> String {
    format!("the answer is not JSON (status {status})")
}

pub(super) fn not_understood(error: impl Display) -> String {
    format!("its answer is not understood ({error})")
}

#[cfg(test)]
mod tests {
    use super::super::error::{AcmeError, Authority};
    use super::super::trouble::Trouble;
    use super::*;

    #[test]
    fn sentences() {
        let authority = || Authority::of("https://ca.example.org:14000/dir");
        let odd = [BAD_TOKEN, NO_CHAIN, NO_HTTP_01, NO_REASON].map(str::to_owned);
        let odd = odd.into_iter().chain([not_understood("expected value at line 1 column 1")]);
        let now = jiff::Timestamp::UNIX_EPOCH;
        let page = Trouble::NotADirectory { url: "https://ca.example.org:14000/dir".into(), why: not_json(200) };
        let errors = odd
            .map(|what| AcmeError::Protocol { authority: authority(), what })
            .chain([AcmeError::Unreachable { authority: authority(), trouble: page, now }]);
        let told = crate::error::told(errors.map(Into::into));
        let notes = [resumed(authority()), GONE.into(), LOOKING.into(), PROVEN.into()];
        insta::assert_snapshot!(format!("{}\n{told}", notes.join("\n")));
    }
}
