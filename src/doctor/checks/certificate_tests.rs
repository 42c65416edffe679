use super::super::super::report::tests::told;
use super::*;

#[test]
fn who_shows_and_renews_it_in_words() {
    let served = |proxy, silent, other| judge_served(proxy, silent, other);
    let units = [
        State::Absent,
        State::Differs("the timer does not run".into()),
        State::Differs("/etc/systemd/system/rcfed-renew.timer".into()),
    ];
    let mut findings = vec![
        served(Proxy::Gateway, "", ""),
        served(Proxy::Host, "", ""),
        served(Proxy::Gateway, "", "chat.example.org, matrix.example.org"),
        served(Proxy::Host, "chat.example.org", "matrix.example.org"),
    ];
    findings.extend(units.into_iter().filter_map(judge_unit));
    findings.extend(["", "success", "exit-code"].map(ended));
    findings.push(not_told("systemctl cannot be run: No such file or directory"));
    findings.push(not_told("systemctl gave no answer within 5 s"));
    insta::assert_snapshot!(told(findings));
    assert_eq!(judge_unit(State::Current), None);
    for word in ["timeout", "oom-kill", "start-limit-hit"] {
        assert_eq!(ended(word).status, Status::Warn, "{word}");
    }
}

#[test]
fn a_certificate_is_judged_by_its_names_and_days() {
    let certificate = Certificate {
        names: vec!["example.org".into(), "chat.example.org".into()],
        not_before: "2026-09-01T00:00:00Z".parse().unwrap(),
        not_after: "2026-11-30T00:00:00Z".parse().unwrap(),
        serial: String::new(),
        issuer: String::new(),
        key_matches: true,
    };
    let name = |text| DomainName::parse(text).unwrap();
    let (own, other) = (name("chat.example.org"), name("matrix.example.org"));
    let failure = Failure {
        error: "Let's Encrypt: too many certificates\nfor example.org".into(),
        count: 3,
        at: "2026-11-20T10:00:00Z".parse().unwrap(),
        next: "2026-11-20T11:40:00Z".parse().unwrap(),
    };
    let mut findings = vec![missing("pair.pem"), damaged("pair.pem", &"its certificate chain is damaged")];
    let mut tell = |finding: Finding| findings.push(finding);
    for now in [
        "2026-10-01T00:00:00Z",
        "2026-11-09T00:00:00Z",
        "2026-11-10T00:00:01Z",
        "2026-11-29T23:00:00Z",
        "2026-11-30T00:00:00Z",
        "2026-08-31T00:00:00Z",
    ] {
        tell(judge("pair.pem", &certificate, &[&own], now.parse().unwrap()));
    }
    let now = "2026-10-01T00:00:00Z".parse().unwrap();
    tell(judge("pair.pem", &certificate, &[&own, &other], now));
    tell(judge("pair.pem", &Certificate { key_matches: false, ..certificate.clone() }, &[&own], now));
    for now in ["2026-11-20T11:00:00Z", "2026-12-01T00:00:00Z"] {
        let now = now.parse().unwrap();
        tell(with_failure(judge("pair.pem", &certificate, &[&own], now), Some(&failure), now));
    }
    tell(with_failure(judge("pair.pem", &certificate, &[&own], now), Some(&failure), now));
    insta::assert_snapshot!(told(findings));
}

#[test]
fn behind_another_proxy_the_file_is_no_failure() {
    let judged = [Proxy::Gateway, Proxy::Host, Proxy::None]
        .map(|proxy| for_proxy(Finding::fail("certificate.file", "pair.pem", "expired"), proxy));
    insta::assert_snapshot!(told(judged));
}
