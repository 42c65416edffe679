//! Is Docker there, does it run, and is it one that can be worked with; and whether our own gateway runs in it.

use std::path::Path;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::config::Service;
use crate::finding::Finding;
use crate::host::net::plain;

/// Why Docker gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Silence {
    /// There is no socket, or nobody listens.
    #[error("nobody listens at {0}")]
    Nobody(String),
    /// The socket is there, but not for us.
    #[error("{0} may be opened by root only")]
    Forbidden(String),
    /// It did not answer in five seconds.
    #[error("no answer within 5 s")]
    Timeout,
    /// It answered something else.
    #[error("{0}")]
    Other(String),
}

/// Asks the engine at `socket` (`unix://…` or `tcp://…`) for `path`; the body if the answer is 200.
pub(crate) async fn get(socket: &str, path: &str) -> Result<String, Silence> {
    let asked = async {
        let refused = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::PermissionDenied => Silence::Forbidden(socket.into()),
            std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => Silence::Nobody(socket.into()),
            _ => Silence::Other(format!("{socket}: {error}")),
        };
        let answer = match socket.strip_prefix("tcp://").or_else(|| socket.strip_prefix("http://")) {
            Some(address) => plain::send(TcpStream::connect(address).await.map_err(refused)?, "GET", path, &[]).await,
            None => {
                let file = socket.trim_start_matches("unix://");
                plain::send(UnixStream::connect(file).await.map_err(refused)?, "GET", path, &[]).await
            }
        };
        match answer {
            Ok((status, body)) if status.is_success() => Ok(body),
            Ok((status, _)) => Err(Silence::Other(format!("{socket} answers {status} to {path}"))),
            Err(error) => Err(Silence::Other(format!("{socket}: {error}"))),
        }
    };
    timeout(Duration::from_secs(5), asked).await.unwrap_or(Err(Silence::Timeout))
}

/// The ports of the machine at which the running gateway is published.
pub(crate) async fn gateway_ports(socket: &str) -> Vec<u16> {
    let path = format!("/containers/{}/json", Service::Gateway.container());
    let answer = get(socket, &path).await.ok();
    let container: Option<serde_json::Value> = answer.and_then(|text| serde_json::from_str(&text).ok());
    let ports = container.as_ref().and_then(|container| container.pointer("/NetworkSettings/Ports")?.as_object());
    let published = ports.into_iter().flat_map(|ports| ports.values()).filter_map(|list| list.as_array()).flatten();
    published.filter_map(|binding| binding.get("HostPort")?.as_str()?.parse().ok()).collect()
}

/// Whether Docker can be used, with the machine's files below `root`; that it is not installed yet is fine.
pub(crate) async fn check(root: &Path, socket: &str) -> Finding {
    judge(root, get(socket, "/_ping").await.map(|_| ()))
}

fn judge(root: &Path, answer: Result<(), Silence>) -> Finding {
    let exists = |path: &str| root.join(path).exists();
    let installed = ["usr/bin/dockerd", "usr/sbin/dockerd", "usr/local/bin/dockerd"].into_iter().any(exists);
    let snap = ["snap/bin/docker", "var/snap/docker"].into_iter().any(exists);
    if snap && !installed {
        return Finding::fail(
            "docker.engine",
            "Docker",
            "this Docker is a snap, which cannot mount /var/lib/rcfed and /etc/rcfed",
        )
        .seen("a snap sees its own files only, and a refresh restarts every container")
        .remedy("snap remove docker && apt-get install docker.io");
    }
    match answer {
        Ok(()) => Finding::ok("docker.engine", "Docker", "answers"),
        Err(Silence::Nobody(_)) if !installed => {
            let remedy = "nothing; rcfed installs docker.io with apt";
            Finding::ok("docker.engine", "Docker", "is not installed yet").remedy(remedy)
        }
        Err(silence @ Silence::Nobody(_)) => Finding::fail("docker.engine", "Docker", "is installed, but does not run")
            .seen(silence.to_string())
            .remedy("systemctl start docker"),
        Err(silence @ Silence::Forbidden(_)) => {
            Finding::fail("docker.engine", "Docker", silence.to_string()).remedy("sudo rcfed init")
        }
        Err(silence @ Silence::Timeout) => Finding::fail("docker.engine", "Docker", "hangs")
            .seen(silence.to_string())
            .remedy("systemctl restart docker"),
        Err(silence) => Finding::unknown("docker.engine", "Docker", silence.to_string()).remedy("docker version"),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::preflight::Status;

    #[tokio::test]
    async fn an_engine_is_asked_through_its_socket() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("docker.sock");
        let socket = format!("unix://{}", file.display());
        assert!(matches!(get(&socket, "/_ping").await, Err(Silence::Nobody(_))));
        let listener = tokio::net::UnixListener::bind(&file).unwrap();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 1024];
                let length = stream.read(&mut request).await.unwrap();
                let body = match String::from_utf8_lossy(&request[..length]).split(' ').nth(1) {
                    Some("/_ping") => "OK",
                    _ => {
                        r#"{"NetworkSettings":{"Ports":{"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"80"}],"8008/tcp":null}}}"#
                    }
                };
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        assert_eq!(check(directory.path(), &socket).await.status, Status::Ok);
        assert_eq!(gateway_ports(&socket).await, [80]);
    }

    #[test]
    fn absent_stopped_and_foreign_dockers_are_told_apart() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/machine");
        let text = ["empty", "droplet", "snap"].map(|machine| {
            let nobody = Err(Silence::Nobody("unix:///var/run/docker.sock".into()));
            let finding = judge(&fixtures.join(machine), nobody);
            let seen: String = finding.evidence.iter().map(|fact| format!(" [{fact}]")).collect();
            format!(
                "{machine}: {:?} {}{seen} → {}",
                finding.status,
                finding.summary,
                finding.remedy.unwrap_or_default()
            )
        });
        insta::assert_snapshot!(text.join("\n"));
    }

    #[test]
    fn sentences() {
        let droplet = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/machine/droplet");
        let socket = || "unix:///var/run/docker.sock".to_owned();
        let answers = [
            Ok(()),
            Err(Silence::Nobody(socket())),
            Err(Silence::Forbidden(socket())),
            Err(Silence::Timeout),
            Err(Silence::Other(format!("{} answers 500 to /_ping", socket()))),
        ];
        let told = answers.map(|answer| {
            let f = judge(&droplet, answer);
            let seen: String = f.evidence.iter().map(|fact| format!("\n    {fact}")).collect();
            format!("{:?} {}{seen}\n    → {}", f.status, f.summary, f.remedy.unwrap_or_else(|| "nothing".into()))
        });
        insta::assert_snapshot!(told.join("\n"));
    }
}
