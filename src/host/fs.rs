//! Files: written whole or not at all, with their mode from the first byte on.

use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::fault;

/// Owner and permission bits of a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Access {
    /// Permission bits, e.g. `0o600`.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
}

impl Access {
    /// Root's own, with these permission bits.
    pub const fn root(mode: u32) -> Self {
        Self { mode, uid: 0, gid: 0 }
    }
}

/// A file operation that failed, with the path.
#[derive(Debug, thiserror::Error)]
#[error("could not {what} `{}`", path.display())]
pub struct FileError {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl FileError {
    pub(super) fn new(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self { what, path: path.into(), source }
    }

    /// The kind of the cause.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }
}

impl crate::error::Explain for FileError {
    fn hint(&self) -> Option<String> {
        let path = self.path.display();
        Some(match self.source.kind() {
            io::ErrorKind::PermissionDenied => "run it as root: put `sudo` in front of the command".into(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                format!("make room on the disk that holds {path} (`df -h`), then run the same command again")
            }
            io::ErrorKind::ReadOnlyFilesystem => format!("{path} is on a read-only file system (`findmnt -T {path}`)"),
            io::ErrorKind::NotFound => format!("check the path with `ls -l {path}`"),
            _ => format!("look at it with `ls -ld {path}`"),
        })
    }
}

/// Reads a file; `None` if there is none.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::new("read", path, error)),
    }
}

/// Reads a text file; `None` if there is none.
pub fn read_text(path: &Path) -> Result<Option<String>, FileError> {
    let text = read(path)?.map(String::from_utf8).transpose();
    text.map_err(|error| FileError::new("read", path, io::Error::new(io::ErrorKind::InvalidData, error.utf8_error())))
}

/// Owner and mode of what is there; `None` if nothing is.
pub fn access(path: &Path) -> Result<Option<Access>, FileError> {
    match std::fs::symlink_metadata(path) {
        Ok(meta) => Ok(Some(Access { mode: meta.mode() & 0o7777, uid: meta.uid(), gid: meta.gid() })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::new("look at", path, error)),
    }
}

/// Writes a file whole or not at all: a temporary file beside it, synced, renamed, and the directory synced.
pub fn write(path: &Path, bytes: &[u8], access: Access) -> Result<(), FileError> {
    let temporary = beside(path);
    fault::point(format_args!("write:{}", path.display()));
    let result = write_new(&temporary, bytes, access).and_then(|()| {
        fault::point(format_args!("rename:{}", path.display()));
        std::fs::rename(&temporary, path)
    });
    if let Err(error) = result {
        let _ = std::fs::remove_file(&temporary);
        return Err(FileError::new("write", path, error));
    }
    path.parent().map_or(Ok(()), sync_directory)
}

/// Writes a file for whoever runs this, whole or not at all. What is there and is no file, such as `/dev/stdout` or a pipe,
/// is written to and stays what it is.
pub fn deliver(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    if std::fs::metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir()) {
        let opened = std::fs::OpenOptions::new().write(true).open(path);
        return opened.and_then(|mut file| file.write_all(bytes)).map_err(|error| FileError::new("write", path, error));
    }
    let me = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    write(path, bytes, Access { mode: 0o644, uid: me.0, gid: me.1 })
}

/// Fails as [`write()`] would if the disk had no room for this many bytes; leaves nothing behind.
pub fn room(path: &Path, bytes: usize) -> Result<(), FileError> {
    let temporary = beside(path);
    fault::point(format_args!("room:{}", path.display()));
    let me = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let result = write_new(&temporary, &vec![0; bytes], Access { mode: 0o600, uid: me.0, gid: me.1 });
    let _ = std::fs::remove_file(&temporary);
    result.map_err(|error| FileError::new("write", path, error))
}

/// Makes a directory with this owner and mode, and those above it with mode 0755.
pub fn create_directory(path: &Path, access: Access) -> Result<(), FileError> {
    std::fs::create_dir_all(path).map_err(|error| FileError::new("create", path, error))?;
    give(path, access)
}

/// Sets owner and mode.
pub fn give(path: &Path, access: Access) -> Result<(), FileError> {
    std::os::unix::fs::chown(path, Some(access.uid), Some(access.gid))
        .and_then(|()| std::fs::set_permissions(path, std::fs::Permissions::from_mode(access.mode)))
        .map_err(|error| FileError::new("give away", path, error))
}

/// Removes a file; that there is none is fine.
pub fn remove(path: &Path) -> Result<(), FileError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FileError::new("remove", path, error)),
        _ => Ok(()),
    }
}

/// Puts a file in another's place.
pub fn rename(from: &Path, to: &Path) -> Result<(), FileError> {
    std::fs::rename(from, to).map_err(|error| FileError::new("put back", to, error))
}

/// Removes a directory with everything in it; that there is none is fine. Links are removed, not followed.
pub fn remove_tree(path: &Path) -> Result<(), FileError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FileError::new("remove", path, error)),
        _ => Ok(()),
    }
}

/// Removes a directory if it is empty; returns whether it is gone.
pub fn remove_empty(path: &Path) -> Result<bool, FileError> {
    match std::fs::remove_dir(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) if matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotADirectory) => {
            Ok(false)
        }
        Err(error) => Err(FileError::new("remove", path, error)),
    }
}

/// The temporary files that killed runs of [`write()`] left beside a path. Nobody may be writing.
pub fn unfinished(path: &Path) -> Vec<PathBuf> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Vec::new() };
    let start = format!(".{}.", name.to_string_lossy());
    let process = |file: &str| -> Option<()> {
        let digits = file.strip_prefix(&start)?.strip_suffix(".new")?;
        (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then_some(())
    };
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    let left = entries.filter(|entry| process(&entry.file_name().to_string_lossy()).is_some());
    left.map(|entry| entry.path()).collect()
}

/// Copies a file with its owner and mode, whole or not at all, unless the copy is there already.
pub fn back_up(path: &Path, backup: &Path) -> Result<(), FileError> {
    if self::access(backup)?.is_some() {
        return Ok(());
    }
    match (read(path)?, self::access(path)?) {
        (Some(bytes), Some(access)) => write(backup, &bytes, access),
        _ => Ok(()),
    }
}

fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Two steps may write the same file at the same time.
    static WRITES: AtomicU32 = AtomicU32::new(0);
    let number = WRITES.fetch_add(1, Ordering::Relaxed);
    path.with_file_name(format!(".{name}.{}{number:06}.new", std::process::id()))
}

fn write_new(path: &Path, bytes: &[u8], access: Access) -> io::Result<()> {
    let _ = std::fs::remove_file(path);
    // 0600 until it belongs to its owner: a secret is never readable by others, not even for a moment.
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    std::os::unix::fs::fchown(&file, Some(access.uid), Some(access.gid))?;
    file.set_permissions(std::fs::Permissions::from_mode(access.mode))?;
    file.sync_all()
}

fn sync_directory(path: &Path) -> Result<(), FileError> {
    // The parent of a bare file name.
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    std::fs::File::open(path).and_then(|dir| dir.sync_all()).map_err(|error| FileError::new("sync", path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_is_written_to_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (pipe, link) = (dir.path().join("pipe"), dir.path().join("link"));
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        std::os::unix::fs::symlink(&pipe, &link).unwrap();
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || std::fs::read(pipe).unwrap()
        });
        deliver(&link, b"report").unwrap();
        // First, or a broken one would be waited for in vain.
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(reader.join().unwrap(), b"report");
        let file = dir.path().join("file");
        deliver(&file, b"report").unwrap();
        assert_eq!(super::access(&file).unwrap().unwrap().mode, 0o644);
        assert!(deliver(dir.path(), b"report").is_err());
    }

    #[test]
    fn sentences() {
        use io::ErrorKind as Kind;
        let kinds =
            [Kind::PermissionDenied, Kind::StorageFull, Kind::ReadOnlyFilesystem, Kind::NotFound, Kind::NotADirectory];
        let errors = kinds.map(|kind| FileError::new("write", Path::new("/var/lib/rcfed/images.json"), kind.into()));
        insta::assert_snapshot!(crate::error::told(errors.map(Into::into)));
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let mine =
            Access { mode: 0o640, uid: rustix::process::getuid().as_raw(), gid: rustix::process::getgid().as_raw() };
        write(&path, b"old", mine).unwrap();
        assert_eq!(super::access(&path).unwrap(), Some(mine));
        // A directory cannot be replaced by a file: the rename fails after the temporary file was written.
        let busy = dir.path().join("busy");
        std::fs::create_dir(&busy).unwrap();
        std::fs::write(busy.join("x"), "x").unwrap();
        let error = write(&busy, b"new", mine).unwrap_err();
        assert!(error.to_string().contains("could not write"));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
        assert_eq!(read(&path).unwrap().unwrap(), b"old");
    }
}
