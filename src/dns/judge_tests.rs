//! Every verdict, as a person reads it.

use std::net::SocketAddr;

use super::*;
use crate::dns::{Caa, CaaRecord, ServerView, ZoneServer, findings, report};
use crate::host::net::{Address, Source};

const HERE: &str = "198.51.100.10";
const HERE6: &str = "2001:db8::10";

fn answer(text: &str) -> Answer {
    match text {
        "nxdomain" => Err(Fault::NxDomain),
        "servfail" => Err(Fault::ServFail { bogus: false }),
        "bogus" => Err(Fault::ServFail { bogus: true }),
        "refused" => Err(Fault::Refused),
        "timeout" => Err(Fault::Timeout),
        "lame" => Err(Fault::Lame),
        list => Ok(list.split_whitespace().map(|ip| ip.parse().unwrap()).collect()),
    }
}

/// `A | AAAA > alias`, or one fault for both.
fn view(text: &str) -> View {
    let (text, aliases) = text.split_once(" > ").map_or((text, Vec::new()), |(t, alias)| (t, vec![alias.to_owned()]));
    let (a, aaaa) = match text.split_once('|') {
        Some(both) => both,
        None if answer(text).is_err() => (text, text),
        None => (text, ""),
    };
    View { a: answer(a.trim()), aaaa: answer(aaaa.trim()), aliases }
}

fn seen(resolver: &str, servers: &[&str]) -> Seen {
    let authoritative = servers.iter().zip(1..).map(|(text, n): (&&str, u8)| ServerView {
        server: ZoneServer { name: format!("ns{n}.example.net"), address: SocketAddr::from(([192, 0, 2, n], 53)) },
        view: view(text),
    });
    Seen { resolver: view(resolver), authoritative: authoritative.collect(), caa: Caa::None }
}

fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

fn names(federated: &str, chat: &str, matrix: &str, apex: Apex) -> Names {
    Names { federated: name(federated), chat: name(chat), matrix: name(matrix), apex, chat_elsewhere: false }
}

fn machine(list: &[&str]) -> Expected {
    let list = list.iter().map(|ip| Address { source: Source::Interface, ip: ip.parse().unwrap() });
    Expected { addresses: Addresses::new(list), proxy: Proxy::Gateway, issuer: Some(LETS_ENCRYPT.into()) }
}

fn one(expected: &Expected, seen: Seen) -> Judgement {
    let only = names("example.org", "example.org", "example.org", Apex::Here);
    judge(&only, expected, &BTreeMap::from([(name("example.org"), seen)]))
}

#[test]
fn every_verdict_says_what_was_seen_and_what_to_do() {
    let cases = [
        ("right", HERE, &[HERE, HERE][..]),
        ("right, both families", "198.51.100.10 | 2001:db8::10", &["198.51.100.10 | 2001:db8::10"]),
        ("right, the zone's servers are out of reach", HERE, &[]),
        ("right, one of the zone's servers is silent", HERE, &[HERE, "timeout"]),
        ("right, one of the zone's servers is lame", HERE, &["lame", HERE]),
        ("right, through an alias", "198.51.100.10 > web.example.net", &["198.51.100.10 > web.example.net"]),
        ("no such name", "nxdomain", &["nxdomain", "nxdomain"]),
        ("no address", "", &[""]),
        ("elsewhere", "203.0.113.9", &["203.0.113.9"]),
        ("elsewhere, through an alias", "203.0.113.9 > web.example.net", &["203.0.113.9 > web.example.net"]),
        ("partly elsewhere", "198.51.100.10 203.0.113.9", &["198.51.100.10 203.0.113.9"]),
        ("IPv6 elsewhere", "198.51.100.10 | 2001:db8::bad", &["198.51.100.10 | 2001:db8::bad"]),
        ("IPv6 only", " | 2001:db8::10", &[" | 2001:db8::10"]),
        ("private", "10.0.0.5", &["10.0.0.5"]),
        ("private beside ours", "127.0.1.1 198.51.100.10", &["127.0.1.1 198.51.100.10"]),
        ("private in the resolver only (a line of /etc/hosts)", "127.0.1.1", &[HERE]),
        ("failing server", "servfail", &["servfail", "refused"]),
        ("silence", "timeout", &["timeout"]),
        ("only AAAA fails", "198.51.100.10 | servfail", &["198.51.100.10 | servfail"]),
        ("signatures wrong", "bogus", &[HERE]),
        ("resolver stale", "nxdomain", &[HERE, HERE]),
        ("resolver still has the old address", "203.0.113.9", &[HERE]),
        ("resolver fails, the zone is fine", "servfail", &[HERE]),
        ("the zone's servers disagree", HERE, &[HERE, "nxdomain"]),
        ("the zone's servers agree on another address", HERE, &["203.0.113.9"]),
        ("Cloudflare", "104.16.1.1 104.16.2.2 | 2606:4700::1", &["104.16.1.1 104.16.2.2 | 2606:4700::1"]),
    ];
    let expected = machine(&[HERE, HERE6]);
    let text: Vec<String> = cases
        .into_iter()
        .map(|(case, resolver, servers)| {
            let lines = report(&one(&expected, seen(resolver, servers)), &expected);
            format!("# {case}\n{}", lines[1..].join("\n"))
        })
        .collect();
    insta::assert_snapshot!(text.join("\n"));
}

#[test]
fn a_machine_that_does_not_know_its_address_asks_for_it() {
    let expected = machine(&["10.0.0.5"]);
    let text =
        ["203.0.113.9", "nxdomain"].map(|resolver| report(&one(&expected, seen(resolver, &[])), &expected).join("\n"));
    insta::assert_snapshot!(text.join("\n"));
}

#[test]
fn a_private_address_that_was_configured_is_this_machine() {
    let mut expected = machine(&[]);
    expected.addresses = Addresses::new([Address { source: Source::Configured, ip: "10.0.0.5".parse().unwrap() }]);
    assert_eq!(one(&expected, seen("10.0.0.5", &[])).names[0].verdict, Verdict::Ok);
}

#[test]
fn certificate_authority_authorization_is_said_beside_the_addresses() {
    let expected = machine(&[HERE]);
    let with = |caa: Caa| {
        let judgement = one(&expected, Seen { caa, ..seen(HERE, &[HERE]) });
        assert_eq!(judgement.is_right(&expected), judgement.names[0].caa_status() < Status::Fail);
        report(&judgement, &expected)[1..].join("\n")
    };
    let records = |critical: bool, tag: &str, value: &str| Caa::Records {
        at: "example.org".into(),
        records: vec![CaaRecord { critical, tag: tag.into(), value: value.into() }],
    };
    let text = [
        with(records(false, "issue", "letsencrypt.org")),
        with(records(false, "issue", "pki.example")),
        with(records(false, "issue", "letsencrypt.org; accounturi=https://ca.example/acct/1")),
        with(records(true, "future", "x")),
        with(Caa::Unknown { at: "example.org".into(), fault: Fault::Refused }),
    ];
    insta::assert_snapshot!(text.join("\n"));
}

#[test]
fn three_names_are_one_table_and_the_apex_may_be_elsewhere() {
    let expected = machine(&[HERE]);
    let lookups = BTreeMap::from([
        (name("example.org"), seen("203.0.113.9", &["203.0.113.9"])),
        (name("chat.example.org"), seen("nxdomain", &["nxdomain"])),
        (name("matrix.example.org"), seen(HERE, &[HERE])),
    ]);
    let text = [Apex::Here, Apex::Elsewhere].map(|apex| {
        let judgement =
            judge(&names("example.org", "chat.example.org", "matrix.example.org", apex), &expected, &lookups);
        assert_eq!(judgement.apex, (apex == Apex::Here).then_some(Apex::Elsewhere));
        let statuses =
            findings(&judgement, &expected).iter().map(|f| (f.subject.clone(), f.status)).collect::<Vec<_>>();
        format!("{}\n{statuses:?}", report(&judgement, &expected).join("\n"))
    });
    let without = BTreeMap::from([(name("example.org"), seen("nxdomain", &["nxdomain"]))]);
    let names = names("example.org", "chat.example.org", "matrix.example.org", Apex::Elsewhere);
    let without = report(&judge(&names, &expected, &without), &expected).join("\n");
    insta::assert_snapshot!(format!("{}\n\n{without}", text.join("\n\n")));
}

#[test]
fn behind_an_unknown_proxy_another_machine_is_only_worth_a_warning() {
    let mut expected = machine(&[HERE]);
    expected.proxy = Proxy::None;
    assert!(one(&expected, seen("203.0.113.9", &[])).is_right(&expected));
    expected.proxy = Proxy::Host;
    assert!(!one(&expected, seen("203.0.113.9", &[])).is_right(&expected));
}
