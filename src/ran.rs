//! Which image each service with data last ran with.
//!
//! A container can be removed, its data stay: without this nobody knows that the next version will find them, and change
//! them in a way that cannot be taken back.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::config::Service;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::host::fs::{self, Access};
use crate::layout;

/// An image, by its name and by what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The reference it was pulled under.
    pub reference: String,
    /// The engine's id of its content.
    pub id: String,
}

/// What a service ran with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ran {
    /// The last image that became ready.
    pub ready: Option<Image>,
    /// The last image that was started.
    pub started: Option<Image>,
    /// The dump that was made before `started` replaced `ready`, while they differ.
    pub dump: Option<PathBuf>,
}

impl Ran {
    /// What is known of a service.
    pub fn load(host: &Host, service: Service) -> Result<Self> {
        Ok(all(host)?.remove(service.name()).unwrap_or_default())
    }

    /// Keeps it.
    pub fn store(self, host: &Host, service: Service) -> Result<()> {
        // Containers are made at the same time, and all of them share one file.
        static WRITER: Mutex<()> = Mutex::new(());
        let _alone = WRITER.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ran = all(host)?;
        if ran.get(service.name()) == Some(&self) {
            return Ok(());
        }
        ran.insert(service.name().into(), self);
        let text = serde_json::to_vec_pretty(&ran).unwrap_or_default();
        Ok(fs::write(&host.path(layout::RAN), &text, Access::root(0o644))?)
    }

    /// Whether a version was started that never became ready.
    pub fn failed(&self) -> bool {
        self.ready.is_some() && self.started != self.ready
    }
}

fn all(host: &Host) -> Result<BTreeMap<String, Ran>> {
    let path = host.path(layout::RAN);
    let Some(text) = fs::read_text(&path)? else { return Ok(BTreeMap::new()) };
    serde_json::from_str(&text).map_err(|error| {
        let path = path.display();
        Error::new(format!("`{path}` cannot be understood: {error}"), format!("put {path} back from a backup"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_that_store_at_the_same_time_lose_nothing() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: only root can give files to root");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let host = Host { root: dir.path().into(), docker: String::new(), nameserver: None, metadata: None };
        std::fs::create_dir_all(host.path(layout::STATE)).unwrap();
        let services = [Service::Mongodb, Service::Postgres, Service::Rocketchat, Service::Homeserver];
        for round in 0..20 {
            let image = |service: Service| Image { reference: format!("{service}:{round}"), id: round.to_string() };
            let ran = |service| Ran { ready: Some(image(service)), ..Ran::default() };
            std::thread::scope(|scope| {
                for service in services {
                    let host = &host;
                    scope.spawn(move || ran(service).store(host, service).unwrap());
                }
            });
            for service in services {
                assert_eq!(Ran::load(&host, service).unwrap(), ran(service), "round {round}");
            }
        }
    }
}
