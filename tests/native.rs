//! Rocket.Chat that federates by itself, end to end: what is refused before anything starts, what only Rocket.Chat knows,
//! how the names may stand, that nothing is left, and that two of them talk.

#[path = "support/side.rs"]
mod side;
#[path = "support/site.rs"]
mod site;
mod support;
#[allow(dead_code)]
#[path = "support/surroundings.rs"]
mod surroundings;

use std::path::Path;
use std::time::SystemTime;

use serde_json::{Value, json};
use side::{Side, Wanted, both};
use support::{Bed, Run, licence};
use surroundings::{Untouched, objects};

fn init(bed: &Bed, answers: &Path) -> Run {
    bed.rcfed(&["init", "--answers", answers.to_str().unwrap(), "--yes", "--no-input"])
}

/// A licence that cannot be one is refused while the machine is as it was.
#[test]
fn a_licence_that_is_none_is_refused_before_anything_starts() {
    let Some(bed) = Bed::up() else { return };
    let answers = bed.answers("native", "");
    let file = bed.licence(&[]);
    let untouched = Untouched::of(&bed);
    let refused = |wanted: &str| {
        let run = init(&bed, &answers);
        assert_eq!(run.code, Some(2), "{run:?}");
        assert!(run.stderr.contains(wanted) && run.stderr.contains("hint: "), "{wanted}: {}", run.stderr);
        untouched.still(&bed);
    };
    for (text, wanted) in [
        (licence(&["auditing"]), "does not include federation; it has only auditing"),
        ("bed-registration-token".into(), "holds no Rocket.Chat licence"),
        (String::new(), "is an empty file"),
    ] {
        std::fs::write(&file, text).unwrap();
        refused(wanted);
    }
    std::fs::remove_file(&file).unwrap();
    refused("there is no licence at");
}

/// Every way in which the names may stand, each twice: the second run finds nothing to do.
#[test]
#[ignore = "minutes long; `make test-all` runs it"]
fn a_deployment_under_every_kind_of_names() {
    let Some(bed) = Bed::up() else { return };
    let before = objects(&bed);
    for more in ["", "chat_domain = \"fed.test\"", "matrix_domain = \"matrix.fed.test\"\napex = \"elsewhere\""] {
        println!("— {more}");
        let elsewhere = more.contains("elsewhere");
        if elsewhere {
            site::in_dns(&bed, "fed.test");
        }
        let run = init(&bed, &bed.answers("native", more)).well();
        let _site = elsewhere.then(|| {
            assert!(run.stdout.contains("Federation     pending"), "{}", run.stdout);
            let site = site::serve(&bed, "fed.test", &run.stdout);
            let again = bed.rcfed(&["apply"]).well();
            assert!(again.stdout.contains("Federation     valid"), "{}", again.stdout);
            site
        });
        if !elsewhere {
            assert!(run.stdout.contains("Federation     valid"), "{}", run.stdout);
        }
        let bundle = bed.value("SSL_CERT_FILE");
        let keys = bed.inet(&[
            "curl",
            "-sS",
            "--cacert",
            &bundle,
            &format!("https://{}/_matrix/key/v2/server", delegate(more)),
        ]);
        let keys: Value = serde_json::from_str(&keys.well().stdout).unwrap();
        assert_eq!(keys["server_name"], "fed.test", "{keys}");
        bed.is_well();
        let containers = ids(&bed);
        let again = bed.rcfed(&["apply"]).well();
        assert!(again.stderr.contains("nothing was changed"), "{}", again.stderr);
        assert_eq!(ids(&bed), containers);
        bed.rcfed(&["uninstall", "--purge", "--confirm", "fed.test", "--yes"]).well();
        bed.bed(&["dns", "reset"]);
        for directory in ["etc/rcfed", "var/lib/rcfed"] {
            let left = bed.root().join(directory);
            assert!(!left.exists(), "{}", bed.run(&["find", left.to_str().unwrap()]));
        }
        assert_eq!(objects(&bed), before);
    }
}

/// What only Rocket.Chat can read in a licence is read back from it, told with what to do, and mended by just that.
#[test]
#[ignore = "minutes long; `make test-all` runs it"]
fn a_licence_that_only_rocketchat_can_read() {
    let Some(bed) = Bed::up() else { return };
    let answers = bed.answers("native", "");
    let file = bed.licence(&[]);
    std::fs::write(&file, support::sealed_licence(&["auditing"])).unwrap();
    let run = init(&bed, &answers);
    assert_eq!(run.code, Some(1), "{run:?}");
    let told = format!("from `{}`, does not include federation: it has only auditing", file.display());
    assert!(run.stderr.contains(&told) && run.stderr.contains("run `sudo rcfed apply`"), "{}", run.stderr);
    let report = bed.doctor();
    assert_eq!(report["first_cause"], "rocketchat.license", "{report:#}");
    // Rocket.Chat keeps the one it has, whatever its environment says: a better one has to be handed to it.
    std::fs::write(&file, support::sealed_licence(&["auditing", "federation"])).unwrap();
    let run = bed.rcfed(&["apply"]).well();
    assert!(run.stdout.contains("Federation     valid"), "{}", run.stdout);
    bed.is_well();
}

/// Two of them, found by their well-known documents, signed with keys that are fetched over TLS: an invite, a join, a
/// message each way, and a leave, in both directions.
#[test]
#[ignore = "minutes long; `make test-all` runs it"]
fn two_of_them_federate() {
    let Some(bed) = Bed::up_two() else { return };
    let [here, there] = both(&bed, [Wanted::new("fed.test", "native"), Wanted::new("other.test", "native")]);
    conversation(&here, &there);
    conversation(&there, &here);
    assert!(here.counted("native") > 0 && there.counted("native") > 0);
}

fn conversation(from: &Side, to: &Side) {
    println!("— {} starts a conversation with {}", from.ada(), to.ada());
    let start = SystemTime::now();
    let room = from.chat("POST", "im.create", &json!({ "username": to.ada() }))["room"].take();
    let (inner, outer) = (room["_id"].as_str().unwrap(), room["external"].as_str().unwrap());
    let invite = [("/content/membership", "invite"), ("/state_key", &to.ada()), ("/room_id", outer)];
    let invite = to.arrives("an invite", start, &invite);
    for side in [from, to] {
        assert!(invite["signatures"][side.domain].is_object(), "not signed by {}: {invite:#}", side.domain);
    }
    let theirs = to.room(outer);
    let start = SystemTime::now();
    to.chat("POST", "rooms.invite", &json!({ "roomId": theirs, "action": "accept" }));
    let join = [("/content/membership", "join"), ("/state_key", &to.ada()), ("/room_id", outer)];
    from.arrives("the join", start, &join);
    let start = SystemTime::now();
    from.say(inner, "Are you there?");
    to.arrives("a message", start, &[("/content/body", "Are you there?"), ("/room_id", outer)]);
    let start = SystemTime::now();
    to.say(&theirs, "I am.");
    from.arrives("the reply", start, &[("/content/body", "I am."), ("/room_id", outer)]);
    for (side, room) in [(from, inner), (to, theirs.as_str())] {
        assert_eq!(side.texts(room), ["Are you there?", "I am."], "at {}", side.domain);
    }
    let start = SystemTime::now();
    to.chat("POST", "rooms.leave", &json!({ "roomId": theirs }));
    let leave = [("/content/membership", "leave"), ("/state_key", &to.ada()), ("/room_id", outer)];
    from.arrives("the leave", start, &leave);
}

/// The host that others connect to.
fn delegate(more: &str) -> &'static str {
    if more.contains("elsewhere") { "matrix.fed.test" } else { "fed.test" }
}

fn ids(bed: &Bed) -> String {
    bed.run(&["docker", "ps", "-q", "--no-trunc"])
}
