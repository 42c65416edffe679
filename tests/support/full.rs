//! A small disk that is full just when rcfed writes to it, and what may then be said and left.

use std::io::Write;
use std::path::PathBuf;

use crate::held::pid;
use crate::support::{Bed, Run};
use crate::surroundings::{Disk, sentence, whole};

/// A small disk as the droplet sees it, and as this process sees it.
pub struct Full<'a> {
    pub bed: &'a Bed,
    /// Its path on the droplet.
    pub root: String,
    /// The same as this process reaches it.
    pub seen: PathBuf,
    /// The root of the deployment that has files on it.
    deployment: PathBuf,
}

impl<'a> Full<'a> {
    /// With the deployment whose root is `deployment` on it, or a part of it.
    pub fn on(bed: &'a Bed, disk: &Disk, deployment: PathBuf) -> Self {
        let root = disk.0.to_str().unwrap().to_owned();
        let seen = PathBuf::from(format!("/proc/{}/root{root}", pid(bed, "droplet")));
        Self { bed, root, seen, deployment }
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.seen.join(below)
    }

    /// To the last page, as seen by somebody who makes a new file.
    pub fn fill(&self) {
        let directory = self.path("filler");
        std::fs::create_dir_all(&directory).unwrap();
        let mut file = std::fs::File::create(directory.join("most")).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        for number in 0.. {
            if std::fs::write(directory.join(number.to_string()), "x").is_err() {
                return;
            }
        }
    }

    pub fn free(&self) {
        std::fs::remove_dir_all(self.path("filler")).unwrap();
    }

    /// The error names the file, and what was there is as it was.
    pub fn refused(&self, what: &str, named: &str, before: Option<Vec<u8>>, run: &Run) {
        assert_eq!(run.code, Some(1), "{what}: {}", run.stderr);
        let text = sentence(run);
        let first = text.lines().next().unwrap();
        let file = format!("`{}/{named}", self.root);
        assert!(first.contains(&file) && first.contains("No space left on device"), "{what}: {text}");
        let hint = text.lines().find(|line| line.starts_with("hint:")).unwrap();
        assert!(hint.contains("df -h") && hint.contains(&format!("{}/{named}", self.root)), "{what}: {text}");
        let now = std::fs::read(self.path(named)).ok();
        assert_eq!(now.is_some(), before.is_some(), "{what}: there before, or there now");
        assert!(now == before || named.ends_with("receipt.jsonl"), "{what}: half-written");
        whole(self.bed, &self.deployment);
    }
}
