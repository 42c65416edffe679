//! Are ports 80 and 443 ours to take, or held by the proxy that was announced.

use std::path::Path;

use crate::config::Proxy;
use crate::finding::Finding;
use crate::host::net::{Listener, listeners};

/// Judges both ports, with the tables of `/proc` below `root`. `gateway`: the ports rcfed's own gateway
/// is published at.
pub(crate) fn check(root: &Path, proxy: Proxy, gateway: &[u16]) -> Vec<Finding> {
    let found = match listeners(root, &[80, 443]) {
        Ok(found) => found,
        Err(error) => return vec![unseen(error)],
    };
    let judged = [80, 443].map(|port| {
        let held: Vec<&Listener> = found.iter().filter(|listener| listener.address.port() == port).collect();
        judge(port, &held, proxy, gateway.contains(&port))
    });
    judged.into()
}

fn unseen(error: impl std::fmt::Display) -> Finding {
    let why = format!("who listens cannot be seen: {error}");
    Finding::unknown("machine.ports", "80, 443", why).remedy("ss -ltnp")
}

fn judge(port: u16, held: &[&Listener], proxy: Proxy, gateway: bool) -> Finding {
    let subject = format!("port {port}");
    let name = |listener: &&Listener| listener.process.as_ref().map(|process| process.name.clone());
    let others: Vec<&&Listener> =
        held.iter().filter(|l| !(gateway && matches!(name(l).as_deref(), Some("docker-proxy" | "dockerd")))).collect();
    let Some(first) = others.first() else {
        return match (proxy, held.is_empty()) {
            (Proxy::Gateway, true) => Finding::ok("machine.ports", subject, "is free"),
            // Many an nginx has no site with TLS yet.
            (Proxy::Host, true) if port == 443 => {
                Finding::ok("machine.ports", subject, "is free; this machine's nginx will listen there")
            }
            (Proxy::Host, true) => {
                Finding::fail("machine.ports", subject, "nothing listens, but proxy = \"host\" needs an nginx there")
                    .remedy("systemctl start nginx, or proxy = \"gateway\"")
            }
            (Proxy::None, true) => Finding::warn(
                "machine.ports",
                subject,
                "nothing listens; with proxy = \"none\" your own proxy has to, here or elsewhere",
            ),
            (_, false) => Finding::ok("machine.ports", subject, "is held by rcfed's own gateway"),
        };
    };
    let who = first.process.as_ref().map_or("a process that only root may see".to_owned(), ToString::to_string);
    let kind = name(first).unwrap_or_default();
    let finding = match (proxy, kind.as_str()) {
        (Proxy::Host, "") => {
            Finding::unknown("machine.ports", subject, format!("is held by {who}")).remedy("sudo rcfed init")
        }
        (Proxy::None, _) | (Proxy::Host, "nginx") => {
            return Finding::ok("machine.ports", subject, format!("is held by {who}"));
        }
        (Proxy::Host, _) => {
            Finding::fail("machine.ports", subject, format!("is held by {who}; proxy = \"host\" knows nginx only"))
                .remedy("proxy = \"none\", and forward to the gateway yourself")
        }
        (Proxy::Gateway, _) => {
            let remedy = match kind.as_str() {
                "nginx" => "systemctl disable --now nginx, or keep it with proxy = \"host\"".into(),
                "apache2" | "caddy" | "haproxy" | "lighttpd" | "traefik" => {
                    format!("systemctl disable --now {kind}, or keep it with proxy = \"none\"")
                }
                "docker-proxy" | "dockerd" => format!("docker ps --filter publish={port}"),
                _ => format!("ss -ltnp 'sport = :{port}', and stop what it shows"),
            };
            Finding::fail("machine.ports", subject, format!("is held by {who}")).remedy(remedy)
        }
    };
    others.iter().fold(finding, |finding, listener| finding.seen(format!("{} listens", listener.address)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::net::Process;

    #[test]
    fn who_may_hold_a_port_depends_on_the_proxy() {
        let listener = |name: &str| Listener {
            address: ([0, 0, 0, 0], 80).into(),
            process: (!name.is_empty()).then(|| Process { pid: 812, name: name.into() }),
        };
        let mut lines = Vec::new();
        for proxy in [Proxy::Gateway, Proxy::Host, Proxy::None] {
            for holder in [None, Some("nginx"), Some("apache2"), Some("docker-proxy"), Some("")] {
                for gateway in [false, true] {
                    let held = holder.map(listener);
                    let held: Vec<&Listener> = held.iter().collect();
                    let f = judge(80, &held, proxy, gateway);
                    let remedy = f.remedy.unwrap_or_default();
                    let own = if gateway { "with gateway" } else { "" };
                    lines.push(format!("{proxy:?} {holder:?} {own}: {:?} {} → {remedy}", f.status, f.summary));
                }
            }
        }
        let others = [judge(443, &[], Proxy::Host, false), unseen("/proc/net/tcp: Permission denied (os error 13)")];
        let others =
            others.map(|f| format!("{:?} {} {} → {}", f.status, f.subject, f.summary, f.remedy.unwrap_or_default()));
        lines.extend(others);
        insta::assert_snapshot!(lines.join("\n"));
    }
}
