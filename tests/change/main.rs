//! A deployment that runs is changed: exactly what has to restart does, what fails goes back or stops with the way back
//! said, and what somebody changed by hand is found and mended.

mod deployed;
mod failing;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/variants.rs"]
mod variants;

use deployed::*;
use serde_json::Value;
use support::Bed;
use variants::variant;

const NGINX: &str = "docker.io/library/nginx";
const ROCKETCHAT: &str = "registry.rocket.chat/rocketchat/rocket.chat";
const DENDRITE: &str = "ghcr.io/element-hq/dendrite-monolith";
const POSTGRES: &str = "docker.io/library/postgres";
const MONGO: &str = "docker.io/library/mongo";

type Part = fn(&Bed);

#[test]
fn one_deployment_after_one_change_and_the_other() {
    let Some(bed) = deployed() else { return };
    let parts: [(&str, Part); 6] = [
        ("a gateway that fails", a_gateway_that_fails_goes_back_by_itself),
        ("changed by hand", what_was_changed_by_hand_is_found_and_mended),
        ("read changed", files_that_were_read_changed_are_read_again),
        ("data that are gone", data_that_are_gone_are_not_replaced_by_none),
        ("refused", what_cannot_be_changed_is_refused_before_anything_is_touched),
        ("names, memory, tags", names_memory_and_tags_change_only_what_they_must),
    ];
    for (what, part) in parts {
        let started = std::time::Instant::now();
        part(&bed);
        eprintln!("{what}: {:.1} s", started.elapsed().as_secs_f64());
    }
}

fn all() -> bool {
    std::env::var_os("RCFED_TEST_ALL").is_some()
}

fn names_memory_and_tags_change_only_what_they_must(bed: &Bed) {
    let mut told = vec![diff(bed)];
    assert_eq!(told[0], "Everything is as wanted.");
    let json: Value = serde_json::from_str(&bed.rcfed(&["plan", "--diff", "--json"]).well().stdout).unwrap();
    assert_eq!(json["schema_version"], 1);
    assert_eq!(json["changes"]["changes"], serde_json::json!([]));
    // What fails before anything stops leaves everything as it was: a name without DNS, an image that is not there.
    let before = (containers(bed), gateway_files(bed));
    let kept = std::fs::read_to_string(config(bed)).unwrap();
    edit(bed, "chat_domain = \"chat.fed.test\"", "chat_domain = \"nowhere.fed.test\"");
    assert_eq!(bed.rcfed(&["apply"]).code, Some(1));
    assert_eq!((containers(bed), gateway_files(bed)), before);
    edit(bed, "chat_domain = \"nowhere.fed.test\"", "chat_domain = \"chat.fed.test\"");
    append(bed, &format!("[memory]\nrelay = 32\n[images]\nrocketchat = \"{ROCKETCHAT}:7.10.0\"\n"));
    assert_eq!(bed.rcfed(&["apply"]).code, Some(1));
    assert_eq!((containers(bed), gateway_files(bed)), before);
    std::fs::write(config(bed), kept).unwrap();

    // Another chat domain: its certificate first; nginx reloads, Rocket.Chat has another ROOT_URL.
    bed.bed(&["dns", "set", "talk.fed.test", "A", "198.51.100.10"]);
    edit(bed, "chat_domain = \"chat.fed.test\"", "chat_domain = \"talk.fed.test\"");
    told.push(diff(bed));
    assert_eq!(recreated_by_apply(bed), ["rcfed-rocketchat"]);
    assert_eq!(bed.https("https://talk.fed.test/api/info", &[]).0, 200);

    // A limit: only that container, and the engine has it.
    append(bed, "[memory]\nrelay = 64\n");
    told.push(diff(bed));
    assert_eq!(recreated_by_apply(bed), ["rcfed-relay"]);
    assert_eq!(bed.run(&["docker", "inspect", "-f", "{{.HostConfig.Memory}}", "rcfed-relay"]).trim(), "67108864");

    // Another tag of what keeps nothing, and of what keeps data: the latter is dumped before.
    variant(bed, NGINX, "1.28", "1.28-other", "echo other >/etc/other");
    variant(bed, ROCKETCHAT, "7.10.15", "7.10.16", "echo 7.10.16 >/app/bundle/other");
    append(bed, &format!("[images]\ngateway = \"{NGINX}:1.28-other\"\nrocketchat = \"{ROCKETCHAT}:7.10.16\"\n"));
    told.push(diff(bed));
    assert_eq!(recreated_by_apply(bed), ["rcfed-gateway", "rcfed-rocketchat"]);
    let dumps = dumps(bed, "rocketchat");
    assert_eq!(dumps.len(), 1, "{dumps:?}");
    assert_eq!(diff(bed), "Everything is as wanted.");
    insta::assert_snapshot!(told.join("\n\n────\n\n"));
}

fn a_gateway_that_fails_goes_back_by_itself(bed: &Bed) {
    let kept = std::fs::read_to_string(config(bed)).unwrap();
    let nginx = "mv /usr/sbin/nginx /usr/sbin/nginx.real; printf '#!/bin/sh\\ncase \" $* \" in *\" -t \"*) exec nginx.real \
                 \"$@\";; esac\\necho broken on purpose >&2\\nexit 3\\n' >/usr/sbin/nginx; chmod 755 /usr/sbin/nginx";
    variant(bed, NGINX, "1.28", "1.28-broken", nginx);
    let before = containers(bed);
    append(bed, &format!("[images]\ngateway = \"{NGINX}:1.28-broken\"\n"));
    let poll = Poll::start(bed, "https://chat.fed.test/api/info");
    let apply = bed.rcfed(&["apply"]);
    let (answered, failed, seconds) = poll.stop();
    assert_eq!(apply.code, Some(1), "{}", apply.stderr);
    assert!(answered > 0 && failed > 0, "answered {answered}, failed {failed}");
    eprintln!(
        "during the failed change: {answered} requests answered, {failed} not, {seconds:.1} s between the outer two"
    );
    // The very container is back, all others were never touched, and the site answers.
    assert_eq!(ids(&containers(bed)), ids(&before));
    assert_eq!(others(&containers(bed), "rcfed-gateway"), others(&before, "rcfed-gateway"));
    assert_eq!(bed.https("https://chat.fed.test/api/info", &[]).0, 200);
    insta::assert_snapshot!(sentence(&apply));

    // Killed between the two renames: the next run finds the old container under its other name.
    edit(bed, ":1.28-broken", ":1.28");
    bed.run(&["docker", "stop", "rcfed-gateway"]);
    bed.run(&["docker", "rename", "rcfed-gateway", "rcfed-gateway-previous"]);
    assert!(diff(bed).contains("a replacement that was interrupted"), "{}", diff(bed));
    bed.rcfed(&["apply"]).well();
    assert_eq!(ids(&containers(bed)), ids(&before));
    assert_eq!(bed.https("https://chat.fed.test/api/info", &[]).0, 200);
    std::fs::write(config(bed), kept).unwrap();
    bed.rcfed(&["apply"]).well();
}

fn what_was_changed_by_hand_is_found_and_mended(bed: &Bed) {
    let state = bed.root().join("var/lib/rcfed");
    let cron = bed.root().join("etc/cron.d/rcfed");
    let relay = state.join("services/relay/relay.toml");
    // What is done, which step shows it, and which containers are made anew.
    type Case<'a> = (&'a str, &'a str, &'a [&'a str]);
    let cases: [Case; 9] = [
        (
            "docker update --memory 300m --memory-swap 600m rcfed-rocketchat",
            "container:rocketchat",
            &["rcfed-rocketchat"],
        ),
        ("docker update --restart no rcfed-relay", "container:relay", &["rcfed-relay"]),
        ("docker network disconnect rcfed rcfed-relay", "container:relay", &["rcfed-relay"]),
        ("docker rm -f rcfed-relay", "container:relay", &["rcfed-relay"]),
        ("docker stop rcfed-homeserver", "container:homeserver", &["rcfed-homeserver"]),
        (&format!("echo '# mine' >>{}", state.join("services/gateway/http.conf").display()), "file:", &[]),
        (&format!("chmod 777 {}", relay.display()), "file:", &[]),
        (&format!("rm {}", cron.display()), "unit:renewal", &[]),
        (&remade_with_our_labels(bed, "rcfed-relay"), "container:relay", &["rcfed-relay"]),
    ];
    let all = all();
    let mut told = Vec::new();
    for (number, (command, step, expected)) in cases.into_iter().enumerate() {
        // A short run takes what differs most from the others.
        if !all && [0, 2, 3, 4, 6].contains(&number) {
            continue;
        }
        let before = containers(bed);
        bed.run(&["sh", "-c", command]);
        let drift = &status(bed)["drift"];
        let drift = drift.as_array().unwrap();
        // The gateway is told to read its files again, since they may have been loaded changed.
        assert_eq!(drift.len(), if command.contains("http.conf") { 2 } else { 1 }, "{command}: {drift:#?}");
        assert!(drift[0]["step"].as_str().unwrap().starts_with(step), "{command}: {drift:#?}");
        assert!(drift.iter().all(|drift| drift["by_hand"] == true), "{command}: {drift:#?}");
        let seen = diff(bed);
        assert!(seen.contains("(changed by hand)"), "{command}: {seen}");
        let apply = bed.rcfed(&["apply"]).well();
        let mended: Vec<&str> = apply.stderr.lines().filter(|line| line.starts_with("Mended ")).collect();
        assert_eq!(mended.len(), drift.len(), "{command}: {}", apply.stderr);
        told.push(format!("{}\n  {}", command.replace(&*bed.root().to_string_lossy(), ""), mended.join("\n  ")));
        assert_eq!(changed(&before, &containers(bed)), expected, "{command}");
        assert_eq!(diff(bed), "Everything is as wanted.", "{command}");
    }
    told.retain(|text| !text.contains("docker run"));
    if all {
        insta::assert_snapshot!(told.join("\n"));
    }
}

/// Whoever read a file that somebody changed goes on with it, also after the file is mended.
fn files_that_were_read_changed_are_read_again(bed: &Bed) {
    let services = bed.root().join("var/lib/rcfed/services");
    let edit = |file: &str| bed.run(&["sh", "-c", &format!("echo '# mine' >>{}", services.join(file).display())]);
    let before = containers(bed);
    // Not read: the container stays.
    edit("relay/relay.toml");
    bed.rcfed(&["apply"]).well();
    assert_eq!(containers(bed), before);
    // Read: it is started again, and it is the same one.
    edit("relay/relay.toml");
    bed.run(&["docker", "restart", "rcfed-relay"]);
    let before = containers(bed);
    let mut told = vec![diff(bed)];
    let apply = bed.rcfed(&["apply"]).well();
    told.extend(apply.stderr.lines().filter(|line| line.starts_with("Mended ")).map(String::from));
    assert_eq!(changed(&before, &containers(bed)), ["rcfed-relay"]);
    assert_eq!(ids(&containers(bed)), ids(&before));
    assert_eq!(diff(bed), "Everything is as wanted.");
    // Killed between the two: the next run knows it too.
    edit("relay/relay.toml");
    bed.run(&["docker", "restart", "rcfed-relay"]);
    let before = containers(bed);
    let point = format!("after:file:{}", "/var/lib/rcfed/services/relay/relay.toml");
    assert_ne!(bed.rcfed_with(&["apply"], &[("RCFED_FAULT", &point)]).code, Some(0));
    assert_eq!(containers(bed), before);
    bed.rcfed(&["apply"]).well();
    assert_eq!(changed(&before, &containers(bed)), ["rcfed-relay"]);
    // The gateway reads its files when it is told to.
    let conf = services.join("gateway/http.conf");
    let text = std::fs::read_to_string(&conf).unwrap();
    bed.run(&["sed", "-i", "s/return 301/return 302/", conf.to_str().unwrap()]);
    bed.run(&["docker", "exec", "rcfed-gateway", "nginx", "-c", "/run/rcfed/nginx.conf", "-s", "reload"]);
    let code = || {
        let words = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "http://chat.fed.test/"];
        bed.inet(&words).stdout
    };
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while code() != "302" {
        assert!(std::time::Instant::now() < deadline, "the gateway does not load what it is told to");
    }
    let before = containers(bed);
    bed.rcfed(&["apply"]).well();
    assert_eq!(std::fs::read_to_string(&conf).unwrap(), text);
    assert_eq!(containers(bed), before);
    assert_eq!(code(), "301");
    insta::assert_snapshot!(told.join("\n\n"));
}

fn data_that_are_gone_are_not_replaced_by_none(bed: &Bed) {
    bed.run(&["docker", "rm", "-f", "rcfed-relay"]);
    bed.run(&["docker", "volume", "rm", "rcfed-relay"]);
    let before = containers(bed);
    let apply = bed.rcfed(&["apply"]);
    assert_eq!(apply.code, Some(1), "{}", apply.stderr);
    assert_eq!(sentence(&bed.rcfed(&["plan", "--diff"])), sentence(&apply));
    assert_eq!(containers(bed), before);
    let volumes = bed.run(&["docker", "volume", "ls", "-q"]);
    assert!(!volumes.lines().any(|name| name == "rcfed-relay"), "{volumes}");
    run_commands(bed, &commands(&apply));
    bed.rcfed(&["apply"]).well();
    assert_eq!(diff(bed), "Everything is as wanted.");
    insta::assert_snapshot!(sentence(&apply));
}

fn what_cannot_be_changed_is_refused_before_anything_is_touched(bed: &Bed) {
    let before = containers(bed);
    let config = config(bed);
    let kept = std::fs::read_to_string(&config).unwrap();
    let mut told = Vec::new();
    for (old, new) in [
        ("federated_domain = \"fed.test\"", "federated_domain = \"other.test\""),
        ("profile = \"dendrite\"", "profile = \"synapse\""),
        ("[admin]", "[images]\npostgres = \"docker.io/library/postgres:18\"\n[admin]"),
        ("[admin]", "[images]\nmongodb = \"docker.io/library/mongo:8.0\"\n[admin]"),
        ("[admin]", "[memory]\nrocketchat = 64\n[admin]"),
    ] {
        edit(bed, old, new);
        for words in [&["apply"][..], &["plan", "--diff"], &["init", "--yes", "--no-input"]] {
            if words[0] != "apply" && !all() {
                continue;
            }
            let run = bed.rcfed(words);
            assert!(matches!(run.code, Some(1 | 2)), "{new} {words:?}: {}{}", run.stdout, run.stderr);
            let text = sentence(&run).replace(&*bed.root().to_string_lossy(), "");
            if told.last() != Some(&format!("{new}\n{text}")) {
                told.push(format!("{new}\n{text}"));
            }
        }
        std::fs::write(&config, &kept).unwrap();
    }
    // A secret that is gone is not made anew; the command that is printed brings it back.
    let secret = bed.root().join("var/lib/rcfed/secrets/mongo_admin");
    let value = std::fs::read(&secret).unwrap();
    std::fs::remove_file(&secret).unwrap();
    let apply = bed.rcfed(&["apply"]);
    assert_eq!(apply.code, Some(1), "{}", apply.stderr);
    told.push(sentence(&apply));
    let hint = apply.stderr.split("run `").nth(1).and_then(|rest| rest.split('`').next()).unwrap();
    run_commands(bed, &[hint.to_string()]);
    assert_eq!(std::fs::read(&secret).unwrap(), value);
    assert_eq!(diff(bed), "Everything is as wanted.");
    assert_eq!(containers(bed), before);
    insta::assert_snapshot!(told.join("\n\n"));
}
