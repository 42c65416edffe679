//! The answers file on disk.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::{Answers, Problems};
use crate::error::{Error, Explain};

/// The largest answers file that is read: hundreds of times what one needs, and not enough to fill the memory.
pub const MAX_BYTES: u64 = 64 * 1024;

impl Answers {
    /// Reads an answers file.
    pub fn from_file(path: &Path) -> Result<Self, Error> {
        let text = read(path)?;
        Self::from_toml(&text, path).map_err(|problems: Problems| problems.into())
    }
}

/// Why an answers file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is a directory.
    #[error("`{}` is a directory, not an answers file", .0.display())]
    Directory(PathBuf),
    /// There is nothing in it.
    #[error("the answers file `{}` is empty", .0.display())]
    Empty(PathBuf),
    /// There is no such file.
    #[error("there is no answers file `{}`", .0.display())]
    NotFound(PathBuf),
    /// It is not UTF-8.
    #[error("the answers file `{}` is not UTF-8 text: line {line} has other bytes", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// The first line that is not text.
        line: usize,
    },
    /// It is larger than [`MAX_BYTES`].
    #[error("the answers file `{}` is larger than {} KiB", .0.display(), MAX_BYTES / 1024)]
    TooLarge(PathBuf),
    /// The system refused.
    #[error("could not read the answers file `{}`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

impl Explain for FileError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Directory(path) => {
                format!("name the file in it, for example `{}`", path.join("answers.toml").display())
            }
            Self::Empty(_) => "it needs at least one line: `federated_domain = \"example.org\"`".into(),
            Self::NotFound(path) => format!("check the path with `ls -l {}`", path.display()),
            Self::NotText { path, .. } => format!("save it as UTF-8; `file {}` tells what it is now", path.display()),
            Self::TooLarge(path) => format!("`head {}` shows whether it is the right file", path.display()),
            Self::Unreadable { path, source } if source.kind() == io::ErrorKind::PermissionDenied => {
                format!("run it as root, or see `ls -l {}`", path.display())
            }
            Self::Unreadable { path, .. } => format!("look at it with `ls -l {}`", path.display()),
        })
    }

    fn exit_code(&self) -> u8 {
        2
    }
}

fn read(path: &Path) -> Result<String, FileError> {
    let unreadable = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => FileError::NotFound(path.into()),
        io::ErrorKind::IsADirectory => FileError::Directory(path.into()),
        _ => FileError::Unreadable { path: path.into(), source },
    };
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file that is too large from one that just fits, even for a pipe.
    std::fs::File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(FileError::TooLarge(path.into()));
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(FileError::Empty(path.into()));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
        FileError::NotText { path: path.into(), line: good.filter(|byte| **byte == b'\n').count() + 1 }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_a_file_can_be_wrong_is_a_sentence() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let cases = [
            dir.path().join("absent.toml"),
            dir.path().to_path_buf(),
            file("empty.toml", b" \n"),
            file("binary.toml", b"email = \"a\"\n\xff\xfe\n"),
            file("large.toml", &vec![b'#'; 64 * 1024 + 1]),
            file("absent.toml.d", b"x").join("below-a-file"),
        ];
        let table = cases.map(|path| {
            let error = Answers::from_file(&path).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            format!("{error}\n  hint: {}", error.hint().unwrap()).replace(&dir.path().display().to_string(), "/srv")
        });
        insta::assert_snapshot!(table.join("\n"));
    }

    #[test]
    fn the_largest_file_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("answers.toml");
        let mut text = "email = \"you@example.org\"\n".to_owned();
        text.push_str(&"#".repeat(64 * 1024 - text.len()));
        std::fs::write(&path, text).unwrap();
        assert!(Answers::from_file(&path).is_ok());
    }
}
