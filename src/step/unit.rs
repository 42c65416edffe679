//! What renews the certificate: a systemd timer, or cron where there is no systemd.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::error::StepError;
use super::words;
use super::{State, file};
use crate::error::Result;
use crate::host::fs::{self, Access};
use crate::host::systemd;
use crate::machine::Machine;
use crate::receipt::{Receipt, Thing, Undo};
use crate::topology::hex;

const SERVICE: &str = "/etc/systemd/system/rcfed-renew.service";
const TIMER: &str = "/etc/systemd/system/rcfed-renew.timer";
const CRON: &str = "/etc/cron.d/rcfed";

/// The unit's files and the directories they need, each with the way back.
pub(super) fn things(machine: &Machine, receipt: &Receipt) -> Result<Vec<Thing>> {
    let mut things = Vec::new();
    for (path, text) in files(machine)? {
        things.extend(missing_directories(machine, &path));
        let remove = match systemd::runs(&machine.host) {
            true => Undo::RemoveUnit { path: path.clone() },
            false => Undo::RemoveFile { path: path.clone() },
        };
        let undo = file::undo(machine, receipt, &path, remove)?;
        things.push(Thing { undo, sha256: Some(hex(&Sha256::digest(text))) });
    }
    Ok(things)
}

fn missing_directories(machine: &Machine, path: &Path) -> Vec<Thing> {
    let missing = path.ancestors().skip(1).filter(|above| !machine.path(above).exists());
    let mut things: Vec<Thing> = missing.map(|above| Undo::RemoveDirectory { path: above.into() }.into()).collect();
    things.reverse();
    things
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
        && systemd::runs(&machine.host)
        && systemd::systemctl(&["is-active", "--quiet", "rcfed-renew.timer"]).await.is_err()
    {
        state = State::Differs(words::NO_TIMER.into());
    }
    Ok(state)
}

pub(super) async fn apply(machine: &Machine) -> Result<String> {
    for (path, text) in files(machine)? {
        let path = machine.path(&path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|error| StepError::Create { path: parent.to_path_buf(), error })?;
        }
        fs::write(&path, text.as_bytes(), Access::root(0o644))?;
    }
    if !systemd::runs(&machine.host) {
        return Ok(words::CRON.into());
    }
    systemd::systemctl(&["daemon-reload"]).await?;
    systemd::systemctl(&["enable", "--now", "rcfed-renew.timer"]).await?;
    Ok("systemd timer".into())
}

fn files(machine: &Machine) -> Result<Vec<(PathBuf, String)>> {
    let program = std::env::current_exe().map_err(StepError::OwnPath)?;
    let program = program.display().to_string();
    Ok(if systemd::runs(&machine.host) {
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
