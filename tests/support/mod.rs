//! The bed from the side of a test: one shared network with real servers, and rcfed run on its droplet.

#![allow(dead_code)]

pub mod machine;

use std::fs::File;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// The bed, held by one test at a time.
pub struct Bed {
    script: PathBuf,
    env: Value,
    _lock: File,
}

impl Bed {
    /// Raises the bed, or finds it up, with an empty droplet. `None`, said loudly, where it cannot be had.
    ///
    /// # Panics
    /// Under `CI=true` a bed that cannot be had is a failure.
    pub fn up() -> Option<Self> {
        Self::raise(&["up"])
    }

    /// The same with a second droplet, empty too.
    pub fn up_two() -> Option<Self> {
        Self::raise(&["up", "--two"])
    }

    fn raise(words: &[&str]) -> Option<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bed/bed");
        if !rustix::process::geteuid().is_root() {
            return skip("the bed needs root");
        }
        let state = std::env::var("RCFED_BED_DIR").unwrap_or_else(|_| "/tmp/rcfed-bed".into());
        let lock = File::create(format!("{state}-test.lock")).expect("lock file");
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).expect("flock");
        let up = Command::new(&script).args(words).output().expect("bed");
        if !up.status.success() {
            return skip(&format!("`bed up` failed:\n{}", String::from_utf8_lossy(&up.stderr)));
        }
        let env = Command::new(&script).args(["env", "--json"]).output().expect("bed env");
        let env = serde_json::from_slice(&env.stdout).expect("bed env prints JSON");
        let bed = Self { script, env, _lock: lock };
        bed.bed(&["clean"]);
        bed.bed(&["dns", "reset"]);
        Some(bed)
    }

    /// A value of `bed env`.
    pub fn value(&self, name: &str) -> String {
        self.env[name].as_str().unwrap_or_else(|| panic!("bed env has no {name}: {}", self.env)).to_string()
    }

    /// The droplet's root directory.
    pub fn root(&self) -> PathBuf {
        self.value("RCFED_ROOT").into()
    }

    /// A verb of the bed itself; it must succeed.
    pub fn bed(&self, arguments: &[&str]) -> String {
        let output = Command::new(&self.script).args(arguments).output().expect("bed");
        assert!(output.status.success(), "bed {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A verb of the bed, however it ends.
    pub fn try_bed(&self, arguments: &[&str]) -> Run {
        Run::of(Command::new(&self.script).args(arguments).stdin(Stdio::null()).output().expect("bed"))
    }

    /// rcfed on the droplet.
    pub fn rcfed(&self, arguments: &[&str]) -> Run {
        self.rcfed_with(arguments, &[])
    }

    /// rcfed on the droplet with further environment variables.
    pub fn rcfed_with(&self, arguments: &[&str], env: &[(&str, &str)]) -> Run {
        let mut command = Command::new(&self.script);
        command.arg("run").arg(env!("CARGO_BIN_EXE_rcfed")).args(arguments).stdin(Stdio::null());
        command.envs(env.iter().copied());
        Run::of(command.output().expect("rcfed runs"))
    }

    /// rcfed on the second droplet.
    pub fn rcfed_on_second(&self, arguments: &[&str]) -> Run {
        self.run_on_second(&[&[env!("CARGO_BIN_EXE_rcfed")], arguments].concat())
    }

    /// A command on the second droplet, however it ends.
    pub fn run_on_second(&self, arguments: &[&str]) -> Run {
        let mut command = Command::new(&self.script);
        Run::of(command.args(["run", "-2"]).args(arguments).stdin(Stdio::null()).output().expect("bed run -2"))
    }

    /// What the doctor says of the droplet's deployment.
    pub fn doctor(&self) -> Value {
        let run = self.rcfed(&["doctor", "--json"]);
        let report: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"));
        assert_eq!(run.ok, report["counts"]["fail"] == 0, "{run:?}");
        report
    }

    /// The doctor looked at everything, and has nothing to say that asks for something.
    pub fn is_well(&self) {
        is_well(&self.doctor());
    }

    /// A command on the droplet; it must succeed.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = Command::new(&self.script).arg("run").args(arguments).output().expect("bed run");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A command out in the bed's internet.
    pub fn inet(&self, arguments: &[&str]) -> Run {
        Run::of(Command::new(&self.script).arg("inet").args(arguments).output().expect("bed inet"))
    }

    /// A GET from the bed's internet over verified TLS: status, headers and body.
    pub fn https(&self, url: &str, arguments: &[&str]) -> (u16, String) {
        let bundle = self.value("SSL_CERT_FILE");
        let mut words = vec!["curl", "-sS", "-i", "--max-time", "10", "--cacert", &bundle];
        words.extend(arguments);
        words.push(url);
        let run = self.inet(&words);
        assert!(run.ok, "curl {url}: {}", run.stderr);
        let status = run.stdout.split_whitespace().nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
        (status, run.stdout)
    }

    /// Writes an answers file for the bed's names; `more` is appended.
    pub fn answers(&self, profile: &str, more: &str) -> PathBuf {
        self.answers_with("fed.test", profile, more)
    }

    /// A licence of the Rocket.Chat stand-in's own, in a file.
    pub fn licence(&self, modules: &[&str]) -> PathBuf {
        let path = PathBuf::from(self.value("RCFED_STATE")).join("licence");
        std::fs::write(&path, format!("{}\n", licence(modules))).expect("licence");
        path
    }

    /// The same for another federated domain.
    pub fn answers_with(&self, domain: &str, profile: &str, more: &str) -> PathBuf {
        let directory = PathBuf::from(self.value("RCFED_STATE"));
        let token = directory.join("registration-token");
        std::fs::write(&token, "bed-registration-token\n").expect("token");
        let native = match profile {
            "native" => format!("license_file = \"{}\"\n", self.licence(&["federation"]).display()),
            _ => format!("federation_tester = \"{}\"\n", self.value("FEDERATION_TESTER_HOST")),
        };
        let path = directory.join("answers.toml");
        let mut file = File::create(&path).expect("answers");
        write!(
            file,
            "federated_domain = \"{domain}\"\n\
             profile = \"{profile}\"\n\
             email = \"admin@fed.test\"\n\
             accept_end_of_life = true\n\
             {more}\n\
             [admin]\nusername = \"ada\"\n\
             [rocketchat]\nregistration_token_file = \"{}\"\n{native}\
             [acme]\ndirectory = \"{}\"\nstaging_directory = \"{}\"\nca = \"{}\"\n",
            token.display(),
            self.value("ACME_DIRECTORY"),
            self.value("ACME_STAGING"),
            self.value("ACME_CA"),
        )
        .expect("answers");
        path
    }
}

/// What a command did.
#[derive(Debug)]
pub struct Run {
    /// Whether it ended with 0.
    pub ok: bool,
    /// Exit code.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Run {
    pub fn of(output: Output) -> Self {
        Self {
            ok: output.status.success(),
            code: output.status.code(),
            signal: output.status.signal(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The run itself, if it ended well.
    ///
    /// # Panics
    /// If it did not.
    pub fn well(self) -> Self {
        assert!(self.ok, "exit {:?}\nstdout:\n{}\nstderr:\n{}", self.code, self.stdout, self.stderr);
        self
    }
}

/// A report without anything that asks for something, and without a check that was left out.
pub fn is_well(report: &Value) {
    let told = |finding: &&Value| !["ok", "info"].contains(&finding["status"].as_str().unwrap_or_default());
    let told: Vec<&Value> = report["findings"].as_array().unwrap().iter().filter(told).collect();
    assert!(told.is_empty() && report["counts"]["skipped"] == 0, "{told:#?}\n{:#}", report["skipped"]);
}

/// A licence as the Rocket.Chat stand-in makes them up: a token whose signature is the word `standin`.
pub fn licence(modules: &[&str]) -> String {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let modules: Vec<Value> = modules.iter().map(|module| serde_json::json!({ "module": module })).collect();
    let payload = serde_json::json!({ "version": "3.0", "grantedModules": modules }).to_string();
    let parts = [r#"{"alg":"none","typ":"JWT"}"#, &payload, "standin"];
    format!("RCV3_{}", parts.map(|part| URL_SAFE_NO_PAD.encode(part)).join("."))
}

/// One in the older shape, which nobody but Rocket.Chat can read.
pub fn sealed_licence(modules: &[&str]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(format!("{:512}", format!("standin:{}", modules.join(" "))))
}

fn skip<T>(why: &str) -> Option<T> {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "under CI this test may not be skipped: {why}");
    eprintln!("\n*** SKIPPED: {why} ***\n");
    None
}
