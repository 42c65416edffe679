//! Containers: made from a [`Container`] of the topology, and observed.

use std::collections::HashMap;
use std::path::Path;

use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, EndpointSettings, HealthConfig, HostConfig, HostConfigLogConfig,
    Mount as ApiMount, MountType, NetworkingConfig, PortBinding, RestartPolicy, RestartPolicyNameEnum,
};
use bollard::query_parameters::{CreateContainerOptionsBuilder, LogsOptionsBuilder, UploadToContainerOptionsBuilder};
use futures_util::StreamExt;
use jiff::Timestamp;

use super::{Docker, DockerError, LABEL_HASH, LABEL_IMAGE, LABEL_READS, LABEL_SERVICE};
use crate::config::Service;
use crate::fault;
use crate::topology::{Container, Mount, NETWORK, Source};

/// What runs under a container's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The engine's id.
    pub id: String,
    /// Value of [`LABEL_SERVICE`]; `None` if rcfed did not make it.
    pub service: Option<String>,
    /// Value of [`LABEL_HASH`].
    pub hash: Option<String>,
    /// Value of [`LABEL_IMAGE`].
    pub reference: Option<String>,
    /// Id of the image it was made from.
    pub image: String,
    /// Whether it runs.
    pub state: RunState,
    /// Its address on [`NETWORK`], while it runs.
    pub address: Option<String>,
    /// When it was started, RFC 3339.
    pub started_at: String,
    /// How often the engine restarted it.
    pub restarts: i64,
    /// `healthy`, `unhealthy`, `starting` or empty.
    pub health: String,
}

/// Whether a container runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunState {
    /// Made, never started.
    Created,
    /// Ended, with this exit code; `true` if the kernel killed it for want of memory.
    Exited(i64, bool),
    /// The engine is starting it again and again.
    Restarting(i64),
    /// Frozen by `docker pause`.
    Paused,
    /// Running.
    Running,
}

impl Docker {
    /// What runs under `name`; `None` if nothing of that name exists.
    pub async fn container(&self, name: &str) -> Result<Option<Observed>, DockerError> {
        Ok(self.inspect(name).await?.map(observe))
    }

    /// Makes a container called `name` from an image id, without starting it. `root` stands in front of mounted paths.
    pub async fn create_container(
        &self,
        name: &str,
        wanted: &Container,
        (image, reference): (&str, &str),
        root: &Path,
    ) -> Result<(), DockerError> {
        let failed = |error| DockerError::call("create the container", name, error);
        let body = body(wanted, image, reference, root);
        if !wanted.seeds.is_empty() {
            self.seed(wanted, body.clone()).await?;
        }
        let options = CreateContainerOptionsBuilder::default().name(name).build();
        self.api.create_container(Some(options), body).await.map_err(failed)?;
        fault::point(format_args!("created:{name}"));
        Ok(())
    }

    /// Makes directories in a container's volumes, through one that is never started: the engine writes into no container
    /// whose root is read-only.
    async fn seed(&self, wanted: &Container, mut writable: ContainerCreateBody) -> Result<(), DockerError> {
        let name = wanted.service.container();
        let failed = |error| DockerError::call("prepare the volume", &name, error);
        writable.host_config = writable.host_config.map(|host| HostConfig { readonly_rootfs: Some(false), ..host });
        // By its name one that a killed run left is found again.
        let helper = seed_name(wanted.service);
        self.remove_container(&helper).await?;
        writable.labels = Some(HashMap::from([(LABEL_SERVICE.into(), "seed".into())]));
        let options = CreateContainerOptionsBuilder::default().name(&helper).build();
        self.api.create_container(Some(options), writable).await.map_err(failed)?;
        fault::point(format_args!("seed:{name}"));
        let tar = seeds(wanted).map_err(|e| failed(e.into()));
        let options = UploadToContainerOptionsBuilder::default().path("/").build();
        let sent = match tar {
            Ok(tar) => self.api.upload_to_container(&helper, Some(options), bollard::body_full(tar.into())).await,
            Err(error) => return self.remove_container(&helper).await.and(Err(error)),
        };
        self.remove_container(&helper).await?;
        sent.map_err(failed)
    }

    /// The last lines a container printed, at most `lines`.
    pub async fn last_lines(&self, name: &str, lines: usize) -> Result<Vec<String>, DockerError> {
        self.read_log(name, LogsOptionsBuilder::default().tail(&lines.to_string())).await
    }

    /// The lines a container printed since then, at most the last `lines`.
    pub async fn lines_since(&self, name: &str, since: Timestamp, lines: usize) -> Result<Vec<String>, DockerError> {
        // The engine's client knows whole seconds only; each line tells its time more closely.
        let seconds = i32::try_from(since.as_second()).unwrap_or(i32::MAX);
        let options = LogsOptionsBuilder::default().since(seconds).timestamps(true).tail(&lines.to_string());
        let lines = self.read_log(name, options).await?.into_iter();
        let fresh = |line: String| {
            let (at, text) = line.split_once(' ')?;
            at.parse::<Timestamp>().is_ok_and(|at| at >= since).then(|| text.to_owned())
        };
        Ok(lines.filter_map(fresh).collect())
    }

    async fn read_log(&self, name: &str, options: LogsOptionsBuilder) -> Result<Vec<String>, DockerError> {
        let mut logs = self.api.logs(name, Some(options.stdout(true).stderr(true).build()));
        let mut text = Vec::new();
        while let Some(part) = logs.next().await {
            let part = part.map_err(|e| DockerError::call("read the log of", name, e))?;
            text.extend_from_slice(&part.into_bytes());
        }
        let text = String::from_utf8_lossy(&text);
        Ok(text.lines().map(|line| line.trim_end().to_string()).filter(|line| !line.is_empty()).collect())
    }

    /// Hands every line a container prints to `print`, from the last `lines` (or `all`) on, for ever if `follow`.
    pub async fn logs(
        &self,
        name: &str,
        lines: &str,
        follow: bool,
        mut print: impl FnMut(&str),
    ) -> Result<(), DockerError> {
        let builder = LogsOptionsBuilder::default().stdout(true).stderr(true).follow(follow);
        let mut logs = self.api.logs(name, Some(builder.tail(lines).build()));
        while let Some(part) = logs.next().await {
            let part = part.map_err(|e| DockerError::call("read the log of", name, e))?.into_bytes();
            print(String::from_utf8_lossy(&part).trim_end());
        }
        Ok(())
    }
}

/// The name of the container through which a service's volume is prepared.
pub(crate) fn seed_name(service: Service) -> String {
    format!("{}-seed", service.container())
}

pub(super) fn body(wanted: &Container, image: &str, reference: &str, root: &Path) -> ContainerCreateBody {
    let service = wanted.service;
    let ports: HashMap<_, _> = wanted
        .ports
        .iter()
        .map(|port| {
            let address = (!port.address.is_empty()).then(|| port.address.clone());
            let binding = PortBinding { host_ip: address, host_port: Some(port.host.to_string()) };
            (format!("{}/tcp", port.container), Some(vec![binding]))
        })
        .collect();
    let log = HashMap::from([("max-size".to_string(), "10m".to_string()), ("max-file".to_string(), "3".to_string())]);
    let host = HostConfig {
        mounts: Some(wanted.mounts.iter().map(|m| mount(m, root)).collect()),
        port_bindings: Some(ports),
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::UNLESS_STOPPED),
            maximum_retry_count: None,
        }),
        log_config: Some(HostConfigLogConfig { typ: Some("json-file".into()), config: Some(log) }),
        cap_drop: Some(vec!["ALL".into()]),
        cap_add: Some(wanted.capabilities.clone()),
        security_opt: Some(vec!["no-new-privileges:true".into()]),
        readonly_rootfs: Some(wanted.read_only),
        tmpfs: Some(wanted.tmpfs.clone().into_iter().collect()),
        group_add: Some(wanted.groups.iter().map(ToString::to_string).collect()),
        network_mode: Some(NETWORK.into()),
        memory: wanted.memory.map(|mib| i64::from(mib) * 1024 * 1024),
        ..Default::default()
    };
    let endpoint = EndpointSettings { aliases: Some(vec![service.name().into()]), ..Default::default() };
    const SECOND: i64 = 1_000_000_000;
    let health = HealthConfig {
        test: Some(wanted.health.test.clone()),
        interval: Some(i64::from(wanted.health.interval) * SECOND),
        timeout: Some(10 * SECOND),
        retries: Some(3),
        start_period: Some(i64::from(wanted.health.start_period) * SECOND),
        ..Default::default()
    };
    let labels = [
        (LABEL_SERVICE, service.name().to_string()),
        (LABEL_HASH, wanted.hash()),
        (LABEL_IMAGE, reference.to_string()),
        (LABEL_READS, wanted.reads.clone()),
    ];
    ContainerCreateBody {
        image: Some(image.into()),
        hostname: Some(service.name().into()),
        user: wanted.user.clone(),
        entrypoint: wanted.entrypoint.clone(),
        cmd: wanted.command.clone(),
        env: Some(wanted.env.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        exposed_ports: Some(wanted.ports.iter().map(|port| format!("{}/tcp", port.container)).collect()),
        healthcheck: Some(health),
        labels: Some(labels.map(|(name, value)| (name.to_string(), value)).into()),
        stop_timeout: Some(i64::from(wanted.stop_seconds)),
        host_config: Some(host),
        networking_config: Some(NetworkingConfig {
            endpoints_config: Some(HashMap::from([(NETWORK.into(), endpoint)])),
        }),
        ..Default::default()
    }
}

fn mount(mount: &Mount, root: &Path) -> ApiMount {
    let (typ, source) = match &mount.source {
        Source::Path(path) => {
            let path = root.join(path.strip_prefix("/").unwrap_or(path));
            (MountType::BIND, path.to_string_lossy().into_owned())
        }
        Source::Volume(name) => (MountType::VOLUME, name.clone()),
    };
    ApiMount {
        target: Some(mount.target.clone()),
        source: Some(source),
        typ: Some(typ),
        read_only: Some(mount.read_only),
        ..Default::default()
    }
}

/// An archive of empty directories that belong to the container's user: a volume itself belongs to root where the
/// image has no directory at its place.
fn seeds(wanted: &Container) -> std::io::Result<Vec<u8>> {
    let user = wanted.user.as_deref().unwrap_or("0:0");
    let id = |text: Option<&str>| text.and_then(|t| t.parse().ok()).unwrap_or_default();
    let (uid, gid) = user.split_once(':').map_or((0, 0), |(u, g)| (id(Some(u)), id(Some(g))));
    let mut archive = tar::Builder::new(Vec::new());
    for path in &wanted.seeds {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(0o750);
        header.set_uid(uid);
        header.set_gid(gid);
        header.set_size(0);
        archive.append_data(&mut header, path.strip_prefix("/").unwrap_or(path), std::io::empty())?;
    }
    archive.into_inner()
}

fn observe(container: ContainerInspectResponse) -> Observed {
    let labels = container.config.and_then(|config| config.labels).unwrap_or_default();
    let state = container.state.unwrap_or_default();
    let code = state.exit_code.unwrap_or_default();
    let networks = container.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
    let address = networks.get(NETWORK).and_then(|n| n.ip_address.clone()).filter(|a| !a.is_empty());
    let health = state.health.and_then(|health| health.status).map(|status| status.to_string()).unwrap_or_default();
    let status = state.status.map(|status| status.to_string()).unwrap_or_default();
    let run = match status.as_str() {
        "created" => RunState::Created,
        "restarting" => RunState::Restarting(code),
        "paused" => RunState::Paused,
        "running" => RunState::Running,
        _ => RunState::Exited(code, state.oom_killed.unwrap_or_default()),
    };
    Observed {
        id: container.id.unwrap_or_default(),
        service: labels.get(LABEL_SERVICE).cloned(),
        hash: labels.get(LABEL_HASH).cloned(),
        reference: labels.get(LABEL_IMAGE).cloned(),
        image: container.image.unwrap_or_default(),
        state: run,
        address,
        started_at: state.started_at.unwrap_or_default(),
        restarts: container.restart_count.unwrap_or_default(),
        health,
    }
}
