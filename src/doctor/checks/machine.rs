//! Is the machine still able to carry it: the facts of preflight, judged for a deployment that exists.

use std::path::Path;
use std::sync::Arc;

use super::super::Site;
use super::super::check::{Check, Doc, Place, always};
use super::within;
use crate::finding::Finding;
use crate::host::facts;
use crate::layout;
use crate::preflight::{MACHINE, clock, docker, machine, or_unknown, ports};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "machine.os",
        place: Place::Machine,
        applies: always,
        needs: &[],
        limit: 5,
        run: |site| Box::pin(async move { vec![machine::system(&site.root)] }),
        doc: Doc {
            what: "The distribution and its version, from /etc/os-release.",
            why: "rcfed is made for Debian 12, Ubuntu 22.04 and later; older systems have Docker engines and kernels it was never tried with.",
            fails: "A warning names the system. Things may work all the same.",
            fix: "Upgrade the distribution.",
            source: "rcfed's own limits.",
        },
    },
    Check {
        id: "machine.avx",
        place: Place::Machine,
        applies: always,
        needs: &[],
        limit: 5,
        run: |site| {
            Box::pin(async move { machine::processor(&site.root, &facts::architecture()).into_iter().collect() })
        },
        doc: Doc {
            what: "Whether the processor has AVX, among the flags in /proc/cpuinfo.",
            why: "MongoDB 5.0 and later dies of an illegal instruction without it.",
            fails: "MongoDB's container ends again and again with exit code 132, often after the virtual machine was moved to another host.",
            fix: "Set the virtual machine's CPU type to `host`, or use another machine.",
            source: "MongoDB production notes, x86_64 platform support.",
        },
    },
    Check {
        id: "machine.memory",
        place: Place::Machine,
        applies: always,
        needs: &[],
        limit: 5,
        run: |site| Box::pin(async move { vec![machine::memory(&site.root)] }),
        doc: Doc {
            what: "Memory and swap, from /proc/meminfo.",
            why: "Two databases, a homeserver and Rocket.Chat share them. Without swap a short peak ends with the kernel killing one of them.",
            fails: "Containers end with exit code 137, or everything is slow.",
            fix: "Add swap with the commands shown, or take a larger machine; `sudo rcfed apply` then shares the memory anew.",
            source: "Sizes measured by rcfed; 2 GB is the least, 4 GB is comfortable.",
        },
    },
    Check {
        id: "machine.oom",
        place: Place::Machine,
        applies: always,
        needs: &[],
        limit: 5,
        run: |site| Box::pin(async move { vec![oom(&site.root)] }),
        doc: Doc {
            what: "How many processes the kernel has killed for want of memory since the machine was started, from /proc/vmstat.",
            why: "The kernel kills whatever is largest, which is usually a database; nothing else records it once the container is up again.",
            fails: "It never fails: the number is told, and whether it concerns a container is told by that container's own check.",
            fix: "If containers are concerned: more memory, or swap.",
            source: "Linux, Documentation/filesystems/proc.rst.",
        },
    },
    Check {
        id: "machine.disk",
        place: Place::Machine,
        applies: always,
        needs: &[],
        limit: 5,
        run: |site| Box::pin(disk(site)),
        doc: Doc {
            what: "Free space and free inodes on the disk that holds /var/lib/rcfed, and how fast the space went since earlier runs.",
            why: "MongoDB and PostgreSQL stop on a full disk, and a certificate that cannot be written is not renewed.",
            fails: "Messages and uploads fail; databases end with `No space left on device`.",
            fix: "Make room (`sudo docker system prune`, `sudo apt-get clean`, old logs), or enlarge the disk.",
            source: "rcfed: a failure below 500 MB, a warning below 2 GB or 30 days.",
        },
    },
    Check {
        id: "machine.packages",
        place: Place::Machine,
        applies: always,
        needs: &[],
        limit: 5,
        run: |site| Box::pin(async move { vec![machine::packages(&site.root)] }),
        doc: Doc {
            what: "Whether cloud-init or a package manager is at work.",
            why: "An upgrade of Docker restarts every container, and rcfed itself has to wait for apt.",
            fails: "A warning names the process that holds dpkg's lock.",
            fix: "Wait until it has ended, then run `rcfed doctor` again.",
            source: "dpkg(1), cloud-init status.",
        },
    },
    Check {
        id: "machine.clock",
        place: Place::Machine,
        applies: always,
        needs: &[],
        limit: 8,
        run: |site| {
            Box::pin(async move {
                let acme = &site.machine.config.acme;
                vec![clock::check(&acme.directory, acme.ca.as_deref()).await]
            })
        },
        doc: Doc {
            what: "This machine's clock against the Date header of the certificate authority.",
            why: "Certificates and Matrix signing keys have times in them: with a wrong clock others take this server's keys for expired, and it theirs.",
            fails: "From 5 s a warning, from 60 s a failure; other servers refuse signatures, and no certificate is issued.",
            fix: "Let the system keep its clock: `sudo timedatectl set-ntp true`.",
            source: "Matrix server-server API, `valid_until_ts`; matrix-spec issue 1450.",
        },
    },
    Check {
        id: "machine.firewall",
        place: Place::Machine,
        applies: always,
        needs: &[],
        limit: 5,
        run: |site| Box::pin(async move { vec![firewall(&site.root)] }),
        doc: Doc {
            what: "Whether ufw, nftables or firewalld is switched on, from their files in /etc.",
            why: "Docker's published ports bypass ufw: a rule of ufw neither opens nor closes ports 80 and 443 of the gateway. A reload of nftables or firewalld may remove Docker's own rules.",
            fails: "It never fails. If others cannot reach this machine, look at the firewall of the cloud, not at ufw.",
            fix: "Nothing; `ufw allow` has no effect on the gateway's ports. After nftables was restarted, `sudo systemctl restart docker`.",
            source: "Docker documentation, packet filtering and firewalls.",
        },
    },
    Check {
        id: "machine.ports",
        place: Place::Machine,
        applies: always,
        needs: &[],
        limit: 5,
        run: |site| {
            Box::pin(async move {
                let gateway = docker::gateway_ports(&site.machine.host.docker).await;
                ports::check(&site.root, site.machine.config.proxy, &gateway)
            })
        },
        doc: Doc {
            what: "Who listens on ports 80 and 443, from /proc/net/tcp and the open sockets of processes.",
            why: "A web server that was installed later, or started first after a reboot, keeps the gateway from starting.",
            fails: "The gateway's container does not start (`address already in use`); another site answers for all names.",
            fix: "Stop what holds the port, then run `sudo rcfed apply`; or keep it and set `proxy` in the configuration.",
            source: "Linux, proc(5).",
        },
    },
];

fn oom(root: &Path) -> Finding {
    let text = match std::fs::read_to_string(root.join("proc/vmstat")) {
        Ok(text) => text,
        Err(error) => return Finding::unknown("machine.oom", MACHINE, format!("/proc/vmstat cannot be read: {error}")),
    };
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse::<u64>().ok());
    match count {
        None => Finding::unknown("machine.oom", MACHINE, "this kernel does not count what it kills"),
        Some(0) => Finding::ok("machine.oom", MACHINE, "nothing was killed for want of memory since the start"),
        Some(1) => Finding::info("machine.oom", MACHINE, "one process was killed for want of memory since the start"),
        Some(many) => Finding::info(
            "machine.oom",
            MACHINE,
            format!("{many} processes were killed for want of memory since the start"),
        ),
    }
}

fn firewall(root: &Path) -> Finding {
    const ID: &str = "machine.firewall";
    let text = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_default();
    let rules = text("etc/nftables.conf");
    let flushes = rules.lines().any(|line| line.trim() == "flush ruleset");
    if flushes && root.join("etc/systemd/system/sysinit.target.wants/nftables.service").exists() {
        // Docker's rules are among those that go, and only Docker makes them again.
        return Finding::info(
            ID,
            MACHINE,
            "nftables.service is on, and whoever restarts it removes Docker's rules with `flush ruleset`",
        )
        .seen("/etc/nftables.conf: flush ruleset")
        .remedy("after each `systemctl restart nftables`, `systemctl restart docker` makes Docker's rules again");
    }
    if text("etc/ufw/ufw.conf").lines().any(|line| line.trim().eq_ignore_ascii_case("enabled=yes")) {
        return Finding::info(ID, MACHINE, "ufw is on; it has no say over ports 80 and 443, which Docker publishes");
    }
    if root.join("etc/systemd/system/multi-user.target.wants/firewalld.service").exists() {
        return Finding::info(ID, MACHINE, "firewalld is on; its zones have no say over ports that Docker publishes")
            .remedy("after each `firewall-cmd --reload`, `systemctl restart docker` makes Docker's rules again");
    }
    Finding::ok(ID, MACHINE, "no firewall of the distribution is switched on")
}

async fn disk(site: Arc<Site>) -> Vec<Finding> {
    let state = site.machine.path(layout::STATE);
    let free = facts::free_space(&state);
    let inodes = facts::free_inodes(&state);
    let days = free.as_ref().ok().and_then(|free| site.past.days_to_full(jiff::Timestamp::now(), *free));
    vec![or_unknown("machine.disk", free, |free| match inodes {
        Ok(few @ ..10_000) => crowded(few),
        _ => room(free, days),
    })]
}

fn crowded(few: u64) -> Finding {
    Finding::fail("machine.disk", layout::STATE, format!("is on a disk that takes only {few} more files"))
        .seen("df -i shows it")
        .remedy("remove directories with very many small files, or make a new file system")
}

fn room(free: u64, days: Option<u64>) -> Finding {
    const MB: u64 = 1_000_000;
    let said = format!("is on a disk with {} MB free", free / MB);
    let finding = match (free, days) {
        (..500_000_000, _) => {
            Finding::fail("machine.disk", layout::STATE, format!("{said}; databases stop when it is full"))
        }
        (_, Some(days @ ..30)) => Finding::warn(
            "machine.disk",
            layout::STATE,
            format!("{said}, and at the present rate it is full {}", within(days)),
        ),
        (..2_000_000_000, _) => Finding::warn("machine.disk", layout::STATE, said),
        _ => return Finding::ok("machine.disk", layout::STATE, said),
    };
    finding.remedy("make room: `sudo docker system prune`, `sudo apt-get clean`, `sudo journalctl --vacuum-size=200M`; or enlarge the disk")
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
