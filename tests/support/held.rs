//! A run of rcfed that is stopped at a chosen moment, so that something can be done to the machine right then.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Bed, Run};

/// rcfed at work.
pub struct Held(Child);

impl Held {
    /// Starts it, and goes on.
    pub fn start(words: &[&str], env: &[(&str, &str)]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bed/bed");
        let mut command = Command::new(script);
        command.arg("run").arg(env!("CARGO_BIN_EXE_rcfed")).args(words).stdin(Stdio::null());
        command.envs(env.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    /// Starts it, and waits until it stopped itself at a point of `RCFED_FAULT`.
    pub fn at(words: &[&str], point: &str, more: &[(&str, &str)]) -> Self {
        let env = [&[("RCFED_FAULT", point), ("RCFED_FAULT_SIGNAL", "STOP")], more].concat();
        Self::start(words, &env).until_stopped(point)
    }

    /// Waits until it stopped itself at `point`.
    pub fn until_stopped(mut self, point: &str) -> Self {
        let deadline = Instant::now() + Duration::from_secs(90);
        while self.process().is_none_or(|process| state(process) != "T") {
            if self.0.try_wait().unwrap().is_some() {
                let run = self.ended();
                panic!("it never came to {point}: {}\n{}", run.stdout, run.stderr);
            }
            assert!(Instant::now() < deadline, "it does not come to {point}");
            std::thread::sleep(Duration::from_millis(10));
        }
        self
    }

    /// Lets it go on to its end.
    pub fn go_on(self) -> Run {
        self.goes_on().ended()
    }

    /// Lets it go on.
    pub fn goes_on(self) -> Self {
        kill_process(Pid::from_raw(self.process().unwrap()).unwrap(), Signal::CONT).unwrap();
        self
    }

    /// Ctrl-C, which it sees when it goes on.
    #[allow(dead_code)]
    pub fn interrupted(self) -> Self {
        kill_process(Pid::from_raw(self.process().unwrap()).unwrap(), Signal::INT).unwrap();
        self
    }

    pub fn ended(self) -> Run {
        Run::of(self.0.wait_with_output().unwrap())
    }

    /// rcfed itself, below the shells of the bed.
    fn process(&self) -> Option<i32> {
        let mut todo = vec![i32::try_from(self.0.id()).unwrap()];
        while let Some(process) = todo.pop() {
            let program = std::fs::read_link(format!("/proc/{process}/exe")).unwrap_or_default();
            if program == Path::new(env!("CARGO_BIN_EXE_rcfed")) {
                return Some(process);
            }
            let children = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
            todo.extend(children.unwrap_or_default().split_whitespace().filter_map(|word| word.parse::<i32>().ok()));
        }
        None
    }
}

fn state(process: i32) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().and_then(|rest| rest.split(' ').next()).unwrap_or_default().to_string()
}

/// The first number in a pid file of the bed.
pub fn pid(bed: &Bed, name: &str) -> i32 {
    let file = PathBuf::from(bed.value("RCFED_STATE")).join("run").join(format!("{name}.pid"));
    std::fs::read_to_string(file).unwrap().split(' ').next().unwrap().parse().unwrap()
}

/// Waits until something is so.
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(Instant::now() < deadline, "{what} does not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Steps of the receipt that began and did not end.
pub fn open_steps(root: &Path) -> Vec<String> {
    let mut open: Vec<String> = Vec::new();
    for line in std::fs::read_to_string(root.join("var/lib/rcfed/receipt.jsonl")).unwrap().lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let step = line["step"].as_str().unwrap().to_string();
        open.retain(|other| *other != step);
        if line["event"] == "started" {
            open.push(step);
        }
    }
    // No steps, and never done.
    open.retain(|step| step != "init" && step != "run");
    open
}
