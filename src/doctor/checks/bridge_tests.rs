use std::path::PathBuf;
use std::time::Duration;

use super::super::super::report::tests::told as words;
use super::*;
use crate::config::{Existing, Tester};

fn said(status: u16) -> Answer {
    Ok((status, "{\"errcode\":\"M_FORBIDDEN\"}".into()))
}

fn silent() -> Answer {
    Err("connection refused".into())
}

#[test]
fn the_bridge_and_its_transactions_in_words() {
    let own = RocketchatConfig::default();
    let licensed = RocketchatConfig { license_file: Some(PathBuf::from("/root/license")), ..own.clone() };
    let container = RocketchatConfig { existing: Some(Existing::Container("chat".into())), ..own.clone() };
    let elsewhere = Existing::Elsewhere { url: "http://10.0.0.7:3000".into(), bridge: "http://10.0.0.7:3300".into() };
    let elsewhere = RocketchatConfig { existing: Some(elsewhere), ..own.clone() };
    insta::assert_snapshot!(words([
        judge_up(said(200), &own),
        judge_up(silent(), &own),
        judge_up(said(404), &licensed),
        judge_up(silent(), &container),
        judge_up(silent(), &elsewhere),
        told("bridge.transaction", Err(no_token())),
        judge_transaction(said(200), None, &own),
        judge_transaction(said(403), Some(said(200)), &own),
        judge_transaction(said(403), Some(said(403)), &own),
        judge_transaction(said(403), None, &container),
        judge_transaction(Err(GONE.into()), None, &own),
        judge_relay(said(200)),
        judge_relay(said(401)),
        judge_relay(silent()),
    ]));
}

#[test]
fn the_ping_in_words() {
    let error = |code: &str| Some(Ok((502, format!("{{\"errcode\":\"{code}\"}}"))));
    let codes =
        ["M_BAD_STATUS", "M_FORBIDDEN", "M_UNKNOWN_TOKEN", "M_CONNECTION_FAILED", "M_CONNECTION_TIMEOUT", "M_X"];
    let refused = codes.map(|code| judge_ping(error(code), Profile::Dendrite));
    let rest = [None, Some(said(200)), Some(silent())].map(|answer| judge_ping(answer, Profile::Synapse));
    insta::assert_snapshot!(words(refused.into_iter().chain(rest)));
}

#[test]
fn the_verdict_in_words() {
    let own = RocketchatConfig::default();
    let existing = RocketchatConfig { existing: Some(Existing::Container("chat".into())), ..own.clone() };
    let certified = RocketchatConfig { federation_tester: Some(Tester::Own), ..own.clone() };
    let problem =
        || Problem { text: "the federation tester could not reach it".into(), hint: "look from outside".into() };
    let verdict = |valid, ping: Result<(), Problem>, reachability| {
        Ok(Verdict { valid, ping: ping.map(|()| Duration::ZERO), reachability, reached: None, words: String::new() })
    };
    let refused = RestError::RateLimited { what: "tell the result of its check" };
    insta::assert_snapshot!(words([
        judge_verdict(verdict(true, Ok(()), Ok(())), &own, Apex::Here),
        judge_verdict(verdict(true, Ok(()), Ok(())), &certified, Apex::Here),
        judge_verdict(verdict(false, Ok(()), Ok(())), &own, Apex::Here),
        judge_verdict(verdict(false, Ok(()), Err(problem())), &own, Apex::Here),
        judge_verdict(verdict(false, Ok(()), Err(problem())), &own, Apex::Elsewhere),
        judge_verdict(verdict(false, Err(problem()), Ok(())), &own, Apex::Elsewhere),
        judge_verdict(Err(RestError::NoVerification), &own, Apex::Here),
        judge_verdict(Err(RestError::NoVerification), &existing, Apex::Here),
        judge_verdict(Err(refused), &own, Apex::Here),
    ]));
}
