//! Directories and files.

use std::path::{Path, PathBuf};

use super::error::StepError;
use super::{State, previous};
use crate::error::Result;
use crate::host::fs::{self, Access};
use crate::machine::Machine;
use crate::receipt::{Receipt, Undo};
use crate::render;
use crate::secrets::Secret;
use crate::topology::{Directory, File};

pub(super) fn inspect_directory(machine: &Machine, directory: &Directory) -> Result<State> {
    let path = machine.path(&directory.path);
    Ok(match fs::access(&path)? {
        None => State::Absent,
        Some(_) if !path.is_dir() => State::Foreign(format!("{} is not a directory", directory.path.display())),
        Some(access) if access == mine(directory.access) => State::Current,
        Some(_) => State::Differs("owner or mode".into()),
    })
}

pub(super) fn apply_directory(machine: &Machine, directory: &Directory) -> Result<String> {
    fs::create_directory(&machine.path(&directory.path), mine(directory.access))?;
    Ok(String::new())
}

pub(super) fn inspect(machine: &Machine, file: &File) -> Result<State> {
    let path = machine.path(&file.path);
    let Some(access) = fs::access(&path)? else { return Ok(State::Absent) };
    // A secret that is not there yet: the file cannot be as wanted.
    let Ok(text) = resolved(machine, file) else { return Ok(State::Differs("its secrets".into())) };
    Ok(match fs::read(&path)? {
        Some(bytes) if bytes != text.expose().as_bytes() => State::Differs("its content".into()),
        Some(_) if access != mine(file.access) => State::Differs("owner or mode".into()),
        Some(_) => State::Current,
        None => State::Absent,
    })
}

/// `remove`, unless the file is somebody else's, which will be put back.
pub(super) fn undo(machine: &Machine, receipt: &Receipt, path: &Path, remove: Undo) -> Result<Undo> {
    if receipt.owns(&remove) || fs::access(&machine.path(path))?.is_none() {
        return Ok(remove);
    }
    Ok(Undo::RestoreFile { path: path.into(), backup: backup(path) })
}

pub(super) fn apply(machine: &Machine, file: &File) -> Result<String> {
    let text = resolved(machine, file)?;
    previous::keep(machine, file)?;
    fs::write(&machine.path(&file.path), text.expose().as_bytes(), mine(file.access))?;
    Ok(String::new())
}

/// The file's text with the secrets in it.
pub(crate) fn resolved(machine: &Machine, file: &File) -> Result<Secret> {
    let secret = |name| machine.secrets.get(name).ok().flatten();
    let resolved = render::resolve(&file.text, &secret);
    Ok(resolved.map_err(|error| StepError::Fill { path: file.path.clone(), error })?)
}

/// Where the old content of a file is kept.
pub(crate) fn backup(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".before-rcfed");
    path.with_file_name(name)
}

/// Only root can give files away; without root (a test's own directory) they stay with who runs.
pub(super) fn mine(access: Access) -> Access {
    let me = rustix::process::geteuid();
    if me.is_root() { access } else { Access { uid: me.as_raw(), gid: rustix::process::getegid().as_raw(), ..access } }
}
