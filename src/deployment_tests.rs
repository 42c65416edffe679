use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

use super::*;
use crate::answers::Answers;
use crate::config::Mode;
use crate::error::Error;

fn config(text: &str) -> Config {
    let answers = Answers::from_toml(text, Path::new("answers.toml")).unwrap();
    Config::from_answers(&answers, Mode::Interactive).unwrap()
}

fn host(root: &Path) -> Host {
    let docker = format!("unix://{}", root.join("docker.sock").display());
    Host { root: root.into(), docker, nameserver: None, metadata: None }
}

#[test]
fn name_and_profile_stay() {
    let dir = tempfile::tempdir().unwrap();
    let host = host(dir.path());
    let plain = config("federated_domain = \"example.org\"");
    assert!(allows(&host, &plain).is_ok(), "nothing was deployed yet");
    let path = host.path(layout::DEPLOYMENT);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let text = serde_json::to_vec_pretty(&Deployment::of(&plain)).unwrap();
    std::fs::write(&path, &text).unwrap();
    // The first record counts.
    Deployment::of(&config("federated_domain = \"example.net\"")).keep(&host).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), text);
    let same = "federated_domain = \"example.org\"\nchat_domain = \"c.example.org\"\nproxy = \"host\"";
    assert!(allows(&host, &config(same)).is_ok(), "everything else may change");
    let mut told = vec![String::from_utf8(text).unwrap()];
    for other in [
        "federated_domain = \"example.net\"",
        "federated_domain = \"example.org\"\nprofile = \"synapse\"",
        "federated_domain = \"example.org\"\nprofile = \"native\"\n[rocketchat]\nlicense_file = \"/l\"",
    ] {
        told.push(format!("{:?}", Error::from(allows(&host, &config(other)).unwrap_err())));
    }
    std::fs::write(&path, "{").unwrap();
    let broken = format!("{:?}", Error::from(allows(&host, &plain).unwrap_err()));
    told.push(broken.replace(&dir.path().display().to_string(), ""));
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn it_is_kept_for_everybody_to_read() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root can write what belongs to root");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let host = host(dir.path());
    std::fs::create_dir_all(host.path(layout::STATE)).unwrap();
    let deployment = Deployment::of(&config("federated_domain = \"example.org\""));
    deployment.keep(&host).unwrap();
    assert_eq!(Deployment::load(&host).unwrap().unwrap(), deployment);
    assert_eq!(fs::access(&host.path(layout::DEPLOYMENT)).unwrap().unwrap(), Access::root(0o644));
}

/// An engine with two volumes, one of them somebody else's.
fn engine(socket: &Path) {
    let listener = UnixListener::bind(socket).unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut request = vec![0; 4096];
                while let Ok(length @ 1..) = stream.read(&mut request).await {
                    let line = String::from_utf8_lossy(&request[..length]).lines().next().unwrap_or("").to_owned();
                    let volume = |name: &str, labels: &str| {
                        format!(
                            r#"{{"Name":"{name}","Driver":"local","Mountpoint":"/m","Labels":{labels},"Scope":"local","Options":null}}"#
                        )
                    };
                    let (status, body) = if line.contains("/version ") {
                        ("200 OK", r#"{"Version":"28.0.0","ApiVersion":"1.44"}"#.to_owned())
                    } else if line.contains("/volumes/rcfed-mongodb ") {
                        ("200 OK", volume("rcfed-mongodb", r#"{"io.rcfed.service":"mongodb"}"#))
                    } else if line.contains("/volumes/rcfed-postgres ") {
                        ("200 OK", volume("rcfed-postgres", "{}"))
                    } else {
                        ("404 Not Found", r#"{"message":"no such thing"}"#.to_owned())
                    };
                    let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\n");
                    let answer = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            });
        }
    });
}

#[tokio::test]
async fn databases_without_their_secrets_are_not_locked_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let host = host(dir.path());
    assert!(refuse_orphans(&host).await.is_ok(), "no engine, no volumes");
    engine(&dir.path().join("docker.sock"));
    let error = refuse_orphans(&host).await.unwrap_err();
    insta::assert_snapshot!(format!("{:?}", Error::from(error)));
    std::fs::create_dir_all(host.path(layout::SECRETS)).unwrap();
    assert!(refuse_orphans(&host).await.is_ok(), "the secrets are there");
}
