//! The machine's cable is pulled, and plugged in again.

use std::time::Duration;

use crate::all;
use crate::held::{Held, until};
use crate::registry::Registry;
use crate::support::Bed;
use crate::surroundings::{Told, whole};

fn link(bed: &Bed, state: &str) {
    let run = std::process::Command::new("ip")
        .args(["-n", &bed.value("RCFED_BED_INET_NETNS"), "link", "set", "d10", state])
        .status();
    assert!(run.unwrap().success());
}

pub fn gone_during_a_pull_and_an_order(bed: &Bed, told: &mut Told) {
    let registry = Registry::start(bed, "wait");
    // The second order is the real one, after the rehearsal.
    let env = [("RCFED_FAULT", "order*2"), ("RCFED_FAULT_SIGNAL", "STOP")];
    let apply = Held::start(&["apply"], &env);
    until("the pull", || registry.said("waiting"));
    link(bed, "down");
    std::thread::sleep(Duration::from_secs(3));
    link(bed, "up");
    std::fs::write(&registry.until, "").unwrap();
    let apply = apply.until_stopped("order*2");
    link(bed, "down");
    if all() {
        told.add("no network during an order", &apply.go_on());
        link(bed, "up");
        whole(bed, &bed.root());
        bed.rcfed(&["apply"]).well();
        return;
    }
    // Some seconds are not even noticed.
    let apply = apply.goes_on();
    std::thread::sleep(Duration::from_secs(3));
    link(bed, "up");
    apply.ended().well();
}
