//! What is kept of a rotation, and every sentence about one that fails.

use super::*;

fn host(root: &std::path::Path) -> Host {
    std::fs::create_dir_all(root.join("var/lib/rcfed/secrets")).unwrap();
    Host { root: root.into(), docker: String::new(), nameserver: None, metadata: None }
}

#[test]
fn what_was_decided_is_put_among_the_secrets_once() {
    let root = tempfile::tempdir().unwrap();
    let host = host(root.path());
    let store = SecretStore::new(&host);
    for (name, value) in [(SecretName::AsToken, "a1"), (SecretName::HsToken, "h1")] {
        store.put(name, &Secret::new(value)).unwrap();
    }
    assert!(go_on(&host).unwrap().is_none() && !pending(&host).unwrap());
    let pair = |old: &str| Pair { old: Secret::new(old), new: Secret::random(LENGTH).unwrap() };
    let decided = Rotation { as_token: pair("a1"), hs_token: pair("h1") };
    std::fs::write(host.path(layout::ROTATION), decided.text()).unwrap();
    std::fs::write(host.path(layout::VERDICT), "{}").unwrap();
    // A run that died between the two: the other follows, and neither is made anew.
    store.put(SecretName::AsToken, &decided.as_token.new).unwrap();
    for _ in 0..2 {
        let read = go_on(&host).unwrap().unwrap();
        assert_eq!(read.as_token.old.expose(), "a1");
        for (name, pair) in decided.pairs() {
            assert_eq!(store.get(name).unwrap().as_ref(), Some(&pair.new));
            assert_eq!(store.versions().unwrap().get(&name), Some(&2));
        }
        assert!(!host.path(layout::VERDICT).exists());
    }
}

#[test]
fn what_cannot_be_understood_changes_nothing() {
    let root = tempfile::tempdir().unwrap();
    let host = host(root.path());
    let long = "x".repeat(LENGTH);
    for text in
        ["", "as_token a1\n", &format!("as_token a1 {long}\n"), &format!("as_token a1 {long}\nhs_token h1 short\n")]
    {
        std::fs::write(host.path(layout::ROTATION), text).unwrap();
        let error = go_on(&host).unwrap_err();
        assert!(error.message().contains("cannot be understood"), "{text}");
        assert_eq!(SecretStore::new(&host).get(SecretName::AsToken).unwrap(), None);
    }
}

#[test]
fn sentences() {
    let errors = [
        TokensError::Differs { step: "container:relay".into(), more: 0 },
        TokensError::Differs { step: "container:relay".into(), more: 2 },
        TokensError::Missing { name: "hs_token" },
        TokensError::Native,
        TokensError::NoDeployment,
        TokensError::Silent { who: "the bridge", why: "connection refused".into(), service: Service::Rocketchat },
        TokensError::StillTaken { who: "the relay", container: Some(Service::Relay.container()), status: 200 },
        TokensError::StillTaken { who: "the bridge", container: None, status: 200 },
        TokensError::Unreadable { path: layout::ROTATION.into() },
    ];
    let told = errors.map(|error| format!("{error}\nhint: {} ({})", error.hint().unwrap(), error.exit_code()));
    let doors = |doors: &[&str]| rotated(doors.iter().map(|door| (*door).into()).collect());
    let ends = [doors(&["the bridge (403)"]), doors(&["the homeserver (401)", "the relay (401)", "the bridge (403)"])];
    insta::assert_snapshot!(format!("{GOING_ON}\n{}\n\n{}", ends.join("\n"), told.join("\n\n")));
}
