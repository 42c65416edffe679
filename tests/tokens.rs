//! New tokens for both sides: a run that is killed anywhere is finished by the next one, and the old ones are dead.

#[allow(dead_code)]
#[path = "support/held.rs"]
mod held;
#[path = "support/mod.rs"]
mod support;
#[path = "support/tokens.rs"]
mod tokens;

use held::Held;
use support::Bed;
use tokens::{Tokens, started};

#[test]
#[ignore = "minutes long; `make test-all` runs it"]
fn tokens_of_dendrite_are_rotated_wherever_a_run_is_killed() {
    killed_anywhere("dendrite");
}

#[test]
#[ignore = "minutes long; `make test-all` runs it"]
fn tokens_of_synapse_are_rotated_wherever_a_run_is_killed() {
    killed_anywhere("synapse");
}

fn killed_anywhere(profile: &str) {
    let Some(bed) = Bed::up() else { return };
    let file = bed.answers(profile, "");
    bed.rcfed(&["init", "--answers", file.to_str().unwrap(), "--yes", "--no-input"]).well();
    tokens::rotated(&bed);
    let root = bed.root();
    let at = |kind: &str, path: &str| format!("{kind}:{}", root.join("var/lib/rcfed").join(path).display());
    let mut points = vec![
        // Not decided yet: the next run decides.
        at("rename", "secrets/rotation"),
        at("rename", "secrets/versions"),
        at("rename", "secrets/as_token"),
        format!("{}*2", at("write", "secrets/versions")),
        at("rename", "secrets/hs_token"),
        at("rename", "services/homeserver/registration.yaml"),
        at("rename", "federation.json"),
    ];
    let mut services = vec!["homeserver", "rocketchat"];
    if profile == "dendrite" {
        services.push("relay");
        points.push(at("rename", "services/relay/relay.toml"));
    }
    let calls = ["created:NAME-next", "stopped:NAME", "renamed:NAME-previous", "renamed:NAME", "started:NAME"];
    let calls = [&calls[..], &["healthy:NAME", "removed:NAME-previous"]].concat();
    for service in services {
        points.extend(calls.iter().map(|call| call.replace("NAME", &format!("rcfed-{service}"))));
    }
    for (number, point) in points.iter().enumerate() {
        let before = Tokens::of(&bed);
        let run = bed.rcfed_with(&["tokens", "rotate"], &[("RCFED_FAULT", point)]);
        assert_eq!(run.signal.or(run.code.map(|code| code - 128)), Some(9), "{point}: {}", run.stderr);
        let decided = root.join("var/lib/rcfed/secrets/rotation").exists();
        assert_eq!(decided, number > 0, "{point}");
        // Either command goes on, and makes no third pair.
        let apply = number % 2 == 1;
        let next = bed.rcfed(if apply { &["apply"] } else { &["tokens", "rotate"] }).well();
        assert_eq!(next.stderr.contains("Going on with the tokens"), number > 0 && !apply, "{point}: {}", next.stderr);
        assert!(!next.stderr.contains("Mended"), "{point}: {}", next.stderr);
        let after = Tokens::of(&bed);
        after.replaced(&before);
        tokens::same_on_both_sides(&bed, &after);
        tokens::dead(&bed, &before);
        assert_eq!(bed.rcfed(&["plan", "--diff"]).well().stdout.trim(), "Everything is as wanted.", "{point}");
    }
}

/// A homeserver that does not start with its new file goes back, and Rocket.Chat is not touched: both have the old tokens.
#[test]
#[ignore = "minutes long; `make test-all` runs it"]
fn a_side_that_does_not_start_keeps_both_on_the_old_tokens() {
    let Some(bed) = Bed::up() else { return };
    let file = bed.answers("dendrite", "");
    bed.rcfed(&["init", "--answers", file.to_str().unwrap(), "--yes", "--no-input"]).well();
    let (before, chat) = (Tokens::of(&bed), started(&bed).remove("rcfed-rocketchat"));
    let registration = bed.root().join("var/lib/rcfed/services/homeserver/registration.yaml");
    let held = Held::at(&["tokens", "rotate"], "created:rcfed-homeserver-next", &[]);
    std::fs::write(&registration, "id: [\n").unwrap();
    let run = held.go_on();
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("The previous container and its files are back"), "{}", run.stderr);
    assert_eq!(started(&bed).remove("rcfed-rocketchat"), chat);
    let text = std::fs::read_to_string(&registration).unwrap();
    assert!(text.contains(&before.as_token) && text.contains(&before.hs_token), "not the old file");
    tokens::taken(&bed, &before, &["homeserver", "rocketchat"]);
    // Whatever runs next goes on.
    bed.rcfed(&["apply"]).well();
    let after = Tokens::of(&bed);
    after.replaced(&before);
    tokens::same_on_both_sides(&bed, &after);
    tokens::dead(&bed, &before);
}

/// Nothing is decided where something else would change with it, or where there is nothing to change.
#[test]
#[ignore = "minutes long; `make test-all` runs it"]
fn tokens_are_rotated_on_a_machine_that_is_as_wanted_alone() {
    let Some(bed) = Bed::up() else { return };
    let mut told = Vec::new();
    let refused = |told: &mut Vec<String>, what: &str| {
        let run = bed.rcfed(&["tokens", "rotate"]);
        assert!(matches!(run.code, Some(1 | 2)), "{what}: {}{}", run.stdout, run.stderr);
        assert!(!bed.root().join("var/lib/rcfed/secrets/rotation").exists(), "{what}");
        told.push(format!("— {what}\n{}", run.stderr.trim().replace(&*bed.root().to_string_lossy(), "")));
    };
    refused(&mut told, "no configuration");
    let file = bed.answers("dendrite", "");
    bed.rcfed(&["init", "--answers", file.to_str().unwrap(), "--yes", "--no-input"]).well();
    let config = bed.root().join("etc/rcfed/config.toml");
    let kept = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{kept}\n[memory]\nrelay = 64\n")).unwrap();
    refused(&mut told, "a change that was not applied");
    std::fs::write(&config, kept).unwrap();
    bed.run(&["docker", "stop", "rcfed-homeserver"]);
    refused(&mut told, "a homeserver that does not run");
    bed.rcfed(&["apply"]).well();
    let before = Tokens::of(&bed);
    let held = Held::at(&["tokens", "rotate"], "created:rcfed-homeserver-next", &[]);
    let other = bed.rcfed(&["tokens", "rotate"]);
    assert_eq!(other.code, Some(1));
    told.push(format!("— another run at work\n{}", other.stderr.trim()));
    let held = held.interrupted();
    let run = held.go_on();
    assert_eq!(run.code, Some(130), "{}", run.stderr);
    let left = run.stderr.lines().filter(|line| !line.starts_with('✓') && !line.starts_with('!'));
    let left: Vec<String> = left.map(|line| line.split(" with ").next().unwrap().to_owned()).collect();
    told.push(format!("— Ctrl-C\n{}", left.join("\n")));
    bed.rcfed(&["tokens", "rotate"]).well();
    let after = Tokens::of(&bed);
    after.replaced(&before);
    tokens::same_on_both_sides(&bed, &after);
    let told = without_processes(&told.join("\n\n"));
    insta::assert_snapshot!(told);
}

/// The number of a process is chance.
fn without_processes(text: &str) -> String {
    let word = |word: &str| {
        if word.trim_matches(|c: char| !c.is_ascii_digit()).len() > 2 { "N".into() } else { word.to_owned() }
    };
    let line = |line: &str| line.split(' ').map(word).collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}
