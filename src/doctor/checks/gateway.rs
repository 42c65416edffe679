//! The gateway: nginx takes its files, works with them, and reaches what stands behind it.

use std::time::Duration;

use super::super::Site;
use super::super::check::{Check, Doc, Place, always, with_homeserver, with_tls_gateway};
use super::containers::container;
use crate::config::Service;
use crate::error::Result;
use crate::finding::Finding;
use crate::host::docker::RunState;
use crate::host::tls;
use crate::layout;
use crate::step::reload::{self, Part};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "gateway.config",
        place: Place::Proxy,
        applies: always,
        needs: &["docker.engine"],
        limit: 10,
        run: |site| Box::pin(async move { vec![told("gateway.config", config(&site).await)] }),
        doc: Doc {
            what: "Whether nginx accepts the gateway's files as they are on disk: `nginx -t`.",
            why: "A file that was edited by hand is read at the next reload or restart, and a mistake in it keeps the gateway from starting.",
            fails: "A reload changes nothing; after a restart ports 80 and 443 are closed.",
            fix: "`sudo rcfed apply` writes the files again, each tried before it replaces the old one.",
            source: "The manual of nginx, nginx(8).",
        },
    },
    Check {
        id: "container.gateway",
        place: Place::Proxy,
        applies: always,
        needs: &["docker.engine", "docker.network", "machine.ports", "gateway.config"],
        limit: 8,
        run: |site| Box::pin(container(site, "container.gateway", Service::Gateway)),
        doc: Doc {
            what: "The gateway's container: whether it runs, how often it was restarted, whether it is on the network and as the configuration says.",
            why: "It is the only one that is published: without it nobody reaches anything.",
            fails: "Connections to ports 80 and 443 are refused.",
            fix: "`sudo rcfed apply` starts it; its last lines say why it ended.",
            source: "Docker Engine API, container inspect.",
        },
    },
    Check {
        id: "gateway.loaded",
        place: Place::Proxy,
        applies: always,
        needs: &["container.gateway"],
        limit: 8,
        run: |site| Box::pin(async move { vec![told("gateway.loaded", loaded(&site).await)] }),
        doc: Doc {
            what: "Which configuration nginx works with: each half tells its own digest on a port that is not published.",
            why: "A reload that was refused leaves the old configuration at work, without a word.",
            fails: "A change has no effect; port 443 is closed although everything runs.",
            fix: "`sudo rcfed apply` reloads it and waits until the new digest is seen.",
            source: "rcfed's own layout.",
        },
    },
];

pub(super) const ROUTES: &[Check] = &[
    Check {
        id: "gateway.matrix",
        place: Place::Proxy,
        applies: with_homeserver,
        needs: &["gateway.loaded", "homeserver.up"],
        limit: 8,
        run: |site| Box::pin(async move { vec![told("gateway.matrix", matrix(&site).await)] }),
        doc: Doc {
            what: "Whether Rocket.Chat's way to the homeserver, `http://gateway:8008`, leads there.",
            why: "Rocket.Chat talks to its homeserver through the gateway, which shows it the relay's routes too.",
            fails: "Rocket.Chat cannot send to other servers; its own check says the homeserver does not answer.",
            fix: "`sudo docker restart rcfed-gateway`.",
            source: "rcfed's own layout.",
        },
    },
    Check {
        id: "gateway.federation",
        place: Place::Proxy,
        applies: |config| with_homeserver(config) && with_tls_gateway(config),
        needs: &["gateway.loaded", "certificate.served", "homeserver.up"],
        limit: 8,
        run: |site| {
            Box::pin(async move {
                let name = site.machine.config.names.matrix.to_string();
                vec![told(
                    "gateway.federation",
                    route(&site, "gateway.federation", &name, "/_matrix/federation/v1/version", "\"server\"").await,
                )]
            })
        },
        doc: Doc {
            what: "Whether the federation API of the homeserver is reached through port 443 of the gateway.",
            why: "This is the way every other server comes.",
            fails: "Other servers see 404 or 502.",
            fix: "`sudo rcfed apply`, then `sudo docker restart rcfed-gateway`.",
            source: "Matrix server-server API, `GET /_matrix/federation/v1/version`.",
        },
    },
    Check {
        id: "gateway.chat",
        place: Place::Proxy,
        applies: |config| with_tls_gateway(config) && !config.names.chat_elsewhere,
        needs: &["gateway.loaded", "certificate.served", "rocketchat.up"],
        limit: 8,
        run: |site| {
            Box::pin(async move {
                let name = site.machine.config.names.chat.to_string();
                vec![told("gateway.chat", route(&site, "gateway.chat", &name, "/api/info", "version").await)]
            })
        },
        doc: Doc {
            what: "Whether Rocket.Chat is reached through port 443 of the gateway.",
            why: "This is the way people come.",
            fails: "Browsers see 404 or 502.",
            fix: "`sudo rcfed apply`, then `sudo docker restart rcfed-gateway`.",
            source: "Rocket.Chat REST API, `GET /api/info`.",
        },
    },
];

fn told(id: &'static str, result: Result<Finding>) -> Finding {
    result.unwrap_or_else(|error| Finding::unknown(id, "gateway", error.message()))
}

async fn config(site: &Site) -> Result<Finding> {
    let machine = &site.machine;
    let test = ["nginx", "-t", "-q", "-c", "/run/rcfed/nginx.conf"];
    let running = machine.observe(Service::Gateway).await?.is_some_and(|c| c.state == RunState::Running);
    let output = if running {
        machine.docker.exec(&Service::Gateway.container(), &test, Duration::from_secs(8)).await?
    } else {
        let Some(image) = machine.image(Service::Gateway).await? else {
            return Ok(judge_config(None));
        };
        let mounts = [
            (layout::service(Service::Gateway), layout::MOUNT),
            (layout::CHALLENGES.into(), "/run/rcfed-challenges"),
            (layout::CERTIFICATE.into(), "/run/rcfed-certificate"),
        ];
        let mounts = mounts.map(|(path, target)| (machine.path(path).to_string_lossy().into_owned(), target));
        machine.docker.run_once("rcfed-doctor", &image.id, &test, &mounts).await?
    };
    Ok(judge_config(Some((output.code, &output.stderr))))
}

/// By the exit code and the words of `nginx -t`; none if it could not be run.
fn judge_config(tried: Option<(i64, &str)>) -> Finding {
    const ID: &str = "gateway.config";
    match tried {
        None => Finding::unknown(ID, "gateway", "there is no image to try its files with"),
        Some((0, _)) => Finding::ok(ID, "gateway", "has files that nginx accepts"),
        Some((_, said)) => {
            let finding = Finding::fail(ID, "gateway", "has files on disk that nginx does not accept")
                .command("sudo rcfed apply");
            let lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
            lines.take(4).fold(finding, Finding::seen)
        }
    }
}

async fn loaded(site: &Site) -> Result<Finding> {
    let machine = &site.machine;
    let both = [Part::Http, Part::Https];
    let loaded = [reload::loaded(machine, both[0]).await?, reload::loaded(machine, both[1]).await?];
    Ok(judge_loaded(loaded.each_ref().map(Option::is_some), loaded == both.map(|part| reload::wanted(machine, part))))
}

/// Which halves answer, the one without TLS first, and whether both work with what is wanted.
fn judge_loaded(answers: [bool; 2], wanted: bool) -> Finding {
    const ID: &str = "gateway.loaded";
    match (answers, wanted) {
        ([false, _], _) => {
            Finding::fail(ID, "gateway", "runs, but does not answer").command("sudo docker restart rcfed-gateway")
        }
        ([_, false], _) => Finding::fail(ID, "gateway", "works without the half that answers people and servers")
            .command("sudo rcfed apply"),
        (_, true) => Finding::ok(ID, "gateway", "works with the configuration on disk"),
        (_, false) => Finding::warn(ID, "gateway", "works with another configuration than the present one")
            .command("sudo rcfed apply"),
    }
}

async fn matrix(site: &Site) -> Result<Finding> {
    Ok(judge_matrix(site.ask(Service::Gateway, 8008, "/_matrix/client/versions").await?))
}

fn judge_matrix(answer: Result<(u16, String), String>) -> Finding {
    const ID: &str = "gateway.matrix";
    const HERE: &str = "http://gateway:8008";
    let seen = match answer {
        Ok((200, _)) => return Finding::ok(ID, HERE, "leads to the homeserver"),
        Ok((status, _)) => format!("status {status} to /_matrix/client/versions"),
        Err(error) => error,
    };
    Finding::fail(ID, HERE, "does not lead to the homeserver").seen(seen).command("sudo docker restart rcfed-gateway")
}

/// A GET through port 443, whatever the certificate: that is another check's.
async fn route(site: &Site, id: &'static str, name: &str, path: &str, holds: &str) -> Result<Finding> {
    let Some(base) = site.machine.url(Service::Gateway, 443).await? else {
        return Ok(Finding::unknown(id, name, super::GATEWAY_GONE));
    };
    let answer = tls::get(base.trim_start_matches("http://"), name, path).await;
    let right = answer.as_ref().is_some_and(|(status, body)| *status == 200 && body.contains(holds));
    Ok(judge_route(id, name, path, answer.map(|(status, _)| status), right))
}

fn judge_route(id: &'static str, name: &str, path: &str, status: Option<u16>, right: bool) -> Finding {
    if right {
        return Finding::ok(id, name, "is reached through the gateway");
    }
    let said = match status {
        Some(200) => "something else answers".to_owned(),
        Some(status) => format!("status {status}"),
        None => "no answer".to_owned(),
    };
    Finding::fail(id, name, "is not reached through the gateway")
        .seen(format!("{said} to https://{name}{path}"))
        .command("sudo rcfed apply")
        .command("sudo docker restart rcfed-gateway")
}

#[cfg(test)]
mod tests {
    use super::super::super::report::tests::told;
    use super::*;

    #[test]
    fn the_gateway_in_words() {
        let route = |status, right| judge_route("gateway.chat", "chat.example.org", "/api/info", status, right);
        let refused =
            "nginx: [emerg] unknown directive \"nonsense\" in /run/rcfed/http.conf:9\n\n  nginx: test failed\n";
        insta::assert_snapshot!(told([
            judge_config(None),
            judge_config(Some((0, ""))),
            judge_config(Some((1, refused))),
            judge_loaded([false, false], false),
            judge_loaded([true, false], false),
            judge_loaded([true, true], false),
            judge_loaded([true, true], true),
            judge_matrix(Ok((200, "{}".into()))),
            judge_matrix(Ok((502, String::new()))),
            judge_matrix(Err("connection refused".into())),
            route(Some(200), true),
            route(Some(200), false),
            route(Some(502), false),
            route(None, false),
            Finding::unknown("gateway.chat", "chat.example.org", super::super::GATEWAY_GONE),
        ]));
    }
}
