//! Waiting until a server answers, and saying why when it does not.

use std::time::{Duration, Instant};

use super::reload::{self, Part};
use super::{State, dump, replace};
use crate::config::Service;
use crate::error::{Error, Result};
use crate::host::docker::RunState;
use crate::machine::{Machine, patience};
use crate::ui::Task;

pub(super) async fn inspect(machine: &Machine, service: Service) -> Result<State> {
    Ok(if answers(machine, service).await? { State::Current } else { State::Absent })
}

pub(super) async fn apply(machine: &Machine, service: Service, task: &Task) -> Result<String> {
    let mut watch = Watch::new(service);
    loop {
        if answers(machine, service).await? {
            replace::settled(machine, service)?;
            return Ok(String::new());
        }
        if service == Service::Gateway {
            reload::reload_if_other(machine, Part::Http).await?;
        }
        if let Err(error) = watch.look(machine).await {
            return Err(dump::stopped(machine, service, error).await?);
        }
        if let Some(line) = machine.docker.last_lines(&service.container(), 1).await?.pop() {
            task.note(line.chars().take(60).collect::<String>());
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// Watches a container that should become ready, and gives up with the reason when it will not.
pub(super) struct Watch {
    service: Service,
    started: Instant,
    restarts: Option<i64>,
}

impl Watch {
    pub fn new(service: Service) -> Self {
        Self { service, started: Instant::now(), restarts: None }
    }

    /// Fails when the container is gone, ends again and again, or takes longer than it may.
    pub async fn look(&mut self, machine: &Machine) -> Result<()> {
        let service = self.service;
        let observed = machine.observe(service).await?;
        let restarts = observed.as_ref().map_or(0, |c| c.restarts);
        let first = *self.restarts.get_or_insert(restarts);
        let gone = observed.is_none_or(|c| matches!(c.state, RunState::Exited(..)));
        // A server that ended three times while we looked will end a fourth time.
        if !gone && restarts < first + 3 && self.started.elapsed() <= patience(service) {
            return Ok(());
        }
        let (seen, cause) = machine.why_unwell(service).await?;
        let hint = cause.map_or_else(|| format!("see `sudo rcfed logs {service}`"), ToString::to_string);
        Err(Error::new(format!("{service} did not become ready: {seen}"), hint))
    }
}

pub(super) async fn answers(machine: &Machine, service: Service) -> Result<bool> {
    let (port, path) = match service {
        Service::Gateway => {
            return Ok(reload::loaded(machine, Part::Http).await? == reload::wanted(machine, Part::Http));
        }
        Service::Homeserver => (8008, "/_matrix/client/versions"),
        Service::Relay => (8080, "/health"),
        _ => (3000, "/api/info"),
    };
    let Some(base) = machine.url(service, port).await? else { return Ok(false) };
    Ok(machine.host.get(&format!("{base}{path}")).await.is_ok_and(|(status, _)| status == 200))
}
