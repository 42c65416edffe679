use super::super::super::report::tests::told as words;
use super::*;

#[test]
fn rocketchat_in_words() {
    let mismatch = |id: &str, found: &str| Mismatch { id: id.into(), expected: "true".into(), found: found.into() };
    let mismatches =
        [mismatch("Federation_Matrix_enabled", "false"), mismatch("Federation_Matrix_as_token", "missing")];
    let what = "send a message";
    let refused = RestError::Refused { what, kind: "error-not-allowed".into(), reason: "Not allowed".into() };
    let lacking = ("its licence does not include federation".to_owned(), Some("put another one there".to_owned()));
    insta::assert_snapshot!(words([
        told("rocketchat.send", Err(gone())),
        judge_token(Some(true)),
        judge_token(Some(false)),
        judge_token(None),
        judge_license(None),
        judge_license(Some(lacking)),
        judge_keys("example.org", Ok(())),
        judge_keys("example.org", Err("status 404: no such route".into())),
        judge_settings(&[], false),
        judge_settings(&mismatches, false),
        judge_settings(&mismatches, true),
        judge_send(Ok(())),
        judge_send(Err(RestError::Restricted)),
        judge_send(Err(RestError::RateLimited { what })),
        judge_send(Err(refused)),
    ]));
}

#[test]
fn one_on_another_machine() {
    let url = "https://chat.example.org";
    let why = "invalid peer certificate: UnknownIssuer".into();
    let certificate = RestError::Certificate { base: format!("{url}/"), why };
    let silent = RestError::RateLimited { what: "ask for the version" };
    insta::assert_debug_snapshot!([certificate, silent].map(|error| elsewhere("rocketchat.up", url, error)));
}
