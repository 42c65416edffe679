//! Is this machine able to carry it: rights, system, processor, memory, disk, and nobody else setting it up.

use std::path::Path;

use super::{MACHINE, or_unknown};
use crate::compat;
use crate::config::Profile;
use crate::finding::Finding;
use crate::host::facts;
use crate::host::net::Process;

const GB: u64 = 1_000_000_000;

/// Whether this process may change the machine.
pub(crate) fn rights(is_root: bool) -> Finding {
    match is_root {
        true => Finding::ok("machine.root", MACHINE, "runs as root"),
        false => Finding::fail("machine.root", MACHINE, "does not run as root").remedy("sudo rcfed init"),
    }
}

/// Whether rcfed knows this distribution.
pub(crate) fn system(root: &Path) -> Finding {
    let os = match facts::os(root) {
        Ok(os) => os,
        Err(error) => return Finding::unknown("machine.os", MACHINE, error.to_string()),
    };
    let major: u32 = os.version.split('.').next().and_then(|text| text.parse().ok()).unwrap_or(u32::MAX);
    let oldest = if os.id == "ubuntu" { 22 } else { 12 };
    if !["debian", "ubuntu"].contains(&os.id.as_str()) {
        let known = format!("{} is neither Debian nor Ubuntu, which rcfed is made for", os.pretty);
        let remedy = if os.has_apt() {
            "go on if its packages are those of Debian or Ubuntu"
        } else {
            "install Docker yourself first"
        };
        return Finding::warn("machine.os", MACHINE, known).remedy(remedy);
    }
    if major < oldest {
        let old = format!("{} is older than Debian 12 and Ubuntu 22.04, which rcfed is made for", os.pretty);
        return Finding::warn("machine.os", MACHINE, old).remedy("upgrade the distribution first");
    }
    let today = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
    match compat::end_of_system(&os.id, &os.version).filter(|end| today.as_str() >= end.date) {
        Some(end) => Finding::warn("machine.os", MACHINE, end.to_string()).remedy("upgrade the distribution"),
        None => Finding::ok("machine.os", MACHINE, os.pretty),
    }
}

/// Whether images exist for this processor.
pub(crate) fn architecture(architecture: &str, profile: Profile) -> Finding {
    match (architecture, profile.has_homeserver()) {
        ("x86_64", _) | ("aarch64", false) => Finding::ok("machine.architecture", MACHINE, architecture),
        ("aarch64", true) => {
            let why = "Rocket.Chat 7.10 has no image for aarch64";
            Finding::fail("machine.architecture", MACHINE, why).remedy("use an x86_64 machine, or profile = \"native\"")
        }
        (other, _) => {
            let why = format!("Rocket.Chat has no image for {other}");
            Finding::fail("machine.architecture", MACHINE, why).remedy("use an x86_64 machine")
        }
    }
}

/// Whether MongoDB starts on this processor: from 5.0 on it needs AVX, and dies of an illegal instruction without.
pub(crate) fn processor(root: &Path, architecture: &str) -> Option<Finding> {
    if architecture != "x86_64" {
        return None;
    }
    Some(or_unknown("machine.avx", facts::has_cpu_flag(root, "avx"), |avx| match avx {
        true => Finding::ok("machine.avx", MACHINE, "the processor has AVX, which MongoDB needs"),
        false => Finding::fail("machine.avx", MACHINE, "the processor has no AVX, and MongoDB 5 and later needs it")
            .seen("no `avx` among the flags in /proc/cpuinfo")
            .remedy("set the virtual machine's CPU type to `host`, or use another machine"),
    }))
}

/// Whether there is memory for databases and servers. A machine sold as 2 GB shows a little less.
pub(crate) fn memory(root: &Path) -> Finding {
    or_unknown("machine.memory", facts::memory(root), |memory| {
        let said = format!("{} of memory, {} of swap", gigabytes(memory.total), gigabytes(memory.swap));
        if memory.total < GB * 18 / 10 {
            Finding::fail("machine.memory", MACHINE, format!("{said}; 2 GB of memory is the least"))
                .remedy("resize the machine to 2 GB at least; 4 GB is comfortable")
        } else if memory.total < GB * 35 / 10 && memory.swap < GB * 19 / 10 {
            Finding::warn("machine.memory", MACHINE, format!("{said}; it will be tight without swap"))
                .remedy("fallocate -l 2G /swapfile && chmod 600 /swapfile && mkswap /swapfile && swapon /swapfile && echo '/swapfile none swap sw 0 0' >> /etc/fstab")
        } else {
            Finding::ok("machine.memory", MACHINE, said)
        }
    })
}

/// Whether images and data have room, at `path` below `root`.
pub(crate) fn disk(root: &Path, path: &str) -> Finding {
    let free = facts::free_space(&root.join(path.trim_start_matches('/')));
    or_unknown("machine.disk", free, |free| room(free, path))
}

fn room(free: u64, path: &str) -> Finding {
    let said = format!("{} free below {path}", gigabytes(free));
    if free < 5 * GB {
        Finding::fail("machine.disk", path, format!("{said}; the images alone need 5 GB"))
            .remedy("make room, e.g. docker system prune, or enlarge the disk")
    } else if free < 10 * GB {
        Finding::warn("machine.disk", path, format!("{said}; 10 GB leave room for messages and upgrades"))
            .remedy("enlarge the disk before it is full")
    } else {
        Finding::ok("machine.disk", path, said)
    }
}

/// Whether somebody else installs packages at this moment.
pub(crate) fn packages(root: &Path) -> Finding {
    if facts::cloud_init_runs(root) {
        return Finding::warn("machine.packages", MACHINE, "cloud-init is still setting this machine up")
            .remedy("cloud-init status --wait");
    }
    or_unknown("machine.packages", facts::apt_lock(root), |holder| match holder {
        None => Finding::ok("machine.packages", MACHINE, "nobody else is installing packages"),
        Some(process) => waits(&process),
    })
}

fn waits(process: &Process) -> Finding {
    Finding::warn("machine.packages", MACHINE, format!("{process} is installing packages; apt has to wait"))
        .seen("it holds /var/lib/dpkg/lock-frontend")
        .remedy(format!("tail --pid={} -f /dev/null", process.pid))
}

fn gigabytes(bytes: u64) -> String {
    let tenths = bytes / (GB / 10);
    format!("{}.{} GB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::Status;

    #[test]
    fn room_is_judged_at_its_limits() {
        let status = |bytes| room(bytes, "/var/lib").status;
        assert_eq!(
            [5 * GB - 1, 5 * GB, 10 * GB - 1, 10 * GB].map(status),
            [Status::Fail, Status::Warn, Status::Warn, Status::Ok]
        );
        assert_eq!(disk(Path::new("/"), "/var/lib/none/yet").id, "machine.disk");
    }

    #[test]
    fn an_architecture_without_images_is_refused() {
        assert_eq!(architecture("aarch64", Profile::Dendrite).status, Status::Fail);
        assert_eq!(architecture("aarch64", Profile::Native).status, Status::Ok);
        assert_eq!(architecture("riscv64", Profile::Native).status, Status::Fail);
    }

    fn line(f: &Finding) -> String {
        let seen: String = f.evidence.iter().map(|fact| format!("\n    {fact}")).collect();
        let remedy = f.remedy.as_ref().map_or_else(String::new, |remedy| format!("\n    → {remedy}"));
        format!("{:?} {}: {}{seen}{remedy}", f.status, f.id, f.summary)
    }

    /// A machine with nothing but these files.
    fn with(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn sentences() {
        let release = |text: &str| system(with(&[("etc/os-release", text)]).path());
        let fedora = "PRETTY_NAME=\"Fedora Linux 43\"\nID=fedora\nVERSION_ID=43\n";
        let mint = "PRETTY_NAME=\"Linux Mint 22\"\nID=linuxmint\nID_LIKE=\"ubuntu debian\"\nVERSION_ID=22\n";
        let old = "PRETTY_NAME=\"Debian GNU/Linux 10\"\nID=debian\nVERSION_ID=10\n";
        let ram = |kb: u64, swap: u64| {
            memory(with(&[("proc/meminfo", &format!("MemTotal: {kb} kB\nSwapTotal: {swap} kB\n"))]).path())
        };
        let cpu = |flags: &str| processor(with(&[("proc/cpuinfo", &format!("flags\t\t: {flags}\n"))]).path(), "x86_64");
        let lock = with(&[("var/lib/dpkg/lock-frontend", ""), ("proc/locks", "")]);
        let cloud = with(&[("run/cloud-init/status.json", "{}")]);
        let all = [
            rights(true),
            rights(false),
            release(fedora),
            release(mint),
            release(old),
            release("PRETTY_NAME=\"Ubuntu 26.04 LTS\"\nID=ubuntu\nVERSION_ID=26.04\n"),
            architecture("x86_64", Profile::Dendrite),
            architecture("aarch64", Profile::Dendrite),
            architecture("riscv64", Profile::Native),
            cpu("fpu sse2 avx").unwrap(),
            cpu("fpu sse2").unwrap(),
            ram(900_000, 0),
            ram(2_000_000, 0),
            ram(8_000_000, 0),
            room(4 * GB, "/var/lib/docker"),
            room(9 * GB, "/var/lib/docker"),
            room(40 * GB, "/var/lib/docker"),
            packages(lock.path()),
            packages(cloud.path()),
            waits(&Process { name: "apt-get".into(), pid: 812 }),
        ];
        insta::assert_snapshot!(all.iter().map(line).collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn machines_of_many_kinds() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/machine");
        let text = ["droplet", "small", "old", "empty"].map(|machine| {
            let root = fixtures.join(machine);
            let findings =
                [Some(system(&root)), Some(memory(&root)), processor(&root, "x86_64"), Some(packages(&root))];
            let lines = findings
                .into_iter()
                .flatten()
                .map(|f| format!("{:?} {}: {} → {}", f.status, f.id, f.summary, f.remedy.unwrap_or_default()));
            format!("# {machine}\n{}", lines.collect::<Vec<_>>().join("\n"))
        });
        insta::assert_snapshot!(text.join("\n"));
    }
}
