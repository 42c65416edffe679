//! The deployment that is changed, as files, containers and commands show it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::{Bed, Run};

pub fn deployed() -> Option<Bed> {
    let bed = Bed::up()?;
    let answers = bed.answers("dendrite", "");
    bed.rcfed(&["init", "--answers", answers.to_str().unwrap(), "--yes", "--no-input"]).well();
    Some(bed)
}

pub fn config(bed: &Bed) -> PathBuf {
    bed.root().join("etc/rcfed/config.toml")
}

pub fn edit(bed: &Bed, old: &str, new: &str) {
    let text = std::fs::read_to_string(config(bed)).unwrap();
    assert!(text.contains(old), "{old} is not in\n{text}");
    std::fs::write(config(bed), text.replace(old, new)).unwrap();
}

pub fn append(bed: &Bed, more: &str) {
    let text = std::fs::read_to_string(config(bed)).unwrap();
    std::fs::write(config(bed), format!("{text}\n{more}")).unwrap();
}

/// What `plan --diff` says, without the lines of files.
pub fn diff(bed: &Bed) -> String {
    let text = bed.rcfed(&["plan", "--diff"]).well().stdout;
    let text = text.split("\n--- ").next().unwrap_or_default().trim_end().to_string();
    text.replace(&*bed.root().to_string_lossy(), "")
}

pub fn gateway_files(bed: &Bed) -> Vec<String> {
    let directory = bed.root().join("var/lib/rcfed/services/gateway");
    ["http.conf", "tls.d/site.conf"].map(|name| std::fs::read_to_string(directory.join(name)).unwrap()).into()
}

pub fn recreated_by_apply(bed: &Bed) -> Vec<String> {
    let before = containers(bed);
    bed.rcfed(&["apply"]).well();
    changed(&before, &containers(bed))
}

pub fn changed(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    let names = after.iter().filter(|(name, id)| before.get(*name) != Some(id)).map(|(name, _)| name.clone());
    let gone = before.keys().filter(|name| !after.contains_key(*name)).cloned();
    names.chain(gone).collect()
}

/// Id and start time of every container, by name.
pub fn containers(bed: &Bed) -> BTreeMap<String, String> {
    let list = bed.run(&["sh", "-c", "docker inspect -f '{{.Name}} {{.Id}} {{.State.StartedAt}}' $(docker ps -aq)"]);
    let pair = |line: &str| line.trim_start_matches('/').split_once(' ').map(|(n, id)| (n.to_string(), id.to_string()));
    list.lines().filter_map(pair).collect()
}

pub fn ids(containers: &BTreeMap<String, String>) -> Vec<(&str, &str)> {
    containers.iter().map(|(name, id)| (name.as_str(), id.split(' ').next().unwrap_or_default())).collect()
}

pub fn others<'a>(containers: &'a BTreeMap<String, String>, name: &str) -> Vec<(&'a String, &'a String)> {
    containers.iter().filter(|(other, _)| *other != name).collect()
}

pub fn dumps(bed: &Bed, service: &str) -> Vec<PathBuf> {
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

pub fn name(path: &std::path::Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

pub fn status(bed: &Bed) -> Value {
    serde_json::from_str(&bed.rcfed(&["status", "--json"]).well().stdout).unwrap()
}

/// From `error:` on.
pub fn sentence(run: &Run) -> String {
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
pub fn commands(run: &Run) -> Vec<String> {
    let lines = run.stderr.lines().map(str::trim_start).filter(|line| line.starts_with("sudo "));
    let commands: Vec<String> = lines.map(String::from).collect();
    assert!(!commands.is_empty(), "{}", run.stderr);
    commands
}

/// Runs printed commands as they are, but for `sudo`, the program's path and the root directory of the test.
pub fn run_commands(bed: &Bed, commands: &[String]) {
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
pub fn remade_with_our_labels(bed: &Bed, name: &str) -> String {
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
pub struct Poll(Child);

impl Poll {
    pub fn start(bed: &Bed, url: &str) -> Self {
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
    pub fn stop(mut self) -> (usize, usize, f64) {
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
