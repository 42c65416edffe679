//! A whole machine with systemd and apt, and without Docker, that has the bed's names.

use std::path::PathBuf;

use super::{Bed, Run};

/// The machine, freshly booted.
pub struct Machine<'a> {
    bed: &'a Bed,
    /// Its root directory, from outside.
    pub root: PathBuf,
}

impl<'a> Machine<'a> {
    /// Boots the machine, points the bed's names to it, and gives it the binary and an answers file.
    pub fn up(bed: &'a Bed, profile: &str, more: &str) -> Self {
        bed.bed(&["vm", "up"]);
        for name in ["fed.test", "chat.fed.test", "matrix.fed.test"] {
            bed.bed(&["dns", "set", name, "A", "198.51.100.30"]);
            bed.bed(&["dns", "set", name, "AAAA", "2001:db8:51::30"]);
        }
        let root = PathBuf::from(bed.bed(&["vm", "path"]).trim());
        std::fs::copy(env!("CARGO_BIN_EXE_rcfed"), root.join("usr/local/bin/rcfed")).expect("rcfed on the machine");
        let answers = std::fs::read_to_string(bed.answers(profile, more)).expect("answers");
        let token = PathBuf::from(bed.value("RCFED_STATE")).join("registration-token");
        std::fs::copy(&token, root.join("root/token")).expect("token on the machine");
        let answers =
            answers.replace(&token.display().to_string(), "/root/token").replace(&bed.value("ACME_CA"), "/root/ca.crt");
        std::fs::write(root.join("root/answers.toml"), answers).expect("answers on the machine");
        Self { bed, root }
    }

    /// A command on the machine.
    pub fn run(&self, words: &[&str]) -> Run {
        self.bed.try_bed(&[&["vm", "run"], words].concat())
    }

    /// rcfed on the machine, which asks no cloud.
    pub fn rcfed(&self, words: &[&str]) -> Run {
        self.run(&[&["rcfed", "--metadata", "off"], words].concat())
    }
}
