//! Names: what DNS says of them, and the two documents by which others find the homeserver.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::super::Site;
use super::super::check::{Check, Doc, Place, always, with_homeserver, with_tls_gateway};
use crate::apex::{self, Available};
use crate::config::{Apex, Config, Service};
use crate::dns::{self, Expected, Lookup, Said};
use crate::finding::{Finding, Status};
use crate::host::net::Addresses;
use crate::host::tls;
use crate::preflight;
use crate::render;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "dns.address",
        place: Place::Dns,
        applies: always,
        needs: &[],
        limit: 10,
        run: |site| Box::pin(records(site, "dns.address")),
        doc: Doc {
            what: "A and AAAA of every name, from the zone's own servers and from this machine's resolver, against this machine's addresses.",
            why: "Others go where DNS says. An AAAA record that points elsewhere is tried first by everybody who has IPv6.",
            fails: "Some servers reach this one and others do not; certificates are refused for one name.",
            fix: "Set the records that are shown, at whoever runs the zone.",
            source: "RFC 1034, RFC 6724; matrix-federation-tester issues 103 and 121.",
        },
    },
    Check {
        id: "dns.caa",
        place: Place::Dns,
        applies: always,
        needs: &[],
        limit: 10,
        run: |site| Box::pin(records(site, "dns.caa")),
        doc: Doc {
            what: "Whether CAA records allow the certificate authority in use.",
            why: "An authority that is not named there must refuse, also at the next renewal.",
            fails: "The certificate is not renewed: `CAA record prevents issuance`.",
            fix: "Add the record that is shown.",
            source: "RFC 8659, DNS Certification Authority Authorization.",
        },
    },
    Check {
        id: "wellknown.server",
        place: Place::Wellknown,
        applies: documents,
        needs: &["gateway.loaded"],
        limit: 8,
        run: |site| Box::pin(async move { vec![server(&site).await] }),
        doc: Doc {
            what: "What the gateway answers to `/.well-known/matrix/server` for the federated domain.",
            why: "Other servers learn from it which host and port to connect to; without a port they would dial 8448.",
            fails: "Other servers connect to the wrong host, or to port 8448 where nothing listens.",
            fix: "`sudo rcfed apply` writes it again.",
            source: "Matrix server-server API, resolving server names.",
        },
    },
    Check {
        id: "wellknown.client",
        place: Place::Wellknown,
        applies: |config| documents(config) && with_homeserver(config),
        needs: &["gateway.loaded"],
        limit: 8,
        run: |site| Box::pin(async move { vec![client(&site).await] }),
        doc: Doc {
            what: "What the gateway answers to `/.well-known/matrix/client` for the federated domain.",
            why: "Matrix clients find the homeserver by it.",
            fails: "Clients say that the homeserver cannot be found.",
            fix: "`sudo rcfed apply` writes it again.",
            source: "Matrix client-server API, well-known URIs.",
        },
    },
    Check {
        id: "wellknown.available",
        place: Place::Wellknown,
        applies: |config| config.names.apex == Apex::Elsewhere && with_homeserver(config),
        needs: &[],
        limit: 10,
        run: |site| Box::pin(async move { vec![available(&site).await] }),
        doc: Doc {
            what: "Whether the web site on the federated domain passes on the question whether somebody exists.",
            why: "Other Rocket.Chats ask the federated domain itself, without looking for its delegate.",
            fails: "Other Rocket.Chats cannot verify anybody here; people there have to decide whether to write nevertheless.",
            fix: "Put the lines of `rcfed apex` into that site. A host that can neither pass on nor redirect cannot answer.",
            source: "Rocket.Chat's `federation/matrixIds.verify`; docs/apex-elsewhere.md.",
        },
    },
];

/// Whether this machine's gateway answers for the federated domain over TLS.
fn documents(config: &Config) -> bool {
    config.names.apex == Apex::Here && with_tls_gateway(config)
}

async fn records(site: Arc<Site>, id: &'static str) -> Vec<Finding> {
    // Both checks ask once.
    let judged = site.dns.get_or_init(|| async {
        let (config, host) = (&site.machine.config, &site.machine.host);
        let names = &config.names;
        let lookup = Lookup::new(host);
        let addresses = Addresses::find(&site.root, &config.addresses, host.metadata);
        let looks = lookup.all([&names.federated, &names.chat, &names.matrix]);
        let (addresses, seen) = futures_util::future::join(addresses, looks).await;
        let expected = Expected { addresses, proxy: config.proxy, issuer: preflight::issuer(&config.acme.directory) };
        dns::findings(&dns::judge(names, &expected, &seen), &expected)
    });
    let found: Vec<Finding> = judged.await.iter().filter(|finding| finding.id == id).cloned().collect();
    if found.is_empty() {
        let name = site.machine.config.names.federated.as_str();
        return vec![Finding::ok(id, name, NOTHING)];
    }
    let lookup = Lookup::new(&site.machine.host);
    let told = found.into_iter().map(|finding| async {
        match finding.status {
            Status::Fail => {
                let said = old_records(&lookup, &finding.subject, Timestamp::now()).await;
                finding.cached(said)
            }
            _ => finding,
        }
    });
    join_all(told).await
}

const NOTHING: &str = "nothing stands in the way";

/// Until when others keep the records that a name has now, or the news that it has none.
async fn old_records(lookup: &Lookup, name: &str, now: Timestamp) -> String {
    let zone = timeout(Duration::from_secs(2), lookup.zone(name, true)).await.ok().flatten();
    let said = zone.iter().flat_map(|zone| &zone.servers).filter_map(|server| match &server.said {
        Said::Answer(own) => Some(own.ttl),
        _ => None,
    });
    believed(said.max(), now)
}

/// `ttl` is the longest time to live of what the zone's own servers say, in seconds.
fn believed(ttl: Option<u32>, now: Timestamp) -> String {
    match ttl {
        Some(ttl) => format!("others may believe the old records until {}", utc(now, u64::from(ttl))),
        None => "resolvers may believe the old records until their time to live is over".into(),
    }
}

fn utc(now: Timestamp, seconds: u64) -> String {
    (now + Duration::from_secs(seconds)).strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// Less than the check's own limit, so that it can say why.
const LOOK: Duration = Duration::from_secs(8);

/// The time for which others may keep what they saw (server-server API, resolving server names).
fn kept(now: Timestamp) -> String {
    let until = |hours: u64| utc(now, 3600 * hours);
    format!("other servers may believe a wrong answer until {}, and a failure until {}", until(48), until(1))
}

async fn server(site: &Site) -> Finding {
    let delegate = format!("{}:443", render::delegate(&site.machine.config));
    document(site, "wellknown.server", "server", "/m.server", &delegate).await
}

async fn client(site: &Site) -> Finding {
    let base = format!("https://{}", site.machine.config.names.matrix);
    document(site, "wellknown.client", "client", "/m.homeserver/base_url", &base).await
}

async fn available(site: &Site) -> Finding {
    const ID: &str = "wellknown.available";
    let (config, name) = (&site.machine.config, site.machine.config.names.federated.as_str());
    let eyes = match site.machine.eyes() {
        Ok(eyes) => eyes,
        Err(error) => return Finding::unknown(ID, name, error.message()),
    };
    judge_available(name, config.names.matrix.as_str(), apex::available(config, &eyes, Instant::now() + LOOK).await)
}

fn judge_available(name: &str, matrix: &str, answer: Available) -> Finding {
    const ID: &str = "wellknown.available";
    match answer {
        Available::Answered => Finding::ok(ID, name, "says whether somebody exists"),
        Available::NotAnswered(seen) => {
            let said = "does not say whether somebody exists, which other Rocket.Chats ask it";
            Finding::warn(ID, name, said).seen(seen).remedy(format!(
                "pass https://{name}/_matrix/client/*/register/available on to https://{matrix}: ready lines for nginx by \
                 `rcfed apex nginx`, and likewise for apache, caddy, static and cloudflare"
            ))
        }
    }
}

async fn document(site: &Site, id: &'static str, which: &str, pointer: &str, wanted: &str) -> Finding {
    let name = site.machine.config.names.federated.as_str();
    let path = format!("/.well-known/matrix/{which}");
    let subject = format!("https://{name}{path}");
    let base = match site.machine.url(Service::Gateway, 443).await {
        Ok(Some(base)) => base,
        Ok(None) => return Finding::unknown(id, subject, super::GATEWAY_GONE),
        Err(error) => return Finding::unknown(id, subject, error.message()),
    };
    let answer = tls::get(base.trim_start_matches("http://"), name, &path).await;
    judge_document(id, &subject, answer, pointer, wanted, Timestamp::now())
}

fn judge_document(
    id: &'static str,
    subject: &str,
    answer: Option<(u16, String)>,
    pointer: &str,
    wanted: &str,
    now: Timestamp,
) -> Finding {
    let finding = |said: &str| {
        Finding::fail(id, subject, said)
            .command("sudo rcfed apply")
            // The digest in a file that was edited by hand is still the old one.
            .command("sudo docker exec rcfed-gateway nginx -c /run/rcfed/nginx.conf -s reload")
            .cached(kept(now))
    };
    match answer {
        None => finding("is not answered"),
        // The pointer's own slashes are its separators, and `m.server` has none.
        Some((200, body)) => {
            match serde_json::from_str::<Value>(&body).ok().and_then(|json| json.pointer(pointer).cloned()) {
                Some(Value::String(said)) if said == wanted => Finding::ok(id, subject, format!("says {wanted}")),
                Some(other) => finding(&format!("says {other}, not \"{wanted}\"")),
                None => finding("is answered with something else").seen(body.chars().take(60).collect::<String>()),
            }
        }
        Some((status, _)) => finding("is not answered as it should be").seen(format!("status {status}")),
    }
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
