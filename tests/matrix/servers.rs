//! Real servers on loopback: a name server, and TLS servers that say exactly what a test wants, byte for byte.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use rcfed::dns::Lookup;
use rcfed::matrix::Eyes;
use rcfed::matrix::signing_key::SigningKey;
use rcfed::matrix::x_matrix::{Signable, authorization};
use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio_rustls::TlsAcceptor;

/// A certificate authority, and what it signs.
pub struct Authority {
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A chain with the leaf's key.
pub struct Identity {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: KeyPair,
}

impl Authority {
    pub fn new() -> Self {
        Self::named("Root of the test")
    }

    pub fn named(name: &str) -> Self {
        Self::made(name, None)
    }

    /// One whose certificates look like those of a public authority.
    #[allow(dead_code)] // other tests share this file
    pub fn organised(organisation: &str, name: &str) -> Self {
        Self::made(name, Some(organisation))
    }

    fn made(name: &str, organisation: Option<&str>) -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        if let Some(organisation) = organisation {
            parameters.distinguished_name.push(rcgen::DnType::OrganizationName, organisation);
        }
        parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = parameters.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(parameters, key) }
    }

    /// A leaf for `names`, changed by `change` before it is signed.
    pub fn leaf(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let (parameters, key) = leaf(names, change);
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        Identity { chain: vec![certificate.der().clone()], key }
    }

    /// A leaf below an intermediate; both are in the chain.
    pub fn deep_leaf(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
        parameters.distinguished_name.push(rcgen::DnType::CommonName, "Intermediate of the test");
        let between = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&between, &self.issuer).unwrap();
        let issuer = Issuer::new(parameters, between);
        let (parameters, key) = leaf(names, change);
        let leaf = parameters.signed_by(&key, &issuer).unwrap();
        Identity { chain: vec![leaf.der().clone(), certificate.der().clone()], key }
    }
}

fn leaf(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> (CertificateParams, KeyPair) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut parameters = CertificateParams::new(names).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(rcgen::DnType::CommonName, "leaf");
    parameters.use_authority_key_identifier_extension = true;
    change(&mut parameters);
    (parameters, KeyPair::generate().unwrap())
}

impl Identity {
    pub fn acceptor(&self) -> TlsAcceptor {
        self.acceptor_of(&[])
    }

    /// The same for a server that knows these protocols (ALPN).
    pub fn acceptor_of(&self, protocols: &[Vec<u8>]) -> TlsAcceptor {
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = config.with_no_client_auth().with_single_cert(self.chain.clone(), key).unwrap();
        config.alpn_protocols = protocols.to_vec();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// Anything a server can talk over.
pub trait Talk: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Talk for T {}

/// Serves each connection with `handler` until the test's runtime ends.
pub async fn raw<H, F>(address: &str, tls: Option<TlsAcceptor>, handler: H) -> SocketAddr
where
    H: Fn(Box<dyn Talk>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (tls, handler) = (tls.clone(), handler.clone());
            tokio::spawn(async move {
                match tls {
                    None => handler(Box::new(stream)).await,
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            handler(Box::new(stream)).await;
                        }
                    }
                }
            });
        }
    });
    address
}

/// The head of a request, with its end; empty at the end of the connection.
pub async fn head(stream: &mut Box<dyn Talk>) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => bytes.push(byte),
            Err(_) => return String::new(),
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// Answers request after request with what `answer` makes of the head; nothing closes the connection.
pub async fn web<H>(address: &str, tls: Option<TlsAcceptor>, answer: H) -> SocketAddr
where
    H: Fn(&str) -> Option<String> + Clone + Send + Sync + 'static,
{
    raw(address, tls, move |stream| answers(stream, answer.clone())).await
}

/// Answers one request after another of a connection.
pub async fn answers(mut stream: Box<dyn Talk>, answer: impl Fn(&str) -> Option<String>) {
    loop {
        let request = head(&mut stream).await;
        let Some(text) = Some(request).filter(|text| !text.is_empty()).and_then(|text| answer(&text)) else { return };
        if stream.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// An answer with a length.
pub fn reply(status: u16, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len())
}

/// A name server with `records`: `NAME A|AAAA|SRV VALUE`. Everything else does not exist.
pub async fn name_server(records: &[&str]) -> SocketAddr {
    name_server_heard(records, Arc::default()).await
}

/// As [`name_server`], with every question that it hears.
pub async fn name_server_heard(records: &[&str], heard: Arc<Mutex<Vec<String>>>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let mut zone: BTreeMap<(Name, RecordType), Vec<RData>> = BTreeMap::new();
    for line in records {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (kind, data) = match words[1] {
            "A" => (RecordType::A, RData::A(A(words[2].parse().unwrap()))),
            "AAAA" => (RecordType::AAAA, RData::AAAA(AAAA(words[2].parse().unwrap()))),
            _ => {
                let target = Name::from_ascii(format!("{}.", words[3])).unwrap();
                (RecordType::SRV, RData::SRV(SRV::new(0, 0, words[2].parse().unwrap(), target)))
            }
        };
        let name = Name::from_ascii(format!("{}.", words[0])).unwrap();
        zone.entry((name, kind)).or_default().push(data);
    }
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let query = Message::from_vec(&buffer[..length]).unwrap();
            let question = query.queries[0].clone();
            heard.lock().unwrap().push(format!("{} {}", question.name, question.query_type));
            let mut answer = Message::response(query.metadata.id, OpCode::Query);
            let found = zone.get(&(question.name.clone(), question.query_type));
            let exists = zone.keys().any(|(name, _)| *name == question.name);
            answer.metadata.response_code = if exists { ResponseCode::NoError } else { ResponseCode::NXDomain };
            for data in found.into_iter().flatten() {
                answer.add_answer(Record::from_rdata(question.name.clone(), 60, data.clone()));
            }
            answer.add_query(question);
            let _ = socket.send_to(&answer.to_vec().unwrap(), from).await;
        }
    });
    address
}

/// Eyes that ask this name server, trust this authority, and find real ports at other ones.
pub fn eyes(resolver: SocketAddr, authority: &Authority, ports: &[(u16, u16)]) -> Eyes {
    let lookup = Lookup {
        resolvers: vec![resolver],
        port: 53,
        each: Duration::from_millis(500),
        overall: Duration::from_secs(2),
        memory: Default::default(),
    };
    let mut eyes = Eyes::new(lookup, Some(authority.pem.as_bytes())).unwrap();
    eyes.private_allowed = true;
    eyes.ports = Arc::new(ports.iter().copied().collect());
    eyes
}

/// The loopback address with this last number.
pub fn loopback(last: u8) -> IpAddr {
    IpAddr::from([127, 0, 0, last])
}

/// A homeserver without TLS that matches paths as they were sent, as Synapse and Dendrite do, and knows one signature: that of
/// `key` for a request to itself.
pub fn homeserver(
    name: &'static str,
    key: SigningKey,
) -> impl Fn(&str) -> Option<String> + Clone + Send + Sync + 'static {
    let json = "Content-Type: application/json\r\nDate: Mon, 23 Nov 2026 10:00:00 GMT\r\n";
    let keys = keys(name, &key);
    move |head| {
        let (line, headers) = head.split_once("\r\n")?;
        let mut words = line.split(' ');
        let (method, path) = (words.next()?, words.next()?);
        let header = |wanted: &str| {
            let named = headers.lines().filter_map(|line| line.split_once(": "));
            named.filter(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.to_owned()).next()
        };
        if header("expect").is_some() {
            return Some("HTTP/1.1 100 Continue\r\n\r\n".into());
        }
        if path == "/_matrix/federation/v1/version" {
            return Some(reply(200, json, r#"{"server":{"name":"Standin","version":"1.2"}}"#));
        }
        if path == "/_matrix/key/v2/server" {
            return Some(reply(200, json, &keys));
        }
        if path == "/_matrix/client/versions" {
            return Some(reply(200, "Access-Control-Allow-Origin: *\r\n", r#"{"versions":["v1.11"]}"#));
        }
        let event = path.strip_prefix("/_matrix/federation/v1/event/").filter(|event| !event.contains('/'));
        let Some(_) = event.filter(|_| method == "GET") else {
            return Some(reply(404, json, r#"{"errcode":"M_UNRECOGNIZED","error":"Unrecognized request"}"#));
        };
        let request = Signable { method, uri: path, origin: name, destination: name, content: None };
        Some(match header("authorization") {
            None => reply(401, json, r#"{"errcode":"M_UNAUTHORIZED","error":"Missing Authorization headers"}"#),
            Some(said) if said == authorization(&key, &request).unwrap() => reply(404, json, "\"\""),
            Some(_) => reply(401, json, r#"{"errcode":"M_UNAUTHORIZED","error":"Invalid signature for server"}"#),
        })
    }
}

/// The key document of `name`, good for ten years.
pub fn keys(name: &str, key: &SigningKey) -> String {
    let mut document = serde_json::json!({
        "server_name": name,
        "valid_until_ts": 2_100_000_000_000_i64,
        "verify_keys": {key.key_id(): {"key": key.public_key().unwrap()}},
        "old_verify_keys": {},
    });
    let signature = rcfed::matrix::x_matrix::sign(key, document.as_object().unwrap()).unwrap();
    document["signatures"] = serde_json::json!({name: {key.key_id(): signature}});
    document.to_string()
}
