//! Lookups against real name servers on loopback: a resolver and the zone's own two servers, with every fault there is.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, CAA, CNAME, NS, caa::KeyValue};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use rcfed::config::{Names, Proxy};
use rcfed::dns::{
    Caa, CaaVerdict, Expected, Fault, LETS_ENCRYPT, Lookup, Patience, Seen, Verdict, WaitError, judge, wait_for,
};
use rcfed::domain::DomainName;
use rcfed::host::net::{Address, Addresses, Source};
use rcfed::ui::{Ui, Verbosity};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

const HERE: &str = "198.51.100.10";

/// The lines of one server: `NAME TYPE VALUE`, or `NAME ! FAULT`.
type Zone = Arc<Mutex<String>>;

/// A resolver at 127.0.0.1 and the servers of `example.org` at 127.0.0.2 and 127.0.0.3, all on one port.
struct Bed {
    resolver: Zone,
    one: Zone,
    two: Zone,
    lookup: Lookup,
}

const DELEGATION: &str = "
    example.org NS ns1.example.org
    example.org NS ns2.example.org
    ns1.example.org A 127.0.0.2
    ns2.example.org A 127.0.0.3";

impl Bed {
    /// The resolver has the delegation and `resolver`; both of the zone's servers have `own`.
    async fn new(resolver: &str, own: &str) -> Self {
        let (zones, port) = loop {
            let first = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let port = first.local_addr().unwrap().port();
            drop(first);
            let texts = [format!("{DELEGATION}\n{resolver}"), own.to_owned(), own.to_owned()];
            let zones = texts.map(|text| Arc::new(Mutex::new(text)));
            let mut all = true;
            for (zone, last) in zones.iter().zip(1..) {
                all &= serve(SocketAddr::from(([127, 0, 0, last], port)), zone.clone()).await.is_ok();
            }
            if all {
                break (zones, port);
            }
        };
        let lookup = Lookup {
            resolvers: vec![SocketAddr::from(([127, 0, 0, 1], port))],
            port,
            each: Duration::from_millis(400),
            overall: Duration::from_secs(3),
            memory: Default::default(),
        };
        let [resolver, one, two] = zones;
        Self { resolver, one, two, lookup }
    }

    async fn seen(&self) -> Seen {
        self.lookup.name(&name("chat.example.org")).await
    }

    async fn verdict(&self) -> Verdict {
        let lookups = BTreeMap::from([(name("chat.example.org"), self.seen().await)]);
        judge(&names(), &expected(), &lookups).names.remove(0).verdict
    }
}

async fn serve(address: SocketAddr, zone: Zone) -> std::io::Result<()> {
    let (udp, tcp) = (UdpSocket::bind(address).await?, TcpListener::bind(address).await?);
    let zone_of_tcp = zone.clone();
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = udp.recv_from(&mut buffer).await {
            let Some(mut answer) = answer(&buffer[..length], &zone) else { continue };
            if answer.to_vec().unwrap().len() > 512 {
                answer.answers.clear();
                answer.metadata.truncation = true;
            }
            let _ = udp.send_to(&answer.to_vec().unwrap(), from).await;
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = tcp.accept().await {
            let Ok(length) = stream.read_u16().await else { continue };
            let mut packet = vec![0; usize::from(length)];
            stream.read_exact(&mut packet).await.unwrap();
            let packet = answer(&packet, &zone_of_tcp).unwrap().to_vec().unwrap();
            stream.write_u16(u16::try_from(packet.len()).unwrap()).await.unwrap();
            stream.write_all(&packet).await.unwrap();
        }
    });
    Ok(())
}

/// What a server with these lines says; nothing if it keeps silent.
fn answer(packet: &[u8], zone: &Zone) -> Option<Message> {
    let query = Message::from_vec(packet).unwrap();
    let question = query.queries[0].clone();
    let mut answer = Message::response(query.metadata.id, OpCode::Query);
    answer.add_query(question.clone());
    answer.metadata.authoritative = true;
    let zone = zone.lock().unwrap().clone();
    let lines: Vec<(Name, &str, &str)> = zone
        .lines()
        .filter_map(|line| {
            let mut parts = line.trim().splitn(3, ' ');
            Some((absolute(parts.next()?), parts.next()?, parts.next()?))
        })
        .collect();
    let mut at = question.name.clone();
    loop {
        let here: Vec<_> = lines.iter().filter(|(owner, ..)| *owner == at).collect();
        for (owner, kind, value) in &here {
            match (*kind, *value) {
                ("!", "SILENCE") => return None,
                ("!", "LAME") => answer.metadata.authoritative = false,
                ("!", "REFUSED") => answer.metadata.response_code = ResponseCode::Refused,
                ("!", "SERVFAIL") => answer.metadata.response_code = ResponseCode::ServFail,
                ("!", "BOGUS") if !query.metadata.checking_disabled => {
                    answer.metadata.response_code = ResponseCode::ServFail;
                }
                ("!", _) => {}
                (kind, value) if kind == question.query_type.to_string() || kind == "CNAME" => {
                    answer.add_answer(Record::from_rdata(owner.clone(), 300, data(kind, value)));
                }
                _ => {}
            }
        }
        let alias = here.iter().find(|(_, kind, _)| *kind == "CNAME").map(|(.., target)| absolute(target));
        match alias {
            Some(target) if question.query_type != RecordType::CNAME => at = target,
            _ => break,
        }
    }
    let exists = lines.iter().any(|(owner, ..)| question.name.zone_of(owner));
    if !exists {
        answer.metadata.response_code = ResponseCode::NXDomain;
    }
    Some(answer)
}

fn data(kind: &str, value: &str) -> RData {
    match kind {
        "A" => RData::A(A(value.parse().unwrap())),
        "AAAA" => RData::AAAA(AAAA(value.parse().unwrap())),
        "CNAME" => RData::CNAME(CNAME(absolute(value))),
        "NS" => RData::NS(NS(absolute(value))),
        "CAA" => RData::CAA(CAA::new_issue(false, Some(Name::from_ascii(value).unwrap()), Vec::<KeyValue>::new())),
        other => panic!("{other}"),
    }
}

fn absolute(text: &str) -> Name {
    Name::from_ascii(format!("{text}.")).unwrap()
}

fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

fn names() -> Names {
    Names::alone(&name("chat.example.org"))
}

fn expected() -> Expected {
    let here = Address { source: Source::Interface, ip: HERE.parse().unwrap() };
    Expected { addresses: Addresses::new([here]), proxy: Proxy::Gateway, issuer: Some(LETS_ENCRYPT.into()) }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[tokio::test]
async fn a_right_name_is_right_at_both_ends() {
    let right = "chat.example.org A 198.51.100.10";
    let bed = Bed::new(right, right).await;
    let seen = bed.seen().await;
    assert_eq!(seen.resolver.a, Ok(vec![ip(HERE)]));
    assert_eq!(seen.resolver.aaaa, Ok(vec![]));
    let servers: Vec<&str> = seen.authoritative.iter().map(|view| view.server.name.as_str()).collect();
    assert_eq!(servers, ["ns1.example.org", "ns2.example.org"]);
    assert!(seen.authoritative.iter().all(|server| server.view == seen.resolver));
    assert_eq!(bed.verdict().await, Verdict::Ok);
}

#[tokio::test]
async fn every_fault_has_its_own_name() {
    for (line, fault) in [
        ("", Fault::NxDomain),
        ("chat.example.org ! SERVFAIL", Fault::ServFail { bogus: false }),
        ("chat.example.org ! REFUSED", Fault::Refused),
        ("chat.example.org ! SILENCE", Fault::Timeout),
    ] {
        let bed = Bed::new(line, line).await;
        let seen = bed.seen().await;
        assert_eq!(seen.resolver.a, Err(fault.clone()), "{line}");
        assert!(seen.authoritative.iter().all(|server| server.view.aaaa == Err(fault.clone())), "{seen:?}");
        let verdict = if fault == Fault::NxDomain { Verdict::Missing } else { Verdict::Broken(fault) };
        assert_eq!(bed.verdict().await, verdict);
    }
    let exists = "www.chat.example.org A 198.51.100.10";
    assert_eq!(Bed::new(exists, exists).await.seen().await.resolver.a, Ok(vec![]), "no data is not no name");
}

#[tokio::test]
async fn wrong_signatures_are_told_from_a_failing_server() {
    let bed =
        Bed::new("chat.example.org ! BOGUS\nchat.example.org A 198.51.100.10", "chat.example.org A 198.51.100.10")
            .await;
    assert_eq!(bed.verdict().await, Verdict::Broken(Fault::ServFail { bogus: true }));
}

#[tokio::test]
async fn what_is_wrong_with_an_address_is_named() {
    for (zone, verdict) in [
        ("chat.example.org A 203.0.113.9", Verdict::Elsewhere(vec![ip("203.0.113.9")])),
        ("chat.example.org A 10.0.0.5", Verdict::Private(vec![ip("10.0.0.5")])),
        (
            "chat.example.org A 198.51.100.10\nchat.example.org AAAA 2001:db8::bad",
            Verdict::WrongAaaa(vec![ip("2001:db8::bad")]),
        ),
    ] {
        assert_eq!(Bed::new(zone, zone).await.verdict().await, verdict);
    }
}

#[tokio::test]
async fn aliases_are_followed_within_the_zone_and_out_of_it() {
    let inside = "chat.example.org CNAME web.example.org\nweb.example.org A 198.51.100.10";
    let bed = Bed::new(inside, inside).await;
    assert_eq!(bed.seen().await.authoritative[0].view.aliases, ["web.example.org"]);
    assert_eq!(bed.verdict().await, Verdict::Ok);

    let outside = "chat.example.org CNAME web.example.net\nweb.example.net A 198.51.100.10";
    let bed = Bed::new(outside, "chat.example.org CNAME web.example.net").await;
    assert_eq!(bed.seen().await.authoritative[0].view.a, Ok(vec![ip(HERE)]));
    assert_eq!(bed.verdict().await, Verdict::Ok);
}

#[tokio::test]
async fn an_answer_too_long_for_a_packet_is_fetched_over_tcp() {
    let many: Vec<String> = (1..=60).map(|n| format!("chat.example.org A 203.0.113.{n}")).collect();
    let bed = Bed::new(&many.join("\n"), &many.join("\n")).await;
    let seen = bed.seen().await;
    assert_eq!(seen.resolver.a.unwrap().len(), 60);
    assert_eq!(seen.authoritative[1].view.a.as_ref().unwrap().len(), 60);
}

#[tokio::test]
async fn news_that_has_not_spread_is_told_from_a_mistake() {
    let right = "chat.example.org A 198.51.100.10";
    assert_eq!(Bed::new("", right).await.verdict().await, Verdict::Propagating { servers: false });
    let bed = Bed::new(right, right).await;
    *bed.two.lock().unwrap() = "chat.example.org A 203.0.113.9".into();
    assert_eq!(bed.verdict().await, Verdict::Propagating { servers: true });
    *bed.two.lock().unwrap() = "chat.example.org ! LAME".into();
    assert_eq!(bed.seen().await.authoritative[1].view.a, Err(Fault::Lame));
    assert_eq!(bed.verdict().await, Verdict::Ok, "one lame server does not stop the others");
}

#[tokio::test]
async fn the_closest_caa_counts() {
    let zone = "chat.example.org A 198.51.100.10\nexample.org CAA pki.example";
    let bed = Bed::new(zone, zone).await;
    let forbids =
        CaaVerdict::Forbids { at: "example.org".into(), record: r#"0 issue "pki.example""#.into(), remove: false };
    assert_eq!(bed.seen().await.caa.judge(LETS_ENCRYPT), forbids);
    bed.resolver.lock().unwrap().push_str("\nchat.example.org CAA letsencrypt.org");
    assert_eq!(bed.seen().await.caa.judge(LETS_ENCRYPT), CaaVerdict::Allows);
    *bed.resolver.lock().unwrap() = "chat.example.org A 198.51.100.10\nexample.org ! SERVFAIL".into();
    let unknown = Caa::Unknown { at: "example.org".into(), fault: Fault::ServFail { bogus: false } };
    assert_eq!(bed.seen().await.caa, unknown);
}

#[tokio::test]
async fn silence_everywhere_costs_no_more_than_its_limit() {
    let mut bed = Bed::new("", "").await;
    *bed.resolver.lock().unwrap() = "org ! SILENCE\nexample.org ! SILENCE\nchat.example.org ! SILENCE".into();
    bed.lookup.overall = Duration::from_millis(300);
    let started = Instant::now();
    let seen = bed.seen().await;
    assert!(started.elapsed() < Duration::from_secs(2));
    assert_eq!((seen.resolver.a, seen.authoritative), (Err(Fault::Timeout), vec![]));
}

#[tokio::test]
async fn waiting_ends_when_the_zone_is_right_and_leaves_the_resolver_alone() {
    let bed = Bed::new("", "").await;
    let first = bed.lookup.all(names().served()).await;
    let patience = Patience { every: Duration::from_millis(50), at_most: Duration::from_millis(400) };
    let ui = Ui::new(Verbosity::Quiet);
    let (names, expected) = (names(), expected());
    let task = ui.task("DNS");
    let wait = || wait_for(&bed.lookup, &names, &expected, &first, patience, &task);

    let error = wait().await.unwrap_err();
    assert!(matches!(error, WaitError::Deadline { .. }));
    assert_eq!(error.to_string(), "DNS is still not right after 400ms: chat.example.org does not exist in DNS");

    *bed.resolver.lock().unwrap() = "chat.example.org ! SERVFAIL".into();
    let later = async {
        tokio::time::sleep(Duration::from_millis(120)).await;
        for zone in [&bed.one, &bed.two] {
            *zone.lock().unwrap() = "chat.example.org A 198.51.100.10".into();
        }
    };
    let (judgement, ()) = tokio::join!(wait(), later);
    assert_eq!(judgement.unwrap().names[0].verdict, Verdict::Ok);
}
