//! Being asked to stop, and two runs at once.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::sight::Sight;
use crate::support::{Bed, Run};
use crate::{fresh, go_on, init, purge};

#[test]
#[ignore = "minutes long; `make test-all` runs it"]
fn stopped_by_ctrl_c_and_sigterm_and_one_run_at_a_time() {
    let Some(bed) = Bed::up() else { return };
    fresh(&bed, "dendrite");
    let before = Sight::of(&bed);
    let answers = bed.answers("dendrite", "");
    let words = ["init", "--answers", answers.to_str().unwrap(), "--yes", "--no-input"];

    let running = start(&bed, &words);
    let process = wait_for(&bed, "\"step\":\"network\"");
    let second = bed.rcfed(&["apply"]);
    let third = bed.rcfed(&["uninstall", "--yes"]);
    for other in [second, third] {
        assert_eq!(other.code, Some(1), "{}", other.stderr);
        let holder = format!("another rcfed is at work on this machine: `rcfed init` (process {}) since 20", process);
        assert!(other.stderr.contains(&holder), "{}", other.stderr);
    }
    tell(process, Signal::INT);
    let run = ended(running);
    assert_eq!(run.code, Some(130), "{}", run.stderr);
    assert!(run.stderr.contains("stopped by Ctrl-C with"), "{}", run.stderr);
    assert!(run.stderr.contains("run `sudo rcfed apply` to go on"), "{}", run.stderr);
    nothing_is_open(&bed);

    // systemd stops a unit like this, and a person who is in a hurry presses twice.
    let lines = receipt(&bed).lines().count();
    let running = start(&bed, &["apply"]);
    let process = wait_until(&bed, |text| text.lines().count() > lines);
    tell(process, Signal::TERM);
    let run = ended(running);
    assert_eq!(run.code, Some(143), "{}", run.stderr);
    assert!(run.stderr.contains("stopped by SIGTERM with"), "{}", run.stderr);
    nothing_is_open(&bed);

    // The second one ends the process in the middle of a step that takes seconds; one alone would have waited for it.
    let running = start(&bed, &["apply"]);
    let process = wait_for(&bed, "\"step\":\"ready:rocketchat\"");
    tell(process, Signal::INT);
    std::thread::sleep(Duration::from_millis(50));
    tell(process, Signal::INT);
    let run = ended(running);
    assert_eq!(run.code, Some(130), "{}", run.stderr);
    assert!(run.stderr.contains("press Ctrl-C again to stop now"), "{}", run.stderr);
    assert!(!run.stderr.contains("stopped by"), "it waited for the running steps: {}", run.stderr);
    assert!(open(&bed).contains("\"ready:rocketchat\""), "{:?}", open(&bed));
    go_on(&bed, "dendrite", &[]).well();
    let resumed = Sight::of(&bed);
    purge(&bed);
    Sight::of(&bed).same_as(&before, "a purge");
    init(&bed, "dendrite");
    resumed.same_as(&Sight::of(&bed), "being stopped three times");
    crate::refusals::of_uninstall(&bed);
    purge(&bed);
}

/// Every step that began has ended.
fn nothing_is_open(bed: &Bed) {
    assert_eq!(open(bed), std::collections::BTreeSet::new());
}

/// Steps that began and did not end.
fn open(bed: &Bed) -> std::collections::BTreeSet<String> {
    let text = receipt(bed);
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let steps = |event: &str| -> std::collections::BTreeSet<String> {
        let of = lines.iter().filter(|line| line["event"] == event && line["step"] != "init" && line["step"] != "run");
        of.map(|line| line["step"].to_string()).collect()
    };
    steps("started").difference(&steps("done")).cloned().collect()
}

fn receipt(bed: &Bed) -> String {
    std::fs::read_to_string(bed.root().join("var/lib/rcfed/receipt.jsonl")).unwrap_or_default()
}

fn start(bed: &Bed, words: &[&str]) -> Child {
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bed/bed");
    assert!(bed.root().exists());
    let mut command = Command::new(script);
    command.arg("run").arg(env!("CARGO_BIN_EXE_rcfed")).args(words).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn ended(child: Child) -> Run {
    Run::of(child.wait_with_output().unwrap())
}

fn wait_for(bed: &Bed, words: &str) -> i32 {
    wait_until(bed, |text| text.contains(words))
}

/// Waits until the receipt is so; the process that holds the lock.
fn wait_until(bed: &Bed, so: impl Fn(&str) -> bool) -> i32 {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let holder = std::fs::read_to_string(bed.root().join("var/lib/rcfed/lock")).unwrap_or_default();
        let process = holder.split_once("(process ").and_then(|(_, rest)| rest.split(')').next()?.parse().ok());
        if let Some(process) = process.filter(|_| so(&receipt(bed))) {
            return process;
        }
        assert!(Instant::now() < deadline, "nothing happens: {holder}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn tell(process: i32, signal: Signal) {
    kill_process(Pid::from_raw(process).unwrap(), signal).unwrap();
}
