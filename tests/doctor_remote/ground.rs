//! Name servers, a resolver and a site in a network of their own: everything real, nothing else reachable.
//!
//! One network namespace has all addresses on its loopback. nsd has the root, the domain `example` and the zones of the table,
//! each from its own address; unbound knows only that root and its key; nginx answers for every name.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rcfed::matrix::signing_key::SigningKey;
use serde_json::Value;
use tempfile::TempDir;

use crate::servers::{Authority, Identity};
use crate::zones::{Case, Do, Signing};

/// The network and everything that runs in it; all of it ends with this.
pub struct Ground {
    dir: TempDir,
    processes: Vec<Child>,
    holder: Child,
}

/// Addresses that answer something: the root, the domain, both servers of the zones, one that has no zone, the resolver, the
/// one that the world asks, and the site twice. Another one, .99, is nobody's.
const ADDRESSES: [&str; 9] = ["1", "2", "3", "4", "5", "53", "54", "80", "81"];
const SITE: &str = "198.51.100.80";

impl Ground {
    /// Starts everything for `cases`. `None`, said loudly, without root or without the programs; under `CI=true` that is a failure.
    pub fn start(cases: &[&Case]) -> Option<Self> {
        let there = |program: &str| {
            Path::new("/usr/sbin").join(program).exists() || Path::new("/usr/bin").join(program).exists()
        };
        let missing: Vec<&str> =
            ["nsd", "unbound", "ldns-signzone", "drill", "nginx"].into_iter().filter(|p| !there(p)).collect();
        let root = rustix::process::geteuid().is_root();
        if !root || !missing.is_empty() {
            let why = if root { format!("missing: {}", missing.join(", ")) } else { "it needs root".into() };
            assert!(std::env::var_os("CI").is_none(), "no name servers: {why}");
            eprintln!("SKIPPED: no name servers: {why} (tests/bed/bed setup)");
            return None;
        }
        let holder = Command::new("unshare").args(["-n", "sleep", "infinity"]).spawn().unwrap();
        let mut ground = Self { dir: TempDir::with_prefix("zones").unwrap(), processes: Vec::new(), holder };
        ground.network();
        let ds = ground.zones(cases);
        ground.above(cases, &ds);
        for (host, zones) in [("1", "root"), ("2", "tld"), ("3", "a"), ("4", "b"), ("5", "none")] {
            ground.nsd(host, zones);
        }
        for host in ["53", "54"] {
            ground.unbound(cases, host);
        }
        ground.site(cases);
        for host in ["1", "2", "3", "4", "5", "53", "54"] {
            ground.answers(&format!("198.51.100.{host}"), "example.", "SOA");
        }
        ground.age(cases);
        Some(ground)
    }

    /// `rcfed doctor --json` for every name, in that network; each line is a report.
    pub fn doctor(&self, names: &[String]) -> Vec<Value> {
        let text = self.told(&["--json"], names);
        let lines: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        assert_eq!(lines.len(), names.len(), "{text}");
        lines
    }

    /// What `rcfed doctor` prints for these names, in that network.
    pub fn told(&self, words: &[&str], names: &[String]) -> String {
        let mut command = self.inside(env!("CARGO_BIN_EXE_rcfed"));
        command
            .args(["--nameserver", "198.51.100.53", "doctor", "--public-resolver", "198.51.100.54", "--ca"])
            .arg(self.path("ca.pem"))
            .args(words)
            .args(names);
        let output = command.output().unwrap();
        assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    fn write(&self, file: &str, text: &str) -> PathBuf {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn inside(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.holder.id())).args(["--", program]);
        command
    }

    fn network(&self) {
        // `unshare` makes the namespace before it becomes `sleep`.
        let own = fs::read_link("/proc/self/ns/net").unwrap();
        until(
            || "the namespace".into(),
            || fs::read_link(format!("/proc/{}/ns/net", self.holder.id())).is_ok_and(|ns| ns != own),
        );
        let mut lines = String::from("link set lo up\n");
        for host in ADDRESSES {
            lines += &format!("addr add 198.51.100.{host}/32 dev lo\n");
        }
        let mut ip = self.inside("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn().unwrap();
        ip.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        assert!(ip.wait().unwrap().success());
    }

    /// Both servers' zones; the DS records that belong above them.
    fn zones(&self, cases: &[&Case]) -> String {
        let mut ds = String::new();
        for case in cases {
            for server in ["a", "b"] {
                let zone = zone(case, server, false);
                self.write(&format!("{server}/{}.example", case.label), &zone);
            }
            let signing =
                case.done.iter().find_map(|done| if let Do::Signed(signing) = done { Some(*signing) } else { None });
            if let Some(signing) = signing {
                ds += &self.sign(case.label, signing);
            }
        }
        ds
    }

    /// Signs a zone, in its way; the DS record.
    fn sign(&self, label: &str, signing: Signing) -> String {
        let name = format!("{label}.example");
        let file = self.path(&format!("a/{name}"));
        let day =
            |days: i64| (Timestamp::now() + jiff::SignedDuration::from_hours(24 * days)).strftime("%Y%m%d").to_string();
        let (from, until) = match signing {
            Signing::Expired => (day(-60), day(-30)),
            Signing::Early => (day(365), day(400)),
            _ => (day(-1), day(30)),
        };
        let ds = if signing == Signing::Missing {
            ds_of(&self.key(&name))
        } else {
            self.signed(&name, &file, &from, &until)
        };
        if signing == Signing::Changed {
            let text = fs::read_to_string(&file).unwrap();
            fs::write(&file, text.replace(SITE, "198.51.100.81")).unwrap();
        }
        fs::copy(&file, self.path(&format!("b/{name}"))).unwrap();
        match signing {
            Signing::OtherKey => ds_of(&self.key(&name)),
            _ => ds,
        }
    }

    /// Replaces a zone file by a signed one; the DS record of its key.
    fn signed(&self, zone: &str, file: &Path, from: &str, until: &str) -> String {
        let key = self.key(zone);
        let mut command = Command::new("ldns-signzone");
        command.args(["-i", from, "-e", until, "-f"]).arg(file).arg(file).arg(&key);
        well(&mut command);
        ds_of(&key)
    }

    /// A new key of a zone: the path without its endings.
    fn key(&self, zone: &str) -> PathBuf {
        fs::create_dir_all(self.path("keys")).unwrap();
        let mut command = Command::new("ldns-keygen");
        command.args(["-a", "ECDSAP256SHA256", "-k", zone]).current_dir(self.path("keys"));
        let name = well(&mut command);
        self.path(&format!("keys/{}", name.trim()))
    }

    /// The domain `example` and the root.
    fn above(&self, cases: &[&Case], ds: &str) {
        let mut text = String::from(
            "$ORIGIN example.\n$TTL 3600\n@ SOA ns.nic host.nic 1 3600 600 86400 900\n@ NS ns.nic\nns.nic A 198.51.100.2\n\
             ns1.host A 198.51.100.3\nns2.host A 198.51.100.4\nns3.host A 198.51.100.5\nns4.host A 198.51.100.99\n",
        );
        for case in cases.iter().filter(|case| !case.done.contains(&Do::Unknown)) {
            let servers =
                case.done.iter().find_map(|done| if let Do::Servers(servers) = done { Some(*servers) } else { None });
            for server in servers.unwrap_or(&["ns1.host.example.", "ns2.host.example."]) {
                text += &format!("{} NS {server}\n", case.label);
            }
        }
        let tld = self.write("tld/example", &(text + ds));
        let (from, until) = (
            Timestamp::now() - jiff::SignedDuration::from_hours(24),
            Timestamp::now() + jiff::SignedDuration::from_hours(720),
        );
        let (from, until) = (from.strftime("%Y%m%d").to_string(), until.strftime("%Y%m%d").to_string());
        let ds = self.signed("example", &tld, &from, &until);
        let text = format!(
            "$TTL 3600\n. SOA ns.root-servers. host.root-servers. 1 3600 600 86400 900\n. NS ns.root-servers.\n\
             ns.root-servers. A 198.51.100.1\nexample. NS ns.nic.example.\nns.nic.example. A 198.51.100.2\n{ds}"
        );
        let root = self.write("root/root", &text);
        let anchor = self.signed(".", &root, &from, &until);
        self.write("anchor", &anchor);
    }

    fn nsd(&mut self, host: &str, zones: &str) {
        let mut text = format!(
            "server:\n  ip-address: 198.51.100.{host}\n  username: \"\"\n  pidfile: \"\"\n  database: \"\"\n  xfrdfile: \"\"\n  \
             zonelistfile: \"{0}/{zones}.list\"\n  xfrdir: \"{0}\"\n  server-count: 1\n  rrl-ratelimit: 0\nremote-control:\n  control-enable: no\n",
            self.dir.path().display()
        );
        for entry in fs::read_dir(self.path(zones)).into_iter().flatten() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let name = if name == "root" { "." } else { &name };
            text += &format!("zone:\n  name: \"{name}\"\n  zonefile: \"{}\"\n", path.display());
        }
        let file = self.write(&format!("{zones}.conf"), &text);
        let child = self.quiet("nsd").arg("-d").arg("-c").arg(file).spawn().unwrap();
        self.processes.push(child);
    }

    fn unbound(&mut self, cases: &[&Case], host: &str) {
        let hints = self.write("hints", ". NS ns.root-servers.\nns.root-servers. A 198.51.100.1\n");
        let mut text = format!(
            "server:\n  interface: 198.51.100.{host}\n  access-control: 0.0.0.0/0 allow\n  username: \"\"\n  chroot: \"\"\n  \
             pidfile: \"\"\n  directory: \"{0}\"\n  use-syslog: no\n  root-hints: \"{1}\"\n  trust-anchor-file: \"{0}/anchor\"\n  \
             do-ip6: no\n  num-threads: 1\n  qname-minimisation: no\n",
            self.dir.path().display(),
            hints.display()
        );
        for case in cases {
            if host == "53" && case.done.contains(&Do::Blocked) {
                text += &format!("  local-zone: \"{}.example.\" always_refuse\n", case.label);
            }
            if host == "54" && case.done.contains(&Do::WorldFails) {
                // What is signed otherwise than its key says is answered so.
                text += &format!("  trust-anchor: \"{}.example. DS 1 13 2 {}\"\n", case.label, "00".repeat(32));
            }
        }
        text += "remote-control:\n  control-enable: no\n";
        let file = self.write(&format!("unbound-{host}.conf"), &text);
        let child = self.quiet("unbound").arg("-d").arg("-c").arg(file).spawn().unwrap();
        self.processes.push(child);
    }

    /// One web server for every name, and for every homeserver.
    fn site(&mut self, cases: &[&Case]) {
        let names: Vec<String> = cases.iter().map(|case| format!("{}.example", case.label)).collect();
        let hosts: Vec<&str> = names.iter().map(String::as_str).collect();
        let authority = Authority::organised("Let's Encrypt", "Root of the test");
        self.write("ca.pem", &authority.pem);
        self.keep("good", &authority.leaf(&hosts, |_| {}));
        let ended = (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2020, 3, 1));
        self.keep("ended", &authority.leaf(&hosts, |leaf| (leaf.not_before, leaf.not_after) = ended));
        let key = SigningKey::generate().unwrap();
        for name in &names {
            self.write(&format!("www/{name}.json"), &keys(name, &key));
        }
        let having = |done: Do| -> String {
            cases
                .iter()
                .filter(|case| case.done.contains(&done))
                .map(|case| format!(" {}.example", case.label))
                .collect()
        };
        let text = NGINX
            .replace("@dir@", self.dir.path().to_str().unwrap())
            .replace("@plain@", &format!("none.invalid{}", having(Do::NoDocument)))
            .replace("@redirected@", &format!("nor.invalid{}", having(Do::Redirected)))
            .replace("@lapsed@", &format!("none.invalid{}", having(Do::Lapsed)));
        self.write("homeserver.conf", &HOMESERVER.replace("@dir@", self.dir.path().to_str().unwrap()));
        let file = self.write("nginx.conf", &text);
        let child = self.quiet("nginx").arg("-c").arg(file).spawn().unwrap();
        self.processes.push(child);
        until(
            || self.logs(),
            || {
                let mut curl = self.inside("curl");
                curl.args(["-sk", "-o", "/dev/null", &format!("https://{SITE}:8448/")]).status().unwrap().success()
            },
        );
    }

    /// What the resolver heard earlier: it asks, and then the zone changes.
    fn age(&self, cases: &[&Case]) {
        let asked = |case: &Case| {
            case.done.iter().find_map(|done| match done {
                Do::Before(_) => Some("198.51.100.53"),
                Do::WorldBefore(_) => Some("198.51.100.54"),
                _ => None,
            })
        };
        let old = cases.iter().filter(|case| asked(case).is_some());
        let names: Vec<String> = old.clone().map(|case| format!("{}.example", case.label)).collect();
        for (case, name) in old.clone().zip(&names) {
            for kind in ["A", "AAAA"] {
                self.answers(asked(case).unwrap(), name, kind);
            }
        }
        for case in old {
            for server in ["a", "b"] {
                self.write(&format!("{server}/{}.example", case.label), &zone(case, server, true));
            }
        }
        for child in &self.processes[2..4] {
            let pid = rustix::process::Pid::from_child(child);
            rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
        }
        for name in &names {
            for server in ["198.51.100.3", "198.51.100.4"] {
                until(|| self.logs(), || self.drill(server, name, "A").contains(&format!("\t{SITE}")));
            }
        }
    }

    fn answers(&self, server: &str, name: &str, kind: &str) {
        until(|| format!("{server} {}", self.logs()), || self.drill(server, name, kind).contains("rcode:"));
    }

    fn logs(&self) -> String {
        let files = fs::read_dir(self.dir.path()).unwrap().map(|entry| entry.unwrap().path());
        let logs = files.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
        logs.map(|path| format!("{}:\n{}", path.display(), fs::read_to_string(&path).unwrap())).collect()
    }

    fn drill(&self, server: &str, name: &str, kind: &str) -> String {
        // It waits five seconds for a server that is not there yet.
        let output = self.inside("timeout").args(["0.5", "drill", &format!("@{server}"), name, kind]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn quiet(&self, program: &str) -> Command {
        let log = fs::File::create(self.path(&format!("{program}-{}.log", self.processes.len()))).unwrap();
        let mut command = self.inside(program);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        command
    }

    fn keep(&self, name: &str, identity: &Identity) {
        let body = |label: &str, der: &[u8]| {
            use base64::Engine;
            let text = base64::engine::general_purpose::STANDARD.encode(der);
            let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
            format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
        };
        let chain: String = identity.chain.iter().map(|certificate| body("CERTIFICATE", certificate)).collect();
        self.write(&format!("{name}.pem"), &(chain + &identity.key.serialize_pem()));
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        for child in self.processes.iter_mut().chain([&mut self.holder]) {
            let _ =
                rustix::process::kill_process(rustix::process::Pid::from_child(child), rustix::process::Signal::TERM);
        }
        for child in self.processes.iter_mut().chain([&mut self.holder]) {
            let _ = child.wait();
        }
    }
}

/// A zone as one of its servers has it, `later` or before the resolver has asked.
fn zone(case: &Case, server: &str, later: bool) -> String {
    let mut text = format!(
        "$ORIGIN {}.example.\n$TTL 3600\n@ SOA ns1.host.example. host {} 3600 600 86400 900\n\
         @ NS ns1.host.example.\n@ NS ns2.host.example.\n",
        case.label,
        if later { 2 } else { 1 }
    );
    let mut address = Some(SITE);
    for done in case.done {
        match done {
            Do::Second(other) if server == "b" => address = Some(other),
            Do::Bare => address = None,
            Do::Before(old) | Do::WorldBefore(old) if !later => address = *old,
            Do::Record(record) => text += &format!("{record}\n"),
            _ => {}
        }
    }
    text + &address.map(|address| format!("@ A {address}\n")).unwrap_or_default()
}

fn keys(name: &str, key: &SigningKey) -> String {
    let mut document = serde_json::json!({
        "server_name": name,
        "valid_until_ts": Timestamp::now().as_millisecond() + 86_400_000,
        "verify_keys": {key.key_id(): {"key": key.public_key().unwrap()}},
        "old_verify_keys": {},
    });
    let signature = rcfed::matrix::x_matrix::sign(key, document.as_object().unwrap()).unwrap();
    document["signatures"] = serde_json::json!({name: {key.key_id(): signature}});
    document.to_string()
}

/// The DS record of a key.
fn ds_of(key: &Path) -> String {
    fs::read_to_string(format!("{}.ds", key.display())).unwrap()
}

/// What it printed; it has to succeed.
fn well(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn until(what: impl Fn() -> String, mut good: impl FnMut() -> bool) {
    let started = Instant::now();
    while !good() {
        assert!(started.elapsed() < Duration::from_secs(20), "it does not come: {}", what());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The documents of a site.
const NGINX: &str = include_str!("nginx.conf");

/// A homeserver as far as strangers see it: a request without a signature is refused with 401, an unknown path is
/// `M_UNRECOGNIZED` (server-server API, unsupported endpoints), large bodies are taken.
const HOMESERVER: &str = include_str!("homeserver.conf");
