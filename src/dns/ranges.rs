//! Addresses that mean something: those nobody outside can reach, and those of Cloudflare's proxy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether a certificate authority or another server could never reach `address` over the Internet.
///
/// The documentation ranges (TEST-NET, `2001:db8::/32`) count as public: no real machine has one, and every example
/// and test does.
pub fn is_private(address: IpAddr) -> bool {
    RESERVED.iter().any(|range| range.contains(address))
}

/// Whether `address` belongs to Cloudflare's proxy: the name is "orange-clouded", and the origin hides behind it.
pub fn is_cloudflare(address: IpAddr) -> bool {
    CLOUDFLARE.iter().any(|range| range.contains(address))
}

/// A network: an address and how many of its leading bits count.
struct Range(IpAddr, u8);

impl Range {
    fn contains(&self, address: IpAddr) -> bool {
        match (self.0, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.1)).unwrap_or(0);
                u32::from(net) & mask == u32::from(address) & mask
            }
            (IpAddr::V6(net), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.1)).unwrap_or(0);
                u128::from(net) & mask == u128::from(address) & mask
            }
            _ => false,
        }
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8) -> Range {
    Range(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), bits)
}

const fn v6(a: u16, b: u16, bits: u8) -> Range {
    Range(IpAddr::V6(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0)), bits)
}

/// The IANA special-purpose registries, without the documentation ranges.
const RESERVED: [Range; 17] = [
    v4(0, 0, 0, 0, 8),
    v4(10, 0, 0, 0, 8),
    v4(100, 64, 0, 0, 10),
    v4(127, 0, 0, 0, 8),
    v4(169, 254, 0, 0, 16),
    v4(172, 16, 0, 0, 12),
    v4(192, 0, 0, 0, 24),
    v4(192, 88, 99, 0, 24),
    v4(192, 168, 0, 0, 16),
    v4(198, 18, 0, 0, 15),
    v4(224, 0, 0, 0, 3),
    v6(0, 0, 32),
    v6(0x64, 0xff9b, 32),
    v6(0x100, 0, 64),
    v6(0xfc00, 0, 7),
    v6(0xfe80, 0, 9),
    v6(0xff00, 0, 8),
];

/// The ranges Cloudflare publishes at <https://www.cloudflare.com/ips/>, as public configurations had them on 2026-11-23.
const CLOUDFLARE: [Range; 22] = [
    v4(103, 21, 244, 0, 22),
    v4(103, 22, 200, 0, 22),
    v4(103, 31, 4, 0, 22),
    v4(104, 16, 0, 0, 13),
    v4(104, 24, 0, 0, 14),
    v4(108, 162, 192, 0, 18),
    v4(131, 0, 72, 0, 22),
    v4(141, 101, 64, 0, 18),
    v4(162, 158, 0, 0, 15),
    v4(172, 64, 0, 0, 13),
    v4(173, 245, 48, 0, 20),
    v4(188, 114, 96, 0, 20),
    v4(190, 93, 240, 0, 20),
    v4(197, 234, 240, 0, 22),
    v4(198, 41, 128, 0, 17),
    v6(0x2400, 0xcb00, 32),
    v6(0x2405, 0x8100, 32),
    v6(0x2405, 0xb500, 32),
    v6(0x2606, 0x4700, 32),
    v6(0x2803, 0xf800, 32),
    v6(0x2a06, 0x98c0, 29),
    v6(0x2c0f, 0xf248, 32),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_outside_can_reach_is_private_and_examples_are_not() {
        let private = [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.1.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "198.19.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "64:ff9b::1",
            "fd00::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ];
        let public = [
            "1.1.1.1",
            "11.0.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.2.1",
            "198.51.100.10",
            "198.17.255.255",
            "198.20.0.1",
            "203.0.113.5",
            "223.255.255.255",
            "2001:db8::1",
            "2606:4700::1",
        ];
        for address in private {
            assert!(is_private(address.parse().unwrap()), "{address}");
        }
        for address in public {
            assert!(!is_private(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn cloudflare_ends_where_its_list_ends() {
        for address in ["104.16.0.1", "104.27.255.255", "172.67.1.1", "188.114.97.3", "2606:4700:3030::6815:1"] {
            assert!(is_cloudflare(address.parse().unwrap()), "{address}");
        }
        for address in ["104.15.255.255", "104.28.0.0", "172.72.0.0", "198.51.100.10", "2606:4701::1"] {
            assert!(!is_cloudflare(address.parse().unwrap()), "{address}");
        }
    }
}
