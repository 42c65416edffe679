//! How each thing is taken back: a small closed set, written before the thing exists and read for ever.
//!
//! Whoever adds a shape raises [`super::VERSION`]; whoever reads an old line goes through [`understood`].

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::layout;

/// How a thing is taken back: by name, known before it is made.
///
/// Paths are those of production. A file's undo stands for the temporary file beside it too, `.NAME.PID.new`, which a
/// killed write leaves.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "undo", rename_all = "snake_case")]
pub enum Undo {
    /// Takes somebody else's container from rcfed's network; it runs on. Since version 3.
    Disconnect {
        /// Its name.
        container: String,
    },
    /// Stays on the machine, for this reason.
    Keep {
        /// Why it stays.
        why: String,
    },
    /// Nothing was left behind.
    Nothing,
    /// Removes a file without which kept data is lost; only when purging. Since version 2.
    PurgeFile {
        /// Its path.
        path: PathBuf,
    },
    /// Removes a directory with everything in it; only when purging. Since version 2.
    PurgeTree {
        /// Its path.
        path: PathBuf,
    },
    /// Removes a container.
    RemoveContainer {
        /// Its name.
        name: String,
    },
    /// Removes a directory if it is empty.
    RemoveDirectory {
        /// Its path.
        path: PathBuf,
    },
    /// Removes a file.
    RemoveFile {
        /// Its path.
        path: PathBuf,
    },
    /// Removes an image, unless somebody else's container uses it.
    RemoveImage {
        /// Its reference.
        reference: String,
    },
    /// Removes a network.
    RemoveNetwork {
        /// Its name.
        name: String,
    },
    /// Removes a package, never its configuration; only when purging, and only if nobody else uses it. Since version 2.
    RemovePackage {
        /// Its name.
        name: String,
    },
    /// Removes a file of the machine's own nginx, and has it reload. Since version 2.
    RemoveSite {
        /// Its path.
        path: PathBuf,
    },
    /// Removes a directory into which only rcfed writes, with everything in it. Since version 2.
    RemoveTree {
        /// Its path.
        path: PathBuf,
    },
    /// Disables and stops a unit of systemd, and removes its file. Since version 2.
    RemoveUnit {
        /// The file's path.
        path: PathBuf,
    },
    /// Removes a volume, only when purging.
    RemoveVolume {
        /// Its name.
        name: String,
    },
    /// Puts a file back that was there before.
    RestoreFile {
        /// Its path.
        path: PathBuf,
        /// Where the old content was kept.
        backup: PathBuf,
    },
    /// Gives the Rocket.Chat that somebody else runs the settings back that it had. Since version 3.
    RestoreSettings {
        /// Its container's name, or its address.
        of: String,
        /// Where they were kept; tokens are among them.
        backup: PathBuf,
    },
}

impl Undo {
    /// Names what it takes back, whichever way; the first undo recorded for a name wins. `None` if it takes nothing back.
    pub fn thing(&self) -> Option<String> {
        let at = |kind: &str, path: &Path| Some(format!("{kind}:{}", path.display()));
        match self {
            Self::Keep { .. } | Self::Nothing => None,
            Self::Disconnect { container } => Some(format!("connection:{container}")),
            Self::RestoreSettings { of, .. } => Some(format!("settings:{of}")),
            Self::RemoveContainer { name } => Some(format!("container:{name}")),
            Self::RemoveDirectory { path } => at("directory", path),
            Self::PurgeFile { path } | Self::RemoveFile { path } | Self::RemoveSite { path } => at("file", path),
            Self::RemoveUnit { path } | Self::RestoreFile { path, .. } => at("file", path),
            Self::RemoveImage { reference } => Some(format!("image:{reference}")),
            Self::RemoveNetwork { name } => Some(format!("network:{name}")),
            Self::RemovePackage { name } => Some(format!("package:{name}")),
            Self::PurgeTree { path } | Self::RemoveTree { path } => at("tree", path),
            Self::RemoveVolume { name } => Some(format!("volume:{name}")),
        }
    }

    /// Whether what it takes back stays unless the deployment is purged.
    pub fn waits_for_purge(&self) -> bool {
        match self {
            Self::PurgeFile { .. } | Self::PurgeTree { .. } => true,
            Self::RemovePackage { .. } | Self::RemoveVolume { .. } => true,
            // A configuration that was there before is the one that init uses again.
            Self::RestoreFile { path, .. } => path == Path::new(layout::CONFIG),
            _ => false,
        }
    }

    /// The path of the file, directory or tree.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::PurgeFile { path } | Self::PurgeTree { path } | Self::RemoveDirectory { path } => Some(path),
            Self::RemoveFile { path } | Self::RemoveTree { path } | Self::RemoveUnit { path } => Some(path),
            Self::RemoveSite { path } | Self::RestoreFile { path, .. } => Some(path),
            Self::RestoreSettings { backup, .. } => Some(backup),
            _ => None,
        }
    }

    /// Whether the engine has to be asked for it.
    pub fn is_in_docker(&self) -> bool {
        matches!(
            self,
            Self::Disconnect { .. }
                | Self::RemoveContainer { .. }
                | Self::RemoveImage { .. }
                | Self::RemoveNetwork { .. }
                | Self::RemoveVolume { .. }
        )
    }
}

/// What a line of an older version means today. Version 1 left several files unsaid; they went with these steps.
pub(super) fn understood(version: u32, step: &str, undo: &Undo) -> Vec<Undo> {
    if version > 1 {
        return vec![undo.clone()];
    }
    let purge = |path: &str| Undo::PurgeFile { path: path.into() };
    let secret = |name: &str| Undo::PurgeFile { path: Path::new(layout::SECRETS).join(name) };
    let file = |path: &str| Undo::RemoveFile { path: path.into() };
    let (kind, name) = step.split_once(':').unwrap_or((step, ""));
    match (kind, undo) {
        ("account", Undo::Keep { .. }) => vec![secret("personal_access_token"), secret("versions")],
        ("secret", Undo::Keep { .. }) => vec![secret(name), secret("versions")],
        ("certificate", Undo::Keep { .. }) => certificate(),
        ("container", Undo::RemoveContainer { .. }) if matches!(name, "homeserver" | "rocketchat") => {
            vec![purge(layout::DEPLOYMENT), undo.clone()]
        }
        ("federation", Undo::Nothing) => vec![file(layout::VERDICT)],
        ("image", Undo::RemoveImage { .. }) => vec![file(layout::DIGESTS), undo.clone()],
        ("trial", Undo::Nothing) => vec![trial(name)],
        ("unit", Undo::RemoveFile { path }) if path.extension().is_some_and(|e| e == "timer") => {
            vec![Undo::RemoveUnit { path: path.with_extension("service") }, Undo::RemoveUnit { path: path.clone() }]
        }
        _ => vec![undo.clone()],
    }
}

/// What `init` writes before the first step.
pub(crate) fn base() -> Vec<Undo> {
    let directory = |path: &str| Undo::RemoveDirectory { path: path.into() };
    let purge = |path: &str| Undo::PurgeFile { path: path.into() };
    vec![directory("/etc/rcfed"), purge(layout::REGISTRATION_TOKEN), purge(layout::CONFIG)]
}

/// What any run may leave beside what its steps make: the configuration that was applied, copies of files that a change
/// replaced, which may hold secrets, and what a change writes down and dumps before it touches data.
pub(crate) fn run() -> Vec<Undo> {
    vec![
        Undo::PurgeTree { path: layout::DUMPS.into() },
        Undo::PurgeFile { path: layout::RAN.into() },
        Undo::RemoveFile { path: layout::APPLIED.into() },
        Undo::RemoveTree { path: layout::PREVIOUS.into() },
    ]
}

/// What getting a certificate leaves: accounts and answers to challenges, and the pair.
pub(crate) fn certificate() -> Vec<Undo> {
    let pair = Path::new(layout::CERTIFICATE).join(crate::acme::Store::FILE);
    vec![Undo::PurgeTree { path: layout::ACME.into() }, Undo::PurgeFile { path: pair }]
}

/// The directory of a trial that was killed.
pub(crate) fn trial(kind: &str) -> Undo {
    Undo::RemoveTree { path: Path::new(layout::STATE).join(format!("trial-{kind}")) }
}
