//! The client's side: one connection, logged in if need be. mongosh and the Rocket.Chat stand-in use it.

use std::io::{self, BufReader};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use bson::{Document, doc};

use super::scram::{self, Login};
use super::wire;

/// Why a command was not done.
#[derive(Debug)]
pub enum Error {
    /// No connection, or one that broke; the text as Node's driver words it.
    Network(String),
    /// The server's refusal.
    Server { code: i32, name: String, text: String },
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Network(text) => write!(f, "MongoNetworkError: {text}"),
            Self::Server { text, .. } => write!(f, "MongoServerError: {text}"),
        }
    }
}

/// A connection.
pub struct Client {
    reader: BufReader<TcpStream>,
    id: i32,
}

impl Client {
    /// Connects to `host:port`.
    pub fn connect(host: &str, port: u16) -> Result<Self, Error> {
        let told = |error: io::Error, at: &str| {
            let code = match error.kind() {
                io::ErrorKind::ConnectionRefused => "connect ECONNREFUSED",
                io::ErrorKind::TimedOut => "connect ETIMEDOUT",
                _ => "connect EHOSTUNREACH",
            };
            Error::Network(format!("{code} {at}"))
        };
        let addresses = (host, port).to_socket_addrs();
        let addresses = addresses.map_err(|_| Error::Network(format!("getaddrinfo ENOTFOUND {host}")))?;
        let mut last = Error::Network(format!("getaddrinfo ENOTFOUND {host}"));
        for address in addresses {
            match TcpStream::connect_timeout(&address, LIMIT) {
                Ok(stream) => {
                    let set = stream.set_nodelay(true).and_then(|()| stream.set_read_timeout(Some(LIMIT)));
                    set.map_err(|error| told(error, host))?;
                    return Ok(Self { reader: BufReader::new(stream), id: 0 });
                }
                Err(error) => last = told(error, &address.to_string()),
            }
        }
        Err(last)
    }

    /// Logs in by SCRAM-SHA-256 as a user of `source`.
    pub fn login(&mut self, source: &str, user: &str, password: &str) -> Result<(), Error> {
        let odd = || Error::Network("the server's SASL answer is not SCRAM".into());
        let (login, first) = Login::new(user, password).ok_or_else(odd)?;
        let start = doc! { "saslStart": 1, "mechanism": "SCRAM-SHA-256", "payload": scram::binary(first) };
        let reply = self.run(source, start)?;
        let (answer, signature) = scram::payload(&reply).and_then(|payload| login.answer(&payload)).ok_or_else(odd)?;
        let next = doc! { "saslContinue": 1, "conversationId": 1, "payload": scram::binary(answer) };
        let reply = self.run(source, next)?;
        if scram::payload(&reply) == Some(signature) { Ok(()) } else { Err(odd()) }
    }

    /// Runs a command on `db`; `ok: 0` is an error, as drivers have it.
    pub fn run(&mut self, db: &str, mut command: Document) -> Result<Document, Error> {
        command.insert("$db", db);
        let broken = |error: io::Error| Error::Network(format!("connection closed: {error}"));
        self.id = self.id.wrapping_add(1);
        wire::write(self.reader.get_mut(), self.id, 0, &command).map_err(broken)?;
        let (_, reply) = wire::read(&mut self.reader).map_err(broken)?;
        if reply.get_f64("ok").ok() == Some(1.0) {
            return Ok(reply);
        }
        Err(Error::Server {
            code: reply.get_i32("code").unwrap_or_default(),
            name: reply.get_str("codeName").unwrap_or_default().into(),
            text: reply.get_str("errmsg").unwrap_or_default().into(),
        })
    }
}

const LIMIT: Duration = Duration::from_secs(10);
