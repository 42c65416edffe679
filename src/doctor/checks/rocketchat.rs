//! Rocket.Chat: up, with the settings it was given, and allowed to send.

use super::super::Site;
use super::super::check::{Check, Doc, Place, always, native as federates_itself, with_rocketchat_here};
use super::containers::container;
use crate::config::{Existing, Service};
use crate::error::{Error, Explain, Result};
use crate::finding::Finding;
use crate::rocketchat::{Client, Mismatch, RestError};
use crate::step::account;
use crate::step::federation::native::NoFederation;
use crate::step::federation::{expected, native};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "container.rocketchat",
        place: Place::Rocketchat,
        applies: with_rocketchat_here,
        needs: &["docker.engine", "docker.network", "docker.volumes", "mongodb.login"],
        limit: 8,
        run: |site| Box::pin(container(site, "container.rocketchat", Service::Rocketchat)),
        doc: Doc {
            what: "Rocket.Chat's container: whether it runs, how often it was restarted, whether it is on the network and as the configuration says.",
            why: "It is what people use, and the bridge is inside it.",
            fails: "Browsers see 502.",
            fix: "`sudo rcfed apply` starts it; its last lines say why it ended.",
            source: "Docker Engine API, container inspect.",
        },
    },
    Check {
        id: "rocketchat.up",
        place: Place::Rocketchat,
        applies: always,
        needs: &["container.rocketchat"],
        limit: 8,
        run: |site| Box::pin(async move { vec![told("rocketchat.up", up(&site).await)] }),
        doc: Doc {
            what: "Whether Rocket.Chat answers `GET /api/info`.",
            why: "It takes minutes to start on a small machine, and a container that runs need not answer.",
            fails: "Browsers see 502.",
            fix: "Wait five minutes after a start; then `sudo docker restart rcfed-rocketchat`, and `sudo rcfed logs rocketchat`.",
            source: "Rocket.Chat REST API.",
        },
    },
    Check {
        id: "rocketchat.token",
        place: Place::Rocketchat,
        applies: always,
        needs: &["rocketchat.up", "files.secrets"],
        limit: 8,
        run: |site| Box::pin(async move { vec![told("rocketchat.token", token(&site).await)] }),
        doc: Doc {
            what: "Whether Rocket.Chat still takes the access token that rcfed keeps.",
            why: "rcfed reads settings and Rocket.Chat's own verdict with it.",
            fails: "rcfed cannot look into Rocket.Chat; people notice nothing.",
            fix: "`sudo rcfed apply` takes a new one; if the administrator's password was changed, it says how to tell rcfed the new one.",
            source: "Rocket.Chat REST API, personal access tokens.",
        },
    },
    Check {
        id: "rocketchat.license",
        place: Place::Rocketchat,
        applies: federates_itself,
        needs: &["rocketchat.token"],
        limit: 8,
        run: |site| Box::pin(async move { vec![told("rocketchat.license", license(&site).await)] }),
        doc: Doc {
            what: "Whether the licence in use grants federation, as Rocket.Chat itself says.",
            why: "A licence ends, is replaced, or is for another address; Rocket.Chat then stops to federate and says so nowhere.",
            fails: "Other servers get `Federation is not enabled`; nobody elsewhere can be found.",
            fix: "Put a licence with the federation add-on into the file that is named, and run `sudo rcfed apply`.",
            source: "Rocket.Chat, ee/server/api/licenses.ts and ee/server/startup/federation.ts.",
        },
    },
    Check {
        id: "rocketchat.settings",
        place: Place::Rocketchat,
        applies: always,
        needs: &["rocketchat.token", "rocketchat.license"],
        limit: 12,
        run: |site| Box::pin(async move { vec![told("rocketchat.settings", settings(&site).await)] }),
        doc: Doc {
            what: "Every federation setting as Rocket.Chat has it now, tokens included, against what it was given.",
            why: "A setting put into the environment is ignored in silence if it is unknown, and an administrator can change it until the next start.",
            fails: "Tokens differ on the two sides: `M_UNKNOWN_TOKEN`; or federation is off, or goes by another name.",
            fix: "`sudo docker restart rcfed-rocketchat` forces them again.",
            source: "Rocket.Chat, overwriteSetting.ts and server/services/federation.",
        },
    },
    Check {
        id: "rocketchat.keys",
        place: Place::Rocketchat,
        applies: federates_itself,
        needs: &["rocketchat.license", "rocketchat.settings", "gateway.loaded"],
        limit: 8,
        run: |site| Box::pin(async move { vec![told("rocketchat.keys", keys(&site).await)] }),
        doc: Doc {
            what: "Whether Rocket.Chat that federates by itself answers with signed keys of the federated domain, through the gateway.",
            why: "Others check everything it sends with these keys. With settings it does not like, the service inside it does not start.",
            fails: "Other servers say that keys could not be found; invites fail in both directions.",
            fix: "`sudo docker restart rcfed-rocketchat`; `sudo rcfed logs rocketchat` says why the service did not start.",
            source: "Rocket.Chat, ee/packages/federation-matrix/src/setup.ts.",
        },
    },
    Check {
        id: "rocketchat.send",
        place: Place::Rocketchat,
        applies: always,
        needs: &["rocketchat.token"],
        limit: 12,
        run: |site| Box::pin(async move { vec![told("rocketchat.send", send(&site).await)] }),
        doc: Doc {
            what: "Whether a message can be sent: one is sent to the administrator's conversation with itself, and deleted.",
            why: "A workspace from 7.0 on that is neither registered nor licensed becomes read-only, with every container green.",
            fails: "People can read and not write (`restricted-workspace`).",
            fix: "Register the workspace: put the token from cloud.rocket.chat into a file, name it as `registration_token_file`, run `sudo rcfed apply`.",
            source: "Rocket.Chat pull requests 33241 and 33382.",
        },
    },
];

fn told(id: &'static str, result: Result<Finding>) -> Finding {
    result.unwrap_or_else(|error| Finding::unknown(id, "Rocket.Chat", error.message()))
}

async fn up(site: &Site) -> Result<Finding> {
    const ID: &str = "rocketchat.up";
    if let Some(Existing::Elsewhere { url, .. }) = &site.machine.config.rocketchat.existing {
        return Ok(match account::client(&site.machine).await?.info().await {
            Ok(_) => Finding::ok(ID, "Rocket.Chat", "answers"),
            Err(error) => elsewhere(ID, url, error),
        });
    }
    Ok(match site.ask(Service::Rocketchat, 3000, "/api/info").await? {
        Ok((200, _)) => Finding::ok(ID, "Rocket.Chat", "answers"),
        other => site.silent(ID, Service::Rocketchat, other).await?,
    })
}

/// One on another machine, which only its owner can look after.
fn elsewhere(id: &'static str, url: &str, error: RestError) -> Finding {
    if let RestError::Certificate { .. } = error {
        let hint = error.hint().unwrap_or_default();
        let fail = Finding::fail(id, "Rocket.Chat", "shows a certificate that is not accepted");
        return fail.seen(error.to_string()).remedy(hint);
    }
    Finding::fail(id, "Rocket.Chat", "does not answer")
        .seen(Error::from(error).message())
        .remedy(format!("see that it runs where it is, and that {url} can be reached from here"))
}

async fn token(site: &Site) -> Result<Finding> {
    Ok(judge_token(match account::with_token(&site.machine).await? {
        Some(client) => Some(client.token_valid().await?),
        None => None,
    }))
}

/// Whether the token is taken; none if there is none.
fn judge_token(taken: Option<bool>) -> Finding {
    const ID: &str = "rocketchat.token";
    let fail = |said: &str| {
        Finding::fail(ID, "Rocket.Chat", said)
            .remedy("`sudo rcfed apply` takes a new one; if the administrator's password was changed, it says how to tell rcfed")
            .command("sudo rcfed apply")
    };
    match taken {
        None => fail("has given rcfed no access token"),
        Some(true) => Finding::ok(ID, "Rocket.Chat", "takes rcfed's access token"),
        Some(false) => fail("does not take rcfed's access token any more"),
    }
}

async fn license(site: &Site) -> Result<Finding> {
    let lacking = NoFederation::find(&site.machine, &client(site).await?).await?;
    Ok(judge_license(lacking.map(|error| (error.to_string(), error.hint()))))
}

/// What it lacks, and what to do.
fn judge_license(lacking: Option<(String, Option<String>)>) -> Finding {
    const ID: &str = "rocketchat.license";
    match lacking {
        None => Finding::ok(ID, "Rocket.Chat", "has a licence with federation"),
        Some((seen, hint)) => {
            let finding = Finding::fail(ID, "Rocket.Chat", "has no licence with federation").seen(seen);
            hint.into_iter().fold(finding, Finding::remedy).command("sudo rcfed apply")
        }
    }
}

async fn keys(site: &Site) -> Result<Finding> {
    Ok(judge_keys(site.machine.config.names.federated.as_str(), native::keys(&site.machine).await?))
}

fn judge_keys(name: &str, answer: Result<(), String>) -> Finding {
    const ID: &str = "rocketchat.keys";
    match answer {
        Ok(()) => Finding::ok(ID, "Rocket.Chat", format!("answers other servers as {name}")),
        Err(why) => Finding::fail(ID, "Rocket.Chat", format!("does not answer other servers as {name}"))
            .seen(why)
            .command("sudo docker restart rcfed-rocketchat")
            .command("sudo rcfed apply"),
    }
}

async fn settings(site: &Site) -> Result<Finding> {
    let mismatches = client(site).await?.read_back(&expected(&site.machine)?).await?;
    Ok(judge_settings(&mismatches, site.machine.config.rocketchat.existing.is_some()))
}

fn judge_settings(mismatches: &[Mismatch], existing: bool) -> Finding {
    const ID: &str = "rocketchat.settings";
    if mismatches.is_empty() {
        return Finding::ok(ID, "Rocket.Chat", "has every federation setting it was given");
    }
    let finding = Finding::fail(ID, "Rocket.Chat", "does not have the federation settings it was given");
    let finding = if existing { finding } else { finding.command("sudo docker restart rcfed-rocketchat") };
    let finding = finding.command("sudo rcfed apply");
    mismatches.iter().fold(finding, |finding, mismatch| finding.seen(mismatch.to_string()))
}

async fn send(site: &Site) -> Result<Finding> {
    let username = site.machine.config.admin.username.as_str();
    Ok(judge_send(client(site).await?.send_and_delete(username).await))
}

fn judge_send(sent: Result<(), RestError>) -> Finding {
    const ID: &str = "rocketchat.send";
    match sent {
        Ok(()) => Finding::ok(ID, "Rocket.Chat", "lets messages be sent"),
        Err(error @ RestError::Restricted) => {
            let finding = Finding::fail(ID, "Rocket.Chat", "is read-only, because the workspace is not registered");
            finding.remedy(error.hint().unwrap_or_default())
        }
        Err(error @ RestError::RateLimited { .. }) => Finding::unknown(ID, "Rocket.Chat", error.to_string()),
        Err(error) => {
            let finding = Finding::fail(ID, "Rocket.Chat", "refused a message").seen(Error::from(error).message());
            finding.remedy("`sudo rcfed logs rocketchat` says more")
        }
    }
}

/// A client with rcfed's token.
pub(super) async fn client(site: &Site) -> Result<Client> {
    let client = account::with_token(&site.machine).await?;
    client.ok_or_else(gone)
}

fn gone() -> Error {
    Error::new("Rocket.Chat does not run any more", "run `sudo rcfed apply`")
}

#[cfg(test)]
#[path = "rocketchat_tests.rs"]
mod tests;
