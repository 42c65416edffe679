//! Pebble with a name server that sends every name to 127.0.0.1, and a web server for the answers; or a stub in place of
//! Pebble for what it cannot do.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rcfed::acme::Options;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

/// What is on "port 80".
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Web {
    /// The challenge directory.
    Serves,
    /// 404 for everything.
    Empty,
    /// Nobody.
    Nothing,
}

/// How often, in percent, Pebble does what certificate authorities sometimes do.
#[derive(Clone, Copy, Default)]
pub struct Moods {
    /// Needs no new proof of a name that was proven before.
    pub believes_old_proofs: u32,
    /// Refuses a request, to be sent again with another nonce.
    pub rejects_nonces: u32,
}

/// A process that ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub struct Bed {
    dir: TempDir,
    api: SocketAddr,
    names: SocketAddr,
    moods: Moods,
    asked: Arc<Mutex<Vec<String>>>,
    pebble: Option<Process>,
    _dns: Process,
}

impl Bed {
    /// Starts it all; `None` if Pebble is not installed.
    pub async fn start(web: Web, moods: Moods) -> Option<Self> {
        if !installed() {
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let port_80 = TcpListener::bind("127.0.0.1:0").unwrap();
        let http = port_80.local_addr().unwrap().port();
        let [api, management, names, dns_management, tls] = free_ports();
        let asked = Arc::default();
        if web == Web::Nothing {
            drop(port_80);
        } else {
            let served = (web == Web::Serves).then(|| dir.path().join("acme/challenges"));
            tokio::spawn(serve(port_80, served, Arc::clone(&asked)));
        }
        let (certificate, key) = own_certificate();
        std::fs::write(dir.path().join("api.pem"), certificate).unwrap();
        std::fs::write(dir.path().join("api.key"), key).unwrap();
        let config = serde_json::json!({ "pebble": {
            "listenAddress": api, "managementListenAddress": management,
            "certificate": dir.path().join("api.pem"), "privateKey": dir.path().join("api.key"),
            "httpPort": http, "tlsPort": tls.port(),
            "ocspResponderURL": "", "externalAccountBindingRequired": false,
            // Pebble 2.4 panics if an entry has more labels than a name that is asked for.
            "domainBlocklist": ["blocked.test"],
        }});
        std::fs::write(dir.path().join("pebble.json"), config.to_string()).unwrap();
        let dns = Command::new("pebble-challtestsrv")
            .args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""])
            .args(["-dns01", &names.to_string(), "-management", &dns_management.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut bed = Self { dir, api, names, moods, asked, pebble: None, _dns: Process(dns) };
        wait_for(dns_management).await;
        bed.restart().await;
        Some(bed)
    }

    /// Ends Pebble if it runs, and starts one that knows no account.
    pub async fn restart(&mut self) {
        self.pebble = None;
        let pebble = Command::new("pebble")
            .arg("-config")
            .arg(self.dir().join("pebble.json"))
            .args(["-dnsserver", &self.names.to_string()])
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_WFE_NONCEREJECT", self.moods.rejects_nonces.to_string())
            .env("PEBBLE_AUTHZREUSE", self.moods.believes_old_proofs.to_string())
            .stdout(Stdio::null())
            .stderr(if std::env::var_os("BED_LOG").is_some() { Stdio::inherit() } else { Stdio::null() })
            .spawn()
            .unwrap();
        self.pebble = Some(Process(pebble));
        wait_for(self.api).await;
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn options(&self) -> Options {
        options(self.dir(), self.api, std::fs::read(self.dir().join("api.pem")).unwrap())
    }

    /// How many different answers were asked for.
    pub fn tokens_asked_for(&self) -> usize {
        let mut asked = self.asked.lock().unwrap().clone();
        asked.sort();
        asked.dedup();
        asked.len()
    }
}

/// A server that gives the same answer to everything.
pub struct Stub {
    dir: TempDir,
    address: SocketAddr,
    certificate: String,
}

impl Stub {
    pub async fn start(status: u16, kind: &'static str, retry_after: Option<&'static str>, body: &'static str) -> Self {
        let (certificate, key) = own_certificate();
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let tls = TlsAcceptor::from(Arc::new(tls.with_no_client_auth().with_single_cert(chain, key).unwrap()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let tls = tls.clone();
                tokio::spawn(async move {
                    let Ok(stream) = tls.accept(stream).await else { return };
                    let answer = service_fn(async |_: Request<Incoming>| {
                        let mut response = Response::builder().status(status).header("content-type", kind);
                        if let Some(wait) = retry_after {
                            response = response.header("retry-after", wait);
                        }
                        response.body(Full::new(Bytes::from_static(body.as_bytes())))
                    });
                    let _ =
                        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
                });
            }
        });
        Self { dir: tempfile::tempdir().unwrap(), address, certificate }
    }

    pub fn options(&self) -> Options {
        options(self.dir.path(), self.address, self.certificate.clone().into_bytes())
    }
}

fn options(dir: &Path, api: SocketAddr, ca_pem: Vec<u8>) -> Options {
    Options {
        directory: format!("https://{api}/dir"),
        staging: None,
        ca_pem: Some(ca_pem),
        email: None,
        acme_dir: dir.join("acme"),
        challenge_dir: dir.join("acme/challenges"),
        rehearse: false,
    }
}

fn installed() -> bool {
    let found = |program: &str| {
        std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
    };
    let missing = ["pebble", "pebble-challtestsrv"].into_iter().find(|program| !found(program));
    if let Some(program) = missing {
        let text = format!("`{program}` is not installed: `sudo apt-get install pebble`");
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{text}");
        eprintln!("SKIPPED, NOTHING WAS TESTED: {text}");
    }
    missing.is_none()
}

fn own_certificate() -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

/// All are held until the last is found, so they differ.
fn free_ports() -> [SocketAddr; 5] {
    let held = [(); 5].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    held.each_ref().map(|listener| listener.local_addr().unwrap())
}

async fn wait_for(address: SocketAddr) {
    for _ in 0..500 {
        if tokio::net::TcpStream::connect(address).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nothing listens on {address}");
}

async fn serve(listener: TcpListener, dir: Option<PathBuf>, asked: Arc<Mutex<Vec<String>>>) {
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    while let Ok((stream, _)) = listener.accept().await {
        let (dir, asked) = (dir.clone(), Arc::clone(&asked));
        tokio::spawn(async move {
            let answer = service_fn(async |request: Request<Incoming>| {
                let token = request.uri().path().strip_prefix("/.well-known/acme-challenge/").unwrap_or_default();
                asked.lock().unwrap().push(token.to_owned());
                let body = dir.as_ref().and_then(|dir| std::fs::read(dir.join(token)).ok());
                let status = if body.is_some() { 200 } else { 404 };
                let body = Full::new(Bytes::from(body.unwrap_or_default()));
                Ok::<_, Infallible>(Response::builder().status(status).body(body).unwrap())
            });
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}
