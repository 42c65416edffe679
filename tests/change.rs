//! A deployment that runs is changed: exactly what has to restart does, what fails goes back or stops with the way back
//! said, and what somebody changed by hand is found and mended.

mod support;
#[path = "support/variants.rs"]
mod variants;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use support::{Bed, Run};
use variants::{broken, variant};

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

#[test]
#[ignore = "minutes long; `make test-all` runs it"]
fn a_rocketchat_that_fails_stops_and_its_data_come_back() {
    let Some(bed) = deployed() else { return };
    variant(&bed, ROCKETCHAT, "7.10.15", "7.10.17", &broken("/usr/local/bin/node"));
    append(&bed, &format!("[images]\nrocketchat = \"{ROCKETCHAT}:7.10.17\"\n"));
    let before = containers(&bed);
    let apply = bed.rcfed(&["apply"]);
    assert_eq!(apply.code, Some(1), "{}", apply.stderr);
    let dump = dumps(&bed, "rocketchat").pop().unwrap();
    assert_eq!(others(&containers(&bed), "rcfed-rocketchat"), others(&before, "rcfed-rocketchat"));
    let state = bed.run(&["docker", "inspect", "-f", "{{.State.Status}}", "rcfed-rocketchat"]);
    assert_eq!(state.trim(), "exited", "it may not be started again and again on data it may have changed");
    let commands = commands(&apply);
    insta::assert_snapshot!(sentence(&apply).replace(&name(&dump), "DUMP"));

    // Trying again makes no further dump: the one from before the first try counts.
    let again = bed.rcfed(&["apply"]);
    assert_eq!(again.code, Some(1), "{}", again.stderr);
    assert!(again.stderr.contains(&name(&dump)), "{}", again.stderr);
    assert_eq!(dumps(&bed, "rocketchat"), std::slice::from_ref(&dump));

    // What the failed version did to the data: here, everybody is gone. The printed commands bring them back.
    let password = std::fs::read_to_string(bed.root().join("var/lib/rcfed/secrets/admin_password")).unwrap();
    let nobody = bed.root().join("var/lib/rcfed/dumps/nobody");
    let archive = "{\"archive\":\"standin\"}\n{\"db\":\"rocketchat\",\"collection\":\"users\",\"documents\":[]}\n";
    std::fs::write(&nobody, archive).unwrap();
    let restore = commands.iter().find(|command| command.contains("mongorestore")).unwrap();
    run_commands(&bed, &[restore.replace(&name(&dump), "nobody")]);
    std::fs::remove_file(nobody).unwrap();
    edit(&bed, ":7.10.17", ":7.10.15");
    run_commands(&bed, &commands);
    let body = format!("{{\"user\":\"ada\",\"password\":\"{}\"}}", password.trim());
    let login = ["-H", "Content-Type: application/json", "-d", &body];
    assert_eq!(bed.https("https://chat.fed.test/api/v1/login", &login).0, 200);
    assert_eq!(others(&containers(&bed), "rcfed-rocketchat"), others(&before, "rcfed-rocketchat"));
    assert_eq!(diff(&bed), "Everything is as wanted.");
}

#[test]
#[ignore = "minutes long; `make test-all` runs it"]
fn a_homeserver_that_fails_stops_and_its_data_come_back() {
    let Some(bed) = deployed() else { return };
    variant(&bed, DENDRITE, "v0.15.2", "v0.15.3", &broken("/usr/bin/dendrite"));
    append(&bed, &format!("[images]\nhomeserver = \"{DENDRITE}:v0.15.3\"\n"));
    let psql = |query: &str| {
        let words = ["docker", "exec", "rcfed-postgres", "psql", "-U", "postgres", "-d", "homeserver", "-tAc", query];
        bed.run(&words).trim().to_string()
    };
    psql("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7); ALTER TABLE kept OWNER TO homeserver");
    let apply = bed.rcfed(&["apply"]);
    assert_eq!(apply.code, Some(1), "{}", apply.stderr);
    let dump = dumps(&bed, "homeserver").pop().unwrap();
    insta::assert_snapshot!(sentence(&apply).replace(&name(&dump), "DUMP"));
    psql("DROP TABLE kept");
    edit(&bed, ":v0.15.3", ":v0.15.2");
    run_commands(&bed, &commands(&apply));
    assert_eq!(psql("SELECT n FROM kept"), "7");
    let about = "SELECT datcollate || ' ' || pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'homeserver'";
    assert_eq!(psql(about), "C homeserver");
    assert_eq!(diff(&bed), "Everything is as wanted.");
}

/// The same for a database server of the same major version, whose dump it makes itself before it is replaced.
#[test]
#[ignore = "minutes long; `make test-all` runs it"]
fn a_database_server_that_fails_stops_and_its_data_come_back() {
    let Some(bed) = deployed() else { return };
    let mut told = Vec::new();
    for (service, repository, old, new, program) in [
        ("postgres", POSTGRES, "17", "17.99", "$(command -v postgres)"),
        ("mongodb", MONGO, "7.0", "7.0.99", "$(command -v mongod)"),
    ] {
        variant(&bed, repository, old, new, &broken(program));
        append(&bed, &format!("[images]\n{service} = \"{repository}:{new}\"\n"));
        let before = containers(&bed);
        let apply = bed.rcfed(&["apply"]);
        assert_eq!(apply.code, Some(1), "{}", apply.stderr);
        let dump = dumps(&bed, service).pop().unwrap();
        told.push(sentence(&apply).replace(&name(&dump), "DUMP"));
        let container = format!("rcfed-{service}");
        assert_eq!(others(&containers(&bed), &container), others(&before, &container));
        edit(&bed, &format!(":{new}"), &format!(":{old}"));
        run_commands(&bed, &commands(&apply));
        assert_eq!(diff(&bed), "Everything is as wanted.");
        bed.rcfed(&["apply"]).well();
        let doctor = bed.rcfed(&["doctor"]);
        assert!(doctor.ok, "{}", doctor.stdout);
        let kept = std::fs::read_to_string(config(&bed)).unwrap();
        std::fs::write(config(&bed), kept.split("[images]").next().unwrap()).unwrap();
        bed.rcfed(&["apply"]).well();
    }
    insta::assert_snapshot!(told.join("\n\n"));
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

// ── what the tests share ────────────────────────────────────────────────────────────────────────────────────────────

fn deployed() -> Option<Bed> {
    let bed = Bed::up()?;
    let answers = bed.answers("dendrite", "");
    bed.rcfed(&["init", "--answers", answers.to_str().unwrap(), "--yes", "--no-input"]).well();
    Some(bed)
}

fn config(bed: &Bed) -> PathBuf {
    bed.root().join("etc/rcfed/config.toml")
}

fn edit(bed: &Bed, old: &str, new: &str) {
    let text = std::fs::read_to_string(config(bed)).unwrap();
    assert!(text.contains(old), "{old} is not in\n{text}");
    std::fs::write(config(bed), text.replace(old, new)).unwrap();
}

fn append(bed: &Bed, more: &str) {
    let text = std::fs::read_to_string(config(bed)).unwrap();
    std::fs::write(config(bed), format!("{text}\n{more}")).unwrap();
}

/// What `plan --diff` says, without the lines of files.
fn diff(bed: &Bed) -> String {
    let text = bed.rcfed(&["plan", "--diff"]).well().stdout;
    let text = text.split("\n--- ").next().unwrap_or_default().trim_end().to_string();
    text.replace(&*bed.root().to_string_lossy(), "")
}

fn gateway_files(bed: &Bed) -> Vec<String> {
    let directory = bed.root().join("var/lib/rcfed/services/gateway");
    ["http.conf", "tls.d/site.conf"].map(|name| std::fs::read_to_string(directory.join(name)).unwrap()).into()
}

fn recreated_by_apply(bed: &Bed) -> Vec<String> {
    let before = containers(bed);
    bed.rcfed(&["apply"]).well();
    changed(&before, &containers(bed))
}

fn changed(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    let names = after.iter().filter(|(name, id)| before.get(*name) != Some(id)).map(|(name, _)| name.clone());
    let gone = before.keys().filter(|name| !after.contains_key(*name)).cloned();
    names.chain(gone).collect()
}

/// Id and start time of every container, by name.
fn containers(bed: &Bed) -> BTreeMap<String, String> {
    let list = bed.run(&["sh", "-c", "docker inspect -f '{{.Name}} {{.Id}} {{.State.StartedAt}}' $(docker ps -aq)"]);
    let pair = |line: &str| line.trim_start_matches('/').split_once(' ').map(|(n, id)| (n.to_string(), id.to_string()));
    list.lines().filter_map(pair).collect()
}

fn ids(containers: &BTreeMap<String, String>) -> Vec<(&str, &str)> {
    containers.iter().map(|(name, id)| (name.as_str(), id.split(' ').next().unwrap_or_default())).collect()
}

fn others<'a>(containers: &'a BTreeMap<String, String>, name: &str) -> Vec<(&'a String, &'a String)> {
    containers.iter().filter(|(other, _)| *other != name).collect()
}

fn dumps(bed: &Bed, service: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(bed.root().join("var/lib/rcfed/dumps")).into_iter().flatten();
    let mut all: Vec<PathBuf> =
        entries.map(|entry| entry.unwrap().path()).filter(|p| name(p).starts_with(service)).collect();
    all.sort();
    for dump in &all {
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(dump).unwrap().permissions());
        assert_eq!(mode & 0o7777, 0o600, "{}", dump.display());
    }
    all
}

fn name(path: &std::path::Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

fn status(bed: &Bed) -> Value {
    serde_json::from_str(&bed.rcfed(&["status", "--json"]).well().stdout).unwrap()
}

/// From `error:` on.
fn sentence(run: &Run) -> String {
    let text = run.stderr.split_once("error: ").map_or(run.stderr.as_str(), |(_, text)| text);
    // How often it was restarted while we looked is chance.
    let line = |line: &str| {
        if line.contains(" restarts)") { line.split(" (").next().unwrap_or(line).into() } else { line.to_string() }
    };
    let mut lines: Vec<String> = text.lines().map(line).collect();
    lines.dedup();
    lines.join("\n")
}

/// The commands of a hint, one an indented line.
fn commands(run: &Run) -> Vec<String> {
    let lines = run.stderr.lines().map(str::trim_start).filter(|line| line.starts_with("sudo "));
    let commands: Vec<String> = lines.map(String::from).collect();
    assert!(!commands.is_empty(), "{}", run.stderr);
    commands
}

/// Runs printed commands as they are, but for `sudo`, the program's path and the root directory of the test.
fn run_commands(bed: &Bed, commands: &[String]) {
    let root = bed.root();
    for command in commands {
        let command = command
            .replace("sudo rcfed ", &format!("{} ", env!("CARGO_BIN_EXE_rcfed")))
            .replace("sudo ", "")
            .replace("/var/lib/rcfed/", &format!("{}/var/lib/rcfed/", root.display()));
        bed.run(&["sh", "-c", &command]);
    }
}

/// A command that makes a container anew with all its labels and one more variable.
fn remade_with_our_labels(bed: &Bed, name: &str) -> String {
    let labels =
        bed.run(&["docker", "inspect", "-f", "{{range $k, $v := .Config.Labels}}-l {{$k}}={{$v}} {{end}}", name]);
    let image = bed.run(&["docker", "inspect", "-f", "{{.Image}}", name]);
    let mounted = bed.root().join("var/lib/rcfed/services/relay");
    format!(
        "docker rm -f {name} && docker run -d --name {name} {} -e MINE=1 --network rcfed --network-alias relay \
         --entrypoint /rcfed -v {}:/run/rcfed:ro {} relay --config /run/rcfed/relay.toml",
        labels.trim(),
        mounted.display(),
        image.trim()
    )
}

/// Asks a URL from outside again and again, and counts.
struct Poll(Child);

impl Poll {
    fn start(bed: &Bed, url: &str) -> Self {
        let script = format!(
            "for i in $(seq 600); do curl -s -o /dev/null --max-time 1 --cacert {} {url} && echo yes || date +%s.%N; \
             sleep 0.05; done",
            bed.value("SSL_CERT_FILE")
        );
        let bed_script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bed/bed");
        let mut command = Command::new(bed_script);
        command.args(["inet", "sh", "-c", &script]).stdin(Stdio::null()).stdout(Stdio::piped());
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        Self(command.spawn().unwrap())
    }

    /// How often it answered, how often it did not, and the seconds between the first and the last failure.
    fn stop(mut self) -> (usize, usize, f64) {
        let group = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process_group(group, rustix::process::Signal::TERM).unwrap();
        let mut text = String::new();
        std::io::Read::read_to_string(self.0.stdout.as_mut().unwrap(), &mut text).unwrap();
        self.0.wait().unwrap();
        let failures: Vec<f64> = text.lines().filter_map(|line| line.parse().ok()).collect();
        let seconds = failures.last().zip(failures.first()).map_or(0.0, |(last, first)| last - first);
        (text.lines().filter(|line| *line == "yes").count(), failures.len(), seconds)
    }
}
