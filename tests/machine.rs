//! A whole machine with systemd and apt, and without Docker: what a fresh server is. Here Docker is installed, the timer
//! renews, and everything comes back after a reboot and after a power cut.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use serde_json::Value;
use sha2::{Digest, Sha256};
use support::Bed;
use support::machine::Machine;

#[test]
#[ignore = "minutes long; `make test-all` runs it"]
fn docker_by_apt_renewal_by_systemd_and_everything_back_after_a_reboot() {
    let Some(bed) = Bed::up() else { return };
    let machine = Machine::up(&bed, "dendrite", "");
    assert!(!machine.run(&["docker", "version"]).ok, "the machine should have no Docker yet");
    let before = machine.tree();

    let words = ["init", "--answers", "/root/answers.toml", "--yes", "--no-input"];
    let killed = machine.run(&[&["env", "RCFED_FAULT=unpacking", "rcfed", "--metadata", "off"], &words[..]].concat());
    assert_eq!(killed.code, Some(137), "killed while apt unpacks Docker: {}", killed.stderr);
    let init = machine.rcfed(&words).well();
    assert!(init.stderr.contains("✓ install Docker (apt-get install docker.io)"), "{}", init.stderr);
    assert!(init.stderr.contains("systemd timer"), "{}", init.stderr);
    assert!(init.stdout.contains("Federation     valid"), "{}", init.stdout);

    for unit in ["docker.service", "rcfed-renew.timer"] {
        machine.run(&["systemctl", "is-enabled", unit]).well();
        machine.run(&["systemctl", "is-active", unit]).well();
    }
    let units = ["service", "timer"].map(|kind| format!("/etc/systemd/system/rcfed-renew.{kind}"));
    let verified = machine.run(&["systemd-analyze", "verify", &units[0], &units[1]]).well();
    assert_eq!(format!("{}{}", verified.stdout, verified.stderr), "", "systemd complains about the units");
    machine.run(&["systemctl", "start", "rcfed-renew.service"]).well();
    let journal = machine.run(&["journalctl", "--unit", "rcfed-renew", "--no-pager", "--output", "cat"]).well().stdout;
    assert!(journal.contains("it is not time yet"), "{journal}");
    machine.rcfed(&["renew", "--force"]).well();

    for reboot in [&["vm", "reboot"][..], &["vm", "reboot", "--power-cut"]] {
        bed.bed(reboot);
        machine.wait_until_healthy(reboot);
        let (status, body) = bed.https("https://chat.fed.test/api/info", &[]);
        assert_eq!(status, 200, "after {reboot:?}: {body}");
        let again = machine.rcfed(&["apply"]).well();
        assert!(again.stderr.contains("nothing was changed"), "after {reboot:?}: {}", again.stderr);
    }
    machine.uninstalled(&before);
    bed.bed(&["vm", "down"]);
}

/// What a purge leaves behind where rcfed installed Docker, as `rcfed uninstall --purge` says it: paths, or beginnings of
/// paths where they end with `/` or `*`.
const STAYS: [(&str, &[&str]); 4] = [
    (
        "the package manager's lists, caches and logs, where rcfed installed Docker",
        &[
            "var/lib/apt/",
            "var/cache/apt/",
            "var/cache/ldconfig/",
            "var/lib/dpkg/",
            "var/log/apt/",
            "var/log/dpkg.log",
            "var/log/alternatives.log",
        ],
    ),
    (
        "`/var/lib/docker`, `/var/lib/containerd`, `/etc/docker` and the group `docker`, where rcfed installed Docker",
        &["var/lib/docker/", "var/lib/containerd/", "etc/docker/", "etc/group*", "etc/gshadow*"],
    ),
    (
        "configuration and service links in `/etc` of the packages that rcfed installed with Docker",
        &[
            "etc/cni/",
            "etc/containerd/",
            "etc/default/docker",
            "etc/ethertypes",
            "etc/init.d/docker",
            "etc/networks",
            "etc/protocols",
            "etc/rc0.d/K01docker",
            "etc/rc1.d/K01docker",
            "etc/rc2.d/S01docker",
            "etc/rc3.d/S01docker",
            "etc/rc4.d/S01docker",
            "etc/rc5.d/S01docker",
            "etc/rc6.d/K01docker",
            "etc/rpc",
            "etc/services",
            "etc/systemd/system/multi-user.target.wants/containerd.service",
            "etc/systemd/system/multi-user.target.wants/docker.service",
            "etc/systemd/system/sockets.target.wants/",
            "var/lib/systemd/deb-systemd-helper-enabled/",
        ],
    ),
    ("the system's journal, and systemd's stamp of the last renewal", &["var/log/journal/", "var/lib/systemd/timers/"]),
];

/// What every machine writes when it is booted again.
const BOOTS: [&str; 3] = ["var/lib/systemd/random-seed", "var/log/wtmp", "var/tmp/systemd-private-*"];

fn is_said(path: &str) -> bool {
    STAYS.iter().flat_map(|(_, paths)| *paths).chain(&BOOTS).any(|said| match said.strip_suffix('*') {
        Some(start) => path.starts_with(start),
        None => path == said.trim_end_matches('/') || said.ends_with('/') && path.starts_with(said),
    })
}

/// What only this test does with the machine.
trait Fresh {
    fn uninstalled(&self, before: &BTreeMap<String, String>);
    fn tree(&self) -> BTreeMap<String, String>;
    fn wait_until_healthy(&self, after: &[&str]);
}

impl Fresh for Machine<'_> {
    /// First somebody else uses Docker, then nobody does.
    fn uninstalled(&self, before: &BTreeMap<String, String>) {
        let purge = ["uninstall", "--purge", "--confirm", "fed.test"];
        self.run(&["docker", "create", "--name", "guest", "docker.io/library/nginx:1.28"]).well();
        let shown = self.rcfed(&[&purge[..], &["--no-input"]].concat());
        assert_eq!(shown.code, Some(2), "{}", shown.stderr);
        assert!(shown.stderr.contains("docker.io: the container `guest` is not rcfed's"), "{}", shown.stderr);
        self.run(&["docker", "rm", "guest"]).well();

        let gone = self.rcfed(&[&purge[..], &["--yes"]].concat()).well();
        assert!(gone.stderr.contains("Nothing of the deployment is left."), "{}", gone.stderr);
        for package in ["docker.io", "containerd", "runc"] {
            let status = self.run(&["dpkg-query", "-W", "-f=${db:Status-Status}", package]);
            assert_ne!(status.stdout, "installed", "{package}");
        }
        assert!(!self.run(&["systemctl", "is-enabled", "rcfed-renew.timer"]).ok);
        assert!(!self.run(&["systemctl", "is-active", "rcfed-renew.timer"]).ok);
        let after = self.tree();
        let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        let differs = paths.into_iter().filter(|path| before.get(*path) != after.get(*path) && !is_said(path));
        let lines = differs.map(|path| format!("{path}\n  then {:?}\n  now  {:?}", before.get(path), after.get(path)));
        let lines: Vec<String> = lines.collect();
        assert!(lines.is_empty(), "{} differences that nobody said:\n{}", lines.len(), lines.join("\n"));
        for (said, _) in STAYS {
            assert!(gone.stderr.contains(said), "{said}:\n{}", gone.stderr);
        }
    }

    /// Every path of the machine's disk with type, mode, owner, and target or hash of the content.
    fn tree(&self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        let mut todo = vec![self.root.clone()];
        while let Some(directory) = todo.pop() {
            for entry in std::fs::read_dir(&directory).expect("a directory of the machine") {
                let path = entry.expect("an entry").path();
                let name = path.strip_prefix(&self.root).expect("below the root").display().to_string();
                if ["proc", "sys", "dev", "run", "tmp"].contains(&name.as_str()) {
                    continue;
                }
                let meta = std::fs::symlink_metadata(&path).expect("metadata");
                let content = if meta.is_symlink() {
                    std::fs::read_link(&path).expect("a link").display().to_string()
                } else if meta.is_file() {
                    format!("{:x}", Sha256::digest(std::fs::read(&path).expect("a file")))
                } else {
                    String::new()
                };
                if meta.is_dir() {
                    todo.push(path);
                }
                found.insert(name, format!("{:o} {}:{} {content}", meta.mode(), meta.uid(), meta.gid()));
            }
        }
        found
    }

    fn wait_until_healthy(&self, after: &[&str]) {
        let end = Instant::now() + Duration::from_secs(90);
        loop {
            let status = self.rcfed(&["status", "--json"]);
            let seen: Value = serde_json::from_str(&status.stdout).unwrap_or_default();
            let services = seen["containers"].as_array().cloned().unwrap_or_default();
            if !services.is_empty() && services.iter().all(|s| s["health"] == "healthy") {
                return;
            }
            assert!(Instant::now() < end, "not healthy after {after:?}: {seen:#}{}", status.stderr);
            std::thread::sleep(Duration::from_millis(500));
        }
    }
}
