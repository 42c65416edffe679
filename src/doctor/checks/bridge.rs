//! The bridge: it listens, it takes transactions in the form in which this homeserver sends them, and Rocket.Chat believes in it.
//!
//! A green ping proves nothing: the bridge takes the token of a ping in the header, while its library may read the token
//! of a transaction only in the query. So an empty transaction is sent, under an id that is never used again: without
//! events there is nothing to handle, and the bridge acknowledges it and forgets it.

use reqwest::Method;
use serde_json::{Value, json};

use super::super::check::{Check, Doc, Place, with_homeserver, with_relay};
use super::super::{GONE, Site, answered};
use super::containers::container;
use super::rocketchat::client;
use crate::config::{Apex, Profile, RocketchatConfig, Service};
use crate::error::{Error, Explain, Result};
use crate::finding::Finding;
use crate::host::fs;
use crate::layout;
use crate::rocketchat::{Problem, RestError, Verdict};
use crate::secrets::SecretName;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "bridge.up",
        place: Place::Bridge,
        applies: with_homeserver,
        needs: &["rocketchat.settings"],
        limit: 8,
        run: |site| Box::pin(async move { vec![told("bridge.up", up(&site).await)] }),
        doc: Doc {
            what: "Whether the bridge inside Rocket.Chat listens on port 3300 of the containers' network.",
            why: "Rocket.Chat runs on without its bridge, and says so nowhere but in its log.",
            fails: "`matrix bridge isn't yet running`; nothing federates in either direction.",
            fix: "`sudo docker restart rcfed-rocketchat`. With a licence that lacks federation no bridge starts at all.",
            source: "npm matrix-appservice, `GET /health`; Rocket.Chat pull request 33253.",
        },
    },
    Check {
        id: "bridge.transaction",
        place: Place::Bridge,
        applies: with_homeserver,
        needs: &["bridge.up", "tokens.registration"],
        limit: 8,
        run: |site| Box::pin(async move { vec![told("bridge.transaction", transaction(&site).await)] }),
        doc: Doc {
            what: "A real, empty transaction to the bridge, with the hs_token in the form in which this homeserver sends it.",
            why: "A bridge can answer pings and refuse every transaction, since it reads the token of the two in different places.",
            fails: "Everything is green, messages go out, and none come in; the homeserver logs 403 for its application service.",
            fix: "`sudo rcfed apply` and `sudo docker restart rcfed-homeserver`: the homeserver then sends the token in both places.",
            source: "npm matrix-appservice 0.10; Rocket.Chat issue 33240; Synapse upgrade notes 1.90.",
        },
    },
    Check {
        id: "container.relay",
        place: Place::Bridge,
        applies: with_relay,
        needs: &["docker.engine", "docker.network"],
        limit: 8,
        run: |site| Box::pin(container(site, "container.relay", Service::Relay)),
        doc: Doc {
            what: "The relay's container: whether it runs, how often it was restarted, whether it is on the network and as the configuration says.",
            why: "Dendrite talks to the bridge through it, and it answers the ping that Dendrite does not know.",
            fails: "Messages from other servers do not reach Rocket.Chat; invites are answered with 502.",
            fix: "`sudo rcfed apply` starts it; its last lines say why it ended.",
            source: "Docker Engine API, container inspect.",
        },
    },
    Check {
        id: "relay.up",
        place: Place::Bridge,
        applies: with_relay,
        needs: &["container.relay"],
        limit: 8,
        run: |site| Box::pin(async move { vec![told("relay.up", relay(&site).await)] }),
        doc: Doc {
            what: "Whether the relay answers `GET /health`.",
            why: "A container that runs need not answer.",
            fails: "Messages from other servers do not reach Rocket.Chat.",
            fix: "`sudo docker restart rcfed-relay`.",
            source: "rcfed's own service.",
        },
    },
    Check {
        id: "relay.transaction",
        place: Place::Bridge,
        applies: with_relay,
        needs: &["relay.up", "bridge.transaction"],
        limit: 8,
        run: |site| Box::pin(async move { vec![told("relay.transaction", through_relay(&site).await)] }),
        doc: Doc {
            what: "A real, empty transaction through the relay, as Dendrite sends it.",
            why: "The relay hands it on with its own copy of the token, which it reads only when it starts.",
            fails: "Messages go out and none come in; the relay logs 401 or 403.",
            fix: "`sudo docker restart rcfed-relay`.",
            source: "Matrix application service API, `PUT /_matrix/app/v1/transactions/{txnId}`.",
        },
    },
    Check {
        id: "bridge.ping",
        place: Place::Bridge,
        applies: with_homeserver,
        needs: &["bridge.transaction", "relay.transaction", "homeserver.whoami", "gateway.loaded"],
        limit: 12,
        run: |site| Box::pin(async move { vec![told("bridge.ping", ping(&site).await)] }),
        doc: Doc {
            what: "The round trip gateway, homeserver or relay, bridge: `POST /appservice/{id}/ping` as Rocket.Chat does it.",
            why: "Rocket.Chat from 6.12 on federates only after this ping; it also shows whether the homeserver has the right hs_token.",
            fails: "`Federation configuration is invalid`.",
            fix: "`sudo rcfed apply`, then a restart of the side that refuses.",
            source: "Matrix client-server API, `POST /_matrix/client/v1/appservice/{appserviceId}/ping`.",
        },
    },
    Check {
        id: "rocketchat.verdict",
        place: Place::Rocketchat,
        applies: with_homeserver,
        needs: &["bridge.ping", "rocketchat.token"],
        limit: 40,
        run: |site| Box::pin(async move { vec![told("rocketchat.verdict", verdict(&site).await)] }),
        doc: Doc {
            what: "What Rocket.Chat itself says of its federation: its ping, what the federation tester outside says, and the verdict it has stored.",
            why: "With the stored verdict `Invalid` it refuses every federation action, whatever else is right.",
            fails: "`Federation configuration is invalid` in Rocket.Chat.",
            fix: "`sudo rcfed apply` lets it check again and stores the new verdict.",
            source: "Rocket.Chat pull request 32535, server/services/federation.",
        },
    },
];

/// Status and body, or why there is none.
type Answer = Result<(u16, String), String>;

fn told(id: &'static str, result: Result<Finding>) -> Finding {
    result.unwrap_or_else(|error| Finding::unknown(id, "the bridge", error.message()))
}

async fn up(site: &Site) -> Result<Finding> {
    let answer = site.ask(Service::Rocketchat, 3300, "/health").await?;
    Ok(judge_up(answer, &site.machine.config.rocketchat))
}

fn judge_up(answer: Answer, rocketchat: &RocketchatConfig) -> Finding {
    const ID: &str = "bridge.up";
    let seen = match answer {
        Ok((200, _)) => return Finding::ok(ID, "the bridge", "listens"),
        Ok((status, _)) => format!("status {status} to /health on port 3300"),
        Err(error) => error,
    };
    let finding = Finding::fail(ID, "the bridge", "inside Rocket.Chat does not listen").seen(seen);
    let finding = match rocketchat.license_file {
        Some(_) => finding
            .remedy("with a licence that lacks federation Rocket.Chat starts no bridge: see Workspace > Subscription"),
        None => finding,
    };
    restart(finding, rocketchat)
}

fn restart(finding: Finding, rocketchat: &RocketchatConfig) -> Finding {
    super::super::restart(finding, Service::Rocketchat, rocketchat.existing.as_ref())
}

/// Where a homeserver puts its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// In the header only: Synapse from 1.90 on, unless it is told otherwise.
    Header,
    /// In the query too, which every bridge reads.
    Both,
}

/// The form in which this homeserver sends, by its configuration on disk; the relay always sends both.
fn form(site: &Site) -> Result<Form> {
    if site.machine.config.profile == Profile::Dendrite {
        return Ok(Form::Both);
    }
    let path = layout::service(Service::Homeserver).join("homeserver.yaml");
    let text = fs::read_text(&site.machine.path(path))?.unwrap_or_default();
    let config: Value = yaml_serde::from_str(&text).unwrap_or_default();
    Ok(if config["use_appservice_legacy_authorization"] == true { Form::Both } else { Form::Header })
}

async fn put(site: &Site, service: Service, port: u16, form: Form) -> Result<Answer> {
    let machine = &site.machine;
    let Some(base) = machine.url(service, port).await? else { return Ok(Err(GONE.into())) };
    let Some(token) = machine.secrets.get(SecretName::HsToken)? else {
        return Err(no_token());
    };
    // Never the same twice: a bridge acknowledges what it has seen already without looking at the token's form.
    let id = format!("rcfed-doctor-{}-{}", jiff::Timestamp::now().as_nanosecond(), std::process::id());
    let query = if form == Form::Both { format!("?access_token={}", token.expose()) } else { String::new() };
    let url = format!("{base}/_matrix/app/v1/transactions/{id}{query}");
    let sent = machine.host.send(Method::PUT, &url, Some(token.expose()), Some(&json!({ "events": [] }))).await;
    Ok(sent.map_err(|error| error.to_string()))
}

fn no_token() -> Error {
    Error::new("there is no hs_token on disk", "run `sudo rcfed apply`")
}

async fn transaction(site: &Site) -> Result<Finding> {
    let form = form(site)?;
    let answer = put(site, Service::Rocketchat, 3300, form).await?;
    let both = match (form, &answer) {
        // Whether the form is the reason shows at once.
        (Form::Header, Ok((401 | 403, _))) => Some(put(site, Service::Rocketchat, 3300, Form::Both).await?),
        _ => None,
    };
    Ok(judge_transaction(answer, both, &site.machine.config.rocketchat))
}

/// `both` is the answer with the token in both places, where the homeserver sends it in one and was refused.
fn judge_transaction(answer: Answer, both: Option<Answer>, rocketchat: &RocketchatConfig) -> Finding {
    const ID: &str = "bridge.transaction";
    let refused = |said: &str| Finding::fail(ID, "the bridge", said);
    match (answer, both) {
        (Ok((200, _)), _) => Finding::ok(ID, "the bridge", "takes transactions"),
        (Ok((status, body)), Some(Ok((200, _)))) => {
            refused("refuses transactions in the form in which this homeserver sends them")
                .seen(answered(status, &body))
                .seen("with the token in the query too it takes them")
                .remedy("homeserver.yaml needs `use_appservice_legacy_authorization: true`, which rcfed writes")
                .command("sudo rcfed apply")
                .command("sudo docker restart rcfed-homeserver")
        }
        (Ok((status, body)), _) => restart(refused("refuses transactions").seen(answered(status, &body)), rocketchat),
        (Err(error), _) => restart(refused("does not take transactions").seen(error), rocketchat),
    }
}

async fn relay(site: &Site) -> Result<Finding> {
    const ID: &str = "relay.up";
    Ok(match site.ask(Service::Relay, 8080, "/health").await? {
        Ok((200, _)) => Finding::ok(ID, "the relay", "answers"),
        other => site.silent(ID, Service::Relay, other).await?,
    })
}

async fn through_relay(site: &Site) -> Result<Finding> {
    Ok(judge_relay(put(site, Service::Relay, 8080, Form::Header).await?))
}

fn judge_relay(answer: Answer) -> Finding {
    const ID: &str = "relay.transaction";
    let (said, seen) = match answer {
        Ok((200, _)) => return Finding::ok(ID, "the relay", "hands transactions on to the bridge"),
        Ok((status, body)) => ("does not hand transactions on", answered(status, &body)),
        Err(error) => ("does not take transactions", error),
    };
    Finding::fail(ID, "the relay", said).seen(seen).command("sudo docker restart rcfed-relay")
}

async fn ping(site: &Site) -> Result<Finding> {
    let machine = &site.machine;
    // Ping and check came together, with 6.12.
    if machine.config.rocketchat.existing.is_some()
        && matches!(client(site).await?.look_at_federation(None).await, Err(RestError::NoVerification))
    {
        return Ok(judge_ping(None, machine.config.profile));
    }
    let secrets = machine.secrets.get(SecretName::AppserviceId)?.zip(machine.secrets.get(SecretName::AsToken)?);
    let (Some((id, token)), Some(base)) = (secrets, machine.url(Service::Gateway, 8008).await?) else {
        return Ok(Finding::unknown("bridge.ping", "the bridge", super::GATEWAY_GONE));
    };
    let url = format!("{base}/_matrix/client/v1/appservice/{}/ping", id.expose());
    let answer = machine.host.send(Method::POST, &url, Some(token.expose()), Some(&json!({}))).await;
    Ok(judge_ping(Some(answer.map_err(|error| error.to_string())), machine.config.profile))
}

/// No answer is that of a Rocket.Chat without the ping.
fn judge_ping(answer: Option<Answer>, profile: Profile) -> Finding {
    const ID: &str = "bridge.ping";
    let side = if profile == Profile::Dendrite { Service::Relay } else { Service::Homeserver };
    let finding = |said: &str| {
        Finding::fail(ID, "the bridge", said)
            .command("sudo rcfed apply")
            .command(format!("sudo docker restart {}", side.container()))
    };
    match answer {
        None => Finding::ok(ID, "the bridge", "is older than the ping, and Rocket.Chat needs none"),
        Some(Ok((200, _))) => {
            Finding::ok(ID, "the bridge", "answers the ping that Rocket.Chat sends through its homeserver")
        }
        Some(Ok((status, body))) => {
            let said = match serde_json::from_str::<Value>(&body).unwrap_or_default()["errcode"].as_str() {
                Some("M_BAD_STATUS") => {
                    "refuses the ping, so the homeserver works with another hs_token than Rocket.Chat"
                }
                Some("M_FORBIDDEN" | "M_UNKNOWN_TOKEN") => {
                    "cannot be pinged: its homeserver's side has another id or as_token"
                }
                Some("M_CONNECTION_FAILED" | "M_CONNECTION_TIMEOUT") => "is not reached from the homeserver's side",
                _ => "does not answer the ping that Rocket.Chat sends through its homeserver",
            };
            finding(said).seen(answered(status, &body))
        }
        Some(Err(error)) => finding("does not answer the ping").seen(error),
    }
}

async fn verdict(site: &Site) -> Result<Finding> {
    let config = &site.machine.config;
    let verdict = client(site).await?.look_at_federation(config.rocketchat.federation_tester.as_ref()).await;
    if let Ok(Verdict { reached: Some(reached), .. }) = &verdict {
        let _ = site.reached.set(*reached);
    }
    Ok(judge_verdict(verdict, &config.rocketchat, config.names.apex))
}

fn judge_verdict(verdict: Result<Verdict, RestError>, rocketchat: &RocketchatConfig, apex: Apex) -> Finding {
    const ID: &str = "rocketchat.verdict";
    let verdict = match verdict {
        Ok(verdict) => verdict,
        // Older than 6.12, it asks nobody before it federates.
        Err(RestError::NoVerification) if rocketchat.existing.is_some() => {
            return Finding::ok(ID, "Rocket.Chat", "is older than its own check of federation, and needs none");
        }
        Err(error @ RestError::NoVerification) => {
            let said = "has no check of its federation: it is older than 6.12 or newer than 7.10";
            return Finding::fail(ID, "Rocket.Chat", said).remedy(error.hint().unwrap_or_default());
        }
        Err(error) => return Finding::unknown(ID, "Rocket.Chat", Error::from(error).message()),
    };
    let hint = verdict.hint().unwrap_or_default().to_owned();
    let fault = |problem: &Problem| format!("finds fault with its federation: {}", problem.text);
    match (&verdict.ping, &verdict.reachability) {
        (Ok(_), Ok(())) if verdict.valid && rocketchat.certifies_itself() => {
            Finding::info(ID, "Rocket.Chat", "says that it federates, by the word of this server's own relay alone")
        }
        (Ok(_), Ok(())) if verdict.valid => Finding::ok(ID, "Rocket.Chat", "says that it federates"),
        (Ok(_), Ok(())) => Finding::fail(
            ID,
            "Rocket.Chat",
            "finds nothing wrong, but still has an old verdict stored and does not federate",
        )
        .command("sudo rcfed apply"),
        // What the other web site on the federated domain answers is for its owner to change.
        (Ok(_), Err(problem)) if apex == Apex::Elsewhere => {
            Finding::warn(ID, "Rocket.Chat", fault(problem)).remedy(hint)
        }
        (Err(problem), _) | (Ok(_), Err(problem)) => Finding::fail(ID, "Rocket.Chat", fault(problem)).remedy(hint),
    }
}

#[cfg(test)]
#[path = "bridge_tests.rs"]
mod tests;
