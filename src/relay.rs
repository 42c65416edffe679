//! `rcfed relay`: what stands between Dendrite and Rocket.Chat's bridge, so that the two understand each other.
//!
//! Rocket.Chat federates only if its homeserver answers the ping of application services, which Dendrite does not have;
//! the relay answers it, after really pinging the bridge. Dendrite's transactions pass through it to the bridge, with the
//! token in both forms, because older bridges read only the query. It runs as the only process of a container made from
//! nothing: no shell, no certificates, no privileges, and a runtime of one thread is enough for it.
//!
//! Guarantees: a request is answered with success only if the bridge answered with success; a token is never logged.
//! Assumptions: whoever restarts the container does so on exit; one Dendrite and one bridge.

mod answer;
mod config;
mod forward;
mod ping;
mod serve;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::error::{Explain, Result};

pub use config::{ConfigError, RelayConfig};

/// Serves until SIGTERM or SIGINT; with `check`, asks the running service for its health instead.
pub async fn run(config_path: &Path, check: bool) -> Result<()> {
    let config = RelayConfig::load(config_path)?;
    if check {
        return Ok(serve::check(config.listen).await?);
    }
    // Before anything else: as process 1 a signal without a handler is lost.
    let mut terminate = signal(SignalKind::terminate()).map_err(RelayError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RelayError::Signals)?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let address = config.listen;
    let listener = TcpListener::bind(address).await.map_err(|source| RelayError::Listen { address, source })?;
    serve::serve(listener, config, stop).await;
    Ok(())
}

/// Why the relay does not run.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The address is taken or not ours.
    #[error("the relay cannot listen on {address}")]
    Listen {
        /// Where it should listen.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel gave no signal handlers.
    #[error("the relay cannot wait for signals")]
    Signals(#[source] io::Error),
    /// The running relay did not answer.
    #[error("the relay does not answer on {address}: {why}")]
    Unhealthy {
        /// Where it was asked.
        address: SocketAddr,
        /// What happened.
        why: String,
    },
}

impl Explain for RelayError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Listen { address, .. } => {
                format!("see who listens there with `ss -ltnp 'sport = :{}'`", address.port())
            }
            Self::Signals(_) | Self::Unhealthy { .. } => "look at `sudo rcfed logs relay`".into(),
        })
    }
}
