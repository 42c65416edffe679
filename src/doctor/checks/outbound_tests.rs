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
    let dendrite = r#"level=error msg="getProfile failed" error="Get \"matrix://other.example\": dial tcp [fd00::7]:443: [fd00::7]:443 is denied""#;
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
