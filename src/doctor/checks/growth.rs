//! What fills the disk: each volume, the logs and the dumps, and how fast each grows.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::Site;
use super::super::check::{Check, Doc, Place, always};
use super::within;
use crate::finding::Finding;
use crate::host::facts;
use crate::layout;

pub(super) const CHECKS: &[Check] = &[Check {
    id: "disk.growth",
    place: Place::Machine,
    applies: always,
    needs: &["docker.engine"],
    limit: 8,
    run: |site| Box::pin(growth(site)),
    doc: Doc {
        what: "The size of each volume (messages and uploads, media and rooms), of the containers' logs and of the dumps, and how fast each grew since earlier runs.",
        why: "A disk that fills is mended where it fills: media of other servers, uploads, and logs need different answers.",
        fails: "A warning names what alone would fill the disk within 30 days.",
        fix: "Uploads: Workspace > Settings > File Upload and retention policies. Media of other servers: the homeserver's media retention. Dumps: remove those that are not needed.",
        source: "rcfed's own layout; Docker documentation, json-file logging driver.",
    },
}];

const ID: &str = "disk.growth";
const UNMEASURED: &str = "the sizes could not be measured";

async fn growth(site: Arc<Site>) -> Vec<Finding> {
    let root = match site.machine.docker.root_directory().await {
        Ok(root) => PathBuf::from(root),
        Err(error) => return vec![Finding::unknown(ID, "Docker", error.to_string())],
    };
    let mut places: Vec<(String, Vec<PathBuf>)> = Vec::new();
    for volume in &site.machine.topology.volumes {
        places.push((format!("volume {}", volume.name), vec![root.join("volumes").join(&volume.name)]));
    }
    let mut logs = Vec::new();
    for service in site.machine.topology.containers.iter().map(|container| container.service) {
        if let Ok(Some(container)) = site.machine.observe(service).await {
            logs.push(root.join("containers").join(container.id));
        }
    }
    places.push(("logs of the containers".into(), logs));
    places.push((layout::DUMPS.into(), vec![site.machine.path(layout::DUMPS)]));
    let measured = tokio::task::spawn_blocking(move || measure(places)).await;
    let Ok((sizes, whole)) = measured else {
        return vec![Finding::unknown(ID, layout::STATE, UNMEASURED)];
    };
    let free = facts::free_space(&root).ok();
    let days = |name: &str, size| site.past.days_by(name, jiff::Timestamp::now(), size, free?);
    let findings = judge(&sizes, whole, days);
    if whole {
        let _ = site.sizes.set(sizes);
    }
    findings
}

const MB: u64 = 1_000_000;

/// `days` tells in how many a place alone fills the disk, if that can be told.
fn judge(sizes: &BTreeMap<String, u64>, whole: bool, days: impl Fn(&str, u64) -> Option<u64>) -> Vec<Finding> {
    // A part of a size says nothing of how it grows.
    let soon = sizes.iter().filter(|_| whole).filter_map(|(name, size)| {
        let days = days(name, *size).filter(|days| *days < 30)?;
        let said = format!("grew to {} MB, and that alone fills the disk {}", size / MB, within(days));
        Some(Finding::warn(ID, name, said).remedy(advice(name)))
    });
    let findings: Vec<Finding> = soon.collect();
    if !findings.is_empty() {
        return findings;
    }
    let least = if whole { "" } else { "at least " };
    let each = sizes.iter().map(|(name, size)| format!("{name}: {} MB", size / MB));
    let total = sizes.values().sum::<u64>() / MB;
    let finding = Finding::ok(ID, layout::STATE, format!("data, logs and dumps are {least}{total} MB"));
    vec![each.fold(finding, Finding::seen)]
}

fn advice(name: &str) -> &'static str {
    match name {
        "volume rcfed-mongodb" => {
            "messages and uploads: limit uploads and set a retention policy in Rocket.Chat's settings, or enlarge the disk"
        }
        "volume rcfed-homeserver" => {
            "media of other servers: set the homeserver's media retention, or enlarge the disk"
        }
        layout::DUMPS => "remove the dumps that are not needed any more",
        _ => "`sudo rcfed logs` shows what is written; or enlarge the disk",
    }
}

/// Bytes on the disk below each place; `false` if there was not enough time for all.
fn measure(places: Vec<(String, Vec<PathBuf>)>) -> (BTreeMap<String, u64>, bool) {
    let end = Instant::now() + LIMIT;
    let mut whole = true;
    let sizes = places.into_iter().map(|(name, paths)| {
        let size = paths.iter().map(|path| below(path, end, &mut whole)).sum();
        (name, size)
    });
    (sizes.collect(), whole)
}

/// Homeservers keep media in very many small files.
const LIMIT: Duration = Duration::from_millis(1500);

/// Bytes on the disk of a directory and all below it; what cannot be read, or is gone meanwhile, has none.
fn below(path: &Path, end: Instant, whole: &mut bool) -> u64 {
    let mut waiting = vec![path.to_path_buf()];
    let mut bytes = 0;
    while let Some(directory) = waiting.pop() {
        if Instant::now() > end {
            *whole = false;
            return bytes;
        }
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            bytes += meta.blocks() * 512;
            if meta.is_dir() {
                waiting.push(entry.path());
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::super::super::report::tests::told;
    use super::*;

    #[test]
    fn growth_in_words() {
        let names = ["logs of the containers", "volume rcfed-homeserver", "volume rcfed-mongodb", layout::DUMPS];
        let sizes: BTreeMap<String, u64> =
            names.iter().zip(1..).map(|(name, at)| ((*name).into(), at * 900 * MB)).collect();
        let mut findings = vec![Finding::unknown(ID, layout::STATE, UNMEASURED)];
        findings.extend(judge(&sizes, true, |_, size| Some(30 - u64::from(size > 900 * MB))));
        findings.extend(judge(&sizes, true, |name, _| (name == names[0]).then_some(1)));
        findings.extend(judge(&sizes, true, |_, _| None));
        findings.extend(judge(&sizes, false, |_, _| Some(1)));
        insta::assert_snapshot!(told(findings));
    }

    #[test]
    fn everything_below_counts_and_links_lead_nowhere() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("a/b")).unwrap();
        std::fs::write(root.path().join("a/b/file"), vec![7; 300_000]).unwrap();
        std::os::unix::fs::symlink("/", root.path().join("a/link")).unwrap();
        let (sizes, whole) = measure(vec![
            ("one".into(), vec![root.path().join("a")]),
            ("none".into(), vec![root.path().join("missing")]),
        ]);
        assert!(whole && (300_000..400_000).contains(&sizes["one"]) && sizes["none"] == 0, "{sizes:?}");
        let mut whole = true;
        below(root.path(), Instant::now() - Duration::from_millis(1), &mut whole);
        assert!(!whole);
    }
}
