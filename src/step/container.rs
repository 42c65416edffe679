//! Containers, volumes and the network.

use super::State;
use crate::config::Service;
use crate::deployment::Deployment;
use crate::error::{Error, Result};
use crate::host::docker::{LABEL_SERVICE, RunState};
use crate::machine::Machine;
use crate::topology::{NETWORK, Volume};

pub(super) async fn inspect(machine: &Machine, service: Service) -> Result<State> {
    let name = service.container();
    let Some(observed) = machine.observe(service).await? else { return Ok(State::Absent) };
    if observed.service.as_deref() != Some(service.name()) {
        return Ok(State::Foreign(format!("a container `{name}` exists that rcfed did not make")));
    }
    let wanted = machine.topology.container(service).map(|c| c.hash());
    let image = machine.image(service).await?.map(|image| image.id);
    Ok(if observed.hash != wanted {
        State::Differs("its configuration".into())
    } else if image.as_ref() != Some(&observed.image) {
        State::Differs("its image".into())
    } else if observed.state != RunState::Running {
        State::Differs("it does not run".into())
    } else {
        State::Current
    })
}

pub(super) async fn apply(machine: &Machine, service: Service) -> Result<String> {
    let name = service.container();
    let Some(wanted) = machine.topology.container(service) else { return Ok(String::new()) };
    let Some(image) = machine.image(service).await? else {
        return Err(Error::new(format!("there is no image for {name}"), "run `sudo rcfed apply`"));
    };
    let observed = machine.observe(service).await?;
    let same = observed.as_ref().is_some_and(|c| c.hash.as_deref() == Some(&wanted.hash()) && c.image == image.id);
    if !same {
        machine.docker.remove_container(&name).await?;
        machine.docker.create_container(wanted, &image.id, &machine.host.root).await?;
    }
    if matches!(service, Service::Homeserver | Service::Rocketchat) {
        // From its first start on others may know this server by its name, even if this run ends here.
        Deployment::of(&machine.config).keep(&machine.host)?;
    }
    machine.docker.start_container(&name).await?;
    Ok(String::new())
}

pub(super) async fn inspect_network(machine: &Machine) -> Result<State> {
    Ok(match machine.docker.network(NETWORK).await? {
        None => State::Absent,
        Some(labels) if labels.contains_key(LABEL_SERVICE) => State::Current,
        Some(_) => State::Foreign(format!("a network `{NETWORK}` exists that rcfed did not make")),
    })
}

pub(super) async fn apply_network(machine: &Machine) -> Result<String> {
    machine.docker.create_network(NETWORK, machine.topology.ipv6).await?;
    Ok(String::new())
}

pub(super) async fn inspect_volume(machine: &Machine, volume: &Volume) -> Result<State> {
    Ok(match machine.docker.volume(&volume.name).await? {
        None => State::Absent,
        Some(labels) if labels.contains_key(LABEL_SERVICE) => State::Current,
        Some(_) => State::Foreign(format!("a volume `{}` exists that rcfed did not make", volume.name)),
    })
}

pub(super) async fn apply_volume(machine: &Machine, volume: &Volume) -> Result<String> {
    machine.docker.create_volume(&volume.name, volume.service.name()).await?;
    Ok(String::new())
}
