//! Bridges, clients and disks that do not do what they should.

use super::invites::*;
use super::*;

/// A bridge that asks `answer` what to do with each invite or transaction, by its number and its events.
async fn choosy(answer: impl Fn(usize, &Value) -> u16 + Send + Sync + 'static) -> (SocketAddr, Seen) {
    let (seen, answer) = (Seen::default(), Arc::new(answer));
    let log = seen.clone();
    let address = loopback::serve(move |request: Request<Incoming>| {
        let (log, answer) = (log.clone(), answer.clone());
        async move {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let body: Value = serde_json::from_slice(&body).unwrap();
            let ids: Vec<&str> =
                body["events"].as_array().unwrap().iter().map(|event| event["event_id"].as_str().unwrap()).collect();
            let number = log.lock().unwrap().len();
            let status = answer(number, &body);
            log.lock().unwrap().push(format!("{status} {}", ids.join(" ")));
            if status == 0 {
                tokio::time::sleep(Duration::from_secs(3600)).await;
            }
            loopback::text(status, "{}")
        }
    })
    .await;
    (address, seen)
}

async fn invited(relay: &Running, id: &str) {
    let body = second("10", json!([])).to_string();
    assert_eq!(put(relay, &path(2, id), X_MATRIX, &body).await.0, 200, "{id}");
}

/// All under one name, as Dendrite repeats what failed.
async fn transaction(relay: &Running, ids: &[&str]) -> u16 {
    let events: Vec<Value> = ids.iter().map(|id| json!({"event_id": id, "type": "m.x"})).collect();
    let body = json!({ "events": events }).to_string();
    ask(relay, "PUT", "/_matrix/app/v1/transactions/7", Some("hstoken"), &body).await.0
}

/// As Dendrite 0.15.2 does it: what is repeated has later events behind it, and the same name.
#[tokio::test]
async fn what_dendrite_adds_to_a_repeated_transaction_is_not_taken_for_the_first() {
    let (names, last) = (Seen::default(), Seen::default());
    let (log, kept) = (names.clone(), last.clone());
    // The bridge handles the first, and its answer is lost. Of the last one's name it handles nothing.
    let address = loopback::serve(move |request: Request<Incoming>| {
        let (log, kept) = (log.clone(), kept.clone());
        async move {
            let name = request.uri().path().to_owned();
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let body: Value = serde_json::from_slice(&body).unwrap();
            let (mut log, mut kept) = (log.lock().unwrap(), kept.lock().unwrap());
            let lost = log.is_empty();
            if log.last() != Some(&name) {
                let ids = body["events"].as_array().unwrap().iter().map(|event| event["event_id"].as_str().unwrap());
                kept.extend(ids.map(str::to_owned));
            }
            log.push(name);
            loopback::text(if lost { 500 } else { 200 }, "{}")
        }
    })
    .await;
    let relay = relay_before(address).await;
    assert_eq!(transaction(&relay, &["$a"]).await, 500);
    assert_eq!(transaction(&relay, &["$a"]).await, 200);
    assert_eq!(*last.lock().unwrap(), ["$a"], "the same again is known by its name");
    assert_eq!(transaction(&relay, &["$a", "$b"]).await, 200);
    assert_eq!(*last.lock().unwrap(), ["$a", "$b"], "{:?}", names.lock().unwrap());
}

#[tokio::test]
async fn a_bridge_that_fails_in_every_way_gets_each_invite_once_in_the_end() {
    // Its first five answers are bad, one of them never comes.
    let (address, seen) = choosy(|number, _| [500, 403, 0, 502, 404].get(number).copied().unwrap_or(200)).await;
    let homeserver = homeserver().await;
    let mut config = config_between(homeserver.address, address, "");
    config.bridge_limit = Duration::from_millis(100);
    let relay = relay_with(config).await;
    invited(&relay, "$a").await;
    invited(&relay, "$b").await;
    until("an error is told", || !seen.lock().unwrap().is_empty()).await;
    empty(&relay).await;
    let seen = seen.lock().unwrap().clone();
    let taken: Vec<&String> = seen.iter().filter(|line| line.starts_with("200")).collect();
    assert_eq!(taken.len(), 2, "{seen:?}");
    assert!(taken.contains(&&"200 $a".to_owned()) && taken.contains(&&"200 $b".to_owned()), "{seen:?}");
    assert!(health(&relay).await["last_success"].is_u64());
    assert!(health(&relay).await["last_error"].is_null());
}

#[tokio::test]
async fn an_invite_that_the_bridge_calls_wrong_is_given_up_and_holds_up_nobody() {
    let wrong = |body: &Value| body["events"][0]["event_id"] == "$wrong";
    let (address, seen) = choosy(move |_, body| if wrong(body) { 400 } else { 200 }).await;
    let homeserver = homeserver().await;
    let relay = between(homeserver.address, address, "").await;
    invited(&relay, "$wrong").await;
    invited(&relay, "$right").await;
    until("the other passes", || seen.lock().unwrap().contains(&"200 $right".into())).await;
    assert!(seen.lock().unwrap().len() < 10, "before the first is given up");
    empty(&relay).await;
    assert_eq!(seen.lock().unwrap().iter().filter(|line| *line == "400 $wrong").count(), 10);
}

#[tokio::test]
async fn events_the_bridge_has_are_left_out_of_transactions() {
    let (address, seen) = choosy(|_, _| 200).await;
    let homeserver = homeserver().await;
    let relay = between(homeserver.address, address, "").await;
    invited(&relay, "$invite").await;
    empty(&relay).await;
    assert_eq!(transaction(&relay, &["$x", "$invite", "$y"]).await, 200);
    assert_eq!(transaction(&relay, &["$x", "$invite", "$y", "$z"]).await, 200, "Dendrite repeats itself");
    // An invite that a transaction brought already.
    assert_eq!(transaction(&relay, &["$other"]).await, 200);
    invited(&relay, "$other").await;
    empty(&relay).await;
    let seen = seen.lock().unwrap().join("\n");
    assert_eq!(seen, "200 $invite\n200 $x $y\n200 $z\n200 $other");
}

#[tokio::test]
async fn a_refused_transaction_comes_again_whole() {
    let (address, seen) = choosy(|number, _| if number == 0 { 500 } else { 200 }).await;
    let homeserver = homeserver().await;
    let relay = between(homeserver.address, address, "").await;
    assert_eq!(transaction(&relay, &["$x", "$y"]).await, 500);
    assert_eq!(transaction(&relay, &["$x", "$y"]).await, 200);
    assert_eq!(seen.lock().unwrap().join("\n"), "500 $x $y\n200 $x $y");
}

#[tokio::test]
async fn an_invite_that_dendrite_sends_before_its_answer_comes_once() {
    let (address, seen) = choosy(|_, _| 200).await;
    let homeserver = homeserver().await;
    *homeserver.delay.lock().unwrap() = Duration::from_millis(300);
    let relay = between(homeserver.address, address, "").await;
    let asked = homeserver.seen.clone();
    let during = async {
        until("Dendrite is asked", || !asked.lock().unwrap().is_empty()).await;
        assert_eq!(transaction(&relay, &["$known", "$x"]).await, 200);
    };
    tokio::join!(invited(&relay, "$known"), during);
    empty(&relay).await;
    let mut seen = seen.lock().unwrap().clone();
    seen.sort();
    assert_eq!(seen, ["200 $known", "200 $x"]);
}

#[tokio::test]
async fn dendrite_may_hang_up_and_the_repetition_brings_nothing_twice() {
    let (begun, mut begins) = mpsc::unbounded_channel();
    let (go, went) = tokio::sync::watch::channel(false);
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let log = bodies.clone();
    let slow = loopback::serve(move |request: Request<Incoming>| {
        let (begun, mut went, log) = (begun.clone(), went.clone(), log.clone());
        async move {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            log.lock().unwrap().push(String::from_utf8(body.to_vec()).unwrap());
            begun.send(()).unwrap();
            went.wait_for(|go| *go).await.unwrap();
            loopback::text(200, "{}")
        }
    })
    .await;
    let relay = relay_before(slow).await;
    let body = r#"{"events":[{"event_id":"$a"}]}"#;
    let head = format!(
        "PUT /_matrix/app/v1/transactions/1 HTTP/1.1\r\nHost: relay\r\nAuthorization: Bearer hstoken\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(relay.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    begins.recv().await.unwrap();
    drop(stream);
    let again = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        go.send(true).unwrap();
    };
    let (answer, ()) = tokio::join!(transaction(&relay, &["$a", "$b"]), again);
    assert_eq!(answer, 200);
    let bodies = bodies.lock().unwrap();
    assert!(bodies.len() == 2 && bodies[0] == body && !bodies[1].contains("$a"), "{bodies:?}");
}

#[tokio::test]
async fn a_full_queue_is_said_and_refuses_for_now() {
    let homeserver = homeserver().await;
    let relay = between(homeserver.address, closed_port(), "queue_invites = 2").await;
    invited(&relay, "$a").await;
    invited(&relay, "$b").await;
    let body = second("10", json!([])).to_string();
    let (status, answer) = put(&relay, &path(2, "$c"), X_MATRIX, &body).await;
    assert_eq!((status, answer["errcode"].as_str().unwrap()), (429, "M_LIMIT_EXCEEDED"));
    assert_eq!(homeserver.seen.lock().unwrap().len(), 2, "Dendrite is not asked");
    invited(&relay, "$a").await;
    until("the bridge was tried", || true).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut health = health(&relay).await;
    assert!(health["bytes"].as_u64().unwrap() > 400 && health["last_error"]["at"].is_u64());
    (health["bytes"], health["oldest_seconds"], health["last_error"]["at"]) = (1.into(), 0.into(), 0.into());
    insta::assert_snapshot!(serde_json::to_string_pretty(&health).unwrap());
}

#[tokio::test]
async fn slow_senders_are_let_go_and_hold_up_nobody() {
    let homeserver = homeserver().await;
    let (address, _) = bridge(200, "{}").await;
    let mut config = config_between(homeserver.address, address, "");
    config.body_limit = Duration::from_millis(1500);
    let relay = relay_with(config).await;
    let mut slow = Vec::new();
    for _ in 0..32 {
        let mut stream = TcpStream::connect(relay.address).await.unwrap();
        let head = format!(
            "PUT {} HTTP/1.1\r\nHost: b\r\nAuthorization: {X_MATRIX}\r\nContent-Length: 1000\r\n\r\n{{",
            path(2, "$slow")
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let body = second("10", json!([])).to_string();
    assert_eq!(put(&relay, &path(2, "$e"), X_MATRIX, &body).await.0, 429, "no place for one more");
    assert_eq!(ask(&relay, "POST", PING, Some("astoken"), "{}").await.0, 200);
    assert_eq!(transaction(&relay, &["$x"]).await, 200);
    let mut answer = [0; 12];
    slow[0].read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    drop(slow);
    invited(&relay, "$e").await;
}

#[tokio::test]
async fn what_waits_outlives_the_process_and_is_not_delivered_before_it_is_sure() {
    let homeserver = homeserver().await;
    let journal = tempfile::tempdir().unwrap();
    let away = |bridge| {
        let mut config = config_between(homeserver.address, bridge, "");
        config.journal = journal.path().into();
        config
    };
    let relay = relay_with(away(closed_port())).await;
    for number in 0..20 {
        invited(&relay, &format!("$e{number}")).await;
    }
    relay.stop.send(()).unwrap();
    relay.task.await.unwrap();
    let (address, seen) = choosy(|_, _| 200).await;
    let relay = relay_with(away(address)).await;
    empty(&relay).await;
    // What was delivered is remembered over a restart, too.
    relay.stop.send(()).unwrap();
    relay.task.await.unwrap();
    let relay = relay_with(away(address)).await;
    assert_eq!(transaction(&relay, &["$e3", "$new"]).await, 200);
    invited(&relay, "$e4").await;
    empty(&relay).await;
    let expected: Vec<String> = (0..20).map(|n| format!("200 $e{n}")).chain(["200 $new".into()]).collect();
    assert_eq!(*seen.lock().unwrap(), expected, "each once, in their order");
}
