//! One of two deployments that federate, used as its people use it: Rocket.Chat over REST, and the homeserver's client
//! interface for those elsewhere who have another client.

#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::support::{Bed, Run};

/// How long an event may take from one bridge to the other. Far more than it needs: only what never comes fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A deployment on one of the two droplets.
pub struct Side<'a> {
    bed: &'a Bed,
    /// What stands after the colon.
    pub domain: &'static str,
    second: bool,
    as_token: String,
    login: (String, String),
    /// What `rcfed init` printed at last.
    pub printed: String,
    /// Ids of the events that arrived here, to be looked at again in the end.
    seen: std::cell::RefCell<Vec<String>>,
}

/// What one side is made from.
pub struct Wanted {
    pub domain: &'static str,
    pub profile: &'static str,
    /// Lines above the first table of the answers file.
    pub more: String,
    /// Whole tables.
    pub tables: String,
}

impl Wanted {
    pub fn new(domain: &'static str, profile: &'static str) -> Self {
        Self { domain, profile, more: String::new(), tables: String::new() }
    }
}

/// `rcfed init` on both droplets at once; the first is fed.test's.
pub fn both(bed: &Bed, wanted: [Wanted; 2]) -> [Side<'_>; 2] {
    let wanted = wanted.map(|wanted| (answers(bed, &wanted), wanted.domain));
    std::thread::scope(|scope| {
        let [one, two] = wanted.map(|(answers, domain)| scope.spawn(move || Side::init(bed, &answers, domain)));
        [one.join().expect("the first side"), two.join().expect("the second side")]
    })
}

impl<'a> Side<'a> {
    fn init(bed: &'a Bed, answers: &Path, domain: &'static str) -> Self {
        let second = domain != "fed.test";
        let words = ["init", "--answers", answers.to_str().unwrap(), "--yes", "--no-input"];
        let run = if second { bed.rcfed_on_second(&words) } else { bed.rcfed(&words) }.well();
        let droplet = if second { "droplet2" } else { "droplet" };
        let root = Path::new(&bed.value("RCFED_STATE")).join(droplet).join("root");
        let secret = |name: &str| {
            let text = std::fs::read_to_string(root.join("var/lib/rcfed/secrets").join(name)).unwrap();
            text.trim().to_owned()
        };
        // Rocket.Chat that federates by itself has no homeserver beside it.
        let native = !root.join("var/lib/rcfed/secrets/as_token").exists();
        let as_token = if native { String::new() } else { secret("as_token") };
        let password = secret("admin_password");
        let none = (String::new(), String::new());
        let mut side = Self {
            bed,
            domain,
            second,
            as_token,
            login: none,
            printed: run.stdout,
            seen: std::cell::RefCell::default(),
        };
        let answer = side.chat("POST", "login", &json!({ "user": "ada", "password": password }));
        let of = |name: &str| answer["data"][name].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
        side.login = (of("userId"), of("authToken"));
        side
    }

    /// Rocket.Chat's one person here.
    pub fn ada(&self) -> String {
        format!("@ada:{}", self.domain)
    }

    /// `rcfed apply` here, and what it printed.
    pub fn apply(&self) -> String {
        let run = if self.second { self.bed.rcfed_on_second(&["apply"]) } else { self.bed.rcfed(&["apply"]) };
        run.well().stdout
    }

    /// A command on this side's machine.
    pub fn run(&self, words: &[&str]) -> Run {
        if self.second { self.bed.run_on_second(words) } else { self.bed.try_bed(&[&["run"], words].concat()) }
    }

    /// What a container printed.
    pub fn logs(&self, container: &str) -> String {
        self.run(&["sh", "-c", &format!("docker logs {container} 2>&1")]).stdout
    }

    /// Rocket.Chat's REST interface; only success counts.
    pub fn chat(&self, method: &str, path: &str, body: &Value) -> Value {
        let url = format!("https://chat.{}/api/v1/{path}", self.domain);
        let (user, token) = &self.login;
        let headers = [format!("X-User-Id: {user}"), format!("X-Auth-Token: {token}")];
        let (status, answer) = self.call(method, &url, if user.is_empty() { &[] } else { &headers }, body);
        assert_eq!(status, 200, "{method} {path} at {}: {answer}", self.domain);
        answer
    }

    /// The homeserver's client interface, as `user` of this side.
    pub fn matrix(&self, user: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let mut url = url::Url::parse(&format!("https://matrix.{}/_matrix/client/v3/{path}", self.domain)).unwrap();
        url.query_pairs_mut().append_pair("user_id", user);
        self.call(method, url.as_str(), &[format!("Authorization: Bearer {}", self.as_token)], body)
    }

    /// Somebody here whose client is not Rocket.Chat, and who therefore can make any kind of room.
    pub fn person(&self, name: &str) -> String {
        let body = json!({ "type": "m.login.application_service", "username": name });
        let url = format!("https://matrix.{}/_matrix/client/v3/register", self.domain);
        let token = [format!("Authorization: Bearer {}", self.as_token)];
        let (status, answer) = self.call("POST", &url, &token, &body);
        assert!(status == 200 || answer["errcode"] == "M_USER_IN_USE", "{answer}");
        format!("@{name}:{}", self.domain)
    }

    fn call(&self, method: &str, url: &str, headers: &[String], body: &Value) -> (u16, Value) {
        let bundle = self.bed.value("SSL_CERT_FILE");
        let text = body.to_string();
        let mut words = vec!["curl", "-sS", "--max-time", "100", "--cacert", &bundle, "-X", method];
        words.extend(["-H", "Content-Type: application/json", "-w", "\n%{http_code}"]);
        words.extend(headers.iter().flat_map(|header| ["-H", header]));
        if method != "GET" {
            words.extend(["-d", &text]);
        }
        words.push(url);
        let run = self.bed.inet(&words).well();
        let (body, status) = run.stdout.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), serde_json::from_str(body).unwrap_or_else(|_| body.into()))
    }

    /// What the homeserver delivered to the bridge: `transactions` and `events`.
    pub fn received(&self) -> Value {
        let url = format!("https://chat.{}/standin/transactions", self.domain);
        let (user, token) = &self.login;
        let headers = [format!("X-User-Id: {user}"), format!("X-Auth-Token: {token}")];
        let (status, answer) = self.call("GET", &url, &headers, &Value::Null);
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// Waits until the bridge has an event of which all of `parts` (a JSON pointer and its value) are true, prints how
    /// long that took since `since`, and comes back with the event.
    pub fn arrives(&self, what: &str, since: SystemTime, parts: &[(&str, &str)]) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let received = self.received();
            let fits =
                |event: &Value| parts.iter().all(|(at, value)| event.pointer(at).is_some_and(|found| found == *value));
            let found = received["events"].as_array().unwrap().iter().find(|kept| fits(&kept["event"]));
            if let Some(kept) = found {
                let then = since.duration_since(UNIX_EPOCH).unwrap().as_millis();
                let took = i128::from(kept["first"].as_i64().unwrap()) - i128::try_from(then).unwrap();
                println!("{:>7} ms  {what}, at the bridge of {}", took, self.domain);
                let id = kept["event"]["event_id"].as_str().unwrap().to_owned();
                assert_eq!(deliveries(&received, &id), 1, "{what}: {received:#}");
                self.seen.borrow_mut().push(id);
                return kept["event"].clone();
            }
            assert!(
                Instant::now() < end,
                "{what} never came to the bridge of {} ({parts:?}):\n{received:#}\n{}",
                self.domain,
                self.logs("rcfed-homeserver").lines().rev().take(40).collect::<Vec<_>>().join("\n")
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// That nothing which arrived came a second time meanwhile; how many transactions there were, and in which form the
    /// bridge was shown the token.
    pub fn counted(&self, form: &str) -> usize {
        let received = self.received();
        for id in self.seen.borrow().iter() {
            assert_eq!(deliveries(&received, id), 1, "{id} at {}: {received:#}", self.domain);
        }
        let transactions = received["transactions"].as_array().unwrap();
        assert!(transactions.iter().all(|one| one["form"] == form), "{received:#}");
        println!(
            "{:>7}     transactions with {} events, at the bridge of {} (token in the {form})",
            transactions.len(),
            received["events"].as_array().unwrap().len(),
            self.domain
        );
        transactions.len()
    }

    /// Whether the bridge was told anything of a room.
    pub fn knows(&self, room: &str) -> bool {
        self.received()["events"].as_array().unwrap().iter().any(|kept| kept["event"]["room_id"] == room)
    }

    /// Rocket.Chat's own id of a federated room.
    pub fn room(&self, external: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let list = self.chat("GET", "im.list", &Value::Null);
            let room = list["ims"].as_array().unwrap().iter().find(|room| room["external"] == external);
            if let Some(room) = room {
                return room["_id"].as_str().unwrap().to_owned();
            }
            assert!(Instant::now() < end, "{} has no room {external}: {list:#}", self.domain);
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Says something in a room of Rocket.Chat.
    pub fn say(&self, room: &str, text: &str) {
        self.chat("POST", "chat.sendMessage", &json!({ "message": { "rid": room, "msg": text } }));
    }

    /// The texts in a room of Rocket.Chat, oldest first.
    pub fn texts(&self, room: &str) -> Vec<String> {
        let list = self.chat("GET", &format!("im.messages?roomId={room}"), &Value::Null);
        let texts = list["messages"].as_array().unwrap().iter().map(|one| one["msg"].as_str().unwrap().to_owned());
        let mut texts: Vec<String> = texts.collect();
        texts.reverse();
        texts
    }
}

/// How often an event was delivered, repetitions of a transaction counted.
fn deliveries(received: &Value, id: &str) -> i64 {
    let has = |one: &&Value| one["events"].as_array().unwrap().iter().any(|event| event == id);
    received["transactions"].as_array().unwrap().iter().filter(has).map(|one| one["times"].as_i64().unwrap()).sum()
}

/// The answers file of one side, under a name of its own.
fn answers(bed: &Bed, wanted: &Wanted) -> PathBuf {
    let common = bed.answers_with(wanted.domain, wanted.profile, &wanted.more);
    let mut text = std::fs::read_to_string(&common).unwrap();
    // Rocket.Chat that federates by itself asks nobody whether an address is a public one.
    let networks = match wanted.profile {
        "native" => "",
        _ => "private_networks = [\"198.51.100.0/24\", \"2001:db8:51::/64\"]\n",
    };
    text.push_str(&format!("[federation]\n{networks}ca = \"{}\"\n{}", bed.value("SSL_CERT_FILE"), wanted.tables));
    let path = common.with_file_name(format!("answers-{}.toml", wanted.domain));
    std::fs::write(&path, text).unwrap();
    path
}
