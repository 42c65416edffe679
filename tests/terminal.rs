//! The whole way in a real terminal: a person types the answers, sees the plan, and gets a running server.

#[path = "support/screen.rs"]
mod screen;
mod support;
#[allow(dead_code)]
#[path = "support/surroundings.rs"]
mod surroundings;

use screen::Screen;
use support::Bed;
use surroundings::Untouched;

#[test]
fn typed_answers_become_a_running_server_with_dendrite() {
    typed("dendrite", &["Enter"]);
}

#[test]
#[ignore = "minutes long; `make test-all` runs it"]
fn typed_answers_become_a_running_server_with_synapse() {
    typed("synapse", &["Down", "Enter"]);
}

fn typed(profile: &str, choose: &[&str]) {
    let Some(bed) = Bed::up() else { return };
    let screen = Screen::open(&answers(&bed), "init");
    for (question, keys) in [
        ("Federated domain ›", &["fed.test", "Enter"][..]),
        ("Chat domain (chat.fed.test) ›", &["Enter"]),
        ("Matrix domain (matrix.fed.test) ›", &["Enter"]),
        ("E-mail ›", &["ada@fed.test", "Enter"]),
        ("Profile ›", choose),
        ("Administrator (admin) ›", &["ada", "Enter"]),
        ("Registration token ›", &["typed-token", "Enter"]),
    ] {
        screen.wait_for(question, 20);
        screen.press(keys);
    }
    let plan = screen.wait_for("Go ahead? (y/n) ›", 30);
    assert!(plan.contains("Nothing has been changed yet."), "{plan}");
    assert!(!bed.root().join("etc/rcfed").exists(), "something was written before it was confirmed");
    screen.press(&["y", "Enter"]);
    let end = screen.wait_for("exit 0", 240);
    assert!(end.contains("https://chat.fed.test"), "{end}");
    assert!(end.contains("shown this once"), "{end}");
    assert!(!end.contains("typed-token"), "{end}");
    assert_eq!(bed.https("https://chat.fed.test/api/info", &[]).0, 200);
    let config = std::fs::read_to_string(bed.root().join("etc/rcfed/config.toml")).unwrap();
    assert!(config.contains(&format!("profile = \"{profile}\"")), "{config}");
    drop(screen);
    if profile == "dendrite" {
        a_purge_that_is_not_confirmed_touches_nothing(&bed);
    }
}

fn a_purge_that_is_not_confirmed_touches_nothing(bed: &Bed) {
    const QUESTION: &str = "Type the federated domain to go ahead";
    let before = Untouched::of(bed);
    for (keys, code, said) in [
        (&["fed.tset", "Enter"][..], "exit 2", "`fed.tset` is not the federated domain"),
        (&["C-c"], "exit 130", "Nothing has been removed yet."),
        (&["fed.te", "C-c"], "exit 130", "Nothing has been removed yet."),
    ] {
        let screen = Screen::open(&[], "uninstall --purge");
        let plan = screen.wait_for(QUESTION, 30);
        assert!(plan.contains("All messages, files, accounts and keys go for ever."), "{plan}");
        screen.press(keys);
        let end = screen.wait_for(code, 30);
        assert!(end.contains(said), "{keys:?}: {end}");
        drop(screen);
        before.still(bed);
    }
    let screen = Screen::open(&[], "uninstall --purge");
    screen.wait_for(QUESTION, 30);
    screen.press(&["fed.test", "Enter"]);
    let end = screen.wait_for("exit 0", 120);
    assert!(end.contains("Uninstalled. Nothing of the deployment is left."), "{end}");
    assert!(!bed.root().join("var/lib/rcfed").exists());
}

/// What is not asked, since the bed has its own.
fn answers(bed: &Bed) -> [(&'static str, String); 4] {
    [
        ("RCFED_ACME_DIRECTORY", bed.value("ACME_DIRECTORY")),
        ("RCFED_ACME_STAGING_DIRECTORY", bed.value("ACME_STAGING")),
        ("RCFED_ACME_CA", bed.value("ACME_CA")),
        ("RCFED_ROCKETCHAT_FEDERATION_TESTER", bed.value("FEDERATION_TESTER_HOST")),
    ]
}
