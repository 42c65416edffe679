//! The other direction: a server elsewhere that the homeserver reaches, that only this machine reaches, and that nobody does.

use std::path::PathBuf;
use std::process::Command;

use rcfed::matrix::signing_key::SigningKey;
use rcfed::matrix::x_matrix;
use serde_json::{Value, json};

use crate::brief;
use crate::site;
use crate::support::Bed;

const OTHER: &str = "other.test";

/// The answers, with the authority that the other server has its certificate from.
pub fn trusted(bed: &Bed, answers: PathBuf) -> PathBuf {
    let text = std::fs::read_to_string(&answers).unwrap();
    let authority = PathBuf::from(bed.value("RCFED_STATE")).join("pki/ca.crt");
    std::fs::write(&answers, format!("{text}[federation]\nca = \"{}\"\n", authority.display())).unwrap();
    answers
}

/// Asks for the other server while it is well, while a firewall keeps containers from it, and while it is gone.
pub fn tried(bed: &Bed) {
    let started = std::time::Instant::now();
    site::in_dns(bed, OTHER);
    let serve = |identity: (PathBuf, PathBuf), (status, code): (u16, &str)| {
        let conf = site::nginx_conf(bed, (OTHER, site::ADDRESS), &identity, &pages(status, code));
        site::started_at("inet", &[], (OTHER, site::ADDRESS), &format!("nginx -c {conf}"))
    };
    let server = serve(site::certificate(bed, &[OTHER]), (401, "M_UNAUTHORIZED"));
    let config = bed.root().join("etc/rcfed/config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    if text.contains("profile = \"synapse\"") {
        // The bed's internet is one of the networks for documentation, which Synapse keeps away from.
        let told = asked(bed, 1);
        let address = site::ADDRESS;
        let said = "is not reached by the homeserver, which connects to no private address such as ";
        assert_eq!(told["summary"], format!("{said}{address}"), "{told:#}");
        let line = format!("private_networks = [\"{address}/32\"]");
        assert!(told["remedy"].as_str().unwrap().ends_with(&line), "{told:#}");
        std::fs::write(&config, text.replace("[federation]\n", &format!("[federation]\n{line}\n"))).unwrap();
        bed.rcfed(&["apply"]).well();
    }
    let told = asked(bed, 1);
    assert_eq!(
        told["summary"], "is reached by the homeserver, and does not take its signature (status 401)",
        "{told:#}"
    );
    drop(server);
    // Whose certificate nobody takes is not reached, and that is no fault of what surrounds containers.
    let server = serve(site::certificate_by(bed, &site::authority(bed), &[OTHER]), (404, "M_NOT_FOUND"));
    let told = asked(bed, 1);
    let said = told["summary"].as_str().unwrap();
    assert!(said.starts_with("is reached neither by the homeserver nor by this machine: "), "{told:#}");
    assert!(said.contains("does not know"), "{told:#}");
    drop(server);
    let server = serve(site::certificate(bed, &[OTHER]), (404, "M_NOT_FOUND"));
    let told = asked(bed, 0);
    assert_eq!((told["status"].as_str(), told["subject"].as_str()), (Some("ok"), Some(OTHER)), "{told:#}");
    let closed = Closed::to(bed, site::ADDRESS);
    let told = asked(bed, 1);
    assert_eq!(told["summary"], "is not reached by the homeserver, and answers this machine", "{told:#}");
    let seen = |told: &Value, words: &str| {
        let evidence = told["evidence"].as_array().unwrap();
        evidence.iter().any(|line| line.as_str().is_some_and(|line| line.contains(words)))
    };
    assert!(seen(&told, "the homeserver: status 50") && seen(&told, "its log: "), "{told:#}");
    assert!(told["remedy"].as_str().unwrap().contains("sudo iptables -S DOCKER-USER"), "{told:#}");
    // Nothing else is explained by that.
    let run = bed.rcfed(&["doctor", "--json", "--outbound", OTHER]);
    let whole: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&whole["first_cause"], &whole["counts"]["skipped"]), (&json!("homeserver.outbound"), &json!(0)));
    // The name of somebody else is nobody's business.
    let words = ["doctor", "--share", "--only", "homeserver.outbound", "--outbound", OTHER];
    let shared = bed.rcfed(&words);
    assert!(shared.stdout.contains("server-1.example.net") && !shared.stdout.contains(OTHER), "{shared:?}");
    drop(closed);
    drop(server);
    let told = asked(bed, 1);
    let said = told["summary"].as_str().unwrap();
    assert!(said.starts_with("is reached neither by the homeserver nor by this machine: "), "{told:#}");
    bed.bed(&["dns", "reset"]);
    // Unasked, nobody is looked for.
    let report: Value = serde_json::from_str(&bed.rcfed(&["doctor", "--json"]).stdout).unwrap();
    let ids = report["findings"].as_array().unwrap().iter().map(|finding| finding["id"].as_str().unwrap());
    assert!(ids.clone().any(|id| id == "homeserver.up") && !ids.clone().any(|id| id == "homeserver.outbound"));
    eprintln!("{:>5.1} s  outbound: ok", started.elapsed().as_secs_f32());
}

/// What is told of the other server, with this exit code.
fn asked(bed: &Bed, code: i32) -> Value {
    let run = bed.rcfed(&["doctor", "--json", "--only", "homeserver.outbound", "--outbound", OTHER]);
    let report: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|why| panic!("{why}: {run:?}"));
    assert_eq!(run.code, Some(code), "{}", brief(&report));
    let found = report["findings"].as_array().unwrap().iter().find(|found| found["id"] == "homeserver.outbound");
    found.unwrap_or_else(|| panic!("{report:#}")).clone()
}

/// nginx as a homeserver where everybody has left: good keys, and nobody's profile.
fn pages(status: u16, code: &str) -> String {
    let key = SigningKey::generate().unwrap();
    let mut keys = json!({
        "server_name": OTHER,
        "valid_until_ts": 2_100_000_000_000_i64,
        "verify_keys": {key.key_id(): {"key": key.public_key().unwrap()}},
        "old_verify_keys": {},
    });
    let signature = x_matrix::sign(&key, keys.as_object().unwrap()).unwrap();
    keys["signatures"] = json!({OTHER: {key.key_id(): signature}});
    let error = |code: &str| json!({"errcode": code, "error": "nobody"}).to_string();
    let pages = [
        ("= /.well-known/matrix/server", 200, json!({"m.server": format!("{OTHER}:443")}).to_string()),
        ("= /_matrix/key/v2/server", 200, keys.to_string()),
        ("= /_matrix/federation/v1/version", 200, json!({"server": {"name": "Nobody", "version": "1"}}).to_string()),
        ("= /_matrix/federation/v1/query/profile", status, error(code)),
        ("~ ^/_matrix/federation/v1/event/", 401, error("M_UNAUTHORIZED")),
        ("/", 404, error("M_UNRECOGNIZED")),
    ];
    let page = |(place, status, body)| {
        format!("location {place} {{ default_type application/json; return {status} '{body}'; }}\n")
    };
    pages.map(page).concat()
}

/// A firewall that lets no container reach an address; gone when this is dropped.
struct Closed {
    rule: Vec<String>,
    netns: String,
}

impl Closed {
    fn to(bed: &Bed, address: &str) -> Self {
        let rule = ["FORWARD", "-d", address, "-p", "tcp", "-j", "REJECT", "--reject-with", "tcp-reset"];
        let closed = Self { rule: rule.map(str::to_owned).into(), netns: bed.value("RCFED_BED_NETNS") };
        assert!(closed.iptables("-I"));
        closed
    }

    fn iptables(&self, what: &str) -> bool {
        let namespace = format!("--net=/run/netns/{}", self.netns);
        let mut command = Command::new("nsenter");
        command.args([&namespace, "iptables", what]).args(&self.rule).status().is_ok_and(|status| status.success())
    }
}

impl Drop for Closed {
    fn drop(&mut self) {
        self.iptables("-D");
    }
}
