use super::*;
use crate::doctor::report::tests::told;

fn unreached(beside: Result<(), &str>, log: &[&str]) -> Outcome {
    let seen = answered(502, r#"{"errcode":"M_UNKNOWN","error":"Failed to fetch profile"}"#);
    Outcome::Lost {
        seen,
        log: log.iter().map(|line| (*line).to_owned()).collect(),
        beside: beside.map_err(str::to_owned),
    }
}

fn one(name: &str, outcome: Outcome) -> Tried {
    Tried { name: name.parse().unwrap(), outcome }
}

#[test]
fn who_is_to_blame() {
    let silent = "192.0.2.7:443 does not answer: no answer in time while connecting";
    let log = "Request failed: GET matrix-federation://other.example/: Could not get address";
    let cases = [
        vec![one("matrix.org", Outcome::Reached), one("other.example", unreached(Err(silent), &[]))],
        vec![one("other.example", unreached(Err(silent), &[]))],
        vec![one("other.example", unreached(Ok(()), &[log]))],
        vec![one("other.example", Outcome::Unclear("status 429: slow down".into()))],
        vec![one("other.example", Outcome::Unclear(GONE.into()))],
    ];
    insta::assert_snapshot!(cases.map(|case| told(judge(&case))).join("\n"));
}

#[test]
fn an_address_that_is_kept_away_from_is_read_from_the_log() {
    let synapse = "synapse.http.client - INFO - sentinel - Blocked 10.0.0.7 from DNS resolution to other.example";
    let dendrite = r#"level=error msg="getProfile failed" error="Get \"matrix://other.example/_matrix/federation/v1/query/profile?user_id=%40rcfed-probe%3Aother.example\": dial tcp [fd00::7]:443: [fd00::7]:443 is denied" req.id=50YnmB2kPpoj"#;
    let found = [synapse, dendrite].map(|line| private(&[line.to_owned()]).map(|address| address.to_string()));
    assert_eq!(found, [Some("10.0.0.7".into()), Some("fd00::7".into())]);
    assert_eq!(private(&["Blocked by somebody; access is denied".into()]), None);
    insta::assert_snapshot!(told(judge(&[one("other.example", unreached(Ok(()), &[synapse]))])));
}

#[test]
fn the_last_lines_about_a_server_are_kept() {
    let lines =
        ["a other.example", "b other.example", "c", "d other.example", "level=debug other.example", "e other.example"];
    let lines = lines.map(str::to_owned);
    let kept = about(&lines, &"other.example".parse().unwrap());
    assert_eq!(kept, ["b other.example", "d other.example", "e other.example"]);
}

#[test]
fn a_refusal_is_seen_in_the_log_behind_its_contents() {
    let line = r#"msg="getProfile failed" error="contents=[123 34 125] msg=Failed to GET JSON (hostname \"other.example\" path \"/_matrix/federation/v1/query/profile\") code=403 wrapped=M_FORBIDDEN: no""#;
    let seen = about(&[line.to_owned()], &"other.example".parse().unwrap());
    assert_eq!(
        seen,
        [
            r#"msg="getProfile failed" error="msg=Failed to GET JSON (hostname \"other.example\" path \"/_matrix/federation/v1/query/profile\") code=403 wrapped=M_FORBIDDEN: no""#
        ]
    );
}
