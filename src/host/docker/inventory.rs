//! Everything an engine has, and taking away what nobody else uses.

use std::collections::HashMap;

use bollard::models::NetworkDisconnectRequest;
use bollard::query_parameters::{
    InspectNetworkOptions, ListContainersOptionsBuilder, ListImagesOptions, ListVolumesOptions, RemoveImageOptions,
};

use super::{Docker, DockerError, LABEL_SERVICE, absent};

/// Everything an engine has.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// Containers, running or not.
    pub containers: Vec<Listed>,
    /// Ids of images, with their tags.
    pub images: Vec<(String, Vec<String>)>,
    /// Volumes that rcfed did not make.
    pub foreign_volumes: Vec<String>,
}

/// A container in a list.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Whether rcfed made it.
    pub ours: bool,
    /// Id of its image.
    pub image: String,
    /// Names of its networks.
    pub networks: Vec<String>,
    /// Names of the volumes mounted into it.
    pub volumes: Vec<String>,
}

/// What became of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removed {
    /// It is gone, or its name is, where it has several.
    Gone,
    /// Something else needs it: in the engine's words.
    Used(String),
}

impl Docker {
    /// Lists everything.
    pub async fn inventory(&self) -> Result<Inventory, DockerError> {
        let failed = |error| DockerError::call("list", "everything", error);
        let all = ListContainersOptionsBuilder::default().all(true).build();
        let containers = self.api.list_containers(Some(all)).await.map_err(failed)?;
        let containers = containers.into_iter().map(|container| {
            let mounts = container.mounts.unwrap_or_default();
            let networks = container.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
            let name = container.names.unwrap_or_default().into_iter().next().unwrap_or_default();
            Listed {
                name: name.trim_start_matches('/').into(),
                ours: container.labels.unwrap_or_default().contains_key(LABEL_SERVICE),
                image: container.image_id.unwrap_or_default(),
                networks: networks.into_keys().collect(),
                volumes: mounts.into_iter().filter_map(|mount| mount.name).collect(),
            }
        });
        let images = self.api.list_images(None::<ListImagesOptions>).await.map_err(failed)?;
        let volumes = self.api.list_volumes(None::<ListVolumesOptions>).await.map_err(failed)?;
        let foreign = volumes.volumes.unwrap_or_default().into_iter().filter(|v| !v.labels.contains_key(LABEL_SERVICE));
        Ok(Inventory {
            containers: containers.collect(),
            images: images.into_iter().map(|image| (image.id, image.repo_tags)).collect(),
            foreign_volumes: foreign.map(|volume| volume.name).collect(),
        })
    }

    /// Removes an image if nothing else needs it; that there is none is fine.
    pub async fn remove_image(&self, reference: &str) -> Result<Removed, DockerError> {
        match absent(self.api.remove_image(reference, None::<RemoveImageOptions>, None).await) {
            Ok(_) => Ok(Removed::Gone),
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 409, message }) => {
                Ok(Removed::Used(message))
            }
            Err(error) => Err(DockerError::call("remove the image", reference, error)),
        }
    }

    /// Takes away connections of a network whose containers are gone: engines up to 20.10 forget them when a container is
    /// removed while its health check runs, and then keep the network for ever.
    pub async fn disconnect_ghosts(&self, network: &str) -> Result<(), DockerError> {
        let failed = |error| DockerError::call("disconnect everything from", network, error);
        let found = absent(self.api.inspect_network(network, None::<InspectNetworkOptions>).await).map_err(failed)?;
        let ends: HashMap<_, _> = found.and_then(|network| network.containers).unwrap_or_default();
        for end in ends.into_values().filter_map(|end| end.name) {
            if self.container(&end).await?.is_none() {
                let request = NetworkDisconnectRequest { container: end, force: Some(true) };
                absent(self.api.disconnect_network(network, request).await).map_err(failed)?;
            }
        }
        Ok(())
    }
}
