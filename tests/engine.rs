//! On an engine that refuses clients before API 1.44, as Docker 29 does; every other test has Docker 20.10 with API 1.41.

mod support;

use serde_json::Value;
use support::Bed;

#[test]
#[ignore = "minutes long; `make test-all` runs it"]
fn a_newer_engine() {
    let Some(bed) = Bed::up() else { return };
    let engine = Newer::start(&bed);
    let version = bed.run(&["curl", "-sS", "--unix-socket", &engine.socket, "http://docker/version"]);
    let version: Value = serde_json::from_str(&version).expect("JSON");
    assert_eq!(version["MinAPIVersion"], "1.44", "{version}");
    let all = std::env::var_os("RCFED_TEST_ALL").is_some();
    for profile in ["dendrite", "synapse"].into_iter().take(if all { 2 } else { 1 }) {
        bed.bed(&["clean"]);
        let answers = bed.answers(profile, "");
        let answers = answers.to_str().expect("UTF-8");
        let init = bed.rcfed(&["init", "--answers", answers, "--yes", "--no-input"]).well();
        assert!(init.stdout.contains("Federation     valid"), "{}", init.stdout);
        let again = bed.rcfed(&["apply"]).well();
        assert!(again.stderr.contains("nothing was changed"), "{}", again.stderr);
        // Certificate and reload, which go over exec.
        bed.rcfed(&["renew", "--force"]).well();
    }
}

/// The newer engine, until dropped.
struct Newer<'a> {
    bed: &'a Bed,
    socket: String,
}

impl<'a> Newer<'a> {
    fn start(bed: &'a Bed) -> Self {
        bed.bed(&["engine", "newer"]);
        let socket = bed.value("DOCKER_HOST").trim_start_matches("unix://").to_string();
        Self { bed, socket }
    }
}

impl Drop for Newer<'_> {
    fn drop(&mut self) {
        self.bed.try_bed(&["engine", "own"]);
    }
}
