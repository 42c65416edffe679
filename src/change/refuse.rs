//! Changes of a used deployment that would lose data, refused before anything is done.

use std::path::Path;

use crate::compat;
use crate::config::Service;
use crate::deployment::Deployment;
use crate::error::{Error, Result};
use crate::host::docker::LABEL_SERVICE;
use crate::layout;
use crate::machine::Machine;
use crate::ran::Ran;
use crate::receipt::{self, Event, Undo};
use crate::render;
use crate::secrets::SecretName;
use crate::topology::{File, Origin, Volume};

/// Refuses what would lock or lose data.
pub async fn refuse(machine: &Machine) -> Result<()> {
    lost_secrets(machine)?;
    lost_data(machine).await?;
    for service in [Service::Mongodb, Service::Postgres, Service::Rocketchat, Service::Homeserver] {
        version(machine, service).await?;
    }
    Ok(())
}

/// A secret that databases were made with cannot be made again.
fn lost_secrets(machine: &Machine) -> Result<()> {
    if Deployment::load(&machine.host)?.is_none() {
        return Ok(());
    }
    let made: Vec<String> = receipt::read(&machine.path(layout::RECEIPT))?
        .into_iter()
        .filter(|entry| entry.event == Event::Done)
        .map(|entry| entry.step)
        .collect();
    let mut lost = Vec::new();
    for secret in &machine.topology.secrets {
        let own = matches!(secret.origin, Origin::Random(_) | Origin::Seed);
        if own
            && made.contains(&format!("secret:{}", secret.name.name()))
            && machine.secrets.get(secret.name)?.is_none()
        {
            lost.push(secret.name);
        }
    }
    let Some(first) = lost.first() else { return Ok(()) };
    let names: Vec<String> = lost.iter().map(|name| format!("{}/{}", layout::SECRETS, name.name())).collect();
    let told = format!("{} is gone, and data was made with it: a new one would lock them out", names.join(", "));
    let commands: Vec<String> = lost.iter().filter_map(|name| from_rendered(machine, *name)).collect();
    let hint = if commands.len() == lost.len() {
        format!("its value still stands in a file: run `{}`, then the same command again", commands.join(" && "))
    } else {
        let holds = |file: &&File| render::secrets_in(&file.text).contains(first) && machine.path(&file.path).is_file();
        let place = machine.topology.files.iter().find(holds);
        from_backup(first.name(), place.map(|file| file.path.as_path()))
    };
    Err(Error::new(told, hint))
}

/// `place`: a file that has the secret's value among others.
fn from_backup(secret: &str, place: Option<&Path>) -> String {
    let place = place.map(|path| format!(", or copy its value from {}", path.display())).unwrap_or_default();
    format!("put {}/{secret} back from a backup{place}, then run the same command again", layout::SECRETS)
}

/// Data of a deployment in use that are gone are not replaced by none at all without a word.
async fn lost_data(machine: &Machine) -> Result<()> {
    if Deployment::load(&machine.host)?.is_none() {
        return Ok(());
    }
    let ours = receipt::ours(&receipt::read(&machine.path(layout::RECEIPT))?);
    let mut lost = Vec::new();
    for volume in &machine.topology.volumes {
        let made = ours.iter().any(|ours| ours.undo == Undo::RemoveVolume { name: volume.name.clone() });
        if made && machine.docker.volume(&volume.name).await?.is_none() {
            lost.push(volume);
        }
    }
    if lost.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = lost.iter().map(|volume| volume.name.as_str()).collect();
    let told = format!(
        "the data are gone that this deployment kept in {}, and nothing new is made in their place",
        names.join(", ")
    );
    let make = |volume: &&Volume| {
        format!("\n  sudo docker volume create --label {LABEL_SERVICE}={} {}", volume.service, volume.name)
    };
    let commands: String = lost.iter().map(make).collect();
    let hint = format!(
        "put the volume back from a backup. To go on without these data for ever, make it empty by hand, then run the same \
         command again:{commands}"
    );
    Err(Error::new(told, hint))
}

/// The command that takes a secret's value out of a file it was written to.
fn from_rendered(machine: &Machine, name: SecretName) -> Option<String> {
    let mark = name.mark();
    let to = format!("{}/{}", layout::SECRETS, name.name());
    for file in machine.topology.files.iter().filter(|file| machine.path(&file.path).is_file()) {
        if file.text == mark {
            return Some(format!("sudo install -m 600 {} {to}", file.path.display()));
        }
    }
    None
}

/// Data that another version made, or changed for good.
async fn version(machine: &Machine, service: Service) -> Result<()> {
    if machine.topology.container(service).is_none() {
        return Ok(());
    }
    let observed = machine.observe(service).await?;
    let ran = Ran::load(&machine.host, service)?.ready.map(|image| image.reference);
    let Some(was) = ran.or_else(|| observed.and_then(|container| container.reference)) else { return Ok(()) };
    let wanted = machine.reference(service)?;
    compat::database_change(service, &was, &wanted).and_then(|()| compat::goes_back(service, &was, &wanted)).map_err(
        |why| {
            Error::new(
                why,
                format!(
                    "restore `{service} = \"{was}\"` below `[images]` in {}. Nothing has been changed",
                    layout::CONFIG
                ),
            )
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_comes_from_a_backup_or_from_a_file_that_has_it() {
        let places = [None, Some(Path::new("/var/lib/rcfed/services/homeserver/homeserver.yaml"))];
        insta::assert_snapshot!(places.map(|place| from_backup("form_secret", place)).join("\n"));
    }
}
