//! A Rocket.Chat that somebody else runs, started as they would: rcfed takes it as it is, and gives it back as it was.

mod codes;
mod disk;
#[allow(dead_code)]
#[path = "../support/front.rs"]
mod front;
#[path = "../support/full.rs"]
mod full;
mod guide;
#[allow(dead_code)]
#[path = "../support/held.rs"]
mod held;
mod open;
#[path = "../support/screen.rs"]
mod screen;
#[path = "../support/site.rs"]
mod site;
#[path = "../support/mod.rs"]
mod support;
#[allow(dead_code)]
#[path = "../support/surroundings.rs"]
mod surroundings;
mod theirs;

use std::collections::BTreeMap;

use serde_json::json;
use support::Bed;
use theirs::{PASSWORD, PRIVATE, Theirs};

const FEDERATION: &str = "Federation_Matrix_";

#[test]
fn a_container_is_taken_as_it_is_and_given_back_as_it_was() {
    let Some(bed) = Bed::up() else { return };
    let theirs = Theirs::start(&bed, &[]);
    let before = theirs.settings();
    let started = theirs.started();
    let computed = theirs.setting("as_token");

    let answers = theirs.answers("dendrite", "container = \"chat_rocketchat_1\"");
    let init = bed.rcfed(&["init", "--answers", &answers, "--yes", "--no-input"]).well();
    assert!(init.stdout.contains("Federation     valid"), "{}", init.stdout);
    assert!(!init.stderr.contains("start rcfed-rocketchat"), "{}", init.stderr);
    let (status, body) = bed.https("https://chat.fed.test/api/info", &[]);
    assert_eq!(status, 200, "{body}");
    assert_eq!(theirs.started(), started);
    let after = theirs.settings();
    for (id, value) in [
        ("enabled", json!(true)),
        ("homeserver_domain", json!("fed.test")),
        ("homeserver_url", json!("http://rcfed-gateway:8008")),
        ("bridge_url", json!("http://rocketchat:3300")),
        ("serve_well_known", json!(false)),
        ("configuration_status", json!("Valid")),
    ] {
        assert_eq!(after[id], value, "{id}");
    }
    assert_ne!(after["as_token"], computed);
    assert!(!after["as_token"].as_str().unwrap().is_empty() && after["id"] == before["id"]);
    let doctor = bed.rcfed(&["doctor"]);
    assert!(doctor.ok && !doctor.stdout.contains("rcfed did not make it"), "{}\n{}", doctor.stdout, doctor.stderr);
    let receipt = std::fs::read_to_string(bed.root().join("var/lib/rcfed/receipt.jsonl")).unwrap();
    for id in ["as_token", "hs_token"] {
        for token in [&before[id], &after[id]] {
            assert!(!receipt.contains(token.as_str().unwrap()), "{id} is in the receipt");
        }
    }
    let again = bed.rcfed(&["apply"]).well();
    assert!(again.stderr.contains("nothing was changed"), "{}", again.stderr);

    let uninstall = bed.rcfed(&["uninstall", "--yes"]).well();
    assert!(uninstall.stderr.contains("chat_rocketchat_1"), "{}", uninstall.stderr);
    assert_eq!(theirs.started(), started);
    assert_eq!(without_status(theirs.settings()), without_status(before));
    assert_eq!(theirs.networks(), ["chat_internal"]);
    assert_eq!(theirs.tokens(), 0);
    let left = bed.run(&["docker", "ps", "-aq", "--filter", "label=io.rcfed.service"]);
    assert!(left.is_empty(), "{left}");
}

/// All before anything is touched.
#[test]
fn what_cannot_be_taken_is_refused() {
    if !all() {
        return;
    }
    let Some(bed) = Bed::up() else { return };
    let refused = |theirs: &Theirs, line: &str, said: &str| {
        let answers = theirs.answers("dendrite", line);
        let init = bed.rcfed(&["init", "--answers", &answers, "--yes", "--no-input"]);
        assert_eq!(init.code, Some(1), "{}", init.stderr);
        assert!(init.stderr.contains(said) && init.stderr.contains("Nothing has been changed"), "{}", init.stderr);
        let left = ["etc/rcfed", "var/lib/rcfed"].map(|path| bed.root().join(path).exists());
        assert_eq!(left, [false, false], "something was written");
    };
    let named = "container = \"chat_rocketchat_1\"";
    let theirs = Theirs::start(&bed, &["OVERWRITE_SETTING_Federation_Matrix_homeserver_url=http://dendrite:8008"]);
    let before = theirs.settings();
    refused(&theirs, "container = \"nobody\"", "there is no container `nobody`");
    refused(&theirs, named, "OVERWRITE_SETTING_Federation_Matrix_homeserver_url=http://rcfed-gateway:8008");
    theirs.write_password("wrong");
    refused(&theirs, named, "does not let `ada` log in");
    theirs.write_password(PASSWORD);
    theirs.set("homeserver_domain", json!("fed.test"));
    theirs.set("enabled", json!(true));
    refused(&theirs, named, "federates as `fed.test` already");
    theirs.set("homeserver_domain", json!("old.test"));
    refused(&theirs, named, "federates as `old.test` already");
    theirs.set("enabled", before["enabled"].clone());
    theirs.again(&["STANDIN_VERSION=7.11.0"]);
    refused(&theirs, named, "only 4.7 to 7.10 have the bridge");
    assert_eq!(theirs.tokens(), 0);
    theirs.stop();
    refused(&theirs, named, "does not run");
}

/// The guide of 2022: docker compose, nginx and certbot on the machine itself.
#[test]
fn a_machine_set_up_by_the_old_guide_is_recognised() {
    let Some(bed) = Bed::up() else { return };
    let theirs = Theirs::start(&bed, &[]);
    theirs.homeserver();
    let root = bed.root();
    let site = root.join("etc/nginx/sites-enabled/matrix");
    for directory in ["etc/nginx/sites-enabled", "etc/letsencrypt/live/fed.test"] {
        std::fs::create_dir_all(root.join(directory)).unwrap();
    }
    std::fs::write(&site, "server {\n  listen 80;\n  server_name matrix.fed.test chat.fed.test fed.test;\n}\n")
        .unwrap();
    let answers = bed.answers("dendrite", "proxy = \"host\"");
    let init = bed.rcfed(&["init", "--answers", answers.to_str().unwrap(), "--yes", "--no-input"]);
    assert_eq!(init.code, Some(1), "{}", init.stderr);
    for said in [
        "runs here already, in the container `chat_rocketchat_1` for https://chat.fed.test",
        "--rocketchat-container chat_rocketchat_1",
        "runs here already, in the container `chat_dendrite_1`; its rooms and keys cannot be taken over",
        "--rocketchat-replace-homeserver",
        "has a site for chat.fed.test, fed.test, matrix.fed.test already",
        "etc/nginx/matrix.before-rcfed && nginx -t && systemctl reload nginx",
        "certbot delete --cert-name fed.test",
    ] {
        assert!(init.stderr.contains(said), "{said}\n{}", init.stderr);
    }
    assert!(!root.join("etc/rcfed").exists() && site.exists());
}

#[test]
fn versions_and_what_happens_to_its_container() {
    if !all() {
        return;
    }
    let Some(bed) = Bed::up() else { return };
    // Without a check of its own, and with a token that its owner made.
    let token = "a-token-of-their-own-0123456789abcdef";
    let theirs = Theirs::start(&bed, &["STANDIN_VERSION=6.11.3"]);
    theirs.set("as_token", json!(token));
    let answers = theirs.answers("synapse", "container = \"chat_rocketchat_1\"");
    bed.rcfed(&["init", "--answers", &answers, "--yes", "--no-input"]).well();
    assert_eq!(theirs.setting("as_token"), token);
    bed.rcfed(&["doctor"]).well();
    let started = theirs.started();
    rotated(&bed, &theirs);
    assert_eq!(theirs.started(), started, "it was restarted");
    // Made anew by its owner it has lost the connection.
    theirs.again(&["STANDIN_VERSION=7.10.15"]);
    let doctor = bed.rcfed(&["doctor"]);
    assert!(doctor.stdout.contains("is not on the network `rcfed`"), "{}", doctor.stdout);
    let apply = bed.rcfed(&["apply"]).well();
    assert!(apply.stdout.contains("Federation     valid"), "{}", apply.stdout);
    bed.rcfed(&["doctor"]).well();
    // Somebody writes another value.
    theirs.set("homeserver_url", json!("http://localhost:8008"));
    let doctor = bed.rcfed(&["doctor"]);
    assert!(doctor.stdout.contains("Federation_Matrix_homeserver_url"), "{}", doctor.stdout);
    bed.rcfed(&["apply"]).well();
    bed.rcfed(&["doctor"]).well();
    // One that stands still is waited for, and one that is gone is not.
    theirs.stop();
    let refused = bed.rcfed(&["uninstall", "--yes"]);
    assert!(refused.stderr.contains("docker start chat_rocketchat_1"), "{}", refused.stderr);
    bed.run(&["docker", "rm", "-f", "chat_rocketchat_1"]);
    bed.rcfed(&["uninstall", "--purge", "--yes", "--confirm", "fed.test"]);
}

#[test]
fn one_on_another_machine_is_taken_by_its_address() {
    if !all() {
        return;
    }
    let Some(bed) = Bed::up_two() else { return };
    for profile in ["dendrite", "synapse"] {
        bed.bed(&["clean"]);
        let theirs = Theirs::on_second(&bed);
        let (before, started) = (theirs.settings(), theirs.started());
        // The bridge listens beside it.
        let answers = theirs.answers(profile, &format!("url = \"http://{PRIVATE}:3000\""));
        let init = bed.rcfed(&["init", "--answers", &answers, "--yes", "--no-input"]).well();
        assert!(init.stdout.contains("Federation     valid"), "{}", init.stdout);
        assert_eq!(bed.https("https://chat.fed.test/api/info", &[]).0, 200);
        assert_eq!(theirs.setting("homeserver_url"), "https://matrix.fed.test");
        let doctor = bed.rcfed(&["doctor"]);
        assert!(doctor.ok, "{}\n{}", doctor.stdout, doctor.stderr);
        assert!(bed.rcfed(&["apply"]).well().stderr.contains("nothing was changed"));
        rotated(&bed, &theirs);
        bed.rcfed(&["uninstall", "--yes"]).well();
        assert_eq!(without_status(theirs.settings()), without_status(before));
        assert_eq!(theirs.started(), started);
    }
}

/// New tokens reach a Rocket.Chat that is not rcfed's over its REST interface, and its bridge refuses the old ones.
fn rotated(bed: &Bed, theirs: &Theirs) {
    let tokens = || ["as_token", "hs_token"].map(|id| theirs.setting(id));
    let before = tokens();
    let run = bed.rcfed(&["tokens", "rotate"]).well();
    assert!(run.stdout.contains("and the bridge (40"), "{}", run.stdout);
    for (old, new) in before.iter().zip(tokens()) {
        assert_ne!(*old, new);
    }
    bed.rcfed(&["doctor"]).well();
}

/// Rocket.Chat's own verdict, and the file that it makes from the others, are not rcfed's to put back.
fn without_status(mut settings: BTreeMap<String, serde_json::Value>) -> BTreeMap<String, serde_json::Value> {
    settings.remove("configuration_status");
    settings
}

fn all() -> bool {
    std::env::var_os("RCFED_TEST_ALL").is_some()
}
