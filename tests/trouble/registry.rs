//! A registry that breaks off in the middle of a layer.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::held::{open_steps, until};
use crate::support::Bed;
use crate::surroundings::{Told, whole};
use crate::{init, run};

/// The bed's images, served in one chosen way until the value goes.
pub struct Registry {
    child: Child,
    log: PathBuf,
    pub until: PathBuf,
}

impl Registry {
    pub fn start(bed: &Bed, mode: &str) -> Self {
        let state = PathBuf::from(bed.value("RCFED_STATE"));
        let (log, go) = (state.join("log/fault-registry.log"), state.join("registry-goes-on"));
        let _ = std::fs::remove_file(&go);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bed/bed");
        let mut command = Command::new(script);
        command.args(["inet", &format!("{}/fault-registry", bed.value("RCFED_BED_BIN"))]);
        command.args(["--listen", "198.51.100.5:5999", "--mode", mode, "--store"]).arg(state.join("registry/hub"));
        command.arg("--until").arg(&go);
        command.stdin(Stdio::null()).stdout(File::create(&log).unwrap()).process_group(0);
        let registry = Self { child: command.spawn().unwrap(), log, until: go };
        until("the registry's start", || registry.said("listening"));
        registry
    }

    pub fn said(&self, word: &str) -> bool {
        std::fs::read_to_string(&self.log).unwrap().contains(word)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).unwrap();
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.until);
    }
}

pub fn cut_in_a_layer(bed: &Bed, told: &mut Told) {
    let registry = Registry::start(bed, "cut");
    told.add("the registry breaks off in a layer", &run(bed, &init(bed)));
    assert!(registry.said("cut at"));
    assert_eq!(open_steps(&bed.root()), ["image:gateway"]);
    whole(bed, &bed.root());
}
