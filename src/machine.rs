//! A deployment on a machine: what is wanted, and the doors to change it. Every step works on one of these.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::adopt;
use crate::config::{Config, Existing, Service};
use crate::dns::Lookup;
use crate::error::{Error, Result};
use crate::host::docker::{Docker, ImageConfig, Observed, RunState};
use crate::host::fs::{self, Access};
use crate::host::secrets::SecretStore;
use crate::host::{Host, docker, facts, net};
use crate::layout;
use crate::matrix::Eyes;
use crate::matrix::server_name::{NameError, ServerName};
use crate::secrets::{Secret, SecretName};
use crate::sizes::Sizes;
use crate::topology::{self, ImageSource, Origin, Topology};
use crate::ui::Ui;

/// What is wanted, and the doors to change it.
#[derive(Clone)]
pub struct Machine {
    /// A token of Rocket.Chat that was taken before anything was touched, and is written nowhere yet.
    pub access: Option<Secret>,
    /// The configuration.
    pub config: Config,
    /// The engine.
    pub docker: Docker,
    /// Paths and addresses.
    pub host: Host,
    /// The secrets kept on this machine.
    pub secrets: SecretStore,
    /// What the configuration comes to.
    pub topology: Topology,
    /// The printer.
    pub ui: Ui,
}

impl Machine {
    /// Lays out `config` on a host. The versions of secrets that come from the user's files count changes not yet made.
    pub fn new(host: Host, config: Config, sizes: &Sizes, ui: Ui) -> Result<Self> {
        let secrets = SecretStore::new(&host);
        let mut versions = secrets.versions()?;
        for name in changed_files(&config, &secrets)? {
            *versions.entry(name).or_insert(1) += 1;
        }
        let topology = topology::topology(&config, sizes, &versions)?;
        let docker = Docker::new(&host.docker)?;
        Ok(Self { access: None, config, docker, host, secrets, topology, ui })
    }

    /// The federated domain as other servers write it.
    pub fn server_name(&self) -> Result<ServerName> {
        ServerName::parse(self.config.names.federated.as_str()).map_err(|error| no_server_name(&error))
    }

    /// The path on this machine of a path as in production.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.host.path(path)
    }

    /// The image reference of a service as the engine knows it.
    pub fn reference(&self, service: Service) -> Result<String> {
        match self.topology.container(service).map(|c| &c.image) {
            Some(ImageSource::Pull(reference)) => Ok(reference.clone()),
            _ => Ok(format!("rcfed-relay:{}", crate::relay_image::tag()?)),
        }
    }

    /// The image of a service if the engine has it, by the digest that was recorded when it was pulled.
    pub async fn image(&self, service: Service) -> Result<Option<ImageConfig>> {
        let reference = self.reference(service)?;
        let digests = self.digests()?;
        // What the tag means by now may be another image.
        Ok(self.docker.image(digests.get(&reference).unwrap_or(&reference)).await?)
    }

    /// Recorded digests by reference.
    pub fn digests(&self) -> Result<BTreeMap<String, String>> {
        let text = fs::read_text(&self.path(layout::DIGESTS))?.unwrap_or_default();
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    /// Records under which digest a reference was pulled.
    pub fn record_digest(&self, reference: &str, digest: &str) -> Result<()> {
        // Several images are pulled at once, and each adds a line to the same file.
        static WRITING: Mutex<()> = Mutex::new(());
        let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut digests = self.digests()?;
        digests.insert(reference.into(), digest.into());
        let text = serde_json::to_vec_pretty(&digests).unwrap_or_default();
        Ok(fs::write(&self.path(layout::DIGESTS), &text, Access::root(0o644))?)
    }

    /// What runs under a service's name.
    pub async fn observe(&self, service: Service) -> Result<Option<Observed>> {
        Ok(self.docker.container(&service.container()).await?)
    }

    /// `http://address:port` of a running service, as this machine reaches it on the containers' network.
    pub async fn url(&self, service: Service, port: u16) -> Result<Option<String>> {
        if let (Service::Rocketchat, Some(existing)) = (service, &self.config.rocketchat.existing) {
            let base = match existing {
                Existing::Elsewhere { bridge, .. } if port == 3300 => Some(bridge.clone()),
                _ => adopt::address(Some(&self.docker), existing).await?,
            };
            return Ok(base.map(|base| match existing {
                Existing::Container(_) => base.replace(":3000", &format!(":{port}")),
                Existing::Elsewhere { .. } => base,
            }));
        }
        let observed = self.observe(service).await?.filter(|c| c.state == RunState::Running);
        Ok(observed.and_then(|c| c.address).map(|address| format!("http://{address}:{port}")))
    }

    /// How this machine looks at others and at its own public names: it also trusts the authorities of its federation, and
    /// from here even a private address can be asked.
    pub fn eyes(&self) -> Result<Eyes> {
        let roots = self.config.federation.ca.as_ref().map(|ca| ca.pem.as_bytes());
        let mut eyes = Eyes::new(Lookup::new(&self.host), roots)?;
        eyes.private_allowed = true;
        Ok(eyes)
    }

    /// What a container last said, and what that usually means.
    pub async fn why_unwell(&self, service: Service) -> Result<(String, Option<&'static str>)> {
        let state =
            self.observe(service).await?.map_or_else(|| "it does not exist".into(), |c| words(&c.state, c.restarts));
        let lines = self.docker.last_lines(&service.container(), 8).await.unwrap_or_default();
        let cause = docker_cause(&lines.join("\n"));
        let shown: String =
            lines.iter().map(|line| format!("\n  | {}", line.chars().take(200).collect::<String>())).collect();
        Ok((format!("{state}{shown}"), cause))
    }

    /// Whether the engine answers; negotiates the API version.
    pub async fn connect(&mut self) -> Result<docker::Engine> {
        Ok(self.docker.engine().await?)
    }
}

fn no_server_name(error: &NameError) -> Error {
    Error::new(
        format!("the federated domain is no server name: {error}"),
        "see `federated_domain` in the configuration",
    )
}

/// What this machine has to share: its memory, and whether anybody reaches it by IPv6.
pub fn sizes() -> Sizes {
    // Where /proc cannot be read, as if it were the smallest machine.
    let memory = facts::memory(Path::new("/")).map_or(0, |memory| memory.total / (1024 * 1024));
    Sizes::for_memory(memory, net::has_ipv6(Path::new("/")))
}

/// How long a server may take to become ready.
pub fn patience(service: Service) -> Duration {
    match service {
        Service::Rocketchat => Duration::from_secs(600),
        Service::Gateway | Service::Relay => Duration::from_secs(60),
        _ => Duration::from_secs(180),
    }
}

/// How a server is that does not answer.
fn words(state: &RunState, restarts: i64) -> String {
    match state {
        RunState::Created => "it was never started".into(),
        RunState::Exited(_, true) => "the kernel killed it for want of memory".into(),
        RunState::Exited(code, _) => format!("it ended with exit code {code}"),
        RunState::Restarting(code) => format!("it ends again and again with exit code {code} ({restarts} restarts)"),
        RunState::Paused => "it was paused".into(),
        RunState::Running => "it runs but does not answer".into(),
    }
}

const OTHER_PASSWORD: &str = "the password in the database is another one, so its volume is of an earlier deployment: put that \
                              one's /var/lib/rcfed/secrets back, or move the volume away";

/// Likely causes by what servers print. The first match counts.
const CAUSES: [(&str, &str); 8] = [
    ("too open", "a key file can be read by others: run `sudo rcfed apply`, it sets the modes again"),
    ("REPLICASET IS REQUIRED", "Rocket.Chat found no replica set: see `sudo rcfed logs mongodb`"),
    ("Authentication failed", OTHER_PASSWORD),
    ("password authentication failed", OTHER_PASSWORD),
    (
        "incorrect collation",
        "the database was made with another collation than `C`, which the homeserver needs: move its volume \
         `rcfed-postgres` away, or restore a dump into an empty one",
    ),
    ("No space left", "the disk is full: see `df -h`"),
    (
        "Illegal instruction",
        "the processor has no AVX, which MongoDB needs since 5.0: set the virtual machine's CPU type to `host`, or use \
         another machine",
    ),
    (
        "ermission denied",
        "the container's user may not read or write a file: run `sudo rcfed apply`, it sets owners again",
    ),
];

fn docker_cause(log: &str) -> Option<&'static str> {
    CAUSES.iter().find(|(sign, _)| log.contains(sign)).map(|(_, cause)| *cause)
}

fn changed_files(config: &Config, store: &SecretStore) -> Result<Vec<SecretName>> {
    let mut changed = Vec::new();
    for secret in topology::secrets(config) {
        if let Origin::File(path) = secret.origin
            // The first password counts only until Rocket.Chat knows its administrator.
            && secret.name != SecretName::AdminPassword
            && let (Some(old), Some(new)) = (store.get(secret.name)?, fs::read_text(&path)?)
            && old.expose() != new.trim_end_matches('\n')
        {
            changed.push(secret.name);
        }
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        let error = ServerName::parse("exam ple.org").unwrap_err();
        insta::assert_snapshot!(crate::error::told([no_server_name(&error)]));
    }

    /// Lines as the servers print them.
    #[test]
    fn likely_causes_of_what_servers_say() {
        let told = [
            "permissions on /run/rcfed/keyfile are too open",
            "You must have REPLICASET IS REQUIRED: your mongodb must be a replica set",
            "MongoServerError: Authentication failed.",
            "FATAL: password authentication failed for user \"homeserver\"",
            "Database has incorrect collation of 'en_US.utf8'. Should be 'C'",
            "FATAL: could not write lock file \"postmaster.pid\": No space left on device",
            "/usr/local/bin/docker-entrypoint.sh: line 416: 27 Illegal instruction (core dumped)",
            "open /run/rcfed/matrix_key.pem: permission denied",
            "Got signal 15",
        ]
        .map(|line| format!("{line}\n  → {}", docker_cause(line).unwrap_or("nothing is known")));
        for (sign, _) in CAUSES {
            assert!(told.iter().any(|line| line.contains(sign)), "no line has {sign}");
        }
        let states = [
            words(&RunState::Created, 0),
            words(&RunState::Exited(137, true), 0),
            words(&RunState::Exited(1, false), 0),
            words(&RunState::Restarting(1), 7),
            words(&RunState::Paused, 0),
            words(&RunState::Running, 0),
        ];
        insta::assert_snapshot!(format!("{}\n{}", told.join("\n"), states.join("\n")));
    }
}
