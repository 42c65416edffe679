//! The Docker engine, through its API.
//!
//! Every call has a time-out, and every failure is told with what the engine said. What exists is always inspected
//! before it is made: engines before 25 make a second network of the same name without a word.

mod compare;
mod container;
mod error;
mod exec;
mod foreign;
mod image;
mod inspect;
mod inventory;
mod lifecycle;

use std::collections::HashMap;
use std::time::Duration;

use bollard::Docker as Api;
use bollard::errors::Error as ApiError;
use bollard::models::{Ipam, IpamConfig, NetworkCreateRequest, VolumeCreateRequest};
use bollard::query_parameters::{InspectNetworkOptions, RemoveVolumeOptions};

pub use compare::{Compared, Difference, READS};
pub(crate) use container::seed_name;
pub use container::{Observed, RunState};
pub use error::DockerError;
pub use exec::Output;
pub use foreign::Foreign;
pub use image::ImageConfig;
pub use inventory::{Inventory, Listed, Removed};

/// Label on everything rcfed makes: the kind of the thing.
pub const LABEL_SERVICE: &str = "io.rcfed.service";
/// Label with the hash of what the thing was made from.
pub const LABEL_HASH: &str = "io.rcfed.hash";

/// Label with the reference of the image a container was made from.
pub const LABEL_IMAGE: &str = "io.rcfed.image";
/// Label with the hash of the files a container reads when it starts.
pub const LABEL_READS: &str = "io.rcfed.reads";

/// A connection to an engine.
#[derive(Clone, Debug)]
pub struct Docker {
    api: Api,
    address: String,
    memory: Option<inspect::Memory>,
}

/// The engine's own words about itself.
#[derive(Clone, Debug)]
pub struct Engine {
    /// Version of the engine, e.g. `20.10.24`.
    pub version: String,
    /// Version of the API both sides speak.
    pub api: String,
}

impl Docker {
    /// Takes `unix://…` or a bare socket path; asks nothing yet. The engine must be on this machine: files are mounted.
    pub fn new(address: &str) -> Result<Self, DockerError> {
        // Seconds; the longest single answer is that of stopping a container.
        const TIMEOUT: u64 = 120;
        let api = Api::connect_with_unix(address, TIMEOUT, bollard::API_DEFAULT_VERSION);
        let api = api.map_err(|error| DockerError::unreachable(address, error))?;
        Ok(Self { api, address: address.into(), memory: None })
    }

    /// Agrees on an API version and asks for the engine's.
    pub async fn engine(&mut self) -> Result<Engine, DockerError> {
        let asked = async {
            let api = self.api.clone().negotiate_version().await?;
            let version = api.version().await?;
            Ok::<_, ApiError>((api, version))
        };
        let answer = tokio::time::timeout(Duration::from_secs(10), asked).await;
        let (api, version) = answer
            .map_err(|_| DockerError::Silent { address: self.address.clone() })?
            .map_err(|error| DockerError::unreachable(&self.address, error))?;
        self.api = api;
        Ok(Engine { version: version.version.unwrap_or_default(), api: self.api.client_version().to_string() })
    }

    /// The directory with the engine's data.
    pub async fn root_directory(&self) -> Result<String, DockerError> {
        let info = self.api.info().await.map_err(|e| DockerError::call("ask about", "the engine", e))?;
        Ok(info.docker_root_dir.unwrap_or_else(|| "/var/lib/docker".into()))
    }

    /// The labels of a network; `None` if there is none of that name.
    pub async fn network(&self, name: &str) -> Result<Option<HashMap<String, String>>, DockerError> {
        let found = absent(self.api.inspect_network(name, None::<InspectNetworkOptions>).await);
        let found = found.map_err(|e| DockerError::call("inspect the network", name, e))?;
        // An id prefix matches too; only the name counts.
        let found = found.filter(|network| network.name.as_deref() == Some(name));
        Ok(found.map(|network| network.labels.unwrap_or_default()))
    }

    /// Makes a bridge network, with a private IPv6 subnet if asked.
    pub async fn create_network(&self, name: &str, ipv6: bool) -> Result<(), DockerError> {
        let subnet = IpamConfig { subnet: Some("fd72:6366:6564::/64".into()), ..Default::default() };
        let ipam = ipv6.then(|| Ipam { config: Some(vec![subnet]), ..Default::default() });
        let request = NetworkCreateRequest {
            name: name.into(),
            driver: Some("bridge".into()),
            enable_ipv6: Some(ipv6),
            ipam,
            labels: Some(HashMap::from([(LABEL_SERVICE.into(), "network".into())])),
            ..Default::default()
        };
        self.api.create_network(request).await.map_err(|e| DockerError::call("create the network", name, e))?;
        Ok(())
    }

    /// Removes a network; that there is none is fine.
    pub async fn remove_network(&self, name: &str) -> Result<(), DockerError> {
        let removed = absent(self.api.remove_network(name).await);
        removed.map(|_| ()).map_err(|e| DockerError::call("remove the network", name, e))
    }

    /// The labels of a volume; `None` if there is none of that name.
    pub async fn volume(&self, name: &str) -> Result<Option<HashMap<String, String>>, DockerError> {
        let found = absent(self.api.inspect_volume(name).await);
        let found = found.map_err(|e| DockerError::call("inspect the volume", name, e))?;
        Ok(found.map(|volume| volume.labels))
    }

    /// Makes a named volume.
    pub async fn create_volume(&self, name: &str, service: &str) -> Result<(), DockerError> {
        let request = VolumeCreateRequest {
            name: Some(name.into()),
            labels: Some(HashMap::from([(LABEL_SERVICE.into(), service.into())])),
            ..Default::default()
        };
        self.api.create_volume(request).await.map_err(|e| DockerError::call("create the volume", name, e))?;
        Ok(())
    }

    /// Removes a volume and the data in it; that there is none is fine.
    pub async fn remove_volume(&self, name: &str) -> Result<(), DockerError> {
        let removed = absent(self.api.remove_volume(name, None::<RemoveVolumeOptions>).await);
        removed.map(|_| ()).map_err(|e| DockerError::call("remove the volume", name, e))
    }
}

/// Turns "no such thing" into `None`. Texts differ between engines, the status does not.
fn absent<T>(result: Result<T, ApiError>) -> Result<Option<T>, ApiError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(ApiError::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
