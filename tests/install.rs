//! install.sh, run by the real shell against a real server with a small archive.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/install.sh");
const ARCHIVE: &str = "rcfed-x86_64-unknown-linux-musl.tar.gz";

/// A directory that is served, and another to install into.
struct Bed {
    root: tempfile::TempDir,
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
}

impl Bed {
    /// Serves an archive whose `rcfed` says `version`, and its checksum.
    fn new(version: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        for directory in ["served", "temp", "tools"] {
            fs::create_dir(root.path().join(directory)).unwrap();
        }
        let requests = Arc::new(AtomicUsize::new(0));
        let address = serve(root.path().join("served"), requests.clone());
        let bed = Self { root, address, requests };
        // Whatever machine the test runs on, the script sees one that it has an archive for.
        bed.tool("uname", "[ \"$1\" = -s ] && echo Linux || echo x86_64");
        bed.publish(version, "");
        bed
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn tool(&self, name: &str, body: &str) {
        script(&self.path("tools").join(name), body);
    }

    /// Puts an archive into `served/{below}`.
    fn publish(&self, version: &str, below: &str) {
        let program = self.path("rcfed-x86_64-unknown-linux-musl");
        fs::create_dir_all(&program).unwrap();
        script(&program.join("rcfed"), &format!("[ \"$1\" = init ] && echo \"asked: $*\" || echo 'rcfed {version}'"));
        let served = self.path("served").join(below);
        fs::create_dir_all(&served).unwrap();
        let archive = served.join(ARCHIVE);
        let status = Command::new("tar")
            .args(["-czf", archive.to_str().unwrap(), "-C", self.root.path().to_str().unwrap()])
            .arg(program.file_name().unwrap())
            .status();
        assert!(status.unwrap().success());
        let sum = Command::new("sha256sum").arg(ARCHIVE).current_dir(&served).output().unwrap();
        fs::write(served.join(format!("{ARCHIVE}.sha256")), sum.stdout).unwrap();
    }

    fn command(&self) -> Command {
        let mut command = Command::new("/bin/sh");
        command.env_clear().stdin(Stdio::null());
        command.env("PATH", format!("{}:{}", self.path("tools").display(), std::env::var("PATH").unwrap()));
        command.env("TMPDIR", self.path("temp")).env("HOME", self.root.path());
        command.env("RCFED_BASE_URL", format!("http://{}", self.address)).env("RCFED_INSTALL_DIR", self.path("bin"));
        command
    }

    fn install(&self, change: impl FnOnce(&mut Command)) -> Output {
        let mut command = self.command();
        command.arg(SCRIPT);
        change(&mut command);
        command.output().unwrap()
    }

    /// Says what went wrong, after looking that nothing was left behind.
    fn refused(&self, change: impl FnOnce(&mut Command)) -> String {
        let output = self.install(change);
        let told = said(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(!self.path("bin").join("rcfed").exists(), "{told}");
        self.assert_clean();
        let told =
            told.replace(&self.address.to_string(), "ADDRESS").replace(self.root.path().to_str().unwrap(), "ROOT");
        // After whatever curl itself had to say.
        let start = told.find("\nerror: ").map_or(0, |newline| newline + 1);
        told[start..].to_owned()
    }

    /// No temporary file remains.
    fn assert_clean(&self) {
        assert_eq!(fs::read_dir(self.path("temp")).unwrap().count(), 0);
        if let Ok(files) = fs::read_dir(self.path("bin")) {
            assert!(files.flatten().all(|file| file.file_name() == "rcfed"));
        }
    }
}

#[test]
fn it_places_the_program_and_says_what_is_next() {
    let bed = Bed::new("1.0.0");
    let output = bed.install(|_| {});
    assert!(output.status.success(), "{}", said(&output));
    let placed = bed.path("bin").join("rcfed");
    assert_eq!(fs::metadata(&placed).unwrap().permissions().mode() & 0o777, 0o755);
    assert!(said(&output).contains(&format!("sudo {} init", placed.display())), "{}", said(&output));
    assert!(said(&output).contains(&format!("rm {}", placed.display())));
    assert!(said(&output).contains("is not in your PATH"));
    bed.assert_clean();
}

#[test]
fn a_second_run_replaces_the_program_in_one_step() {
    let bed = Bed::new("1.0.0");
    assert!(bed.install(|_| {}).status.success());
    let placed = bed.path("bin").join("rcfed");
    // Whoever runs the old one keeps the old file.
    let old = fs::read(&placed).unwrap();
    let mut running = fs::File::open(&placed).unwrap();
    bed.publish("2.0.0", "");
    assert!(bed.install(|_| {}).status.success());
    let mut kept = Vec::new();
    std::io::Read::read_to_end(&mut running, &mut kept).unwrap();
    assert_eq!(kept, old);
    let version = Command::new(&placed).arg("--version").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&version.stdout), "rcfed 2.0.0\n");
    bed.assert_clean();
}

#[test]
fn a_version_and_a_checksum_can_be_pinned() {
    let bed = Bed::new("2.0.0");
    bed.publish("1.0.0", "v1.0.0");
    let sums = fs::read_to_string(bed.path("served/v1.0.0").join(format!("{ARCHIVE}.sha256"))).unwrap();
    fs::remove_file(bed.path("served/v1.0.0").join(format!("{ARCHIVE}.sha256"))).unwrap();
    let sum = sums.split(' ').next().unwrap();
    let output = bed.install(|command| {
        command.env("RCFED_VERSION", "v1.0.0").env("RCFED_SHA256", sum);
    });
    assert!(said(&output).contains("installed rcfed 1.0.0"), "{}", said(&output));
}

#[test]
fn init_is_run_afterwards_with_its_options() {
    let bed = Bed::new("1.0.0");
    bed.tool("id", "echo 0");
    let output = bed.install(|command| {
        command.args(["init", "--answers", "a b"]);
    });
    assert_eq!(String::from_utf8_lossy(&output.stdout), "asked: init --answers a b\n", "{}", said(&output));
    bed.assert_clean();
}

#[test]
fn wget_serves_where_curl_is_missing() {
    let bed = Bed::new("1.0.0");
    let output = bed.install(|command| {
        command.env("PATH", only(&bed, &["wget", "sha256sum"]));
    });
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn an_archive_that_is_not_the_published_one_is_refused() {
    let bed = Bed::new("1.0.0");
    let sum = format!("{}  {ARCHIVE}\n", "0".repeat(64));
    fs::write(bed.path("served").join(format!("{ARCHIVE}.sha256")), sum).unwrap();
    assert!(bed.refused(|_| {}).starts_with("error: the archive is not the published one"));
    for sum in ["", "\n", "<html>", "abc"] {
        fs::write(bed.path("served").join(format!("{ARCHIVE}.sha256")), sum).unwrap();
        bed.refused(|_| {});
    }
    fs::remove_file(bed.path("served").join(format!("{ARCHIVE}.sha256"))).unwrap();
    let told = bed.refused(|_| {});
    assert!(told.starts_with("error: could not fetch") && told.contains(".sha256"), "{told}");
}

#[test]
fn without_a_tool_to_verify_nothing_is_installed() {
    let bed = Bed::new("1.0.0");
    let told = bed.refused(|command| {
        command.env("PATH", only(&bed, &["curl"]));
    });
    assert!(told.contains("no sha256sum, shasum or openssl"), "{told}");
}

#[test]
fn what_cannot_be_fetched_or_run_is_told() {
    let bed = Bed::new("1.0.0");
    fs::remove_file(bed.path("served").join(ARCHIVE)).unwrap();
    assert!(bed.refused(|_| {}).starts_with("error: could not fetch http://ADDRESS/rcfed-"));
    let bed = Bed::new("1.0.0'; exit 1; '");
    let told = bed.refused(|_| {});
    assert!(told.contains("does not run") && told.contains("noexec"), "{told}");
}

#[test]
fn only_https_is_fetched_from_elsewhere() {
    let bed = Bed::new("1.0.0");
    let refused = [
        "http://example.org",
        "http://localhost.example.org",
        "http://127.0.0.1@example.org",
        "http://127.0.0.1:80@example.org/",
        "http://127.0.0.1.example.org",
        "ftp://127.0.0.1",
        "file:///tmp",
    ];
    for url in refused {
        let told = bed.refused(|command| {
            command.env("RCFED_BASE_URL", url);
        });
        assert!(told.starts_with("error: RCFED_BASE_URL is not an https:// URL"), "{url}: {told}");
    }
    assert_eq!(bed.requests.load(Ordering::SeqCst), 0);
}

#[test]
fn other_machines_and_odd_wishes_are_refused() {
    let bed = Bed::new("1.0.0");
    let with = |name: &'static str, value: &'static str| {
        bed.refused(|command| {
            command.env(name, value);
        })
    };
    assert!(with("RCFED_VERSION", "../../x").contains("is not a version"));
    assert!(with("RCFED_INSTALL_DIR", "bin").contains("not an absolute path"));
    let told = bed.refused(|command| {
        command.arg("--force");
    });
    assert!(told.contains("unknown argument"));
    bed.tool("uname", "[ \"$1\" = -s ] && echo Linux || echo riscv64");
    assert!(bed.refused(|_| {}).contains("there is no rcfed for riscv64"));
    bed.tool("uname", "echo Darwin");
    assert!(bed.refused(|_| {}).contains("runs on Linux only"));
    assert_eq!(bed.requests.load(Ordering::SeqCst), 0);
}

#[test]
fn a_script_cut_off_anywhere_does_nothing() {
    let bed = Bed::new("1.0.0");
    let text = fs::read(SCRIPT).unwrap();
    let whole = text.strip_suffix(b"\n").unwrap().len();
    // Every place in the lines that run something by themselves, and every seventh elsewhere.
    let places: Vec<usize> = (0..whole).filter(|place| place % 7 == 0 || *place > whole - 300).collect();
    thread::scope(|scope| {
        for half in places.chunks(places.len().div_ceil(2)) {
            let (bed, text) = (&bed, &text);
            scope.spawn(move || {
                for place in half {
                    let mut command = bed.command();
                    command.arg("-s").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
                    let mut shell = command.spawn().unwrap();
                    let _ = shell.stdin.take().unwrap().write_all(&text[..*place]);
                    shell.wait().unwrap();
                    assert!(!bed.path("bin").exists(), "cut at {place}");
                }
            });
        }
    });
    assert_eq!(bed.requests.load(Ordering::SeqCst), 0);
    bed.assert_clean();
}

/// A PATH with the tools every machine has, and these.
fn only(bed: &Bed, more: &[&str]) -> String {
    let directory = bed.path("only");
    fs::create_dir(&directory).unwrap();
    let common = ["sh", "chmod", "cp", "gzip", "id", "mkdir", "mktemp", "mv", "rm", "tar"];
    let path = std::env::var_os("PATH").unwrap();
    for tool in common.iter().chain(more) {
        let found = std::env::split_paths(&path).map(|path| path.join(tool)).find(|path| path.exists());
        let found = found.unwrap_or_else(|| panic!("{tool} is needed here"));
        symlink(found, directory.join(tool)).unwrap();
    }
    symlink(bed.path("tools/uname"), directory.join("uname")).unwrap();
    directory.to_str().unwrap().to_owned()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn script(path: &Path, body: &str) {
    fs::write(path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Serves the files of a directory, one request a connection.
fn serve(directory: PathBuf, requests: Arc<AtomicUsize>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            requests.fetch_add(1, Ordering::SeqCst);
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let first = lines.next().unwrap_or_default();
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            let file = first.split(' ').nth(1).map(|path| directory.join(path.trim_start_matches('/')));
            let (status, body) = match file.map(fs::read) {
                Some(Ok(body)) => ("200 OK", body),
                _ => ("404 Not Found", Vec::new()),
            };
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = (&stream).write_all(head.as_bytes()).and_then(|()| (&stream).write_all(&body));
        }
    });
    address
}
