//! The containers one by one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::container::{Container, Health, ImageSource, Mount, Port, Source, hex};
use super::{File, Volume};
use crate::compat::{self, RELAY_USER, ROCKETCHAT_GROUP};
use crate::config::{Config, Profile, Proxy, Service};
use crate::layout;
use crate::render;
use crate::secrets::SecretName;
use crate::sizes::Sizes;

/// User and group that own the files mounted into a service's container.
pub(super) fn owner(profile: Profile, service: Service) -> (u32, u32) {
    match service {
        Service::Relay => RELAY_USER,
        Service::Rocketchat => (0, ROCKETCHAT_GROUP),
        _ => compat::image(profile, service).and_then(|image| image.user).unwrap_or((0, 0)),
    }
}

/// The volume of a service that keeps data.
pub(crate) fn volume(service: Service) -> Option<Volume> {
    let keeps = service != Service::Gateway;
    keeps.then(|| Volume { name: service.container(), service })
}

pub(super) fn container(
    config: &Config,
    sizes: &Sizes,
    service: Service,
    files: &[File],
    versions: &BTreeMap<SecretName, u32>,
) -> Container {
    let image = compat::image(config.profile, service);
    let user = image.as_ref().map_or(Some(RELAY_USER), |image| image.user);
    let mut container = Container {
        service,
        image: compat::reference(config, service).map_or(ImageSource::Own, ImageSource::Pull),
        entrypoint: None,
        command: None,
        user: user.map(|(uid, gid)| format!("{uid}:{gid}")),
        groups: Vec::new(),
        env: BTreeMap::new(),
        mounts: vec![read_only(layout::service(service), layout::MOUNT)],
        seeds: Vec::new(),
        ports: Vec::new(),
        capabilities: Vec::new(),
        read_only: image.as_ref().is_none_or(|image| image.read_only),
        tmpfs: BTreeMap::new(),
        memory: config.memory.get(&service).copied(),
        health: Health { test: Vec::new(), interval: 15, start_period: 60 },
        stop_seconds: image.as_ref().map_or(10, |image| image.stop_seconds),
        reads: reads(service, files, versions),
    };
    if let Some(image) = &image {
        container.capabilities = words(image.capabilities);
        container.tmpfs = image.tmpfs.iter().map(|(path, options)| (path.to_string(), options.to_string())).collect();
    }
    if let Some(data) = volume(service) {
        let target = data_path(config.profile, service);
        container.mounts.push(Mount { source: Source::Volume(data.name), target: target.into(), read_only: false });
    }
    match service {
        Service::Gateway => gateway(config, &mut container),
        Service::Homeserver if config.profile == Profile::Dendrite => dendrite(&mut container),
        Service::Homeserver => synapse(&mut container),
        Service::Mongodb => mongodb(sizes, &mut container),
        Service::Postgres => postgres(&mut container),
        Service::Relay => relay(&mut container),
        Service::Rocketchat => rocketchat(config, sizes, &mut container),
    }
    if service == Service::Homeserver && config.federation.ca.is_some() {
        trust(&mut container);
    }
    container
}

/// The file beside what the image trusts. Go's and OpenSSL's stores read the directory too, and both lists count; with
/// the file alone pyOpenSSL would look for nothing else, and Synapse's `federation_custom_ca_list` is instead of all
/// others (synapse/crypto/context_factory.py).
fn trust(container: &mut Container) {
    let mount = &container.mounts[0].target;
    container.env.insert("SSL_CERT_FILE".into(), format!("{mount}/{}", render::AUTHORITIES));
    container.env.insert("SSL_CERT_DIR".into(), "/etc/ssl/certs".into());
}

fn gateway(config: &Config, container: &mut Container) {
    container.entrypoint = Some(words(&["nginx", "-c", "/run/rcfed/nginx.conf", "-g", "daemon off;"]));
    container.command = Some(Vec::new());
    container.mounts.push(read_only(layout::CHALLENGES.into(), "/run/rcfed-challenges"));
    container.mounts.push(read_only(layout::CERTIFICATE.into(), "/run/rcfed-certificate"));
    // Behind another proxy: the whole site in plain HTTP, and apart from it the challenges.
    let (address, ports) = match config.proxy {
        Proxy::Gateway => ("", [(80, 80), (443, 443)]),
        Proxy::Host | Proxy::None => ("127.0.0.1", [(8080, 8080), (8081, 80)]),
    };
    container.ports = ports.map(|(host, container)| Port { address: address.into(), host, container }).into();
    container.health.test = words(&["CMD", "curl", "-fsS", "-o", "/dev/null", "http://127.0.0.1:8008/rcfed/http"]);
    // Its files are reloaded, never a reason to start anew.
    container.reads = String::new();
}

fn dendrite(container: &mut Container) {
    container.mounts[0].target = "/etc/dendrite".into();
    container.seeds = ["media", "jetstream"].map(|dir| Path::new("/var/dendrite").join(dir)).into();
    container.health.test =
        words(&["CMD", "curl", "-fsS", "-o", "/dev/null", "http://127.0.0.1:8008/_dendrite/monitor/health"]);
}

fn synapse(container: &mut Container) {
    container.env.insert("SYNAPSE_CONFIG_DIR".into(), layout::MOUNT.into());
    container.env.insert("SYNAPSE_CONFIG_PATH".into(), format!("{}/homeserver.yaml", layout::MOUNT));
    // For the module beside the configuration.
    container.env.insert("PYTHONPATH".into(), layout::MOUNT.into());
    container.seeds = vec!["/data/media_store".into()];
    container.health.test = words(&["CMD", "curl", "-fsS", "-o", "/dev/null", "http://127.0.0.1:8008/health"]);
}

fn mongodb(sizes: &Sizes, container: &mut Container) {
    let cache = sizes.wiredtiger_gb.to_string();
    let keyfile = format!("{}/keyfile", layout::MOUNT);
    container.command = Some(words(&[
        "mongod",
        "--replSet",
        "rs0",
        "--keyFile",
        &keyfile,
        "--bind_ip_all",
        "--wiredTigerCacheSizeGB",
        &cache,
        "--quiet",
    ]));
    if sizes.ipv6 {
        // Without it nothing listens at the address that Docker's DNS may give first.
        container.command.get_or_insert_default().push("--ipv6".into());
    }
    // mongosh takes a second of CPU and 100 MB each time; that the port answers is enough here, rcfed asks the rest.
    container.health.test = words(&["CMD", "bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/27017"]);
}

fn postgres(container: &mut Container) {
    container.command = Some(words(&["sh", "/run/rcfed/start.sh"]));
    container.health.test = words(&["CMD", "pg_isready", "-q", "-h", "127.0.0.1"]);
}

fn relay(container: &mut Container) {
    let config = format!("{}/relay.toml", layout::MOUNT);
    container.entrypoint = Some(words(&["/rcfed", "relay", "--config", &config]));
    container.command = Some(Vec::new());
    container.health.test = words(&["CMD", "/rcfed", "relay", "--config", &config, "--check"]);
    container.health.start_period = 10;
    container.seeds = vec![layout::RELAY_JOURNAL.into()];
}

fn rocketchat(config: &Config, sizes: &Sizes, container: &mut Container) {
    container.command = Some(words(&["sh", "/run/rcfed/start.sh"]));
    container.groups = vec![ROCKETCHAT_GROUP];
    container.env = render::rocketchat_env(config, sizes);
    container.health.test = words(&["CMD", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1:3000/api/info"]);
    container.health.start_period = 300;
}

fn data_path(profile: Profile, service: Service) -> &'static str {
    match service {
        Service::Homeserver if profile == Profile::Dendrite => "/var/dendrite",
        Service::Homeserver => "/data",
        Service::Mongodb => "/data/db",
        Service::Postgres => "/var/lib/postgresql/data",
        Service::Relay => layout::RELAY_DATA,
        _ => "/app/uploads",
    }
}

fn read_only(path: PathBuf, target: &str) -> Mount {
    Mount { source: Source::Path(path), target: target.into(), read_only: true }
}

/// Covers the text of the files and the versions of the secrets in them, never a secret's value.
fn reads(service: Service, files: &[File], versions: &BTreeMap<SecretName, u32>) -> String {
    let mut hash = Sha256::new();
    for file in files.iter().filter(|f| f.service == service) {
        hash.update(file.path.to_string_lossy().as_bytes());
        hash.update([0]);
        hash.update(file.text.as_bytes());
        hash.update([0]);
        // The first password counts only for the first start; a later one is no reason to start anew.
        for name in render::secrets_in(&file.text).into_iter().filter(|name| *name != SecretName::AdminPassword) {
            hash.update(versions.get(&name).copied().unwrap_or(1).to_le_bytes());
        }
    }
    hex(&hash.finalize())
}

fn words(text: &[&str]) -> Vec<String> {
    text.iter().map(ToString::to_string).collect()
}
