//! From a configuration to a running deployment: what `init` ends with, and all that `apply` does.

use std::path::Path;

use crate::apply::{self, Outcome};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::host::fs::{self, Access};
use crate::host::lock::Lock;
use crate::host::{Host, apt};
use crate::layout;
use crate::machine::Machine;
use crate::preflight;
use crate::secrets::SecretName;
use crate::step;
use crate::summary::{self, Password};
use crate::ui::Ui;

/// How a run treats the machine and the person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// Docker may be installed.
    pub may_install: bool,
    /// A terminal is there to show a password on.
    pub terminal: bool,
    /// The certificate is not rehearsed.
    pub no_rehearsal: bool,
}

/// Makes the machine match `config`, and says how it went.
pub async fn deploy(host: Host, config: Config, ui: &Ui, manner: Manner, command: &str) -> Result<Outcome> {
    if !rustix::process::geteuid().is_root() {
        return Err(Error::new(
            format!("`rcfed {command}` changes the machine and needs root"),
            format!("run `sudo rcfed {command}`"),
        ));
    }
    let new = fs::read(&host.path(layout::RECEIPT))?.is_none();
    if new {
        let findings = preflight::run(&host, &config, ui).await;
        preflight::verdict(&findings)?;
    }
    if !apt::docker_installed() && !Path::new(host.docker.trim_start_matches("unix://")).exists() {
        if !manner.may_install {
            return Err(Error::new("Docker is not installed", "install it with `sudo apt-get install docker.io`, or say `--yes`"));
        }
        apt::install_docker(ui).await?;
    }
    let sizes = preflight::sizes(&host);
    let mut config = config;
    if manner.no_rehearsal {
        config.acme.staging = None;
    }
    let mut machine = Machine::new(host, config, &sizes, ui.clone())?;
    machine.connect().await?;
    fs::create_directory(&machine.path(layout::STATE), Access::root(0o755))?;
    let _lock = Lock::take(&machine.path(layout::LOCK), command)?;
    let first_password = machine.secrets.get(SecretName::AdminPassword)?.is_none();
    let steps = step::steps(&machine.config, &machine.topology);
    let outcome = apply::apply(&machine, steps).await?;
    if outcome.changed.is_empty() {
        ui.say("Everything is as wanted; nothing was changed.");
        return Ok(outcome);
    }
    let password = match (first_password && machine.config.admin.password_file.is_none(), manner.terminal) {
        (false, _) => Password::Known,
        (true, true) => Password::Show,
        (true, false) => Password::Tell,
    };
    ui.say("");
    ui.data(&summary::summary(&machine, password)?);
    Ok(outcome)
}

/// Writes the configuration where `apply` finds it, keeping what was there before.
pub fn keep_config(host: &Host, config: &Config) -> Result<()> {
    let path = host.path(layout::CONFIG);
    let text = config.to_toml();
    let old = fs::read_text(&path)?;
    if old.as_deref() == Some(&text) {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_directory(parent, Access::root(0o755))?;
    }
    if let Some(old) = old {
        fs::write(&path.with_extension("toml.before"), old.as_bytes(), Access::root(0o600))?;
    }
    Ok(fs::write(&path, text.as_bytes(), Access::root(0o600))?)
}
