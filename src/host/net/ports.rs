//! Who listens on a TCP port, from `/proc`: the kernel's table says that somebody does, an open descriptor says who.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// Somebody who listens on a TCP port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listener {
    /// Where it listens.
    pub address: SocketAddr,
    /// Who it is; not known without the rights to look.
    pub process: Option<Process>,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its name, at most 15 characters long (`/proc/PID/comm`).
    pub name: String,
}

/// Everybody who listens on one of `ports`, with the tables of `/proc` below `root`.
///
/// # Errors
/// If `/proc/net/tcp` cannot be read. A missing `/proc/net/tcp6` means that there is no IPv6.
pub fn listeners(root: &Path, ports: &[u16]) -> std::io::Result<Vec<Listener>> {
    let proc = root.join("proc");
    let v4 = std::fs::read_to_string(proc.join("net/tcp"))?;
    let v6 = std::fs::read_to_string(proc.join("net/tcp6")).unwrap_or_default();
    let mut found: Vec<(SocketAddr, u64)> = v4.lines().chain(v6.lines()).filter_map(listening).collect();
    found.retain(|(address, _)| ports.contains(&address.port()));
    let owners = if found.is_empty() { BTreeMap::new() } else { owners(&proc, found.iter().map(|(_, inode)| *inode)) };
    let mut listeners: Vec<Listener> =
        found.into_iter().map(|(address, inode)| Listener { address, process: owners.get(&inode).cloned() }).collect();
    listeners.sort_by_key(|listener| (listener.address.port(), listener.address));
    Ok(listeners)
}

/// The name of process `pid`.
pub(crate) fn process(root: &Path, pid: u32) -> Option<Process> {
    let name = std::fs::read_to_string(root.join(format!("proc/{pid}/comm"))).ok()?;
    Some(Process { pid, name: name.trim().to_owned() })
}

impl std::fmt::Display for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (pid {})", self.name, self.pid)
    }
}

/// Address and inode of a line of `/proc/net/tcp`, if the socket listens (state 0A).
fn listening(line: &str) -> Option<(SocketAddr, u64)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (address, port) = fields.get(1)?.split_once(':')?;
    if *fields.get(3)? != "0A" {
        return None;
    }
    let address = match address.len() {
        8 => IpAddr::from(Ipv4Addr::from(word(address)?)),
        32 => {
            let mut bytes = [0; 16];
            for (target, index) in bytes.chunks_exact_mut(4).zip(0..) {
                target.copy_from_slice(&word(address.get(index * 8..index * 8 + 8)?)?);
            }
            IpAddr::from(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    let port = u16::from_str_radix(port, 16).ok()?;
    Some((SocketAddr::new(address, port), fields.get(9)?.parse().ok()?))
}

/// Four bytes of an address: a hexadecimal number in the machine's own byte order.
fn word(text: &str) -> Option<[u8; 4]> {
    u32::from_str_radix(text, 16).ok().map(u32::to_ne_bytes)
}

/// The processes that have a socket open, by its inode. If several have, the lowest id: a parent before its workers.
fn owners(proc: &Path, inodes: impl Iterator<Item = u64>) -> BTreeMap<u64, Process> {
    let wanted: BTreeMap<String, u64> = inodes.map(|inode| (format!("socket:[{inode}]"), inode)).collect();
    let mut pids: Vec<u32> = entries(proc).filter_map(|name| name.parse().ok()).collect();
    pids.sort_unstable();
    let mut owners = BTreeMap::new();
    for pid in pids {
        let open = proc.join(pid.to_string()).join("fd");
        for descriptor in entries(&open) {
            let target = std::fs::read_link(open.join(descriptor)).unwrap_or_default();
            let Some(inode) = target.to_str().and_then(|target| wanted.get(target)) else { continue };
            if let Some(process) = process(proc.parent().unwrap_or(proc), pid) {
                owners.entry(*inode).or_insert(process);
            }
        }
    }
    owners
}

fn entries(directory: &Path) -> impl Iterator<Item = String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_holds_the_port_it_opened() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(socket) = std::net::TcpListener::bind(address) else { continue };
            let address = socket.local_addr().unwrap();
            let found = listeners(Path::new("/"), &[address.port()]).unwrap();
            let mine = found.iter().find(|listener| listener.address == address).unwrap();
            assert_eq!(mine.process.as_ref().unwrap().pid, std::process::id());
        }
    }

    #[test]
    fn a_stranger_without_a_name_is_still_a_listener() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/machine/busy");
        let found = listeners(&root, &[80, 443]).unwrap();
        let shown: Vec<String> = found
            .iter()
            .map(|l| format!("{} {}", l.address, l.process.as_ref().map_or("?".into(), Process::to_string)))
            .collect();
        assert_eq!(shown, ["0.0.0.0:80 nginx (pid 812)", "[::]:80 nginx (pid 812)", "127.0.0.1:443 ?"]);
    }
}
