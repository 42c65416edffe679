//! A server that vouches for itself: what a federation tester finds out, found out by the server.
//!
//! It is for networks into which no tester outside can look, and worth less: whatever keeps others out between them and
//! this machine is not seen from here.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::Instant;

use super::super::report::Report;
use super::own::{blocked, publics};
use super::{Sight, report};
use crate::matrix::server_name::ServerName;
use crate::matrix::{Eyes, Wishes, look};

/// Looks at `name` through its public names, as another server would; the error is the first cause, in one line. `gateway`
/// is the host that is asked instead where a router lets nobody back in.
pub async fn witness(name: &ServerName, mut eyes: Eyes, gateway: &str) -> Result<(), String> {
    eyes.private_allowed = true;
    let wishes = Wishes { clients: false, chat: false, ..Wishes::default() };
    let mut seen = look(name, &eyes, &wishes).await;
    if blocked(&seen) {
        let view = eyes.host(gateway, Instant::now() + wishes.deadline).await;
        let inner: Option<IpAddr> = [view.a, view.aaaa].into_iter().flatten().flatten().next();
        if let Some(inner) = inner {
            eyes.instead = Arc::new(publics(&seen).into_iter().map(|public| (public, inner)).collect());
            seen = look(name, &eyes, &wishes).await;
        }
    }
    let now = Timestamp::now();
    if (Sight { look: &seen, now: now.as_millisecond(), own: None }).works() {
        return Ok(());
    }
    let report = report(&seen, now, &[]);
    Err(cause(&report))
}

/// Why others do not come here, in one line.
fn cause(report: &Report) -> String {
    let cause = report.first_cause().map(|cause| format!("{}: {} {}", cause.id, cause.subject, cause.summary));
    cause.unwrap_or_else(|| "no server was found to which others could connect".into())
}

#[cfg(test)]
mod tests {
    use super::super::super::report::tests::example;
    use super::*;

    #[test]
    fn the_first_cause_is_one_line() {
        let mut report = example();
        let told = cause(&report);
        report.findings.clear();
        insta::assert_snapshot!([told, cause(&report)].join("\n"));
    }
}
