//! The machine's nginx reads the configuration.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rcfed::config::{Config, Profile, Proxy, Service};
use rcfed::render::{Phase, Rendered};
use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use crate::{NAMES, config, files, sites};

/// Whether there is an nginx; on a build machine there has to be.
pub fn is_there() -> bool {
    let there = Command::new("nginx").arg("-v").stderr(Stdio::null()).status().is_ok();
    assert!(there || std::env::var_os("CI").is_none(), "CI needs nginx");
    if !there {
        eprintln!("SKIPPED: there is no `nginx` on this machine; `apt-get install nginx` to run this test");
    }
    there
}

/// An nginx with the files of one deployment, below a directory of its own.
pub struct Nginx {
    pub dir: TempDir,
    pub certificate: rcgen::Certificate,
}

impl Nginx {
    /// Writes the files, with paths of the container and `replace` exchanged.
    pub fn new(files: &[Rendered], certified: bool, replace: &BTreeMap<String, String>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_str().unwrap();
        for sub in ["tls.d", "challenges", "certificate"] {
            std::fs::create_dir(dir.path().join(sub)).unwrap();
        }
        let key = KeyPair::generate().unwrap();
        let names = ["example.org", "chat.example.org", "matrix.example.org"].map(String::from);
        let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        let pair = certificate.pem() + &key.serialize_pem();
        std::fs::write(dir.path().join("certificate/pair.pem"), pair).unwrap();
        for file in files.iter().filter(|file| file.service == Service::Gateway) {
            if file.phase == Phase::Certified && !certified {
                continue;
            }
            let mut text = file
                .text
                // First, since the temporary directory is usually there too.
                .replace("/tmp/", &format!("{root}/"))
                .replace("/run/rcfed-challenges", &format!("{root}/challenges"))
                .replace("/run/rcfed-certificate", &format!("{root}/certificate"))
                .replace("/run/rcfed", root)
                .replace("/dev/stdout", &format!("{root}/access.log"))
                // The image's user, which this machine may not have.
                .replace("user nginx;", "user root;");
            for (from, to) in replace {
                text = text.replace(from, to);
            }
            std::fs::write(dir.path().join(file.name), text).unwrap();
        }
        Self { dir, certificate }
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new("nginx");
        command.arg("-c").arg(self.path("nginx.conf")).arg("-p").arg(self.dir.path());
        command.args(["-e", "stderr"]).stdin(Stdio::null());
        command
    }

    pub fn path(&self, name: &str) -> std::path::PathBuf {
        Path::new(self.dir.path()).join(name)
    }

    /// Starts it in the foreground.
    pub fn start(&self) -> Running {
        let child = self.command().args(["-g", "daemon off;"]).stderr(Stdio::piped()).spawn().unwrap();
        Running(child)
    }
}

/// A running nginx, ended with the test.
pub struct Running(Child);

impl Running {
    /// What it said before it ended; only to explain that it ended.
    pub fn ended(&mut self) -> Option<String> {
        self.0.try_wait().unwrap()?;
        let mut said = String::new();
        self.0.stderr.take()?.read_to_string(&mut said).unwrap();
        Some(said)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // SIGTERM and not SIGKILL: the master must end its workers.
        let pid = rustix::process::Pid::from_child(&self.0);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}

#[test]
fn nginx_takes_every_combination_without_a_warning() {
    if !is_there() {
        return;
    }
    for profile in Profile::ALL {
        for names in NAMES {
            for (proxy, ipv6, certified) in [
                (Proxy::Gateway, false, false),
                (Proxy::Gateway, true, true),
                (Proxy::Host, false, true),
                (Proxy::None, true, true),
            ] {
                let mut config = config(profile, names, proxy);
                taken_without_a_warning(&config, ipv6, certified, names.0);
                // Rocket.Chat has a proxy of its own, on another machine.
                if profile.has_homeserver() && config.names.chat != config.names.matrix {
                    config.names.chat_elsewhere = true;
                    taken_without_a_warning(&config, ipv6, certified, names.0);
                }
            }
        }
    }
}

fn taken_without_a_warning(config: &Config, ipv6: bool, certified: bool, names: &str) {
    let nginx = Nginx::new(&files(config, ipv6), certified, &BTreeMap::new());
    let output = nginx.command().arg("-t").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let fine = output.status.success() && !said.contains("[warn]");
    let (profile, proxy, elsewhere) = (config.profile, config.proxy, config.names.chat_elsewhere);
    assert!(fine, "{profile:?} {names} {proxy:?} {ipv6} {certified} {elsewhere}:\n{said}");
}

/// The two files beside the sites that are there already, alone before there is a certificate and together afterwards.
#[test]
fn the_machines_own_nginx_takes_its_two_files() {
    if !is_there() {
        return;
    }
    let nginx = Nginx::new(&[], false, &BTreeMap::new());
    let root = nginx.dir.path().to_str().unwrap();
    let main = format!(
        "pid {root}/pid;\nevents {{}}\nhttp {{\n  access_log {root}/access.log;\n  include {root}/conf.d/*.conf;\n}}\n"
    );
    std::fs::write(nginx.path("nginx.conf"), main).unwrap();
    std::fs::create_dir(nginx.path("conf.d")).unwrap();
    let theirs = "server { listen 80 default_server; server_name blog.example.org; }\n";
    std::fs::write(nginx.path("conf.d/blog.conf"), theirs).unwrap();
    for profile in Profile::ALL {
        for names in NAMES {
            for ipv6 in [false, true] {
                let sites = sites(&config(profile, names, Proxy::Host), ipv6);
                assert_eq!(sites.len(), 2);
                let _ = std::fs::remove_file(nginx.path("conf.d/rcfed-https.conf"));
                for site in &sites {
                    let name = Path::new(site.path).file_name().unwrap().to_str().unwrap();
                    let text = site.text.replace("/var/lib/rcfed/certificate", &format!("{root}/certificate"));
                    std::fs::write(nginx.path("conf.d").join(name), text).unwrap();
                    let output = nginx.command().arg("-t").output().unwrap();
                    let said = String::from_utf8_lossy(&output.stderr);
                    let fine = output.status.success() && !said.contains("[warn]");
                    assert!(fine, "{profile:?} {} {ipv6} {name}:\n{said}", names.0);
                }
            }
        }
    }
}
