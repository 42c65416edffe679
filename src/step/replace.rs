//! A new container in the place of an old one, and the old one back where that is safe.
//!
//! The new container is made before the old one stops, so that what the engine refuses costs nobody anything. The old one
//! is kept, stopped, under another name until the new one answers. A killed run leaves at most these two names behind;
//! [`tidy`] knows what each combination means.

use std::time::Duration;

use super::error::StepError;
use super::ready::{self, Watch};
use super::words;
use super::{State, database, dump, previous, reload};
use crate::config::Service;
use crate::deployment::Deployment;
use crate::error::{Error, Result};
use crate::fault;
use crate::host::docker::{Observed, RunState};
use crate::machine::Machine;
use crate::ran::{Image, Ran};
use crate::ui::Task;

/// What the old container is called while the new one proves itself.
pub(super) fn kept(service: Service) -> String {
    format!("{}-previous", service.container())
}

/// What the new container is called until the old one has stopped.
pub(super) fn next(service: Service) -> String {
    format!("{}-next", service.container())
}

/// Whether a run ended in the middle of a replacement.
pub(super) async fn interrupted(machine: &Machine, service: Service) -> Result<bool> {
    for name in [kept(service), next(service)] {
        if ours(machine, &name, service).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn ours(machine: &Machine, name: &str, service: Service) -> Result<Option<Observed>> {
    let found = machine.docker.container(name).await?;
    Ok(found.filter(|container| container.service.as_deref() == Some(service.name())))
}

/// Sorts out what a killed run left. Returns whether the container that is there now was stopped by that run and by
/// nothing else: it is one to go back to.
pub(super) async fn tidy(machine: &Machine, service: Service, task: &Task) -> Result<bool> {
    let (name, docker) = (service.container(), &machine.docker);
    let begun = ours(machine, &next(service), service).await?.is_some();
    let new = machine.observe(service).await?;
    if let Some(old) = ours(machine, &kept(service), service).await? {
        if let Some(new) = new.filter(|new| new.state != RunState::Created) {
            docker.start_container(&name).await?;
            prove(machine, service, may_go_back(machine, service, &old, &new.image)?, task).await?;
            return Ok(false);
        }
        // The new one never ran: between the two new names, or before its start.
        docker.remove_container(&name).await?;
        docker.rename_container(&kept(service), &name).await?;
    } else if !begun || !new.is_some_and(|old| matches!(old.state, RunState::Exited(..))) {
        docker.remove_container(&next(service)).await?;
        return Ok(false);
    }
    if service.is_database() {
        // It is dumped through its own server.
        docker.start_container(&name).await?;
        let mut watch = Watch::new(service);
        while !answers(machine, service).await? {
            watch.look(machine).await?;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    docker.remove_container(&next(service)).await?;
    Ok(true)
}

/// What is to be done.
pub(super) struct Replacement<'a> {
    /// The old container.
    pub old: &'a Observed,
    /// The image of the new one.
    pub image: Image,
    /// Whether a run that was cut short stopped the old one.
    pub interrupted: bool,
}

/// Replaces a container.
pub(super) async fn replace(machine: &Machine, service: Service, what: Replacement<'_>, task: &Task) -> Result<()> {
    let (name, docker) = (service.container(), &machine.docker);
    let Replacement { old, image, interrupted } = what;
    let Some(wanted) = machine.topology.container(service) else { return Ok(()) };
    let answered = old.state == RunState::Running && answers(machine, service).await.unwrap_or(false);
    let was_well = interrupted || answered;
    let dumps = dump::needed(machine, service, &image, Some(old))?;
    if dumps {
        dump::same_major(machine, service, old, &image).await?;
        dump::possible(machine, service).await?;
    }
    docker.create_container(&next(service), wanted, (&image.id, &image.reference), &machine.host.root).await?;
    let taken = if dumps { Some(dumped(machine, service, old, task).await?) } else { None };
    fault::point(format_args!("dumped:{name}"));
    docker.stop_container(&name).await?;
    docker.rename_container(&name, &kept(service)).await?;
    docker.rename_container(&next(service), &name).await?;
    let before = Ran::load(&machine.host, service)?;
    record(machine, service, old, &image, taken)?;
    if let Err(error) = docker.start_container(&name).await {
        // It never ran, so it changed nothing.
        before.store(&machine.host, service)?;
        go_back(machine, service).await?;
        return Err(StepError::DidNotStart(Error::from(error).message()).into());
    }
    if !was_well && !dumps {
        // Nothing worth going back to; whoever waits for it says why it is unwell.
        return forget(machine, service).await;
    }
    prove(machine, service, may_go_back(machine, service, old, &image.id)?, task).await
}

/// Dumps with the old server stopped, so that nothing is lost between the dump and the new version's start. A database
/// server itself must run for that.
async fn dumped(machine: &Machine, service: Service, old: &Observed, task: &Task) -> Result<std::path::PathBuf> {
    let name = service.container();
    if !service.is_database() {
        machine.docker.stop_container(&name).await?;
    }
    let result = dump::dump(machine, service, task).await;
    if result.is_err() {
        machine.docker.remove_container(&next(service)).await?;
        if old.state == RunState::Running {
            machine.docker.start_container(&name).await?;
        }
    }
    result
}

/// Starting another image on data is written down before it happens.
pub(super) fn record(
    machine: &Machine,
    service: Service,
    old: &Observed,
    image: &Image,
    dump: Option<std::path::PathBuf>,
) -> Result<()> {
    if !dump::keeps_data(service) {
        return Ok(());
    }
    let mut ran = Ran::load(&machine.host, service)?;
    let known = Image { reference: old.reference.clone().unwrap_or_else(|| old.image.clone()), id: old.image.clone() };
    ran.ready.get_or_insert(known);
    ran.started = Some(image.clone());
    if dump.is_some() {
        ran.dump = dump;
    }
    ran.store(&machine.host, service)
}

/// Data that another version has opened may not be opened by the older one any more.
fn may_go_back(machine: &Machine, service: Service, old: &Observed, image: &str) -> Result<bool> {
    let failed = Ran::load(&machine.host, service)?.failed();
    Ok(!dump::keeps_data(service) || (old.image == image && !failed))
}

/// Waits until the new container answers; if it will not, the old one comes back or the new one is stopped.
pub(super) async fn prove(machine: &Machine, service: Service, may_go_back: bool, task: &Task) -> Result<()> {
    let mut watch = Watch::new(service);
    let unwell = loop {
        if answers(machine, service).await? {
            fault::point(format_args!("healthy:{}", service.container()));
            return forget(machine, service).await;
        }
        if let Err(error) = watch.look(machine).await {
            break error;
        }
        if let Some(line) = machine.docker.last_lines(&service.container(), 1).await?.pop() {
            task.note(line.chars().take(60).collect::<String>());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    if !may_go_back {
        machine.docker.remove_container(&kept(service)).await?;
        return Err(dump::stopped(machine, service, unwell).await?);
    }
    go_back(machine, service).await?;
    let mut watch = Watch::new(service);
    while !answers_at_all(machine, service).await? {
        if let Err(error) = watch.look(machine).await {
            return Err(words::previous_unwell(&unwell, &error));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let told = format!(
        "{}\nThe previous container and its files are back, and {service} answers again as before",
        unwell.message()
    );
    let hint = "put the cause right in the configuration, look with `rcfed plan --diff`, then run `sudo rcfed apply`";
    Err(Error::new(told, hint))
}

/// The new one is well: what was kept for going back goes. The old container last, since it shows that this is not over.
async fn forget(machine: &Machine, service: Service) -> Result<()> {
    settled(machine, service)?;
    if service != Service::Gateway {
        // The gateway's files are kept until it has loaded all of them.
        previous::forget(machine, service)?;
    }
    Ok(machine.docker.remove_container(&kept(service)).await?)
}

/// Writes down that what was started became ready.
pub(super) fn settled(machine: &Machine, service: Service) -> Result<()> {
    let mut ran = Ran::load(&machine.host, service)?;
    if ran.started.is_none() {
        return Ok(());
    }
    ran.ready = ran.started.clone();
    ran.dump = None;
    ran.store(&machine.host, service)
}

async fn go_back(machine: &Machine, service: Service) -> Result<()> {
    let name = service.container();
    machine.docker.remove_container(&name).await?;
    previous::restore(machine, service)?;
    machine.docker.rename_container(&kept(service), &name).await?;
    Ok(machine.docker.start_container(&name).await?)
}

/// Whether a service does what is wanted of it.
async fn answers(machine: &Machine, service: Service) -> Result<bool> {
    match service {
        Service::Mongodb | Service::Postgres => Ok(database::inspect(machine, service).await? == State::Current),
        _ => answers_at_all(machine, service).await,
    }
}

/// Whether it answers, with whatever configuration.
async fn answers_at_all(machine: &Machine, service: Service) -> Result<bool> {
    match service {
        Service::Gateway => Ok(reload::loaded(machine, reload::Part::Http).await?.is_some()),
        Service::Mongodb | Service::Postgres => Ok(database::inspect(machine, service).await? == State::Current),
        _ => ready::answers(machine, service).await,
    }
}

/// Makes the first container of a service, or the one that takes over data nobody serves.
pub(super) async fn create(machine: &Machine, service: Service, image: Image, task: &Task) -> Result<()> {
    let (name, docker) = (service.container(), &machine.docker);
    let Some(wanted) = machine.topology.container(service) else { return Ok(()) };
    let dumps = dump::needed(machine, service, &image, None)?;
    if dumps {
        dump::possible(machine, service).await?;
        let taken = dump::dump(machine, service, task).await?;
        let mut ran = Ran::load(&machine.host, service)?;
        ran.dump = Some(taken);
        ran.store(&machine.host, service)?;
    }
    docker.create_container(&name, wanted, (&image.id, &image.reference), &machine.host.root).await?;
    start(machine, service, image).await
}

/// Starts the container that is there, made from this image, perhaps by a run that was killed before it could.
pub(super) async fn start(machine: &Machine, service: Service, image: Image) -> Result<()> {
    if dump::keeps_data(service) {
        let mut ran = Ran::load(&machine.host, service)?;
        ran.ready.get_or_insert_with(|| image.clone());
        ran.started = Some(image);
        ran.store(&machine.host, service)?;
    }
    if matches!(service, Service::Homeserver | Service::Rocketchat) {
        // From its first start on others may know this server by its name, even if this run ends here.
        Deployment::of(&machine.config).keep(&machine.host)?;
    }
    Ok(machine.docker.start_container(&service.container()).await?)
}
