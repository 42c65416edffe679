//! Containers, volumes and the network.

use std::path::PathBuf;

use super::error::StepError;
use super::words;
use super::{State, previous, replace};
use crate::config::Service;
use crate::error::Result;
use crate::host::docker::{Compared, LABEL_SERVICE, Observed, RunState};
use crate::machine::Machine;
use crate::ran::Image;
use crate::topology::{NETWORK, Volume};
use crate::ui::Task;

pub(super) async fn inspect(machine: &Machine, service: Service) -> Result<State> {
    let name = service.container();
    let observed = machine.observe(service).await?;
    if observed.as_ref().is_some_and(|container| container.service.as_deref() != Some(service.name())) {
        return Ok(State::Foreign(format!("a container `{name}` exists that rcfed did not make")));
    }
    if replace::interrupted(machine, service).await? {
        return Ok(State::Differs(words::INTERRUPTED.into()));
    }
    let Some(observed) = observed else { return Ok(State::Absent) };
    let compared = compare(machine, service).await?.unwrap_or_default();
    Ok(if !compared.differences.is_empty() {
        State::Differs(compared.words())
    } else if let (RunState::Running, Some(file)) = (&observed.state, read_changed(machine, &observed, service)?) {
        State::Differs(format!("it was started with another {}", file.display()))
    } else if observed.state != RunState::Running {
        State::Differs("it does not run".into())
    } else {
        State::Current
    })
}

/// A file that was changed by hand when the container read it. What the gateway reads is the affair of its reload.
fn read_changed(machine: &Machine, observed: &Observed, service: Service) -> Result<Option<PathBuf>> {
    if service == Service::Gateway {
        return Ok(None);
    }
    previous::read_changed(machine, service, Some(&observed.started_at))
}

/// In what the container differs from the wanted one; `None` if there is none.
pub(crate) async fn compare(machine: &Machine, service: Service) -> Result<Option<Compared>> {
    let Some(wanted) = machine.topology.container(service) else { return Ok(None) };
    let image = machine.image(service).await?.map(|image| image.id);
    let reference = machine.reference(service)?;
    Ok(machine.docker.compare(wanted, image.as_deref(), &reference, &machine.host.root).await?)
}

pub(super) async fn apply(machine: &Machine, service: Service, task: &Task) -> Result<String> {
    let Some(image) = machine.image(service).await? else {
        return Err(StepError::NoImage(service).into());
    };
    let image = Image { reference: machine.reference(service)?, id: image.id };
    let interrupted = replace::tidy(machine, service, task).await?;
    let Some(observed) = machine.observe(service).await? else {
        replace::create(machine, service, image, task).await?;
        return Ok(String::new());
    };
    let compared = compare(machine, service).await?.unwrap_or_default();
    if compared.differences.is_empty()
        && observed.state == RunState::Running
        && let Some(file) = read_changed(machine, &observed, service)?
    {
        machine.docker.restart_container(&service.container()).await?;
        previous::forget(machine, service)?;
        return Ok(format!("started again with {}", file.display()));
    }
    // One whose network was removed says nothing of it, and cannot be started any more.
    let starts = compared.differences.is_empty() && replace::start(machine, service, image.clone()).await.is_ok();
    if !starts {
        let what = replace::Replacement { old: &observed, image, interrupted };
        replace::replace(machine, service, what, task).await?;
    }
    Ok(compared.words())
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
