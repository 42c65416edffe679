//! A real nginx in front of a homeserver that matches raw paths: every wiring that breaks signatures, and every limit.

use std::process::{Child, Command, Stdio};

use rcfed::host::net::exchange::Trouble;
use rcfed::matrix::probe::{BodyLimit, Normalisation, Seen, Slashes, Verdict};
use rcfed::matrix::server_name::ServerName;
use rcfed::matrix::signing_key::SigningKey;
use rcfed::matrix::{Wishes, look};
use tokio::time::{Duration, sleep};

use crate::servers::{Authority, Identity, eyes, homeserver, name_server, web};

/// nginx, ended with the test.
struct Nginx {
    child: Child,
    _dir: tempfile::TempDir,
    port: u16,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // SIGTERM and not SIGKILL: the master must end its workers.
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

/// Whether there is an nginx; on a build machine there has to be.
pub fn is_there() -> bool {
    let there = Command::new("nginx").arg("-v").stderr(Stdio::null()).status().is_ok();
    assert!(there || std::env::var_os("CI").is_none(), "CI needs nginx");
    if !there {
        eprintln!("SKIPPED: there is no `nginx` on this machine; `apt-get install nginx` to run this test");
    }
    there
}

impl Nginx {
    /// `server` stands in the server block, with `UP` for the homeserver's address.
    async fn start(identity: &Identity, up: std::net::SocketAddr, server: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let chain: String = identity.chain.iter().map(|certificate| pem(certificate)).collect();
        std::fs::write(dir.path().join("pair.pem"), chain + &identity.key.serialize_pem()).unwrap();
        let port = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port()
        };
        let root = dir.path().display();
        let server = server.replace("UP", &up.to_string());
        let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
        let text = format!(
            "{user} worker_processes 1; pid {root}/pid; error_log stderr crit;
            events {{}}
            http {{
                access_log off;
                client_body_temp_path {root}/a; proxy_temp_path {root}/b; fastcgi_temp_path {root}/c;
                uwsgi_temp_path {root}/d; scgi_temp_path {root}/e;
                server {{
                    listen 127.0.0.1:{port} ssl;
                    ssl_certificate {root}/pair.pem; ssl_certificate_key {root}/pair.pem;
                    {server}
                }}
            }}"
        );
        std::fs::write(dir.path().join("nginx.conf"), text).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-c").arg(dir.path().join("nginx.conf")).arg("-p").arg(dir.path());
        let child = command.args(["-e", "stderr", "-g", "daemon off;"]).stdin(Stdio::null()).spawn().unwrap();
        for _ in 0..100 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                break;
            }
            sleep(Duration::from_millis(50)).await;
        }
        Self { child, _dir: dir, port }
    }
}

fn pem(certificate: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

/// What is seen through an nginx with this in its server block.
async fn through(server: &str) -> Seen {
    let key = SigningKey::generate().unwrap();
    let up = web("127.0.0.1:0", None, homeserver("example.org:443", key.clone())).await;
    before(up, key, server).await
}

/// The same before the homeserver of `example.org:443` at `up`, whose key is `key`.
pub async fn before(up: std::net::SocketAddr, key: SigningKey, server: &str) -> Seen {
    let authority = Authority::new();
    let nginx = Nginx::start(&authority.leaf(&["example.org"], |_| {}), up, server).await;
    let resolver = name_server(&["example.org A 127.0.0.1"]).await;
    let eyes = eyes(resolver, &authority, &[(443, nginx.port)]);
    let wishes = Wishes { signing_key: Some(key), clients: false, chat: false, ..Wishes::default() };
    let mut look = look(&ServerName::parse("example.org:443").unwrap(), &eyes, &wishes).await;
    look.targets.remove(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proxies_that_touch_paths_are_caught() {
    if !is_there() {
        return;
    }
    use Normalisation::{Normalised, Untouched};
    for (server, expected, slashes, signature) in [
        ("location / { proxy_pass http://UP; }", Untouched, Slashes::Kept, Verdict::Accepted),
        ("location ~ ^(/_matrix|/x) { proxy_pass http://UP; }", Untouched, Slashes::Kept, Verdict::Accepted),
        ("location / { proxy_pass http://UP$request_uri; }", Untouched, Slashes::Kept, Verdict::Accepted),
        ("location / { proxy_pass http://UP/; }", Normalised, Slashes::Merged, Verdict::BadSignature),
        ("location /_matrix/ { proxy_pass http://UP/_matrix/; }", Normalised, Slashes::Merged, Verdict::BadSignature),
        (
            "location / { rewrite ^(.*)$ $1 break; proxy_pass http://UP; }",
            Normalised,
            Slashes::Merged,
            Verdict::BadSignature,
        ),
        (
            "location / { set $up http://UP; proxy_pass $up$uri$is_args$args; }",
            Normalised,
            Slashes::Merged,
            Verdict::BadSignature,
        ),
    ] {
        let seen = through(server).await;
        let paths = seen.paths.as_ref().unwrap();
        assert_eq!((paths.normalisation, paths.merging), (expected, slashes), "{server}: {paths:?}");
        let signed = seen.signed.unwrap().unwrap();
        assert_eq!(signed.verdict, signature, "{server}: {signed:?}");
        // What every tester looks at is fine in all of them.
        assert!(seen.versions.iter().all(|version| version.as_ref().is_ok_and(|version| version.status == 200)));
    }
    let none = through("location / { return 200 hello; }").await;
    assert_eq!(none.paths.unwrap().normalisation, Normalisation::Inconclusive);
    assert_eq!(none.signed.unwrap().unwrap().verdict, Verdict::Inconclusive);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_body_is_found_without_sending_it() {
    if !is_there() {
        return;
    }
    let up = "proxy_pass http://UP;";
    for (server, expected) in [
        (format!("location / {{ {up} }}"), BodyLimit::Refused),
        (format!("client_max_body_size 50m; location / {{ {up} }}"), BodyLimit::Taken),
        (format!("client_max_body_size 0; location / {{ {up} }}"), BodyLimit::Taken),
        (
            format!("client_max_body_size 50m; location /_matrix {{ client_max_body_size 10m; {up} }}"),
            BodyLimit::Refused,
        ),
    ] {
        assert_eq!(through(&server).await.body_limit, Some(Ok::<_, Trouble>(expected)), "{server}");
    }
}
