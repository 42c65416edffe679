//! Rocket.Chat and MongoDB as somebody else runs them: two containers of a compose project, without rcfed.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Bed, Run};

pub const PASSWORD: &str = "their-own-password";
/// Of the second droplet, in a network that only the two droplets have.
pub const PRIVATE: &str = "10.52.0.20";
const IMAGE: &str = "registry.rocket.chat/rocketchat/rocket.chat:7.10.15";
const OLD_DENDRITE: &str = "matrixdotorg/dendrite-monolith:v0.8.7";
const NAME: &str = "chat_rocketchat_1";
const PROJECT: &str = "com.docker.compose.project=chat";
/// As `docker exec` sends them to the real mongosh too.
const INITIATE: &str = r#"const secret = (name) => require("fs").readFileSync("/run/rcfed/" + name, "utf8").trim();
try { print(EJSON.stringify(db.getSiblingDB("admin").runCommand({"replSetInitiate": {"_id": "rs0", "members": [{"_id": 0, "host": "mongo:27017"}]}}))) } catch (e) { print(EJSON.stringify({ok: 0, code: e.code, codeName: e.codeName, errmsg: e.message})) }"#;

pub struct Theirs<'a> {
    bed: &'a Bed,
    second: bool,
    /// Codes of an authenticator app.
    totp: bool,
    login: RefCell<Vec<String>>,
}

impl<'a> Theirs<'a> {
    /// On the droplet, in a network of their own; `env` as `NAME=value`.
    pub fn start(bed: &'a Bed, env: &[&str]) -> Self {
        Self::up(bed, false, env)
    }

    /// On the second droplet, with both ports published.
    pub fn on_second(bed: &'a Bed) -> Self {
        let words = |address: &'static str| ["ip", "addr", "replace", address, "dev", "eth0"];
        bed.run(&words("10.52.0.10/24"));
        bed.run_on_second(&words("10.52.0.20/24")).well();
        Self::up(bed, true, &[])
    }

    fn up(bed: &'a Bed, second: bool, env: &[&str]) -> Self {
        let totp = env.iter().any(|pair| pair.starts_with("STANDIN_TOTP_SECRET="));
        let theirs = Self { bed, second, totp, login: RefCell::default() };
        theirs.docker(&["network", "create", "chat_internal"]);
        let run = ["run", "-d", "--network", "chat_internal", "--label", PROJECT, "--name", "chat_mongo_1"];
        let mongo = ["--network-alias", "mongo", "mongo:7.0", "mongod", "--replSet", "rs0", "--bind_ip_all"];
        theirs.docker(&[&run[..], &mongo].concat());
        theirs.until("a primary", || {
            let words = ["exec", "chat_mongo_1", "mongosh", "--quiet", "--norc", "--eval", INITIATE];
            theirs.try_docker(&words).stdout.contains("\"ok\":1")
        });
        theirs.chat(env);
        theirs
    }

    fn chat(&self, env: &[&str]) {
        let tester = format!("FEDERATION_TESTER_HOST={}", self.bed.value("FEDERATION_TESTER_HOST"));
        let admin = format!("ADMIN_PASS={PASSWORD}");
        let bundle = format!("{}:/bundle.pem:ro", self.bed.value("SSL_CERT_FILE"));
        let mut words = vec!["run", "-d", "--network", "chat_internal", "--label", PROJECT, "--name", NAME];
        let common = [
            "ROOT_URL=https://chat.fed.test",
            "MONGO_URL=mongodb://mongo:27017/rocketchat?replicaSet=rs0",
            "REG_TOKEN=theirs",
            "ADMIN_USERNAME=ada",
            "NODE_EXTRA_CA_CERTS=/bundle.pem",
            "STANDIN_BOOT_MS=100",
            &admin,
            &tester,
        ];
        words.extend(common.iter().chain(env).flat_map(|pair| ["-e", pair]));
        words.extend(["-v", &bundle]);
        if self.second {
            words.extend(["-p", "3000:3000", "-p", "3300:3300"]);
        }
        words.push(IMAGE);
        self.docker(&words);
        self.until("Rocket.Chat", || self.try_docker(&["logs", NAME]).stdout.contains("SERVER RUNNING"));
        // Whoever gets codes by e-mail is not looked at from here.
        if !env.iter().any(|pair| pair.starts_with("STANDIN_EMAIL_CODES=")) {
            self.log_in();
        }
    }

    /// The same made anew, as `docker compose up --force-recreate` does.
    pub fn again(&self, env: &[&str]) {
        self.docker(&["rm", "-f", NAME]);
        self.chat(env);
    }

    /// A homeserver in the same project; that it is one shows in its image's name.
    pub fn homeserver(&self) {
        self.docker(&["tag", "mongo:7.0", OLD_DENDRITE]);
        let run = ["run", "-d", "--network", "chat_internal", "--label", PROJECT, "--name", "chat_dendrite_1"];
        self.docker(&[&run[..], &[OLD_DENDRITE, "mongod", "--bind_ip_all"]].concat());
    }

    pub fn stop(&self) {
        self.docker(&["stop", "-t", "1", NAME]);
    }

    /// Id and time of start.
    pub fn started(&self) -> String {
        self.docker(&["inspect", "-f", "{{.Id}} {{.State.StartedAt}}", NAME])
    }

    pub fn networks(&self) -> Vec<String> {
        let text =
            self.docker(&["inspect", "-f", "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}", NAME]);
        text.split_whitespace().map(str::to_owned).collect()
    }

    /// What its container printed.
    pub fn printed(&self) -> String {
        self.docker(&["logs", NAME])
    }

    /// Personal access tokens of the administrator.
    pub fn tokens(&self) -> usize {
        self.rest("GET", "users.getPersonalAccessTokens", &Value::Null)["tokens"].as_array().unwrap().len()
    }

    pub fn setting(&self, name: &str) -> Value {
        self.rest("GET", &format!("settings/{}{name}", crate::FEDERATION), &Value::Null)["value"].take()
    }

    pub fn settings(&self) -> BTreeMap<String, Value> {
        let names = ["id", "hs_token", "as_token", "homeserver_url", "homeserver_domain", "bridge_url"];
        let more =
            ["bridge_localpart", "enable_ephemeral_events", "serve_well_known", "enabled", "configuration_status"];
        names.iter().chain(&more).map(|name| ((*name).to_owned(), self.setting(name))).collect()
    }

    pub fn set(&self, name: &str, value: Value) {
        self.rest("POST", &format!("settings/{}{name}", crate::FEDERATION), &json!({ "value": value }));
    }

    pub fn write_password(&self, password: &str) {
        std::fs::write(self.password_file(), format!("{password}\n")).unwrap();
    }

    /// An answers file in which `lines` stand below `[rocketchat]`.
    pub fn answers(&self, profile: &str, lines: &str) -> String {
        let path = self.bed.answers(profile, "");
        let text = std::fs::read_to_string(&path).unwrap();
        let (above, rest) = text.split_once("[rocketchat]\n").unwrap();
        let (_, below) = rest.split_once("[acme]").unwrap();
        if !self.password_file().exists() {
            self.write_password(PASSWORD);
        }
        let file = self.password_file();
        let text = format!("{above}password_file = \"{}\"\n[rocketchat]\n{lines}\n[acme]{below}", file.display());
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn password_file(&self) -> PathBuf {
        PathBuf::from(self.bed.value("RCFED_ROOT")).join("their-password")
    }

    fn log_in(&self) {
        self.login.borrow_mut().clear();
        let mut body = json!({ "user": "ada", "password": PASSWORD });
        if self.totp {
            body["code"] = crate::codes::code().into();
        }
        let answer = self.rest("POST", "login", &body);
        let of = |name: &str| answer["data"][name].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
        // printf 'their-own-password' | sha256sum
        let code = sha256(PASSWORD);
        *self.login.borrow_mut() = vec![
            format!("X-User-Id: {}", of("userId")),
            format!("X-Auth-Token: {}", of("authToken")),
            format!("x-2fa-code: {code}"),
            "x-2fa-method: password".into(),
        ];
    }

    /// Asked at the container's own address, as its administrator.
    fn rest(&self, method: &str, path: &str, body: &Value) -> Value {
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}";
        let addresses = self.docker(&["inspect", "-f", format, NAME]);
        let address = addresses.split_whitespace().next().expect("an address");
        let url = format!("http://{address}:3000/api/v1/{path}");
        let text = body.to_string();
        let login = self.login.borrow();
        let mut words = vec!["curl", "-sS", "--max-time", "20", "-X", method, "-H", "Content-Type: application/json"];
        words.extend(login.iter().flat_map(|header| ["-H", header.as_str()]));
        if method != "GET" {
            words.extend(["-d", &text]);
        }
        words.push(&url);
        let run = self.run(&words).well();
        let answer: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{path}: {}", run.stdout));
        assert!(answer["success"] != false && answer["status"] != "error", "{path}: {answer}");
        answer
    }

    fn docker(&self, words: &[&str]) -> String {
        self.try_docker(words).well().stdout.trim().to_owned()
    }

    fn try_docker(&self, words: &[&str]) -> Run {
        self.run(&[&["docker"], words].concat())
    }

    fn run(&self, words: &[&str]) -> Run {
        if self.second { self.bed.run_on_second(words) } else { self.bed.try_bed(&[&["run"], words].concat()) }
    }

    fn until(&self, what: &str, test: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(60);
        while !test() {
            assert!(Instant::now() < end, "{what} never came: {}", self.try_docker(&["ps", "-a"]).stdout);
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Theirs<'_> {
    /// Other tests look at what an engine has, and begin with none of these.
    fn drop(&mut self) {
        self.try_docker(&["rm", "-fv", NAME, "chat_mongo_1", "chat_dendrite_1"]);
        self.try_docker(&["image", "rm", "-f", OLD_DENDRITE, "mongo:7.0", IMAGE]);
        if self.second {
            self.bed.try_bed(&["run", "ip", "addr", "del", "10.52.0.10/24", "dev", "eth0"]);
            self.bed.run_on_second(&["ip", "addr", "del", "10.52.0.20/24", "dev", "eth0"]);
        }
    }
}

fn sha256(text: &str) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}
