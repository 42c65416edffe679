//! From a configuration to a running deployment: what `init` ends with, and all that `apply` does.

use std::path::Path;

use crate::apply::{self, Outcome};
use crate::config::Config;
use crate::deployment;
use crate::error::{Error, Result};
use crate::host::fs::{self, Access};
use crate::host::lock::Lock;
use crate::host::{Host, apt};
use crate::layout;
use crate::machine::{self, Machine};
use crate::step::{self, Step};
use crate::summary::{self, Password};
use crate::ui::Ui;

/// How a run treats the machine and the person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// Docker may be installed.
    pub may_install: bool,
    /// A terminal is there to show a password on.
    pub terminal: bool,
}

/// Makes the machine match `config`, and says how it went.
pub async fn deploy(host: Host, config: Config, ui: &Ui, manner: Manner, command: &str) -> Result<Outcome> {
    need_root(command)?;
    deployment::allows(&host, &config)?;
    deployment::refuse_orphans(&host).await?;
    if !apt::docker_installed() && !Path::new(host.docker.trim_start_matches("unix://")).exists() {
        if !manner.may_install {
            return Err(Error::new(
                "Docker is not installed",
                "install it with `sudo apt-get install docker.io`, or say `--yes`",
            ));
        }
        apt::install_docker(ui).await?;
    }
    let sizes = machine::sizes();
    let mut machine = Machine::new(host, config, &sizes, ui.clone())?;
    machine.connect().await?;
    fs::create_directory(&machine.path(layout::STATE), Access::root(0o755))?;
    let _lock = Lock::take(&machine.path(layout::LOCK), command)?;
    let steps = step::steps(&machine.config, &machine.topology);
    let outcome = apply::apply(&machine, steps).await?;
    if outcome.changed.is_empty() {
        ui.say("Everything is as wanted; nothing was changed.");
        return Ok(outcome);
    }
    // In the run that first logged in, which after an interruption is not the run that made the password.
    let first = outcome.changed.iter().any(|id| *id == Step::Account.id());
    let password = match (first && machine.config.admin.password_file.is_none(), manner.terminal) {
        (false, _) => Password::Known,
        (true, true) => Password::Show,
        (true, false) => Password::Tell,
    };
    ui.say("");
    ui.data(&summary::summary(&machine, password)?);
    Ok(outcome)
}

/// Refuses to go on without root, naming the command to run.
pub fn need_root(command: &str) -> Result<()> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let message = format!("`rcfed {command}` changes the machine and needs root");
    Err(Error::new(message, format!("run `sudo rcfed {command}`")))
}
