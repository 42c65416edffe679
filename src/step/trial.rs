//! nginx reads the gateway's new files in a throw-away container before they replace the old ones.

use std::path::PathBuf;

use super::State;
use super::error::StepError;
use super::file;
use crate::config::Service;
use crate::error::Result;
use crate::host::fs::{self, Access};
use crate::layout;
use crate::machine::Machine;
use crate::render::Phase;
use crate::topology::File;

pub(super) fn inspect(machine: &Machine, phase: Phase) -> Result<State> {
    // Files that are on disk as wanted were tried before they came there.
    for file in files(machine, phase) {
        if file::inspect(machine, file)? != State::Current {
            return Ok(State::Absent);
        }
    }
    Ok(State::Current)
}

pub(super) async fn apply(machine: &Machine, phase: Phase) -> Result<String> {
    let directory = PathBuf::from(layout::STATE).join(format!("trial-{}", kind(phase)));
    let result = attempt(machine, phase, &directory).await;
    let _ = std::fs::remove_dir_all(machine.path(&directory));
    result
}

async fn attempt(machine: &Machine, phase: Phase, directory: &std::path::Path) -> Result<String> {
    let live = layout::service(Service::Gateway);
    // With a certificate the whole configuration is tried, without one only what needs none.
    let phases: &[Phase] = if phase == Phase::Start { &[Phase::Start] } else { &[Phase::Start, Phase::Certified] };
    fs::create_directory(&machine.path(directory), Access::root(0o750))?;
    for file in phases.iter().flat_map(|phase| files(machine, *phase)) {
        let name = file.path.strip_prefix(&live).unwrap_or(&file.path);
        let path = machine.path(directory.join(name));
        if let Some(parent) = path.parent() {
            fs::create_directory(parent, Access::root(0o750))?;
        }
        fs::write(&path, file::resolved(machine, file)?.expose().as_bytes(), Access::root(0o640))?;
    }
    let Some(image) = machine.image(Service::Gateway).await? else {
        return Err(StepError::NoImage(Service::Gateway).into());
    };
    let mounts = [
        (machine.path(directory), layout::MOUNT),
        (machine.path(layout::CHALLENGES), "/run/rcfed-challenges"),
        (machine.path(layout::CERTIFICATE), "/run/rcfed-certificate"),
    ];
    let mounts = mounts.map(|(path, target)| (path.to_string_lossy().into_owned(), target));
    let command = ["nginx", "-t", "-q", "-c", "/run/rcfed/nginx.conf"];
    let output = machine.docker.run_once(&container(phase), &image.id, &command, &mounts).await?;
    if output.code != 0 {
        return Err(StepError::Trial(output.stderr.trim().to_string()).into());
    }
    Ok(String::new())
}

/// Names the trial of a phase.
pub(super) fn kind(phase: Phase) -> &'static str {
    match phase {
        Phase::Start => "http",
        Phase::Certified => "https",
    }
}

/// The name of the throw-away container.
pub(super) fn container(phase: Phase) -> String {
    format!("rcfed-trial-{}", kind(phase))
}

fn files(machine: &Machine, phase: Phase) -> impl Iterator<Item = &File> {
    machine.topology.files.iter().filter(move |f| f.service == Service::Gateway && f.phase == phase)
}
