//! The start scripts, run by a real shell with stand-ins for what they start.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use rcfed::config::{Profile, Proxy, Service};
use tempfile::TempDir;

use crate::{NAMES, config, files};

#[test]
fn secrets_become_variables_whatever_is_in_them() {
    let dir = script(Service::Rocketchat, &[("/run/rcfed", "DIR")]);
    program(dir.path(), "node", "printf '%s|' \"$*\" \"$MONGO_URL\" \"$ADMIN_PASS\"");
    std::fs::create_dir(dir.path().join("env")).unwrap();
    std::fs::write(dir.path().join("env/MONGO_URL"), "mongodb://a:b@c/d?e=f&g").unwrap();
    std::fs::write(dir.path().join("env/ADMIN_PASS"), "a b\"c$HOME`id`\\'\nd").unwrap();
    // What an interrupted write leaves is no variable.
    std::fs::write(dir.path().join("env/.ADMIN_PASS.1.new"), "x").unwrap();
    let output = run(dir.path());
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said, "main.js|mongodb://a:b@c/d?e=f&g|a b\"c$HOME`id`\\'\nd|");
}

#[test]
fn an_interrupted_initdb_is_begun_again_and_a_cluster_is_made_once() {
    let dir = script(Service::Postgres, &[("/var/lib/postgresql/data", "DIR/data")]);
    std::fs::create_dir(dir.path().join("data")).unwrap();
    program(dir.path(), "postgres", "echo \"postgres $2 $(cat \"$2/PG_VERSION\") $(wc -l < \"$2/pg_hba.conf\")\"");

    // Killed in the middle: a version file, but no end.
    program(dir.path(), "initdb", "d=${1#--pgdata=}; mkdir \"$d\"; echo half > \"$d/PG_VERSION\"; exit 1");
    assert!(!run(dir.path()).status.success());
    program(dir.path(), "initdb", "d=${1#--pgdata=}; mkdir \"$d\"; echo 17 > \"$d/PG_VERSION\"");
    let started = format!("postgres {} 17 1\n", dir.path().join("data/pg").display());
    assert_eq!(String::from_utf8(run(dir.path()).stdout).unwrap(), started);
    program(dir.path(), "initdb", "exit 1");
    assert_eq!(String::from_utf8(run(dir.path()).stdout).unwrap(), started);

    // Something else in its place is nobody's to remove.
    std::fs::remove_file(dir.path().join("data/pg/PG_VERSION")).unwrap();
    let refused = run(dir.path());
    assert!(!refused.status.success() && String::from_utf8(refused.stderr).unwrap().contains("is no database cluster"));
    assert!(dir.path().join("data/pg/pg_hba.conf").exists());
}

/// A directory with the `start.sh` of a service, in which `DIR` of the replacements is that directory.
fn script(service: Service, replace: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let files = files(&config(Profile::Dendrite, NAMES[0], Proxy::Gateway), false);
    let file = files.iter().find(|file| file.service == service && file.name == "start.sh").unwrap();
    let text = replace.iter().fold(file.text.clone(), |text, (from, to)| {
        text.replace(from, &to.replace("DIR", dir.path().to_str().unwrap()))
    });
    std::fs::write(dir.path().join("start.sh"), text).unwrap();
    dir
}

fn program(dir: &Path, name: &str, body: &str) {
    let bin = dir.join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::write(bin.join(name), format!("#!/bin/sh\n{body}\n")).unwrap();
    std::fs::set_permissions(bin.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn run(dir: &Path) -> Output {
    let path = format!("{}:/usr/bin:/bin", dir.join("bin").display());
    Command::new("sh").arg(dir.join("start.sh")).env("PATH", path).output().unwrap()
}
