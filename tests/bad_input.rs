//! Bad surroundings: each gives one error with one hint, a non-zero exit, and leaves nothing half-written.

mod support;
#[path = "support/surroundings.rs"]
mod surroundings;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::{Bed, Run};
use surroundings::*;

// ── without the bed ─────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn domains_that_cannot_be_used() {
    let here = tempfile::tempdir().unwrap();
    let long = format!("{}example.org", "abcdefgh.".repeat(27));
    assert_eq!(long.len(), 254);
    let names = [
        "bücher.example",
        "Example.org",
        "example.org.",
        "192.0.2.10",
        "[2001:db8::10]",
        "my_host.example.org",
        "https://example.org/",
        "localhost",
        long.as_str(),
    ];
    let mut told = Vec::new();
    for name in names {
        for flag in ["--federated-domain", "--chat-domain", "--matrix-domain"] {
            let mut words = vec!["init", "--yes", "--no-input", "--accept-end-of-life", flag, name];
            if flag != "--federated-domain" {
                words.extend(["--federated-domain", "example.org"]);
            }
            let output = local(here.path(), &words);
            assert_eq!(output.code, Some(2), "{flag} {name}: {}", output.stderr);
            let key = flag.trim_start_matches('-').replace('-', "_");
            let text = sentence(&output).replace(flag, "FLAG").replace(&key, "KEY");
            // Each of the three is refused in the same words.
            let text = format!("{name:.40}\n{text}");
            if told.last() != Some(&text) {
                told.push(text);
            }
        }
    }
    assert_eq!(told.len(), names.len(), "{told:#?}");
    assert!(nothing_in(here.path()));
    insta::assert_snapshot!(told.join("\n\n"));
}

#[test]
fn names_that_are_equal_are_fine() {
    let here = tempfile::tempdir().unwrap();
    for more in ["chat_domain = \"example.org\"", "matrix_domain = \"chat.example.org\""] {
        let text = format!("federated_domain = \"example.org\"\naccept_end_of_life = true\n{more}\n");
        std::fs::write(here.path().join("answers.toml"), text).unwrap();
        let output = local(here.path(), &["plan", "--answers", "answers.toml"]);
        assert_eq!(output.code, Some(0), "{more}: {}", output.stderr);
    }
}

#[test]
fn answers_files_that_cannot_be_used() {
    let here = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(here.path().join(name), bytes).unwrap();
    write("empty.toml", b"");
    write("blank.toml", b" \n\n");
    write("number.toml", b"federated_domain = 7\n");
    write("flag.toml", b"federated_domain = \"example.org\"\naccept_end_of_life = \"yes\"\n");
    write("list.toml", b"federated_domain = \"example.org\"\naddress = \"192.0.2.1\"\n");
    write("table.toml", b"federated_domain = \"example.org\"\nadmin = \"ada\"\n");
    write("twice.toml", b"federated_domain = \"example.org\"\nfederated_domain = \"example.net\"\n");
    write("open.toml", b"federated_domain = \"example.org\n");
    write("latin1.toml", b"federated_domain = \"b\xfccher.example\"\n");
    write("zeros.toml", &[0; 300]);
    write("large.toml", &b"# filler\n".repeat(10_000));
    std::fs::create_dir(here.path().join("directory.toml")).unwrap();
    std::os::unix::fs::symlink("nowhere", here.path().join("dangling.toml")).unwrap();
    let names = [
        "empty",
        "blank",
        "number",
        "flag",
        "list",
        "table",
        "twice",
        "open",
        "latin1",
        "zeros",
        "large",
        "directory",
        "dangling",
        "absent",
    ];
    let mut told = Vec::new();
    for name in names {
        let file = format!("{name}.toml");
        for verb in [&["init", "--yes", "--no-input"][..], &["plan"], &["render", "--out", "out"]] {
            let words = [verb, &["--answers", &file]].concat();
            let output = local(here.path(), &words);
            assert_eq!(output.code, Some(2), "{words:?}: {}", output.stderr);
            if verb[0] == "init" {
                told.push(format!("{file}\n{}", sentence(&output)));
            }
        }
    }
    for written in ["etc", "var", "out"] {
        assert!(!here.path().join(written).exists(), "{written}");
    }
    insta::assert_snapshot!(told.join("\n\n"));
}

/// The binary in a directory of its own, with nothing of this process's environment and no engine.
fn local(here: &Path, words: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rcfed"));
    command.args(words).current_dir(here).env_clear().env("RCFED_ROOT", here);
    // A refusal that is lost one day must not find an engine to work on.
    ran(command.env("DOCKER_HOST", "unix:///nonexistent/docker.sock").stdin(Stdio::null()).output().unwrap())
}

// ── nothing is touched yet ──────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn what_is_seen_before_anything_is_touched() {
    let Some(bed) = Bed::up() else { return };
    let mut told = Told::default();
    let before = Untouched::of(&bed);

    let server = Server::on_droplet(&["python3", "-c", HTTP, "80", "404"]);
    told.add("port 80 is taken", &init(&bed, "", &[]));
    drop(server);
    let server = Server::on_droplet(&["python3", "-c", HTTP, "443", "404"]);
    told.add("port 443 is taken", &init(&bed, "", &[]));
    drop(server);
    before.still(&bed);

    bed.run(&["docker", "volume", "create", "rcfed-mongodb"]);
    bed.run(&["docker", "network", "create", "rcfed"]);
    bed.run(&["docker", "create", "--name", "rcfed-gateway", "nginx:1.28"]);
    let theirs = Untouched::of(&bed);
    told.add("somebody else's things of our names", &init(&bed, "", &[]));
    theirs.still(&bed);
    bed.run(&["docker", "rm", "-v", "rcfed-gateway"]);
    bed.run(&["docker", "network", "rm", "rcfed"]);
    bed.run(&["docker", "volume", "rm", "rcfed-mongodb"]);
    before.still(&bed);

    for (what, name, kind, value) in [
        ("a private address", "chat.fed.test", "A", "10.0.0.7"),
        ("loopback", "chat.fed.test", "A", "127.0.0.1"),
        ("another machine too", "matrix.fed.test", "A", "198.51.100.20"),
        ("an AAAA of another machine", "matrix.fed.test", "AAAA", "2001:db8:51::20"),
        ("SERVFAIL", "chat.fed.test", "A", "!servfail"),
    ] {
        bed.bed(&["dns", "set", name, kind, value]);
        told.add(what, &init(&bed, "", &[]));
        before.still(&bed);
        bed.bed(&["dns", "reset"]);
    }
    bed.bed(&["dns", "del", "chat.fed.test"]);
    told.add("no such name", &init(&bed, "", &[]));
    bed.bed(&["dns", "del", "matrix.fed.test"]);
    let server = Server::on_droplet(&["python3", "-c", HTTP, "80", "404"]);
    told.add("two names and a port", &init(&bed, "", &[]));
    drop(server);
    told.add("two names", &init(&bed, "", &[]));
    bed.bed(&["dns", "reset"]);
    before.still(&bed);

    for mode in ["servfail", "refused", "hang"] {
        let listen = ["--listen", "127.0.0.1:5353", "--mode", mode];
        let program = format!("{}/fault-dns", bed.value("RCFED_BED_BIN"));
        let server = Server::on_droplet(&[&[program.as_str()][..], &listen].concat());
        told.add(&format!("a name server: {mode}"), &init(&bed, "", &["--nameserver", "127.0.0.1:5353"]));
        before.still(&bed);
        drop(server);
    }
    told.add("a name server: nobody", &init(&bed, "", &["--nameserver", "127.0.0.1:5353"]));
    before.still(&bed);

    bed.bed(&["stop-docker"]);
    told.add("Docker is stopped", &init(&bed, "", &[]));
    bed.bed(&["start-docker"]);
    before.still(&bed);
    insta::assert_snapshot!(told.text(&bed));
}

// ── on the way ──────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn without_root() {
    let Some(bed) = Bed::up() else { return };
    let mut told = Told::default();
    let answers = bed.answers("synapse", "");
    let answers = answers.to_str().unwrap();
    let before = Untouched::of(&bed);
    told.add("init", &nobody(&["init", "--answers", answers, "--yes", "--no-input"]));
    before.still(&bed);
    std::fs::create_dir_all(bed.root().join("etc/rcfed")).unwrap();
    let kept = bed.root().join("etc/rcfed/config.toml");
    std::fs::copy(answers, &kept).unwrap();
    let before = Untouched::of(&bed);
    for mode in [0o644, 0o600] {
        std::fs::set_permissions(&kept, std::fs::Permissions::from_mode(mode)).unwrap();
        for words in [&["apply"][..], &["status"], &["renew"], &["logs", "gateway"], &["admin", "reset", "--yes"]] {
            told.any(&format!("{} with a configuration of mode {mode:o}", words.join(" ")), &nobody(words));
        }
    }
    std::fs::set_permissions(&kept, std::fs::Permissions::from_mode(0o644)).unwrap();
    before.still(&bed);
    // What changes nothing needs no root.
    assert_eq!(nobody(&["plan", "--answers", answers]).code, Some(0));
    insta::assert_snapshot!(told.text(&bed));
}

#[test]
fn docker_stops_after_a_deployment_was_configured() {
    let Some(bed) = Bed::up() else { return };
    let mut told = Told::default();
    std::fs::create_dir_all(bed.root().join("etc/rcfed")).unwrap();
    std::fs::copy(bed.answers("synapse", ""), bed.root().join("etc/rcfed/config.toml")).unwrap();
    let files = tree(&bed.root());
    bed.bed(&["stop-docker"]);
    for words in [&["apply"][..], &["status"], &["renew"], &["logs", "gateway"], &["admin", "reset", "--yes"]] {
        told.add(&words.join(" "), &bed.rcfed(words));
    }
    bed.bed(&["start-docker"]);
    assert!(tree(&bed.root()) == files);
    insta::assert_snapshot!(told.text(&bed));
}

#[test]
fn registries_that_do_not_deliver() {
    let Some(bed) = Bed::up() else { return };
    let mut told = Told::default();
    for (mode, image) in [
        ("no such tag", "docker.io/library/mongo:nightly"),
        ("no such image", "ghcr.io/nobody/nothing:latest"),
        ("no such host", "registry.nowhere.test/nothing:latest"),
        ("closed", "127.0.0.1:5999/nothing:latest"),
        ("404", "127.0.0.1:5999/nothing:latest"),
        ("500", "127.0.0.1:5999/nothing:latest"),
        ("never", "127.0.0.1:5999/nothing:latest"),
        ("stall", "127.0.0.1:5999/nothing:latest"),
    ] {
        if mode == "stall" && std::env::var_os("RCFED_TEST_ALL").is_none() {
            // rcfed's own patience is 90 s, the engine has none.
            continue;
        }
        let server = ["404", "500", "never", "stall"].contains(&mode);
        let server = server.then(|| Server::on_droplet(&["python3", "-c", HTTP, "5999", mode]));
        let images = ["mongodb", "rocketchat", "homeserver", "postgres", "gateway"];
        let images: String = images.iter().map(|service| format!("{service} = \"{image}\"\n")).collect();
        let started = std::time::Instant::now();
        let run = init(&bed, &format!("[images]\n{images}"), &[]);
        match mode {
            "stall" => assert!(run.stderr.contains("the registry sent nothing for 90 s"), "{}", run.stderr),
            _ => told.add(mode, &run),
        }
        eprintln!("{mode}: {:.1} s", started.elapsed().as_secs_f64());
        drop(server);
        whole(&bed, &bed.root());
        assert!(!objects(&bed).iter().any(|object| object.starts_with("container ")), "{:?}", objects(&bed));
        bed.bed(&["clean"]);
    }
    // Go's resolver names the server it asked only when it asked, and not when it remembers.
    insta::assert_snapshot!(told.text(&bed).replace(" on 198.51.100.53:53", ""));
}

#[test]
fn a_full_disk() {
    let Some(bed) = Bed::up() else { return };
    let answers = bed.answers("synapse", "");
    for size in ["4k", "16k", "40k", "64k"] {
        let disk = Disk::of(&bed, size);
        let root = disk.0.to_str().unwrap().to_owned();
        let run = bed.rcfed(&["--root", &root, "init", "--answers", answers.to_str().unwrap(), "--yes", "--no-input"]);
        assert_eq!(run.code, Some(1), "{size}: {}", run.stderr);
        let text = sentence(&run);
        // Which file is the first to find no room is chance.
        let first = text.lines().next().unwrap();
        assert!(first.contains(&format!("`{root}/")) && first.contains("No space left on device"), "{size}: {text}");
        let hint = text.lines().find(|line| line.starts_with("hint:")).unwrap();
        assert!(hint.contains("df -h") && hint.contains(&root), "{size}: {text}");
        assert!(text.lines().count() < 10, "{size}: {text}");
        whole(&bed, &disk.0);
        assert!(!objects(&bed).iter().any(|object| object.starts_with("container ")), "{size}: {:?}", objects(&bed));
        drop(disk);
        bed.bed(&["clean"]);
    }
}

#[test]
fn authorities_that_give_no_certificate() {
    let Some(bed) = Bed::up() else { return };
    let bed = &bed;
    let state = PathBuf::from(bed.value("RCFED_STATE"));
    let trust = bed.value("ACME_CA");
    let mut cases = vec![
        ("closed port", "fed.test", "https://198.51.100.5:1/dir".to_owned(), trust.clone()),
        ("no such host", "fed.test", "https://ca.nowhere.test/dir".into(), trust.clone()),
        ("not ACME", "fed.test", "https://ghcr.io/v2/".into(), trust.clone()),
        ("a name it refuses", "blocked.test", bed.value("ACME_DIRECTORY"), trust.clone()),
        ("no file with its root", "fed.test", bed.value("ACME_DIRECTORY"), "/nonexistent/root.pem".into()),
    ];
    let plain = cases.len();
    let week = Command::new("date").args(["-u", "-d", "+7 days", "+%Y-%m-%d %H:%M:%S UTC"]).output().unwrap();
    let week = String::from_utf8(week.stdout).unwrap().trim().to_owned();
    let mut servers = Vec::new();
    let program = format!("{}/fault-ca", bed.value("RCFED_BED_BIN"));
    let modes = ["refuse", "limit", "paused", "html", "hang", "badname"];
    for (port, mode) in (14_001..).zip(modes) {
        let own = state.join(format!("fault-ca-{mode}.crt")).to_str().unwrap().to_owned();
        let listen = format!("198.51.100.5:{port}");
        let words = ["--listen", &listen, "--mode", mode, "--ca-out", &own, "--retry-after", &week];
        servers.push(Server::start("inet", &[&[program.as_str()][..], &words].concat()));
        let directory = format!("https://{listen}/directory");
        if mode == "limit" {
            cases.push(("an unknown root", "fed.test", directory.clone(), trust.clone()));
        }
        cases.push((mode, "fed.test", directory, own));
    }
    let runs: Vec<(&str, Run)> = std::thread::scope(|scope| {
        let run = |(what, domain, url, ca)| (what, scope.spawn(move || renew(bed, domain, url, ca)));
        let started: Vec<_> =
            cases.iter().map(|(what, domain, url, ca)| run((*what, *domain, url.as_str(), ca.as_str()))).collect();
        started.into_iter().map(|(what, run)| (what, run.join().unwrap())).collect()
    });
    let (mut told, mut faulty) = (Told::default(), Told::default());
    for (index, (what, run)) in runs.iter().enumerate() {
        if index < plain { told.add(what, run) } else { faulty.add(what, run) }
    }
    insta::assert_snapshot!(told.text(bed));
    insta::assert_snapshot!("authorities_that_fail_in_a_chosen_way", moments(&faulty.text(bed)));
}

/// Replaces what depends on the time of day: `until 2026-12-01 10:00 UTC (in 7 days)`.
fn moments(text: &str) -> String {
    let mut parts = text.split(" UTC (in ");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let date = whole.trim_end_matches(|c: char| c.is_ascii_digit() || "- :".contains(c)).len();
        whole.truncate(date);
        whole.push_str(" MOMENT");
        whole.push_str(part.split_once(')').map_or(part, |(_, rest)| rest));
    }
    whole
}

/// A forced renewal at a directory, on a machine of its own that has a certificate; that one has to survive.
fn renew(bed: &Bed, domain: &str, directory: &str, ca: &str) -> Run {
    let root = tempfile::tempdir_in(bed.value("RCFED_STATE")).unwrap();
    let config = root.path().join("etc/rcfed/config.toml");
    let pair = root.path().join("var/lib/rcfed/certificate/pair.pem");
    for path in [&config, &pair] {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    }
    let text = format!(
        "federated_domain = \"{domain}\"\naccept_end_of_life = true\n\
         [acme]\ndirectory = \"{directory}\"\nca = \"{ca}\"\n"
    );
    std::fs::write(&config, text).unwrap();
    let names = format!("subjectAltName=DNS:{domain},DNS:chat.{domain},DNS:matrix.{domain}");
    let (cert, key) = (root.path().join("cert.pem"), root.path().join("key.pem"));
    let words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "90"];
    let files = ["-keyout", key.to_str().unwrap(), "-out", cert.to_str().unwrap()];
    let made = Command::new("openssl").args(words).args(["-subj", "/CN=x", "-addext", &names]).args(files).output();
    assert!(made.unwrap().status.success());
    let both = [std::fs::read(cert).unwrap(), std::fs::read(key).unwrap()].concat();
    std::fs::write(&pair, &both).unwrap();
    let run = bed.rcfed(&["--root", root.path().to_str().unwrap(), "renew", "--force"]);
    assert!(std::fs::read(&pair).unwrap() == both, "the old certificate is gone");
    whole(bed, root.path());
    Run { stderr: run.stderr.replace(root.path().to_str().unwrap(), "ROOT"), ..run }
}
