//! Certificates from a real certificate authority (Pebble), and from servers that answer as Let's Encrypt's edge does.
//!
//! Everything stays on loopback. Without the `pebble` package the tests say so and pass; with `CI=true` they fail.

mod bed;

use std::time::Instant;

use jiff::Timestamp;
use rcfed::acme::{AcmeError, Limit, Store, Trouble, may_try, obtain};
use rcfed::domain::DomainName;
use rcfed::error::Explain;
use rcfed::ui::{Ui, Verbosity};

use bed::{Bed, Moods, Stub, Web};

fn names(names: &[&str]) -> Vec<DomainName> {
    names.iter().map(|name| DomainName::parse(name).unwrap()).collect()
}

async fn ask(options: &rcfed::acme::Options, names: &[DomainName]) -> Result<rcfed::acme::Pair, AcmeError> {
    let store = Store::new(options.acme_dir.with_file_name("certificate"));
    obtain(options, &store, &names.iter().collect::<Vec<_>>(), &Ui::new(Verbosity::Quiet)).await
}

const THREE: [&str; 3] = ["example.org", "chat.example.org", "matrix.example.org"];

#[tokio::test]
async fn three_names_twice_and_after_the_authority_forgot_the_account() {
    let Some(mut bed) = Bed::start(Web::Serves, Moods::default()).await else { return };
    let three = names(&THREE);
    let wanted: Vec<&DomainName> = three.iter().collect();
    let store = Store::new(bed.dir().join("certificate"));
    let mut serials = Vec::new();
    for round in 0..3 {
        if round == 2 {
            bed.restart().await;
        }
        let started = Instant::now();
        let pair = ask(&bed.options(), &three).await.unwrap();
        eprintln!("round {round}: {:.3} s", started.elapsed().as_secs_f64());
        let stored = store.load().unwrap().unwrap();
        let certificate = stored.check(&wanted, Timestamp::now()).unwrap();
        assert!(certificate.covers(&wanted) && certificate.key_matches);
        assert!(certificate.issuer.starts_with("Pebble Intermediate CA"), "{}", certificate.issuer);
        serials.push((certificate.serial, pair.privkey_pem.expose().to_owned()));
        assert_eq!(std::fs::read_dir(bed.options().challenge_dir).unwrap().count(), 0);
    }
    serials.sort();
    serials.dedup();
    assert_eq!(serials.len(), 3, "every certificate has a number and a key of its own");
    let accounts = std::fs::read_dir(bed.options().acme_dir).unwrap().flatten();
    let accounts = accounts.filter(|entry| entry.file_name().to_string_lossy().starts_with("account-"));
    assert_eq!(accounts.count(), 1);
}

#[tokio::test]
async fn a_rehearsal_looks_for_itself_and_leaves_no_proof_behind() {
    // This authority believes an old proof whenever there is one.
    let moods = Moods { believes_old_proofs: 100, ..Moods::default() };
    let Some(bed) = Bed::start(Web::Serves, moods).await else { return };
    let mut options = bed.options();
    options.staging = Some(options.directory.clone());
    options.rehearse = true;
    ask(&options, &names(&THREE)).await.unwrap();
    assert_eq!(bed.tokens_asked_for(), 6);
}

#[tokio::test]
async fn refused_nonces_are_not_noticed() {
    let Some(bed) = Bed::start(Web::Serves, Moods { rejects_nonces: 2, ..Moods::default() }).await else { return };
    // More than a hundred requests; three refusals in a row would be told.
    for _ in 0..6 {
        ask(&bed.options(), &names(&THREE)).await.unwrap();
    }
}

#[tokio::test]
async fn a_failed_rehearsal_says_that_nothing_counted() {
    let Some(bed) = Bed::start(Web::Empty, Moods::default()).await else { return };
    let mut options = bed.options();
    options.staging = Some(std::mem::replace(&mut options.directory, "https://127.0.0.1:9/never-asked".into()));
    options.rehearse = true;
    let error = ask(&options, &names(&THREE)).await.unwrap_err();
    assert!(error.to_string().starts_with("the rehearsal failed"), "{error}");
    assert_eq!(error.refusals().len(), 3);
}

#[tokio::test]
async fn nothing_on_port_80_is_told_for_every_name() {
    let Some(bed) = Bed::start(Web::Nothing, Moods::default()).await else { return };
    let error = ask(&bed.options(), &names(&THREE)).await.unwrap_err();
    let told: Vec<(&str, &str)> =
        error.refusals().iter().map(|refusal| (refusal.name.as_str(), refusal.kind.as_str())).collect();
    assert_eq!(told, THREE.map(|name| (name, "connection")), "{error}");
    assert!(error.to_string().contains("chat.example.org refuses connections to port 80"), "{error}");
    assert_eq!(std::fs::read_dir(bed.options().challenge_dir).unwrap().count(), 0);
    let now = Timestamp::now();
    assert!(matches!(may_try(&bed.options().acme_dir, now), Err(AcmeError::TooEarly { .. })));
}

#[tokio::test]
async fn another_web_server_is_told_with_its_status() {
    let Some(bed) = Bed::start(Web::Empty, Moods::default()).await else { return };
    let error = ask(&bed.options(), &names(&["example.org", "chat.example.org"])).await.unwrap_err();
    let kinds: Vec<&str> = error.refusals().iter().map(|refusal| refusal.kind.as_str()).collect();
    assert_eq!(kinds, ["unauthorized", "unauthorized"], "{error}");
    assert!(error.to_string().contains("example.org answers with status 404"), "{error}");
    assert!(error.hint().unwrap().contains("dig +short A example.org"));
}

#[tokio::test]
async fn a_blocked_name_is_told_and_the_others_are_not() {
    let Some(bed) = Bed::start(Web::Serves, Moods::default()).await else { return };
    let error = ask(&bed.options(), &names(&["example.org", "blocked.test"])).await.unwrap_err();
    let told: Vec<(&str, &str)> =
        error.refusals().iter().map(|refusal| (refusal.name.as_str(), refusal.kind.as_str())).collect();
    assert_eq!(told, [("blocked.test", "rejectedIdentifier")], "{error}");
}

#[tokio::test]
async fn an_unknown_root_and_a_closed_port_are_told_apart() {
    let stub = Stub::start(200, "application/json", None, "{}").await;
    let mut options = stub.options();
    let ca_pem = options.ca_pem.take();
    let error = ask(&options, &names(&THREE)).await.unwrap_err();
    assert!(error.to_string().contains("signed by a root that this machine does not know"), "{error}");
    options.ca_pem = ca_pem;
    let error = ask(&options, &names(&THREE)).await.unwrap_err();
    assert!(error.to_string().contains("has no `newNonce`"), "{error}");
    options.directory = "https://127.0.0.1:9/dir".into();
    let error = ask(&options, &names(&THREE)).await.unwrap_err();
    assert!(matches!(error, AcmeError::Unreachable { trouble: Trouble::Refused, .. }), "{error}");
}

#[tokio::test]
async fn maintenance_is_told_with_its_end() {
    let stub = Stub::start(503, "text/html", Some("7200"), "<html>Service unavailable</html>").await;
    let before = Timestamp::now();
    let error = ask(&stub.options(), &names(&THREE)).await.unwrap_err();
    assert!(error.to_string().contains("is overloaded or under maintenance (status 503); try again after"), "{error}");
    let wait = error.retry_at().unwrap().duration_since(before).as_secs();
    assert!((7_199..7_230).contains(&wait), "{wait}");
    let too_early = may_try(&stub.options().acme_dir, Timestamp::now()).unwrap_err();
    assert_eq!(too_early.retry_at(), error.retry_at());
    let stub = Stub::start(404, "text/html", None, "<html>Not found</html>").await;
    let error = ask(&stub.options(), &names(&THREE)).await.unwrap_err();
    assert!(error.to_string().contains("the answer is not JSON (status 404)"), "{error}");
}

#[tokio::test]
async fn a_limit_is_told_with_its_end() {
    let problem = r#"{"type":"urn:ietf:params:acme:error:rateLimited","status":429,
        "detail":"too many certificates (50) already issued for \"example.org\" in the last 168h0m0s"}"#;
    let stub = Stub::start(429, "application/problem+json", Some("3600"), problem).await;
    let error = ask(&stub.options(), &names(&THREE)).await.unwrap_err();
    let AcmeError::Limited { limit: Limit::Until { what, until: Some(_) }, .. } = &error else { panic!("{error}") };
    assert_eq!(what, "certificates for example.org");
    assert!(error.to_string().contains("allows no more certificates for example.org until"), "{error}");
}
