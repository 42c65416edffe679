//! What is somebody else's, and what is gone.

use super::*;
use crate::host::docker::Listed;

fn line(found: &Found) -> String {
    match found {
        Found::Foreign(why, way) => format!("foreign: {why}\n  → {way}"),
        Found::Gone => "gone".into(),
        Found::Here => "here".into(),
        Found::Stays(why) => format!("stays: {why}"),
    }
}

#[test]
fn what_is_in_the_way_of_files_and_networks() {
    let root = tempfile::tempdir().unwrap();
    let host = Host { root: root.path().into(), docker: String::new(), nameserver: None, metadata: None };
    std::fs::create_dir_all(root.path().join("etc/cron.d/rcfed")).unwrap();
    std::fs::write(root.path().join("etc/file"), "somebody's").unwrap();
    let web = Listed {
        name: "web".into(),
        networks: vec!["rcfed".into()],
        volumes: vec!["rcfed-mongodb".into()],
        ..Listed::default()
    };
    let inventory = Inventory { containers: vec![web], ..Inventory::default() };
    let mut look = Look { host: &host, docker: None, inventory, purge: true, connected: BTreeSet::new() };
    let wrote = hex(&Sha256::digest("rcfed's"));
    let is = hex(&Sha256::digest("somebody's"));
    let mut told = vec![
        line(&look.file(Path::new("/etc/none"), &[]).unwrap()),
        line(&look.file(Path::new("/etc/file"), std::slice::from_ref(&is)).unwrap()),
        line(&look.file(Path::new("/etc/file"), &[wrote]).unwrap()),
        line(&look.file(Path::new("/etc/cron.d/rcfed"), &[]).unwrap()),
        line(&look.tree(Path::new("/etc/file")).unwrap()),
        line(&look.used_by_others("network", &"rcfed".into(), |container| &container.networks)),
        line(&look.used_by_others("volume", &"rcfed-mongodb".into(), |container| &container.volumes)),
    ];
    told.extend(["container", "network", "volume"].map(|kind| line(&not_made(kind, "rcfed"))));
    told.extend([nobody("chat"), stands("chat", Path::new(layout::SETTINGS_BEFORE))].iter().map(line));
    look.connected.insert("web".into());
    told.push(line(&look.used_by_others("network", &"rcfed".into(), |container| &container.networks)));
    insta::assert_snapshot!(told.join("\n"));
}

#[tokio::test]
async fn what_keeps_packages_and_directories() {
    let root = tempfile::tempdir().unwrap();
    let host = Host { root: root.path().into(), docker: String::new(), nameserver: None, metadata: None };
    let mut told = Vec::new();
    let strangers = [
        Inventory { containers: vec![Listed { name: "web".into(), ..Listed::default() }], ..Inventory::default() },
        Inventory { foreign_volumes: vec!["photos".into()], ..Inventory::default() },
        Inventory { images: vec![("sha256:1".into(), vec!["debian:12".into()])], ..Inventory::default() },
    ];
    for inventory in strangers {
        let look = Look { host: &host, docker: None, inventory, purge: true, connected: BTreeSet::new() };
        told.extend(look.who_needs_docker(&Survey::default(), &["docker.io".into()]).await.unwrap());
    }
    let directory =
        |path: &str| Ours { step: String::new(), undo: Undo::RemoveDirectory { path: path.into() }, sha256: vec![] };
    let ours = [directory("/var/lib/rcfed/services"), directory("/var/lib/rcfed/services/relay")];
    std::fs::create_dir_all(root.path().join("var/lib/rcfed/services/relay")).unwrap();
    std::fs::write(root.path().join("var/lib/rcfed/services/relay/notes"), "").unwrap();
    let mut survey = Survey::default();
    directories(&host, &ours, &mut survey).unwrap();
    told.extend(survey.stays.iter().map(|(undo, why)| format!("{}: {why}", undo.path().unwrap().display())));
    told.push(dragged("containerd"));
    insta::assert_snapshot!(told.join("\n"));
}
