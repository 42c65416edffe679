//! The disk is full at the very moment when rcfed writes a file, one kind of file after the other.

use std::path::Path;

use crate::full::Full;
use crate::held::Held;
use crate::sight::orders;
use crate::support::Bed;
use crate::surroundings::{Disk, sentence, tree, whole};
use crate::variants::variant;
use crate::{all, fresh};

const ROCKETCHAT: &str = "registry.rocket.chat/rocketchat/rocket.chat";

/// A point of `RCFED_FAULT` below the root, what the error names, and whether a short run has it.
const WRITES: [(&str, &str, bool); 13] = [
    ("write:etc/rcfed/config.toml", "etc/rcfed/config.toml", false),
    ("write:var/lib/rcfed/receipt.jsonl*9", "var/lib/rcfed/receipt.jsonl", true),
    ("write:var/lib/rcfed/secrets/mongo_admin", "var/lib/rcfed/secrets/mongo_admin", true),
    ("write:var/lib/rcfed/images.json", "var/lib/rcfed/images.json", false),
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

/// The words of a run that goes on where the last one ended.
fn words(full: &Full) -> Vec<String> {
    let mut words = vec!["--root".to_string(), full.root.clone()];
    if full.path("etc/rcfed/config.toml").exists() {
        words.push("apply".into());
    } else {
        let answers = full.bed.answers("dendrite", "");
        words.extend(["init", "--answers", answers.to_str().unwrap(), "--yes", "--no-input"].map(String::from));
    }
    words
}

#[test]
#[ignore = "minutes long; `make test-all` runs it"]
fn a_full_disk_at_each_kind_of_write() {
    let Some(bed) = Bed::up() else { return };
    fresh(&bed);
    bed.run(&["docker", "pull", "-q", "docker.io/library/nginx:1.28"]);
    let ordered = orders(&bed);
    let disk = Disk::of(&bed, "4m");
    let full = Full::on(&bed, &disk, disk.0.clone());
    std::fs::create_dir_all(full.path("etc/cron.d")).unwrap();
    for (point, named, short) in WRITES {
        if !(short || all()) {
            continue;
        }
        let (kind, path) = point.split_once(':').map_or((point, None), |(kind, path)| (kind, Some(path)));
        let at = path.map_or(kind.to_string(), |path| format!("{kind}:{}/{path}", full.root));
        let words = words(&full);
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
    new_tokens(&full);
    a_dump(&full, &apply);
}

/// A rotation that could not be noted down was never decided.
fn new_tokens(full: &Full) {
    const NAMED: &str = "var/lib/rcfed/secrets/rotation";
    let rotate = ["--root", full.root.as_str(), "tokens", "rotate"];
    let token = || std::fs::read(full.path("var/lib/rcfed/secrets/as_token")).unwrap();
    let before = token();
    let held = Held::at(&rotate, &format!("write:{}/{NAMED}", full.root), &[]);
    full.fill();
    let run = held.go_on();
    full.refused("new tokens", NAMED, None, &run);
    full.free();
    assert!(token() == before, "one side has another token");
    full.bed.rcfed(&rotate).well();
    assert!(token() != before, "it was not rotated");
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
