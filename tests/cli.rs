//! The real binary without a terminal: exit codes, what goes to stdout, and every sentence on stderr.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use clap::Parser;
use rcfed::cli::Cli;
use rcfed::cli::init::Lookups;
use rcfed::secrets::SecretName;

type Variables<'a> = &'a [(&'a str, &'a str)];

/// Runs the binary in `root` with nothing of this process's environment but `variables`.
fn rcfed(root: &Path, words: &[&str], variables: Variables) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rcfed"))
        .args(words)
        .current_dir(root)
        .env_clear()
        .env("RCFED_ROOT", root)
        // A refusal that is lost one day must not find an engine to work on.
        .env("DOCKER_HOST", "tcp://127.0.0.1:9")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn init_asks_for_root_before_anything_else() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rcfed"));
    if rustix::process::geteuid().is_root() {
        let binary = dir.path().join("rcfed");
        // By another process: a test that forks meanwhile would hold a file open that this one was writing.
        let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_rcfed")).arg(&binary).status().unwrap();
        assert!(copied.success());
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        command = Command::new(binary);
        command.uid(65534).gid(65534);
    }
    let output = command.arg("init").env_clear().env("RCFED_ROOT", dir.path()).stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(stderr(&output));
}

#[test]
fn every_refusal_without_a_terminal() {
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "under CI this test may not be skipped: it needs root");
        eprintln!("SKIPPED: without root `init` refuses at once");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let answers = "federated_domain = \"example.org\"\nchat_domian = \"chat.example.org\"\n";
    std::fs::write(dir.path().join("slip.toml"), answers).unwrap();
    let answers = "federated_domain = \"example.org\"\nemail = \"you\"\n";
    std::fs::write(dir.path().join("answers.toml"), answers).unwrap();
    std::fs::write(dir.path().join("empty"), "").unwrap();
    let domain = ["init", "--federated-domain", "example.org", "--accept-end-of-life"];
    let cases: [(&[&str], Variables); 10] = [
        (&["init"], &[]),
        (&domain, &[]),
        (&["init", "--yes", "--federated-domain", "example.org"], &[]),
        (&["init", "--answers", "slip.toml"], &[]),
        (&["init", "--answers", "absent.toml"], &[]),
        (&["init", "--answers", "answers.toml", "--yes", "--chat-domain", "Chat"], &[("RCFED_PROFILE", "dendrit")]),
        (&["init", "--yes"], &[("RCFED_CHAT_DOMIAN", "chat.example.org")]),
        (
            &["init", "--yes", "--federated-domain", "example.org"],
            &[("RCFED_ACCEPT_END_OF_LIFE", "1"), ("RCFED_ADMIN_PASSWORD_FILE", "absent")],
        ),
        (
            &["init", "--yes", "--federated-domain", "example.org"],
            &[("RCFED_ACCEPT_END_OF_LIFE", "1"), ("RCFED_ADMIN_PASSWORD_FILE", "empty")],
        ),
        (&["init", "--yes", "--federated-domain", "example.org", "--profile", "native"], &[]),
    ];
    let texts = cases.map(|(words, variables)| {
        let output = rcfed(dir.path(), words, variables);
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert!(output.stdout.is_empty(), "{words:?}");
        let variables: String = variables.iter().map(|(name, value)| format!("{name}={value} ")).collect();
        let text = stderr(&output).replace(&dir.path().display().to_string(), "/here");
        // The plan is snapshotted where it is made.
        let text = text.split_once("Nothing has been changed yet.\n").map_or(text.as_str(), |(_, rest)| rest);
        format!("$ {variables}rcfed {}\n{text}", words.join(" "))
    });
    assert!(!dir.path().join("etc").exists());
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn stdout_is_for_data_only() {
    let dir = tempfile::tempdir().unwrap();
    let version = rcfed(dir.path(), &["version"], &[]);
    assert_eq!(version.status.code(), Some(0));
    assert_eq!(version.stdout, format!("rcfed {}\n", env!("CARGO_PKG_VERSION")).into_bytes());
    assert!(version.stderr.is_empty());

    let refused = rcfed(dir.path(), &["stauts"], &[]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(refused.stdout.is_empty());
    assert!(!stderr(&refused).contains('\x1b'), "colour without a terminal");

    let help = rcfed(dir.path(), &["--help"], &[]);
    assert_eq!(help.status.code(), Some(0));
    assert!(help.stderr.is_empty() && !help.stdout.is_empty());
}

#[test]
fn answers_of_every_kind_make_one_configuration() {
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "under CI this test may not be skipped: it needs root");
        eprintln!("SKIPPED: only root can write what belongs to root");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let answers = "federated_domain = \"file.example\"\nchat_domain = \"chat.file.example\"\nemail = \"file@file.example\"\n\
                   accept_end_of_life = true\n[admin]\nusername = \"ada\"\n";
    std::fs::write(dir.path().join("answers.toml"), answers).unwrap();
    let variables = [
        ("RCFED_FEDERATED_DOMAIN", "env.example"),
        ("RCFED_EMAIL", "env@env.example"),
        ("RCFED_BED_WORDS", "--answers answers.toml --federated-domain flag.example"),
    ];
    gather_and_write(dir.path(), &variables);
    let kept = std::fs::read_to_string(dir.path().join("etc/rcfed/config.toml")).unwrap();
    for line in [
        "federated_domain = \"flag.example\"",
        "chat_domain = \"chat.file.example\"",
        "matrix_domain = \"matrix.flag.example\"",
        "email = \"env@env.example\"",
        "username = \"ada\"",
    ] {
        assert!(kept.contains(line), "{line}\n{kept}");
    }
    // A second run needs no answers: it finds those of the first.
    gather_and_write(dir.path(), &[]);
    assert_eq!(std::fs::read_to_string(dir.path().join("etc/rcfed/config.toml")).unwrap(), kept);
}

#[tokio::test]
async fn a_deployment_keeps_its_name_and_its_homeserver() {
    let dir = tempfile::tempdir().unwrap();
    let [state, etc] = ["var/lib/rcfed", "etc/rcfed"].map(|path| dir.path().join(path));
    std::fs::create_dir_all(&state).unwrap();
    std::fs::create_dir_all(&etc).unwrap();
    let record = "{\"server_name\": \"example.org\", \"profile\": \"dendrite\"}";
    std::fs::write(state.join("deployment.json"), record).unwrap();
    let mut told = Vec::new();
    for (name, profile) in [("example.net", "dendrite"), ("example.org", "synapse")] {
        let answers = format!("federated_domain = \"{name}\"\nprofile = \"{profile}\"\naccept_end_of_life = true\n");
        std::fs::write(etc.join("config.toml"), &answers).unwrap();
        // Not the binary: should the refusal be lost one day, it would go on and deploy.
        let root = dir.path().to_str().unwrap();
        let cli = Cli::parse_from(["rcfed", "init", "--quiet", "--yes", "--no-input", "--root", root]);
        let context = cli.global.context();
        let rcfed::cli::Command::Init(args) = cli.command else { panic!("another verb") };
        let error = args.gather(&context, |_| Lookups::none()).await.unwrap_err();
        assert_eq!(error.exit_code(), 1);
        told.push(error.to_string());
        // `apply` finds no engine, and may not install one.
        let output = rcfed(dir.path(), &["apply"], &[]);
        if rustix::process::geteuid().is_root() {
            assert_eq!(output.status.code(), Some(1));
            assert!(stderr(&output).contains(told.last().unwrap()), "{}", stderr(&output));
        }
        assert_eq!(std::fs::read_to_string(etc.join("config.toml")).unwrap(), answers);
    }
    assert_eq!(std::fs::read_dir(&state).unwrap().count(), 1, "nothing was written");
    insta::assert_snapshot!(told.join("\n"));
}

/// Runs the test below as a process of its own, since answers come from the environment too.
fn gather_and_write(root: &Path, variables: Variables) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "gathers_and_writes"])
        .current_dir(root)
        .env_clear()
        .env("RCFED_ROOT", root)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// Not a test of its own. What `rcfed init --yes` does before it deploys: the binary would go on.
#[test]
#[ignore = "needs an environment of its own; run by a test above"]
fn gathers_and_writes() {
    let words = std::env::var("RCFED_BED_WORDS").unwrap_or_default();
    let words = ["rcfed", "init", "--quiet", "--yes", "--no-input"].into_iter().chain(words.split_whitespace());
    let cli = Cli::parse_from(words);
    let context = cli.global.context();
    let rcfed::cli::Command::Init(args) = cli.command else { panic!("another verb") };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let gathered = runtime.block_on(async { args.gather(&context, |_| Lookups::none()).await }).unwrap();
    gathered.write(&context.host).unwrap();
}

/// Paths below `root` with their modes and texts.
fn tree(root: &Path) -> Vec<(String, u32, String)> {
    let mut found = Vec::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let mode = path.metadata().unwrap().permissions().mode() & 0o777;
            let name = path.strip_prefix(root).unwrap().display().to_string();
            found.push((name, mode, std::fs::read_to_string(&path).unwrap()));
        }
    }
    found.sort();
    found
}

#[test]
fn render_writes_every_file_and_secrets_only_where_asked_to() {
    let dir = tempfile::tempdir().unwrap();
    let answers = "federated_domain = \"example.org\"\nproxy = \"host\"\naccept_end_of_life = true\n";
    std::fs::write(dir.path().join("answers.toml"), answers).unwrap();
    let render = |out: &str, more: &[&str]| {
        let words = [&["render", "--answers", "answers.toml", "--out", out], more].concat();
        let output = rcfed(dir.path(), &words, &[]);
        assert!(output.stdout.is_empty(), "{words:?}");
        (output.status.code(), stderr(&output))
    };
    let (code, said) = render("files", &[]);
    assert_eq!(code, Some(0), "{said}");
    let files = tree(&dir.path().join("files"));
    let list: Vec<String> = files.iter().map(|(path, mode, _)| format!("{mode:o} {path}")).collect();
    insta::assert_snapshot!(format!("{said}{}", list.join("\n")));
    let text = |files: &[(String, u32, String)], name: &str| {
        files.iter().find(|(path, ..)| path.ends_with(name)).map(|(.., text)| text.clone()).unwrap()
    };
    assert!(text(&files, "registration.yaml").contains("hs_token: \"<secret hs_token>\""));

    let (code, said) = render("none", &["--show-secrets"]);
    assert_eq!(code, Some(1));
    insta::assert_snapshot!(said.replace(&dir.path().display().to_string(), "/here"));

    let secrets = dir.path().join("var/lib/rcfed/secrets");
    std::fs::create_dir_all(&secrets).unwrap();
    for name in SecretName::ALL {
        std::fs::write(secrets.join(name.name()), format!("value of {}", name.name())).unwrap();
    }
    let (code, said) = render("shown", &["--show-secrets"]);
    assert_eq!(code, Some(0), "{said}");
    let shown = tree(&dir.path().join("shown"));
    assert_eq!(shown.len(), files.len());
    for (path, mode, text) in &shown {
        assert!(!text.contains("<secret ") && !text.contains("@secret:"), "{path}");
        // What may hold a secret is for nobody else; a site of the machine's nginx never does.
        assert_eq!(*mode, if path.starts_with("etc/nginx") { 0o644 } else { 0o600 }, "{path}");
    }
    assert!(text(&shown, "registration.yaml").contains("hs_token: \"value of hs_token\""));
}

#[test]
fn what_only_looks_is_refused_with_the_way_to_look() {
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "under CI this test may not be skipped: it needs root");
        eprintln!("SKIPPED: without root some of these end earlier");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let answers = "federated_domain = \"example.org\"\naccept_end_of_life = true\n";
    std::fs::write(dir.path().join("answers.toml"), answers).unwrap();
    std::fs::write(dir.path().join("none"), "# nobody yet\n\n").unwrap();
    std::fs::write(dir.path().join("long"), format!("# names\n{}\n", "a".repeat(2000))).unwrap();
    std::fs::write(dir.path().join("binary"), b"\xff\xfe\n").unwrap();
    std::fs::write(dir.path().join("ca.pem"), "no certificate\n").unwrap();
    let cases: &[&[&str]] = &[
        &["doctor", "--changes", "example.org"],
        &["doctor", "--only", "container.gateway", "example.org"],
        &["doctor", "--only", "contaner.gateway", "example.org"],
        &["doctor", "--only", "nonsense"],
        &["doctor", "--html", "page.html", "example.org", "example.net"],
        &["doctor", "--from", "absent"],
        &["doctor", "--from", "none"],
        &["doctor", "--from", "long"],
        &["doctor", "--from", "binary"],
        &["doctor", "--ca", "absent", "example.org"],
        &["doctor", "--ca", "ca.pem", "example.org"],
        &["doctor", "--ca", "ca.pem"],
        &["doctor"],
        &["apex", "--answers", "answers.toml"],
        &["plan", "--answers", "absent"],
        &["status"],
        &["uninstall"],
        &["renew"],
        &["logs", "nonsense"],
        &["invite-test", "ada"],
    ];
    let texts = cases.iter().map(|words| {
        let output = rcfed(dir.path(), words, &[]);
        let code = output.status.code().unwrap();
        let text = stderr(&output).replace(&dir.path().display().to_string(), "/here");
        // A file with a bad line is read all the same, and told line by line.
        assert_eq!(output.stdout.is_empty(), !["long", "binary"].contains(&words[words.len() - 1]), "{words:?}");
        format!("$ rcfed {}    (exit code {code})\n{text}", words.join(" "))
    });
    insta::assert_snapshot!(texts.collect::<Vec<_>>().join("\n"));
}

/// A map that leaves things out, or names what is gone, leads astray.
#[test]
fn the_map_of_the_code_names_everything() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let map = std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let mut missing = Vec::new();
    for directory in ["src", "tests", "templates", "docs"] {
        for entry in std::fs::read_dir(root.join(directory)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            // A module's directory goes with its file, snapshots and tests with what they are of.
            let part = name == "snapshots"
                || name.ends_with("_tests.rs")
                || root.join(directory).join(format!("{name}.rs")).exists();
            let path = format!("`{directory}/{name}{}`", if entry.path().is_dir() { "/" } else { "" });
            if !part && !map.contains(&path) {
                missing.push(path);
            }
        }
    }
    missing.sort();
    assert!(missing.is_empty(), "ARCHITECTURE.md does not name {}", missing.join(", "));
    let named = map.split('`').skip(1).step_by(2);
    let path = |text: &&str| ["src/", "tests/", "templates/", "docs/"].iter().any(|start| text.starts_with(start));
    for text in named.filter(path) {
        assert!(root.join(text).exists(), "ARCHITECTURE.md names {text}, which is not there");
    }
}

#[test]
fn a_reader_that_went_away_is_no_failure() {
    for verb in ["--help", "version"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let status = Command::new(env!("CARGO_BIN_EXE_rcfed")).arg(verb).stdout(writer).status().unwrap();
        assert_eq!(status.code(), Some(0), "{verb}");
    }
}
