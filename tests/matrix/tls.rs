//! One real TLS server for each defect a certificate can have, and the one word that must come out.

use rcfed::host::net::exchange::{Alpn, Clients, Limits, Tls};
use rcfed::host::tls::{Path, TlsFacts};
use rcgen::{CertificateParams, CustomExtension, date_time_ymd};
use rustls::pki_types::CertificateDer;
use tokio::time::{Duration, Instant};

use crate::servers::{Authority, Identity, eyes, web};

/// Authority information access with caIssuers `http://ca.example/i.der` (RFC 5280 §4.2.2.1).
fn with_issuers_place(parameters: &mut CertificateParams) {
    let uri = b"http://ca.example/i.der";
    let mut method = vec![0x06, 0x08, 0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x02, 0x86, 0x17];
    method.extend(uri);
    let mut inner = vec![0x30, u8::try_from(method.len()).unwrap()];
    inner.extend(method);
    let mut outer = vec![0x30, u8::try_from(inner.len()).unwrap()];
    outer.extend(inner);
    let extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], outer);
    parameters.custom_extensions.push(extension);
}

async fn seen(authority: &Authority, identity: &Identity, needed: &str, extra: &[CertificateDer<'static>]) -> TlsFacts {
    let server = web("127.0.0.1:0", Some(identity.acceptor()), |_| None).await;
    let eyes = eyes("127.0.0.1:9".parse().unwrap(), authority, &[]);
    let wire = eyes.open(server, Some(needed), Instant::now() + Duration::from_secs(5)).await.unwrap();
    eyes.judge(&wire, needed, extra).unwrap()
}

#[tokio::test]
async fn a_good_chain_is_trusted_and_told_in_full() {
    let authority = Authority::new();
    for identity in [authority.leaf(&["a.example"], |_| {}), authority.deep_leaf(&["a.example", "b.example"], |_| {})] {
        let facts = seen(&authority, &identity, "a.example", &[]).await;
        assert!(facts.is_valid(), "{facts:?}");
        assert_eq!((facts.presented, facts.chain.len()), (identity.chain.len(), identity.chain.len()));
        assert_eq!((facts.protocol, facts.chain[0].names[0].as_str()), ("TLS 1.3", "a.example"));
        assert!(facts.days_left > 300 && !facts.chain[0].serial.is_empty());
    }
}

#[tokio::test]
async fn the_name_is_a_question_of_its_own() {
    let authority = Authority::new();
    let named = authority.leaf(&["matrix.example", "*.wild.example", "192.0.2.1"], |_| {});
    for (needed, valid) in [
        ("matrix.example", true),
        ("MATRIX.example", true),
        ("example", false),
        ("x.wild.example", true),
        ("wild.example", false),
        ("x.y.wild.example", false),
        ("192.0.2.1", true),
        ("192.0.2.2", false),
        ("[2001:db8::1]", false),
    ] {
        let facts = seen(&authority, &named, needed, &[]).await;
        assert_eq!((facts.name.valid, facts.path), (valid, Path::Trusted), "{needed}");
    }
}

#[tokio::test]
async fn out_of_time_is_told_from_untrusted() {
    let (ours, other) = (Authority::new(), Authority::named("Somebody else"));
    let past = |parameters: &mut CertificateParams| {
        (parameters.not_before, parameters.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2020, 3, 1));
    };
    let future = |parameters: &mut CertificateParams| {
        (parameters.not_before, parameters.not_after) = (date_time_ymd(2090, 1, 1), date_time_ymd(2090, 3, 1));
    };
    let expired = seen(&ours, &ours.leaf(&["a.example"], past), "a.example", &[]).await;
    assert_eq!(expired.path, Path::Expired(1_583_020_800));
    assert!(expired.name.valid && expired.days_left < -2000);
    let early = seen(&ours, &ours.leaf(&["a.example"], future), "a.example", &[]).await;
    assert_eq!(early.path, Path::NotYetValid(3_786_912_000));
    let both = seen(&ours, &other.leaf(&["a.example"], past), "a.example", &[]).await;
    assert_eq!(both.path, Path::UnknownIssuer);
}

#[tokio::test]
async fn a_missing_intermediate_is_told_from_an_unknown_authority() {
    let (ours, other) = (Authority::new(), Authority::named("Somebody else"));
    let whole = ours.deep_leaf(&["a.example"], with_issuers_place);
    let alone = Identity { chain: whole.chain[..1].to_vec(), key: whole.key };
    let place = vec!["http://ca.example/i.der".to_owned()];
    assert_eq!(
        seen(&ours, &alone, "a.example", &[]).await.path,
        Path::MissingIntermediate { ca_issuers: place.clone() }
    );
    assert_eq!(seen(&ours, &alone, "a.example", &whole.chain).await.path, Path::CompletedByExtra);
    let wrong = other.deep_leaf(&["a.example"], |_| {}).chain;
    assert_eq!(seen(&ours, &alone, "a.example", &wrong).await.path, Path::MissingIntermediate { ca_issuers: place });

    let silent = ours.deep_leaf(&["a.example"], |_| {});
    let silent = Identity { chain: silent.chain[..1].to_vec(), key: silent.key };
    assert_eq!(seen(&ours, &silent, "a.example", &[]).await.path, Path::UnknownIssuer);
    assert_eq!(seen(&ours, &other.deep_leaf(&["a.example"], |_| {}), "a.example", &[]).await.path, Path::UnknownIssuer);
}

#[tokio::test]
async fn a_certificate_of_ones_own_is_called_so() {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["a.example".to_owned()]).unwrap().self_signed(&key).unwrap();
    let identity = Identity { chain: vec![certificate.der().clone()], key };
    let facts = seen(&Authority::new(), &identity, "a.example", &[]).await;
    assert_eq!((facts.path, facts.name.valid), (Path::SelfSigned, true));
}

#[tokio::test]
async fn an_expired_intermediate_is_expired() {
    let authority = Authority::new();
    let good = authority.deep_leaf(&["a.example"], |_| {});
    let facts = seen(&authority, &good, "a.example", &[]).await;
    assert_eq!(facts.path, Path::Trusted);
    let later = TlsFacts::judge(
        &rcfed::host::net::exchange::Handshake { chain: good.chain, protocol: "TLS 1.3", alpn: None },
        "a.example",
        &rcfed::host::tls::Trust::new(Some(authority.pem.as_bytes())).unwrap(),
        &[],
        rustls::pki_types::UnixTime::since_unix_epoch(Duration::from_secs(1 << 40)),
    );
    assert!(matches!(later.path, Path::Expired(_)), "{:?}", later.path);
}

#[tokio::test]
async fn a_server_chooses_among_what_is_offered() {
    let identity = Authority::new().leaf(&["a.example"], |_| {});
    let both = [b"h2".to_vec(), b"http/1.1".to_vec()];
    for (server, offered, chosen) in [
        (&both[..], Alpn::Http1, Some("http/1.1")),
        (&both[..], Alpn::Http2First, Some("h2")),
        (&both[1..], Alpn::Http2First, Some("http/1.1")),
        (&both[..], Alpn::Nothing, None),
        (&[], Alpn::Http1, None),
    ] {
        let peer = web("127.0.0.1:0", Some(identity.acceptor_of(server)), |_| None).await;
        let limits = Limits::until(Instant::now() + Duration::from_secs(5));
        let tls = Tls { sni: Some("a.example"), alpn: offered };
        let wire = Clients::new().unwrap().open(peer, Some(tls), limits).await.unwrap();
        assert_eq!(wire.handshake.unwrap().alpn.as_deref(), chosen);
    }
}
