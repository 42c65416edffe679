//! What a check is: a row of a table, with its documentation beside what it runs.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::Serialize;

use super::Site;
use crate::config::{Config, Proxy};
use crate::finding::Finding;

/// A row of the table.
///
/// `S` is what the check looks at: [`Site`], except in the engine's own tests.
pub struct Check<S = Site> {
    /// Its name, a contract: dotted, lower case, never reused for something else.
    pub id: &'static str,
    /// Where on the way of a federated message it looks.
    pub place: Place,
    /// Whether a deployment like this has the thing at all.
    pub applies: fn(&Config) -> bool,
    /// Ids of the checks without whose success this one would only repeat their failure.
    pub needs: &'static [&'static str],
    /// Seconds after which its answer is no longer waited for.
    pub limit: u64,
    /// Looks. Every finding has this check's id; several have a subject each.
    pub run: fn(Arc<S>) -> BoxFuture<'static, Vec<Finding>>,
    /// Its page in the reference.
    pub doc: Doc,
}

/// What the reference says of a check, wherever it looks from.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name.
    pub id: &'static str,
    /// Where it looks.
    pub place: Place,
    /// What it needs.
    pub needs: &'static [&'static str],
    /// Its page.
    pub doc: Doc,
}

/// The reference of a check. Plain text, without a line break.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Doc {
    /// What is tested.
    pub what: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// How it fails, and how that looks to a user.
    pub fails: &'static str,
    /// What puts it right.
    pub fix: &'static str,
    /// Where the rule comes from.
    pub source: &'static str,
}

/// A stop on the way of a federated message, or the ground below all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// The machine itself.
    Machine,
    /// The container engine, its network and volumes, and rcfed's own files.
    Docker,
    /// MongoDB and PostgreSQL.
    Databases,
    /// Names and addresses.
    Dns,
    /// The two documents under `/.well-known/matrix/`.
    Wellknown,
    /// The certificate.
    Tls,
    /// The gateway.
    Proxy,
    /// Dendrite or Synapse.
    Homeserver,
    /// The bridge inside Rocket.Chat, and the relay before it.
    Bridge,
    /// Rocket.Chat.
    Rocketchat,
}

impl Place {
    /// What everything stands on, in the order in which it is told.
    pub const GROUND: [Self; 3] = [Self::Machine, Self::Docker, Self::Databases];
    /// The stops of a message from another server, in their order.
    pub const WAY: [Self; 7] =
        [Self::Dns, Self::Wellknown, Self::Tls, Self::Proxy, Self::Homeserver, Self::Bridge, Self::Rocketchat];

    /// All of them, the ground first.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::GROUND.into_iter().chain(Self::WAY)
    }

    /// Its title for a person.
    pub fn title(self) -> &'static str {
        match self {
            Self::Machine => "This machine",
            Self::Docker => "Docker and files",
            Self::Databases => "Databases",
            Self::Dns => "DNS",
            Self::Wellknown => "Well-known",
            Self::Tls => "Certificate",
            Self::Proxy => "Gateway",
            Self::Homeserver => "Homeserver",
            Self::Bridge => "Bridge",
            Self::Rocketchat => "Rocket.Chat",
        }
    }

    /// Its word in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Machine => "machine",
            Self::Docker => "docker",
            Self::Databases => "databases",
            Self::Dns => "dns",
            Self::Wellknown => "wellknown",
            Self::Tls => "tls",
            Self::Proxy => "proxy",
            Self::Homeserver => "homeserver",
            Self::Bridge => "bridge",
            Self::Rocketchat => "rocketchat",
        }
    }
}

/// Every deployment.
pub(super) fn always(_: &Config) -> bool {
    true
}

/// Deployments whose Rocket.Chat federates by itself.
pub(super) fn native(config: &Config) -> bool {
    !config.profile.has_homeserver()
}

/// Deployments whose Rocket.Chat and MongoDB are rcfed's.
pub(super) fn with_own_rocketchat(config: &Config) -> bool {
    config.rocketchat.existing.is_none()
}

/// Deployments whose Rocket.Chat is in a container on this machine, whoever made it.
pub(super) fn with_rocketchat_here(config: &Config) -> bool {
    !matches!(config.rocketchat.existing, Some(crate::config::Existing::Elsewhere { .. }))
}

/// Deployments with a homeserver of their own.
pub(super) fn with_homeserver(config: &Config) -> bool {
    config.profile.has_homeserver()
}

/// Deployments with the relay.
pub(super) fn with_relay(config: &Config) -> bool {
    config.profile == crate::config::Profile::Dendrite
}

/// Deployments whose gateway ends TLS itself.
pub(super) fn with_tls_gateway(config: &Config) -> bool {
    config.proxy == Proxy::Gateway
}

/// Deployments whose certificate is shown by what rcfed lets reload it: the gateway, or the machine's nginx.
pub(super) fn with_served_certificate(config: &Config) -> bool {
    config.proxy != Proxy::None
}
