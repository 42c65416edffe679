//! Containers that somebody else made: looked at, connected to rcfed's network and disconnected again, and nothing else.

use std::collections::BTreeMap;

use bollard::models::{ContainerInspectResponse, EndpointSettings, NetworkConnectRequest, NetworkDisconnectRequest};
use bollard::query_parameters::ListContainersOptionsBuilder;

use super::{Docker, DockerError, LABEL_SERVICE, absent};
use crate::fault;
use crate::topology::NETWORK;

/// A container that somebody else made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Foreign {
    /// Its name.
    pub name: String,
    /// The image it was made from, as it was called.
    pub image: String,
    /// Whether it runs.
    pub running: bool,
    /// Whether it has no network of its own but the machine's, or another container's.
    pub shares_network: bool,
    /// The project of docker compose that it belongs to.
    pub project: Option<String>,
    /// Its environment. Values may be secrets.
    pub env: BTreeMap<String, String>,
    /// Its address and its names in each of its networks.
    pub networks: BTreeMap<String, (String, Vec<String>)>,
}

impl Foreign {
    /// Its address as this machine reaches it: on rcfed's network, or else on any.
    pub fn address(&self) -> Option<&str> {
        let own = self.networks.get(NETWORK).into_iter();
        let mut all = own.chain(self.networks.values()).map(|(address, _)| address.as_str());
        all.find(|address| !address.is_empty()).filter(|_| self.running)
    }
}

impl Docker {
    /// The container `name`, if there is one and rcfed did not make it.
    pub async fn foreign(&self, name: &str) -> Result<Option<Foreign>, DockerError> {
        Ok(self.inspect(name).await?.and_then(read))
    }

    /// Every running container that rcfed did not make.
    pub async fn all_foreign(&self) -> Result<Vec<Foreign>, DockerError> {
        let running = ListContainersOptionsBuilder::default().build();
        let listed = self.api.list_containers(Some(running)).await;
        let listed = listed.map_err(|error| DockerError::call("list", "the containers", error))?;
        let mut all = Vec::new();
        for name in listed.into_iter().filter_map(|container| container.names?.into_iter().next()) {
            // One that ended meanwhile is none.
            all.extend(self.foreign(name.trim_start_matches('/')).await?);
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// Connects a container to rcfed's network, where it is found as `alias`; it goes on running.
    pub async fn connect(&self, container: &str, alias: &str) -> Result<(), DockerError> {
        let request = NetworkConnectRequest {
            container: container.into(),
            endpoint_config: Some(EndpointSettings { aliases: Some(vec![alias.into()]), ..Default::default() }),
        };
        let connected = self.api.connect_network(NETWORK, request).await;
        connected.map_err(|e| DockerError::call("connect the container", container, e))?;
        fault::point(format_args!("connected:{container}"));
        Ok(())
    }

    /// Takes a container from rcfed's network; that it is not on it is fine. It goes on running.
    pub async fn disconnect(&self, container: &str) -> Result<(), DockerError> {
        let request = NetworkDisconnectRequest { container: container.into(), force: Some(false) };
        let disconnected = absent(self.api.disconnect_network(NETWORK, request).await);
        disconnected.map_err(|e| DockerError::call("disconnect the container", container, e))?;
        fault::point(format_args!("disconnected:{container}"));
        Ok(())
    }
}

fn read(container: ContainerInspectResponse) -> Option<Foreign> {
    let config = container.config.unwrap_or_default();
    let labels = config.labels.unwrap_or_default();
    if labels.contains_key(LABEL_SERVICE) {
        return None;
    }
    let mode = container.host_config.and_then(|host| host.network_mode).unwrap_or_default();
    let networks = container.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
    let variable = |text: String| text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    Some(Foreign {
        name: container.name.unwrap_or_default().trim_start_matches('/').into(),
        image: config.image.unwrap_or_default(),
        running: container.state.and_then(|state| state.running).unwrap_or_default(),
        shares_network: mode == "host" || mode == "none" || mode.starts_with("container:"),
        project: labels.get("com.docker.compose.project").cloned(),
        env: config.env.unwrap_or_default().into_iter().filter_map(variable).collect(),
        networks: networks
            .into_iter()
            .map(|(name, end)| (name, (end.ip_address.unwrap_or_default(), end.aliases.unwrap_or_default())))
            .collect(),
    })
}
