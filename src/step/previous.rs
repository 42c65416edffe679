//! The files a service had before a change, kept until the change has proven itself.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::Timestamp;

use super::file;
use crate::config::Service;
use crate::error::Result;
use crate::host::fs::{self, Access};
use crate::layout;
use crate::machine::Machine;
use crate::render;
use crate::secrets::SecretName;
use crate::topology::File;

fn directory(service: Service) -> PathBuf {
    Path::new(layout::PREVIOUS).join(service.name())
}

fn place(file: &File) -> PathBuf {
    directory(file.service).join(file.path.strip_prefix(layout::service(file.service)).unwrap_or(&file.path))
}

/// Keeps a file as it is before it is replaced. The first copy counts: a later one would be of the failed change.
pub(super) fn keep(machine: &Machine, file: &File) -> Result<()> {
    let (from, to) = (machine.path(&file.path), machine.path(place(file)));
    let (Some(bytes), Some(access)) = (fs::read(&from)?, fs::access(&from)?) else { return Ok(()) };
    if fs::access(&to)?.is_some() {
        return Ok(());
    }
    fs::create_directory(&machine.path(layout::PREVIOUS), file::mine(Access::root(0o700)))?;
    if let Some(parent) = to.parent() {
        fs::create_directory(parent, file::mine(Access::root(0o700)))?;
    }
    fs::write(&to, &bytes, access)?;
    // When it was written tells who may have read it.
    if let (Ok(file), Some(written)) = (std::fs::File::open(&to), written(&from)) {
        let _ = file.set_modified(written);
    }
    Ok(())
}

fn written(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|meta| meta.modified()).ok()
}

/// A file that somebody changed by hand, and that whoever began at `started` (RFC 3339; `None`: at any time) may have read
/// so: it is still there, or was mended and is kept.
///
/// Only for a service whose files have not to change otherwise.
pub(super) fn read_changed(machine: &Machine, service: Service, started: Option<&str>) -> Result<Option<PathBuf>> {
    let started: Option<SystemTime> = started.and_then(|text| text.parse().ok()).map(|time: Timestamp| time.into());
    for file in machine.topology.files.iter().filter(|file| file.service == service) {
        // The first password counts only for the first start.
        if render::secrets_in(&file.text).contains(&SecretName::AdminPassword) {
            continue;
        }
        let Ok(wanted) = file::resolved(machine, file) else { continue };
        for path in [machine.path(&file.path), machine.path(place(file))] {
            let Some(bytes) = fs::read(&path)? else { continue };
            let before = |started| written(&path).is_none_or(|written| written <= started);
            if bytes != wanted.expose().as_bytes() && started.is_none_or(before) {
                return Ok(Some(file.path.clone()));
            }
        }
    }
    Ok(None)
}

/// Puts the kept files of a service back.
pub(super) fn restore(machine: &Machine, service: Service) -> Result<()> {
    for file in machine.topology.files.iter().filter(|file| file.service == service) {
        let from = machine.path(place(file));
        if let (Some(bytes), Some(access)) = (fs::read(&from)?, fs::access(&from)?) {
            fs::write(&machine.path(&file.path), &bytes, access)?;
        }
    }
    forget(machine, service)
}

/// The change has proven itself.
pub(super) fn forget(machine: &Machine, service: Service) -> Result<()> {
    Ok(fs::remove_tree(&machine.path(directory(service)))?)
}
