//! From a configuration to a running deployment: what `init` ends with, and all that `apply` does.

use std::path::Path;

use crate::adopt::{self, Codes};
use crate::apply::{self, Outcome};
use crate::change::{self, Look};
use crate::config::Config;
use crate::deployment;
use crate::doctor;
use crate::error::{Error, Result};
use crate::host::docker::Docker;
use crate::host::fs::{self, Access};
use crate::host::lock::Lock;
use crate::host::{Host, apt};
use crate::layout;
use crate::leftovers;
use crate::machine::{self, Machine};
use crate::preflight;
use crate::receipt::{self, Receipt};
use crate::relay_image;
use crate::secrets::Secret;
use crate::step::{self, Step};
use crate::summary::{self, Password};
use crate::tokens;
use crate::ui::Ui;

/// How a run treats the machine and the person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// Docker may be installed.
    pub may_install: bool,
    /// A terminal is there to show a password on.
    pub terminal: bool,
    /// Both sides of the bridge get new tokens.
    pub rotate: bool,
    /// Machine, DNS and a Rocket.Chat that runs already were looked at.
    pub looked: bool,
    /// What that look took from Rocket.Chat: a token.
    pub access: Option<Secret>,
    /// Codes for an administrator with a second factor.
    pub codes: Codes,
}

/// Makes the machine match `config`, and says how it went.
pub async fn deploy(host: Host, config: Config, ui: &Ui, manner: Manner, command: &str) -> Result<Outcome> {
    need_root(command)?;
    deployment::allows(&host, &config)?;
    deployment::refuse_orphans(&host).await?;
    relay_image::possible(config.profile)?;
    // The engine's program may be there already, and nothing of it configured.
    let half = apt::interrupted(&host.path(layout::RECEIPT))?;
    let no_docker = half || !apt::docker_installed() && !Path::new(host.docker.trim_start_matches("unix://")).exists();
    if no_docker && !manner.may_install {
        return Err(no_engine());
    }
    if !no_docker {
        // Before anything is written.
        Docker::new(&host.docker)?.engine().await?;
    }
    let access = match manner.looked {
        true => manner.access.clone(),
        false => adopt::allowed(&host, &config, &manner.codes).await?,
    };
    if !manner.looked && fs::access(&host.path(layout::RECEIPT))?.is_none() {
        // A configuration that was put here by other means than `init`.
        let found = preflight::inspect(Path::new("/"), &host, &config, ui).await;
        preflight::tell(&found.findings).iter().for_each(|line| ui.say(line));
        found.verdict()?;
        unobstructed(&host, &config, ui).await?;
    }
    let (_lock, receipt) = begin(&host, command)?;
    for undo in receipt::run().into_iter().filter(|undo| !receipt.owns(undo)) {
        receipt.started("run", &undo.into())?;
    }
    if no_docker {
        apt::install_docker(ui, &receipt).await?;
    }
    let sizes = machine::sizes();
    let mut machine = Machine { access, ..Machine::new(host, config, &sizes, ui.clone())? };
    machine.connect().await?;
    if manner.rotate {
        tokens::decide(&machine, &receipt).await?;
    }
    let rotation = tokens::go_on(&machine.host)?;
    if rotation.is_some() {
        // Whoever reads the new tokens has another hash now.
        let access = machine.access;
        machine = Machine { access, ..Machine::new(machine.host, machine.config, &sizes, ui.clone())? };
        machine.connect().await?;
    }
    let steps = step::steps(&machine.config, &machine.topology);
    change::refuse(&machine).await?;
    // All at once: whoever runs this again to be sure shall not wait for a chain of steps that have nothing to do.
    let (look, answers) = tokio::join!(Look::at(&machine, &steps), apply::all_answer(&machine, &steps));
    let look = look?;
    if look.changes.is_empty() && answers {
        leftovers::clear(&machine.host, &machine.docker, &receipt).await?;
        change::applied(&machine.host, &machine.config)?;
        ui.say(AS_WANTED);
        return Ok(Outcome { changed: Vec::new(), unchanged: steps.len() });
    }
    let order = change::order(&machine, &steps, &look).await?;
    let outcome = apply::apply(&machine, receipt, steps, &order).await?;
    if let Some(rotation) = rotation {
        ui.data(&rotation.finish(&machine).await?);
    }
    change::applied(&machine.host, &machine.config)?;
    look.tell_mended(&outcome, ui);
    if outcome.changed.is_empty() {
        ui.say(AS_WANTED);
        return Ok(outcome);
    }
    // In the run that first logged in, which after an interruption is not the run that made the password.
    let first = outcome.changed.iter().any(|id| *id == Step::Account.id());
    let password = match (first && machine.config.admin.password_file.is_none(), manner.terminal) {
        (false, _) => Password::Known,
        (true, true) => Password::Show,
        (true, false) => Password::Tell,
    };
    if !manner.rotate {
        ui.say("");
        ui.data(&summary::summary(&machine, password)?);
    }
    doctor::once_more(&machine).await?;
    Ok(outcome)
}

/// Refuses what has one of our names and is somebody else's, as far as there is an engine that can tell. Writes nothing.
pub async fn unobstructed(host: &Host, config: &Config, ui: &Ui) -> Result<()> {
    // Where there is none yet, there is nothing of anybody's in it.
    let Ok(mut docker) = Docker::new(&host.docker) else { return Ok(()) };
    if docker.engine().await.is_err() {
        return Ok(());
    }
    let mut machine = Machine::new(host.clone(), config.clone(), &machine::sizes(), ui.clone())?;
    machine.connect().await?;
    let steps = step::steps(&machine.config, &machine.topology);
    apply::refuse_foreign(&machine, &steps).await.map_err(|error| unchanged(&error))
}

/// Takes the lock and opens the receipt, making the directory of both.
pub fn begin(host: &Host, command: &str) -> Result<(Lock, Receipt)> {
    let lock = Lock::take(&host.path(layout::LOCK), command)?;
    fs::give(&host.path(layout::STATE), Access::root(0o755))?;
    Ok((lock, Receipt::open(&host.path(layout::RECEIPT))?))
}

/// Refuses to go on without root, naming the command to run.
pub fn need_root(command: &str) -> Result<()> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let message = format!("`rcfed {command}` changes the machine and needs root");
    Err(Error::new(message, format!("run `sudo rcfed {command}`")))
}

const AS_WANTED: &str = "Everything is as wanted; nothing was changed.";

fn no_engine() -> Error {
    Error::new("Docker is not installed", "install it with `sudo apt-get install docker.io`, or say `--yes`")
}

fn unchanged(error: &Error) -> Error {
    Error::new(error.message(), format!("{}. Nothing has been changed", error.hint().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        let foreign = Error::new("a container `rcfed-gateway` exists that rcfed did not make", "rename it");
        let told = crate::error::told([no_engine(), unchanged(&foreign)]);
        insta::assert_snapshot!(format!("{AS_WANTED}\n{told}"));
    }
}
