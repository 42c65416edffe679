//! Which configuration and certificate the gateway works with, and letting it take the ones on disk.
//!
//! Every configuration carries its own hash and tells it on an unpublished port, so nobody has to guess whether a reload
//! happened or was refused.

use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::error::StepError;
use super::words;
use super::{State, previous};
use crate::config::{Proxy, Service};
use crate::error::Result;
use crate::host::nginx;
use crate::host::tls::served_certificate;
use crate::machine::Machine;

/// The two halves of the gateway's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Port 80 and the unpublished listener.
    Http,
    /// Port 443.
    Https,
}

pub(super) async fn inspect(machine: &Machine) -> Result<State> {
    let state = at_work(machine).await?;
    // A change by hand leaves the digest as it was.
    if state == State::Current && previous::read_changed(machine, Service::Gateway, None)?.is_some() {
        return Ok(State::Differs(words::BY_HAND.into()));
    }
    Ok(state)
}

async fn at_work(machine: &Machine) -> Result<State> {
    for part in [Part::Http, Part::Https] {
        if loaded(machine, part).await? != wanted(machine, part) {
            return Ok(State::Differs(words::ANOTHER_CONFIGURATION.into()));
        }
    }
    Ok(if serves_pair(machine).await? { State::Current } else { State::Differs(words::ANOTHER_CERTIFICATE.into()) })
}

pub(super) async fn apply(machine: &Machine) -> Result<String> {
    reload_all(machine).await?;
    if !twice_in_a_row(machine, Wanted::All).await? {
        let (seen, _) = machine.why_unwell(Service::Gateway).await?;
        // It goes on with the old configuration; so that a restart does too, the old files come back.
        previous::restore(machine, Service::Gateway)?;
        return Err(StepError::ReloadIgnored(seen).into());
    }
    previous::forget(machine, Service::Gateway)?;
    Ok(String::new())
}

/// Lets the gateway take a renewed certificate. Its configuration may be that of an older rcfed, or wait for an `apply`:
/// the certificate must not.
pub(crate) async fn take_certificate(machine: &Machine) -> Result<()> {
    reload_all(machine).await?;
    if twice_in_a_row(machine, Wanted::Pair).await? {
        return Ok(());
    }
    let (seen, _) = machine.why_unwell(Service::Gateway).await?;
    Err(StepError::CertificateIgnored(seen).into())
}

async fn reload_all(machine: &Machine) -> Result<()> {
    reload(machine).await?;
    if machine.config.proxy == Proxy::Host {
        nginx::reload(&machine.host).await?;
    }
    Ok(())
}

/// What the gateway shall work with.
enum Wanted {
    /// Configuration and certificate.
    All,
    /// The certificate.
    Pair,
}

/// Whether it is so within 15 s, twice in a row: for a moment old and new workers take turns.
async fn twice_in_a_row(machine: &Machine, wanted: Wanted) -> Result<bool> {
    let deadline = Instant::now() + Duration::from_secs(15);
    let mut seen = 0;
    while seen < 2 {
        if Instant::now() > deadline {
            return Ok(false);
        }
        let is_so = match wanted {
            Wanted::All => at_work(machine).await? == State::Current,
            Wanted::Pair => serves_pair(machine).await?,
        };
        seen = if is_so { seen + 1 } else { 0 };
        if seen < 2 {
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    }
    Ok(true)
}

/// Reloads if the gateway answers, but with another configuration than the one on disk.
pub(super) async fn reload_if_other(machine: &Machine, part: Part) -> Result<()> {
    if loaded(machine, part).await?.is_some_and(|hash| Some(hash) != wanted(machine, part)) {
        reload(machine).await?;
    }
    Ok(())
}

/// By nginx itself and not by a signal through the engine, which would take the container for one that somebody stopped
/// by hand: it would not come back after a reboot (moby/moby#41302).
async fn reload(machine: &Machine) -> Result<()> {
    let name = Service::Gateway.container();
    let command = ["nginx", "-c", "/run/rcfed/nginx.conf", "-s", "reload"];
    let output = machine.docker.exec(&name, &command, Duration::from_secs(10)).await?;
    if output.code == 0 {
        return Ok(());
    }
    let said = output.stderr.trim().lines().last().unwrap_or("no reason given").to_string();
    Err(StepError::Reload(said).into())
}

/// The hash of the configuration the gateway works with; `None` if it does not say.
pub(crate) async fn loaded(machine: &Machine, part: Part) -> Result<Option<String>> {
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
pub(crate) fn wanted(machine: &Machine, part: Part) -> Option<String> {
    let digests = &machine.topology.digests;
    Some(if part == Part::Http { digests.http.clone() } else { digests.site.clone() })
}

/// The address at which rcfed's certificate is shown by what rcfed lets reload it, if that runs.
pub(crate) async fn shown_at(machine: &Machine) -> Result<Option<String>> {
    Ok(match machine.config.proxy {
        Proxy::Gateway => {
            let url = machine.url(Service::Gateway, 443).await?;
            url.map(|url| url.trim_start_matches("http://").to_owned())
        }
        Proxy::Host => Some("127.0.0.1:443".into()),
        Proxy::None => None,
    })
}

async fn serves_pair(machine: &Machine) -> Result<bool> {
    let store = crate::acme::Store::new(machine.path(crate::layout::CERTIFICATE));
    let Some(pair) = store.load()? else { return Ok(false) };
    let Ok(wanted) = CertificateDer::from_pem_slice(pair.fullchain_pem.as_bytes()) else { return Ok(false) };
    // What another proxy shows is its own.
    if machine.config.proxy == Proxy::None {
        return Ok(true);
    }
    let Some(address) = shown_at(machine).await? else { return Ok(false) };
    // The one name that is always served here.
    let name = machine.config.names.matrix.as_str();
    for _ in 0..3 {
        if let Some(leaf) = served_certificate(&address, name).await {
            return Ok(leaf == wanted.as_ref());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(false)
}
