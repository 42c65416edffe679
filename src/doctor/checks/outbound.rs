//! The other direction: whether the homeserver reaches other servers. Only where somebody names them, because nothing leaves
//! the machine unasked.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::future::join_all;
use ipnet::IpNet;
use reqwest::Method;

use super::super::check::{Check, Doc, Place, with_homeserver};
use super::super::{Site, answered, remote};
use crate::config::Service;
use crate::finding::Finding;
use crate::invite_test::PROBE;
use crate::layout;
use crate::matrix::probe::Seen;
use crate::matrix::server_name::ServerName;
use crate::matrix::{Wishes, look};

/// Its id, for those who let it be asked for.
pub const ID: &str = "homeserver.outbound";

pub(super) const CHECKS: &[Check] = &[Check {
    id: ID,
    place: Place::Homeserver,
    applies: with_homeserver,
    needs: &["homeserver.up"],
    limit: 30,
    run: |site| Box::pin(async move { judge(&join_all(site.outbound.iter().map(|name| tried(&site, name))).await) }),
    doc: Doc {
        what: "With `--outbound SERVER_NAME` only: whether the homeserver reaches that server; it is asked for the profile of a user whom nobody has there.",
        why: "That others reach this server says nothing about the other way: containers may have another resolver, and other rules of the firewall.",
        fails: "Others can write to people here, and whatever people here do is seen nowhere else, or much later.",
        fix: "Let containers out on TCP 443 and 8448, and give Docker a resolver that they can reach.",
        source: "Matrix client-server API, profiles; Synapse's handlers/profile.py and Dendrite's clientapi/routing/profile.go.",
    },
}];

/// The most a homeserver may take: it tries again by itself where nobody answers.
const PATIENCE: Duration = Duration::from_secs(15);
/// The most that this machine's own look at the same server may take.
const LOOK: Duration = Duration::from_secs(8);

/// Said where the homeserver ended meanwhile.
const GONE: &str = "it does not run any more";

/// What came of asking the homeserver for another server.
struct Tried {
    name: ServerName,
    outcome: Outcome,
}

enum Outcome {
    /// The other server's own answer came through.
    Reached,
    /// It did not. Synapse says so with 502, Dendrite with 500, which both also say where the other refuses.
    Lost {
        seen: String,
        /// What the homeserver's log says of that server.
        log: Vec<String>,
        /// Whether this machine itself gets the server's keys, or the first cause why not.
        beside: Result<(), String>,
    },
    /// Nothing follows from the answer.
    Unclear(String),
}

async fn tried(site: &Site, name: &ServerName) -> Tried {
    let outcome = ask(site, name).await.unwrap_or_else(|error| Outcome::Unclear(error.message()));
    Tried { name: name.clone(), outcome }
}

async fn ask(site: &Site, name: &ServerName) -> crate::error::Result<Outcome> {
    let machine = &site.machine;
    let Some(base) = machine.url(Service::Homeserver, 8008).await? else {
        return Ok(Outcome::Unclear(GONE.into()));
    };
    let user = format!("@{PROBE}:{name}");
    let escaped: String = url::form_urlencoded::byte_serialize(user.as_bytes()).collect();
    let url = format!("{base}/_matrix/client/v3/profile/{escaped}");
    let seen = match machine.host.send_within(PATIENCE, Method::GET, &url, None, None).await {
        Ok((200 | 403 | 404, _)) => return Ok(Outcome::Reached),
        Ok((status @ 500.., body)) => answered(status, &body),
        Ok((status, body)) => return Ok(Outcome::Unclear(answered(status, &body))),
        Err(error) => format!("{error}, within {} s", PATIENCE.as_secs()),
    };
    let lines = machine.docker.last_lines(&Service::Homeserver.container(), 200).await.unwrap_or_default();
    let eyes = machine.eyes()?;
    let wishes = Wishes { deadline: LOOK, clients: false, chat: false, ..Wishes::default() };
    let look = look(name, &eyes, &wishes).await;
    let answers = |seen: &Seen| matches!(&seen.keys, Some(Ok(keys)) if keys.status == 200);
    let report = remote::report(&look, jiff::Timestamp::now(), &[]);
    let beside = match report.first_cause() {
        Some(cause) if !look.targets.iter().any(answers) => Err(format!("{} {}", cause.subject, cause.summary)),
        _ => Ok(()),
    };
    Ok(Outcome::Lost { seen, log: about(&lines, name), beside })
}

/// The last lines that name the server, without those that only repeat that it was asked for.
fn about(lines: &[String], name: &ServerName) -> Vec<String> {
    const REPEATS: [&str; 3] = ["Processed request:", "Failed to fetch profile", "level=debug"];
    let tells = |line: &&String| line.contains(name.as_str()) && !REPEATS.iter().any(|words| line.contains(words));
    let mut found: Vec<&String> = lines.iter().rev().filter(tells).take(3).collect();
    found.reverse();
    found.into_iter().map(|line| without_contents(line).chars().take(400).collect()).collect()
}

/// Without the answer of the other server, of which gomatrixserverlib writes each byte as a number before the status.
fn without_contents(line: &str) -> String {
    let contents = line.split_once("contents=[").and_then(|(before, rest)| Some((before, rest.split_once("] ")?.1)));
    contents.map_or_else(|| line.to_owned(), |(before, after)| format!("{before}{after}"))
}

/// The address that the homeserver keeps away from: Synapse blocks it (synapse/http/client.py), gomatrixserverlib denies it
/// (fclient/client.go).
fn private(log: &[String]) -> Option<IpAddr> {
    log.iter().rev().find_map(|line| {
        let blocked = || line.split_once("Blocked ")?.1.split(' ').next()?.parse().ok();
        let denied = || line.split_once(" is denied")?.0.rsplit(' ').next()?.parse().ok();
        blocked().or_else(|| denied().map(|peer: SocketAddr| peer.ip()))
    })
}

fn judge(tried: &[Tried]) -> Vec<Finding> {
    let others_are = tried.iter().any(|one| matches!(one.outcome, Outcome::Reached));
    let told = |one: &Tried| {
        let name = &one.name;
        match &one.outcome {
            Outcome::Reached => Finding::ok(ID, name.as_str(), "is reached by the homeserver"),
            Outcome::Unclear(why) => {
                Finding::unknown(ID, name.as_str(), format!("may be reached by the homeserver or not: {why}"))
            }
            Outcome::Lost { seen, log, beside } => {
                let finding = lost(name, private(log), beside, others_are).seen(format!("the homeserver: {seen}"));
                log.iter().fold(finding, |finding, line| finding.seen(format!("its log: {line}")))
            }
        }
    };
    tried.iter().map(told).collect()
}

fn lost(name: &ServerName, private: Option<IpAddr>, beside: &Result<(), String>, others_are: bool) -> Finding {
    let fail = |said: String| Finding::fail(ID, name.as_str(), said);
    match (private, beside) {
        (Some(address), _) => {
            fail(format!("is not reached by the homeserver, which connects to no private address such as {address}"))
                .remedy(format!(
                    "if that server may be asked, name its network below [federation] in {}, then: sudo rcfed apply\n\
                     private_networks = [\"{}\"]",
                    layout::CONFIG,
                    IpNet::from(address)
                ))
        }
        (None, Ok(())) => {
            fail("is not reached by the homeserver, and answers this machine".into()).remedy(containers(name))
        }
        // Where another one is reached, this is no fault of this machine.
        (None, Err(cause)) if others_are => {
            let said = format!("is not reached by the homeserver, and is not well itself: {cause}");
            Finding::warn(ID, name.as_str(), said).remedy(format!("theirs to mend: rcfed doctor {name}"))
        }
        (None, Err(cause)) => fail(format!("is reached neither by the homeserver nor by this machine: {cause}"))
            .remedy(format!(
                "if another server is reached (--outbound matrix.org), it is theirs to mend: rcfed doctor {name}\n\
                 if none is, let TCP 443 and 8448 out: the provider's firewall, then this machine's own"
            )),
    }
}

/// What stands between containers and the world. Of a name that resolves to nothing `getent` prints nothing.
fn containers(name: &ServerName) -> String {
    format!(
        "see what keeps containers from getting out, and this machine not:\n\
         their rules: sudo iptables -S FORWARD; sudo iptables -S DOCKER-USER  (both have to let TCP 443 and 8448 out)\n\
         their resolver: sudo docker exec rcfed-homeserver getent hosts {}  (prints nothing? name one: `dns` in /etc/docker/daemon.json)\n\
         a status such as 403 in the log is {name}'s own refusal: then name another server",
        name.host()
    )
}

#[cfg(test)]
#[path = "outbound_tests.rs"]
mod tests;
