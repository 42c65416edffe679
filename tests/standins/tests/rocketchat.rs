//! Rocket.Chat as a provisioner meets it: boot, log-in, second factor, tokens, sending, the bridge and its check.

mod common;
#[path = "common/web.rs"]
mod web;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use common::{Process, free_port, ready_mongod};
use serde_json::{Value, json};
use web::{Homeserver, request};

/// printf 'admin-password' | sha256sum
const CODE: &str = "8e70fdbd0400b7a21539fd15fb4ab86c129f7cbd99261dbb0d95c18df8dec177";
const HS_TOKEN: &str = "hs-token";

struct Chat {
    process: Process,
    port: u16,
    bridge: u16,
    auth: Vec<(String, String)>,
}

fn command(directory: &Path, mongo: u16, port: u16) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rocketchat"));
    command.arg("main.js").env_clear().envs([
        ("ROOT_URL", "https://chat.test"),
        ("PORT", &port.to_string()),
        ("MONGO_URL", &mongo_url(mongo, "rc-password")),
        ("STANDIN_BOOT_MS", "100"),
        ("STANDIN_MONGO_WAIT_MS", "1500"),
        ("STANDIN_UPLOADS", directory.to_str().unwrap()),
        ("ADMIN_PASS", "admin-password"),
        ("ADMIN_USERNAME", "ada"),
        ("ADMIN_EMAIL", "ada@chat.test"),
    ]);
    command
}

fn mongo_url(port: u16, password: &str) -> String {
    format!("mongodb://rocketchat:{password}@127.0.0.1:{port}/rocketchat?replicaSet=rs0&authSource=admin")
}

impl Chat {
    fn start(directory: &Path, mongo: u16, extra: &[(&str, &str)]) -> Self {
        let (port, bridge) = (free_port(), free_port());
        let mut command = command(directory, mongo, port);
        command.env("OVERWRITE_SETTING_Federation_Matrix_bridge_url", format!("http://rocketchat:{bridge}"));
        let mut process = Process::start(command.envs(extra.iter().copied()));
        process.wait_for("SERVER RUNNING");
        Self { process, port, bridge, auth: Vec::new() }
    }

    fn call(&self, method: &str, path: &str, body: Value, code: bool) -> (u16, Value) {
        let mut headers: Vec<_> = self.auth.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        if code {
            headers.extend([("x-2fa-code", CODE), ("x-2fa-method", "password")]);
        }
        request(self.port, method, &format!("/api/v1/{path}"), &headers, (!body.is_null()).then_some(&body))
    }

    fn get(&self, path: &str) -> (u16, Value) {
        self.call("GET", path, Value::Null, false)
    }

    fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.call("POST", path, body, false)
    }

    fn login(&mut self) {
        let (status, answer) = self.post("login", json!({ "user": "ada", "password": "admin-password" }));
        assert_eq!(status, 200, "{answer}");
        let text = |name: &str| answer["data"][name].as_str().unwrap().to_owned();
        self.auth = vec![("X-Auth-Token".into(), text("authToken")), ("X-User-Id".into(), text("userId"))];
    }

    fn setting(&self, id: &str) -> Value {
        self.get(&format!("settings/{id}")).1["value"].clone()
    }
}

/// What DDP says to a connection and a ping.
fn websocket(port: u16) -> Vec<String> {
    use tokio_tungstenite::tungstenite::{Message, client};
    let stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let (mut socket, _) = client(format!("ws://127.0.0.1:{port}/websocket"), stream).unwrap();
    socket.send(Message::text(r#"{"msg":"ping","id":"7"}"#)).unwrap();
    (0..2).map(|_| socket.read().unwrap().into_text().unwrap().to_string()).collect()
}

fn until(what: &str, test: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !test() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn from_the_first_login_to_a_stored_token() {
    let directory = tempfile::tempdir().unwrap();
    let (directory, mongo) = (directory.path(), free_port());
    let mongod = ready_mongod(directory, mongo);
    let extra =
        [("OVERWRITE_SETTING_No_Such_Setting", "x"), ("Site_Name", "Ours"), ("OVERWRITE_SETTING_Language", "de")];
    let mut chat = Chat::start(directory, mongo, &extra);
    assert_eq!(request(chat.port, "GET", "/health", &[], None), (200, json!("ok")));
    assert_eq!(request(chat.port, "GET", "/api/info", &[], None).1["version"], "7.10");
    assert_eq!(websocket(chat.port), [r#"{"server_id":"0"}"#, r#"{"msg":"pong","id":"7"}"#]);
    let stranger = json!({ "status": "error", "message": "You must be logged in to do this." });
    assert_eq!(chat.get("me"), (401, stranger));
    let wrong = chat.post("login", json!({ "user": "ada", "password": "wrong" }));
    assert_eq!(wrong, (401, json!({ "status": "error", "error": "Unauthorized", "message": "Unauthorized" })));
    chat.login();
    assert_eq!(chat.setting("Site_Name"), "Ours");
    let page = |query: &str| chat.get(&format!("users.list{query}")).1;
    let names = ["?count=1", "?count=1&offset=1"].map(|query| page(query)["users"][0]["username"].clone());
    assert!(names.contains(&json!("ada")) && names.contains(&json!("rocket.cat")), "{names:?}");
    let all = page("");
    assert!(all["total"] == 2 && all["users"][0]["services"].is_null(), "{all}");
    assert_eq!(page("?offset=2")["users"], json!([]));
    assert_eq!(chat.setting("Language"), "de");
    assert_eq!(chat.setting("Show_Setup_Wizard"), "in_progress");
    assert_eq!(chat.get("settings/No_Such_Setting"), (400, json!({ "success": false })));

    let (status, asked) = chat.post("settings/Site_Name", json!({ "value": "New" }));
    assert_eq!(
        (status, &asked["errorType"], &asked["details"]["method"]),
        (400, &json!("totp-required"), &json!("password"))
    );
    let name = json!({ "tokenName": "rcfed", "bypassTwoFactor": true });
    assert_eq!(chat.post("users.generatePersonalAccessToken", name.clone()).1["errorType"], "totp-required");
    let (status, made) = chat.call("POST", "users.generatePersonalAccessToken", name.clone(), true);
    assert_eq!(status, 200, "{made}");
    let again = chat.call("POST", "users.generatePersonalAccessToken", name.clone(), true).1;
    assert_eq!(again["errorType"], "error-token-already-exists");
    let token =
        chat.call("POST", "users.regeneratePersonalAccessToken", name, true).1["token"].as_str().unwrap().to_owned();
    chat.auth[0].1 = token;
    assert_eq!(chat.post("settings/Site_Name", json!({ "value": "New" })).0, 200);
    assert_eq!(chat.get("users.getPersonalAccessTokens").1["tokens"][0]["name"], "rcfed");

    // Sending is refused to a workspace that nobody registered; reading is not.
    let refused = chat.post("chat.postMessage", json!({ "channel": "#general", "text": "x" }));
    assert_eq!(refused, (400, json!({ "success": false, "error": "restricted-workspace" })));
    assert_eq!(chat.get("channels.info?roomName=general").1["channel"]["_id"], "GENERAL");

    // A second boot keeps what was set, and its ADMIN_PASS means nothing.
    let auth = chat.auth.clone();
    drop(chat);
    let changed = [("REG_TOKEN", "t"), ("ADMIN_PASS", "another"), ("Site_Name", "Other")];
    let mut chat = Chat::start(directory, mongo, &changed);
    assert!(chat.process.printed.lock().unwrap().contains("Users with admin role already exist"));
    chat.auth = auth;
    assert_eq!(chat.setting("Site_Name"), "New");
    let room = chat.post("im.create", json!({ "username": "ada" })).1["room"]["_id"].clone();
    let sent = chat.post("chat.postMessage", json!({ "roomId": room, "text": "x" })).1["message"]["_id"].clone();
    assert_eq!(chat.post("chat.delete", json!({ "roomId": room, "msgId": sent })).0, 200);

    // A mongod that was killed and came back is found again.
    drop(mongod);
    let _mongod = common::mongod(directory, mongo, "rs0");
    assert_eq!(chat.get("me").1["username"], "ada");

    // A new password ends all tokens, the personal one too.
    let id = chat.get("users.info?username=ada").1["user"]["_id"].clone();
    assert_eq!(chat.post("users.update", json!({ "userId": id, "data": { "password": "newer" } })).0, 200);
    assert_eq!(chat.get("me").0, 401);
    assert_eq!(chat.post("login", json!({ "user": "ada", "password": "newer" })).0, 200);
    assert!(!chat.process.printed.lock().unwrap().contains("admin-password"));
}

/// checkCodeForUser, TOTPCheck.ts, EmailCheck.ts and loginHandler.ts.
#[test]
fn codes_of_an_app_and_by_e_mail() {
    let directory = tempfile::tempdir().unwrap();
    let (directory, mongo) = (directory.path(), free_port());
    let mongod = ready_mongod(directory, mongo);
    let login = |chat: &Chat, code: Option<&str>| {
        let mut body = json!({ "user": "ada", "password": "admin-password" });
        if let Some(code) = code {
            body["code"] = json!(code);
        }
        chat.post("login", body)
    };
    let enter = |chat: &mut Chat, answer: &Value| {
        let text = |name: &str| answer["data"][name].as_str().unwrap().to_owned();
        chat.auth = vec![("X-Auth-Token".into(), text("authToken")), ("X-User-Id".into(), text("userId"))];
    };
    let take = |chat: &Chat, code: &str, method: &str| {
        let mut headers: Vec<_> = chat.auth.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        headers.extend([("x-2fa-code", code), ("x-2fa-method", method)]);
        let body = json!({ "tokenName": "rcfed", "bypassTwoFactor": true });
        request(chat.port, "POST", "/api/v1/users.generatePersonalAccessToken", &headers, Some(&body)).1
    };

    let mail = [("STANDIN_EMAIL_CODES", "1"), ("ADMIN_EMAIL_VERIFIED", "true")];
    let mut chat = Chat::start(directory, mongo, &mail);
    let sent = |chat: &Chat| -> Vec<String> {
        let printed = chat.process.printed.lock().unwrap().clone();
        printed.lines().filter_map(|line| Some(line.split_once("authentication code: ")?.1.to_owned())).collect()
    };
    let (status, asked) = login(&chat, None);
    assert_eq!((status, &asked["error"], &asked["details"]["method"]), (401, &json!("totp-required"), &json!("email")));
    assert_eq!(
        (&asked["details"]["codeGenerated"], &login(&chat, None).1["details"]["codeGenerated"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(login(&chat, Some("12")).1["error"], "totp-invalid");
    assert_eq!(chat.post("users.2fa.sendEmailCode", json!({})).0, 400);
    assert_eq!(chat.post("users.2fa.sendEmailCode", json!({ "emailOrUsername": "nobody" })).0, 200);
    chat.process.wait_for("authentication code");
    let code = sent(&chat)[0].clone();
    let (status, answer) = login(&chat, Some(&code));
    assert_eq!(status, 200, "{answer}");
    enter(&mut chat, &answer);
    assert_eq!(take(&chat, &code, "email")["errorType"], "totp-invalid", "it counts once");
    until("a second e-mail", || sent(&chat).len() == 2);
    assert!(take(&chat, &sent(&chat)[1], "email")["token"].is_string());
    drop((chat, mongod));

    let directory = tempfile::tempdir().unwrap();
    let (directory, mongo) = (directory.path(), free_port());
    let _mongod = ready_mongod(directory, mongo);
    let mut chat = Chat::start(directory, mongo, &[("STANDIN_TOTP_SECRET", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")]);
    assert_eq!(login(&chat, None).1["details"]["method"], "totp");
    assert_eq!(login(&chat, Some("12")).1["error"], "totp-invalid");
    let shown = |late: &str| {
        let output = Command::new("python3")
            .args(["-c", include_str!("common/totp.py"), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", late])
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert_eq!(login(&chat, Some(&shown("5"))).1["error"], "totp-invalid", "an old one");
    let code = shown("0");
    let (status, answer) = login(&chat, Some(&code));
    assert_eq!(status, 200, "{answer}");
    enter(&mut chat, &answer);
    // Whoever has an app is not asked for the password, and the password is no code.
    assert_eq!(take(&chat, CODE, "password")["errorType"], "totp-invalid");
    assert_eq!(take(&chat, &code, "email")["errorType"], "totp-invalid");
    assert!(take(&chat, &code, "totp")["token"].is_string());
}

#[test]
fn a_newer_bridge_reads_the_header_first() {
    let directory = tempfile::tempdir().unwrap();
    let (directory, mongo) = (directory.path(), free_port());
    let _mongod = ready_mongod(directory, mongo);
    let on = [
        ("OVERWRITE_SETTING_Federation_Matrix_enabled", "true"),
        ("OVERWRITE_SETTING_Federation_Matrix_hs_token", HS_TOKEN),
    ];
    let chat = Chat::start(directory, mongo, &on);
    let sent = |headers: &[(&str, &str)], query: &str| {
        let path = format!("/_matrix/app/v1/transactions/1{query}");
        request(chat.bridge, "PUT", &path, headers, Some(&json!({ "events": [] }))).0
    };
    let right = format!("?access_token={HS_TOKEN}");
    assert_eq!(sent(&[("Authorization", "Bearer hs-token")], ""), 200);
    assert_eq!(sent(&[], &right), 200);
    assert_eq!(sent(&[("Authorization", "Bearer wrong")], &right), 403);
    assert_eq!(sent(&[], ""), 403);
}

#[test]
fn the_bridge_its_check_and_its_gate() {
    let directory = tempfile::tempdir().unwrap();
    let (directory, mongo) = (directory.path(), free_port());
    let _mongod = ready_mongod(directory, mongo);
    let (port, bridge) = (free_port(), free_port());
    let homeserver = Homeserver::start(bridge, HS_TOKEN);
    let url = format!("http://127.0.0.1:{}", homeserver.port);
    let mut command = command(directory, mongo, port);
    command.envs([
        ("OVERWRITE_SETTING_Federation_Matrix_enabled", "true"),
        ("OVERWRITE_SETTING_Federation_Matrix_id", "rcfed"),
        ("OVERWRITE_SETTING_Federation_Matrix_hs_token", HS_TOKEN),
        ("OVERWRITE_SETTING_Federation_Matrix_as_token", "as-token"),
        ("OVERWRITE_SETTING_Federation_Matrix_homeserver_domain", "chat.test"),
        ("OVERWRITE_SETTING_Federation_Matrix_homeserver_url", &url),
        ("OVERWRITE_SETTING_Federation_Matrix_bridge_url", &format!("http://rocketchat:{bridge}")),
        ("FEDERATION_TESTER_HOST", &url),
        ("REG_TOKEN", "t"),
        // The last with a check and with the old library.
        ("STANDIN_VERSION", "6.13.1"),
    ]);
    let mut process = Process::start(&mut command);
    process.wait_for("SERVER RUNNING");
    let mut chat = Chat { process, port, bridge, auth: Vec::new() };
    chat.login();
    assert_eq!(request(bridge, "GET", "/health", &[], None), (200, json!("OK")));

    // The header opens the ping and nothing else.
    let header = [("Authorization", "Bearer hs-token")];
    let events = json!({ "events": [{
        "event_id": "$1", "type": "m.room.member", "room_id": "!r:far.test", "sender": "@bob:far.test",
        "state_key": "@ada:chat.test", "content": { "membership": "invite" },
    }] });
    let path = "/_matrix/app/v1/transactions/7";
    let refused = json!({ "errcode": "M_FORBIDDEN", "error": "Bad token supplied," });
    assert_eq!(request(bridge, "POST", "/_matrix/app/v1/ping", &header, Some(&json!({}))), (200, json!({})));
    assert_eq!(request(bridge, "PUT", path, &header, Some(&events)), (403, refused));
    let path = format!("{path}?access_token={HS_TOKEN}");
    for _ in 0..2 {
        assert_eq!(request(bridge, "PUT", &path, &[], Some(&events)), (200, json!({})));
    }
    let asked = |text: &str| homeserver.log.lock().unwrap().iter().filter(|line| line.contains(text)).count();
    until("joined", || asked("as POST /_matrix/client/v3/join/!r:far.test?user_id=%40ada%3Achat.test") == 1);
    let received = request(
        port,
        "GET",
        "/standin/transactions",
        &chat.auth.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>(),
        None,
    );
    assert_eq!(received.1["transactions"][0]["events"], json!(["$1"]));
    assert_eq!(received.1["transactions"][0]["times"], 2);

    // The room is there, but nothing goes out before the check has passed.
    until("a room", || chat.get("im.list").1["ims"][0]["external"] == "!r:far.test");
    let room = chat.get("im.list").1["ims"][0]["_id"].clone();
    let message = json!({ "roomId": room, "text": "hello" });
    assert_eq!(chat.setting("Federation_Matrix_configuration_status"), "Invalid");
    assert_eq!(chat.post("chat.postMessage", message.clone()).1["error"], "Federation configuration is invalid");
    let button = "settings/Federation_Matrix_check_configuration_button";
    assert_eq!(chat.call("POST", button, json!({ "execute": true }), true), (200, json!({ "success": true })));
    assert_eq!(chat.setting("Federation_Matrix_configuration_status"), "Valid");
    assert_eq!(chat.post("chat.postMessage", message).1["message"]["federation"]["eventId"], "$sent");
    let dm = json!({ "command": "federation", "params": "dm @bob:far.test", "roomId": "GENERAL" });
    assert_eq!(chat.post("commands.run", dm).0, 200);

    // A wrong homeserver takes the verdict back by itself, and the report says why.
    let wrong = json!({ "value": format!("{url}/nowhere") });
    assert_eq!(chat.call("POST", "settings/Federation_Matrix_homeserver_url", wrong, true).0, 200);
    until("invalid", || chat.setting("Federation_Matrix_configuration_status") == "Invalid");
    let (status, report) = chat.get("federation/configuration.verify");
    assert_eq!((status, &report["externalReachability"]["ok"]), (400, &json!(true)));
    assert_eq!(report["appservice"]["error"], "homeserver version must be >=1.84.x");
    let printed = chat.process.printed.lock().unwrap().clone();
    assert!(!printed.contains(HS_TOKEN) && !printed.contains("as-token"), "{printed}");
}

#[test]
fn what_ends_the_boot() {
    let directory = tempfile::tempdir().unwrap();
    let (directory, mongo) = (directory.path(), free_port());
    let ended = |change: &dyn Fn(&mut Command)| {
        let mut command = command(directory, mongo, free_port());
        change(&mut command);
        let mut process = Process::start(&mut command);
        let code = process.ended();
        std::thread::sleep(Duration::from_millis(100));
        let printed = process.printed.lock().unwrap().clone();
        (code, printed)
    };
    let (code, printed) = ended(&|_| {});
    assert!(code == 1 && printed.contains("ECONNREFUSED"), "{printed}");
    let _mongod = ready_mongod(directory, mongo);
    let url = mongo_url(mongo, "wrong");
    let (code, printed) = ended(&|command| {
        command.env("MONGO_URL", &url);
    });
    assert!(code == 1 && printed.contains("MongoServerError: Authentication failed."), "{printed}");
    let url = mongo_url(mongo, "rc-password").replace("rs0", "rs1");
    let (code, printed) = ended(&|command| {
        command.env("MONGO_URL", &url);
    });
    assert!(code == 1 && printed.contains("OPLOG / REPLICASET IS REQUIRED"), "{printed}");
    let (code, printed) = ended(&|command| {
        command.env("STANDIN_UPLOADS", "/nowhere");
    });
    assert!(code == 1 && printed.contains("ENOENT"), "{printed}");
    assert_eq!(
        ended(&|command| {
            command.env_remove("ROOT_URL");
        })
        .0,
        1
    );
}

#[test]
fn a_licence_without_federation_starts_no_bridge() {
    let directory = tempfile::tempdir().unwrap();
    let (directory, mongo) = (directory.path(), free_port());
    let _mongod = ready_mongod(directory, mongo);
    let on = ("OVERWRITE_SETTING_Federation_Matrix_enabled", "true");
    let chat = Chat::start(directory, mongo, &[on, ("ROCKETCHAT_LICENSE", &licence(&["auditing"]))]);
    assert!(std::net::TcpStream::connect(("127.0.0.1", chat.bridge)).is_err());
}

/// A licence of the stand-in's own.
fn licence(modules: &[&str]) -> String {
    use base64::Engine as _;
    let modules: Vec<Value> = modules.iter().map(|module| json!({ "module": module })).collect();
    let parts = ["{}".to_owned(), json!({ "grantedModules": modules }).to_string(), "standin".to_owned()];
    format!("RCV3_{}", parts.map(|part| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(part)).join("."))
}

#[test]
fn federation_inside_needs_licence_setting_and_a_right_domain() {
    let directory = tempfile::tempdir().unwrap();
    let (directory, mongo) = (directory.path(), free_port());
    let _mongod = ready_mongod(directory, mongo);
    let federation = licence(&["federation"]);
    let native = [
        ("STANDIN_VERSION", "8.5.3"),
        ("OVERWRITE_SETTING_Federation_Matrix_enabled", "true"),
        ("OVERWRITE_SETTING_Federation_Service_Enabled", "true"),
        ("OVERWRITE_SETTING_Federation_Service_Domain", "Example.org"),
        ("ROCKETCHAT_LICENSE", &licence(&["auditing"])),
    ];
    let mut chat = Chat::start(directory, mongo, &native);
    assert!(std::net::TcpStream::connect(("127.0.0.1", chat.bridge)).is_err());
    assert_eq!(request(chat.port, "GET", "/livez", &[], None).0, 200);
    let get = |path: &str| request(chat.port, "GET", path, &[], None);
    assert_eq!(get("/_matrix/key/v2/server").0, 403);
    chat.login();
    let get = |path: &str| request(chat.port, "GET", path, &[], None);
    assert_eq!(chat.get("licenses.info").1["license"]["activeModules"], json!(["auditing"]));
    assert_eq!(chat.post("licenses.add", json!({ "license": "nonsense" })).0, 400);
    assert_eq!(chat.post("licenses.add", json!({ "license": federation })).0, 200);
    // The service has no configuration: a name with a capital is none.
    assert_eq!(get("/_matrix/key/v2/server").0, 500);
    let set = |id: &str, value: Value| {
        assert_eq!(chat.call("POST", &format!("settings/{id}"), json!({ "value": value }), true).0, 200);
    };
    set("Federation_Service_Domain", json!("example.org"));
    let (_, keys) = get("/_matrix/key/v2/server");
    let key = keys["verify_keys"]["ed25519:0"]["key"].as_str().unwrap();
    let signature = keys["signatures"]["example.org"]["ed25519:0"].as_str().unwrap();
    rcfed_standins::matrix::verify(&keys, signature, key).unwrap();
    assert_eq!(get("/.well-known/matrix/server").1, json!({ "m.server": "example.org:443" }));
    assert_eq!(get("/_matrix/federation/v1/version").1["server"]["name"], "rocket.chat");
    let event = "/_matrix/federation/v1/event/%24a%2Fb";
    assert_eq!(get(event).1["error"], "Missing Authorization header");
    let wrong = format!("X-Matrix origin=example.org,key=\"ed25519:0\",sig=\"{signature}\"");
    assert_eq!(request(chat.port, "GET", event, &[("Authorization", &wrong)], None).1["error"], "Unauthorized");
    set("Federation_Service_Enabled", json!(false));
    assert_eq!(get("/.well-known/matrix/server").0, 403);
    drop(chat);
    // What is kept wins over what the environment has, and the key is the same one.
    let chat = Chat::start(directory, mongo, &native);
    let get = |path: &str| request(chat.port, "GET", path, &[], None);
    assert_eq!(get("/_matrix/key/v2/server").0, 500);
}
