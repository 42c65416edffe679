//! In what a container differs from the wanted one, by what the engine itself says of it.
//!
//! A label only tells what a container was made from. Whoever changes one by hand (`docker update`, `docker network
//! disconnect`), or makes another one with our labels, leaves the label as it was.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use bollard::models::{ContainerCreateBody, ContainerInspectResponse, HealthConfig};
use serde::Serialize;

use super::container::body;
use super::{Docker, DockerError, LABEL_HASH, LABEL_IMAGE, LABEL_READS};
use crate::topology::{Container, NETWORK};

/// One thing in which a container differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Which part, e.g. `memory` or `environment`.
    pub part: &'static str,
    /// In words, without any value of a variable.
    pub words: String,
}

/// A container compared with the wanted one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// What differs, the image first.
    pub differences: Vec<Difference>,
    /// Whether it was made from the very configuration that is wanted, so that what differs was changed by hand.
    pub same_origin: bool,
}

impl Compared {
    /// Everything in one line; empty if nothing differs.
    pub fn words(&self) -> String {
        self.differences.iter().map(|d| d.words.as_str()).collect::<Vec<_>>().join("; ")
    }
}

impl Docker {
    /// Compares the container of `wanted`'s service, made from the image `image` as `reference`, with `wanted`; `None` if
    /// there is no such container.
    pub async fn compare(
        &self,
        wanted: &Container,
        image: Option<&str>,
        reference: &str,
        root: &Path,
    ) -> Result<Option<Compared>, DockerError> {
        let name = wanted.service.container();
        let Some(found) = self.inspect(&name).await? else { return Ok(None) };
        // What a container does not say itself it has from the image it was made from.
        let id = found.image.clone().unwrap_or_default();
        let made_from = self.inspect_image(&id).await?;
        let defaults = made_from.and_then(|image| image.config).map_or_else(Defaults::default, |config| Defaults {
            env: config.env.unwrap_or_default(),
            user: config.user.unwrap_or_default(),
            entrypoint: config.entrypoint.unwrap_or_default(),
            command: config.cmd.unwrap_or_default(),
        });
        let body = body(wanted, image.unwrap_or(&id), reference, root);
        Ok(Some(differences(&found, &body, &defaults, image, reference)))
    }
}

/// What an image gives to a container that says nothing else.
#[derive(Default)]
struct Defaults {
    env: Vec<String>,
    user: String,
    entrypoint: Vec<String>,
    command: Vec<String>,
}

fn differences(
    found: &ContainerInspectResponse,
    wanted: &ContainerCreateBody,
    defaults: &Defaults,
    image: Option<&str>,
    reference: &str,
) -> Compared {
    let mut list = List(Vec::new());
    let config = found.config.clone().unwrap_or_default();
    let labels = config.labels.clone().unwrap_or_default();
    let wanted_labels = wanted.labels.clone().unwrap_or_default();
    if image != found.image.as_deref() {
        let id = found.image.clone().unwrap_or_default();
        let was = labels.get(LABEL_IMAGE).cloned().unwrap_or_else(|| id.chars().take(19).collect());
        list.0.push(Difference { part: "image", words: image_words(&was, reference) });
    }
    environment(&config.env.clone().unwrap_or_default(), wanted, defaults, &mut list);
    let or = |own: &Option<Vec<String>>, image: &[String]| own.clone().unwrap_or_else(|| image.to_vec());
    let entrypoint = or(&wanted.entrypoint, &defaults.entrypoint);
    // Who gives an entrypoint gets no command of the image.
    let command = match (&wanted.cmd, &wanted.entrypoint) {
        (None, Some(_)) => Vec::new(),
        (own, _) => or(own, &defaults.command),
    };
    list.unless(config.entrypoint.unwrap_or_default() == entrypoint, "entrypoint");
    list.unless(config.cmd.unwrap_or_default() == command, "command");
    let user = wanted.user.clone().unwrap_or_else(|| defaults.user.clone());
    list.unless(config.user.unwrap_or_default() == user, "user");
    list.unless(config.hostname == wanted.hostname, "host name");
    list.unless(health(&config.healthcheck) == health(&wanted.healthcheck), "health check");
    list.unless(config.stop_timeout == wanted.stop_timeout, "time to stop");
    host(found, wanted, &mut list);
    let same = |label: &str| labels.get(label) == wanted_labels.get(label);
    list.unless(same(LABEL_READS), READS);
    if list.0.is_empty() {
        list.unless(same(LABEL_HASH), MADE_FROM);
    }
    Compared {
        same_origin: same(LABEL_HASH) && labels.get(LABEL_IMAGE).is_some_and(|was| was == reference),
        differences: list.0,
    }
}

/// Files of its directory that another start would read as they are now.
pub const READS: &str = "files it reads when it starts";
const MADE_FROM: &str = "what it was made from";

fn image_words(was: &str, wanted: &str) -> String {
    if was == wanted { format!("image {wanted} with another content") } else { format!("image {was} → {wanted}") }
}

struct List(Vec<Difference>);

impl List {
    fn unless(&mut self, same: bool, part: &'static str) {
        if !same {
            self.0.push(Difference { part, words: part.into() });
        }
    }

    fn values(&mut self, part: &'static str, was: String, wanted: String) {
        if was != wanted {
            self.0.push(Difference { part, words: format!("{part} {was} → {wanted}") });
        }
    }
}

/// Only names: a variable that somebody else set may hold a secret.
fn environment(found: &[String], wanted: &ContainerCreateBody, defaults: &Defaults, list: &mut List) {
    let table = |variables: &[String]| -> BTreeMap<String, String> {
        let pair = |text: &String| text.split_once('=').map(|(name, value)| (name.to_string(), value.to_string()));
        variables.iter().filter_map(pair).collect()
    };
    let found = table(found);
    let mut expected = table(&defaults.env);
    expected.extend(table(&wanted.env.clone().unwrap_or_default()));
    let names: BTreeSet<&String> = found.keys().chain(expected.keys()).collect();
    let other: Vec<&str> =
        names.into_iter().filter(|name| found.get(*name) != expected.get(*name)).map(String::as_str).collect();
    if !other.is_empty() {
        list.0.push(Difference { part: "environment", words: format!("environment {}", other.join(", ")) });
    }
}

fn host(found: &ContainerInspectResponse, wanted: &ContainerCreateBody, list: &mut List) {
    let there = found.host_config.clone().unwrap_or_default();
    let host = wanted.host_config.clone().unwrap_or_default();
    list.values("memory", mib(there.memory), mib(host.memory));
    let policy = |host: &bollard::models::HostConfig| {
        host.restart_policy.as_ref().and_then(|p| p.name).map(|name| name.to_string()).unwrap_or_default()
    };
    list.values("restart policy", policy(&there), policy(&host));
    list.unless(mounts(found) == wanted_mounts(wanted), "mounts");
    let networks = found.network_settings.as_ref().and_then(|s| s.networks.clone()).unwrap_or_default();
    let aliases = networks.get(NETWORK).map(|n| n.aliases.clone().unwrap_or_default());
    let name = wanted.hostname.clone().unwrap_or_default();
    list.unless(networks.len() == 1 && aliases.is_some_and(|aliases| aliases.contains(&name)), "network");
    list.unless(ports(&there.port_bindings) == ports(&host.port_bindings), "published ports");
    list.unless(caps(&there.cap_add) == caps(&host.cap_add), "capabilities");
    list.unless(caps(&there.cap_drop) == caps(&host.cap_drop), "dropped capabilities");
    list.unless(there.privileged != Some(true), "privileges");
    list.unless(
        there.readonly_rootfs.unwrap_or_default() == host.readonly_rootfs.unwrap_or_default(),
        "read-only root",
    );
    list.unless(there.tmpfs.unwrap_or_default() == host.tmpfs.unwrap_or_default(), "directories in memory");
    list.unless(sorted(&there.group_add) == sorted(&host.group_add), "groups");
    let options = |list: &Option<Vec<String>>| -> BTreeSet<String> {
        // `no-new-privileges` and `no-new-privileges:true` are the same.
        list.iter().flatten().map(|option| option.trim_end_matches(":true").to_string()).collect()
    };
    list.unless(options(&there.security_opt) == options(&host.security_opt), "security options");
    list.unless(there.log_config == host.log_config, "log rotation");
}

fn mib(bytes: Option<i64>) -> String {
    match bytes.unwrap_or_default() {
        0 => "unlimited".into(),
        bytes => format!("{} MiB", bytes / (1024 * 1024)),
    }
}

/// Target, source and whether it can be written. A volume without a name of ours is the image's own affair.
fn mounts(found: &ContainerInspectResponse) -> BTreeSet<(String, String, bool)> {
    let kept = found.mounts.iter().flatten().filter_map(|mount| {
        let target = mount.destination.clone().unwrap_or_default();
        let writable = mount.rw.unwrap_or_default();
        match mount.typ.as_deref() {
            Some("bind") => Some((target, mount.source.clone().unwrap_or_default(), writable)),
            Some("volume") => {
                let name = mount.name.clone().unwrap_or_default();
                let nameless = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
                (!nameless).then_some((target, name, writable))
            }
            _ => None,
        }
    });
    kept.collect()
}

fn wanted_mounts(wanted: &ContainerCreateBody) -> BTreeSet<(String, String, bool)> {
    let mounts = wanted.host_config.as_ref().and_then(|host| host.mounts.clone()).unwrap_or_default();
    let tuple = |mount: bollard::models::Mount| {
        let text = |text: Option<String>| text.unwrap_or_default();
        (text(mount.target), text(mount.source), !mount.read_only.unwrap_or_default())
    };
    mounts.into_iter().map(tuple).collect()
}

type Bindings = Option<HashMap<String, Option<Vec<bollard::models::PortBinding>>>>;

fn ports(bindings: &Bindings) -> BTreeSet<(String, String, String)> {
    let mut all = BTreeSet::new();
    for (port, list) in bindings.iter().flatten() {
        for binding in list.iter().flatten() {
            let address = binding.host_ip.clone().unwrap_or_default();
            all.insert((port.clone(), address, binding.host_port.clone().unwrap_or_default()));
        }
    }
    all
}

/// Newer engines tell capabilities with `CAP_` in front.
fn caps(list: &Option<Vec<String>>) -> BTreeSet<String> {
    list.iter().flatten().map(|cap| cap.trim_start_matches("CAP_").to_string()).collect()
}

fn sorted(list: &Option<Vec<String>>) -> BTreeSet<String> {
    list.iter().flatten().cloned().collect()
}

fn health(check: &Option<HealthConfig>) -> (Vec<String>, [i64; 4]) {
    let check = check.clone().unwrap_or_default();
    let numbers = [check.interval, check.timeout, check.start_period, check.retries];
    (check.test.unwrap_or_default(), numbers.map(Option::unwrap_or_default))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        let (old, new) = ("docker.io/library/nginx:1.28", "docker.io/library/nginx:1.29");
        let words = [image_words(old, new), image_words(new, new), READS.into(), MADE_FROM.into()];
        let mut list = List(Vec::new());
        list.values("memory", mib(None), mib(Some(512 * 1024 * 1024)));
        let words = words.into_iter().chain(list.0.into_iter().map(|difference| difference.words));
        insta::assert_snapshot!(words.collect::<Vec<_>>().join("\n"));
    }
}
