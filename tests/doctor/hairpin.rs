//! The droplet behind a router, as at home: its public IPv4 address is the router's, which forwards what comes from outside and
//! leads nothing back in that comes from inside.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::Bed;
use crate::{brief, find, finding, is_well, until};

const PUBLIC: &str = "198.51.100.10";
const INNER: &str = "10.51.0.10";
const ROUTER: &str = "10.51.0.1";
/// Connections that were open have lost their address.
const SETTLED: Duration = Duration::from_secs(60);

/// Reached from outside and not from here: worth knowing, and nothing more. Reached from nowhere: a failure.
pub fn tried(bed: &Bed) {
    let started = Instant::now();
    let mut router = Router::before(bed);
    let report = until(bed, SETTLED, is_well);
    assert!(is_well(&report), "behind a router: {}", brief(&report));
    let told = hairpin(&report).unwrap_or_else(|| panic!("{report:#}"));
    assert!(told["evidence"][0].as_str().unwrap().starts_with(PUBLIC), "{told:#}");
    assert_eq!(told["remedy"], "nothing: a federation tester outside reaches it, so others do");
    // Nobody outside was asked.
    let run = bed.rcfed(&["doctor", "--json", "--only", "reach.hairpin"]).well();
    let told = hairpin(&serde_json::from_str(&run.stdout).unwrap()).unwrap_or_else(|| panic!("{run:?}"));
    assert!(told["remedy"].as_str().unwrap().contains("on another machine: rcfed doctor fed.test"), "{told:#}");
    router.forwards_nothing();
    let report = until(bed, SETTLED, |report| report["first_cause"] == "rocketchat.verdict");
    assert_eq!(report["first_cause"], "rocketchat.verdict", "{}", brief(&report));
    let told = finding(&report, "rocketchat.verdict")["summary"].as_str().unwrap();
    assert_eq!(told, "finds fault with its federation: the federation tester could not reach this server from outside");
    let told = finding(&report, "reach.server");
    assert!(told["evidence"][0].as_str().unwrap().contains(PUBLIC), "{told:#}");
    assert!(told["remedy"].as_str().unwrap().contains("a firewall rejects"), "{told:#}");
    assert!(hairpin(&report).is_none(), "{report:#}");
    drop(router);
    // What comes next is not to be charged with what this leaves.
    let report = until(bed, SETTLED, is_well);
    assert!(is_well(&report), "after the router: {}", brief(&report));
    eprintln!("{:>5.1} s  behind a router: ok", started.elapsed().as_secs_f32());
}

fn hairpin(report: &Value) -> Option<Value> {
    find(report, "reach.hairpin", "info").cloned()
}

/// A router between the droplet and the internet. A shell holds it, and takes it away when its input ends: also when this test
/// is killed.
struct Router<'a> {
    bed: &'a Bed,
    holder: Child,
}

impl<'a> Router<'a> {
    fn before(bed: &'a Bed) -> Self {
        let script = format!(
            "trap '' INT TERM
             inet() {{ nsenter --net=/run/netns/{inet} \"$@\"; }}
             droplet() {{ nsenter --net=/run/netns/{droplet} \"$@\"; }}
             forward() {{ inet iptables -t nat \"$1\" OUTPUT -d {PUBLIC} -j DNAT --to-destination {INNER}; }}
             back() {{ inet iptables \"$1\" FORWARD -p tcp -s {INNER} -d {PUBLIC} -j REJECT --reject-with tcp-reset; }}
             closed() {{ inet iptables \"$1\" OUTPUT -p tcp -d {PUBLIC} -j REJECT --reject-with tcp-reset; }}
             inet ip route replace {INNER}/32 dev br0
             forward -A
             back -A
             droplet ip addr add {INNER}/32 dev eth0
             droplet ip addr del {PUBLIC}/24 dev eth0
             droplet ip route replace {ROUTER}/32 dev eth0 src {INNER}
             droplet ip route replace default via {ROUTER} src {INNER}
             echo forwards
             if read -r _; then
                 forward -D
                 closed -A
                 echo forwards nothing
                 read -r _
             fi
             forward -D 2>/dev/null
             back -D
             closed -D 2>/dev/null
             droplet ip addr add {PUBLIC}/24 dev eth0
             droplet ip route replace default via 198.51.100.1
             droplet ip route del {ROUTER}/32
             droplet ip addr del {INNER}/32 dev eth0
             inet ip route del {INNER}/32",
            inet = bed.value("RCFED_BED_INET_NETNS"),
            droplet = bed.value("RCFED_BED_NETNS"),
        );
        let mut shell = Command::new("sh");
        let holder = shell.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut router = Self { bed, holder };
        assert_eq!(router.says(), "forwards\n");
        router
    }

    /// Nor from outside, and there is no other way in.
    fn forwards_nothing(&mut self) {
        self.holder.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        assert_eq!(self.says(), "forwards nothing\n");
        for host in ["fed.test", "chat.fed.test", "matrix.fed.test"] {
            self.bed.bed(&["dns", "del", host, "AAAA"]);
        }
    }

    fn says(&mut self) -> String {
        let mut line = String::new();
        BufReader::with_capacity(1, self.holder.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        line
    }
}

impl Drop for Router<'_> {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
        let _ = self.bed.try_bed(&["dns", "reset"]);
    }
}
