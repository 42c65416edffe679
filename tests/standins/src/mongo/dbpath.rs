//! The data directory: whether mongod may have it, and the lock that says it does.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

/// Takes the directory; the file must be kept open. The error is what mongod logs before it exits with 100
/// (EXIT_UNCAUGHT, what it uses for a data directory it cannot have).
pub(super) fn lock(path: &Path) -> Result<File, String> {
    let shown = path.display();
    let metadata = fs::metadata(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => format!(
            "NonExistentPath: Data directory {shown} not found. Create the missing directory or specify another path \
             using (1) the --dbpath command line option, or (2) by adding the 'storage.dbPath' option in the \
             configuration file."
        ),
        _ => format!("Location28596: Unable to determine status of lock file in the data directory {shown}: {error}"),
    })?;
    let uid = rustix::process::geteuid();
    if !uid.is_root() && metadata.uid() != uid.as_raw() {
        return Err(read_only(path));
    }
    let lock_path = path.join("mongod.lock");
    let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&lock_path);
    let mut file = file.map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => read_only(path),
        _ => format!("DBPathInUse: Unable to create/open the lock file: {} ({error})", lock_path.display()),
    })?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        return Err(format!(
            "DBPathInUse: Unable to lock the lock file: {} (Resource temporarily unavailable). Another mongod instance \
             is already running on the {shown} directory",
            lock_path.display()
        ));
    }
    let written = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    written.map_err(|error| format!("FileStreamFailed: Unable to write process id to file: {error}"))?;
    Ok(file)
}

fn read_only(path: &Path) -> String {
    format!("IllegalOperation: Attempted to create a lock file on a read-only directory: {}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_had_once() {
        let directory = tempfile::tempdir().unwrap();
        let first = lock(directory.path()).unwrap();
        assert!(lock(directory.path()).unwrap_err().starts_with("DBPathInUse"));
        drop(first);
        lock(directory.path()).unwrap();
        assert!(lock(&directory.path().join("none")).unwrap_err().starts_with("NonExistentPath"));
    }
}
