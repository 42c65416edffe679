//! The Dendrite stand-in as rcfed and a bridge meet it, with a real PostgreSQL where one is installed.

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;

use serde_json::{Value, json};
use support::{Running, free_port, get, http, status, until};

const BINARY: &str = env!("CARGO_BIN_EXE_dendrite");
const POSTGRES: &str = "/usr/lib/postgresql/15/bin";
/// The seed 00..1f of the public test vector, in padded base64.
const KEY: &str = "-----BEGIN MATRIX PRIVATE KEY-----\nKey-ID: ed25519:abc123\n\n\
                   AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n-----END MATRIX PRIVATE KEY-----\n";

/// A PostgreSQL of the test's own, below its directory.
struct Postgres {
    _server: Running,
    port: u16,
}

/// Runs a PostgreSQL program as user postgres, which it insists on when the tests run as root.
fn as_postgres(program: &str, arguments: &[&str]) -> Command {
    let root = Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout == b"0\n");
    let program = format!("{POSTGRES}/{program}");
    let mut command = if root { Command::new("setpriv") } else { Command::new(&program) };
    if root {
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", &program]);
    }
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null());
    command
}

fn postgres(place: &Path) -> Option<Postgres> {
    if !Path::new(POSTGRES).join("initdb").exists() {
        eprintln!("SKIPPED: no PostgreSQL in {POSTGRES}");
        return None;
    }
    let data = place.join("data");
    std::fs::create_dir(&data).expect("made");
    let _ = Command::new("chown").arg("postgres").arg(&data).stderr(Stdio::null()).status();
    let (data, port) = (data.to_str()?.to_owned(), free_port());
    let made = as_postgres("initdb", &["-D", &data, "-E", "UTF8", "--locale=C", "-A", "trust", "-U", "postgres", "-N"]);
    assert!({ made }.status().expect("initdb ran").success(), "initdb failed");
    let number = port.to_string();
    let settings = ["-D", &data, "-p", &number, "-h", "127.0.0.1", "-k", &data, "-F", "-c", "max_connections=100"];
    let server = Running(as_postgres("postgres", &settings).spawn().expect("started"));
    let ask = |sql: &str| {
        let user = ["-h", "127.0.0.1", "-p", &number, "-U", "postgres", "-c", sql];
        as_postgres("psql", &user).status().is_ok_and(|code| code.success())
    };
    until("PostgreSQL", || ask("SELECT 1"));
    for sql in [
        "CREATE ROLE dendrite LOGIN PASSWORD 'p'",
        "CREATE DATABASE dendrite OWNER dendrite TEMPLATE template0 ENCODING 'UTF8'",
        "CREATE DATABASE ascii OWNER dendrite TEMPLATE template0 ENCODING 'SQL_ASCII'",
    ] {
        assert!(ask(sql), "{sql}");
    }
    Some(Postgres { _server: server, port })
}

/// A deployment's directory with a good configuration.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::Builder::new().tempdir_in("/tmp").expect("a directory");
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(directory.path(), open).expect("set"); // user postgres has to get through
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("written");
    }

    fn fill(&self, database: &str, bridge: u16) {
        let root = self.directory.path().display();
        self.write("matrix_key.pem", KEY);
        self.write(
            "registration.yaml",
            &format!(
                "id: rcfed_id\nurl: http://127.0.0.1:{bridge}\nas_token: as\nhs_token: 'h s'\nsender_localpart: rocket.cat\n\
                 namespaces: {{users: [{{exclusive: false, regex: '.*'}}], rooms: [], aliases: []}}\nrocketchat: {{}}\n"
            ),
        );
        self.write(
            "dendrite.yaml",
            &format!(
                "version: 2\nglobal:\n  server_name: example.test\n  private_key: {root}/matrix_key.pem\n  database:\n    \
                 connection_string: \"{database}\"\n    max_open_conns: 90\n  well_known_server_name: \
                 matrix.example.test:443\n  jetstream: {{storage_path: {root}/jetstream}}\n  no_such_key: 1\n\
                 app_service_api:\n  legacy_auth: true\n  config_files: [{root}/registration.yaml]\n\
                 client_api: {{rate_limiting: {{enabled: true, threshold: 20, cooloff_ms: 500}}}}\n\
                 media_api: {{base_path: {root}/media}}\nlogging: [{{type: std, level: info}}]\n"
            ),
        );
    }

    /// Replaces text in the configuration and tells how Dendrite ends.
    fn ends(&self, file: &str, from: &str, to: &str, flags: &[&str]) -> (i32, String) {
        let good = std::fs::read_to_string(self.path(file)).expect("read");
        assert!(good.contains(from), "{from}");
        self.write(file, &good.replacen(from, to, 1));
        let bind = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new("timeout");
        command
            .args(["5", BINARY, "--http-bind-address", &bind, "-config"])
            .arg(self.path("dendrite.yaml"))
            .args(flags);
        let out = command.output().expect("ran");
        self.write(file, &good);
        (out.status.code().unwrap_or(-1), String::from_utf8_lossy(&out.stderr).into_owned())
    }
}

#[test]
fn wrong_configurations_are_refused_with_dendrites_words() {
    let place = Place::new();
    place.fill("postgres://dendrite:p@127.0.0.1:1/dendrite?sslmode=disable", 1);
    let refused = |file: &str, from: &str, to: &str, code: i32, text: &str| {
        let (ended, said) = place.ends(file, from, to, &[]);
        assert!(ended == code && said.contains(text), "{from} -> {to}: {ended}, {said}");
    };
    let yaml = |from: &str, to: &str, text: &str| refused("dendrite.yaml", from, to, 1, text);
    yaml("version: 2", "version: 1", "expected '\\\\x02' - this means that the format of the configuration file");
    yaml(
        "server_name: example.test",
        "server_nam: x",
        r#"Configuration error: missing config key \"global.server_name\""#,
    );
    yaml("media_api: {base_path", "media: {base_path", r#"missing config key \"media_api.base_path\""#);
    yaml("type: std, ", "", r#"missing config key \"logging.type\""#);
    yaml("matrix_key.pem", "nothing.pem", "failed to load private_key: open ");
    yaml("  no_such_key: 1", "  well_known_client_name: matrix.example.test", "consider adding http:// or https://");
    yaml("client_api: {", "client_api: {registration_disabled: no, ", "-really-enable-open-registration");
    yaml("media_api:", "room_server: {default_room_version: \"99\"}\nmedia_api:", "unsupported room version");
    yaml("max_open_conns: 90", "max_open_conns: many", "cannot unmarshal !!str `many` into int");
    let key = |from: &str, to: &str, text: &str| refused("matrix_key.pem", from, to, 1, text);
    key("Hh8=", "Hh8", "keyBlock is nil");
    key("ed25519:abc123", "ed25519:a-b", "illegal characters");
    key("ed25519:abc123", "rsa:a", "doesn't start with");
    key("Key-ID: ed25519:abc123\n", "", "missing key ID in PEM data");
    let service = |from: &str, to: &str, code, text: &str| refused("registration.yaml", from, to, code, text);
    service("id: rcfed_id", "id: ''", 1, "Application service ID is required");
    service("hs_token: 'h s'", "x: y", 1, "Homeserver Token is required");
    service("regex: '.*'", "regex: '('", 1, "Invalid regex string for Application Service rcfed_id");
    service("namespaces:", "namespace:", 2, "panic: assignment to entry in nil map");
    yaml("server_name: example.test", "server_name: [a]", "cannot unmarshal !!seq into string");
    let (code, said) = place.ends("dendrite.yaml", "sslmode=disable", "sslmode=disable", &["-tls-cert"]);
    assert!(code == 2 && said.contains("flag needs an argument: -tls-cert"), "{said}");
}

#[test]
fn a_deployment_runs_on_a_real_postgresql() {
    let place = Place::new();
    let Some(postgres) = postgres(place.directory.path()) else { return };
    let bridge = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let base = format!("postgresql://dendrite:p@127.0.0.1:{}", postgres.port);
    place.fill(&format!("{base}/dendrite?sslmode=disable"), bridge.local_addr().expect("bound").port());
    let refused = |from: &str, to: &str, text: &str| {
        let (code, said) = place.ends("dendrite.yaml", from, to, &[]);
        assert!(code == 2 && said.contains(text), "{from} -> {to}: {code}, {said}");
    };
    refused("?sslmode=disable", "", "pq: SSL is not enabled on the server");
    refused("dendrite:p@", "nobody:p@", r#"pq: role \"nobody\" does not exist"#);
    refused("/dendrite?", "/nothing?", r#"pq: database \"nothing\" does not exist"#);
    refused("/dendrite?", "/ascii?", "encoding SQL_ASCII");
    refused("max_open_conns: 90", "max_open_conns: 98", "database sanity checks failed");
    let (code, said) = place.ends("dendrite.yaml", "max_open_conns: 90", "max_open_conns: 98", &["-skip-db-sanity"]);
    assert_eq!(code, 124, "it runs until it is stopped: {said}");

    let address = format!("127.0.0.1:{}", free_port());
    let mut command = Command::new(BINARY);
    command.args(["-http-bind-address", &address]).current_dir(place.directory.path()).stderr(Stdio::null());
    let mut dendrite = Running(command.spawn().expect("started"));
    until("Dendrite", || std::net::TcpStream::connect(&address).is_ok());
    health_and_keys(&address);
    tokens(&address);
    paths(&address);
    signed_requests(&address);
    limits(&address);
    invites(&address);
    transactions(&address, &bridge);
    let id = dendrite.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().is_ok_and(|code| code.success()));
    assert!(dendrite.0.wait().expect("ended").success(), "SIGTERM ends it well");
}

fn health_and_keys(address: &str) {
    assert_eq!(get(address, "/_dendrite/monitor/up", ""), (200, String::new()));
    assert_eq!(get(address, "/_dendrite/monitor/health", ""), (200, String::new()));
    assert_eq!(get(address, "/health", "").0, 404);
    let (head, _) = http(address, "GET / HTTP/1.1", "");
    assert!(head.starts_with("HTTP/1.1 302") && head.contains("/_matrix/static/"), "{head}");
    let (head, body) = http(address, "GET /.well-known/matrix/server HTTP/1.1", "");
    assert_eq!(body, r#"{"m.server":"matrix.example.test:443"}"#);
    assert!(head.to_lowercase().contains("access-control-allow-origin: *"), "{head}");
    assert_eq!(get(address, "/.well-known/matrix/client", "").0, 404, "not configured, not served");
    let (_, body) = get(address, "/_matrix/key/v2/server", "");
    let keys: Value = serde_json::from_str(&body).expect("JSON");
    let public = keys["verify_keys"]["ed25519:abc123"]["key"].as_str().expect("a key");
    assert_eq!(public, "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg", "the public test vector");
    let signature = keys["signatures"]["example.test"]["ed25519:abc123"].as_str().expect("a signature");
    rcfed_standins::matrix::verify(&keys, signature, public).expect("a good signature");
    let (_, body) = get(address, "/_matrix/federation/v1/version", "");
    assert_eq!(body, r#"{"server":{"version":"0.15.2","name":"Dendrite"}}"#);
}

fn tokens(address: &str) {
    let whoami =
        |query: &str, headers: &str| get(address, &format!("/_matrix/client/v3/account/whoami{query}"), headers);
    let (code, body) = whoami("", "\r\nAuthorization: Bearer as");
    assert_eq!(
        (code, body.as_str()),
        (200, r#"{"user_id":"@rocket.cat:example.test","device_id":"rocket.cat","is_guest":false}"#)
    );
    let (code, body) = whoami("", "\r\nAuthorization: Bearer nonsense");
    assert!(code == 401 && body.contains("M_UNKNOWN_TOKEN"), "{body}");
    let (code, body) = whoami("?access_token=as", "\r\nAuthorization: Bearer as");
    assert!(code == 401 && body.contains("mixing Authorization headers"), "{body}");
    let (code, body) = whoami("?user_id=@ghost:example.test", "\r\nAuthorization: Bearer as");
    assert_eq!(
        (code, body.as_str()),
        (403, r#"{"errcode":"M_FORBIDDEN","error":"Forbidden: appservice has not registered this user"}"#)
    );
    let available = |name| get(address, &format!("/_matrix/client/v3/register/available?username={name}"), "");
    assert_eq!(available("ghost"), (200, r#"{"available":true}"#.to_owned()));
    let body = r#"{"type":"m.login.application_service","username":"Ghost"}"#;
    let register =
        |headers: &str| status(http(address, &format!("POST /_matrix/client/r0/register HTTP/1.1{headers}"), body));
    assert_eq!(register("\r\nAuthorization: Bearer as").0, 200);
    assert!(register("\r\nAuthorization: Bearer as").1.contains("M_USER_IN_USE"));
    assert!(register("").1.contains("Registration is disabled on"), "without a token the door is closed");
    assert!(available("ghost").1.contains("M_USER_IN_USE") && available("rocket.cat").1.contains("M_USER_IN_USE"));
    for name in ["ghost", "GHOST"] {
        let asked = whoami(&format!("?user_id=@{name}:example.test"), "\r\nAuthorization: Bearer as");
        assert!(asked.1.contains("AS_Device"), "{asked:?}");
    }
    // Whoever has no name yet gets a number, and without a token the closed door all the same.
    let nameless = |headers: &str, body: &str| {
        let head = format!("POST /_matrix/client/r0/register HTTP/1.1\r\nX-Forwarded-For: 192.0.2.1{headers}");
        status(http(address, &head, body))
    };
    assert!(nameless("", "{}").1.contains("Registration is disabled on"));
    let body = r#"{"type":"m.login.application_service"}"#;
    assert!(nameless("\r\nAuthorization: Bearer as", body).1.contains(r#""user_id":"@2:example.test""#));
    assert!(nameless("", "{").1.contains("M_BAD_JSON"));
}

/// Twenty at once from one address, and another address does not suffer for it.
fn limits(address: &str) {
    let ask = |from: &str| {
        let head = format!("\r\nX-Forwarded-For: {from}");
        get(address, "/_matrix/client/v3/register/available?username=somebody", &head).0
    };
    let many: Vec<u16> = (0..60).map(|_| ask("192.0.2.7")).collect();
    assert!(many[..20].iter().all(|code| *code == 200) && many.contains(&429), "{many:?}");
    assert_eq!(ask("192.0.2.8"), 200);
    until("it is forgotten", || ask("192.0.2.7") == 200);
}

fn paths(address: &str) {
    let event = |id: &str| get(address, &format!("/_matrix/federation/v1/event/{id}"), "");
    assert_eq!(event("%24ab").0, 401);
    assert_eq!(event("%24a%2Fb").0, 401, "an encoded slash is part of the id");
    let (code, body) = event("%24a/b");
    assert_eq!((code, body.as_str()), (404, r#"{"errcode":"M_UNRECOGNIZED","error":"Unrecognized request"}"#));
    assert_eq!(get(address, "/_matrix//federation/v1/version", "").0, 404);
    let ping =
        http(address, "POST /_matrix/client/v1/appservice/rcfed_id/ping HTTP/1.1\r\nAuthorization: Bearer as", "{}");
    assert_eq!(status(ping), (404, r#"{"errcode":"M_UNRECOGNIZED","error":"Unrecognized request"}"#.to_owned()));
}

/// A request signed with the server's own key, as a check through the public proxy sends it.
fn signed_requests(address: &str) {
    let key = rcfed_standins::dendrite::key::parse("key", KEY, true).expect("the key");
    let ask = |signed: &str, sent: &str, destination: &str| {
        let fields = json!({
            "method": "GET", "uri": format!("/_matrix/federation/v1/event/{signed}"),
            "origin": "example.test", "destination": "example.test",
        });
        let signature = key.sign(&fields).expect("signed");
        let header = format!(
            "\r\nAuthorization: X-Matrix origin=\"example.test\",destination=\"{destination}\",key=\"ed25519:abc123\",sig=\"{signature}\""
        );
        get(address, &format!("/_matrix/federation/v1/event/{sent}"), &header)
    };
    let (code, body) = ask("%24a%3Aexample.test", "%24a%3Aexample.test", "example.test");
    assert!(code == 404 && body.contains("Event not found"), "{body}");
    let (code, body) = ask("%24a%3Aexample.test", "$a:example.test", "example.test");
    assert!(code == 401 && body.contains("Invalid request signature"), "a proxy that decodes breaks it: {body}");
    assert_eq!(ask("%24a", "%24a", "other.test").0, 400);
}

/// An invite as another server sends it, here of this server's own, whose key is known without asking.
struct Sent {
    version: &'static str,
    event: Value,
    id: String,
    form: &'static str,
}

impl Sent {
    fn new() -> Self {
        let event = json!({
            "type": "m.room.member", "room_id": "!r:other.invalid", "sender": "@a:example.test",
            "state_key": "@ghost:example.test", "content": {"membership": "invite", "displayname": "G"},
            "depth": 1, "prev_events": [], "auth_events": [], "origin_server_ts": 1,
        });
        Self { version: "10", event, id: String::new(), form: "v2" }.sealed()
    }

    /// The same with its hash, its id and the server's signature.
    fn sealed(mut self) -> Self {
        let key = rcfed_standins::dendrite::key::parse("key", KEY, true).expect("the key");
        self.event["hashes"] = json!({ "sha256": rcfed_standins::matrix::content_hash(&self.event).expect("a hash") });
        let form = rcfed_standins::matrix::redact(&self.event, self.version);
        key.add_signature(&mut self.event, &form, "example.test").expect("signed");
        self.id = rcfed_standins::matrix::event_id(&self.event, self.version).expect("an id");
        self
    }

    fn with(mut self, key: &str, value: Value) -> Self {
        self.event[key] = value;
        self
    }

    fn put(&self, address: &str) -> (u16, String) {
        let body = match self.form {
            "v1" => self.event.clone(),
            _ => json!({"room_version": self.version, "event": self.event, "invite_room_state": []}),
        };
        put(address, self.form, &self.id, &body)
    }
}

/// Sends a body to the path of an invite, signed with the server's own key.
fn put(address: &str, form: &str, id: &str, body: &Value) -> (u16, String) {
    let key = rcfed_standins::dendrite::key::parse("key", KEY, true).expect("the key");
    let path = format!("/_matrix/federation/{form}/invite/%21r:other.invalid/{}", id.replace('$', "%24"));
    let fields = json!({
        "method": "PUT", "uri": path, "origin": "example.test", "destination": "example.test", "content": body,
    });
    let signature = key.sign(&fields).expect("signed");
    let head = format!(
        "PUT {path} HTTP/1.1\r\nContent-Type: application/json\r\n\
         Authorization: X-Matrix origin=\"example.test\",destination=\"example.test\",key=\"ed25519:abc123\",sig=\"{signature}\""
    );
    status(http(address, &head, &body.to_string()))
}

fn invites(address: &str) {
    let (code, body) = Sent::new().put(address);
    let answer: Value = serde_json::from_str(&body).expect("JSON");
    assert!(code == 200 && answer["event"]["signatures"]["example.test"]["ed25519:abc123"].is_string(), "{body}");
    assert_eq!(answer["event"]["unsigned"]["invite_room_state"], json!([]), "{body}");
    // Who is only invited learns of it from a sync, with the event's id; the app service may ask for its users.
    let sync = |user: &str| {
        let path = format!("/_matrix/client/v3/sync?timeout=0&user_id=@{user}:example.test");
        get(address, &path, "\r\nAuthorization: Bearer as")
    };
    let (code, body) = sync("ghost");
    let answer: Value = serde_json::from_str(&body).expect("JSON");
    let events = &answer["rooms"]["invite"]["!r:other.invalid"]["invite_state"]["events"];
    let id = Sent::new().id;
    assert_eq!((code, events[0]["event_id"].as_str(), &events[0]["room_id"]), (200, Some(id.as_str()), &Value::Null));
    assert_eq!(sync("nobody").0, 403);
    // What its content hash does not fit is cut down to what the signature covers.
    let (code, body) = Sent::new().with("content", json!({"membership": "invite", "reason": "none"})).put(address);
    assert!(code == 200 && !body.contains("reason"), "{body}");
    // Neither type nor membership is looked at, which is why the relay has to.
    for (key, value) in [("type", json!("m.room.message")), ("content", json!({"membership": "join"}))] {
        let (code, body) = Sent::new().with(key, value).sealed().put(address);
        assert_eq!(code, 200, "{body}");
    }
    // Who is invited into a room of another server can say no, and nothing of it is left.
    let leave = "POST /_matrix/client/v3/rooms/!r:other.invalid/leave?user_id=@ghost:example.test HTTP/1.1\r\n\
                 Authorization: Bearer as";
    assert_eq!(status(http(address, leave, "{}")), (200, "{}".to_owned()));
    assert!(!sync("ghost").1.contains("rooms"));
    refused_invites(address);
}

fn refused_invites(address: &str) {
    let says = |sent: Sent, wanted: u16, words: &str| {
        let (code, body) = sent.put(address);
        assert!(code == wanted && body.contains(words), "{words}: {code} {body}");
    };
    let unsigned = "must be signed by the server it originated on";
    says(Sent::new().with("signatures", Value::Null), 403, unsigned);
    says(Sent::new().with("signatures", json!({ "example.test": { "ed25519:abc123": "AA" } })), 403, unsigned);
    // A key that cannot be had proves nothing.
    let stranger = json!({ "other.invalid": { "ed25519:a": "AA" } });
    says(Sent::new().with("sender", json!("@a:other.invalid")).sealed().with("signatures", stranger), 403, unsigned);
    says(Sent::new().with("state_key", json!("@ghost:elsewhere.test")).sealed(), 400, "does not belong to this server");
    says(Sent::new().with("state_key", json!("@gh ost:example.test")).sealed(), 400, "The user ID is invalid");
    says(Sent { id: "$other".to_owned(), ..Sent::new() }, 400, "must match the event ID in the invite event JSON");
    says(Sent { version: "99", ..Sent::new() }, 400, "M_UNSUPPORTED_ROOM_VERSION");
    says(Sent { form: "v1", ..Sent::new() }, 400, "M_NOT_JSON");
    let (code, body) = put(address, "v2", "$other", &json!({"room_version": "10"}));
    assert!(code == 400 && body.contains("M_NOT_JSON") && body.contains("request doesn't contain event"), "{body}");
    let path = "PUT /_matrix/federation/v2/invite/%21r:other.invalid/%24a HTTP/1.1\r\nContent-Type: application/json";
    let by =
        "\r\nAuthorization: X-Matrix origin=other.invalid,destination=\"example.test\",key=\"ed25519:a\",sig=\"AA\"";
    assert_eq!(status(http(address, path, "{}")).0, 401);
    assert_eq!(
        status(http(address, &format!("{path}{by}"), "{}")),
        (401, r#"{"message":"Invalid request signature"}"#.to_owned())
    );
}

/// The first transaction is refused: it has to come again, with the same id. The invite from before must not come at all.
fn transactions(address: &str, bridge: &std::net::TcpListener) {
    let (sender, seen) = mpsc::channel();
    let bridge = bridge.try_clone().expect("cloned");
    std::thread::spawn(move || {
        for answer in ["500 No", "200 OK"] {
            let (mut stream, _) = bridge.accept().expect("a connection");
            let (mut buffer, mut text) = ([0; 4096], String::new());
            while !text.ends_with("]}") {
                let length = std::io::Read::read(&mut stream, &mut buffer).expect("read");
                text.push_str(&String::from_utf8_lossy(&buffer[..length]));
            }
            sender.send(text).expect("sent");
            let answer = format!("HTTP/1.1 {answer}\r\nContent-Length: 2\r\n\r\n{{}}");
            std::io::Write::write_all(&mut stream, answer.as_bytes()).expect("written");
        }
    });
    let event = r#"{"type":"m.room.message","room_id":"!r:x","sender":"@a:x","content":{"body":"hello"}}"#;
    let (code, body) = status(http(address, "POST /standin/event HTTP/1.1", event));
    assert!(code == 200 && body.contains("\"appservices\":1"), "{body}");
    let wait = std::time::Duration::from_secs(10);
    let (first, second) = (seen.recv_timeout(wait).expect("sent"), seen.recv_timeout(wait).expect("sent again"));
    assert_eq!(first, second);
    assert!(first.starts_with("PUT /_matrix/app/v1/transactions/1") && first.contains("?access_token=h+s "), "{first}");
    assert!(first.to_lowercase().contains("authorization: bearer h s"), "{first}");
    assert!(first.contains("hello") && !first.contains("invite"), "{first}");
}
