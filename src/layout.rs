//! Where things live on the machine, said once.
//!
//! Paths are those of production; [`crate::host::Host::path`] puts the root directory in front of them, which is `/`
//! except in tests.

use std::path::{Path, PathBuf};

use crate::config::Service;

/// The configuration a person may edit; `rcfed apply` reads it.
pub const CONFIG: &str = "/etc/rcfed/config.toml";
/// A registration token that was typed into the wizard, 0600; the configuration names this file.
pub const REGISTRATION_TOKEN: &str = "/etc/rcfed/registration_token";
/// Everything rcfed writes that is not configuration.
pub const STATE: &str = "/var/lib/rcfed";
/// The journal of what rcfed did to this machine.
pub const RECEIPT: &str = "/var/lib/rcfed/receipt.jsonl";
/// What this deployment can never change ([`crate::deployment`]).
pub const DEPLOYMENT: &str = "/var/lib/rcfed/deployment.json";
/// The configuration of the last run that ended well, as rcfed writes it, 0600.
pub const APPLIED: &str = "/var/lib/rcfed/applied.toml";
/// Which image each service with data last ran with ([`crate::ran`]).
pub const RAN: &str = "/var/lib/rcfed/ran.json";
/// Dumps made before a new version started, 0600.
pub const DUMPS: &str = "/var/lib/rcfed/dumps";
/// Files of a service as they were before a change that has not proven itself yet.
pub const PREVIOUS: &str = "/var/lib/rcfed/previous";
/// Under which digest each image was pulled.
pub const DIGESTS: &str = "/var/lib/rcfed/images.json";
/// Settings of a Rocket.Chat that somebody else runs, as they were before rcfed wrote them, 0600.
pub const SETTINGS_BEFORE: &str = "/var/lib/rcfed/rocketchat-settings.json";
/// What was last found out about federation.
pub const VERDICT: &str = "/var/lib/rcfed/federation.json";
/// Locked with flock while a command changes the machine.
pub const LOCK: &str = "/var/lib/rcfed/lock";
/// New tokens that were decided on and are not proven yet, 0600 ([`crate::tokens`]).
pub const ROTATION: &str = "/var/lib/rcfed/secrets/rotation";
/// Generated secrets, one file each, 0600.
pub const SECRETS: &str = "/var/lib/rcfed/secrets";
/// ACME account and challenge answers.
pub const ACME: &str = "/var/lib/rcfed/acme";
/// Answers to HTTP-01 challenges; the gateway serves this directory on port 80.
pub const CHALLENGES: &str = "/var/lib/rcfed/acme/challenges";
/// The pair the gateway serves: `pair.pem` holds the chain and the key ([`crate::acme::Store`]).
pub const CERTIFICATE: &str = "/var/lib/rcfed/certificate";

/// The directory mounted read-only at [`MOUNT`] in the container of `service`.
///
/// A directory and not a file: after an atomic rename a single-file mount would still show the old file.
pub fn service(service: Service) -> PathBuf {
    Path::new(STATE).join("services").join(service.name())
}

/// Where the directory of [`service`] appears inside the container.
pub const MOUNT: &str = "/run/rcfed";

/// Where the relay's volume is mounted.
pub const RELAY_DATA: &str = "/var/lib/rcfed-relay";
/// The relay's journal of invites, in its volume.
pub const RELAY_JOURNAL: &str = "/var/lib/rcfed-relay/journal";
