//! What killed runs left half-made, cleared away before the next one begins.
//!
//! The lock must be held: then nobody is in the middle of writing one of these.

use std::path::{Path, PathBuf};

use futures_util::future::try_join_all;

use crate::error::Result;
use crate::host::docker::{Docker, DockerError};
use crate::host::{Host, fs};
use crate::layout;
use crate::receipt::{Receipt, Undo};

/// Removes temporary files, half dumps, answers to challenges, trials, and containers that only prepare something. What a
/// replacement left is sorted out by the step of its container, which knows what each combination means.
pub async fn clear(host: &Host, docker: &Docker, receipt: &Receipt) -> Result<()> {
    let all = receipt.ours();
    let names = all.iter().filter_map(|ours| match &ours.undo {
        Undo::RemoveContainer { name } => Some(name),
        _ => None,
    });
    // All at once: there are many names, and hardly ever one of these.
    let made_for = names.map(|name| async move {
        let service = docker.container(name).await?.and_then(|container| container.service);
        Ok::<_, DockerError>((name, service))
    });
    for (name, service) in try_join_all(made_for).await? {
        if matches!(service.as_deref(), Some("seed" | "trial")) {
            docker.remove_container(name).await?;
        }
    }
    for ours in &all {
        match &ours.undo {
            Undo::RemoveContainer { .. } => {}
            // A change that was cut short may still have to go back to what is in there.
            Undo::RemoveTree { path } if path == Path::new(layout::PREVIOUS) => {}
            Undo::RemoveTree { path } => fs::remove_tree(&host.path(path))?,
            Undo::PurgeTree { path } => {
                for path in inside(host, path).filter(|path| is_unfinished(path)) {
                    fs::remove(&path)?;
                }
                // This directory is mounted into the gateway; only its content goes.
                let answers = Path::new(layout::CHALLENGES);
                for answer in inside(host, answers).filter(|_| answers.starts_with(path)) {
                    fs::remove(&answer)?;
                }
            }
            undo => unfinished(host, undo)?,
        }
    }
    Ok(())
}

fn inside(host: &Host, path: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(host.path(path)).into_iter().flatten().flatten();
    entries.map(|entry| entry.path())
}

fn is_unfinished(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.') && name.ends_with(".new") || name.ends_with(".part")
}

/// Removes the temporary files beside a file.
pub fn unfinished(host: &Host, undo: &Undo) -> Result<()> {
    let backup = match undo {
        Undo::RestoreFile { backup, .. } => Some(backup.as_path()),
        _ => None,
    };
    for path in undo.path().into_iter().chain(backup) {
        for left in fs::unfinished(&host.path(path)) {
            fs::remove(&left)?;
        }
    }
    Ok(())
}
