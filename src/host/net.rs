//! What this machine is on the network: its addresses, and who holds a port.

pub mod exchange;
mod interfaces;
mod metadata;
pub(crate) mod plain;
mod ports;

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use crate::dns::is_private;

pub(super) use ports::process;
pub use ports::{Listener, Process, listeners};

/// The link-local address at which clouds tell a machine about itself.
pub const METADATA: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(169, 254, 169, 254)), 80);

/// How an address is known to be this machine's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The configuration says so.
    Configured,
    /// An address that the cloud can move between machines, at this one now.
    Reserved(&'static str),
    /// The cloud's metadata service says so.
    Metadata(&'static str),
    /// An interface has it.
    Interface,
}

/// An address and how it is known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// How it is known.
    pub source: Source,
    /// The address.
    pub ip: IpAddr,
}

/// The addresses at which others can reach this machine, the most certain first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses(Vec<Address>);

/// Whether an interface has an IPv6 address that others can reach.
pub fn has_ipv6(root: &Path) -> bool {
    interfaces::read(root).into_iter().any(|ip| ip.is_ipv6() && !is_private(ip))
}

/// Whether an interface has this address, so that a packet to it never leaves the machine.
pub fn has(root: &Path, ip: IpAddr) -> bool {
    interfaces::read(root).contains(&ip)
}

impl Addresses {
    /// Sorts by certainty and keeps each address once. Private addresses count only if they were configured.
    pub fn new(found: impl IntoIterator<Item = Address>) -> Self {
        let mut list: Vec<Address> =
            found.into_iter().filter(|a| a.source == Source::Configured || !is_private(a.ip)).collect();
        list.sort();
        let mut seen = Vec::new();
        list.retain(|address| {
            let fresh = !seen.contains(&address.ip);
            seen.push(address.ip);
            fresh
        });
        Self(list)
    }

    /// Puts together what `configured` says, what the interfaces below `root` have, and what the cloud's metadata
    /// service at `metadata` says; without an address there, nothing is asked. Takes a second at most.
    pub async fn find(root: &Path, configured: &[IpAddr], metadata: Option<SocketAddr>) -> Self {
        let configured = configured.iter().map(|ip| Address { source: Source::Configured, ip: *ip });
        let interfaces = interfaces::read(root).into_iter().map(|ip| Address { source: Source::Interface, ip });
        let cloud = match metadata {
            Some(service) => metadata::ask(service).await,
            None => Vec::new(),
        };
        Self::new(configured.chain(interfaces).chain(cloud))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Address> {
        self.0.iter()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `ip` is this machine.
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|address| address.ip == ip)
    }

    /// The IPv4 address to publish.
    pub fn v4(&self) -> Option<IpAddr> {
        self.0.iter().map(|address| address.ip).find(IpAddr::is_ipv4)
    }

    /// The IPv6 address to publish.
    pub fn v6(&self) -> Option<IpAddr> {
        self.0.iter().map(|address| address.ip).find(IpAddr::is_ipv6)
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Configured => f.write_str("configured"),
            Self::Reserved(cloud) => write!(f, "reserved at {cloud}"),
            Self::Metadata(cloud) => f.write_str(cloud),
            Self::Interface => f.write_str("interface"),
        }
    }
}

impl std::fmt::Display for Addresses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, Address { source, ip }) in self.0.iter().enumerate() {
            write!(f, "{}{ip} ({source})", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}
