//! Against a stand-in with the documented answers, strict on headers: whoever forgets one is refused as the real one does.

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::*;
use crate::config::Tester;
use crate::error::Explain;
use crate::loopback;

/// Answers what the stand-in itself does not: method, path with query, body.
type Script = fn(&str, &str, &Value) -> Option<(u16, Value)>;

#[derive(Clone)]
struct Standin {
    script: Script,
    log: Arc<Mutex<Vec<String>>>,
}

const PASSWORD: &str = "correct horse";
/// `printf 'correct horse' | sha256sum`
const CODE: &str = "4104d36f8da2c254349f85836793ebe029e0c957063a34c91c2e9203187b5631";

impl Standin {
    async fn start(script: Script) -> (Client, Self) {
        let standin = Self { script, log: Arc::default() };
        let address = {
            let standin = standin.clone();
            loopback::serve(move |request| {
                let standin = standin.clone();
                async move {
                    let (parts, body) = request.into_parts();
                    let body = body.collect().await.unwrap().to_bytes();
                    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
                    let header =
                        |name: &str| parts.headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
                    let path = parts.uri.path_and_query().unwrap().as_str();
                    let (status, answer) = standin.answer(parts.method.as_str(), path, header, &body);
                    standin.log.lock().unwrap().push(format!("{} {path} {status}", parts.method));
                    if answer.is_string() {
                        return loopback::text(status, answer.as_str().unwrap());
                    }
                    loopback::json(status, &answer)
                }
            })
            .await
        };
        (client(address), standin)
    }

    fn answer(&self, method: &str, path: &str, header: impl Fn(&str) -> String, body: &Value) -> (u16, Value) {
        let open = ["/api/info", "/health", "/livez", "/api/v1/login"];
        if !open.contains(&path) {
            let who = (header("x-auth-token"), header("x-user-id"));
            let who = (who.0.as_str(), who.1.as_str());
            if who != ("session", "uid1") && who != ("pat", "uid1") {
                return (401, json!({ "status": "error", "message": "You must be logged in to do this." }));
            }
            let guarded =
                ["/api/v1/settings/", "/api/v1/users.update", "/api/v1/users.generate", "/api/v1/users.regen"];
            let guarded = method == "POST" && guarded.iter().any(|start| path.starts_with(start));
            let second = (header("x-2fa-code"), header("x-2fa-method"));
            if guarded && who.0 != "pat" && (second.0.as_str(), second.1.as_str()) != (CODE, "password") {
                let details = json!({ "method": "password", "codeGenerated": false, "availableMethods": [] });
                return (
                    400,
                    json!({ "success": false, "error": "TOTP Required [totp-required]",
                    "errorType": "totp-required", "details": details }),
                );
            }
        }
        if let Some(answer) = (self.script)(method, path, body) {
            return answer;
        }
        match (method, path) {
            ("GET", "/api/info") => (200, json!({ "version": "7.10", "success": true })),
            ("GET", "/health") => (200, json!("ok")),
            ("GET", "/api/v1/me") => (200, json!({ "_id": "uid1", "username": "ada", "success": true })),
            ("POST", "/api/v1/login") if body["user"] == "ada" && body["password"] == PASSWORD => {
                (200, json!({ "status": "success", "data": { "userId": "uid1", "authToken": "session" } }))
            }
            ("POST", "/api/v1/login") => {
                (401, json!({ "status": "error", "error": "Unauthorized", "message": "Unauthorized" }))
            }
            _ => (404, json!({ "success": false, "error": "Not Found" })),
        }
    }

    fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }
}

fn client(address: SocketAddr) -> Client {
    Client::new(format!("http://{address}").parse().unwrap(), None).unwrap()
}

async fn logged_in(script: Script) -> (Client, Standin) {
    let (client, standin) = Standin::start(script).await;
    (client.with_token(&Secret::new("uid1:pat")).unwrap(), standin)
}

fn told(error: RestError) -> String {
    let hint = error.hint().unwrap_or_default();
    format!("{}\n  hint: {hint}", crate::error::Error::from(error).message())
}

#[tokio::test]
async fn the_way_from_a_password_to_a_stored_token() {
    let (mut client, standin) = Standin::start(|method, path, body| match (method, path) {
        ("POST", "/api/v1/users.generatePersonalAccessToken") => {
            assert_eq!(body, &json!({ "tokenName": "rcfed", "bypassTwoFactor": true }));
            Some((
                400,
                json!({ "success": false, "error": "A token with this name already exists [error-token-already-exists]",
                "errorType": "error-token-already-exists" }),
            ))
        }
        ("POST", "/api/v1/users.regeneratePersonalAccessToken") => {
            Some((200, json!({ "token": "pat", "success": true })))
        }
        ("POST", "/api/v1/settings/A") => Some((200, json!({ "success": body == &json!({ "value": 5 }) }))),
        _ => None,
    })
    .await;
    assert_eq!(client.info().await.unwrap().version, "7.10");
    client.health().await.unwrap();
    let password = Secret::new(PASSWORD);
    client.login("ada", &password, None).await.unwrap();
    client.set_setting("A", 5).await.unwrap();
    let stored = client.personal_access_token(&Factor::password(&password)).await.unwrap();
    assert_eq!(stored.expose(), "uid1:pat");
    let again = client.with_token(&stored).unwrap();
    assert!(again.token_valid().await.unwrap());
    again.set_setting("A", 5).await.unwrap();
    assert!(!again.with_token(&Secret::new("uid1:revoked")).unwrap().token_valid().await.unwrap());
    insta::assert_snapshot!(standin.log());
}

#[tokio::test]
async fn settings_that_differ_are_told_without_secrets() {
    let (client, _) = logged_in(|_, path, _| match path {
        "/api/v1/settings/Federation_Matrix_id" => {
            Some((200, json!({ "_id": "Federation_Matrix_id", "value": "rcfed" })))
        }
        "/api/v1/settings/Federation_Matrix_as_token" => Some((200, json!({ "value": "guessable" }))),
        "/api/v1/settings/Federation_Matrix_enabled" => Some((200, json!({ "value": false }))),
        "/api/v1/settings/New" => Some((400, json!({ "success": false }))),
        _ => None,
    })
    .await;
    let expected = [
        ("Federation_Matrix_id", json!("rcfed")),
        ("Federation_Matrix_as_token", json!("random")),
        ("Federation_Matrix_enabled", json!(true)),
        ("New", json!("x")),
    ];
    let found = client.read_back(&expected).await.unwrap();
    insta::assert_snapshot!(found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
}

#[tokio::test]
async fn a_message_is_sent_to_oneself_and_deleted() {
    let (client, standin) = logged_in(|_, path, body| match path {
        "/api/v1/im.create" => {
            Some((200, json!({ "room": { "_id": "uid1uid1" }, "success": body["username"] == "ada" })))
        }
        "/api/v1/chat.postMessage" => {
            assert_eq!(body["roomId"], "uid1uid1");
            Some((200, json!({ "message": { "_id": "m1" }, "success": true })))
        }
        "/api/v1/chat.delete" => {
            assert_eq!(body, &json!({ "roomId": "uid1uid1", "msgId": "m1" }));
            Some((200, json!({ "_id": "m1", "success": true })))
        }
        _ => None,
    })
    .await;
    client.send_and_delete("ada").await.unwrap();
    insta::assert_snapshot!(standin.log());
}

#[tokio::test]
async fn without_a_room_of_ones_own_the_message_goes_to_general() {
    let (client, standin) = logged_in(|_, path, body| match path {
        "/api/v1/im.create" => {
            Some((400, json!({ "success": false, "errorType": "error-not-allowed", "error": "Not allowed" })))
        }
        "/api/v1/channels.info?roomName=general" => Some((200, json!({ "channel": { "_id": "GENERAL" } }))),
        "/api/v1/chat.postMessage" => Some((200, json!({ "message": { "_id": "m1" }, "room": body["roomId"] }))),
        "/api/v1/chat.delete" => Some((200, json!({ "success": body["roomId"] == "GENERAL" }))),
        _ => None,
    })
    .await;
    client.send_and_delete("ada").await.unwrap();
    assert!(standin.log().contains("roomName=general 200"));
}

#[tokio::test]
async fn a_password_is_reset_by_user_name() {
    let (client, _) = logged_in(|_, path, body| match path {
        "/api/v1/users.info?username=a%26b" => Some((200, json!({ "user": { "_id": "uid7" }, "success": true }))),
        "/api/v1/users.update" if body == &json!({ "userId": "uid7", "data": { "password": "new" } }) => {
            Some((200, json!({ "user": {}, "success": true })))
        }
        _ => None,
    })
    .await;
    client.reset_password("a&b", &Secret::new("new")).await.unwrap();
}

#[tokio::test]
async fn every_error_has_its_sentence_and_hint() {
    let mut table = String::new();
    let restricted = |_: &str, path: &str, _: &Value| match path {
        "/api/v1/im.create" => Some((200, json!({ "room": { "_id": "r" } }))),
        "/api/v1/chat.postMessage" => Some((400, json!({ "success": false, "error": "restricted-workspace" }))),
        _ => None,
    };
    let (client, _) = logged_in(restricted).await;
    writeln!(table, "{}", told(client.send_and_delete("ada").await.unwrap_err())).unwrap();

    let scripts: [Script; 7] = [
        |_, _, _| Some((401, json!({ "status": "error", "message": "You must be logged in to do this." }))),
        |_, _, _| {
            Some((403, json!({ "success": false, "error": "User does not have the permissions [error-unauthorized]" })))
        },
        |_, _, _| {
            Some((400, json!({ "success": false, "errorType": "totp-required", "details": { "method": "email" } })))
        },
        |_, _, _| Some((429, json!({ "success": false, "errorType": "error-too-many-requests" }))),
        |_, _, _| {
            Some((
                502,
                json!(
                    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>"
                ),
            ))
        },
        |_, _, _| Some((200, json!("x".repeat(2 << 20)))),
        |_, _, _| Some((200, json!({ "as_token": "do not show me" }))),
    ];
    for script in scripts {
        let (client, _) = logged_in(script).await;
        writeln!(table, "{}", told(client.setting("A").await.unwrap_err())).unwrap();
    }
    let (mut stranger, _) = Standin::start(|_, _, _| None).await;
    writeln!(table, "{}", told(stranger.login("ada", &Secret::new("wrong"), None).await.unwrap_err())).unwrap();
    let refused = stranger.with_token(&Secret::new("no colon")).err().unwrap();
    writeln!(table, "{}", told(refused)).unwrap();

    let (what, reason) = ("read a setting", "not so".to_owned());
    writeln!(table, "{}", told(RestError::Refused { what, kind: "error-invalid".into(), reason })).unwrap();
    writeln!(table, "{}", told(RestError::TotpRequired { what, method: "password".into(), sent: false })).unwrap();
    for method in ["totp", "email"] {
        writeln!(table, "{}", told(RestError::WrongCode { what, method: method.into() })).unwrap();
    }
    writeln!(table, "{}", told(RestError::Client("no TLS".into()))).unwrap();

    let unknown_setting: Script = |_, path, _| path.contains("/settings/").then(|| (400, json!({ "success": false })));
    let (client, _) = logged_in(unknown_setting).await;
    writeln!(table, "{}", told(client.verify_federation(None).await.unwrap_err())).unwrap();
    insta::assert_snapshot!(table.replace("127.0.0.1", "172.18.0.5"));
}

#[tokio::test]
async fn nobody_there() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = client(free).info().await.unwrap_err();
    assert!(matches!(error, RestError::Unreachable { .. }));
    insta::assert_snapshot!(told(error).replace(&free.to_string(), "172.18.0.5:3000"));
}

#[tokio::test]
async fn nobody_answers() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", silent.local_addr().unwrap());
    let client = super::transport::client(&base.parse().unwrap(), None).unwrap();
    let request = client.get(&base).timeout(std::time::Duration::from_millis(50));
    let source = request.send().await.unwrap_err().without_url();
    let error = RestError::Unreachable { base: base.parse().unwrap(), source };
    insta::assert_snapshot!(told(error).replace(&base, "http://172.18.0.5:3000"));
}

/// The report of `federation/configuration.verify` with these two halves.
macro_rules! verdict_of {
    ($status:literal, $appservice:tt, $outside:tt) => {
        verdict_of!($status, $appservice, $outside, None)
    };
    ($status:literal, $appservice:tt, $outside:tt, $tester:expr) => {{
        let script: Script = |_, path, body| {
            let ok = json!($appservice)["ok"] == true && json!($outside)["ok"] == true;
            match path {
                "/api/v1/settings/Federation_Matrix_check_configuration_button" => {
                    assert_eq!(body, &json!({ "execute": true }));
                    let error = "Configuration could only be partially verified [error-invalid-configuration]";
                    Some(match ok {
                        true => (200, json!({ "success": true })),
                        false => (400, json!({ "success": false, "error": error, "errorType": "error-invalid-configuration" })),
                    })
                }
                "/api/v1/federation/configuration.verify" => {
                    let body = json!({ "appservice": $appservice, "externalReachability": $outside, "success": ok });
                    Some((if ok { 200 } else { 400 }, body))
                }
                "/api/v1/settings/Federation_Matrix_configuration_status" => Some((200, json!({ "value": $status }))),
                _ => None,
            }
        };
        let (client, _) = logged_in(script).await;
        let verdict = client.verify_federation($tester).await.unwrap();
        format!("valid: {}\n{}\n  hint: {}", verdict.valid, verdict.words, verdict.hint().unwrap_or("-"))
    }};
}

#[tokio::test]
async fn every_verdict_in_words() {
    let said = [
        verdict_of!("Valid", { "ok": true, "roundTrip": { "durationMs": 12 } }, { "ok": true }),
        verdict_of!("Invalid", { "ok": true, "roundTrip": { "durationMs": 12 } }, { "ok": true }),
        verdict_of!("Invalid", { "ok": false, "roundTrip": { "durationMs": -1 }, "error": "homeserver version must be >=1.84.x" }, { "ok": true }),
        verdict_of!("Invalid", { "ok": false, "error": "matrix bridge isn't yet running" }, { "ok": true }),
        verdict_of!("Invalid", { "ok": false, "error": "Operation timed out" }, { "ok": true }),
        verdict_of!("Invalid", { "ok": false, "error": "M_UNKNOWN_TOKEN: Unrecognised access token" }, { "ok": true }),
        verdict_of!("Invalid", { "ok": false, "error": "received unknown status from homeserver, message: Bad Gateway" }, { "ok": true }),
        verdict_of!("Invalid", { "ok": false, "error": "connect ECONNREFUSED 172.18.0.4:8080" }, { "ok": true }),
        verdict_of!("Invalid", { "ok": false, "error": "getaddrinfo ENOTFOUND gateway" }, { "ok": true }),
        verdict_of!("Invalid", { "ok": false }, { "ok": true }),
        verdict_of!("Invalid", { "ok": true, "roundTrip": { "durationMs": 3 } }, { "ok": false }),
        verdict_of!("Invalid", { "ok": true, "roundTrip": { "durationMs": 3 } }, { "ok": false, "error": "fetch failed" }),
        verdict_of!("Invalid", { "ok": false, "error": "Operation timed out" }, { "ok": false }),
        verdict_of!("Valid", { "ok": true, "roundTrip": { "durationMs": 12 } }, { "ok": true }, Some(&Tester::Own)),
        verdict_of!("Invalid", { "ok": true, "roundTrip": { "durationMs": 12 } }, { "ok": false }, Some(&Tester::Own)),
        verdict_of!("Invalid", { "ok": true, "roundTrip": { "durationMs": 12 } }, { "ok": false, "error": "fetch failed" }, Some(&Tester::Own)),
    ];
    insta::assert_snapshot!(said.join("\n"));
}
