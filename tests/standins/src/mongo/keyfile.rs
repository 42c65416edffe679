//! The replica set's shared key: what mongod demands of its file before it starts.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Whether mongod would take this file; the error is its message (MongoDB manual, "Keyfiles": 6 to 1024 characters of
/// the base64 set, whitespace is stripped, no permissions for group and others).
pub(super) fn check(path: &Path) -> Result<(), String> {
    let shown = path.display();
    let metadata = fs::metadata(path).map_err(|error| format!("Error reading file {shown}: {error}"))?;
    if metadata.mode() & 0o077 != 0 {
        return Err(format!("permissions on {shown} are too open"));
    }
    let text = fs::read(path).map_err(|error| format!("Error opening file: {shown}: {error}"))?;
    let key: Vec<u8> = text.into_iter().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    if !key.iter().all(base64) {
        return Err(format!("invalid char in key file {shown}"));
    }
    if !(6..=1024).contains(&key.len()) {
        return Err(format!("security key in {shown} has length {}, must be between 6 and 1024 chars", key.len()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn only_a_private_file_of_base64_is_a_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let with = |text: &str, mode| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            check(&path)
        };
        assert_eq!(with("c2VjcmV0\n", 0o400), Ok(()));
        assert_eq!(with("c2VjcmV0\n", 0o600), Ok(()));
        assert!(with("c2VjcmV0", 0o640).unwrap_err().ends_with("are too open"));
        assert!(with("ab", 0o600).unwrap_err().contains("between 6 and 1024"));
        assert!(with("secret-key", 0o600).unwrap_err().starts_with("invalid char"));
        assert!(check(&directory.path().join("none")).is_err());
    }
}
