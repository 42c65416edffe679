//! The addresses of the network interfaces, as the kernel lists them below `/proc/net`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

/// Every address of an interface that is neither loopback nor link-local, below `root`. A list that cannot be read
/// is an empty list: the other sources may still know.
pub(super) fn read(root: &Path) -> Vec<IpAddr> {
    let read = |file: &str| std::fs::read_to_string(root.join("proc/net").join(file)).unwrap_or_default();
    let v4 = fib_trie(&read("fib_trie")).into_iter().filter(|ip| !ip.is_loopback() && !ip.is_link_local());
    let v6 = if_inet6(&read("if_inet6"));
    v4.map(IpAddr::from).chain(v6.into_iter().map(IpAddr::from)).collect()
}

/// `/proc/net/fib_trie`: an address on a line of its own, and below it `/32 host LOCAL` if it is the machine's.
fn fib_trie(text: &str) -> Vec<Ipv4Addr> {
    let mut addresses = Vec::new();
    let mut last = None;
    for line in text.lines() {
        let line = line.trim();
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse().ok();
        } else if line == "/32 host LOCAL"
            && let Some(address) = last
            && !addresses.contains(&address)
        {
            addresses.push(address);
        }
    }
    addresses
}

/// `/proc/net/if_inet6`: address, index, prefix length, scope (00 is global) and flags, all in hexadecimal, and a name.
fn if_inet6(text: &str) -> Vec<Ipv6Addr> {
    /// Temporary, tentative, deprecated and failed addresses: nothing to publish.
    const PASSING: u32 = 0x01 | 0x08 | 0x20 | 0x40;
    let address = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [address, _, _, "00", flags, _] = fields.as_slice() else { return None };
        let lasting = u32::from_str_radix(flags, 16).ok()? & PASSING == 0;
        u128::from_str_radix(address, 16).ok().filter(|_| lasting).map(Ipv6Addr::from_bits)
    };
    text.lines().filter_map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lasting_global_addresses_are_found() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/machine/droplet");
        let found: Vec<String> = read(&root).iter().map(IpAddr::to_string).collect();
        assert_eq!(found, ["10.19.0.5", "172.17.0.1", "198.51.100.10", "2001:db8::10"]);
        assert!(read(Path::new("/nonexistent")).is_empty());
    }
}
