//! A server that is well, as a site and a homeserver on loopback, and everything that can be broken about it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, SRV};
use hickory_resolver::proto::rr::{Name as DnsName, RData, Record as DnsRecord, RecordType};
use jiff::Timestamp;
use rcfed::dns::Lookup;
use rcfed::doctor::{Report, remote};
use rcfed::matrix::server_name::ServerName;
use rcfed::matrix::signing_key::SigningKey;
use rcfed::matrix::{Eyes, Look, Wishes, look};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use tokio::net::UdpSocket;
use tokio_rustls::TlsAcceptor;

use crate::faults::Break::{self, *};
use crate::faults::{Certificate, Fault, Spot};
use crate::http2;
use crate::rocketchat::{self, Front};
use crate::servers::{Authority, Identity, raw, reply, web};

const NAME: &str = "example.org";
const HOST: &str = "matrix.example.org";

/// Makes the server, breaks it, and looks at it.
pub async fn examine(fault: &Fault) -> Report {
    let broken = fault.break_it;
    let text = broken.iter().find_map(|b| if let Name(name) = b { Some(*name) } else { None }).unwrap_or(NAME);
    let name = match ServerName::parse(text) {
        Ok(name) => name,
        Err(error) => return remote::refused(text, None, &error, Timestamp::now()),
    };
    let authority = Authority::named("Root of the test");
    let site_certificate = broken.iter().find_map(|b| if let Site(c) = b { Some(*c) } else { None });
    let chat = broken.iter().find_map(|b| if let Chat(spot, chat) = b { Some((*spot, *chat)) } else { None });
    let front = match chat {
        Some((Spot::Name, chat)) => Front::Rocketchat(chat),
        Some((Spot::Redirected, _)) => Front::Redirect("rocket.example.org"),
        _ => Front::Nothing,
    };
    let site = rocketchat::site("127.0.0.1:0", identity(site_certificate, &authority), documents(broken), front).await;
    if let Some((Spot::Below | Spot::Redirected, chat)) = chat {
        let certificate = broken.iter().find_map(|b| if let ChatIdentity(c) = b { Some(*c) } else { None });
        let tls = identity_for(&["chat.example.org", "rocket.example.org"], certificate, &authority);
        let missing = |_: &str| Some(reply(404, "", ""));
        rocketchat::site(&format!("127.0.0.3:{}", site.port()), tls, missing, Front::Rocketchat(chat)).await;
    }
    let matrix_certificate = broken.iter().find_map(|b| if let Matrix(c) = b { Some(*c) } else { None });
    let matrix = if broken.contains(&Plain) {
        web("127.0.0.1:0", None, |_| Some(reply(400, "", "plain"))).await
    } else if broken.contains(&Silent) {
        raw("127.0.0.1:0", None, |mut stream| async move {
            let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut Vec::new()).await;
        })
        .await
    } else if let Some(over) = broken.iter().find_map(|b| if let Http2(over) = b { Some(*over) } else { None }) {
        let tls = certificate(&[NAME, HOST], None, &authority).acceptor_of(&[b"h2".to_vec(), b"http/1.1".to_vec()]);
        http2::server(tls, over, homeserver(broken), homeserver(broken)).await
    } else {
        web("127.0.0.1:0", Some(identity(matrix_certificate, &authority)), homeserver(broken)).await
    };
    if let Some(document) = broken.iter().find_map(|b| if let Second(document) = b { Some(*document) } else { None }) {
        let other = move |_: &str| Some(reply(200, "Content-Type: application/json\r\n", document));
        web(&format!("127.0.0.2:{}", site.port()), Some(identity(None, &authority)), other).await;
    }
    if broken.contains(&Twin) {
        let address = format!("127.0.0.2:{}", matrix.port());
        web(&address, Some(identity(None, &authority)), homeserver(broken)).await;
    }
    let resolver = name_server(broken).await;
    let (closed, open) = (1, matrix.port());
    let federation = if broken.contains(&Closed) { closed } else { open };
    let old_port = if broken.contains(&NoPort) { closed } else { federation };
    let documents = if broken.contains(&NoSite) { closed } else { site.port() };
    let mut eyes = eyes(resolver, &authority, &[(443, documents), (8443, federation), (8448, old_port)]);
    eyes.private_allowed = !broken.contains(&Outside);
    // An address of Cloudflare's.
    eyes.instead = Arc::new([("104.16.1.1".parse().unwrap(), "127.0.0.1".parse().unwrap())].into());
    let silent = [Silent, Chat(Spot::Name, crate::faults::Chat::Silent)];
    let deadline = match broken {
        [Slow] => 6000,
        _ if broken.iter().any(|b| silent.contains(b)) => 6000,
        _ => 10_000,
    };
    let wishes = Wishes { deadline: Duration::from_millis(deadline), ..Wishes::default() };
    let seen = look(&name, &eyes, &wishes).await;
    remote::report(&seen, Timestamp::now(), &[])
}

/// Two looks at a good server under an address at which nothing listens: as it is, and through another address.
pub async fn behind_a_router() -> (Look, Look) {
    let authority = Authority::named("Root of the test");
    let site = web("127.0.0.1:0", Some(identity(None, &authority)), documents(&[])).await;
    let matrix = web("127.0.0.1:0", Some(identity(None, &authority)), homeserver(&[])).await;
    let resolver = name_server(&[Record("example.org A 127.0.0.9"), Record("matrix.example.org A 127.0.0.9")]).await;
    let mut eyes = eyes(resolver, &authority, &[(443, site.port()), (8443, matrix.port()), (8448, 1)]);
    let (name, wishes) = (ServerName::parse(NAME).unwrap(), Wishes::default());
    let blocked = look(&name, &eyes, &wishes).await;
    eyes.instead = Arc::new([("127.0.0.9".parse().unwrap(), "127.0.0.1".parse().unwrap())].into());
    (blocked, look(&name, &eyes, &wishes).await)
}

/// A look at a good server.
pub async fn good() -> Look {
    let authority = Authority::named("Root of the test");
    let site = web("127.0.0.1:0", Some(identity(None, &authority)), documents(&[])).await;
    let matrix = web("127.0.0.1:0", Some(identity(None, &authority)), homeserver(&[])).await;
    let resolver = name_server(&[]).await;
    let eyes = eyes(resolver, &authority, &[(443, site.port()), (8443, matrix.port()), (8448, 1)]);
    look(&ServerName::parse(NAME).unwrap(), &eyes, &Wishes::default()).await
}

/// Looks at a good server with another signing key than the server has, and through something that removes signatures.
pub async fn with_bad_signatures() -> [Look; 2] {
    let authority = Authority::named("Root of the test");
    let site = web("127.0.0.1:0", Some(identity(None, &authority)), documents(&[])).await;
    let strict = crate::servers::homeserver(NAME, SigningKey::generate().unwrap());
    let strict = web("127.0.0.1:0", Some(identity(None, &authority)), strict).await;
    let without = web("127.0.0.1:0", Some(identity(None, &authority)), homeserver(&[])).await;
    let (name, resolver) = (ServerName::parse(NAME).unwrap(), name_server(&[]).await);
    let wishes = Wishes { signing_key: Some(SigningKey::generate().unwrap()), ..Wishes::default() };
    let looked = [strict, without].map(async |matrix: SocketAddr| {
        let eyes = eyes(resolver, &authority, &[(443, site.port()), (8443, matrix.port()), (8448, 1)]);
        look(&name, &eyes, &wishes).await
    });
    let [one, other] = looked;
    [one.await, other.await]
}

/// Eyes as a person has them, but for the ports.
fn eyes(resolver: SocketAddr, authority: &Authority, ports: &[(u16, u16)]) -> Eyes {
    let patience = Duration::from_secs(3);
    let lookup =
        Lookup { resolvers: vec![resolver], port: 53, each: patience, overall: patience, memory: Default::default() };
    let mut eyes = Eyes::new(lookup, Some(authority.pem.as_bytes())).unwrap();
    eyes.private_allowed = true;
    eyes.ports = Arc::new(ports.iter().copied().collect());
    eyes
}

fn identity(certificate: Option<Certificate>, authority: &Authority) -> TlsAcceptor {
    identity_for(&[NAME, HOST], certificate, authority)
}

fn identity_for(names: &[&str], certificate: Option<Certificate>, authority: &Authority) -> TlsAcceptor {
    self::certificate(names, certificate, authority).acceptor()
}

fn certificate(names: &[&str], certificate: Option<Certificate>, authority: &Authority) -> Identity {
    let in_days = |days: i64| {
        let day = (Timestamp::now() + Duration::from_secs(86_400 * days as u64)).strftime("%Y %m %d").to_string();
        let parts: Vec<i32> = day.split(' ').map(|part| part.parse().unwrap()).collect();
        rcgen::date_time_ymd(parts[0], parts[1] as u8, parts[2] as u8)
    };
    match certificate.unwrap_or(Certificate::Good) {
        Certificate::Good => authority.deep_leaf(names, |_| {}),
        Certificate::Expired => authority.deep_leaf(names, |leaf| {
            (leaf.not_before, leaf.not_after) = (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2020, 3, 1));
        }),
        Certificate::Early => authority.deep_leaf(names, |leaf| {
            (leaf.not_before, leaf.not_after) = (rcgen::date_time_ymd(2090, 1, 1), rcgen::date_time_ymd(2090, 3, 1));
        }),
        Certificate::Ending => authority.deep_leaf(names, |leaf| leaf.not_after = in_days(3)),
        Certificate::OtherName => authority.deep_leaf(&["other.example.net"], |_| {}),
        Certificate::LeafOnly => {
            let mut deep = authority.deep_leaf(names, issuers_place);
            deep.chain.truncate(1);
            deep
        }
        Certificate::SelfSigned => {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let key = KeyPair::generate().unwrap();
            let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
            Identity { chain: vec![certificate.der().clone()], key }
        }
        Certificate::Stranger => Authority::named("Somebody else").deep_leaf(names, |_| {}),
    }
}

/// Authority information access with caIssuers `http://ca.example/i.der` (RFC 5280 §4.2.2.1).
fn issuers_place(parameters: &mut CertificateParams) {
    let mut content =
        vec![0x30, 0x25, 0x30, 0x23, 0x06, 0x08, 0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x02, 0x86, 0x17];
    content.extend(b"http://ca.example/i.der");
    parameters.custom_extensions.push(CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], content));
}

/// The three documents of the site.
fn documents(broken: &'static [Break]) -> impl Fn(&str) -> Option<String> + Clone + Send + Sync + 'static {
    move |request| {
        let mut words = request.split(' ');
        let cors = "Access-Control-Allow-Origin: *\r\nContent-Type: application/json\r\n";
        Some(match (words.next()?, words.next()?) {
            ("OPTIONS", _) => reply(204, cors, ""),
            (_, "/.well-known/matrix/server") => {
                if broken.contains(&Slow) {
                    return Some("HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{".into());
                }
                if let Some(length) =
                    broken.iter().find_map(|b| if let Header(length) = b { Some(*length) } else { None })
                {
                    return Some(reply(200, &format!("X-Long: {}\r\n", "a".repeat(length)), "{}"));
                }
                let good = (200, cors, r#"{"m.server": "matrix.example.org:8443"}"#.to_owned());
                let (status, headers, body) = broken
                    .iter()
                    .find_map(|b| match b {
                        Server(status, headers, body) => Some((*status, *headers, (*body).to_owned())),
                        Long(length) => Some((200, cors, format!("{{{}", " ".repeat(*length)))),
                        _ => None,
                    })
                    .unwrap_or(good);
                reply(status, headers, &body)
            }
            (_, "/.well-known/matrix/client") => {
                let good = (cors, r#"{"m.homeserver": {"base_url": "https://matrix.example.org:8443"}}"#);
                let other = broken
                    .iter()
                    .find_map(|b| if let Client(headers, body) = b { Some((*headers, *body)) } else { None });
                let (headers, body) = other.unwrap_or(good);
                reply(200, headers, body)
            }
            (_, "/.well-known/matrix/support") => {
                let good = (cors, r#"{"support_page": "https://example.org/"}"#);
                let other = broken.iter().find_map(|b| if let Support(h, body) = b { Some((*h, *body)) } else { None });
                let (headers, body) = other.unwrap_or(good);
                reply(200, headers, body)
            }
            _ => reply(404, "", ""),
        })
    }
}

/// A homeserver as Synapse is one, with a proxy before it, as far as either is broken.
fn homeserver(broken: &'static [Break]) -> impl Fn(&str) -> Option<String> + Clone + Send + Sync + 'static {
    let key = SigningKey::generate().unwrap();
    move |request| {
        let clock = broken.iter().find_map(|b| if let Clock(seconds) = b { Some(*seconds) } else { None }).unwrap_or(0);
        let now = SystemTime::now();
        let shift = Duration::from_secs(clock.unsigned_abs());
        let date = httpdate::fmt_http_date(if clock < 0 { now - shift } else { now + shift });
        let json = format!("Content-Type: application/json\r\nDate: {date}\r\n");
        let unknown = || reply(404, &json, r#"{"errcode":"M_UNRECOGNIZED","error":"Unrecognized request"}"#);
        let (line, headers) = request.split_once("\r\n")?;
        let mut words = line.split(' ');
        let (method, path) = (words.next()?, words.next()?);
        let host = headers.lines().find_map(|line| line.strip_prefix("Host: ")).unwrap_or_default();
        let agent = headers.lines().find_map(|line| line.strip_prefix("User-Agent: ")).unwrap_or_default();
        if broken.iter().any(|b| matches!(b, Filters(word) if agent.contains(word))) {
            return Some(reply(403, "", "<html>Forbidden"));
        }
        if broken.contains(&OneHost) && !host.contains(':') {
            return Some(reply(404, "", "<html>Not here"));
        }
        if headers.contains("Expect: 100-continue") {
            return Some(if broken.contains(&SmallBodies) {
                reply(413, "", "")
            } else {
                "HTTP/1.1 100 Continue\r\n\r\n".into()
            });
        }
        let path = if broken.contains(&Normalises) { path.replace("%2F", "/") } else { path.to_owned() };
        let path = if broken.contains(&Merges) { path.replace("//", "/") } else { path };
        match (method, path.as_str()) {
            (_, "/_matrix/key/v2/server") => {
                if let Some(length) =
                    broken.iter().find_map(|b| if let KeysLong(length) = b { Some(*length) } else { None })
                {
                    return Some(reply(200, &json, &" ".repeat(length)));
                }
                Some(match broken.iter().find_map(|b| if let Keys(s, h, b) = b { Some((s, h, b)) } else { None }) {
                    Some((status, headers, body)) => reply(*status, headers, body),
                    None => reply(200, &json, &keys(broken, &key)),
                })
            }
            (_, "/_matrix/federation/v1/version") if broken.contains(&NoVersion) => Some(unknown()),
            (_, "/_matrix/federation/v1/version") => {
                Some(reply(200, &json, r#"{"server":{"name":"Standin","version":"1.2"}}"#))
            }
            (_, "/_matrix/client/versions") => {
                Some(reply(200, &format!("{json}Access-Control-Allow-Origin: *\r\n"), r#"{"versions":["v1.11"]}"#))
            }
            ("GET", path)
                if path.strip_prefix("/_matrix/federation/v1/event/").is_some_and(|event| !event.contains('/')) =>
            {
                Some(reply(401, &json, r#"{"errcode":"M_UNAUTHORIZED","error":"Missing Authorization headers"}"#))
            }
            _ => Some(unknown()),
        }
    }
}

fn keys(broken: &[Break], key: &SigningKey) -> String {
    let name = broken.iter().find_map(|b| if let KeysName(name) = b { Some(*name) } else { None }).unwrap_or(NAME);
    let valid =
        broken.iter().find_map(|b| if let KeysValid(seconds) = b { Some(*seconds) } else { None }).unwrap_or(86_400);
    let public = if broken.contains(&KeysShort) { "AAAA".to_owned() } else { key.public_key().unwrap() };
    let mut document = serde_json::json!({
        "server_name": name,
        "valid_until_ts": Timestamp::now().as_millisecond() + valid * 1000,
        "verify_keys": {key.key_id(): {"key": public}},
        "old_verify_keys": {},
    });
    let signature = rcfed::matrix::x_matrix::sign(key, document.as_object().unwrap()).unwrap();
    document["signatures"] = serde_json::json!({name: {key.key_id(): signature}});
    if broken.contains(&KeysChanged) {
        document["old_verify_keys"] = serde_json::json!({"ed25519:old": {"key": public, "expired_ts": 1}});
    }
    document.to_string()
}

/// A name server with the records of a good server, as far as they are not replaced.
async fn name_server(broken: &'static [Break]) -> SocketAddr {
    let good =
        ["example.org A 127.0.0.1", "matrix.example.org A 127.0.0.1", "alias.example.org CNAME matrix.example.org"];
    let other: Vec<&str> =
        broken.iter().filter_map(|b| if let Record(record) = b { Some(*record) } else { None }).collect();
    let replaced = |line: &&&str| {
        let (name, rest) = line.split_once(' ').unwrap();
        let kind = rest.split(' ').next().unwrap();
        other.iter().any(|o| o.starts_with(&format!("{name} !")) || o.starts_with(&format!("{name} {kind} ")))
    };
    let kept = good.iter().filter(|line| !replaced(line));
    let lines: Vec<Vec<&str>> = kept.chain(&other).map(|line| line.split(' ').collect()).collect();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let query = Message::from_vec(&buffer[..length]).unwrap();
            let answer = answer(&query, &lines);
            let _ = socket.send_to(&answer.to_vec().unwrap(), from).await;
        }
    });
    address
}

fn answer(query: &Message, lines: &[Vec<&str>]) -> Message {
    let question = query.queries[0].clone();
    let mut answer = Message::response(query.metadata.id, OpCode::Query);
    let text = question.name.to_ascii();
    let mut name = text.trim_end_matches('.').to_lowercase();
    let absolute =
        |text: &str| if text == "." { DnsName::root() } else { DnsName::from_ascii(format!("{text}.")).unwrap() };
    answer.metadata.response_code = match lines.iter().find(|line| line[0] == name) {
        None => ResponseCode::NXDomain,
        Some(line) => match line[1] {
            "!nxdomain" => ResponseCode::NXDomain,
            "!servfail" => ResponseCode::ServFail,
            // Only who does not check signatures hears something.
            "!bogus" if !query.metadata.checking_disabled => ResponseCode::ServFail,
            _ => ResponseCode::NoError,
        },
    };
    if let Some(line) = lines.iter().find(|line| line[0] == name && line[1] == "CNAME") {
        answer.add_answer(DnsRecord::from_rdata(absolute(&name), 60, RData::CNAME(CNAME(absolute(line[2])))));
        name = line[2].to_owned();
    }
    for line in lines.iter().filter(|line| line[0] == name) {
        let data = match (line[1], question.query_type) {
            ("A", RecordType::A) => RData::A(A(line[2].parse().unwrap())),
            ("AAAA", RecordType::AAAA) => RData::AAAA(AAAA(line[2].parse().unwrap())),
            ("SRV", RecordType::SRV) => RData::SRV(SRV::new(0, 0, line[2].parse().unwrap(), absolute(line[3]))),
            _ => continue,
        };
        answer.add_answer(DnsRecord::from_rdata(absolute(&name), 60, data));
    }
    answer.add_query(question);
    answer
}

/// A report without what differs from run to run: times, and names of keys.
pub fn without_chance(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let line = line
            .split(" (")
            .map(|part| if part.ends_with(" ms)") { String::new() } else { format!(" ({part}") })
            .collect::<String>();
        let words = line
            .trim_start_matches(" (")
            .split(' ')
            .map(|word| if word.starts_with("ed25519:") { "ed25519:KEY" } else { word });
        let mut words: Vec<&str> = words.collect();
        for at in 1..words.len() {
            let counted = matches!(words[at], "s" | "min" | "h") && words[at - 1].parse::<u64>().is_ok();
            (words[at - 1], words[at]) = if counted { ("SOME", "TIME") } else { (words[at - 1], words[at]) };
        }
        out += words.join(" ").trim_end();
        out += "\n";
    }
    out
}

/// The last time that a text tells, e.g. `2026-11-23 15:00 UTC`.
pub fn last_time(text: &str) -> Option<Timestamp> {
    let words: Vec<&str> = text.split(' ').collect();
    let at = words.iter().rposition(|word| word.trim_end_matches(',') == "UTC")?;
    format!("{}T{}:00Z", words[at - 2], words[at - 1]).parse().ok()
}

/// Without days and times, and without the tags of keys, which are new in every run.
pub fn without_dates(text: &str) -> String {
    let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    for at in 0..words.len() {
        let digits = words[at].trim_end_matches([')', ',']);
        if digits.len() == 10 && digits.parse::<jiff::civil::Date>().is_ok() {
            words[at] = "DAY".into();
        } else if digits.len() == 5 && digits.get(2..3) == Some(":") {
            words[at] = "TIME".into();
        } else if at > 0 && words[at - 1] == "tag" {
            words[at] = words[at].replace(digits, "TAG");
        }
    }
    words.join(" ")
}
