//! Invites that wait in the relay, and those it refuses.

use serde_json::Value;

use super::super::Site;
use super::super::check::{Check, Doc, Place, with_relay};
use crate::config::Service;
use crate::error::Result;
use crate::finding::Finding;

pub(super) const CHECKS: &[Check] = &[Check {
    id: "relay.queue",
    place: Place::Bridge,
    applies: with_relay,
    needs: &["relay.up"],
    limit: 8,
    run: |site| {
        Box::pin(async move {
            queue(&site).await.unwrap_or_else(|error| vec![Finding::unknown(ID, SUBJECT, error.message())])
        })
    },
    doc: Doc {
        what: "How many invites wait in the relay, since when, why the last attempt failed, and how many were refused, from its `GET /health`.",
        why: "An invite from another server that never reaches the bridge is a room nobody sees; a full queue refuses new ones.",
        fails: "Invites from other servers do not show up in Rocket.Chat, or are answered with 503.",
        fix: "The cause that is told stands with the bridge or with the homeserver; what waits is delivered by itself once it is gone.",
        source: "rcfed's own service, docs/relay.md.",
    },
}];

const ID: &str = "relay.queue";
const SUBJECT: &str = "the relay";

async fn queue(site: &Site) -> Result<Vec<Finding>> {
    let health = match site.ask(Service::Relay, 8080, "/health").await? {
        Ok((200, body)) => serde_json::from_str(&body).unwrap_or_default(),
        Ok((status, _)) => return Ok(vec![Finding::unknown(ID, SUBJECT, format!("status {status} to /health"))]),
        Err(error) => return Ok(vec![Finding::unknown(ID, SUBJECT, error)]),
    };
    Ok(judge(&health))
}

/// What the relay's own words mean.
fn judge(health: &Value) -> Vec<Finding> {
    let number = |key: &str| health[key].as_u64();
    let (Some(invites), Some(unresolved)) = (number("invites"), number("unresolved")) else {
        return vec![Finding::unknown(ID, SUBJECT, "does not say how many invites wait")];
    };
    let oldest = number("oldest_seconds").unwrap_or_default();
    let many = match invites {
        1 => "one invite waits".to_owned(),
        many => format!("{many} invites wait"),
    };
    let error = health["last_error"]["error"].as_str();
    let with_error = |finding: Finding| match error {
        Some(error) => finding.seen(format!("last error: {error}")),
        None => finding,
    };
    let mut findings = Vec::new();
    match health["journal"].as_str() {
        Some("ok") | None => {}
        Some(trouble) => findings.push(
            Finding::fail(ID, SUBJECT, "cannot write its journal, so invites from other servers are refused")
                .seen(trouble)
                .remedy("usually the disk with the volume `rcfed-relay` is full, or mounted read-only"),
        ),
    }
    if health["full"] == true {
        findings.push(with_error(
            Finding::fail(
                ID,
                SUBJECT,
                format!("is full: {many}, the oldest for {}, and new ones are refused", span(oldest)),
            )
            .remedy("what waits is delivered by itself once the bridge takes it"),
        ));
    } else if invites > 0 && oldest >= STUCK {
        let whom = match (unresolved == invites, invites) {
            (false, _) => "for the bridge",
            (true, 1) => "until Dendrite tells whether it accepted it",
            (true, _) => "until Dendrite tells whether it accepted them",
        };
        findings.push(with_error(
            Finding::warn(ID, SUBJECT, format!("does not get on: {many} {whom}, the oldest for {}", span(oldest)))
                .remedy("what waits is delivered by itself once its receiver answers"),
        ));
    } else if invites > 0 {
        findings.push(with_error(Finding::info(ID, SUBJECT, format!("{many}, the oldest for {}", span(oldest)))));
    } else if findings.is_empty() {
        findings.push(Finding::ok(ID, SUBJECT, "no invite waits"));
    }
    if let Some(refused @ 1..) = number("refused") {
        let times = if refused == 1 { "one invite".to_owned() } else { format!("{refused} invites") };
        let finding = Finding::info(ID, SUBJECT, format!("has refused {times} since it was started"));
        findings.push(match health["last_refusal"].as_str() {
            Some(why) => finding.seen(format!("the last one: {why}")),
            None => finding,
        });
    }
    findings
}

/// Seconds after which an invite is no longer merely on its way: twice the relay's longest pause between two attempts.
const STUCK: u64 = 600;

fn span(seconds: u64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7200 => format!("{} minutes", seconds / 60),
        7200..172_800 => format!("{} hours", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::report::tests::told;
    use super::*;

    #[test]
    fn a_queue_in_words() {
        let health = |change: Value| {
            let mut health = json!({
                "invites": 0, "unresolved": 0, "bytes": 0, "full": false, "oldest_seconds": null, "last_success": null,
                "last_error": null, "journal": "ok", "refused": 0, "last_refusal": null,
            });
            for (key, value) in change.as_object().unwrap() {
                health[key] = value.clone();
            }
            health
        };
        let error = json!({ "at": 1, "error": "bridge: connection refused" });
        let cases = [
            health(json!({})),
            health(json!({ "invites": 1, "oldest_seconds": 3 })),
            health(json!({ "invites": 2, "oldest_seconds": 599, "last_error": error })),
            health(json!({ "invites": 2, "unresolved": 1, "oldest_seconds": 600, "last_error": error })),
            health(json!({ "invites": 1, "unresolved": 1, "oldest_seconds": 90_000 })),
            health(json!({ "invites": 2, "unresolved": 2, "oldest_seconds": 90_000 })),
            health(json!({ "invites": 9, "full": true, "oldest_seconds": 200_000, "last_error": error })),
            health(json!({ "journal": "No space left on device" })),
            health(json!({ "refused": 1, "last_refusal": "Encrypted rooms cannot be bridged" })),
            json!({}),
        ];
        insta::assert_snapshot!(told(cases.iter().flat_map(judge)));
    }
}
