//! The relay's image: this very binary and nothing else.

use std::sync::OnceLock;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::topology::hex;

/// Its name in Docker.
pub const REPOSITORY: &str = "rcfed-relay";

/// Its tag: the first twelve digits of the binary's SHA-256.
pub fn tag() -> Result<String> {
    static TAG: OnceLock<String> = OnceLock::new();
    if let Some(tag) = TAG.get() {
        return Ok(tag.clone());
    }
    let hash = hex(&Sha256::digest(binary()?));
    Ok(TAG.get_or_init(|| hash.chars().take(12).collect()).clone())
}

/// A root file system with the binary at `/rcfed`.
pub fn tar() -> Result<Vec<u8>> {
    let binary = binary()?;
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o755);
    header.set_size(binary.len() as u64);
    let packed = archive.append_data(&mut header, "rcfed", binary.as_slice()).and_then(|()| archive.into_inner());
    packed.map_err(|error| {
        Error::new(format!("could not pack the relay's image: {error}"), "check free memory with `free -h`")
    })
}

fn binary() -> Result<Vec<u8>> {
    // The running program, even if its file was replaced meanwhile.
    std::fs::read("/proc/self/exe")
        .map_err(|error| Error::new(format!("could not read this program: {error}"), "check that /proc is mounted"))
}
