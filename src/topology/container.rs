//! A container as rcfed wants it, and the hash by which a running one is recognised.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::config::Service;

/// Everything that decides how a container runs.
#[derive(Clone, Debug, Serialize)]
pub struct Container {
    /// Which service it is.
    pub service: Service,
    /// Where its image comes from.
    pub image: ImageSource,
    /// Replaces the image's entrypoint, if given.
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's command, if given.
    pub command: Option<Vec<String>>,
    /// Numeric `uid:gid`; `None` keeps the image's own.
    pub user: Option<String>,
    /// Further groups of its processes.
    pub groups: Vec<u32>,
    /// Environment without secrets.
    pub env: BTreeMap<String, String>,
    /// What is mounted where.
    pub mounts: Vec<Mount>,
    /// Directories made in a volume before the first start, owned by the container's user.
    pub seeds: Vec<PathBuf>,
    /// What is published.
    pub ports: Vec<Port>,
    /// Kept capabilities.
    pub capabilities: Vec<String>,
    /// Whether the root file system is read-only.
    pub read_only: bool,
    /// Writable directories in memory, with mount options.
    pub tmpfs: BTreeMap<String, String>,
    /// The most memory it may take, in MiB; `None` for no limit.
    pub memory: Option<u32>,
    /// How its health is asked.
    pub health: Health,
    /// Seconds it gets to stop.
    pub stop_seconds: u32,
    /// Hash of the files it reads when it starts, secret versions included.
    pub reads: String,
}

/// Where an image comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum ImageSource {
    /// Pulled under this reference.
    Pull(String),
    /// Made from this very binary.
    Own,
}

/// A mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mount {
    /// What is mounted.
    pub source: Source,
    /// Where in the container.
    pub target: String,
    /// Whether the container may not write there.
    pub read_only: bool,
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Source {
    /// A directory of [`crate::layout`].
    Path(PathBuf),
    /// A named volume.
    Volume(String),
}

/// A published port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Port {
    /// Address on the machine; empty for all.
    pub address: String,
    /// Port on the machine.
    pub host: u16,
    /// Port in the container.
    pub container: u16,
}

/// A health check run inside the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Health {
    /// The command, without a shell.
    pub test: Vec<String>,
    /// Seconds between two checks.
    pub interval: u32,
    /// Seconds during which failures do not count.
    pub start_period: u32,
}

impl Container {
    /// SHA-256 over everything above, as hex: the value of the label `io.rcfed.hash`.
    pub fn hash(&self) -> String {
        let text = serde_json::to_vec(self).unwrap_or_default();
        hex(&Sha256::digest(text))
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
