//! The disk is full when rcfed is about to change what is not its own: the settings of somebody's Rocket.Chat are not touched
//! before they are kept, and no site of the machine's nginx is lost.

use crate::front::{Front, Kind};
use crate::full::Full;
use crate::held::Held;
use crate::support::Bed;
use crate::surroundings::Disk;
use crate::theirs::Theirs;
use crate::without_status;

#[test]
#[ignore = "minutes long; `make test-all` runs it"]
fn a_full_disk_before_what_is_not_rcfeds_is_changed() {
    let Some(bed) = Bed::up() else { return };
    let front =
        Front::before(&bed, Kind::Host, &["fed.test", "chat.fed.test", "matrix.fed.test"], "dendrite", "").unwrap();
    let theirs = Theirs::start(&bed, &[]);
    let (before, started) = (theirs.settings(), theirs.started());
    let conf = bed.root().join("etc/nginx/conf.d");
    let old = std::fs::read(conf.join("old.conf")).unwrap();
    let (sites, state) = (Disk::over(&bed, conf, "64k"), Disk::over(&bed, bed.root().join("var/lib"), "4m"));
    let [sites, state] = [&sites, &state].map(|disk| Full::on(&bed, disk, bed.root()));
    std::fs::write(sites.path("old.conf"), old).unwrap();

    let answers = theirs.answers("dendrite", "container = \"chat_rocketchat_1\"");
    let text = std::fs::read_to_string(&answers).unwrap();
    std::fs::write(&answers, format!("proxy = \"host\"\n{text}")).unwrap();
    let init = ["init", "--answers", &answers, "--yes", "--no-input"];
    for (disk, named) in
        [(&sites, "rcfed-http.conf"), (&sites, "rcfed-https.conf"), (&state, "rcfed/rocketchat-settings.json")]
    {
        let words: &[&str] = if bed.root().join("etc/rcfed/config.toml").exists() { &["apply"] } else { &init };
        let held = Held::at(words, &format!("write:{}/{named}", disk.root), &[("RCFED_FAULT_ORDER", "plan")]);
        disk.fill();
        let run = held.go_on();
        disk.refused(named, named, None, &run);
        disk.free();
        front.is_undisturbed();
        assert_eq!(theirs.settings(), before, "{named}");
    }
    let run = bed.rcfed(&["apply"]).well();
    assert!(run.stdout.contains("Federation     valid"), "{}", run.stdout);
    assert_eq!(bed.https("https://chat.fed.test/api/info", &[]).0, 200);
    assert!(bed.rcfed(&["apply"]).well().stderr.contains("nothing was changed"));
    bed.rcfed(&["uninstall", "--yes"]).well();
    assert_eq!((theirs.started(), theirs.tokens()), (started, 0));
    assert_eq!(without_status(theirs.settings()), without_status(before));
    front.is_undisturbed();
    assert_eq!(std::fs::read_dir(&sites.seen).unwrap().count(), 1, "another site");
}
