//! The disk is full at the very moment when rcfed writes a file, one kind of file after the other.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::held::{Held, pid};
use crate::sight::orders;
use crate::support::{Bed, Run};
use crate::surroundings::{Disk, sentence, tree, whole};
use crate::variants::variant;
use crate::{all, fresh};

const ROCKETCHAT: &str = "registry.rocket.chat/rocketchat/rocket.chat";

/// A point of `RCFED_FAULT` below the root, what the error names, and whether a short run has it.
const WRITES: [(&str, &str, bool); 12] = [
    ("write:etc/rcfed/config.toml", "etc/rcfed/config.toml", false),
    ("write:var/lib/rcfed/receipt.jsonl*9", "var/lib/rcfed/receipt.jsonl", true),
    ("write:var/lib/rcfed/secrets/mongo_admin", "var/lib/rcfed/secrets/mongo_admin", true),
    ("write:var/lib/rcfed/services/homeserver/dendrite.yaml", "var/lib/rcfed/services/homeserver/dendrite.yaml", true),
    ("write:var/lib/rcfed/ran.json", "var/lib/rcfed/ran.json", false),
    ("write:var/lib/rcfed/deployment.json", "var/lib/rcfed/deployment.json", false),
    ("room:var/lib/rcfed/certificate/pair.pem", "var/lib/rcfed/certificate/pair.pem", false),
    ("order", "var/lib/rcfed/acme/challenges/", false),
    ("write:var/lib/rcfed/secrets/personal_access_token", "var/lib/rcfed/secrets/personal_access_token", false),
    ("write:var/lib/rcfed/federation.json", "var/lib/rcfed/federation.json", false),
    ("write:etc/cron.d/rcfed", "etc/cron.d/rcfed", false),
    ("write:var/lib/rcfed/applied.toml", "var/lib/rcfed/applied.toml", false),
];

/// A small disk as the droplet sees it, and as this process sees it.
struct Full<'a> {
    bed: &'a Bed,
    root: String,
    seen: PathBuf,
}

impl Full<'_> {
    fn path(&self, below: &str) -> PathBuf {
        self.seen.join(below)
    }

    /// To the last page, as seen by somebody who makes a new file.
    fn fill(&self) {
        let directory = self.path("filler");
        std::fs::create_dir_all(&directory).unwrap();
        let mut file = std::fs::File::create(directory.join("most")).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        for number in 0.. {
            if std::fs::write(directory.join(number.to_string()), "x").is_err() {
                return;
            }
        }
    }

    fn free(&self) {
        std::fs::remove_dir_all(self.path("filler")).unwrap();
    }

    /// The words of a run that goes on where the last one ended.
    fn words(&self) -> Vec<String> {
        let mut words = vec!["--root".to_string(), self.root.clone()];
        if self.path("etc/rcfed/config.toml").exists() {
            words.push("apply".into());
        } else {
            let answers = self.bed.answers("dendrite", "");
            words.extend(["init", "--answers", answers.to_str().unwrap(), "--yes", "--no-input"].map(String::from));
        }
        words
    }

    /// The error names the file, and what was there is as it was.
    fn refused(&self, what: &str, named: &str, before: Option<Vec<u8>>, run: &Run) {
        assert_eq!(run.code, Some(1), "{what}: {}", run.stderr);
        let text = sentence(run);
        let first = text.lines().next().unwrap();
        let file = format!("`{}/{named}", self.root);
        assert!(first.contains(&file) && first.contains("No space left on device"), "{what}: {text}");
        let hint = text.lines().find(|line| line.starts_with("hint:")).unwrap();
        assert!(hint.contains("df -h") && hint.contains(&format!("{}/{named}", self.root)), "{what}: {text}");
        let now = std::fs::read(self.path(named)).ok();
        assert_eq!(now.is_some(), before.is_some(), "{what}: there before, or there now");
        assert!(now == before || named.ends_with("receipt.jsonl"), "{what}: half-written");
        whole(self.bed, Path::new(&self.root));
    }
}

#[test]
#[ignore = "minutes long; `make test-all` runs it"]
fn a_full_disk_at_each_kind_of_write() {
    let Some(bed) = Bed::up() else { return };
    fresh(&bed);
    bed.run(&["docker", "pull", "-q", "docker.io/library/nginx:1.28"]);
    let ordered = orders(&bed);
    let disk = Disk::of(&bed, "4m");
    let root = disk.0.to_str().unwrap().to_owned();
    let seen = PathBuf::from(format!("/proc/{}/root{root}", pid(&bed, "droplet")));
    let full = Full { bed: &bed, root, seen };
    std::fs::create_dir_all(full.path("etc/cron.d")).unwrap();
    for (point, named, short) in WRITES {
        if !(short || all()) {
            continue;
        }
        let (kind, path) = point.split_once(':').map_or((point, None), |(kind, path)| (kind, Some(path)));
        let at = path.map_or(kind.to_string(), |path| format!("{kind}:{}/{path}", full.root));
        let words = full.words();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let started = std::time::Instant::now();
        let held = Held::at(&words, &at, &[("RCFED_FAULT_ORDER", "plan")]);
        let before = std::fs::read(full.path(named)).ok();
        full.fill();
        let run = held.go_on();
        full.refused(point, named, before, &run);
        full.free();
        eprintln!("{point}: {:.1} s", started.elapsed().as_secs_f64());
    }
    let apply = ["--root", full.root.as_str(), "apply"];
    the_lock(&full, &apply);
    if !all() {
        return;
    }
    bed.rcfed(&apply).well();
    assert_eq!(bed.https("https://chat.fed.test/api/info", &[]).0, 200);
    assert_eq!(orders(&bed) - ordered, 1, "certificates");
    a_dump(&full, &apply);
}

fn the_lock(full: &Full, apply: &[&str]) {
    full.fill();
    let before = tree(&full.seen);
    let run = full.bed.rcfed(apply);
    assert!(tree(&full.seen) == before, "a file changed");
    full.refused("the lock", "var/lib/rcfed/lock", Some(Vec::new()), &run);
    full.free();
}

/// Rocket.Chat stays as it is when its data cannot be dumped, and gets its new version once there is room.
fn a_dump(full: &Full, apply: &[&str]) {
    let bed = full.bed;
    variant(bed, ROCKETCHAT, "7.10.15", "7.10.19", "echo 7.10.19 >/app/bundle/other");
    let config = full.path("etc/rcfed/config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}\n[images]\nrocketchat = \"{ROCKETCHAT}:7.10.19\"\n")).unwrap();
    // A disk that is too small is seen beforehand, and nothing stops.
    let running = || bed.run(&["docker", "inspect", "-f", "{{.Id}} {{.State.Running}}", "rcfed-rocketchat"]);
    let before = running();
    let run = bed.rcfed(apply);
    let text = sentence(&run);
    assert!(text.contains("the dump of rocketchat may need") && text.contains("`df -h`"), "{text}");
    assert_eq!(running(), before);
    bed.run(&["mount", "-o", "remount,size=400m", &full.root]);
    let held = Held::at(apply, &format!("write:{}/var/lib/rcfed/dumps", full.root), &[]);
    full.fill();
    let run = held.go_on();
    let text = sentence(&run);
    assert!(text.contains("rocketchat stays as it is, since its data could not be dumped"), "{text}");
    let dumps = format!("{}/var/lib/rcfed/dumps/rocketchat-2", full.root);
    assert!(text.contains("No space left on device") && text.contains(&dumps) && text.contains("`df -h`"), "{text}");
    assert_eq!(std::fs::read_dir(full.path("var/lib/rcfed/dumps")).unwrap().count(), 0, "half a dump");
    assert_eq!(running(), before, "the old one runs again");
    full.free();
    whole(bed, Path::new(&full.root));
    bed.rcfed(apply).well();
    assert_eq!(std::fs::read_dir(full.path("var/lib/rcfed/dumps")).unwrap().count(), 1);
}
