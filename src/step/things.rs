//! What each step makes on the machine, with the way back. The receipt has all of it before the step acts.

use std::path::Path;

use super::{Step, connection, file, replace, settings, site, trial, unit};
use crate::config::Service;
use crate::doctor;
use crate::error::Result;
use crate::host::docker::seed_name;
use crate::host::fs;
use crate::layout;
use crate::machine::Machine;
use crate::receipt::{self, Receipt, Thing, Undo};
use crate::secrets::SecretName;
use crate::topology::{Directory, NETWORK};

pub(super) async fn things(step: &Step, machine: &Machine, receipt: &Receipt) -> Result<Vec<Thing>> {
    let undos = match step {
        Step::Account => secret(SecretName::PersonalAccessToken),
        Step::Certificate => receipt::certificate(),
        Step::Connection => {
            let name = connection::container(machine).map(str::to_owned);
            name.map(|container| Undo::Disconnect { container }).into_iter().collect()
        }
        Step::Container(service) => container(machine, *service),
        Step::Database(_) => vec![Undo::Keep { why: super::words::IN_A_VOLUME.into() }],
        Step::Directory(directory) => return directories(machine, receipt, directory),
        // What the doctor saw counts for nothing without the deployment.
        Step::Federation => [layout::VERDICT, doctor::PAST].map(|path| Undo::RemoveFile { path: path.into() }).into(),
        Step::File(wanted) => {
            vec![file::undo(machine, receipt, &wanted.path, Undo::RemoveFile { path: wanted.path.clone() })?]
        }
        Step::Image(service) => image(machine, receipt, *service).await?,
        Step::Network => vec![Undo::RemoveNetwork { name: NETWORK.into() }],
        Step::Ready(_) | Step::Reload => vec![Undo::Nothing],
        Step::Secret(wanted) => secret(wanted.name),
        Step::Settings => machine.config.rocketchat.existing.iter().map(settings::undo).collect(),
        Step::Site(phase) => return site::things(machine, *phase),
        Step::Trial(phase) => {
            vec![receipt::trial(trial::kind(*phase)), Undo::RemoveContainer { name: trial::container(*phase) }]
        }
        Step::Unit => return unit::things(machine, receipt),
        Step::Volume(volume) => vec![Undo::RemoveVolume { name: volume.name.clone() }],
    };
    Ok(undos.into_iter().map(Thing::from).collect())
}

fn container(machine: &Machine, service: Service) -> Vec<Undo> {
    let mut undos = Vec::new();
    if matches!(service, Service::Homeserver | Service::Rocketchat) {
        undos.push(Undo::PurgeFile { path: layout::DEPLOYMENT.into() });
    }
    if machine.topology.container(service).is_some_and(|container| !container.seeds.is_empty()) {
        undos.push(Undo::RemoveContainer { name: seed_name(service) });
    }
    // Names that live as long as a replacement takes.
    let names = [replace::next(service), replace::kept(service), service.container()];
    undos.extend(names.map(|name| Undo::RemoveContainer { name }));
    undos
}

fn directories(machine: &Machine, receipt: &Receipt, wanted: &Directory) -> Result<Vec<Thing>> {
    let remove = |path: &Path| Undo::RemoveDirectory { path: path.into() };
    let mut undos = Vec::new();
    for path in wanted.path.ancestors() {
        let there = fs::access(&machine.path(path))?.is_some();
        if !there || (path == wanted.path && receipt.owns(&remove(path))) {
            undos.push(remove(path));
        }
    }
    undos.reverse();
    if undos.is_empty() {
        undos.push(Undo::Keep { why: "it was there before".into() });
    }
    Ok(undos.into_iter().map(Thing::from).collect())
}

async fn image(machine: &Machine, receipt: &Receipt, service: Service) -> Result<Vec<Undo>> {
    let remove = Undo::RemoveImage { reference: machine.reference(service)? };
    if service == Service::Relay {
        return Ok(vec![remove]);
    }
    let mut undos = vec![Undo::RemoveFile { path: layout::DIGESTS.into() }];
    // What somebody else pulled stays.
    let pulls = receipt.owns(&remove) || machine.image(service).await?.is_none();
    undos.push(if pulls { remove } else { Undo::Keep { why: "it was there before".into() } });
    Ok(undos)
}

fn secret(name: SecretName) -> Vec<Undo> {
    let path = |name: &str| Undo::PurgeFile { path: Path::new(layout::SECRETS).join(name) };
    vec![path("versions"), path(name.name())]
}
