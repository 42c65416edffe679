//! Healthy deployments on the bed, as others see them, and the verb itself.

use serde_json::Value;

use crate::bed::{Bed, Run};

/// rcfed out in the bed's internet, as somebody who is not root and has neither Docker nor a deployment.
fn outside(bed: &Bed, arguments: &str) -> Run {
    let bundle = bed.value("SSL_CERT_FILE");
    let binary = env!("CARGO_BIN_EXE_rcfed");
    // A laptop has no rights on the machine that builds rcfed, so the binary has to be where everybody may run it.
    let copy = format!("{}/rcfed-for-everybody", bed.value("RCFED_STATE"));
    let line = format!(
        "install -m 755 {binary} {copy} && install -m 644 {bundle} {copy}.pem && cd / && \
         setpriv --reuid=65534 --regid=65534 --clear-groups env -i SSL_CERT_FILE={copy}.pem RCFED_PUBLIC_RESOLVERS=none DOCKER_HOST=unix:///nowhere {copy} doctor {arguments}"
    );
    bed.inet(&["sh", "-c", &line])
}

fn healthy(profile: &str) {
    let Some(bed) = Bed::up() else { return };
    let answers = bed.answers(profile, "");
    bed.rcfed(&["init", "--answers", answers.to_str().unwrap(), "--yes", "--no-input"]).well();
    let run = outside(&bed, "--json fed.test").well();
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    for kind in ["fail", "warn", "unknown", "skipped"] {
        assert_eq!(report["counts"][kind], 0, "{report:#}");
    }
    let found = |id: &str| {
        report["findings"].as_array().unwrap().iter().any(|finding| finding["id"] == id && finding["status"] == "ok")
    };
    for id in [
        "wellknown.document",
        "reach.server",
        "keys.signature",
        "proxy.paths",
        "proxy.body",
        "server.version",
        "client.cors",
        "chat.public",
        "chat.websocket",
    ] {
        assert!(found(id), "{id}: {report:#}");
    }
    // From inside, with its own key and its chat.
    let run = bed.rcfed(&["doctor", "--json", "--only", "server.signed", "--only", "chat.websocket"]).well();
    let inside: Value = serde_json::from_str(&run.stdout).unwrap();
    let ids: Vec<&str> = inside["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|f| f["status"] == "ok")
        .filter_map(|f| f["id"].as_str())
        .collect();
    assert!(ids.contains(&"server.signed") && ids.contains(&"chat.websocket"), "{inside:#}");
    // Several: one line each, and one that fails makes the exit code.
    let many = outside(&bed, "--json fed.test https://fed.test missing.fed.test");
    assert_eq!((many.code, many.stdout.lines().count()), (Some(1), 3), "{many:?}");
    let mut causes: Vec<String> = many
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["first_cause"].to_string())
        .collect();
    causes.sort();
    assert_eq!(causes, ["\"dns.lookup\"", "\"name.grammar\"", "null"]);
}

#[test]
fn a_dendrite_deployment_is_well_from_outside() {
    healthy("dendrite");
}

#[test]
fn a_synapse_deployment_is_well_from_outside() {
    healthy("synapse");
}
