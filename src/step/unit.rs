//! What renews the certificate: a systemd timer, or cron where there is no systemd.

use std::path::PathBuf;
use std::time::Duration;

use super::State;
use crate::error::{Error, Result};
use crate::host::fs::{self, Access};
use crate::machine::Machine;

const SERVICE: &str = "/etc/systemd/system/rcfed-renew.service";
const TIMER: &str = "/etc/systemd/system/rcfed-renew.timer";
const CRON: &str = "/etc/cron.d/rcfed";

/// The file whose removal ends the renewal.
pub(super) fn path(machine: &Machine) -> PathBuf {
    if systemd(machine) { TIMER.into() } else { CRON.into() }
}

pub(super) async fn inspect(machine: &Machine) -> Result<State> {
    let mut state = State::Current;
    for (path, text) in files(machine)? {
        match fs::read_text(&machine.path(&path))? {
            None => state = State::Absent,
            Some(there) if there != text && state == State::Current => state = State::Differs("its content".into()),
            Some(_) => {}
        }
    }
    if state == State::Current
        && systemd(machine)
        && systemctl(&["is-active", "--quiet", "rcfed-renew.timer"]).await.is_err()
    {
        state = State::Differs("the timer does not run".into());
    }
    Ok(state)
}

pub(super) async fn apply(machine: &Machine) -> Result<String> {
    for (path, text) in files(machine)? {
        let path = machine.path(&path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|error| {
                Error::new(
                    format!("could not create {}: {error}", parent.display()),
                    "run it as root: put `sudo` in front",
                )
            })?;
        }
        fs::write(&path, text.as_bytes(), Access::root(0o644))?;
    }
    if !systemd(machine) {
        return Ok("cron, since there is no systemd".into());
    }
    systemctl(&["daemon-reload"]).await?;
    systemctl(&["enable", "--now", "rcfed-renew.timer"]).await?;
    Ok("systemd timer".into())
}

/// A machine booted with systemd has this directory (sd_booted(3)).
fn systemd(machine: &Machine) -> bool {
    machine.path("/run/systemd/system").is_dir()
}

fn files(machine: &Machine) -> Result<Vec<(PathBuf, String)>> {
    let program = std::env::current_exe().map_err(|error| {
        Error::new(format!("could not find this program's own path: {error}"), "check that /proc is mounted")
    })?;
    let program = program.display().to_string();
    Ok(if systemd(machine) {
        vec![
            (SERVICE.into(), include_str!("../../templates/rcfed-renew.service").replace("@program@", &program)),
            (TIMER.into(), include_str!("../../templates/rcfed-renew.timer").into()),
        ]
    } else {
        let minute = minute(machine);
        let text = include_str!("../../templates/cron").replace("@program@", &program).replace("@minute@", &minute);
        vec![(CRON.into(), text)]
    })
}

/// A minute of the hour that differs from server to server and stays the same on each.
fn minute(machine: &Machine) -> String {
    let sum: u32 = machine.config.names.federated.as_str().bytes().map(u32::from).sum();
    (sum % 60).to_string()
}

async fn systemctl(arguments: &[&str]) -> Result<()> {
    let run = tokio::process::Command::new("systemctl").args(arguments).output();
    let output = tokio::time::timeout(Duration::from_secs(30), run).await;
    let said = match output {
        Ok(Ok(output)) if output.status.success() => return Ok(()),
        Ok(Ok(output)) => String::from_utf8_lossy(&output.stderr).trim().to_string(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer within 30 s".into(),
    };
    let command = format!("systemctl {}", arguments.join(" "));
    Err(Error::new(format!("`{command}` failed: {said}"), format!("run `sudo {command}`, then the same command again")))
}
