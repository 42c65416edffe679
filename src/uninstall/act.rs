//! Undoing one thing after the other, each told to the receipt when it is done.

use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use super::{Item, Uninstall};
use crate::error::{Error, Result};
use crate::host::docker::{Docker, Removed};
use crate::host::lock::Lock;
use crate::host::{Host, apt, fs, nginx, systemd};
use crate::receipt::Undo;
use crate::step::settings;
use crate::stop::{Reason, Stop, stopped};
use crate::ui::Ui;
use crate::{fault, layout, leftovers};

pub(super) async fn act(uninstall: Uninstall, ui: &Ui) -> Result<()> {
    let Uninstall { host, lock, receipt, docker, survey } = uninstall;
    let mut stop = Some(Stop::listen()?);
    let hands = Hands { host: &host, docker: docker.as_ref(), ui };
    for undo in &survey.gone {
        hands.gone(undo).await?;
        receipt.undone(undo)?;
    }
    let mut packages = Vec::new();
    let mut left = survey.removes.len();
    for Item { undo } in &survey.removes {
        if let Undo::RemovePackage { name } = undo {
            packages.push(name.clone());
            continue;
        }
        let mut undoing = pin!(hands.undo(undo));
        let mut stopped = None;
        let result = loop {
            tokio::select! {
                result = &mut undoing => break result,
                reason = asked(&mut stop) => {
                    ui.say(STOPPING);
                    stopped = Some(reason);
                    if let Some(stop) = stop.take() {
                        stop.at_once_next_time();
                    }
                }
            }
        };
        result?;
        fault::point("undo");
        receipt.undone(undo)?;
        left -= 1;
        if let Some(reason) = stopped {
            return Err(stopped_by(reason, left));
        }
    }
    if !packages.is_empty() {
        apt::remove(&packages, ui).await?;
        for name in packages {
            receipt.undone(&Undo::RemovePackage { name })?;
        }
    }
    if survey.keeps.is_empty() {
        drop(receipt);
        end(&host, lock)?;
    }
    Ok(())
}

/// Removes the journal, the lock and their directory: the last things, in an order in which each may be the last.
pub(super) fn end(host: &Host, lock: Lock) -> Result<()> {
    fs::remove(&host.path(layout::RECEIPT))?;
    fault::point("undo:receipt");
    lock.remove(&host.path(layout::LOCK))?;
    fault::point("undo:lock");
    // Not empty if somebody put something there, or already begins anew.
    fs::remove_empty(&host.path(layout::STATE))?;
    Ok(())
}

async fn asked(stop: &mut Option<Stop>) -> Reason {
    match stop {
        Some(stop) => stop.asked().await,
        None => std::future::pending().await,
    }
}

struct Hands<'a> {
    host: &'a Host,
    docker: Option<&'a Docker>,
    ui: &'a Ui,
}

impl Hands<'_> {
    async fn undo(&self, undo: &Undo) -> Result<()> {
        if let Some(docker) = self.docker.filter(|_| undo.is_in_docker()) {
            return self.in_docker(docker, undo).await;
        }
        leftovers::unfinished(self.host, undo)?;
        let path = |path: &Path| self.host.path(path);
        match undo {
            Undo::PurgeTree { path: tree } | Undo::RemoveTree { path: tree } => Ok(fs::remove_tree(&path(tree))?),
            Undo::RemoveDirectory { path: directory } => {
                // The journal is in it until the end.
                if directory != Path::new(layout::STATE) {
                    fs::remove_empty(&path(directory))?;
                }
                Ok(())
            }
            Undo::RemoveUnit { path: unit } => {
                systemd::forget(self.host, unit).await?;
                fs::remove(&path(unit))?;
                systemd::reload(self.host).await
            }
            Undo::RemoveSite { path: site } => {
                fs::remove(&path(site))?;
                match nginx::test(self.host).await? {
                    Ok(()) => nginx::reload(self.host).await,
                    // Its owner has to mend it; what was ours is gone.
                    Err(said) => {
                        self.ui.say(&not_reloaded(&said));
                        Ok(())
                    }
                }
            }
            Undo::RestoreSettings { of, .. } => {
                let task = self.ui.task(label(undo).unwrap_or_else(|| of.clone()));
                let restored = settings::restore(self.host, self.docker, of).await;
                match &restored {
                    Ok(()) => task.done(""),
                    Err(_) => task.failed(""),
                }
                restored
            }
            Undo::RestoreFile { path: file, backup } => {
                if fs::access(&path(backup))?.is_some() {
                    fs::rename(&path(backup), &path(file))?;
                } else {
                    self.ui.say(&no_backup(file, backup));
                }
                if systemd::is_unit(file) { systemd::reload(self.host).await } else { Ok(()) }
            }
            undo => match undo.path() {
                Some(file) => Ok(fs::remove(&path(file))?),
                None => Ok(()),
            },
        }
    }

    /// Of what is gone there may be traces.
    async fn gone(&self, undo: &Undo) -> Result<()> {
        leftovers::unfinished(self.host, undo)?;
        match undo {
            Undo::RemoveUnit { .. } => systemd::reload(self.host).await,
            _ => Ok(()),
        }
    }

    async fn in_docker(&self, docker: &Docker, undo: &Undo) -> Result<()> {
        let Some(label) = label(undo) else { return Ok(()) };
        let task = self.ui.task(label);
        let result = match undo {
            Undo::Disconnect { container } => docker.disconnect(container).await.map(|()| None),
            Undo::RemoveContainer { name } => docker.remove_container(name).await.map(|()| None),
            Undo::RemoveImage { reference } => docker.remove_image(reference).await.map(|removed| match removed {
                Removed::Gone => None,
                Removed::Used(said) => Some(format!("stays: {said}")),
            }),
            Undo::RemoveNetwork { name } => network(docker, name).await.map(|()| None),
            Undo::RemoveVolume { name } => docker.remove_volume(name).await.map(|()| None),
            _ => Ok(None),
        };
        match result {
            Ok(note) => {
                task.done(note.as_deref().unwrap_or_default());
                Ok(())
            }
            Err(error) => {
                task.failed("");
                Err(error.into())
            }
        }
    }
}

/// What is done, where it takes time.
fn label(undo: &Undo) -> Option<String> {
    Some(match undo {
        Undo::Disconnect { container } => format!("disconnect {container} from the network rcfed"),
        Undo::RemoveContainer { name } => format!("stop and remove {name}"),
        Undo::RemoveImage { reference } => format!("remove the image {reference}"),
        Undo::RemoveNetwork { name } => format!("remove the network {name}"),
        Undo::RemoveVolume { name } => format!("remove the volume {name} and the data in it"),
        Undo::RestoreSettings { of, .. } => format!("give {of} its federation settings back"),
        _ => return None,
    })
}

fn stopped_by(reason: Reason, left: usize) -> Error {
    stopped(reason, left, "thing", "run the same command again, it continues where this stopped")
}

fn not_reloaded(said: &str) -> String {
    format!(
        "This machine's nginx was not reloaded, it does not accept its configuration: {said}\n\
         What was rcfed's in it is gone; mend the rest (`sudo nginx -t`), then `sudo nginx -s reload`."
    )
}

fn no_backup(file: &Path, backup: &Path) -> String {
    format!("{} stays: its backup {} is gone.", file.display(), backup.display())
}

async fn network(docker: &Docker, name: &str) -> Result<(), crate::host::docker::DockerError> {
    for _ in 0..5 {
        if docker.remove_network(name).await.is_ok() {
            return Ok(());
        }
        docker.disconnect_ghosts(name).await?;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    docker.remove_network(name).await
}

const STOPPING: &str = "Stopping after this; press Ctrl-C again to stop now.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        let undos = [
            Undo::Disconnect { container: "chat".into() },
            Undo::RemoveContainer { name: "rcfed-gateway".into() },
            Undo::RemoveImage { reference: "docker.io/library/nginx:1.28".into() },
            Undo::RemoveNetwork { name: "rcfed".into() },
            Undo::RemoveVolume { name: "rcfed-mongodb".into() },
            Undo::RestoreSettings { of: "chat".into(), backup: layout::SETTINGS_BEFORE.into() },
        ];
        let mut told: Vec<String> = undos.iter().filter_map(label).collect();
        told.push(STOPPING.into());
        told.push(not_reloaded("nginx: [emerg] no"));
        told.push(no_backup(Path::new("/etc/cron.d/rcfed"), Path::new("/etc/cron.d/rcfed.before-rcfed")));
        told.push(crate::error::told([stopped_by(Reason::Interrupt, 1), stopped_by(Reason::Terminate, 5)]));
        insta::assert_snapshot!(told.join("\n"));
    }
}
