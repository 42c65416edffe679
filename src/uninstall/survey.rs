//! What of the receipt is really there, what of it is somebody else's, and so what goes and what stays.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::host::docker::{Docker, Inventory, LABEL_SERVICE};
use crate::host::{Host, apt, fs};
use crate::layout;
use crate::receipt::{Ours, Undo};
use crate::topology::{NETWORK, hex};

/// A thing that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// How it is taken back.
    pub undo: Undo,
}

/// What goes and what stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Recorded, and not there (any more).
    pub gone: Vec<Undo>,
    /// What stays for a later `init`.
    pub keeps: Vec<Item>,
    /// Whether data goes too.
    pub purge: bool,
    /// What goes, in this order.
    pub removes: Vec<Item>,
    /// What cannot go, and why.
    pub stays: Vec<(Undo, String)>,
}

enum Found {
    /// Somebody else's: why, and what to do about it.
    Foreign(String, String),
    Gone,
    Here,
    Stays(String),
}

/// What has one of our names and is not ours.
fn foreign(why: String) -> Found {
    Found::Foreign(why, "rename it, remove it yourself, or put it back as it was".into())
}

pub(super) async fn survey(host: &Host, docker: Option<&Docker>, ours: &[Ours], purge: bool) -> Result<Survey> {
    let inventory = match docker {
        Some(docker) => docker.inventory().await?,
        None => Inventory::default(),
    };
    let connected = ours.iter().filter_map(|ours| match &ours.undo {
        Undo::Disconnect { container } => Some(container.clone()),
        _ => None,
    });
    let look = Look { host, docker, inventory, purge, connected: connected.collect() };
    let mut survey = Survey { purge, ..Survey::default() };
    let mut foreign = Vec::new();
    for ours in in_order(ours) {
        if matches!(ours.undo, Undo::RemovePackage { .. } | Undo::RemoveDirectory { .. }) {
            continue;
        }
        let item = Item { undo: ours.undo.clone() };
        match look.at(&ours).await? {
            Found::Foreign(why, way) => foreign.push((why, way)),
            // What goes with a purge only may still come: `admin reset` and `renew` write such files, too.
            Found::Gone if ours.undo.waits_for_purge() && !purge => {}
            Found::Gone => survey.gone.push(ours.undo),
            _ if ours.undo.waits_for_purge() && !purge => survey.keeps.push(item),
            Found::Here => survey.removes.push(item),
            Found::Stays(why) => survey.stays.push((ours.undo, why)),
        }
    }
    if !foreign.is_empty() {
        // Steps run at the same time, so the receipt has no order of its own.
        foreign.sort();
        let (why, mut ways): (Vec<String>, Vec<String>) = foreign.into_iter().unzip();
        ways.dedup();
        return Err(Error::new(
            format!("something else is in the way: {}", why.join("; ")),
            format!("{}; then run the same command again. Nothing has been removed", ways.join("; ")),
        ));
    }
    directories(host, ours, &mut survey)?;
    look.packages(ours, &mut survey).await?;
    Ok(survey)
}

/// Reverse order of making; but first what starts something, then containers, since what was made later may be in use by
/// what was made earlier and changed. Directories and packages come last.
fn in_order(ours: &[Ours]) -> Vec<Ours> {
    let stage = |undo: &Undo| match undo {
        Undo::RemoveSite { .. } | Undo::RemoveUnit { .. } | Undo::RestoreSettings { .. } => 0,
        Undo::Disconnect { .. } => 1,
        undo if undo.path().is_some_and(|path| path.starts_with("/etc/cron.d")) => 0,
        Undo::RemoveContainer { .. } => 1,
        _ => 2,
    };
    let mut all: Vec<Ours> = ours.iter().rev().cloned().collect();
    all.sort_by_key(|ours| stage(&ours.undo));
    all
}

struct Look<'a> {
    host: &'a Host,
    docker: Option<&'a Docker>,
    inventory: Inventory,
    purge: bool,
    /// Somebody else's containers that are disconnected before the network goes.
    connected: BTreeSet<String>,
}

impl Look<'_> {
    async fn at(&self, ours: &Ours) -> Result<Found> {
        let there = |is: bool| if is { Found::Here } else { Found::Gone };
        Ok(match (&ours.undo, self.docker) {
            (Undo::Disconnect { container }, Some(docker)) => match docker.foreign(container).await? {
                Some(found) => there(found.networks.contains_key(NETWORK)),
                None => Found::Gone,
            },
            (Undo::RestoreSettings { of, backup }, docker) => self.settings(of, backup, docker).await?,
            (Undo::RemoveContainer { name }, Some(docker)) => match docker.container(name).await? {
                Some(container) if container.service.is_none() => not_made("container", name),
                found => there(found.is_some()),
            },
            (Undo::RemoveNetwork { name }, Some(docker)) => match docker.network(name).await? {
                Some(labels) if !labels.contains_key(LABEL_SERVICE) => not_made("network", name),
                Some(_) => self.used_by_others("network", name, |container| &container.networks),
                None => Found::Gone,
            },
            (Undo::RemoveVolume { name }, Some(docker)) => match docker.volume(name).await? {
                Some(labels) if self.purge && !labels.contains_key(LABEL_SERVICE) => not_made("volume", name),
                Some(_) if self.purge => self.used_by_others("volume", name, |container| &container.volumes),
                found => there(found.is_some()),
            },
            (Undo::RemoveImage { reference }, Some(docker)) => match docker.image(reference).await? {
                None => Found::Gone,
                Some(image) => {
                    let mut containers = self.inventory.containers.iter();
                    match containers.find(|container| !container.ours && container.image == image.id) {
                        Some(user) => Found::Stays(format!("the container `{}` uses it", user.name)),
                        None => Found::Here,
                    }
                }
            },
            (Undo::PurgeTree { path } | Undo::RemoveTree { path }, _) => self.tree(path)?,
            (Undo::RestoreFile { path, backup }, _) => self.restored(path, backup, &ours.sha256)?,
            (undo, _) => match undo.path() {
                Some(path) => self.file(path, &ours.sha256)?,
                None => Found::Gone,
            },
        })
    }

    /// A Rocket.Chat that is gone has no settings; one that only stands still is waited for.
    async fn settings(&self, of: &str, backup: &Path, docker: Option<&Docker>) -> Result<Found> {
        if fs::access(&self.host.path(backup))?.is_none() {
            return Ok(Found::Gone);
        }
        let (Some(docker), false) = (docker, of.contains("://")) else { return Ok(Found::Here) };
        Ok(match docker.foreign(of).await? {
            None => nobody(of),
            Some(found) if !found.running => stands(of, &self.host.path(backup)),
            Some(_) => Found::Here,
        })
    }

    fn used_by_others<'a>(
        &'a self,
        kind: &str,
        name: &String,
        uses: impl Fn(&'a crate::host::docker::Listed) -> &'a Vec<String>,
    ) -> Found {
        let goes =
            |container: &&crate::host::docker::Listed| kind == "network" && self.connected.contains(&container.name);
        let mut others = self.inventory.containers.iter().filter(|container| !container.ours && !goes(container));
        match others.find(|container| uses(container).contains(name)) {
            Some(other) => {
                let other = &other.name;
                let way = match kind {
                    "network" => format!("disconnect it: `docker network disconnect {name} {other}`"),
                    _ => format!("remove the container, or make it anew without the {kind}: `docker rm {other}`"),
                };
                Found::Foreign(format!("the container `{other}`, not rcfed's, uses the {kind} `{name}`"), way)
            }
            None => Found::Here,
        }
    }

    fn tree(&self, path: &Path) -> Result<Found> {
        let real = self.host.path(path);
        Ok(match fs::access(&real)? {
            None => Found::Gone,
            Some(_) if real.is_symlink() || !real.is_dir() => {
                foreign(format!("`{}` is not a directory", path.display()))
            }
            Some(_) => Found::Here,
        })
    }

    fn file(&self, path: &Path, sha256: &[String]) -> Result<Found> {
        let real = self.host.path(path);
        if fs::access(&real)?.is_none() {
            return Ok(Found::Gone);
        }
        if self.is_directory(path) {
            return Ok(foreign(format!("`{}` is a directory, not a file", path.display())));
        }
        if sha256.is_empty() {
            return Ok(Found::Here);
        }
        let now = hex(&Sha256::digest(fs::read(&real)?.unwrap_or_default()));
        Ok(match sha256.contains(&now) {
            true => Found::Here,
            false => foreign(format!("somebody changed `{}` since rcfed wrote it", path.display())),
        })
    }

    fn is_directory(&self, path: &Path) -> bool {
        let real = self.host.path(path);
        !real.is_symlink() && real.is_dir()
    }

    /// A run may have been killed between putting somebody's file aside and writing ours, or between bringing it back and
    /// saying so in the receipt.
    fn restored(&self, path: &Path, backup: &Path, sha256: &[String]) -> Result<Found> {
        let read = |path: &Path| fs::read(&self.host.path(path));
        let theirs = read(backup)?;
        Ok(match self.file(path, sha256)? {
            Found::Gone if theirs.is_some() => Found::Here,
            Found::Foreign(..) if !self.is_directory(path) && theirs.is_none() => Found::Gone,
            Found::Foreign(..) if !self.is_directory(path) && theirs == read(path)? => Found::Here,
            found => found,
        })
    }

    /// Packages go together or not at all.
    async fn packages(&self, ours: &[Ours], survey: &mut Survey) -> Result<()> {
        let names: Vec<String> = ours
            .iter()
            .filter_map(|ours| match &ours.undo {
                Undo::RemovePackage { name } => Some(name.clone()),
                _ => None,
            })
            .collect();
        if names.is_empty() {
            return Ok(());
        }
        let there = apt::installed(&names).await?;
        let undo = |name: &String| Undo::RemovePackage { name: name.clone() };
        survey.gone.extend(names.iter().filter(|name| !there.contains(name)).map(undo));
        let there = there.iter().map(undo);
        if !self.purge {
            survey.keeps.extend(there.map(|undo| Item { undo }));
        } else if let Some(why) = self.who_needs_docker(survey, &names).await? {
            survey.stays.extend(there.map(|undo| (undo, why.clone())));
        } else {
            survey.removes.extend(there.map(|undo| Item { undo }));
        }
        Ok(())
    }

    async fn who_needs_docker(&self, survey: &Survey, names: &[String]) -> Result<Option<String>> {
        if let Some(container) = self.inventory.containers.iter().find(|container| !container.ours) {
            return Ok(Some(format!("the container `{}` is not rcfed's", container.name)));
        }
        if let Some(volume) = self.inventory.foreign_volumes.first() {
            return Ok(Some(format!("the volume `{volume}` is not rcfed's")));
        }
        let mut ours = BTreeSet::new();
        for item in &survey.removes {
            if let (Undo::RemoveImage { reference }, Some(docker)) = (&item.undo, self.docker) {
                ours.extend(docker.image(reference).await?.map(|image| image.id));
            }
        }
        if let Some((id, tags)) = self.inventory.images.iter().find(|(id, _)| !ours.contains(id)) {
            let name = tags.first().unwrap_or(id);
            return Ok(Some(format!("the image `{name}` is not rcfed's")));
        }
        let others = apt::leaving_too(names).await?;
        Ok(others.first().map(|other| dragged(other)))
    }
}

fn not_made(kind: &str, name: &str) -> Found {
    let way = match kind {
        "container" => format!("rename it, `docker rename {name} {name}-other`, or remove it, `docker rm -f {name}`"),
        "network" => format!("remove it, `docker network rm {name}`"),
        _ => format!("remove it, `docker volume rm {name}`, once nobody needs what is in it"),
    };
    Found::Foreign(format!("rcfed did not make the {kind} `{name}`"), way)
}

fn nobody(of: &str) -> Found {
    Found::Stays(format!("there is no container `{of}` any more to give them back to"))
}

fn stands(of: &str, backup: &Path) -> Found {
    Found::Foreign(
        format!("the container `{of}` does not run, so its settings cannot be put back"),
        format!("start it, `docker start {of}`, or leave its settings as they are: `sudo rm {}`", backup.display()),
    )
}

fn dragged(package: &str) -> String {
    format!("`{package}` would go with them")
}

/// A directory goes if nothing stays in it but what goes too.
fn directories(host: &Host, ours: &[Ours], survey: &mut Survey) -> Result<()> {
    let paths = |items: &[Item]| items.iter().filter_map(|i| i.undo.path()).map(PathBuf::from).collect::<BTreeSet<_>>();
    let (mut goes, keeps) = (paths(&survey.removes), paths(&survey.keeps));
    goes.extend([layout::LOCK, layout::RECEIPT].map(PathBuf::from));
    let mut all: Vec<&Path> = ours
        .iter()
        .filter_map(|ours| match &ours.undo {
            Undo::RemoveDirectory { path } => Some(path.as_path()),
            _ => None,
        })
        .collect();
    // Children before parents.
    all.sort_by(|a, b| b.cmp(a));
    for path in all {
        if goes.contains(path) {
            continue;
        }
        let undo = Undo::RemoveDirectory { path: path.into() };
        let real = host.path(path);
        if fs::access(&real)?.is_none() || real.is_symlink() || !real.is_dir() {
            survey.gone.push(undo);
            continue;
        }
        let entries = std::fs::read_dir(&real).into_iter().flatten().flatten();
        let inside: Vec<PathBuf> = entries.map(|entry| path.join(entry.file_name())).collect();
        let temporary = |inside: &Path| {
            let name = inside.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name.starts_with('.') && name.ends_with(".new")
        };
        let rest = inside.iter().find(|inside| !goes.contains(*inside) && !temporary(inside));
        match rest {
            None => {
                goes.insert(path.into());
                survey.removes.push(Item { undo });
            }
            // What is kept, or lies above it, is said already.
            Some(rest) if keeps.iter().any(|kept| kept.starts_with(rest) || rest.starts_with(kept)) => {}
            Some(rest) if survey.stays.iter().any(|(undo, _)| undo.path() == Some(rest)) => {
                survey.stays.push((undo, format!("`{}` stays in it", rest.display())));
            }
            Some(rest) => survey.stays.push((undo, format!("`{}` in it is not rcfed's", rest.display()))),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
