//! The proven configuration: what a deployment is, with every value already known to be usable.
//!
//! A [`Config`] can only be made from [`crate::answers::Answers`], and the file rcfed keeps of it
//! ([`crate::layout::CONFIG`]) has the form of an answers file, so there is one parser for both.

mod from_answers;
mod to_toml;
pub mod values;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use serde::Serialize;

pub use from_answers::{ConfigError, Mode};

use crate::compat;
use crate::domain::{DomainName, Email, ImageRef, Username};
use crate::host::authorities::Authorities;

/// The directory of Let's Encrypt.
pub const LETSENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
/// The directory Let's Encrypt offers for rehearsals: same checks, other limits, certificates nobody trusts.
pub const LETSENCRYPT_STAGING: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";

/// Everything a deployment is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The host names.
    pub names: Names,
    /// Given to Let's Encrypt if present.
    pub email: Option<Email>,
    /// Which servers run.
    pub profile: Profile,
    /// Who answers on ports 80 and 443.
    pub proxy: Proxy,
    /// An unattended run of a version past its end of life says so on purpose.
    pub accept_end_of_life: bool,
    /// The first administrator of Rocket.Chat.
    pub admin: Admin,
    /// What only Rocket.Chat needs.
    pub rocketchat: RocketchatConfig,
    /// Whom the servers federate with beyond the public internet.
    pub federation: FederationConfig,
    /// Images other than the ones `compat` names.
    pub images: BTreeMap<Service, ImageRef>,
    /// The most memory a service may take, in MiB, where it is limited.
    pub memory: BTreeMap<Service, u32>,
    /// Where certificates come from.
    pub acme: AcmeConfig,
    /// Public addresses of this machine, where its interfaces do not show them.
    pub addresses: Vec<IpAddr>,
    /// Servers (`host` or `host:port`) whose users may invite; all, if it is empty.
    pub federate_with: Vec<String>,
    /// What only the doctor needs.
    pub doctor: DoctorConfig,
}

impl Config {
    /// The services that rcfed runs.
    pub fn services(&self) -> Vec<Service> {
        let theirs = |service: &Service| matches!(service, Service::Mongodb | Service::Rocketchat);
        let all = compat::services(self.profile).iter().copied();
        all.filter(|service| self.rocketchat.existing.is_none() || !theirs(service)).collect()
    }

    /// Where the bridge listens, for what speaks to it from the containers' network.
    pub fn bridge(&self) -> &str {
        match &self.rocketchat.existing {
            Some(Existing::Elsewhere { bridge, .. }) => bridge,
            _ => "http://rocketchat:3300",
        }
    }

    /// Where Rocket.Chat finds its homeserver. On somebody else's network another container may be called `gateway`.
    pub fn homeserver_url(&self) -> String {
        match &self.rocketchat.existing {
            None => "http://gateway:8008".into(),
            Some(Existing::Container(_)) => format!("http://{}:8008", Service::Gateway.container()),
            Some(Existing::Elsewhere { .. }) => format!("https://{}", self.names.matrix),
        }
    }
}

/// What only the doctor needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DoctorConfig {
    /// Ids of checks whose findings count for nothing.
    pub ignore: Vec<String>,
}

/// The three host names, which may coincide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The Matrix server name: what stands after the colon in `@user:example.org`, for ever.
    pub federated: DomainName,
    /// Where Rocket.Chat is opened.
    pub chat: DomainName,
    /// Where the homeserver is reached.
    pub matrix: DomainName,
    /// Whether this machine answers for [`Names::federated`] too.
    pub apex: Apex,
    /// Whether [`Names::chat`] stays with whoever serves it now: a Rocket.Chat that runs already, at its own address.
    pub chat_elsewhere: bool,
}

impl Names {
    /// One name for everything, to be judged by itself.
    pub fn alone(name: &DomainName) -> Self {
        let [federated, chat, matrix] = [name, name, name].map(Clone::clone);
        Self { federated, chat, matrix, apex: Apex::Here, chat_elsewhere: false }
    }

    /// The names this machine answers for, each once, the federated one first.
    pub fn served(&self) -> Vec<&DomainName> {
        let apex = (self.apex == Apex::Here).then_some(&self.federated);
        let mut names: Vec<&DomainName> = Vec::new();
        let chat = (!self.chat_elsewhere).then_some(&self.chat);
        for name in apex.into_iter().chain(chat).chain([&self.matrix]) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

/// Who serves the federated domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Apex {
    /// This machine.
    Here,
    /// Another web site; it must forward two well-known paths.
    Elsewhere,
}

/// Which servers run, and with which life expectancy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Rocket.Chat 7.10 with Dendrite and the relay.
    #[default]
    Dendrite,
    /// Rocket.Chat 7.10 with Synapse.
    Synapse,
    /// Rocket.Chat 8.5, which federates by itself if its licence says so.
    Native,
}

impl Profile {
    /// All profiles, the default first.
    pub const ALL: [Self; 3] = [Self::Dendrite, Self::Synapse, Self::Native];

    /// The word for it in files and flags.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dendrite => "dendrite",
            Self::Synapse => "synapse",
            Self::Native => "native",
        }
    }

    /// Whether a homeserver and its database run beside Rocket.Chat.
    pub fn has_homeserver(self) -> bool {
        self != Self::Native
    }
}

/// Who answers on ports 80 and 443.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Proxy {
    /// The gateway container, published on all addresses.
    #[default]
    Gateway,
    /// An nginx that runs on the machine already; the gateway listens on 127.0.0.1.
    Host,
    /// Something else; the gateway listens on 127.0.0.1.
    None,
}

/// The first administrator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// The user name.
    pub username: Username,
    /// The address Rocket.Chat writes to.
    pub email: Option<Email>,
    /// A file with the password to use; without it one is made.
    pub password_file: Option<PathBuf>,
}

/// What only Rocket.Chat needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RocketchatConfig {
    /// A file with the workspace's registration token.
    pub registration_token_file: Option<PathBuf>,
    /// A file with a licence (needed by [`Profile::Native`]).
    pub license_file: Option<PathBuf>,
    /// Asked instead of `https://federationtester.matrix.org`.
    pub federation_tester: Option<Tester>,
    /// The Rocket.Chat that runs already, where rcfed does not run one.
    pub existing: Option<Existing>,
    /// The homeserver it federates with now may be given up, and with it its rooms.
    pub replace_homeserver: bool,
}

/// Who tells Rocket.Chat whether other servers find this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tester {
    /// Somebody else, by a URL without a final slash.
    At(String),
    /// The relay of this deployment: a network without a way out has nobody else.
    Own,
}

impl Tester {
    /// The answer that stands for [`Tester::Own`].
    pub const OWN: &str = "self";

    /// As it is answered.
    pub fn answer(&self) -> &str {
        match self {
            Self::At(url) => url,
            Self::Own => Self::OWN,
        }
    }

    /// Where Rocket.Chat asks.
    pub fn url(&self) -> &str {
        match self {
            Self::At(url) => url,
            Self::Own => "http://relay:8080",
        }
    }
}

impl RocketchatConfig {
    /// Whether this deployment is its own witness.
    pub fn certifies_itself(&self) -> bool {
        self.federation_tester == Some(Tester::Own)
    }
}

/// A Rocket.Chat that somebody else runs, with its MongoDB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Existing {
    /// The name of its container on this machine.
    Container(String),
    /// On another machine, reached without TLS.
    Elsewhere {
        /// Where it answers, without a final slash.
        url: String,
        /// Where its bridge listens, with a port.
        bridge: String,
    },
}

impl Existing {
    /// Its container's name or its address: what names it in words and in the receipt.
    pub fn name(&self) -> &str {
        match self {
            Self::Container(name) => name,
            Self::Elsewhere { url, .. } => url,
        }
    }
}

/// Whom the servers federate with beyond the public internet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FederationConfig {
    /// Networks that homeservers would not ask by default; each once, none of them everything.
    pub private_networks: Vec<IpNet>,
    /// Authorities trusted beside the public ones.
    pub ca: Option<Authorities>,
}

/// Where certificates come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmeConfig {
    /// The directory URL that issues the certificate.
    pub directory: String,
    /// The directory URL of the rehearsal; none means no rehearsal.
    pub staging: Option<String>,
    /// PEM file with the root that signed the CA's own web certificate.
    pub ca: Option<PathBuf>,
}

/// A server that rcfed runs in a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// nginx, the only one that is published.
    Gateway,
    /// Dendrite or Synapse.
    Homeserver,
    /// Rocket.Chat's database.
    Mongodb,
    /// The homeserver's database.
    Postgres,
    /// rcfed's own service between Dendrite and the bridge.
    Relay,
    /// Rocket.Chat with the bridge.
    Rocketchat,
}

impl Service {
    /// Every service, in alphabetical order.
    pub const ALL: [Self; 6] =
        [Self::Gateway, Self::Homeserver, Self::Mongodb, Self::Postgres, Self::Relay, Self::Rocketchat];

    /// Its name in files, labels, and on the containers' network.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Homeserver => "homeserver",
            Self::Mongodb => "mongodb",
            Self::Postgres => "postgres",
            Self::Relay => "relay",
            Self::Rocketchat => "rocketchat",
        }
    }

    /// Whether it keeps the data of others.
    pub fn is_database(self) -> bool {
        matches!(self, Self::Mongodb | Self::Postgres)
    }

    /// The name of its container.
    pub fn container(self) -> String {
        format!("rcfed-{}", self.name())
    }
}

impl std::fmt::Display for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
