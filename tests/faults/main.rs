//! rcfed is killed everywhere, and nothing is ever half-installed: it goes on, or everything goes.
//!
//! A short run takes half of the tests and some steps of each, chosen by a seed that is printed and changes every day;
//! `RCFED_SEED` gives it again.
//! `RCFED_TEST_ALL=1` takes every step of every profile, before and after; with `RCFED_PROFILE` of that one.

#[path = "../support/mod.rs"]
mod support;
#[allow(dead_code)]
#[path = "../support/variants.rs"]
mod variants;

mod change;
mod points;
mod refusals;
mod sight;
mod signals;

use std::os::unix::fs::PermissionsExt;

use points::{Point, Seed, every_point, slice};
use sight::{Sight, orders, pulls, secrets};
use support::{Bed, Run};

fn profiles() -> Vec<&'static str> {
    let mut profiles = if all() { vec!["dendrite", "synapse", "native"] } else { vec!["dendrite"] };
    if let Ok(one) = std::env::var("RCFED_PROFILE") {
        profiles.retain(|profile| *profile == one);
        assert!(!profiles.is_empty(), "no profile `{one}` here");
    }
    profiles
}

fn all() -> bool {
    std::env::var_os("RCFED_TEST_ALL").is_some()
}

/// An empty machine with all images but one, so that images of both kinds are met: rcfed's own, and those that were there.
fn fresh(bed: &Bed, profile: &str) {
    bed.bed(&["clean"]);
    for directory in ["etc/cron.d", "var/lib"] {
        std::fs::create_dir_all(bed.root().join(directory)).unwrap();
    }
    // Somebody's own file of our name: it is put aside, and comes back.
    let cron = bed.root().join("etc/cron.d/rcfed");
    std::fs::write(&cron, "# nightly, by hand\n").unwrap();
    std::fs::set_permissions(&cron, std::fs::Permissions::from_mode(0o640)).unwrap();
    for image in pulled_images(profile) {
        let there = ["sh", "-c", &format!("docker image inspect {image} >/dev/null 2>&1 || docker pull -q {image}")];
        bed.run(&there);
    }
    // And none of the variants that other tests made: rcfed would pull them, and they would go as its own.
    let variants = "docker image ls --format '{{.Repository}}:{{.Tag}}' | grep -e ^nginx: -e -other$ -e :7.10.16$";
    bed.run(&["sh", "-c", &format!("{variants} | xargs -r docker image rm -f >/dev/null 2>&1 || true")]);
}

fn pulled_images(profile: &str) -> Vec<&'static str> {
    if profile == "native" {
        return vec!["docker.io/library/mongo:8.0", "registry.rocket.chat/rocketchat/rocket.chat:8.5.3"];
    }
    let homeserver = match profile {
        "synapse" => "ghcr.io/element-hq/synapse:v1.163.2",
        _ => "ghcr.io/element-hq/dendrite-monolith:v0.15.2",
    };
    let rocketchat = "registry.rocket.chat/rocketchat/rocket.chat:7.10.15";
    vec!["docker.io/library/mongo:7.0", "docker.io/library/postgres:17", rocketchat, homeserver]
}

/// `init` until there is a configuration, then `apply`.
fn go_on(bed: &Bed, profile: &str, env: &[(&str, &str)]) -> Run {
    if bed.root().join("etc/rcfed/config.toml").exists() {
        return bed.rcfed_with(&["apply"], env);
    }
    let answers = bed.answers(profile, "");
    bed.rcfed_with(&["init", "--answers", answers.to_str().unwrap(), "--yes", "--no-input"], env)
}

fn init(bed: &Bed, profile: &str) -> Run {
    let answers = bed.answers(profile, "");
    bed.rcfed(&["init", "--answers", answers.to_str().unwrap(), "--yes", "--no-input"]).well()
}

fn purge(bed: &Bed) -> Run {
    bed.rcfed(&["uninstall", "--purge", "--confirm", "fed.test", "--yes"]).well()
}

/// Kills a run at a point, and sees that it died there.
fn kill(bed: &Bed, profile: &str, point: &Point) {
    let name = point.name(&bed.root());
    let run = go_on(bed, profile, &[("RCFED_FAULT", &name), ("RCFED_FAULT_ORDER", "plan")]);
    assert!(sight::killed(&run), "{name}: exit {:?}\n{}", run.code, run.stderr);
    if let Some(step) = point.started() {
        let last = sight::last_started(bed);
        assert_eq!(last.as_deref(), Some(step), "{name}: the receipt ends with another step");
    }
}

#[test]
fn killed_at_one_point_after_the_other_and_resumed() {
    if !Seed::turn(0) {
        return;
    }
    let Some(bed) = Bed::up() else { return };
    for profile in profiles() {
        let seed = Seed::new();
        fresh(&bed, profile);
        let before = Sight::of(&bed);
        init(&bed, profile);
        let undisturbed = Sight::of(&bed);
        purge(&bed);
        Sight::of(&bed).same_as(&before, "a purge");

        let points = if all() { every_point(&bed, profile) } else { slice(&bed, profile, seed) };
        let (ordered, mut pulled) = (orders(&bed), pulls(&bed));
        for point in &points {
            kill(&bed, profile, point);
        }
        go_on(&bed, profile, &[]).well();
        Sight::of(&bed).same_as(&undisturbed, "being killed again and again");
        assert_eq!(orders(&bed) - ordered, 1, "orders at the authority");
        *pulled.entry("library/nginx".into()).or_insert(0) += 1;
        assert_eq!(pulls(&bed), pulled, "pulls from the registries");

        uninstalled_in_pieces_and_used_again(&bed, profile, &undisturbed);
        purged_in_pieces(&bed, &before);
    }
}

/// Every run ends after one more undo (in a short run: after some more), before the receipt says that it is done. The first
/// brings somebody's own file back.
fn in_pieces(bed: &Bed, words: &[&str]) -> usize {
    let mut killed = 0;
    loop {
        let step = if all() || killed == 0 { 1 } else { 2 + killed % 5 * 4 };
        // Now and then in the middle of the line that would say so.
        let point = if killed % 4 == 3 { "line:uninstall".to_string() } else { format!("undo*{step}") };
        let run = bed.rcfed_with(words, &[("RCFED_FAULT", &point)]);
        if !sight::killed(&run) {
            run.well();
            return killed;
        }
        killed += 1;
        assert!(killed < 400, "it never ends");
    }
}

fn uninstalled_in_pieces_and_used_again(bed: &Bed, profile: &str, undisturbed: &Sight) {
    let (kept, ordered) = (secrets(bed), orders(bed));
    // A Rocket.Chat that federates by itself keeps its signing key in MongoDB.
    assert!(kept.contains_key("signing_key") != (profile == "native") && kept.contains_key("pair.pem"));
    assert!(in_pieces(bed, &["uninstall", "--yes"]) >= 4);
    let left = Sight::of(bed);
    assert!(
        left.docker.iter().all(|thing| !thing.starts_with("container") && !thing.contains("nginx:1.28\"")),
        "{left:#?}"
    );
    let volumes = |sight: &Sight| -> Vec<String> {
        sight.docker.iter().filter(|thing| thing.starts_with("volume ")).cloned().collect()
    };
    assert!(
        volumes(&left).iter().filter(|thing| thing.starts_with("volume rcfed-")).count()
            >= if profile == "native" { 2 } else { 4 }
    );
    assert_eq!(volumes(&left), volumes(undisturbed), "data stay");
    let again = bed.rcfed(&["uninstall", "--yes"]).well();
    assert!(again.stderr.contains("Nothing is left to remove."), "{}", again.stderr);
    Sight::of(bed).same_as(&left, "one more uninstall");
    refusals::another_domain(bed, profile);
    init(bed, profile);
    Sight::of(bed).same_as(undisturbed, "init after uninstall");
    assert_eq!(secrets(bed), kept, "the same secrets, key and certificate");
    assert_eq!(orders(bed), ordered, "no certificate was ordered again");
}

fn purged_in_pieces(bed: &Bed, before: &Sight) {
    let words = ["uninstall", "--purge", "--confirm", "fed.test", "--yes"];
    assert!(in_pieces(bed, &words) >= 6);
    Sight::of(bed).same_as(before, "a purge in pieces");
    let again = bed.rcfed(&words).well();
    assert!(again.stderr.contains("There is nothing to uninstall"), "{}", again.stderr);
    Sight::of(bed).same_as(before, "a purge of nothing");
}

#[test]
fn killed_at_any_point_and_purged() {
    if !Seed::turn(1) {
        return;
    }
    let Some(bed) = Bed::up() else { return };
    for profile in profiles() {
        let mut seed = Seed::new();
        fresh(&bed, profile);
        let before = Sight::of(&bed);
        let points = if all() {
            every_point(&bed, profile)
        } else {
            // Between the making of a file and its name; in the middle of a container; anywhere.
            let anywhere = every_point(&bed, profile);
            let fixed = [Point::Named("seed:rcfed-homeserver".into()), Point::Rename("etc/rcfed/config.toml".into())];
            [&fixed[..], &[anywhere[seed.below(anywhere.len())].clone()]].concat()
        };
        for point in points {
            kill(&bed, profile, &point);
            purge(&bed);
            Sight::of(&bed).same_as(&before, &format!("{} and a purge", point.name(&bed.root())));
        }
    }
}
