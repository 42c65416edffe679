//! The engine dies, and comes back.

use rustix::process::{Pid, Signal, kill_process};

use crate::held::{Held, open_steps, pid, until};
use crate::registry::Registry;
use crate::support::Bed;
use crate::surroundings::{Told, whole};
use crate::{converged, run};

/// As a crash, or the kernel for want of memory, would: without a word to anybody.
fn kill(bed: &Bed) {
    kill_process(Pid::from_raw(pid(bed, "droplet-docker")).unwrap(), Signal::KILL).unwrap();
    until("the engine's end", || {
        bed.run(&["sh", "-c", "docker version >/dev/null 2>&1 && echo up || echo down"]) == "down\n"
    });
}

/// What of it lives on is ended too, as a new start of the unit would.
fn start(bed: &Bed) {
    bed.bed(&["stop-docker"]);
    bed.bed(&["start-docker"]);
}

pub fn killed_during_a_pull(bed: &Bed, told: &mut Told) {
    let registry = Registry::start(bed, "wait");
    let apply = Held::start(&["apply"], &[]);
    until("the pull", || registry.said("waiting"));
    assert!(open_steps(&bed.root()).contains(&"image:gateway".to_string()));
    kill(bed);
    told.add("the engine dies during a pull", &apply.ended());
    whole(bed, &bed.root());
    start(bed);
}

/// Something for which a container is made anew.
pub fn change(bed: &Bed) {
    let config = bed.root().join("etc/rcfed/config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}\n[memory]\nrelay = 64\n")).unwrap();
}

pub fn killed_while_a_container_starts(bed: &Bed, told: &mut Told) {
    change(bed);
    let apply = Held::at(&["apply"], "created:rcfed-relay-next", &[]);
    kill(bed);
    told.add("the engine dies while a container starts", &apply.go_on());
    whole(bed, &bed.root());
    start(bed);
    assert!(bed.run(&["docker", "ps", "-a", "--format", "{{.Names}}"]).contains("rcfed-relay-next"));
    run(bed, &["apply".into()]).well();
    converged(bed);
    assert!(!bed.run(&["docker", "ps", "-a", "--format", "{{.Names}}"]).contains("rcfed-relay-next"));
    assert_eq!(bed.run(&["docker", "inspect", "-f", "{{.HostConfig.Memory}}", "rcfed-relay"]).trim(), "67108864");
}

pub fn killed_while_idle(bed: &Bed) {
    kill(bed);
    let status = bed.rcfed(&["status"]);
    assert_eq!(status.code, Some(1), "{}", status.stderr);
    start(bed);
    let apply = bed.rcfed(&["apply"]).well();
    // The engine brings the containers back; rcfed only waits for them.
    assert!(!apply.stderr.contains("start rcfed-"), "{}", apply.stderr);
    converged(bed);
}
