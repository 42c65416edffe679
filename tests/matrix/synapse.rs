//! A real Synapse behind a real nginx: the stand-in's manners are its manners.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rcfed::matrix::probe::{BodyLimit, Normalisation, Slashes, Verdict};
use rcfed::matrix::signing_key::{SigningKey, line};
use tokio::time::{Duration, sleep};

use crate::proxies::{before, is_there};

/// Synapse, ended with the test.
struct Synapse {
    child: Child,
    _dir: tempfile::TempDir,
    port: u16,
}

impl Drop for Synapse {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where the bed has put Synapse; on a build machine it has to be there.
fn library() -> Option<PathBuf> {
    let state = std::env::var("RCFED_BED_DIR").unwrap_or_else(|_| "/tmp/rcfed-bed".into());
    let cached = std::fs::read_dir(format!("{state}/cache")).ok();
    let mut entries = cached.into_iter().flatten().flatten().map(|entry| entry.path());
    let found =
        entries.find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("synapse-")));
    assert!(found.is_some() || std::env::var_os("CI").is_none(), "CI needs Synapse: `tests/bed/bed setup`");
    if found.is_none() {
        eprintln!("SKIPPED: there is no Synapse in {state}/cache; `tests/bed/bed setup` to run this test");
    }
    found
}

impl Synapse {
    async fn start(key: &SigningKey) -> Option<Self> {
        let library = library()?;
        let dir = tempfile::tempdir().unwrap();
        let port = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port()
        };
        let root = dir.path().display();
        std::fs::write(dir.path().join("key"), line(key.seed().expose().trim_end_matches('='), key.id().expose()))
            .unwrap();
        let log = "{version: 1, root: {level: CRITICAL}}";
        std::fs::write(dir.path().join("log.yaml"), log).unwrap();
        let config = format!(
            "server_name: 'example.org:443'\nreport_stats: false\nsigning_key_path: {root}/key\n\
             media_store_path: {root}/media\npid_file: {root}/pid\nlog_config: {root}/log.yaml\n\
             macaroon_secret_key: x\ntrusted_key_servers: []\n\
             database: {{name: sqlite3, args: {{database: '{root}/db'}}}}\n\
             listeners: [{{port: {port}, type: http, bind_addresses: ['127.0.0.1'], resources: [{{names: [client, federation]}}]}}]\n"
        );
        let path = dir.path().join("homeserver.yaml");
        std::fs::write(&path, config).unwrap();
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-m", "synapse.app.homeserver", "-c"]).arg(path).env("PYTHONPATH", library);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        for _ in 0..600 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                break;
            }
            assert!(child.try_wait().unwrap().is_none(), "Synapse ended");
            sleep(Duration::from_millis(100)).await;
        }
        Some(Self { child, _dir: dir, port })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn synapse_says_what_the_proxy_did() {
    let key = SigningKey::generate().unwrap();
    if !is_there() {
        return;
    }
    let Some(synapse) = Synapse::start(&key).await else { return };
    let up = std::net::SocketAddr::from(([127, 0, 0, 1], synapse.port));

    let clean = before(up, key.clone(), "client_max_body_size 50m; location / { proxy_pass http://UP; }").await;
    assert_eq!(clean.versions[0].as_ref().unwrap().name.as_deref(), Some("Synapse"));
    let keys = clean.keys.unwrap().unwrap().document.unwrap();
    let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    assert!(keys.are_good("example.org:443", now), "{keys:?}");
    let paths = clean.paths.unwrap();
    assert_eq!((paths.normalisation, paths.merging), (Normalisation::Untouched, Slashes::Kept), "{:?}", paths.control);
    assert_eq!(clean.body_limit, Some(Ok(BodyLimit::Taken)));
    let signed = clean.signed.unwrap().unwrap();
    assert_eq!(signed.verdict, Verdict::Accepted, "{signed:?}");

    let broken = before(up, key.clone(), "location / { proxy_pass http://UP/; }").await;
    let paths = broken.paths.unwrap();
    assert_eq!(
        (paths.normalisation, paths.merging),
        (Normalisation::Normalised, Slashes::Merged),
        "{:?}",
        paths.escaped
    );
    assert_eq!(broken.body_limit, Some(Ok(BodyLimit::Refused)));
    let signed = broken.signed.unwrap().unwrap();
    assert_eq!(signed.verdict, Verdict::BadSignature, "{signed:?}");

    let stranger = before(up, SigningKey::generate().unwrap(), "location / { proxy_pass http://UP; }").await;
    assert_eq!(stranger.signed.unwrap().unwrap().verdict, Verdict::BadSignature);
}
