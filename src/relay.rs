//! `rcfed relay`: what stands between Dendrite and Rocket.Chat's bridge, so that the two understand each other.
//!
//! Rocket.Chat federates only if its homeserver answers the ping of application services, which Dendrite does not have;
//! the relay answers it, after really pinging the bridge. Dendrite's transactions pass through it to the bridge, with the
//! token in both forms, because older bridges read only the query. It runs as the only process of a container made from
//! nothing: no shell, no certificates, no privileges, and a runtime of one thread is enough for it.
//!
//! Dendrite does not tell the bridge of invites from other servers either: those come through the relay on their way to
//! Dendrite, and what Dendrite accepts the relay hands over. docs/relay.md has the whole of it.
//!
//! Guarantees: a request is answered with success only if the bridge answered with success; an invite that was answered
//! with success is on the disk and reaches the bridge at least once; a token is never logged.
//! Assumptions: whoever restarts the container does so on exit; one Dendrite and one bridge.

mod answer;
mod config;
mod confirm;
mod deliver;
mod federation_ok;
mod forward;
mod health;
mod index;
mod invite;
mod journal;
mod pace;
mod ping;
mod queue;
mod record;
mod request;
mod seen;
mod serve;
mod split;
mod transaction;
mod words;
mod writer;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

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
    let queue = open(&config)?;
    serve::serve(listener, config, queue, stop).await;
    Ok(())
}

fn open(config: &RelayConfig) -> Result<queue::Queue, RelayError> {
    let (bounds, first) = (config.bounds(), config.pace.first);
    let opened = queue::Queue::open(&config.journal, bounds, first);
    let (queue, broken) = opened.map_err(|source| RelayError::Journal { path: config.journal.clone(), source })?;
    if broken > 0 {
        serve::say(&words::passed_over(broken));
    }
    let (invites, unresolved, _) = queue.index().numbers();
    if invites > 0 {
        serve::say(&words::waiting(invites, unresolved));
    }
    Ok(queue)
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
    /// The journal of invites cannot be used.
    #[error("the relay cannot use the journal in `{}`", path.display())]
    Journal {
        /// Its directory.
        path: PathBuf,
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
            Self::Journal { path, source } if source.kind() == io::ErrorKind::WouldBlock => {
                format!("another relay uses it: end that one, `fuser {}/lock` tells its number", path.display())
            }
            Self::Journal { path, .. } => format!("look at the directory with `ls -ld {}`", path.display()),
            Self::Signals(_) | Self::Unhealthy { .. } => "look at `sudo rcfed logs relay`".into(),
        })
    }
}
