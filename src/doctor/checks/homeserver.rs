//! The homeserver: up, itself, and aware of the bridge.

use serde_json::Value;

use super::super::Site;
use super::super::check::{Check, Doc, Place, with_homeserver};
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

fn told(id: &'static str, result: Result<Finding>) -> Finding {
    result.unwrap_or_else(|error| Finding::unknown(id, "homeserver", error.message()))
}

fn unknown(id: &'static str, error: &Error) -> Vec<Finding> {
    vec![Finding::unknown(id, "homeserver", error.message())]
}

fn registration(site: &Site) -> Result<Vec<Finding>> {
    const ID: &str = "tokens.registration";
    let machine = &site.machine;
    let mut findings = Vec::new();
    let files = machine
        .topology
        .files
        .iter()
        .filter(|file| file.path.ends_with("registration.yaml") || file.path.ends_with("relay.toml"));
    for file in files {
        let subject = file.path.display().to_string();
        let repair = |finding: Finding| {
            finding.command("sudo rcfed apply").command(format!("sudo docker restart {}", file.service.container()))
        };
        let Some(there) = fs::read_text(&machine.path(&file.path))? else {
            findings.push(repair(Finding::fail(ID, subject, "is missing")));
            continue;
        };
        let wanted = crate::step::file::resolved(machine, file)?;
        let (Some(there), Some(wanted)) = (fields(&subject, &there), fields(&subject, wanted.expose())) else {
            findings.push(repair(Finding::fail(ID, subject, "cannot be read as what it is")));
            continue;
        };
        // Values may be secret: only their names are told.
        let different: Vec<&str> =
            ["id", "appservice_id", "as_token", "hs_token", "url", "bridge_url", "homeserver_url", "sender_localpart"]
                .into_iter()
                .filter(|name| there.get(*name) != wanted.get(*name))
                .collect();
        findings.push(if different.is_empty() {
            Finding::ok(ID, subject, "has the id and the tokens of this deployment")
        } else {
            repair(Finding::fail(ID, subject, format!("has not the {} of this deployment", different.join(", "))))
        });
    }
    Ok(findings)
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
    if let (Ok((200, _)), Ok((status @ 500.., body))) = (&answer, site.ask(Service::Homeserver, 8008, health).await?) {
        let seen = format!("status {status} to {health}: {}", body.chars().take(160).collect::<String>());
        return Ok(Finding::fail(ID, "homeserver", "answers, but says itself that it is not well")
            .seen(seen)
            .command("sudo docker restart rcfed-homeserver"));
    }
    Ok(match answer {
        Ok((200, _)) => Finding::ok(ID, "homeserver", "answers"),
        other => site.silent(ID, Service::Homeserver, other).await?,
    })
}

async fn key(site: &Site) -> Result<Finding> {
    const ID: &str = "homeserver.key";
    let machine = &site.machine;
    let name = machine.config.names.federated.as_str();
    let secrets = machine.secrets.get(SecretName::SigningKey)?.zip(machine.secrets.get(SecretName::SigningKeyId)?);
    let Some((seed, id)) = secrets else { return Ok(Finding::unknown(ID, name, "there is no signing key on disk")) };
    let key = SigningKey::from_secrets(seed, id)?;
    let answer = site.ask(Service::Homeserver, 8008, "/_matrix/key/v2/server").await?;
    let body: Value = match answer {
        Ok((200, body)) => serde_json::from_str(&body).unwrap_or_default(),
        other => return site.silent(ID, Service::Homeserver, other).await,
    };
    let restart = |finding: Finding| {
        finding
            .command("sudo rcfed apply")
            .command("sudo docker restart rcfed-homeserver")
            .cached("other servers may believe the key they saw until its `valid_until_ts`, at most seven days")
    };
    if body["server_name"] != name {
        return Ok(restart(Finding::fail(ID, name, format!("calls itself {}", body["server_name"]))));
    }
    let served = body["verify_keys"][&key.key_id()]["key"].as_str().unwrap_or_default();
    if served != key.public_key()? {
        let seen = body["verify_keys"].as_object().map(|keys| keys.keys().cloned().collect::<Vec<_>>().join(", "));
        return Ok(restart(
            Finding::fail(ID, name, "signs with another key than the one kept on this machine").seen(format!(
                "kept: {}; published: {}",
                key.key_id(),
                seen.unwrap_or_default()
            )),
        ));
    }
    let until = body["valid_until_ts"].as_i64().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    if until.is_none_or(|until| until <= jiff::Timestamp::now()) {
        let finding = Finding::fail(ID, name, "publishes a key that has expired already");
        return Ok(finding
            .remedy("set the clock right: sudo timedatectl set-ntp true")
            .command("sudo docker restart rcfed-homeserver"));
    }
    Ok(Finding::ok(ID, name, format!("publishes its key {}", key.key_id())))
}

async fn whoami(site: &Site) -> Result<Finding> {
    const ID: &str = "homeserver.whoami";
    let machine = &site.machine;
    let wanted = format!("@rocket.cat:{}", machine.config.names.federated);
    let Some(base) = machine.url(Service::Homeserver, 8008).await? else {
        return Ok(Finding::unknown(ID, "homeserver", "does not run any more"));
    };
    let token = machine.secrets.get(SecretName::AsToken)?;
    let url = format!("{base}/_matrix/client/v3/account/whoami");
    Ok(match machine.host.get_as(&url, token.as_ref().map(|token| token.expose())).await {
        Ok((200, body))
            if serde_json::from_str::<Value>(&body).is_ok_and(|body| body["user_id"] == wanted.as_str()) =>
        {
            Finding::ok(ID, "homeserver", format!("knows the bridge as {wanted}"))
        }
        Ok((status, body)) if !matches!(status, 200 | 401 | 403) => {
            Finding::fail(ID, "homeserver", "answers with an error when it is asked who the bridge is")
                .seen(format!("status {status}: {}", body.chars().take(160).collect::<String>()))
                .command("sudo docker restart rcfed-homeserver")
        }
        Ok((status, body)) => Finding::fail(ID, "homeserver", "does not know the bridge by its token")
            .seen(format!("status {status}: {}", body.chars().take(160).collect::<String>()))
            .seen(format!(
                "{} is right, so the homeserver still works with an older one",
                layout::service(Service::Homeserver).join("registration.yaml").display()
            ))
            .command("sudo docker restart rcfed-homeserver"),
        Err(error) => Finding::fail(ID, "homeserver", "does not answer")
            .seen(error.to_string())
            .command("sudo docker restart rcfed-homeserver"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_registration_are_read() {
        assert_eq!(fields("x/registration.yaml", "id: \"a\"\nhs_token: 'b'\n").unwrap()["hs_token"], "b");
        assert_eq!(fields("x/relay.toml", "hs_token = \"b\"").unwrap()["hs_token"], "b");
        assert_eq!(fields("x/registration.yaml", "just words"), None);
        assert_eq!(fields("x/relay.toml", "hs_token ="), None);
    }
}
