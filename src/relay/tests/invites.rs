//! Invites that go well, and those that are refused.

use super::*;

/// A Dendrite: records invites as they come, answers with `status`, and shows `invited` to who syncs.
pub struct Homeserver {
    pub address: SocketAddr,
    pub seen: Seen,
    pub status: Arc<Mutex<u16>>,
    pub delay: Arc<Mutex<Duration>>,
    /// Room and event id of every invite that a sync shows.
    pub shown: Arc<Mutex<Vec<(String, String)>>>,
}

pub async fn homeserver() -> Homeserver {
    let (seen, shown) = (Seen::default(), Arc::new(Mutex::new(Vec::<(String, String)>::new())));
    let status = Arc::new(Mutex::new(200));
    let delay = Arc::new(Mutex::new(Duration::ZERO));
    let all = (seen.clone(), shown.clone(), status.clone(), delay.clone());
    let address = loopback::serve(move |request: Request<Incoming>| {
        let (seen, shown, status, delay) = all.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
            let tokens: Vec<_> =
                parts.headers.get_all("authorization").iter().map(|value| value.to_str().unwrap()).collect();
            if parts.uri.path() == "/_matrix/client/v3/sync" {
                let query = parts.uri.query().unwrap();
                assert!(query.contains("user_id=%40bob%3Ab.example&timeout=0") && tokens == ["Bearer astoken"]);
                let rooms: serde_json::Map<_, _> = shown
                    .lock()
                    .unwrap()
                    .iter()
                    .map(|(room, id)| {
                        let events =
                            json!([{"type": "m.room.name", "content": {}}, {"event_id": id, "type": "m.room.member"}]);
                        (room.clone(), json!({"invite_state": {"events": events}}))
                    })
                    .collect();
                return loopback::json(200, &json!({"next_batch": "s1", "rooms": {"invite": rooms}}));
            }
            seen.lock().unwrap().push(format!("{} {} {tokens:?} {body}", parts.method, parts.uri));
            let wait = *delay.lock().unwrap();
            tokio::time::sleep(wait).await;
            let status = *status.lock().unwrap();
            loopback::json(status, &json!({"event": {"signed": true}}))
        }
    })
    .await;
    Homeserver { address, seen, status, delay, shown }
}

/// A relay between the two, as fast as a test needs it.
pub async fn between(homeserver: SocketAddr, bridge: SocketAddr, more: &str) -> Running {
    relay_with(config_between(homeserver, bridge, more)).await
}

pub fn config_between(homeserver: SocketAddr, bridge: SocketAddr, more: &str) -> RelayConfig {
    let text = config_text(bridge).replace("homeserver:8008", &homeserver.to_string());
    load(&format!("{text}{more}\n[pace]\nfirst = 10\nlongest = 200\ngrace = 300\n"), 0o400).unwrap()
}

pub const X_MATRIX: &str = r#"X-Matrix origin="a.example",destination="b.example",key="ed25519:1",sig="AA""#;

pub fn event(room: &str) -> Value {
    json!({
        "type": "m.room.member", "room_id": room, "sender": "@ann:a.example", "state_key": "@bob:b.example",
        "content": {"membership": "invite", "is_direct": true}, "origin_server_ts": 5, "depth": 3,
        "auth_events": [], "prev_events": [], "hashes": {"sha256": "x"}, "signatures": {"a.example": {"ed25519:1": "y"}},
    })
}

pub fn second(version: &str, state: Value) -> Value {
    json!({"room_version": version, "event": event("!r:a.example"), "invite_room_state": state})
}

pub fn path(version: u8, id: &str) -> String {
    format!("/_matrix/federation/v{version}/invite/%21r:a.example/{}", id.replace('$', "%24"))
}

/// Sends an invite; status and body of the answer.
pub async fn put(relay: &Running, path: &str, authorization: &str, body: &str) -> (u16, Value) {
    let request = Request::put(format!("http://{}{path}", relay.address)).header("Content-Type", "application/json");
    let request = if authorization.is_empty() { request } else { request.header("Authorization", authorization) };
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let response = client.request(request.body(Full::from(body.to_owned())).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

/// Until something is so.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(20), "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub async fn health(relay: &Running) -> Value {
    ask(relay, "GET", "/health", None, "").await.2
}

/// Until nothing waits any more.
pub async fn empty(relay: &Running) {
    let begun = std::time::Instant::now();
    while health(relay).await["invites"] != 0 {
        assert!(begun.elapsed() < Duration::from_secs(20), "{}", health(relay).await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn invites_of_both_versions_arrive_once_with_id_and_state() {
    let homeserver = homeserver().await;
    let (bridge, seen) = bridge(200, "{}").await;
    let relay = between(homeserver.address, bridge, "").await;
    let state = json!([{"type": "m.room.name", "state_key": "", "sender": "@ann:a.example", "content": {"name": "é"}}]);
    // Blanks and order as no serialiser writes them: what is signed must not change.
    let body =
        format!("{{ \"event\":{} ,\"room_version\": \"10\", \"invite_room_state\":{state}}}", event("!r:a.example"));
    assert_eq!(put(&relay, &path(2, "$two"), X_MATRIX, &body).await, (200, json!({"event": {"signed": true}})));
    let mut first = event("!r:a.example");
    first["unsigned"] = json!({"invite_room_state": state, "age": 4});
    first["event_id"] = "$one:a.example".into();
    assert_eq!(put(&relay, &path(1, "$one:a.example"), X_MATRIX, &first.to_string()).await.0, 200);
    empty(&relay).await;
    // Asked again, Dendrite answers again; the bridge hears nothing.
    assert_eq!(put(&relay, &path(2, "$two"), X_MATRIX, &body).await.0, 200);
    empty(&relay).await;
    let asked = homeserver.seen.lock().unwrap().clone();
    assert_eq!(asked.len(), 3);
    assert_eq!(asked[0], format!("PUT {} [{X_MATRIX:?}] {body}", path(2, "$two")));
    insta::assert_snapshot!(seen.lock().unwrap().join("\n"));
}

#[tokio::test]
async fn what_the_bridge_cannot_serve_is_refused_with_a_reason() {
    let homeserver = homeserver().await;
    let (bridge, seen) = bridge(200, "{}").await;
    let relay = between(homeserver.address, bridge, "federate_with = [\"A.example\", \"c.example\"]").await;
    let good = second("10", json!([]));
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = good.clone();
        change(&mut body);
        body.to_string()
    };
    let mut first = event("!r:a.example");
    first["unsigned"] = json!({"invite_room_state": [{"type": "m.room.encryption"}]});
    let text = good.to_string();
    let elsewhere = X_MATRIX.replace("a.example", "evil.example");
    let two = path(2, "$e");
    let cases = [
        ("room version 11", two.as_str(), X_MATRIX, with(&|body| body["room_version"] = "11".into())),
        ("an unstable version", &two, X_MATRIX, with(&|body| body["room_version"] = "org.matrix.msc4014 ü".into())),
        (
            "encrypted",
            &two,
            X_MATRIX,
            with(&|body| body["invite_room_state"] = json!([5, {"type": "m.room.encryption"}])),
        ),
        ("encrypted, version 1", &path(1, "$e"), X_MATRIX, first.to_string()),
        ("another server", &two, &elsewhere, text.clone()),
        ("sent for another", &two, X_MATRIX, with(&|body| body["event"]["sender"] = "@x:evil.example".into())),
        ("nobody", &two, "", text.clone()),
        ("no origin", &two, "X-Matrix key=1", text.clone()),
        ("two origins", &two, &format!("{X_MATRIX},origin=c.example"), text.clone()),
        ("no JSON", &two, X_MATRIX, "nonsense".into()),
        ("no event", &two, X_MATRIX, r#"{"room_version":"10"}"#.into()),
        ("no invite", &two, X_MATRIX, with(&|body| body["event"]["content"]["membership"] = "join".into())),
        ("another room", &two, X_MATRIX, with(&|body| body["event"]["room_id"] = "!s:a.example".into())),
        ("too large", &two, X_MATRIX, with(&|body| body["event"]["content"]["x"] = "x".repeat(600_000).into())),
        ("version 3", "/_matrix/federation/v3/invite/!r:a.example/@bob:b.example", X_MATRIX, text.clone()),
        ("no id", "/_matrix/federation/v2/invite/!r:a.example/e", X_MATRIX, text.clone()),
        ("a broken id", "/_matrix/federation/v2/invite/!r:a.example/%24%ff", X_MATRIX, text.clone()),
        ("one part more", &path(2, "$e/x"), X_MATRIX, text.clone()),
    ];
    let mut table = String::new();
    for (what, path, authorization, body) in &cases {
        let (status, answer) = put(&relay, path, authorization, body).await;
        writeln!(table, "{what}: {status} {answer}").unwrap();
    }
    insta::assert_snapshot!(table);
    assert!(homeserver.seen.lock().unwrap().is_empty(), "Dendrite is not asked");
    assert_eq!(put(&relay, &two, X_MATRIX, &text).await.0, 200, "and the good one passes");
    empty(&relay).await;
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn what_dendrite_refuses_is_refused_and_forgotten() {
    let homeserver = homeserver().await;
    let (bridge, seen) = bridge(200, "{}").await;
    let relay = between(homeserver.address, bridge, "").await;
    *homeserver.status.lock().unwrap() = 403;
    let body = second("10", json!([])).to_string();
    assert_eq!(put(&relay, &path(2, "$no"), X_MATRIX, &body).await.0, 403);
    assert_eq!(health(&relay).await["invites"], 0);
    let away = between(closed_port(), bridge_of(&seen).await, "").await;
    let (status, answer) = put(&away, &path(2, "$no"), X_MATRIX, &body).await;
    assert_eq!((status, answer["errcode"].as_str().unwrap()), (502, "M_CONNECTION_FAILED"));
    assert_eq!(health(&away).await["invites"], 0, "what was never sent was not accepted");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(seen.lock().unwrap().is_empty());
    // The next try of the same invite goes well.
    *homeserver.status.lock().unwrap() = 200;
    assert_eq!(put(&relay, &path(2, "$no"), X_MATRIX, &body).await.0, 200);
    empty(&relay).await;
    assert_eq!(seen.lock().unwrap().len(), 1);
}

/// Another bridge with the same memory.
async fn bridge_of(seen: &Seen) -> SocketAddr {
    let seen = seen.clone();
    loopback::serve(move |request: Request<Incoming>| {
        seen.lock().unwrap().push(request.uri().to_string());
        async { loopback::text(200, "{}") }
    })
    .await
}

#[tokio::test]
async fn an_answer_that_never_came_is_asked_for() {
    let homeserver = homeserver().await;
    let (bridge, seen) = bridge(200, "{}").await;
    let mut config = config_between(homeserver.address, bridge, "");
    config.homeserver_limit = Duration::from_millis(100);
    let relay = relay_with(config).await;
    *homeserver.delay.lock().unwrap() = Duration::from_secs(3600);
    let body = second("10", json!([])).to_string();
    for id in ["$had", "$lost"] {
        let (status, answer) = put(&relay, &path(2, id), X_MATRIX, &body).await;
        assert_eq!((status, answer["errcode"].as_str().unwrap()), (504, "M_CONNECTION_TIMEOUT"));
    }
    // Sync tells of it later than Dendrite took it.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(seen.lock().unwrap().is_empty());
    homeserver.shown.lock().unwrap().push(("!r:a.example".into(), "$had".into()));
    empty(&relay).await;
    let seen = seen.lock().unwrap();
    assert!(seen.len() == 1 && seen[0].contains("$had"), "{seen:?}");
}

#[tokio::test]
async fn the_same_invite_many_times_at_once_is_one() {
    let homeserver = homeserver().await;
    let (bridge, seen) = bridge(200, "{}").await;
    let relay = between(homeserver.address, bridge, "").await;
    *homeserver.delay.lock().unwrap() = Duration::from_millis(50);
    let (body, two) = (second("10", json!([])).to_string(), path(2, "$same"));
    let all = (0..16).map(|_| put(&relay, &two, X_MATRIX, &body));
    let answers = futures_util::future::join_all(all).await;
    assert!(answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
    empty(&relay).await;
    assert_eq!(seen.lock().unwrap().len(), 1);
}
