use super::super::super::report::tests::told;
use super::*;

#[test]
fn what_the_domain_says_in_words() {
    let now: Timestamp = "2026-11-23T15:00:00Z".parse().unwrap();
    let document = |answer: Option<(u16, &str)>| {
        let (url, wanted) = ("https://example.org/.well-known/matrix/server", "matrix.example.org:443");
        let answer = answer.map(|(status, body)| (status, body.to_owned()));
        judge_document("wellknown.server", url, answer, "/m.server", wanted, now)
    };
    let available = |answer| judge_available("example.org", "matrix.example.org", answer);
    insta::assert_snapshot!(told([
        Finding::ok("dns.address", "example.org", NOTHING),
        Finding::fail("dns.address", "example.org", "has other records").cached(believed(Some(300), now)),
        Finding::fail("dns.address", "example.org", "has other records").cached(believed(None, now)),
        document(Some((200, "{\"m.server\": \"matrix.example.org:443\"}"))),
        document(Some((200, "{\"m.server\": \"old.example.org:443\"}"))),
        document(Some((200, "{\"m.server\": 443}"))),
        document(Some((200, "<!doctype html><title>Welcome to this web site</title><body>"))),
        document(Some((404, "not here"))),
        document(None),
        Finding::unknown(
            "wellknown.server",
            "https://example.org/.well-known/matrix/server",
            super::super::GATEWAY_GONE
        ),
        available(Available::Answered),
        available(Available::NotAnswered("status 404: no".into())),
    ]));
}
