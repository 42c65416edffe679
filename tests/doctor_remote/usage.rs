//! The verb as a person uses it, and misuses it. Nothing here needs a network.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

fn doctor(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rcfed"));
    command.arg("doctor").args(words).stdin(Stdio::null()).env("NO_COLOR", "1");
    command
}

#[test]
fn wrong_usage_is_answered_with_what_would_be_right() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (empty, binary) = (file("empty", b"# nobody\n\n"), file("binary", b"a..b\n\xff\xfe\n"));
    let long = file("long", "a".repeat(2000).as_bytes());
    let (none, here) = (file("none.pem", b"nothing"), dir.path().to_str().unwrap());
    let missing = format!("{here}/missing");
    let cases: &[&[&str]] = &[
        &[""],
        &["a..b", " "],
        &["--from", &missing],
        &["--from", here],
        &["--from", &empty],
        &["--from", &binary],
        &["--from", &long],
        &["-"],
        &["--only", "nonsense", "a..b"],
        &["--only", "keys.signatur", "a..b"],
        &["--only", "container.mongodb", "a..b"],
        &["--explain", "nonsense"],
        &["--explain", "keys.name", "a..b"],
        &["--list-checks", "a..b"],
        &["--changes", "a..b"],
        &["--outbound", "matrix.org", "a..b"],
        &["--outbound", "https://matrix.org"],
        &["--only", "homeserver.outbound"],
        &["--ca", &none, "a..b"],
        &["--ca", &missing, "a..b"],
        &["--html", "x.html", "a..b", "c..d"],
    ];
    let mut told = Vec::new();
    for words in cases {
        let output = doctor(words).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap().replace(here, "DIR");
        assert_eq!(output.status.code(), Some(2), "{words:?}: {text}");
        told.push(format!("# {}\n{}", words.join(" ").replace(here, "DIR"), text.trim_end()));
    }
    insta::assert_snapshot!(told.join("\n\n"));
}

/// What cannot be written is told after the report, and costs nobody the report.
#[test]
fn a_report_is_told_even_if_its_file_cannot_be_written() {
    let output = doctor(&["--html", "/proc/nowhere/page.html", "a..b"]).output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(1));
    assert!(out.contains("name.grammar") && err.contains("could not write `/proc/nowhere/page.html`"), "{out}{err}");
}

/// Somebody on a laptop: every form of output without being root.
#[test]
fn everybody_may_write_every_form() {
    let dir = tempfile::tempdir().unwrap();
    let binary = dir.path().join("rcfed");
    std::fs::copy(env!("CARGO_BIN_EXE_rcfed"), &binary).unwrap();
    let mut command = Command::new(&binary);
    for path in [dir.path(), &binary] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
    }
    if rustix::process::geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    let words = ["doctor", "--html", "a.html", "--junit", "a.xml", "--prometheus", "a.prom", "a..b"];
    let output = command.args(words).current_dir(dir.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    for (file, text) in [("a.html", "name.grammar"), ("a.xml", "<failure"), ("a.prom", "id=\"name.grammar\"} 4")] {
        assert!(std::fs::read_to_string(dir.path().join(file)).unwrap().contains(text), "{file}");
    }
}

/// Each report comes when it is made, not when the last name has come; a file may have what editors leave in it.
#[test]
fn reports_come_while_names_are_still_coming() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("names");
    std::fs::write(&file, "\u{feff}c..d # a comment\r\n\r\n# nobody\ne..f").unwrap();
    let mut child = doctor(&["--json", "-", "--from", file.to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (tell, told) = mpsc::channel();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    std::thread::spawn(move || {
        for line in lines {
            let report: Value = serde_json::from_str(&line.unwrap()).unwrap();
            tell.send(report["server_name"].as_str().unwrap().to_owned()).unwrap();
        }
    });
    let next = || told.recv_timeout(Duration::from_secs(20)).unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for name in ["a..b", "b..c"] {
        stdin.write_all(format!("{name}\n").as_bytes()).unwrap();
        assert_eq!(next(), name);
    }
    drop(stdin);
    let mut rest = [next(), next()];
    rest.sort();
    assert_eq!(rest, ["c..d", "e..f"]);
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

/// A line that cannot be read is told where it stands, and costs nobody the other names.
#[test]
fn a_bad_line_costs_nobody_the_other_names() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("names");
    let long = "x".repeat(5000);
    std::fs::write(&file, [b"a..b\n\xff\xfe\n", long.as_bytes(), b"\nb..c\nhttps://example.org\n"].concat()).unwrap();
    let here = dir.path().to_str().unwrap().to_owned();
    let run = |words: &[&str], stdin: bool| {
        let mut command = doctor(words);
        if stdin {
            command.stdin(std::fs::File::open(&file).unwrap());
        } else {
            command.arg("--from").arg(&file);
        }
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(&here, "DIR");
        (text(output.stdout), text(output.stderr))
    };
    let (out, err) = run(&["--json"], false);
    let schema = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/doctor.schema.json");
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(schema).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut told = Vec::new();
    for line in out.lines() {
        let report: Value = serde_json::from_str(line).unwrap();
        assert!(validator.is_valid(&report), "{report:#}");
        let finding = &report["findings"][0];
        let part = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
        told.push(format!(
            "{} {} {} {} {} do {}",
            report["server_name"],
            part("status"),
            part("subject"),
            part("summary"),
            finding["evidence"],
            part("remedy")
        ));
    }
    told.sort();
    assert_eq!(told.len(), 5);
    let (brief, _) = run(&["-"], true);
    let mut brief: Vec<&str> = brief.lines().filter(|line| line.contains("standard input")).collect();
    brief.sort_unstable();
    let (shared, _) = run(&["--share"], false);
    assert!(!shared.contains("DIR") && !shared.contains("xxx"), "{shared}");
    insta::assert_snapshot!(format!("{}\n\n{err}\n{}", told.join("\n"), brief.join("\n")));
}
