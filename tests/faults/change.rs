//! A change of what runs, killed between any two calls to the engine: it goes on, or everything goes.

use std::path::PathBuf;

use crate::points::Seed;
use crate::sight::{Sight, killed};
use crate::support::{Bed, Run};
use crate::variants::variant;
use crate::{all, fresh, init, purge};

const ROCKETCHAT: &str = "registry.rocket.chat/rocketchat/rocket.chat";
const GATEWAY: &str = "docker.io/library/nginx";

/// The calls of a replacement in their order; the last ones remove the old container.
fn calls(service: &str, dumps: bool) -> Vec<String> {
    let name = format!("rcfed-{service}");
    let mut calls = vec![format!("created:{name}-next")];
    calls.extend(dumps.then(|| "part".to_string()));
    calls.push(format!("stopped:{name}"));
    calls.extend(dumps.then(|| format!("dumped:{name}")));
    for point in ["renamed:NAME-previous", "renamed:NAME", "started:NAME", "healthy:NAME"] {
        calls.push(point.replace("NAME", &name));
    }
    calls.extend([format!("stopped:{name}-previous"), format!("removed:{name}-previous")]);
    calls
}

fn config(bed: &Bed) -> PathBuf {
    bed.root().join("etc/rcfed/config.toml")
}

fn apply(bed: &Bed, point: Option<&str>) -> Run {
    let fault: Vec<(&str, &str)> = point.map(|point| ("RCFED_FAULT", point)).into_iter().collect();
    bed.rcfed_with(&["apply"], &fault)
}

fn kill(bed: &Bed, point: &str) {
    let run = apply(bed, Some(point));
    assert!(killed(&run), "{point}: exit {:?}\n{}", run.code, run.stderr);
}

#[test]
fn a_change_is_killed_between_any_two_calls() {
    if !Seed::turn(1) {
        return;
    }
    let Some(bed) = Bed::up() else { return };
    let mut seed = Seed::new();
    fresh(&bed, "dendrite");
    let before = Sight::of(&bed);
    init(&bed, "dendrite");
    variant(&bed, GATEWAY, "1.28", "1.28-other", "echo other >/etc/other");
    let mut changes = vec![("gateway", format!("[images]\ngateway = \"{GATEWAY}:1.28-other\"\n"))];
    if all() {
        variant(&bed, ROCKETCHAT, "7.10.15", "7.10.16", "echo 7.10.16 >/app/bundle/other");
        changes.push(("rocketchat", format!("[images]\nrocketchat = \"{ROCKETCHAT}:7.10.16\"\n")));
        let memory = |service: &str, mib: u32| format!("[memory]\n{service} = {mib}\n");
        changes.extend([("relay", 64), ("mongodb", 700), ("postgres", 300)].map(|(s, mib)| (s, memory(s, mib))));
    }
    let own = std::fs::read_to_string(config(&bed)).unwrap();
    for (service, change) in &changes {
        // Both ways once, so that both images are there and known.
        let texts = [own.clone(), format!("{own}\n{change}")];
        let seen: Vec<Sight> = [1, 0, 1]
            .map(|which: usize| {
                std::fs::write(config(&bed), &texts[which]).unwrap();
                apply(&bed, None).well();
                Sight::of(&bed)
            })
            .into();
        let mut points = calls(service, *service == "rocketchat");
        if !all() {
            let taken = seed.below(4);
            points = points.into_iter().skip(taken).step_by(4).collect();
        }
        for (number, point) in points.iter().enumerate() {
            let which = number % 2;
            std::fs::write(config(&bed), &texts[which]).unwrap();
            kill(&bed, point);
            apply(&bed, None).well();
            Sight::of(&bed).same_as(&seen[if which == 0 { 1 } else { 2 }], &format!("{point}, and going on"));
        }
        std::fs::write(config(&bed), &own).unwrap();
        apply(&bed, None).well();
    }
    let points = calls("gateway", false);
    let points = if all() { points } else { vec![points[seed.below(points.len())].clone()] };
    for point in points {
        if !config(&bed).exists() {
            init(&bed, "dendrite");
        }
        std::fs::write(config(&bed), format!("{own}\n{}", changes[0].1)).unwrap();
        kill(&bed, &point);
        let left = bed.rcfed(&["uninstall", "--yes"]).well();
        assert!(left.stderr.contains("/var/lib/rcfed/ran.json"), "it is about data: {}", left.stderr);
        assert!(!bed.root().join("var/lib/rcfed/previous").exists(), "{point}: copies of files stay");
        assert!(!bed.root().join("var/lib/rcfed/applied.toml").exists(), "{point}: a configuration stays");
        assert!(bed.root().join("var/lib/rcfed/ran.json").exists(), "{point}: what is known of the data is gone");
        let containers = bed.run(&["docker", "ps", "-aq"]);
        assert_eq!(containers, "", "{point}: containers stay");
        purge(&bed);
        Sight::of(&bed).same_as(&before, &format!("{point} in a change, and a purge"));
    }
}
