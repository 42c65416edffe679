//! Waiting until a server answers, and saying why when it does not.

use std::time::{Duration, Instant};

use super::State;
use super::reload::{self, Part};
use crate::config::Service;
use crate::error::{Error, Result};
use crate::host::docker::RunState;
use crate::machine::{Machine, patience};
use crate::ui::Task;

pub(super) async fn inspect(machine: &Machine, service: Service) -> Result<State> {
    Ok(if answers(machine, service).await? { State::Current } else { State::Absent })
}

pub(super) async fn apply(machine: &Machine, service: Service, task: &Task) -> Result<String> {
    let started = Instant::now();
    let mut last_restarts = None;
    loop {
        if answers(machine, service).await? {
            return Ok(String::new());
        }
        if service == Service::Gateway {
            reload::signal_if_other(machine, Part::Http).await?;
        }
        let observed = machine.observe(service).await?;
        let restarts = observed.as_ref().map_or(0, |c| c.restarts);
        let first = *last_restarts.get_or_insert(restarts);
        let gone = observed.is_none_or(|c| matches!(c.state, RunState::Exited(..)));
        // A server that ended three times while we looked will end a fourth time.
        if gone || restarts >= first + 3 || started.elapsed() > patience(service) {
            let (seen, cause) = machine.why_unwell(service).await?;
            let hint = cause.map_or_else(|| format!("see `sudo rcfed logs {service}`"), ToString::to_string);
            return Err(Error::new(format!("{service} did not become ready: {seen}"), hint));
        }
        if let Some(line) = machine.docker.last_lines(&service.container(), 1).await?.pop() {
            task.note(line.chars().take(60).collect::<String>());
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

async fn answers(machine: &Machine, service: Service) -> Result<bool> {
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
