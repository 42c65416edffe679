//! The relay's image: this very binary and nothing else.

use std::fs::File;
use std::io::Read;
use std::sync::OnceLock;

use sha2::{Digest, Sha256};

use crate::compat;
use crate::config::{Profile, Service};
use crate::error::{Error, Result};
use crate::topology::hex;

/// The running program, even if its file was replaced meanwhile.
const PROGRAM: &str = "/proc/self/exe";
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

/// Refuses a profile with a relay where this program cannot be its image, before anything is touched. Reads one page.
pub fn possible(profile: Profile) -> Result<()> {
    if !compat::services(profile).contains(&Service::Relay) {
        return Ok(());
    }
    let mut head = Vec::new();
    // Linkers put the program headers right after the file's own.
    let read = File::open(PROGRAM).and_then(|file| file.take(4096).read_to_end(&mut head));
    read.map_err(|error| unreadable(&error))?;
    is_static(&head)
}

fn is_static(elf: &[u8]) -> Result<()> {
    if !needs_loader(elf) {
        return Ok(());
    }
    Err(Error::new(
        "this rcfed is not a static binary, so it cannot run in a container of its own",
        "take a released binary, or build with `cargo build --release --target $(uname -m)-unknown-linux-musl`",
    ))
}

/// A root file system with the binary at `/rcfed`.
pub fn tar() -> Result<Vec<u8>> {
    let binary = binary()?;
    is_static(&binary)?;
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o755);
    header.set_size(binary.len() as u64);
    let packed = archive.append_data(&mut header, "rcfed", binary.as_slice()).and_then(|()| archive.into_inner());
    packed.map_err(|error| unpacked(&error))
}

fn unpacked(error: &std::io::Error) -> Error {
    Error::new(format!("could not pack the relay's image: {error}"), "check free memory with `free -h`")
}

fn binary() -> Result<Vec<u8>> {
    std::fs::read(PROGRAM).map_err(|error| unreadable(&error))
}

fn unreadable(error: &std::io::Error) -> Error {
    Error::new(format!("could not read this program: {error}"), "check that /proc is mounted")
}

/// Whether a 64-bit ELF file has a program header of type `PT_INTERP`: the system's loader has to start it.
fn needs_loader(elf: &[u8]) -> bool {
    const PT_INTERP: usize = 3;
    let number = |at: usize, bytes: usize| {
        let bytes = elf.get(at..at.checked_add(bytes)?)?;
        Some(bytes.iter().rev().fold(0usize, |sum, byte| sum << 8 | usize::from(*byte)))
    };
    let headers = || Some((number(0x20, 8)?, number(0x36, 2)?, number(0x38, 2)?));
    let Some((start, size, count)) = headers() else { return false };
    (0..count).any(|n| number(start.saturating_add(n * size), 4) == Some(PT_INTERP))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        let errors =
            [unpacked(&std::io::ErrorKind::OutOfMemory.into()), unreadable(&std::io::Error::from_raw_os_error(2))];
        insta::assert_snapshot!(crate::error::told(errors));
    }

    #[test]
    fn a_binary_that_needs_a_loader_is_told_from_one_that_does_not() {
        assert!(needs_loader(&std::fs::read("/usr/bin/env").unwrap()));
        if cfg!(target_env = "musl") {
            assert!(!needs_loader(&binary().unwrap()));
        }
        assert!(!needs_loader(b"\x7fELF"));
    }

    #[test]
    fn a_page_of_a_dynamic_program_is_enough_to_refuse_it() {
        let page = std::fs::read("/usr/bin/env").unwrap()[..4096].to_vec();
        let error = is_static(&page).unwrap_err();
        insta::assert_snapshot!(format!("{}\n{}", error.message(), error.hint().unwrap_or_default()));
        assert!(possible(Profile::Synapse).is_ok(), "a profile without a relay needs no static program");
        assert_eq!(possible(Profile::Dendrite).is_ok(), !needs_loader(&binary().unwrap()));
    }
}
