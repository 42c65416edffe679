//! A machine that was set up by the guide of 2022, taken over as `rcfed init` and docs/adoption.md say, by runs that are killed
//! at everything that is done to what is not rcfed's: nothing is lost, and everything is given back.

use serde_json::json;

use crate::front::{Front, Kind};
use crate::support::{Bed, Run};
use crate::theirs::Theirs;
use crate::without_status;

/// Where something of somebody else's is changed, in the order of the plan.
const POINTS: [&str; 12] = [
    "before:connection",
    "connected:chat_rocketchat_1",
    "after:connection",
    "before:site:http",
    "rename:ROOT/etc/nginx/conf.d/rcfed-http.conf",
    "after:site:http",
    "ordered",
    "before:site:https",
    "rename:ROOT/etc/nginx/conf.d/rcfed-https.conf",
    "after:site:https",
    "before:settings",
    "after:settings",
];

#[test]
#[ignore = "minutes long; `make test-all` runs it"]
fn a_machine_of_the_guide_is_taken_over_and_given_back_wherever_a_run_is_killed() {
    let Some(bed) = Bed::up() else { return };
    let names = ["fed.test", "chat.fed.test", "matrix.fed.test"];
    let front = Front::before(&bed, Kind::Host, &names, "dendrite", "").unwrap();
    let theirs = Theirs::start(&bed, &[]);
    theirs.homeserver();
    theirs.set("homeserver_domain", json!("fed.test"));
    theirs.set("homeserver_url", json!("http://dendrite:8008"));
    theirs.set("enabled", json!(true));
    let (before, started) = (theirs.settings(), theirs.started());
    let site = bed.root().join("etc/nginx/conf.d/matrix.conf");
    std::fs::write(&site, "server {\n  listen 80;\n  server_name matrix.fed.test chat.fed.test fed.test;\n}\n")
        .unwrap();
    reload(&bed);

    let answers = theirs.answers("dendrite", "container = \"chat_rocketchat_1\"\nreplace_homeserver = true");
    let text = std::fs::read_to_string(&answers).unwrap();
    std::fs::write(&answers, format!("proxy = \"host\"\n{text}")).unwrap();
    let init = |fault: &str| {
        let words = ["init", "--answers", &answers, "--yes", "--no-input"];
        bed.rcfed_with(&words, &[("RCFED_FAULT", fault), ("RCFED_FAULT_ORDER", "plan")])
    };
    let refused = init("");
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    let aside = format!("{}/etc/nginx/matrix.conf.before-rcfed", bed.root().display());
    assert!(refused.stderr.contains("etc/nginx/matrix.conf.before-rcfed"), "{}", refused.stderr);
    std::fs::rename(&site, &aside).unwrap();
    reload(&bed);

    for point in POINTS {
        let name = point.replace("ROOT", bed.root().to_str().unwrap());
        let run = if bed.root().join("etc/rcfed/config.toml").exists() {
            bed.rcfed_with(&["apply"], &[("RCFED_FAULT", &name), ("RCFED_FAULT_ORDER", "plan")])
        } else {
            init(&name)
        };
        assert!(killed(&run), "{name}: {:?}\n{}", run.code, run.stderr);
        front.is_undisturbed();
    }
    let run = bed.rcfed(&["apply"]).well();
    assert!(run.stdout.contains("Federation     valid"), "{}", run.stdout);
    bed.is_well();
    assert_eq!(bed.https("https://chat.fed.test/api/info", &[]).0, 200);
    assert_eq!(bed.https("https://matrix.fed.test/_matrix/federation/v1/version", &[]).0, 200);
    assert_eq!(theirs.started(), started);
    assert!(bed.rcfed(&["apply"]).well().stderr.contains("nothing was changed"));

    let mut undone = 0;
    let last = loop {
        let point = if undone == 1 { "disconnected:chat_rocketchat_1" } else { "undo" };
        let run = bed.rcfed_with(&["uninstall", "--yes"], &[("RCFED_FAULT", point)]);
        if !killed(&run) {
            break run;
        }
        undone += 1;
        front.is_undisturbed();
        assert!(undone < 100, "it never ends");
    };
    last.well();
    assert!(undone > 10, "{undone}");
    assert_eq!(theirs.started(), started);
    assert_eq!(without_status(theirs.settings()), without_status(before));
    assert_eq!(theirs.networks(), ["chat_internal"]);
    assert_eq!(theirs.tokens(), 0);
    front.has_only_its_own();
    std::fs::rename(&aside, &site).unwrap();
    reload(&bed);
    front.is_undisturbed();
}

fn killed(run: &Run) -> bool {
    run.code == Some(128 + 9) || run.signal == Some(9)
}

fn reload(bed: &Bed) {
    let config = bed.root().join("etc/nginx/nginx.conf");
    bed.run(&["nginx", "-s", "reload", "-c", config.to_str().unwrap()]);
}
