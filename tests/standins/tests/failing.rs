//! The fault servers, asked by the clients they are meant for.

mod support;

use instant_acme::{Account, Identifier, NewAccount, NewOrder};
use rcfed_standins::matrix;
use rcfed_standins::web::{Answer, Handler, Request};
use support::{get, http, start, status};

const CA: &str = env!("CARGO_BIN_EXE_fault-ca");

/// Goes as far as an order; answers with the error on the way.
async fn order(mode: &str) -> String {
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("ca.pem");
    let (_ca, address) =
        start(CA, &["--listen", "127.0.0.1:0", "--mode", mode, "--ca-out", file.to_str().expect("text")]);
    let attempt = async {
        let contact = NewAccount { contact: &[], terms_of_service_agreed: true, only_return_existing: false };
        let url = format!("https://localhost:{}/directory", address.rsplit(':').next().unwrap_or(""));
        let (account, _) = Account::builder_with_root(&file)?.create(&contact, url, None).await?;
        let names = [Identifier::Dns("chat.example.test".to_owned())];
        account.new_order(&NewOrder::new(&names)).await.map(drop)
    };
    match tokio::time::timeout(std::time::Duration::from_secs(2), attempt).await {
        Ok(Ok(())) => "an order".to_owned(),
        Ok(Err(why)) => format!("{why} / {why:?}"),
        Err(_) => "silence".to_owned(),
    }
}

#[tokio::test]
async fn the_ca_fails_at_the_chosen_step_with_boulders_words() {
    let limit = order("limit").await;
    let text = "too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s, retry \
                after 2026-12-01 10:00:00 UTC";
    assert!(limit.contains(text) && limit.contains("rateLimited"), "{limit}");
    let paused = order("paused").await;
    assert!(paused.contains("temporarily prevented from requesting certificates for chat.example.test"), "{paused}");
    let refused = order("refuse").await;
    assert!(refused.contains("deactivated"), "{refused}");
    let html = order("html").await;
    assert!(html.contains("JSON"), "{html}");
    assert!(order("badname").await.contains("rejectedIdentifier"));
    assert_eq!(order("hang").await, "silence");
}

#[test]
fn overload_is_a_page_with_a_time_to_wait() {
    let (_ca, address) = start(CA, &["--listen", "127.0.0.1:0", "--mode", "html", "--http"]);
    let (head, body) = http(&address, "GET /directory HTTP/1.1", "");
    assert!(head.starts_with("HTTP/1.1 503") && head.to_lowercase().contains("retry-after: 30"), "{head}");
    assert!(body.starts_with("<html>"), "{body}");
    let (_ca, address) = start(CA, &["--listen", "127.0.0.1:0", "--mode", "limit", "--http"]);
    assert_eq!(status(http(&address, "POST /order HTTP/1.1", "{}")).0, 400, "what is no JWS is refused");
}

#[test]
fn the_registry_fails_as_told() {
    let binary = env!("CARGO_BIN_EXE_fault-registry");
    let serve = |mode| start(binary, &["--listen", "127.0.0.1:0", "--mode", mode]);
    let (_missing, address) = serve("404");
    assert_eq!(get(&address, "/v2/", "").0, 200);
    let (code, body) = get(&address, "/v2/library/mongo/manifests/7", "");
    assert!(code == 404 && body.contains("MANIFEST_UNKNOWN"), "{body}");
    let (_broken, address) = serve("500");
    assert_eq!(get(&address, "/v2/library/mongo/manifests/7", "").0, 500);
    let (_cut, address) = serve("cut");
    let (code, manifest) = get(&address, "/v2/library/mongo/manifests/7", "");
    let manifest: serde_json::Value = serde_json::from_str(&manifest).expect("JSON");
    let blob =
        |of: &serde_json::Value| get(&address, &format!("/v2/a/blobs/{}", of["digest"].as_str().unwrap_or("")), "");
    assert_eq!((code, blob(&manifest["config"]).0), (200, 200));
    let (code, half) = blob(&manifest["layers"][0]);
    assert_eq!((code, half.len()), (200, 1 << 15), "half of the layer, then nothing");
}

#[test]
fn the_tester_calls_bad_what_it_cannot_reach() {
    let binary = env!("CARGO_BIN_EXE_federation-tester");
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("ca.pem");
    let file = file.to_str().expect("text");
    let (_ca, ca) = start(CA, &["--listen", "127.0.0.1:0", "--mode", "refuse", "--ca-out", file]);
    let (_tester, address) = start(binary, &["--listen", "127.0.0.1:0", "--ca", file]);
    let path = format!("/api/federation-ok?server_name={ca}");
    assert_eq!(get(&address, &path, ""), (200, "BAD".to_owned()), "TLS is good, but it is no homeserver");
    assert_eq!(get(&address, "/api/federation-ok", "").0, 400);
}

/// A homeserver over TLS with just what the tester asks for.
struct Homeserver {
    name: std::sync::OnceLock<String>,
    key: matrix::SigningKey,
}

impl Handler for Homeserver {
    async fn handle(&self, request: Request) -> Option<Answer> {
        let name = self.name.get().map_or("", String::as_str);
        let mut keys = serde_json::json!({
            "server_name": name,
            "valid_until_ts": jiff::Timestamp::now().as_millisecond() + 3_600_000,
            "verify_keys": {"ed25519:a": {"key": self.key.public()}},
        });
        let form = keys.clone();
        self.key.add_signature(&mut keys, &form, name).expect("signed");
        Some(match request.path.as_str() {
            "/_matrix/key/v2/server" => Answer::json(200, &keys),
            _ => Answer::json(200, &serde_json::json!({"server": {"name": "Test", "version": "1"}})),
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tester_calls_good_what_answers_with_its_own_keys() {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("made");
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config =
        builder.expect("versions").with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key.into());
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config.expect("a certificate")));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let name = listener.local_addr().expect("bound").to_string();
    let pair = ring::signature::Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key");
    let key = matrix::SigningKey { id: "ed25519:a".to_owned(), pair };
    let server = std::sync::Arc::new(Homeserver { name: name.clone().into(), key });
    tokio::spawn(rcfed_standins::web::serve(listener, Some(acceptor), server));

    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("ca.pem");
    std::fs::write(&file, made.cert.pem()).expect("written");
    let binary = env!("CARGO_BIN_EXE_federation-tester");
    let (_tester, address) = start(binary, &["--listen", "127.0.0.1:0", "--ca", file.to_str().expect("text")]);
    assert_eq!(get(&address, &format!("/api/federation-ok?server_name={name}"), ""), (200, "GOOD".to_owned()));
    let other = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("made");
    std::fs::write(&file, other.cert.pem()).expect("written");
    let answer = get(&address, &format!("/api/federation-ok?server_name={name}"), "");
    assert_eq!(answer, (200, "BAD".to_owned()), "roots are read again for each question");
}
