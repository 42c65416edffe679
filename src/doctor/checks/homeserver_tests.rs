use serde_json::json;

use super::super::super::report::tests::told;
use super::*;

#[test]
fn both_forms_of_registration_are_read() {
    assert_eq!(fields("x/registration.yaml", "id: \"a\"\nhs_token: 'b'\n").unwrap()["hs_token"], "b");
    assert_eq!(fields("x/relay.toml", "hs_token = \"b\"").unwrap()["hs_token"], "b");
    assert_eq!(fields("x/registration.yaml", "just words"), None);
    assert_eq!(fields("x/relay.toml", "hs_token ="), None);
}

#[test]
fn registrations_in_words() {
    const WANTED: &str = "id: a\nas_token: secret-1\nhs_token: secret-2\n";
    let judged = [None, Some("just words"), Some("id: a\nas_token: old-1\nhs_token: old-2\n"), Some(WANTED)]
        .map(|there| judge_registration("/x/registration.yaml", Service::Homeserver, there, WANTED));
    let told = told(judged);
    assert!(!told.contains("secret-") && !told.contains("old-"), "{told}");
    insta::assert_snapshot!(told);
}

#[test]
fn the_homeserver_in_words() {
    let now: jiff::Timestamp = "2026-11-23T15:00:00Z".parse().unwrap();
    let keys = |change: Value| {
        let mut body = json!({
            "server_name": "example.org",
            "verify_keys": {"ed25519:a_1": {"key": "public"}},
            "valid_until_ts": now.as_millisecond() + 1,
        });
        for (key, value) in change.as_object().unwrap() {
            body[key] = value.clone();
        }
        judge_keys("example.org", "ed25519:a_1", "public", &body, now)
    };
    let error = || Ok((500, "{\"errcode\":\"M_UNKNOWN\"}".to_owned()));
    let whoami = |answer| judge_whoami("@rocket.cat:example.org", answer);
    insta::assert_snapshot!(told([
        judge_health("/health", Ok((404, String::new()))),
        judge_health("/health", error()),
        Finding::unknown("homeserver.key", "example.org", NO_KEY),
        keys(json!({})),
        keys(json!({"server_name": "localhost"})),
        keys(json!({"verify_keys": {"ed25519:a_1": {"key": "other"}, "ed25519:b": {}}})),
        keys(json!({"valid_until_ts": now.as_millisecond()})),
        whoami(Ok((200, "{\"user_id\":\"@rocket.cat:example.org\"}".into()))),
        whoami(Ok((200, "{\"user_id\":\"@rocket.cat:localhost\"}".into()))),
        whoami(Ok((401, "{\"errcode\":\"M_UNKNOWN_TOKEN\"}".into()))),
        whoami(error()),
        whoami(Err("connection refused".into())),
    ]));
}
