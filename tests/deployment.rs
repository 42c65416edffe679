//! The main job on the bed: a machine with nothing on it becomes a federating server, and stays one.

mod support;

use std::collections::BTreeMap;

use serde_json::Value;
use support::Bed;

#[test]
fn synapse_from_nothing_to_federation() {
    let Some(bed) = Bed::up() else { return };
    whole_life(&bed, "synapse", "Synapse");
}

#[test]
fn dendrite_from_nothing_to_federation() {
    let Some(bed) = Bed::up() else { return };
    whole_life(&bed, "dendrite", "Dendrite");
}

#[test]
fn a_workspace_that_may_not_send_is_a_failure_with_a_remedy() {
    let Some(bed) = Bed::up() else { return };
    let answers = bed.answers("synapse", "");
    let text = std::fs::read_to_string(&answers).unwrap();
    let without = text.lines().filter(|l| !l.starts_with("registration_token_file")).collect::<Vec<_>>().join("\n");
    std::fs::write(&answers, without).unwrap();
    let init = bed.rcfed(&["init", "--answers", answers.to_str().unwrap(), "--yes", "--no-input"]);
    assert_eq!(init.code, Some(1), "{}", init.stderr);
    assert!(init.stderr.contains("read-only") || init.stderr.contains("restricted"), "{}", init.stderr);
    assert!(init.stderr.contains("registration_token_file"), "{}", init.stderr);
    // The remedy works, and touches only what it has to.
    let before = containers(&bed);
    let config = bed.root().join("etc/rcfed/config.toml");
    let token = std::path::Path::new(&bed.value("RCFED_STATE")).join("registration-token");
    let text = std::fs::read_to_string(&config).unwrap();
    let line = format!("[rocketchat]\nregistration_token_file = \"{}\"", token.display());
    std::fs::write(&config, text.replace("[rocketchat]", &line)).unwrap();
    bed.rcfed(&["apply"]).well();
    let after = containers(&bed);
    let changed: Vec<&String> =
        after.iter().filter(|(name, id)| before.get(*name) != Some(id)).map(|(n, _)| n).collect();
    assert_eq!(changed, ["rcfed-rocketchat"]);
}

#[test]
fn an_apex_elsewhere_ends_pending_and_says_what_is_missing() {
    let Some(bed) = Bed::up() else { return };
    bed.bed(&["dns", "set", "fed.test", "A", "198.51.100.7"]);
    bed.bed(&["dns", "del", "fed.test", "AAAA"]);
    let answers = bed.answers("synapse", "apex = \"elsewhere\"");
    let init = bed.rcfed(&["init", "--answers", answers.to_str().unwrap(), "--yes", "--no-input"]).well();
    assert!(init.stdout.contains("pending"), "{}", init.stdout);
    assert!(init.stdout.contains("https://fed.test/.well-known/matrix/server"), "{}", init.stdout);
    assert_eq!(status(&bed)["federation"]["federation"], "pending");
    assert_eq!(bed.https("https://chat.fed.test/api/info", &[]).0, 200);
    let names = status(&bed)["certificate"]["names"].to_string();
    assert_eq!(names, "[\"chat.fed.test\",\"matrix.fed.test\"]");
}

#[test]
fn a_port_that_the_authority_cannot_reach_is_named_and_apply_goes_on() {
    let Some(bed) = Bed::up() else { return };
    let rule = ["-t", "raw", "-I", "PREROUTING", "-p", "tcp", "--dport", "80", "!", "-i", "lo", "-j", "DROP"];
    let closed = |verb: &str| {
        for program in ["iptables", "ip6tables"] {
            let mut words = vec![program];
            words.extend(rule.iter().map(|word| if *word == "-I" { verb } else { *word }));
            bed.run(&words);
        }
    };
    closed("-I");
    let answers = bed.answers("synapse", "");
    let init = bed.rcfed(&["init", "--answers", answers.to_str().unwrap(), "--yes", "--no-input"]);
    closed("-D");
    assert_eq!(init.code, Some(1), "{}", init.stderr);
    assert!(init.stderr.contains("chat.fed.test: DNS says 198.51.100.10"), "{}", init.stderr);
    assert!(init.stderr.contains("port 80"), "{}", init.stderr);
    let before = containers(&bed);
    bed.rcfed(&["apply"]).well();
    assert_eq!(status(&bed)["federation"]["federation"], "valid");
    for (name, id) in before {
        assert_eq!(containers(&bed).get(&name), Some(&id), "{name} was started again");
    }
}

fn whole_life(bed: &Bed, profile: &str, homeserver: &str) {
    let answers = bed.answers(profile, "");
    let init = bed.rcfed(&["init", "--answers", answers.to_str().unwrap(), "--yes", "--no-input"]).well();
    assert!(init.stdout.contains("https://chat.fed.test"), "{}", init.stdout);
    assert!(init.stdout.contains("@ada:fed.test"), "{}", init.stdout);
    seen_from_outside(bed, homeserver);
    let status = status(bed);
    assert_eq!(status["federation"]["federation"], "valid", "{status:#}");
    assert_eq!(status["federation"]["message_sent"], true, "{status:#}");
    for container in status["containers"].as_array().unwrap() {
        assert_eq!(container["state"], "running", "{container:#}");
    }
    a_second_apply_touches_nothing(bed);
    no_secret_shows(bed);
    what_was_removed_comes_back(bed);
    the_password_is_reset(bed);
    the_certificate_is_renewed(bed);
}

fn seen_from_outside(bed: &Bed, homeserver: &str) {
    let (code, body) = bed.https("https://chat.fed.test/api/info", &[]);
    assert_eq!(code, 200, "{body}");
    assert!(body.to_lowercase().contains("strict-transport-security"), "{body}");
    let (code, body) = bed.https("https://fed.test/.well-known/matrix/server", &[]);
    assert_eq!(code, 200, "{body}");
    assert!(body.contains("\"matrix.fed.test:443\""), "{body}");
    let (code, body) = bed.https("https://fed.test/.well-known/matrix/client", &["-H", "Origin: https://app.example"]);
    assert_eq!(code, 200, "{body}");
    assert!(body.to_lowercase().contains("access-control-allow-origin: *"), "{body}");
    assert!(body.contains("\"https://matrix.fed.test\""), "{body}");
    let (code, body) = bed.https("https://matrix.fed.test/_matrix/federation/v1/version", &[]);
    assert_eq!(code, 200, "{body}");
    assert!(body.contains(homeserver), "{body}");
    // A path with an escaped slash reaches the homeserver as it is: it answers for the event, not for the path.
    let (code, body) = bed.https("https://matrix.fed.test/_matrix/federation/v1/event/%24a%2Fb", &[]);
    assert_eq!(code, 401, "{body}");
    for closed in ["/_synapse/admin/v1/server_version", "/_dendrite/monitor/health", "/metrics"] {
        let (code, body) = bed.https(&format!("https://matrix.fed.test{closed}"), &[]);
        assert_eq!(code, 404, "{closed}: {body}");
    }
    // Remote Rocket.Chats ask this of the federated domain; 400 means that the user exists.
    let available = "https://fed.test/_matrix/client/v3/register/available?username=nobody-yet";
    assert_eq!(bed.https(available, &[]).0, 200);
    let plain =
        bed.inet(&["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}", "http://chat.fed.test/"]);
    assert_eq!(plain.stdout, "301 https://chat.fed.test/");
}

fn a_second_apply_touches_nothing(bed: &Bed) {
    let before = containers(bed);
    let receipt = std::fs::read(bed.root().join("var/lib/rcfed/receipt.jsonl")).unwrap();
    let apply = bed.rcfed(&["apply"]).well();
    assert!(apply.stderr.contains("nothing was changed"), "{}", apply.stderr);
    assert_eq!(containers(bed), before);
    assert_eq!(std::fs::read(bed.root().join("var/lib/rcfed/receipt.jsonl")).unwrap(), receipt);
}

fn no_secret_shows(bed: &Bed) {
    let mut places: BTreeMap<String, String> = BTreeMap::new();
    for name in containers(bed).keys() {
        places.insert(format!("docker inspect {name}"), bed.run(&["docker", "inspect", name]));
        places.insert(format!("docker logs {name}"), bed.run(&["sh", "-c", &format!("docker logs {name} 2>&1")]));
    }
    // Arguments of every process, and what stays readable of the machine's files for others.
    places.insert("argv".into(), bed.run(&["sh", "-c", "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '"]));
    let state = bed.root().join("var/lib/rcfed");
    for file in ["receipt.jsonl", "images.json", "federation.json"] {
        places.insert(file.into(), std::fs::read_to_string(state.join(file)).unwrap());
    }
    places.insert("config".into(), std::fs::read_to_string(bed.root().join("etc/rcfed/config.toml")).unwrap());
    let answers = bed.root().join("etc/rcfed/config.toml");
    for arguments in [
        &["status", "--json"][..],
        &["plan", "--answers", answers.to_str().unwrap(), "--json", "--diff"],
        &["doctor", "--json"],
        &["--verbose", "doctor"],
    ] {
        places.insert(arguments.join(" "), bed.rcfed(arguments).well().stdout);
    }
    let hidden = |what: &str, secret: &str| {
        assert!(secret.len() >= 8, "{what} is too short to look for");
        for (place, text) in &places {
            assert!(!text.contains(secret), "{what} shows in {place}");
        }
    };
    let pair = std::fs::read_to_string(state.join("certificate/pair.pem")).unwrap();
    let (_, key) = pair.split_once("PRIVATE KEY-----\n").unwrap();
    hidden("the certificate's key", key.lines().nth(1).unwrap());
    let mut tried = 0;
    for entry in std::fs::read_dir(state.join("acme")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let account: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            // All of a key of one kind begin alike.
            hidden("an account's key", &account["key_pkcs8"].as_str().unwrap()[60..]);
            tried += 1;
        }
    }
    assert_eq!(tried, 2, "accounts at the authority and at its rehearsal");
    for entry in std::fs::read_dir(state.join("secrets")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // Names of things, not secrets.
        if ["appservice_id", "signing_key_id", "versions"].contains(&name.as_str()) {
            continue;
        }
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o7777, 0o600, "{name}");
        let secret = std::fs::read_to_string(&path).unwrap();
        let parts =
            if name == "personal_access_token" { secret.split(':').skip(1).collect() } else { vec![secret.trim()] };
        for part in parts {
            tried += 1;
            hidden(&name, part);
        }
    }
    assert!(tried >= 12, "only {tried} secrets were looked for");
}

fn what_was_removed_comes_back(bed: &Bed) {
    let before = containers(bed);
    bed.run(&["docker", "rm", "-f", "rcfed-gateway"]);
    assert_eq!(status(bed)["containers"][0]["state"], "missing");
    bed.rcfed(&["apply"]).well();
    let after = containers(bed);
    let changed: Vec<&String> =
        after.iter().filter(|(name, id)| before.get(*name) != Some(id)).map(|(n, _)| n).collect();
    assert_eq!(changed, ["rcfed-gateway"]);
    assert_eq!(bed.https("https://chat.fed.test/api/info", &[]).0, 200);
}

fn the_password_is_reset(bed: &Bed) {
    let file = bed.root().join("var/lib/rcfed/secrets/admin_password");
    let old = std::fs::read_to_string(&file).unwrap();
    let reset = bed.rcfed(&["admin", "reset"]).well();
    assert!(reset.stdout.contains("admin_password"), "{}", reset.stdout);
    let new = std::fs::read_to_string(&file).unwrap();
    assert_ne!(old, new);
    for (password, expected) in [(old, 401), (new, 200)] {
        let body = format!("{{\"user\":\"ada\",\"password\":\"{password}\"}}");
        let (code, text) =
            bed.https("https://chat.fed.test/api/v1/login", &["-H", "Content-Type: application/json", "-d", &body]);
        assert_eq!(code, expected, "{text}");
    }
    let apply = bed.rcfed(&["apply"]).well();
    assert!(!apply.stderr.contains("start rcfed-"), "{}", apply.stderr);
}

fn the_certificate_is_renewed(bed: &Bed) {
    let serial = || {
        let show = "echo | openssl s_client -connect 198.51.100.10:443 -servername chat.fed.test 2>/dev/null | \
                    openssl x509 -noout -serial -ext subjectAltName";
        bed.inet(&["sh", "-c", show]).stdout
    };
    let old = serial();
    for name in ["DNS:fed.test", "DNS:chat.fed.test", "DNS:matrix.fed.test"] {
        assert!(old.contains(name), "{old}");
    }
    let renew = bed.rcfed(&["renew"]).well();
    assert!(renew.stderr.contains("not time yet"), "{}", renew.stderr);
    assert_eq!(serial(), old);
    bed.rcfed(&["renew", "--force"]).well();
    assert_ne!(serial(), old);
    // As after a change of `rcfed` itself: what the gateway works with is not what this one would write.
    let file = bed.root().join("var/lib/rcfed/services/gateway/http.conf");
    let text = std::fs::read_to_string(&file).unwrap();
    let (_, digest) = text.split_once("return 200 \"").unwrap();
    std::fs::write(&file, text.replace(&digest[..64], &"0".repeat(64))).unwrap();
    let was = serial();
    bed.rcfed(&["renew", "--force"]).well();
    assert_ne!(serial(), was);
    bed.rcfed(&["apply"]).well();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    let cron = std::fs::read_to_string(bed.root().join("etc/cron.d/rcfed")).unwrap();
    assert!(cron.contains(" renew "), "{cron}");
}

/// Id and start time of every container, by name.
fn containers(bed: &Bed) -> BTreeMap<String, String> {
    let list = bed.run(&["sh", "-c", "docker inspect -f '{{.Name}} {{.Id}} {{.State.StartedAt}}' $(docker ps -aq)"]);
    let pair = |line: &str| line.trim_start_matches('/').split_once(' ').map(|(n, id)| (n.to_string(), id.to_string()));
    list.lines().filter_map(pair).collect()
}

fn status(bed: &Bed) -> Value {
    serde_json::from_str(&bed.rcfed(&["status", "--json"]).well().stdout).unwrap()
}
