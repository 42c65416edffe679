//! The only doors to the machine. Each door is an address, so that a test can point it at a real server of its own.

pub mod apt;
pub mod authorities;
pub mod docker;
pub mod facts;
pub mod fs;
pub mod http;
pub mod lock;
pub mod net;
pub mod nginx;
pub mod secrets;
pub mod systemd;
pub mod tls;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Where this process works: a root directory, a Docker engine, a name server, a metadata service.
#[derive(Clone, Debug)]
pub struct Host {
    /// In front of every path; `/` except in tests.
    pub root: PathBuf,
    /// The Docker engine's socket, e.g. `unix:///var/run/docker.sock`.
    pub docker: String,
    /// Asked instead of the system's resolver and the root servers.
    pub nameserver: Option<SocketAddr>,
    /// Where a cloud would tell this machine about itself; `None` asks nobody.
    pub metadata: Option<SocketAddr>,
}

impl Host {
    /// The path on this machine of a path of [`crate::layout`].
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }
}
