//! What surrounds rcfed in the tests of bad input, and how a run and what it left behind are looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Bed, Run};
use rustix::process::{Pid, Signal, kill_process_group};

/// A server that answers everything with a status, or never: `PORT STATUS|never|stall`.
pub const HTTP: &str = r#"
import sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        # An image registry may work as far as its front door.
        door = self.path == "/v2/" and sys.argv[2] in ("404", "stall")
        if sys.argv[2] in ("never", "stall") and not door:
            time.sleep(600)
        self.send_response(200 if door else int(sys.argv[2]))
        self.send_header("Content-Length", "0")
        self.end_headers()
    do_HEAD = do_GET
    def log_message(self, *_):
        pass
server = ThreadingHTTPServer(("0.0.0.0", int(sys.argv[1])), Handler)
print("listening", flush=True)
server.serve_forever()
"#;

/// A small disk of its own, on the droplet.
pub struct Disk(pub PathBuf);

impl Disk {
    pub fn of(bed: &Bed, size: &str) -> Self {
        Self::over(bed, PathBuf::from(bed.value("RCFED_STATE")).join("small-disk"), size)
    }

    /// The same over a directory that may be there.
    pub fn over(bed: &Bed, path: PathBuf, size: &str) -> Self {
        std::fs::create_dir_all(&path).unwrap();
        let disk = Self(path);
        bed.run(&["mount", "-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs", disk.0.to_str().unwrap()]);
        disk
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        droplet(&["umount", "-l", self.0.to_str().unwrap()]);
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// No file that was begun and left, and a receipt of which every line can be read.
pub fn whole(bed: &Bed, root: &Path) {
    let root = root.to_str().unwrap();
    assert_eq!(bed.run(&["find", root, "-name", "*.new"]), "");
    let receipt = bed.run(&["sh", "-c", &format!("cat {root}/var/lib/rcfed/receipt.jsonl 2>/dev/null || true")]);
    for line in receipt.lines() {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(entry["version"], rcfed::receipt::VERSION, "{line}");
    }
}

/// A command on the droplet that may fail.
pub fn droplet(words: &[&str]) -> Run {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bed/bed");
    ran(Command::new(script).arg("run").args(words).stdin(Stdio::null()).output().unwrap())
}

/// rcfed on the droplet without any right.
pub fn nobody(words: &[&str]) -> Run {
    let user = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", env!("CARGO_BIN_EXE_rcfed")];
    droplet(&[&user, words].concat())
}

/// A process that is ended with this value. Its output stays open, since some say more than one line.
pub struct Server {
    child: Child,
    _output: BufReader<ChildStdout>,
}

impl Server {
    pub fn on_droplet(words: &[&str]) -> Self {
        Self::start("run", words)
    }

    /// Starts it, and waits for the line in which it says that it listens.
    pub fn start(place: &str, words: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bed/bed");
        let mut command = Command::new(script);
        command.arg(place).args(words).stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
        let mut child = command.spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert!(line.contains("listening"), "{words:?}: {line}");
        Self { child, _output: output }
    }
}

/// Whether one of a process group is no zombie.
fn alive(group: Pid) -> bool {
    let group = group.as_raw_nonzero().to_string();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut stats = processes.filter_map(|process| std::fs::read_to_string(process.path().join("stat")).ok());
    stats.any(|stat| {
        // pid (name) state ppid pgrp …, and the name may have anything in it.
        let rest: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').take(3).collect();
        matches!(rest[..], [state, _, of] if state != "Z" && of == group)
    })
}

impl Drop for Server {
    fn drop(&mut self) {
        // `bed run` and the program are a group of their own.
        let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).unwrap();
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.child.wait();
        // The next one needs its ports. Who was orphaned may be a zombie for ever, and has none.
        let end = Instant::now() + Duration::from_secs(5);
        while alive(group) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

pub fn init(bed: &Bed, more: &str, words: &[&str]) -> Run {
    let answers = bed.answers("synapse", more);
    let all = [&["init", "--answers", answers.to_str().unwrap(), "--yes", "--no-input"], words].concat();
    bed.rcfed(&all)
}

pub fn ran(output: Output) -> Run {
    Run::of(output)
}

/// Error and hint of a failed run: of each exactly one, the hint after the error, and nothing on stdout.
pub fn sentence(run: &Run) -> String {
    assert!(!run.ok, "it should have failed:\n{}\n{}", run.stdout, run.stderr);
    assert!(run.stdout.is_empty(), "{}", run.stdout);
    let count = |start: &str| run.stderr.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!((count("error:"), count("hint:")), (1, 1), "{}", run.stderr);
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    let from = run.stderr.find("error:").unwrap();
    let text = run.stderr[from..].trim_end();
    let (error, hint) = text.split_once("hint:").unwrap_or_else(|| panic!("no hint after the error: {text}"));
    format!("{}\nhint:{hint}", error.trim_end())
}

/// What was said in each case.
#[derive(Default)]
pub struct Told(Vec<(String, String)>);

impl Told {
    pub fn add(&mut self, what: &str, run: &Run) {
        assert_eq!(run.code, Some(1), "{what}: {}", run.stderr);
        self.any(what, run);
    }

    /// The same with whatever exit code an error has.
    pub fn any(&mut self, what: &str, run: &Run) {
        eprintln!("# {what}\n{}", sentence(run));
        self.0.push((what.into(), sentence(run)));
    }

    /// All of it, without what differs between machines and runs.
    pub fn text(&self, bed: &Bed) -> String {
        let state = bed.value("RCFED_STATE");
        let parts = self.0.iter().map(|(what, text)| {
            let text = text.replace(&bed.value("RCFED_ROOT"), "ROOT").replace(&state, "STATE");
            let text = numbers_after(&numbers_after(&text, "(pid "), "process ");
            format!("# {what}\n{text}")
        });
        parts.collect::<Vec<_>>().join("\n\n")
    }
}

/// Replaces the digits that follow `sign`.
pub fn numbers_after(text: &str, sign: &str) -> String {
    let mut parts = text.split(sign);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |whole, part| {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        let number = if rest.len() < part.len() { "N" } else { "" };
        format!("{whole}{sign}{number}{rest}")
    })
}

/// The droplet as it was.
pub struct Untouched {
    files: BTreeMap<PathBuf, (u32, u32, Vec<u8>)>,
    objects: BTreeSet<String>,
}

impl Untouched {
    pub fn of(bed: &Bed) -> Self {
        Self { files: tree(&bed.root()), objects: objects(bed) }
    }

    pub fn still(&self, bed: &Bed) {
        let now = tree(&bed.root());
        let changed = |path: &&PathBuf| now.get(*path) != self.files.get(*path);
        // The paths only: some of the files would hold secrets.
        assert_eq!(now.keys().chain(self.files.keys()).filter(changed).collect::<Vec<_>>(), Vec::<&PathBuf>::new());
        assert_eq!(objects(bed), self.objects);
    }
}

/// Containers, volumes and networks of the droplet's engine.
pub fn objects(bed: &Bed) -> BTreeSet<String> {
    let list = "docker ps -a --format 'container {{.Names}}'; docker volume ls --format 'volume {{.Name}}'; \
                docker network ls --format 'network {{.Name}}'";
    bed.run(&["sh", "-c", list]).lines().map(str::to_owned).collect()
}

/// Every path below a directory with mode, owner and content.
pub fn tree(root: &Path) -> BTreeMap<PathBuf, (u32, u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut todo = vec![root.to_path_buf()];
    while let Some(directory) = todo.pop() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let meta = std::fs::symlink_metadata(&path).unwrap();
            let bytes = if meta.is_file() { std::fs::read(&path).unwrap() } else { Vec::new() };
            if meta.is_dir() {
                todo.push(path.clone());
            }
            found.insert(path, (meta.permissions().mode(), meta.uid(), bytes));
        }
    }
    found
}

pub fn nothing_in(directory: &Path) -> bool {
    std::fs::read_dir(directory).unwrap().next().is_none()
}
