//! A file in the machine's own nginx. Tried before it is loaded, taken back at once if nginx refuses it: other people's
//! sites live there.

use std::path::Path;
use std::time::{Duration, Instant};

use super::State;
use super::error::StepError;
use super::words;
use crate::error::Result;
use crate::host::fs::{self, Access};
use crate::host::nginx;
use crate::machine::Machine;
use crate::receipt::{Thing, Undo};
use crate::render::{Phase, Site};
use crate::topology::hex;
use sha2::{Digest, Sha256};

/// The first words of every file that rcfed puts there.
const OURS: &str = "# Written by rcfed";
/// nginx tells its old workers to go 100 ms after it started the new ones; until then they answer on port 80 too, and a
/// proof for the certificate authority would be missing there.
const OLD_WORKERS: Duration = Duration::from_millis(500);

pub(super) fn things(machine: &Machine, phase: Phase) -> Result<Vec<Thing>> {
    let site = site(machine, phase)?;
    let undo = Undo::RemoveSite { path: site.path.into() };
    Ok(vec![Thing { undo, sha256: Some(hex(&Sha256::digest(text(machine, site)))) }])
}

pub(super) async fn inspect(machine: &Machine, phase: Phase) -> Result<State> {
    let site = site(machine, phase)?;
    let Some(there) = fs::read_text(&machine.path(site.path))? else { return Ok(State::Absent) };
    if !there.starts_with(OURS) {
        return Ok(State::Foreign(words::foreign_file(site.path)));
    }
    if there != text(machine, site) {
        return Ok(State::Differs("its content".into()));
    }
    Ok(match loaded(machine, site).await {
        true => State::Current,
        false => State::Differs(words::NOT_LOADED.into()),
    })
}

pub(super) async fn apply(machine: &Machine, phase: Phase) -> Result<String> {
    let site = site(machine, phase)?;
    let path = machine.path(site.path);
    let before = fs::read(&path)?;
    if let Err(said) = nginx::test(&machine.host).await? {
        return Err(StepError::SiteBefore(said).into());
    }
    fs::write(&path, text(machine, site).as_bytes(), Access::root(0o644))?;
    if let Err(said) = nginx::test(&machine.host).await? {
        match before {
            Some(bytes) => fs::write(&path, &bytes, Access::root(0o644))?,
            None => fs::remove(&path)?,
        }
        return Err(StepError::SiteRefused { path: site.path, said }.into());
    }
    nginx::reload(&machine.host).await?;
    let deadline = Instant::now() + Duration::from_secs(10);
    while !loaded(machine, site).await {
        if Instant::now() > deadline {
            return Err(StepError::SiteIgnored(site.path).into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    tokio::time::sleep(OLD_WORKERS).await;
    Ok(String::new())
}

fn site(machine: &Machine, phase: Phase) -> Result<&Site> {
    let found = machine.topology.sites.iter().find(|site| site.phase == phase);
    found.ok_or_else(words::no_site)
}

/// The text with paths as they are on this machine.
fn text(machine: &Machine, site: &Site) -> String {
    let pair = Path::new(crate::layout::CERTIFICATE).join(crate::acme::Store::FILE);
    site.text.replace(&pair.display().to_string(), &machine.path(&pair).display().to_string())
}

async fn loaded(machine: &Machine, site: &Site) -> bool {
    let answer = machine.host.get(&format!("http://127.0.0.1:{}/", site.port)).await;
    answer.is_ok_and(|(status, body)| status == 200 && body.trim() == site.digest)
}
