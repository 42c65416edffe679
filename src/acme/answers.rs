//! The answers to HTTP-01 challenges: one small file for each, there only while it is asked for.

use std::path::{Path, PathBuf};

use super::private;
use crate::host::fs::{self, FileError};

/// Answers in a directory that a web server serves; dropped, it removes them, so also after an error or Ctrl-C.
pub(super) struct Answers<'a> {
    dir: &'a Path,
    files: Vec<PathBuf>,
}

impl<'a> Answers<'a> {
    /// No answers yet; makes the directory if there is none.
    pub fn new(dir: &'a Path) -> Result<Self, FileError> {
        if fs::access(dir)?.is_none() {
            fs::create_directory(dir, private(0o755))?;
        }
        Ok(Self { dir, files: Vec::new() })
    }

    /// Answers `token` with `key_authorization` (RFC 8555 §8.3); the caller has checked the token with [`is_token`].
    pub fn add(&mut self, token: &str, key_authorization: &str) -> Result<(), FileError> {
        let path = self.dir.join(token);
        self.files.push(path.clone());
        fs::write(&path, key_authorization.as_bytes(), private(0o644))
    }
}

impl Drop for Answers<'_> {
    fn drop(&mut self) {
        for file in &self.files {
            let _ = fs::remove(file);
        }
    }
}

/// RFC 8555 §8.3: a token is base64url and nothing else. A server that sends `../x` gets no file written.
pub(super) fn is_token(token: &str) -> bool {
    (22..=128).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_there_and_then_gone() {
        let dir = tempfile::tempdir().unwrap();
        let token = "8559FK5mRvcvk6Ahzo9QsAMEoTGpH2K3VdykYKCmv_4";
        let mut answers = Answers::new(dir.path()).unwrap();
        answers.add(token, "token.thumbprint").unwrap();
        let path = dir.path().join(token);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "token.thumbprint");
        assert_eq!(fs::access(&path).unwrap().unwrap().mode, 0o644);
        drop(answers);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn only_base64url_becomes_a_file_name() {
        assert!(is_token("8559FK5mRvcvk6Ahzo9QsAMEoTGpH2K3VdykYKCmv_4"));
        let long = "a".repeat(129);
        for bad in
            ["", ".", "../../../../etc/cron.d/evil", "8559FK5mRvcvk6Ahzo9QsAMEoTGpH2K3VdykYKCmv/4", "short", &long]
        {
            assert!(!is_token(bad), "{bad}");
        }
    }
}
