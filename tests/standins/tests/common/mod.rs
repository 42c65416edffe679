//! Processes on loopback ports, ended with the test.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A program that runs, and what it printed so far.
pub struct Process {
    pub child: Child,
    pub printed: Arc<Mutex<String>>,
}

impl Process {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let printed = Arc::new(Mutex::new(String::new()));
        let (out, into) = (child.stdout.take().unwrap(), Arc::clone(&printed));
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let mut printed = into.lock().unwrap();
                printed.push_str(&line);
                printed.push('\n');
            }
        });
        Self { child, printed }
    }

    pub fn wait_for(&mut self, text: &str) {
        let end = Instant::now() + Duration::from_secs(30);
        while !self.printed.lock().unwrap().contains(text) {
            assert!(Instant::now() < end, "no {text:?} in\n{}", self.printed.lock().unwrap());
            if let Some(status) = self.child.try_wait().unwrap() {
                std::thread::sleep(Duration::from_millis(100));
                let printed = self.printed.lock().unwrap();
                assert!(printed.contains(text), "ended with {status}:\n{printed}");
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The exit code of a program that ends by itself.
    pub fn ended(&mut self) -> i32 {
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A mongod with a key file, waiting for connections; its directory holds `key` and `db`.
pub fn mongod(directory: &Path, port: u16, set: &str) -> Process {
    use std::os::unix::fs::PermissionsExt;
    let (key, db) = (directory.join("key"), directory.join("db"));
    std::fs::create_dir_all(&db).unwrap();
    std::fs::write(&key, "c2VjcmV0a2V5").unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o400)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mongod"));
    command.args(["--replSet", set, "--bind_ip_all", "--port", &port.to_string(), "--keyFile"]).arg(key);
    let mut process = Process::start(command.arg("--dbpath").arg(db));
    process.wait_for("Waiting for connections");
    process
}

/// mongosh with the lines a provisioner sends: logged in if `user` is given, then one command.
pub fn mongosh(directory: &Path, port: u16, user: Option<&str>, object: &str) -> Output {
    let mut script =
        vec![r#"const secret = (name) => require("fs").readFileSync("/run/rcfed/" + name, "utf8").trim();"#.to_owned()];
    script.extend(user.map(|user| format!(r#"db.getSiblingDB("admin").auth("{user}", secret("{user}"));"#)));
    script.push(format!(
        "try {{ print(EJSON.stringify(db.getSiblingDB(\"admin\").runCommand({object}))) }} catch (e) {{ \
         print(EJSON.stringify({{ok: 0, code: e.code, codeName: e.codeName, errmsg: e.message}})) }}"
    ));
    let mut command = Command::new(env!("CARGO_BIN_EXE_mongosh"));
    command.env("STANDIN_SECRETS", directory).args(["--quiet", "--norc", "--port", &port.to_string(), "--eval"]);
    command.arg(script.join("\n")).output().unwrap()
}

/// The reply to one command.
pub fn run(directory: &Path, port: u16, user: Option<&str>, object: &str) -> serde_json::Value {
    let output = mongosh(directory, port, user, object);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A set that is PRIMARY, with the users `root` and `rocketchat`, whose passwords are in the files of these names.
pub fn ready_mongod(directory: &Path, port: u16) -> Process {
    std::fs::write(directory.join("root"), "root-password\n").unwrap();
    std::fs::write(directory.join("rocketchat"), "rc-password\n").unwrap();
    let process = mongod(directory, port, "rs0");
    let config =
        format!(r#"{{"replSetInitiate": {{"_id": "rs0", "members": [{{"_id": 0, "host": "127.0.0.1:{port}"}}]}}}}"#);
    assert_eq!(run(directory, port, None, &config)["ok"], 1);
    until_primary(directory, port);
    let root = r#"{"createUser": "root", "pwd": secret("root"), "roles": [{"role": "root", "db": "admin"}]}"#;
    assert_eq!(run(directory, port, None, root)["ok"], 1);
    let user = r#"{"createUser": "rocketchat", "pwd": secret("rocketchat"), "roles":
        [{"role": "readWrite", "db": "rocketchat"}, {"role": "clusterMonitor", "db": "admin"}, {"role": "read", "db": "local"}]}"#;
    assert_eq!(run(directory, port, Some("root"), &user.replace('\n', ""))["ok"], 1);
    process
}

pub fn until_primary(directory: &Path, port: u16) {
    let end = Instant::now() + Duration::from_secs(10);
    while run(directory, port, None, r#"{"hello": 1}"#)["isWritablePrimary"] != true {
        assert!(Instant::now() < end, "never primary");
        std::thread::sleep(Duration::from_millis(50));
    }
}
