//! The homeserver: up, itself, and aware of the bridge.

use serde_json::Value;

use super::super::check::{Check, Doc, Place, with_homeserver};
use super::super::{Site, answered};
use super::containers::container;
use crate::config::{Profile, Service};
use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::host::fs;
use crate::layout;
use crate::matrix::signing_key::SigningKey;
use crate::secrets::SecretName;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "tokens.registration",
        place: Place::Homeserver,
        applies: with_homeserver,
        needs: &["files.secrets"],
        limit: 5,
        run: |site| {
            Box::pin(async move { registration(&site).unwrap_or_else(|error| unknown("tokens.registration", &error)) })
        },
        doc: Doc {
            what: "The id, both tokens and the address in the homeserver's registration file, and those of the relay, against rcfed's secrets.",
            why: "Homeserver, relay and Rocket.Chat must have the same id and tokens, or each refuses the other.",
            fails: "`M_UNKNOWN_TOKEN` or `M_FORBIDDEN`; messages go out and none come in, or the other way round.",
            fix: "`sudo rcfed apply` writes the file again; a restart makes its server read it.",
            source: "Matrix application service API, registration.",
        },
    },
    Check {
        id: "container.homeserver",
        place: Place::Homeserver,
        applies: with_homeserver,
        needs: &["docker.engine", "docker.network", "docker.volumes", "postgres.login"],
        limit: 8,
        run: |site| Box::pin(container(site, "container.homeserver", Service::Homeserver)),
        doc: Doc {
            what: "The homeserver's container: whether it runs, how often it was restarted, whether it is on the network and as the configuration says.",
            why: "Other servers talk to it; without it nothing federates.",
            fails: "Others see 502 from the gateway.",
            fix: "`sudo rcfed apply` starts it; its last lines say why it ended.",
            source: "Docker Engine API, container inspect.",
        },
    },
    Check {
        id: "homeserver.up",
        place: Place::Homeserver,
        applies: with_homeserver,
        needs: &["container.homeserver"],
        limit: 8,
        run: |site| Box::pin(async move { vec![told("homeserver.up", up(&site).await)] }),
        doc: Doc {
            what: "Whether the homeserver answers `GET /_matrix/client/versions` on the containers' network, and what its own health address says.",
            why: "A container that runs need not answer.",
            fails: "Requests through the gateway time out or end with 502.",
            fix: "`sudo docker restart rcfed-homeserver`; if it does not help, `sudo rcfed logs homeserver`.",
            source: "Matrix client-server API, versions.",
        },
    },
    Check {
        id: "homeserver.key",
        place: Place::Homeserver,
        applies: with_homeserver,
        needs: &["homeserver.up", "files.secrets"],
        limit: 8,
        run: |site| Box::pin(async move { vec![told("homeserver.key", key(&site).await)] }),
        doc: Doc {
            what: "Whether the homeserver publishes the signing key that rcfed keeps, under its own name, and for how long.",
            why: "Other servers remember which key a server has: with another one under the same name they refuse its signatures.",
            fails: "`Invalid signature` on other servers, for as long as they remember the old key.",
            fix: "`sudo rcfed apply` writes the key file again, `sudo docker restart rcfed-homeserver` lets it be read.",
            source: "Matrix server-server API, `GET /_matrix/key/v2/server`.",
        },
    },
    Check {
        id: "homeserver.whoami",
        place: Place::Homeserver,
        applies: with_homeserver,
        needs: &["homeserver.up", "tokens.registration"],
        limit: 8,
        run: |site| Box::pin(async move { vec![told("homeserver.whoami", whoami(&site).await)] }),
        doc: Doc {
            what: "Whether the homeserver knows the bridge by its as_token: `GET /account/whoami`.",
            why: "It reads its registration file only when it starts; the file may be right and the homeserver may still have an older one.",
            fails: "`M_UNKNOWN_TOKEN`; Rocket.Chat can neither register users nor send.",
            fix: "`sudo docker restart rcfed-homeserver`.",
            source: "Matrix client-server API, `GET /_matrix/client/v3/account/whoami`.",
        },
    },
];

/// Status and body, or why there is none.
type Answer = Result<(u16, String), String>;

const RESTART: &str = "sudo docker restart rcfed-homeserver";

fn told(id: &'static str, result: Result<Finding>) -> Finding {
    result.unwrap_or_else(|error| Finding::unknown(id, "homeserver", error.message()))
}

fn unknown(id: &'static str, error: &Error) -> Vec<Finding> {
    vec![Finding::unknown(id, "homeserver", error.message())]
}

fn registration(site: &Site) -> Result<Vec<Finding>> {
    let machine = &site.machine;
    let mut findings = Vec::new();
    let files = machine
        .topology
        .files
        .iter()
        .filter(|file| file.path.ends_with("registration.yaml") || file.path.ends_with("relay.toml"));
    for file in files {
        let subject = file.path.display().to_string();
        let there = fs::read_text(&machine.path(&file.path))?;
        let wanted = crate::step::file::resolved(machine, file)?;
        findings.push(judge_registration(&subject, file.service, there.as_deref(), wanted.expose()));
    }
    Ok(findings)
}

fn judge_registration(path: &str, service: Service, there: Option<&str>, wanted: &str) -> Finding {
    const ID: &str = "tokens.registration";
    let fail = |said: &str| {
        Finding::fail(ID, path, said)
            .command("sudo rcfed apply")
            .command(format!("sudo docker restart {}", service.container()))
    };
    let Some(there) = there else { return fail("is missing") };
    let (Some(there), Some(wanted)) = (fields(path, there), fields(path, wanted)) else {
        return fail("cannot be read as what it is");
    };
    // Values may be secret: only their names are told.
    let different: Vec<&str> =
        ["id", "appservice_id", "as_token", "hs_token", "url", "bridge_url", "homeserver_url", "sender_localpart"]
            .into_iter()
            .filter(|name| there.get(*name) != wanted.get(*name))
            .collect();
    match different.as_slice() {
        [] => Finding::ok(ID, path, "has the id and the tokens of this deployment"),
        _ => fail(&format!("does not have the {} of this deployment", different.join(", "))),
    }
}

fn fields(path: &str, text: &str) -> Option<Value> {
    let value = if path.ends_with(".toml") { toml::from_str(text).ok()? } else { yaml_serde::from_str(text).ok()? };
    Some(value).filter(Value::is_object)
}

async fn up(site: &Site) -> Result<Finding> {
    const ID: &str = "homeserver.up";
    let answer = site.ask(Service::Homeserver, 8008, "/_matrix/client/versions").await?;
    let health = match site.machine.config.profile {
        Profile::Dendrite => "/_dendrite/monitor/health",
        _ => "/health",
    };
    let own = site.ask(Service::Homeserver, 8008, health).await?;
    Ok(match answer {
        Ok((200, _)) => judge_health(health, own),
        other => site.silent(ID, Service::Homeserver, other).await?,
    })
}

/// By its answer at its own health address, which nobody else needs.
fn judge_health(path: &str, own: Answer) -> Finding {
    match own {
        Ok((status @ 500.., body)) => {
            Finding::fail("homeserver.up", "homeserver", "answers, but says itself that it is not well")
                .seen(format!("{path}: {}", answered(status, &body)))
                .command(RESTART)
        }
        _ => Finding::ok("homeserver.up", "homeserver", "answers"),
    }
}

async fn key(site: &Site) -> Result<Finding> {
    const ID: &str = "homeserver.key";
    let machine = &site.machine;
    let name = machine.config.names.federated.as_str();
    let secrets = machine.secrets.get(SecretName::SigningKey)?.zip(machine.secrets.get(SecretName::SigningKeyId)?);
    let Some((seed, id)) = secrets else { return Ok(Finding::unknown(ID, name, NO_KEY)) };
    let key = SigningKey::from_secrets(seed, id)?;
    let answer = site.ask(Service::Homeserver, 8008, "/_matrix/key/v2/server").await?;
    let body: Value = match answer {
        Ok((200, body)) => serde_json::from_str(&body).unwrap_or_default(),
        other => return site.silent(ID, Service::Homeserver, other).await,
    };
    Ok(judge_keys(name, &key.key_id(), &key.public_key()?, &body, jiff::Timestamp::now()))
}

const NO_KEY: &str = "there is no signing key on disk";

/// What the homeserver publishes, against the key that is kept.
fn judge_keys(name: &str, id: &str, public: &str, body: &Value, now: jiff::Timestamp) -> Finding {
    let fail = |said: &str| Finding::fail("homeserver.key", name, said);
    let restart = |finding: Finding| {
        finding
            .command("sudo rcfed apply")
            .command(RESTART)
            .cached("other servers may believe the key they saw until its `valid_until_ts`, at most seven days")
    };
    if body["server_name"] != name {
        return restart(fail(&format!("calls itself {}", body["server_name"])));
    }
    if body["verify_keys"][id]["key"].as_str().unwrap_or_default() != public {
        let seen = body["verify_keys"].as_object().map(|keys| keys.keys().cloned().collect::<Vec<_>>().join(", "));
        return restart(
            fail("signs with another key than the one kept on this machine")
                .seen(format!("kept: {id}; published: {}", seen.unwrap_or_default())),
        );
    }
    let until = body["valid_until_ts"].as_i64().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    if until.is_none_or(|until| until <= now) {
        return fail("publishes a key that has expired already")
            .remedy("set the clock right: sudo timedatectl set-ntp true")
            .command(RESTART);
    }
    Finding::ok("homeserver.key", name, format!("publishes its key {id}"))
}

async fn whoami(site: &Site) -> Result<Finding> {
    let machine = &site.machine;
    let wanted = format!("@rocket.cat:{}", machine.config.names.federated);
    let Some(base) = machine.url(Service::Homeserver, 8008).await? else {
        return Ok(Finding::unknown("homeserver.whoami", "homeserver", "does not run any more"));
    };
    let token = machine.secrets.get(SecretName::AsToken)?;
    let url = format!("{base}/_matrix/client/v3/account/whoami");
    let answer = machine.host.get_as(&url, token.as_ref().map(|token| token.expose())).await;
    Ok(judge_whoami(&wanted, answer.map_err(|error| error.to_string())))
}

fn judge_whoami(wanted: &str, answer: Answer) -> Finding {
    const ID: &str = "homeserver.whoami";
    let fail = |said: &str| Finding::fail(ID, "homeserver", said).command(RESTART);
    match answer {
        Ok((200, body)) if serde_json::from_str::<Value>(&body).is_ok_and(|body| body["user_id"] == wanted) => {
            Finding::ok(ID, "homeserver", format!("knows the bridge as {wanted}"))
        }
        Ok((status, body)) if !matches!(status, 200 | 401 | 403) => {
            fail("answers with an error when it is asked who the bridge is").seen(answered(status, &body))
        }
        Ok((status, body)) => {
            fail("does not know the bridge by its token").seen(answered(status, &body)).seen(format!(
                "{} is right, so the homeserver still works with an older one",
                layout::service(Service::Homeserver).join("registration.yaml").display()
            ))
        }
        Err(error) => fail("does not answer").seen(error),
    }
}

#[cfg(test)]
#[path = "homeserver_tests.rs"]
mod tests;
