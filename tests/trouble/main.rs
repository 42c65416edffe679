//! What happens to machines while rcfed works or rests: the engine dies, a registry or the network breaks off, the disk is
//! full, the clock is wrong. Each time one clear error, and then `rcfed apply` goes on to what an undisturbed run makes,
//! without paying twice for anything.
//!
//! A short run has one of each kind; `RCFED_TEST_ALL=1` all of them. Signals, and two runs at once: tests/faults/signals.rs.

#[path = "../support/mod.rs"]
mod support;

#[allow(dead_code)]
#[path = "../support/surroundings.rs"]
mod surroundings;

#[allow(dead_code)]
#[path = "../faults/sight.rs"]
mod sight;

#[allow(dead_code)]
#[path = "../support/variants.rs"]
mod variants;

mod clock;
mod disk;
mod engine;
#[path = "../support/full.rs"]
mod full;
#[path = "../support/held.rs"]
mod held;
mod network;
mod registry;

use sight::{Sight, orders, pulls};
use support::{Bed, Run};
use surroundings::{Told, whole};

const OWN: &str = "198.51.100.5:5999/library/nginx:1.28";

fn all() -> bool {
    std::env::var_os("RCFED_TEST_ALL").is_some()
}

/// An empty machine with all images but the gateway's, which is to come from a registry of the test's own.
fn fresh(bed: &Bed) {
    for directory in ["etc/cron.d", "var/lib"] {
        std::fs::create_dir_all(bed.root().join(directory)).unwrap();
    }
    for image in [
        "docker.io/library/mongo:7.0",
        "docker.io/library/postgres:17",
        "registry.rocket.chat/rocketchat/rocket.chat:7.10.15",
        "ghcr.io/element-hq/dendrite-monolith:v0.15.2",
    ] {
        bed.run(&["sh", "-c", &format!("docker image inspect {image} >/dev/null 2>&1 || docker pull -q {image}")]);
    }
    // Whatever else shares its layers goes too, or they would not be pulled.
    let nginx =
        "docker image ls -q --filter reference=nginx --filter reference=198.51.100.5:5999/library/nginx | sort -u";
    bed.run(&["sh", "-c", &format!("ids=$({nginx}); [ -z \"$ids\" ] || docker image rm -f $ids")]);
}

/// Words of the `init` that all of this is about.
fn init(bed: &Bed) -> Vec<String> {
    let answers = bed.answers("dendrite", &format!("[images]\ngateway = \"{OWN}\""));
    let words = ["init", "--answers", answers.to_str().unwrap(), "--yes", "--no-input"];
    words.map(String::from).into()
}

fn run(bed: &Bed, words: &[String]) -> Run {
    bed.rcfed(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Nothing is left to do, and the site answers.
fn converged(bed: &Bed) {
    let diff = bed.rcfed(&["plan", "--diff"]).well();
    assert_eq!(diff.stdout.trim(), "Everything is as wanted.");
    assert_eq!(bed.https("https://chat.fed.test/api/info", &[]).0, 200);
    whole(bed, &bed.root());
}

#[test]
#[ignore = "minutes long; `make test-all` runs it"]
fn engine_registry_network_and_clock() {
    let Some(bed) = Bed::up() else { return };
    let mut told = Told::default();
    fresh(&bed);
    let before = Sight::of(&bed);
    let (ordered, pulled) = (orders(&bed), pulls(&bed));

    registry::cut_in_a_layer(&bed, &mut told);
    engine::killed_during_a_pull(&bed, &mut told);
    network::gone_during_a_pull_and_an_order(&bed, &mut told);
    converged(&bed);
    assert_eq!(orders(&bed) - ordered, 1, "certificates");
    assert_eq!(pulls(&bed), pulled, "pulls of what was there");
    engine::killed_while_a_container_starts(&bed, &mut told);
    engine::killed_while_idle(&bed);
    assert_eq!(orders(&bed) - ordered, 1, "certificates");
    let disturbed = Sight::of(&bed);
    clock::jumps(&bed, &mut told);
    // How many were waiting just then is chance.
    let text = told.text(&bed);
    let lines: Vec<&str> =
        text.lines().filter(|line| !line.contains(" not started; everything done so far stays")).collect();
    insta::assert_snapshot!(lines.join("\n"));

    if all() {
        bed.rcfed(&["uninstall", "--purge", "--confirm", "fed.test", "--yes"]).well();
        Sight::of(&bed).same_as(&before, "a purge after all of it");
        let _registry = registry::Registry::start(&bed, "good");
        run(&bed, &init(&bed)).well();
        engine::change(&bed);
        run(&bed, &["apply".into()]).well();
        disturbed.same_as(&Sight::of(&bed), "everything but the clock");
    }
}
