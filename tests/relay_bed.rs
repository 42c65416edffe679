//! Remote invites on the bed: signed, from outside, through the gateway and the relay to the bridge.

#[path = "support/site.rs"]
mod site;
mod support;
#[allow(dead_code)]
#[path = "support/surroundings.rs"]
mod surroundings;
#[path = "support/tokens.rs"]
mod tokens;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use support::Bed;

#[test]
fn an_invite_from_outside_reaches_the_bridge_once_and_a_stopped_relay_is_an_error_on_its_routes_alone() {
    let Some(bed) = Bed::up() else { return };
    let answers = bed.answers("dendrite", "federate_with = [\"remote.test\"]");
    let text = std::fs::read_to_string(&answers).unwrap();
    let bundle = bed.value("SSL_CERT_FILE");
    // In a network of its own nobody can look from outside.
    let text = text.replace(&bed.value("FEDERATION_TESTER_HOST"), "self");
    std::fs::write(&answers, format!("{text}[federation]\nca = \"{bundle}\"\n")).unwrap();
    let init = bed.rcfed(&["init", "--answers", answers.to_str().unwrap(), "--yes", "--no-input"]).well();
    assert!(init.stdout.contains("Federation     valid") && init.stdout.contains("self-certified"), "{}", init.stdout);
    vouches_for_itself_alone(&bed);
    let _remote = remote(&bed);
    // The sync of the journal needs a volume that is the relay's own, and nothing else is writable.
    let mounts =
        bed.run(&["docker", "inspect", "-f", "{{json .Mounts}} {{.HostConfig.ReadonlyRootfs}}", "rcfed-relay"]);
    assert!(mounts.contains("/var/lib/rcfed-relay") && mounts.trim_end().ends_with("true"), "{mounts}");

    let invite = Invite::new("10", "ada");
    let (code, body) = invite.send(&bed, "matrix.fed.test");
    assert_eq!(code, 200, "{body}");
    assert!(body.contains("signatures") && body.contains("remote.test"), "{body}");
    // What its own server did not sign is refused by the homeserver.
    let (code, text) = Invite::signed("8", "ada", false).send(&bed, "matrix.fed.test");
    assert!(code == 403 && text.contains("must be signed by the server"), "{text}");
    until(&bed, "the bridge has it", || deliveries(&bed) == ["1"]);
    until(&bed, "its user joined", || {
        logs(&bed, "rcfed-rocketchat").contains("bridge: @ada:fed.test joined !r:remote.test")
    });
    // Sent again, it is answered again, and the bridge hears nothing of it.
    assert_eq!(invite.send(&bed, "matrix.fed.test").0, 200);
    // What was changed on the way is not what was signed.
    let (code, body) = Invite { body: invite.body.replace("\"depth\":1", "\"depth\":2"), ..invite.clone() }
        .send(&bed, "matrix.fed.test");
    assert_eq!(code, 401, "{body}");
    let (code, body) = Invite::new("11", "ada").send(&bed, "matrix.fed.test");
    assert!(code == 403 && body.contains("cannot join rooms of version 11"), "{body}");

    bed.run(&["docker", "stop", "rcfed-relay"]);
    // Dendrite complains of a transaction that nobody takes, and tells no token.
    speak(&bed);
    until(&bed, "it is missed", || logs(&bed, "rcfed-homeserver").contains("Unable to send transaction to appservice"));
    for container in ["homeserver", "relay", "gateway", "rocketchat"] {
        let log = logs(&bed, &format!("rcfed-{container}"));
        for token in ["as_token", "hs_token"] {
            assert!(!log.contains(&secret(&bed, token)), "{container} tells the {token}: {log}");
        }
    }
    let next = Invite::new("9", "ada");
    let (code, body) = next.send(&bed, "matrix.fed.test");
    assert!(code == 502 && body.contains("M_UNKNOWN"), "{body}");
    assert_eq!(ping(&bed), "502");
    assert_eq!(bed.https("https://matrix.fed.test/_matrix/federation/v1/version", &[]).0, 200);
    assert_eq!(bed.https("https://chat.fed.test/api/info", &[]).0, 200);
    bed.run(&["docker", "start", "rcfed-relay"]);
    until(&bed, "it is back", || next.send(&bed, "matrix.fed.test").0 == 200);
    until(&bed, "the bridge has the next", || deliveries(&bed) == ["1", "1"]);

    // The bridge away: the invite is accepted, outlives the relay, and arrives once the bridge is back.
    bed.run(&["docker", "stop", "rcfed-rocketchat"]);
    let waiting = Invite::new("6", "ada");
    assert_eq!(waiting.send(&bed, "matrix.fed.test").0, 200);
    bed.run(&["docker", "kill", "-s", "KILL", "rcfed-relay"]);
    bed.rcfed(&["apply"]).well();
    until(&bed, "the bridge has the third", || deliveries(&bed).len() == 3);
    // None of them is to be asked about first.
    let said = logs(&bed, "rcfed-relay");
    assert!(said.lines().any(|line| line.ends_with("one invite waits for the bridge")), "{said}");
    assert!(!logs(&bed, "rcfed-rocketchat").contains("(again)"));

    // New tokens, and the way from outside still leads to the bridge.
    tokens::rotated(&bed);
    assert_eq!(Invite::new("5", "ada").send(&bed, "matrix.fed.test").0, 200);
    until(&bed, "the bridge has the fourth", || deliveries(&bed).len() == 1);
    // The way out, to a server that does not exist.
    let run = bed.rcfed(&["invite-test", "@bob:nowhere.test"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    insta::assert_snapshot!(run.stderr.trim());
}

/// The key of `remote.test`.
fn key() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
}

fn sign(value: &Value) -> String {
    STANDARD_NO_PAD.encode(key().sign(canonical(value).as_bytes()))
}

/// The server `remote.test`, as far as it tells where it is and what its key is.
fn remote(bed: &Bed) -> surroundings::Server {
    let public = STANDARD_NO_PAD.encode(key().public_key().as_ref());
    let mut keys = json!({
        "server_name": "remote.test", "valid_until_ts": 4_102_444_800_000_u64, "old_verify_keys": {},
        "verify_keys": { "ed25519:1": { "key": public } },
    });
    keys["signatures"] = json!({ "remote.test": { "ed25519:1": sign(&keys) } });
    bed.bed(&["dns", "set", "remote.test", "SOA"]);
    site::in_dns(bed, "remote.test");
    let place = json!({ "m.server": "remote.test:443" });
    let start = "https://remote.test";
    site::serve(
        bed,
        "remote.test",
        &format!("{start}/.well-known/matrix/server  {place}\n{start}/_matrix/key/v2/server  {keys}"),
    )
}

/// An invite of `@ann:remote.test`, signed by her server.
#[derive(Clone)]
struct Invite {
    path: String,
    header: String,
    body: String,
}

impl Invite {
    fn new(version: &str, user: &str) -> Self {
        Self::signed(version, user, true)
    }

    /// The same, or with a signature of something else.
    fn signed(version: &str, user: &str, well: bool) -> Self {
        // Nothing that redaction would take away, so the id is the hash of what stands here.
        let mut event = json!({
            "auth_events": [], "content": {"membership": "invite"}, "depth": 1, "hashes": {"sha256": "AA"},
            "origin_server_ts": version.parse::<u32>().unwrap(), "prev_events": [], "room_id": "!r:remote.test", "sender": "@ann:remote.test",
            "state_key": format!("@{user}:fed.test"), "type": "m.room.member",
        });
        let id = format!("${}", URL_SAFE_NO_PAD.encode(Sha256::digest(canonical(&event))));
        let signature = sign(if well { &event } else { &Value::Null });
        event["signatures"] = json!({ "remote.test": { "ed25519:1": signature } });
        let path = format!("/_matrix/federation/v2/invite/%21r%3Aremote.test/{}", id.replace('$', "%24"));
        let content = json!({"event": event, "invite_room_state": [], "room_version": version});
        let signed = json!({
            "method": "PUT", "uri": path, "origin": "remote.test", "destination": "fed.test", "content": content,
        });
        let signature = sign(&signed);
        let header = format!(
            "Authorization: X-Matrix origin=\"remote.test\",destination=\"fed.test\",key=\"ed25519:1\",sig=\"{signature}\""
        );
        Self { path, header, body: content.to_string() }
    }

    fn send(&self, bed: &Bed, host: &str) -> (u16, String) {
        let url = format!("https://{host}{}", self.path);
        let json = "Content-Type: application/json";
        bed.https(&url, &["--path-as-is", "-X", "PUT", "-H", &self.header, "-H", json, "-d", &self.body])
    }
}

/// Canonical JSON (specification, appendices) of values without floats.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let sorted: std::collections::BTreeMap<_, _> = map.iter().collect();
            let parts: Vec<_> = sorted.iter().map(|(k, v)| format!("{}:{}", json!(k), canonical(v))).collect();
            format!("{{{}}}", parts.join(","))
        }
        Value::Array(list) => format!("[{}]", list.iter().map(canonical).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

fn secret(bed: &Bed, name: &str) -> String {
    let path = bed.root().join("var/lib/rcfed/secrets").join(name);
    std::fs::read_to_string(path).unwrap().trim().to_owned()
}

/// The relay in the place of a federation tester.
fn vouches_for_itself_alone(bed: &Bed) {
    let ask = |query: &str| {
        let url = format!("http://relay:8080/api/federation-ok{query}");
        bed.run(&["docker", "exec", "rcfed-gateway", "curl", "-sS", "-i", &url])
    };
    let good = ask("?server_name=fed.test");
    assert!(good.starts_with("HTTP/1.1 200") && good.contains("x-rcfed-tester: self-certified"), "{good}");
    assert!(good.ends_with("\r\n\r\nGOOD"), "{good}");
    assert!(ask("?server_name=remote.test").starts_with("HTTP/1.1 403"));
    assert!(ask("").starts_with("HTTP/1.1 400"));
    let found = bed.rcfed(&["doctor", "--json", "--only", "rocketchat.verdict"]);
    assert!(found.stdout.contains("by the word of this server's own relay alone"), "{}", found.stdout);
    // The authority that this network trusts, and this machine does not, is trusted where others would trust it.
    let own_roots = [("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")];
    let trusted = bed.rcfed_with(&["doctor", "--json", "--only", "tls.untrusted"], &own_roots);
    assert!(trusted.ok, "{}", trusted.stdout);
    // Others would be sent to where nobody is.
    bed.bed(&["dns", "set", "matrix.fed.test", "A", site::ADDRESS]);
    bed.bed(&["dns", "del", "matrix.fed.test", "AAAA"]);
    assert!(ask("?server_name=fed.test").ends_with("BAD"));
    let log = logs(bed, "rcfed-relay");
    bed.bed(&["dns", "reset"]);
    assert!(log.contains("self-certified GOOD"), "{log}");
    let cause = log.lines().rfind(|line| line.contains("self-certified BAD")).unwrap_or_else(|| panic!("{log}"));
    println!("{cause}");
    assert!(cause.contains("reach.server"), "{cause}");
}

/// A room of the bridge's bot: events that its homeserver wants to tell the bridge.
fn speak(bed: &Bed) {
    let header = format!("Authorization: Bearer {}", secret(bed, "as_token"));
    let url = "http://127.0.0.1:8008/_matrix/client/v3/createRoom";
    let words = ["docker", "exec", "rcfed-gateway", "curl", "-sS", "-f", "-X", "POST", "-H", &header, "-d", "{}", url];
    bed.run(&words);
}

fn logs(bed: &Bed, container: &str) -> String {
    bed.run(&["sh", "-c", &format!("docker logs {container} 2>&1")])
}

/// The number of events in each of the relay's own transactions that the bridge took; the doctor's are empty.
fn deliveries(bed: &Bed) -> Vec<String> {
    let log = logs(bed, "rcfed-rocketchat");
    let lines = log.lines().filter_map(|line| line.strip_prefix("bridge: transaction rcfed-"));
    let lines = lines.filter(|line| !line.starts_with("doctor-"));
    lines.filter_map(|line| line.split_once("events=")).map(|(_, count)| count.to_owned()).collect()
}

/// What the gateway answers to a ping inside the containers' network.
fn ping(bed: &Bed) -> String {
    let url = "http://127.0.0.1:8008/_matrix/client/v1/appservice/any/ping";
    let words =
        ["docker", "exec", "rcfed-gateway", "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", "POST"];
    bed.run(&[&words[..], &[url]].concat())
}

fn until(bed: &Bed, what: &str, mut holds: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !holds() {
        let waited = begun.elapsed();
        assert!(waited < std::time::Duration::from_secs(60), "never: {what}; the bridge took {:?}", deliveries(bed));
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
}
