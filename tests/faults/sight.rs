//! What a machine looks like: its files and what its engine has, without what differs between any two runs.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{Bed, Run};

/// Files and Docker's objects, comparable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Path to kind, mode, owner and content; secrets stand as their names.
    pub tree: BTreeMap<String, String>,
    /// Containers, networks, volumes, images, one line each.
    pub docker: BTreeSet<String>,
}

impl Sight {
    pub fn of(bed: &Bed) -> Self {
        Self { tree: tree(&bed.root()), docker: docker(bed) }
    }

    pub fn same_as(&self, other: &Self, after: &str) {
        let mut differs = Vec::new();
        for path in self.tree.keys().chain(other.tree.keys()).collect::<BTreeSet<_>>() {
            let (now, then) = (self.tree.get(path), other.tree.get(path));
            if now != then {
                differs.push(format!("{path}\n  now  {now:?}\n  then {then:?}"));
            }
        }
        differs.extend(self.docker.difference(&other.docker).map(|thing| format!("too much: {thing}")));
        differs.extend(other.docker.difference(&self.docker).map(|thing| format!("missing: {thing}")));
        assert!(differs.is_empty(), "after {after}:\n{}", differs.join("\n"));
    }
}

fn paths(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut todo = vec![root.to_path_buf()];
    while let Some(directory) = todo.pop() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                todo.push(path.clone());
            }
            found.push(path);
        }
    }
    found
}

fn tree(root: &Path) -> BTreeMap<String, String> {
    let directory = root.join("var/lib/rcfed/secrets");
    let secrets: Vec<(String, String)> = std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(path).unwrap()))
        .collect();
    let line = |path: PathBuf| {
        let meta = std::fs::symlink_metadata(&path).unwrap();
        let name = path.strip_prefix(root).unwrap().display().to_string();
        // How many are kept is told by another test; their names have the time.
        if let Some((above, _)) = name.split_once("/dumps/") {
            return (format!("{above}/dumps/*"), "dumps".into());
        }
        let content = if meta.is_dir() { "directory".into() } else { content(&name, &path, &secrets) };
        let line = format!("{:o} {}:{} {content}", meta.permissions().mode(), meta.uid(), meta.gid());
        (name, line)
    };
    paths(root).into_iter().map(line).collect()
}

/// Of the journal only what is rcfed's counts, of a verdict not its time, of what was drawn by lot only that it is there.
fn content(name: &str, path: &Path, secrets: &[(String, String)]) -> String {
    let bytes = std::fs::read(path).unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    if name.ends_with("receipt.jsonl") {
        let entries = rcfed::receipt::read(path).unwrap();
        let things: BTreeSet<String> =
            rcfed::receipt::ours(&entries).into_iter().filter_map(|ours| ours.undo.thing()).collect();
        return format!("{things:?}");
    }
    if name.ends_with("federation.json") {
        let verdict: Value = serde_json::from_str(&text).unwrap();
        return format!("{} {}", verdict["federation"], verdict["message_sent"]);
    }
    if name.contains("/secrets/") || name.contains("/acme/") || name.ends_with("pair.pem") {
        return if bytes.is_empty() { "empty".into() } else { "drawn by lot".into() };
    }
    let mut text = text;
    for (name, secret) in secrets.iter().filter(|(_, secret)| secret.len() >= 6) {
        text = text.replace(secret.trim_end(), &format!("<{name}>"));
    }
    text
}

fn docker(bed: &Bed) -> BTreeSet<String> {
    let inspect = |kind: &str, list: &str| -> Vec<Value> {
        let all = format!("ids=$({list}); [ -z \"$ids\" ] && echo '[]' || docker {kind} inspect $ids");
        serde_json::from_str(&bed.run(&["sh", "-c", &all])).unwrap()
    };
    let images = inspect("image", "docker image ls -aq --no-trunc | sort -u");
    let tag = |id: &Value| {
        let image = images.iter().find(|image| image["Id"] == *id);
        image.map_or(id.to_string(), |image| image["RepoTags"][0].to_string())
    };
    let mut things = BTreeSet::new();
    for container in inspect("container", "docker ps -aq") {
        let mut mounts = container["Mounts"].as_array().unwrap().clone();
        mounts.iter_mut().for_each(|mount| _ = mount.as_object_mut().unwrap().remove("Source"));
        mounts.sort_by_key(|mount| mount["Destination"].to_string());
        let mut networks: Vec<&String> = container["NetworkSettings"]["Networks"].as_object().unwrap().keys().collect();
        networks.sort();
        let mut host = container["HostConfig"].clone();
        // The engine lists these in any order.
        for list in ["Mounts", "CapAdd"] {
            if let Some(list) = host[list].as_array_mut() {
                list.sort_by_key(Value::to_string);
            }
        }
        // An engine that was started anew shows a list without anything in it for none.
        for value in host.as_object_mut().unwrap().values_mut().filter(|value| **value == json!([])) {
            *value = Value::Null;
        }
        let mut config = container["Config"].clone();
        config["Image"] = Value::Null;
        if let Some(env) = config["Env"].as_array_mut() {
            env.sort_by_key(Value::to_string);
        }
        let all = json!([tag(&container["Image"]), container["State"]["Running"], mounts, networks, host, config]);
        things.insert(format!("container {} {all}", container["Name"]));
    }
    for network in inspect("network", "docker network ls -q") {
        things.insert(format!("network {} {} {}", network["Name"], network["Labels"], network["EnableIPv6"]));
    }
    for volume in inspect("volume", "docker volume ls -q") {
        things.insert(format!("volume {} {}", volume["Name"].as_str().unwrap(), volume["Labels"]));
    }
    things.extend(images.iter().map(|image| format!("image {} {}", image["RepoTags"], image["RepoDigests"])));
    things
}

/// What a later `init` has to use again, by file name.
pub fn secrets(bed: &Bed) -> BTreeMap<String, Vec<u8>> {
    let state = bed.root().join("var/lib/rcfed");
    let kept = ["secrets", "certificate"].map(|directory| state.join(directory));
    let files =
        kept.iter().flat_map(|directory| std::fs::read_dir(directory).unwrap()).map(|entry| entry.unwrap().path());
    files.map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(path).unwrap())).collect()
}

/// How many certificates the authority has issued so far.
pub fn orders(bed: &Bed) -> usize {
    let log = Path::new(&bed.value("RCFED_STATE")).join("log/acme.log");
    std::fs::read_to_string(log).unwrap().lines().filter(|line| line.contains("Issued certificate serial")).count()
}

/// How often each image was asked for by its tag so far, as the registries saw it.
pub fn pulls(bed: &Bed) -> BTreeMap<String, usize> {
    let mut pulls = BTreeMap::new();
    for log in ["registry-hub.log", "registry-tls.log"] {
        let text = std::fs::read_to_string(Path::new(&bed.value("RCFED_STATE")).join("log").join(log)).unwrap();
        for line in text.lines() {
            let asked = line.split_once("\"HEAD /v2/").and_then(|(_, rest)| rest.split_once("/manifests/"));
            if let Some((name, _)) = asked {
                *pulls.entry(name.to_string()).or_insert(0) += 1;
            }
        }
    }
    pulls
}

/// Whether a run ended by SIGKILL; the bed's shell says it with a number of its own.
pub fn killed(run: &Run) -> bool {
    run.code == Some(128 + 9) || run.signal == Some(9)
}

/// The step of the last whole line that says that one began.
pub fn last_started(bed: &Bed) -> Option<String> {
    let text = std::fs::read_to_string(bed.root().join("var/lib/rcfed/receipt.jsonl")).ok()?;
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let started: Vec<Value> = lines.filter(|line| line["event"] == "started").collect();
    started.last()?["step"].as_str().map(str::to_string)
}
