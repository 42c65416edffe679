//! A deployment as data: directories, secrets, files, volumes, one network, containers.
//!
//! Pure: the same configuration, sizes and secret versions give the same topology, so its hashes can be compared with
//! the labels of what runs.

mod container;
mod service;

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::config::{Config, Service};
use crate::host::fs::Access;
use crate::layout;
use crate::render::{self, Digests, Phase, RenderError, Site};
use crate::secrets::SecretName;
use crate::sizes::Sizes;

pub use container::{Container, Health, ImageSource, Mount, Port, Source, hex};
pub(crate) use service::volume;

/// The one network everything lives on.
pub const NETWORK: &str = "rcfed";

/// Everything a deployment consists of.
#[derive(Clone, Debug)]
pub struct Topology {
    /// Containers, in the order of [`Config::services`].
    pub containers: Vec<Container>,
    /// What the gateway answers when asked which configuration it has loaded.
    pub digests: Digests,
    /// Directories, parents first.
    pub directories: Vec<Directory>,
    /// Files with secret marks in them.
    pub files: Vec<File>,
    /// Whether the network has IPv6.
    pub ipv6: bool,
    /// Secrets, and where each comes from.
    pub secrets: Vec<Secret>,
    /// Files of the machine's own nginx, where that one is the proxy.
    pub sites: Vec<Site>,
    /// Named volumes.
    pub volumes: Vec<Volume>,
}

/// A directory rcfed makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// Path as in production.
    pub path: PathBuf,
    /// Owner and mode.
    pub access: Access,
}

/// A file rcfed writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Path as in production.
    pub path: PathBuf,
    /// Owner and mode.
    pub access: Access,
    /// Content, with [`SecretName::mark`]s where secrets belong.
    pub text: String,
    /// The service that reads it.
    pub service: Service,
    /// Whether it needs a certificate to exist first.
    pub phase: Phase,
}

/// A secret and its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// Which one.
    pub name: SecretName,
    /// Where its value comes from.
    pub origin: Origin,
}

/// Where a secret's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file of the user, copied.
    File(PathBuf),
    /// What the Rocket.Chat that runs already has, if nobody can guess it; else made once, with this many letters and digits.
    Exchange(usize),
    /// Made once, for a person to type.
    Password,
    /// Made once, this many letters and digits.
    Random(usize),
    /// Made once: 32 random bytes as padded base64.
    Seed,
}

/// A named volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Its name in Docker.
    pub name: String,
    /// The service whose data it holds.
    pub service: Service,
}

/// Lays out a deployment. `versions` holds the version of each secret; a missing one counts as 1.
pub fn topology(config: &Config, sizes: &Sizes, versions: &BTreeMap<SecretName, u32>) -> Result<Topology, RenderError> {
    let sizes = &sizes.within(&config.memory);
    let services = &config.services();
    let files = files(config, sizes)?;
    let containers = services.iter().map(|s| service::container(config, sizes, *s, &files, versions)).collect();
    let volumes = services.iter().filter_map(|s| service::volume(*s)).collect();
    let directories = directories(services, &files);
    let digests = render::digests(config, sizes)?;
    Ok(Topology {
        containers,
        digests,
        directories,
        files,
        ipv6: sizes.ipv6,
        secrets: secrets(config),
        sites: render::sites(config, sizes)?,
        volumes,
    })
}

impl Topology {
    /// The container of a service.
    pub fn container(&self, service: Service) -> Option<&Container> {
        self.containers.iter().find(|c| c.service == service)
    }
}

fn files(config: &Config, sizes: &Sizes) -> Result<Vec<File>, RenderError> {
    let rendered = render::files(config, sizes)?;
    let file = |r: render::Rendered| {
        let (uid, gid) = service::owner(config.profile, r.service);
        let path = layout::service(r.service).join(r.name);
        // Where the files belong to a group, the group needs what elsewhere the owner has.
        let mode = if r.service == Service::Rocketchat { r.mode | (r.mode & 0o400) >> 3 } else { r.mode };
        File { path, access: Access { mode, uid, gid }, text: r.text, service: r.service, phase: r.phase }
    };
    Ok(rendered.into_iter().map(file).collect())
}

fn directories(services: &[Service], files: &[File]) -> Vec<Directory> {
    let fixed = [
        ("/etc/rcfed", 0o755),
        (layout::STATE, 0o755),
        (layout::SECRETS, 0o700),
        (layout::ACME, 0o755),
        (layout::CHALLENGES, 0o755),
        (layout::CERTIFICATE, 0o700),
        ("/var/lib/rcfed/services", 0o755),
    ];
    let mut all: BTreeMap<PathBuf, Access> = fixed.map(|(path, mode)| (path.into(), Access::root(mode))).into();
    for service in services {
        let owner = files.iter().find(|f| f.service == *service).map_or((0, 0), |f| (f.access.uid, f.access.gid));
        let access = Access { mode: 0o750, uid: owner.0, gid: owner.1 };
        all.insert(layout::service(*service), access);
        for file in files.iter().filter(|f| f.service == *service) {
            if let Some(parent) = file.path.parent() {
                all.entry(parent.into()).or_insert(access);
            }
        }
    }
    // A BTreeMap of paths has parents before children.
    all.into_iter().map(|(path, access)| Directory { path, access }).collect()
}

/// Every secret of a deployment, by name.
pub(crate) fn secrets(config: &Config) -> Vec<Secret> {
    use SecretName as N;
    let existing = config.rocketchat.existing.is_some();
    let mut all = Vec::new();
    if !existing {
        all.extend([(N::MongoAdmin, 43), (N::MongoKeyfile, 86), (N::MongoRocketchat, 43)]);
    }
    let bridge = [(N::AppserviceId, 20), (N::AsToken, 64), (N::HsToken, 64)];
    if config.profile.has_homeserver() {
        if !existing {
            all.extend(bridge);
        }
        all.extend([
            (N::PostgresHomeserver, 43),
            (N::FormSecret, 43),
            (N::MacaroonKey, 43),
            (N::RegistrationSharedSecret, 43),
            (N::SigningKeyId, 6),
        ]);
    }
    let mut secrets: Vec<Secret> =
        all.into_iter().map(|(name, length)| Secret { name, origin: Origin::Random(length) }).collect();
    if config.profile.has_homeserver() {
        secrets.push(Secret { name: N::SigningKey, origin: Origin::Seed });
        if existing {
            secrets.extend(bridge.map(|(name, length)| Secret { name, origin: Origin::Exchange(length) }));
        }
    }
    let admin = config.admin.password_file.clone().map_or(Origin::Password, Origin::File);
    secrets.push(Secret { name: N::AdminPassword, origin: admin });
    let files = [
        (N::RegistrationToken, &config.rocketchat.registration_token_file),
        (N::License, &config.rocketchat.license_file),
    ];
    for (name, file) in files {
        secrets.extend(file.clone().map(|path| Secret { name, origin: Origin::File(path) }));
    }
    secrets.sort_by_key(|s| s.name);
    secrets
}
