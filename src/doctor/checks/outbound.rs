//! The other direction: whether the homeserver reaches other servers. Only where somebody names them, because nothing leaves
//! the machine unasked.

mod judge;
mod log;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use reqwest::Method;

use super::super::check::{Check, Doc, Place, with_homeserver};
use super::super::{Site, answered, remote};
use crate::config::Service;
use crate::error::Result;
use crate::finding::Finding;
use crate::host::tls::TlsFacts;
use crate::invite_test::PROBE;
use crate::matrix::probe::Seen;
use crate::matrix::server_name::ServerName;
use crate::matrix::{Look, Wishes, look};
use judge::{Beside, Lost, Outcome, Tried, judge};

/// Its id, for those who let it be asked for.
pub const ID: &str = "homeserver.outbound";

pub(super) const CHECKS: &[Check] = &[Check {
    id: ID,
    place: Place::Homeserver,
    applies: with_homeserver,
    needs: &["homeserver.up"],
    limit: 30,
    run: |site| Box::pin(all(site)),
    doc: Doc {
        what: "With `--outbound SERVER_NAME` only: whether the homeserver reaches that server; it is asked for the profile of a user whom nobody has there.",
        why: "That others reach this server says nothing about the other way: containers may have another resolver, and other rules of the firewall.",
        fails: "Others can write to people here, and whatever people here do is seen nowhere else, or much later.",
        fix: "Let containers out to the port of that server, and give Docker a resolver that they can reach.",
        source: "Matrix client-server API, profiles; Synapse's handlers/profile.py and Dendrite's clientapi/routing/profile.go.",
    },
}];

/// The most a homeserver may take. Synapse gives another server ten seconds, Dendrite five minutes.
const PATIENCE: Duration = Duration::from_secs(15);
/// The most that this machine's own look at the same server may take.
const LOOK: Duration = Duration::from_secs(8);
/// Lines of the log that are read.
const LINES: usize = 500;

async fn all(site: Arc<Site>) -> Vec<Finding> {
    let tried = join_all(site.outbound.iter().map(|name| tried(&site, name))).await;
    judge(site.machine.config.names.federated.as_str(), &tried)
}

async fn tried(site: &Site, name: &ServerName) -> Tried {
    let outcome = ask(site, name).await.unwrap_or_else(|error| Outcome::Unclear(error.message()));
    Tried { name: name.clone(), outcome }
}

async fn ask(site: &Site, name: &ServerName) -> Result<Outcome> {
    let machine = &site.machine;
    let Some(base) = machine.url(Service::Homeserver, 8008).await? else {
        return Ok(Outcome::Unclear(judge::GONE.into()));
    };
    let user = format!("@{PROBE}:{name}");
    let escaped: String = url::form_urlencoded::byte_serialize(user.as_bytes()).collect();
    let url = format!("{base}/_matrix/client/v3/profile/{escaped}");
    let since = Timestamp::now();
    let seen = match machine.host.send_within(PATIENCE, Method::GET, &url, None, None).await {
        // Synapse's own, before it asks anybody (api/errors.py, FederationDeniedError).
        Ok((403, body)) if body.contains("Federation denied with") => return Ok(Outcome::Denied),
        Ok((200 | 403 | 404, _)) => return Ok(Outcome::Reached),
        Ok((status @ 500.., body)) => answered(status, &body),
        Ok((status, body)) => return Ok(Outcome::Unclear(answered(status, &body))),
        Err(error) => format!("{error}, within {} s", PATIENCE.as_secs()),
    };
    let lines = machine.docker.lines_since(&Service::Homeserver.container(), since, LINES).await.unwrap_or_default();
    let eyes = machine.eyes()?;
    let wishes = Wishes { deadline: LOOK, clients: false, chat: false, ..Wishes::default() };
    let look = look(name, &eyes, &wishes).await;
    let hosts = remote::hosts(&look);
    let names: Vec<&str> = [name.as_str()].into_iter().chain(hosts.iter().map(String::as_str)).collect();
    let lost = Lost { seen, said: log::said(&lines, &names), log: log::about(&lines, &names), beside: beside(&look) };
    site.strangers.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend(hosts);
    Ok(Outcome::Lost(lost))
}

/// What this machine itself sees of the same server.
fn beside(look: &Look) -> Beside {
    // With a certificate that others refuse, the homeserver is right.
    let is_well = |seen: &&Seen| {
        seen.tls.as_ref().is_some_and(TlsFacts::is_valid) && matches!(&seen.keys, Some(Ok(keys)) if keys.status == 200)
    };
    if let Some(seen) = look.targets.iter().find(is_well) {
        let target = &seen.target;
        let host = target.srv.as_ref().map_or(&target.certificate_name, |srv| &srv.target);
        return Beside::Reached { host: host.clone(), port: target.port };
    }
    let report = remote::report(look, Timestamp::now(), &[]);
    match report.first_cause() {
        Some(cause) => Beside::Not(format!("{} {}", cause.subject, cause.summary)),
        None => Beside::Not(judge::LATE.into()),
    }
}
