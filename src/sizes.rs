//! How much memory each server may take, from how much the machine has.
//!
//! Every server left alone believes that the machine is its own: MongoDB takes half of the memory, Dendrite a gigabyte,
//! V8 as much as it likes. On a 2 GB machine the kernel would then end one of them at random.

use std::collections::BTreeMap;

use crate::config::Service;

/// Limits that go into configuration files and environments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sizes {
    /// MongoDB's cache in GB; 0.25 is the least it accepts.
    pub wiredtiger_gb: f32,
    /// Dendrite's cache in MB.
    pub dendrite_cache_mb: u32,
    /// Connections that the homeserver may open to PostgreSQL.
    pub db_connections: u32,
    /// The most that Rocket.Chat's V8 may allocate, in MB.
    pub node_heap_mb: u32,
    /// Whether the containers' network has IPv6.
    pub ipv6: bool,
}

impl Sizes {
    /// Connections that PostgreSQL keeps beyond the homeserver's, for rcfed and for backups.
    pub const SPARE_CONNECTIONS: u32 = 10;

    /// Shares of the machine's memory.
    ///
    /// The kernel reports a little less than was bought, so a machine counts as the next full gigabyte.
    pub fn for_memory(total_mb: u64, ipv6: bool) -> Self {
        let gb = u16::try_from(total_mb.div_ceil(1024)).unwrap_or(u16::MAX).clamp(2, 32);
        let mb = u32::from(gb) * 1024;
        Self {
            wiredtiger_gb: (f32::from(gb) / 8.0).min(4.0),
            dendrite_cache_mb: (mb / 16).min(1024),
            db_connections: (u32::from(gb) * 10).min(90),
            node_heap_mb: (mb * 3 / 8).min(4096),
            ipv6,
        }
    }
}

impl Sizes {
    /// The same shares where a service's container is limited (MiB): what a server takes on purpose must fit into what it
    /// may take, or the kernel ends it.
    #[must_use]
    pub fn within(mut self, limits: &BTreeMap<Service, u32>) -> Self {
        if let Some(mib) = limits.get(&Service::Mongodb) {
            // Half, as MongoDB itself would: connections and sorts live beside the cache.
            self.wiredtiger_gb = self.wiredtiger_gb.min((*mib as f32 / 2048.0).max(0.25));
        }
        if let Some(mib) = limits.get(&Service::Homeserver) {
            self.dendrite_cache_mb = self.dendrite_cache_mb.min(mib / 4);
        }
        if let Some(mib) = limits.get(&Service::Rocketchat) {
            self.node_heap_mb = self.node_heap_mb.min(mib * 3 / 4);
        }
        self
    }
}

/// The least memory in MiB with which a service starts at all.
pub fn least(service: Service) -> u32 {
    match service {
        Service::Relay => 16,
        Service::Gateway => 32,
        Service::Homeserver | Service::Postgres => 128,
        // The smallest cache alone is 256.
        Service::Mongodb | Service::Rocketchat => 512,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_grow_with_the_machine_and_stop_somewhere() {
        let shares = |mb| {
            let s = Sizes::for_memory(mb, false);
            (s.wiredtiger_gb, s.dendrite_cache_mb, s.db_connections, s.node_heap_mb)
        };
        assert_eq!(shares(512), (0.25, 128, 20, 768));
        assert_eq!(shares(1963), (0.25, 128, 20, 768));
        assert_eq!(shares(3914), (0.5, 256, 40, 1536));
        assert_eq!(shares(7941), (1.0, 512, 80, 3072));
        assert_eq!(shares(1 << 40), (4.0, 1024, 90, 4096));
    }

    #[test]
    fn a_limited_server_takes_less_and_never_more() {
        let limits = [(Service::Mongodb, 768), (Service::Homeserver, 400), (Service::Rocketchat, 1000)].into();
        let s = Sizes::for_memory(8192, false).within(&limits);
        assert_eq!((s.wiredtiger_gb, s.dendrite_cache_mb, s.node_heap_mb), (0.375, 100, 750));
        let small = Sizes::for_memory(2048, false);
        assert_eq!(small.within(&[(Service::Rocketchat, 1 << 20), (Service::Mongodb, 1 << 20)].into()), small);
    }
}
