//! Which configuration and certificate the gateway works with, and letting it take the ones on disk.
//!
//! Every configuration carries its own hash and tells it on an unpublished port, so nobody has to guess whether a reload
//! happened or was refused.

use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::State;
use crate::config::Service;
use crate::error::{Error, Result};
use crate::host::tls::served_certificate;
use crate::machine::Machine;

/// The two halves of the gateway's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Port 80 and the unpublished listener.
    Http,
    /// Port 443.
    Https,
}

pub(super) async fn inspect(machine: &Machine) -> Result<State> {
    for part in [Part::Http, Part::Https] {
        if loaded(machine, part).await? != wanted(machine, part) {
            return Ok(State::Differs("the gateway works with another configuration".into()));
        }
    }
    Ok(if serves_pair(machine).await? {
        State::Current
    } else {
        State::Differs("the gateway serves another certificate".into())
    })
}

pub(super) async fn apply(machine: &Machine) -> Result<String> {
    machine.docker.signal(&Service::Gateway.container(), "HUP").await?;
    let deadline = Instant::now() + Duration::from_secs(15);
    // Twice in a row: for a moment old and new workers take turns.
    let mut seen_new = 0;
    while seen_new < 2 {
        seen_new = if inspect(machine).await? == State::Current { seen_new + 1 } else { 0 };
        if Instant::now() > deadline {
            let (seen, _) = machine.why_unwell(Service::Gateway).await?;
            return Err(Error::new(
                format!("the gateway did not take its new configuration: {seen}"),
                "see `sudo rcfed logs gateway`",
            ));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(String::new())
}

/// Sends HUP if the gateway answers, but with another configuration than the one on disk.
pub(super) async fn signal_if_other(machine: &Machine, part: Part) -> Result<()> {
    if loaded(machine, part).await?.is_some_and(|hash| Some(hash) != wanted(machine, part)) {
        machine.docker.signal(&Service::Gateway.container(), "HUP").await?;
    }
    Ok(())
}

/// The hash of the configuration the gateway works with; `None` if it does not say.
pub(super) async fn loaded(machine: &Machine, part: Part) -> Result<Option<String>> {
    let (port, path) = match part {
        Part::Http => (8008, "/rcfed/http"),
        Part::Https => (8010, "/"),
    };
    let Some(base) = machine.url(Service::Gateway, port).await? else { return Ok(None) };
    // While nginx changes its workers, the old ones may take a connection and close it.
    for _ in 0..3 {
        if let Ok((200, body)) = machine.host.get(&format!("{base}{path}")).await {
            return Ok(Some(body.trim().to_string()));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(None)
}

/// The digest of the wanted configuration.
pub(super) fn wanted(machine: &Machine, part: Part) -> Option<String> {
    let digests = &machine.topology.digests;
    Some(if part == Part::Http { digests.http.clone() } else { digests.site.clone() })
}

async fn serves_pair(machine: &Machine) -> Result<bool> {
    let store = crate::acme::Store::new(machine.path(crate::layout::CERTIFICATE));
    let Some(pair) = store.load()? else { return Ok(false) };
    let Ok(wanted) = CertificateDer::from_pem_slice(pair.fullchain_pem.as_bytes()) else { return Ok(false) };
    let Some(base) = machine.url(Service::Gateway, 443).await? else { return Ok(false) };
    let address = base.trim_start_matches("http://");
    let name = machine.config.names.chat.as_str();
    for _ in 0..3 {
        if let Some(leaf) = served_certificate(address, name).await {
            return Ok(leaf == wanted.as_ref());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(false)
}
