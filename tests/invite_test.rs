//! A test invite between two deployments: accepted, refused, awaited, interrupted; and nothing is left of it.

#[allow(dead_code)]
#[path = "support/held.rs"]
mod held;
#[path = "support/side.rs"]
mod side;
#[path = "support/mod.rs"]
mod support;

use held::Held;
use serde_json::{Value, json};
use side::{Side, Wanted, both};
use support::{Bed, Run};

#[test]
#[ignore = "minutes long; `make test-all` runs it"]
fn an_invite_is_seen_hop_by_hop_and_leaves_nothing() {
    let Some(bed) = Bed::up_two() else { return };
    let dendrite = Wanted { more: "federate_with = [\"fed.test\"]".into(), ..Wanted::new("fed.test", "dendrite") };
    let [here, there] = both(&bed, [dendrite, Wanted::new("other.test", "synapse")]);
    let mut told = Vec::new();
    let mut tell = |what: &str, run: &Run| {
        told.push(format!("— {what} (exit {:?})\n{}{}", run.code, run.stdout, run.stderr).trim_end().to_owned());
        for side in [&here, &there] {
            assert_eq!(rooms(side), Vec::<Value>::new(), "{what}: the probe user of {} is in a room", side.domain);
        }
    };

    // Rocket.Chat's bridge accepts by itself; then the person is put out again.
    let run = bed.rcfed(&["invite-test", "@ada:other.test", "--wait", "60"]).well();
    tell("joined", &run);
    let start = std::time::SystemTime::UNIX_EPOCH;
    there.arrives("the end", start, &[("/content/membership", "leave"), ("/state_key", "@ada:other.test")]);

    // The words of whoever refuses.
    tell("refused", &bed.rcfed_on_second(&["invite-test", "@ada:fed.test"]));
    let config = bed.root().join("etc/rcfed/config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let text: Vec<&str> = text.lines().filter(|line| !line.starts_with("federate_with")).collect();
    std::fs::write(&config, text.join("\n")).unwrap();
    here.apply();
    tell("accepted", &bed.rcfed_on_second(&["invite-test", "@ada:fed.test"]).well());

    let run = bed.rcfed(&["invite-test", "@nobody:other.test", "--wait", "2", "--json"]).well();
    let mut json: Value = serde_json::from_str(&run.stdout).unwrap();
    for hop in json["hops"].as_array_mut().unwrap() {
        assert!(hop["ms"].is_u64(), "{hop}");
        hop["ms"] = json!("N");
    }
    tell("not joined, as JSON", &Run { stdout: format!("{json:#}\n"), ..run });
    let run = bed.rcfed(&["invite-test", "@bob:nowhere.test", "--json"]);
    assert!(run.stderr.is_empty(), "{}", run.stderr);
    let json: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((json["ended"].as_str(), run.code), (Some("failed"), Some(1)));
    tell("no such server", &bed.rcfed(&["invite-test", "@bob:nowhere.test"]));
    tell("ourselves", &bed.rcfed(&["invite-test", "@ada:fed.test"]));

    let words = ["invite-test", "@nobody:other.test", "--wait", "600"];
    let run = Held::at(&words, "invited", &[]).interrupted().go_on();
    assert_eq!(run.code, Some(130), "{}", run.stderr);
    tell("Ctrl-C", &run);
    // Whoever is killed leaves a room; the next run puts it away.
    let run = bed.rcfed_with(&words, &[("RCFED_FAULT", "invited")]);
    assert_ne!(run.code, Some(0));
    assert_eq!(rooms(&here).len(), 1);
    tell("after a run that was killed", &bed.rcfed(&["invite-test", "@ada:other.test"]).well());

    bed.run(&["docker", "stop", "rcfed-homeserver"]);
    let run = bed.rcfed(&["invite-test", "@ada:other.test"]);
    told.push(format!("— without a homeserver (exit {:?})\n{}{}", run.code, run.stdout, run.stderr.trim_end()));
    insta::assert_snapshot!(told.join("\n\n").lines().map(quiet).collect::<Vec<_>>().join("\n"));
}

/// Rooms that the probe user of a side is in.
fn rooms(side: &Side) -> Vec<Value> {
    let probe = side.person("rcfed-probe");
    let (status, answer) = side.matrix(&probe, "GET", "joined_rooms", &Value::Null);
    assert_eq!(status, 200, "{answer}");
    answer["joined_rooms"].as_array().unwrap().clone()
}

/// Without times and names of keys, which are chance.
fn quiet(line: &str) -> String {
    let line = match line.rsplit_once(" (") {
        Some((start, time)) if time.ends_with("ms)") || time.ends_with(" s)") => format!("{start} (TIME)"),
        _ => line.to_owned(),
    };
    match line.split_once("key ed25519:").and_then(|(start, rest)| Some((start, rest.split_once(" until ")?.1))) {
        Some((start, rest)) => format!("{start}key ed25519:ID valid until DATE{}", rest.get(10..).unwrap_or_default()),
        None => line,
    }
}
