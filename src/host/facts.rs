//! What this machine is: system, processor, memory, disk, and whether it is still busy setting itself up.
//!
//! Everything is read below a root directory, which is `/` except in tests.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::net::{Process, process};

/// Why a fact is not known.
#[derive(Debug, thiserror::Error)]
pub enum FactError {
    /// A file cannot be read.
    #[error("{path} cannot be read: {error}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// A file lacks what it should hold.
    #[error("{path} does not say {what}")]
    Lacks {
        /// The file.
        path: String,
        /// What was looked for.
        what: &'static str,
    },
}

/// The distribution, from `/etc/os-release`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Os {
    /// `debian`, `ubuntu`, ….
    pub id: String,
    /// The distributions it descends from.
    pub like: Vec<String>,
    /// The version's number, e.g. `24.04`.
    pub version: String,
    /// The name for people.
    pub pretty: String,
}

/// Memory in bytes, from `/proc/meminfo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// All of it.
    pub total: u64,
    /// Swap, used or not.
    pub swap: u64,
}

/// Whether this process may do everything (effective user id 0).
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The processor's architecture as the kernel calls it: `x86_64`, `aarch64`, ….
pub fn architecture() -> String {
    rustix::system::uname().machine().to_string_lossy().into_owned()
}

/// The distribution.
pub fn os(root: &Path) -> Result<Os, FactError> {
    let text = read(root, "etc/os-release").or_else(|_| read(root, "usr/lib/os-release"))?;
    let fields: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.trim().split_once('=')).collect();
    let field = |key: &str| fields.get(key).map(|value| value.trim_matches(['"', '\'']).to_owned());
    let id = field("ID").ok_or(FactError::Lacks { path: "/etc/os-release".into(), what: "ID" })?;
    let like = field("ID_LIKE").unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    let version = field("VERSION_ID").unwrap_or_default();
    Ok(Os { pretty: field("PRETTY_NAME").unwrap_or_else(|| format!("{id} {version}")), id, like, version })
}

impl Os {
    /// Whether packages come by apt.
    pub fn has_apt(&self) -> bool {
        ["debian", "ubuntu"].iter().any(|name| self.id == *name || self.like.iter().any(|like| like == name))
    }
}

/// Memory and swap.
pub fn memory(root: &Path) -> Result<Memory, FactError> {
    let text = read(root, "proc/meminfo")?;
    let field = |key: &'static str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        let kib: Option<u64> = line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse().ok());
        kib.map(|kib| kib * 1024).ok_or(FactError::Lacks { path: "/proc/meminfo".into(), what: key })
    };
    Ok(Memory { total: field("MemTotal")?, swap: field("SwapTotal")? })
}

/// Whether the processor has the flag `flag`, e.g. `avx`.
pub fn has_cpu_flag(root: &Path, flag: &str) -> Result<bool, FactError> {
    let text = read(root, "proc/cpuinfo")?;
    let flags = text.lines().find_map(|line| line.strip_prefix("flags")?.split_once(':'));
    let (_, flags) = flags.ok_or(FactError::Lacks { path: "/proc/cpuinfo".into(), what: "flags" })?;
    Ok(flags.split_whitespace().any(|word| word == flag))
}

/// Bytes free for users at `path`, or at the closest directory above it that exists.
pub fn free_space(path: &Path) -> Result<u64, FactError> {
    let there = path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let stat = rustix::fs::statvfs(there)
        .map_err(|error| FactError::Read { path: there.display().to_string(), error: error.into() })?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// How many more files fit on the file system of `path`; some, such as btrfs, have no limit.
pub fn free_inodes(path: &Path) -> Result<u64, FactError> {
    let there = path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let stat = rustix::fs::statvfs(there)
        .map_err(|error| FactError::Read { path: there.display().to_string(), error: error.into() })?;
    Ok(if stat.f_files == 0 { u64::MAX } else { stat.f_favail })
}

/// Who holds apt's lock, if anybody does: the kernel's list of locks names the file by its inode.
pub fn apt_lock(root: &Path) -> Result<Option<Process>, FactError> {
    let Ok(lock) = std::fs::metadata(root.join("var/lib/dpkg/lock-frontend")) else { return Ok(None) };
    let device = lock.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    // File systems without a device of their own (overlay, btrfs) show another number in the list: the inode decides.
    let id = if major == 0 { format!(":{}", lock.ino()) } else { format!("{major:02x}:{minor:02x}:{}", lock.ino()) };
    let holder = read(root, "proc/locks")?.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().filter(|field| *field != "->").collect();
        let at = fields.iter().position(|field| field.ends_with(&id))?;
        fields.get(at.checked_sub(1)?)?.parse::<u32>().ok()
    });
    let unnamed = |pid| Process { pid, name: "a process".into() };
    Ok(holder.map(|pid| process(root, pid).unwrap_or_else(|| unnamed(pid))))
}

/// Whether cloud-init has begun on this boot and not ended.
pub fn cloud_init_runs(root: &Path) -> bool {
    let at = |file: &str| root.join("run/cloud-init").join(file).exists();
    at("status.json") && !at("result.json")
}

fn read(root: &Path, path: &str) -> Result<String, FactError> {
    std::fs::read_to_string(root.join(path)).map_err(|error| FactError::Read { path: format!("/{path}"), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_holds_apts_lock_is_named() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        assert_eq!(apt_lock(root).unwrap(), None, "no dpkg at all");
        std::fs::create_dir_all(root.join("var/lib/dpkg")).unwrap();
        std::fs::create_dir_all(root.join("proc/901")).unwrap();
        let lock = root.join("var/lib/dpkg/lock-frontend");
        std::fs::write(&lock, "").unwrap();
        let meta = std::fs::metadata(&lock).unwrap();
        let (major, minor) = (rustix::fs::major(meta.dev()), rustix::fs::minor(meta.dev()));
        let line = |inode| format!("1: POSIX  ADVISORY  WRITE 901 {major:02x}:{minor:02x}:{inode} 0 EOF\n");
        std::fs::write(root.join("proc/locks"), line(meta.ino() + 1)).unwrap();
        assert_eq!(apt_lock(root).unwrap(), None);
        std::fs::write(root.join("proc/locks"), line(meta.ino())).unwrap();
        assert_eq!(apt_lock(root).unwrap().unwrap().to_string(), "a process (pid 901)");
        std::fs::write(root.join("proc/901/comm"), "unattended-upgr\n").unwrap();
        assert_eq!(apt_lock(root).unwrap().unwrap().to_string(), "unattended-upgr (pid 901)");
    }
}
