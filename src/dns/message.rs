//! One question to one name server, and exactly what came back.
//!
//! A resolver library answers "what is the address"; a preflight has to know *why* there is none. So every question is
//! a single packet of our own: the response code, the flags and the silence are all evidence.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_resolver::proto::op::{Edns, Message, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// Why a name server gave no usable answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The server says that the name does not exist, for any type of record.
    NxDomain,
    /// The server failed; `bogus` if it answers as soon as DNSSEC is not checked.
    ServFail {
        /// The zone's signatures are what is broken.
        bogus: bool,
    },
    /// The server does not want to answer this question.
    Refused,
    /// No answer in time.
    Timeout,
    /// The server answered that others are responsible: it does not know the zone it is listed for.
    Lame,
    /// The network said no.
    Unreachable(String),
    /// Another response code.
    Code(String),
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NxDomain => f.write_str("no such name (NXDOMAIN)"),
            Self::ServFail { bogus: false } => f.write_str("server failure (SERVFAIL)"),
            Self::ServFail { bogus: true } => f.write_str("server failure (SERVFAIL: the DNSSEC signatures are wrong)"),
            Self::Refused => f.write_str("refused (REFUSED)"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::Lame => f.write_str("does not know the zone (lame delegation)"),
            Self::Unreachable(why) => write!(f, "cannot be reached ({why})"),
            Self::Code(code) => write!(f, "answers {code}"),
        }
    }
}

/// What is asked, and how.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub name: Name,
    pub kind: RecordType,
    /// Whether the server shall ask others (a resolver) or only say what it knows itself.
    pub recursive: bool,
    /// Whether the server shall answer even if signatures are wrong.
    pub unchecked: bool,
    /// Whether signatures are wanted beside the records (RFC 4035, section 3.2.1).
    pub signed: bool,
}

/// Asks `server` once (the packet is sent again at half-time, for the one that got lost), over TCP if the answer was cut.
pub(super) async fn ask(server: SocketAddr, question: &Question, limit: Duration) -> Result<Message, Fault> {
    let message = exchange(server, question, limit).await?;
    judged(&message).map(|()| message)
}

/// Whether a message is an answer with records, if only none of the type that was asked for.
pub(super) fn judged(message: &Message) -> Result<(), Fault> {
    match message.metadata.response_code {
        ResponseCode::NoError => Ok(()),
        ResponseCode::NXDomain => Err(Fault::NxDomain),
        ResponseCode::ServFail => Err(Fault::ServFail { bogus: false }),
        ResponseCode::Refused => Err(Fault::Refused),
        other => Err(Fault::Code(other.to_string())),
    }
}

/// As [`ask`], but every answer is one, whatever its code says.
pub(super) async fn exchange(server: SocketAddr, question: &Question, limit: Duration) -> Result<Message, Fault> {
    let answer = timeout(limit, async {
        let query = question.message();
        let answer = over_udp(server, &query, limit / 2).await?;
        if answer.metadata.truncation { over_tcp(server, &query).await } else { Ok(answer) }
    });
    answer.await.map_err(|_| Fault::Timeout)?
}

impl Question {
    fn message(&self) -> Message {
        let mut message = Message::query();
        message.metadata.recursion_desired = self.recursive;
        message.metadata.checking_disabled = self.unchecked;
        message.add_query(Query::query(self.name.clone(), self.kind));
        if self.signed {
            let mut edns = Edns::new();
            edns.set_max_payload(1232).set_dnssec_ok(true);
            message.set_edns(edns);
        }
        message
    }
}

async fn over_udp(server: SocketAddr, query: &Message, again: Duration) -> Result<Message, Fault> {
    let any = if server.is_ipv4() { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await.map_err(unreachable)?;
    socket.connect(server).await.map_err(unreachable)?;
    let packet = encode(query)?;
    socket.send(&packet).await.map_err(unreachable)?;
    match timeout(again, matching(&socket, query)).await {
        Ok(answer) => answer,
        Err(_) => {
            socket.send(&packet).await.map_err(unreachable)?;
            matching(&socket, query).await
        }
    }
}

/// The first packet that answers `query`; anything else on the socket is somebody's guess.
async fn matching(socket: &UdpSocket, query: &Message) -> Result<Message, Fault> {
    let mut buffer = [0; 4096];
    loop {
        let length = socket.recv(&mut buffer).await.map_err(unreachable)?;
        if let Some(answer) = buffer.get(..length).and_then(|packet| Message::from_vec(packet).ok())
            && answers(&answer, query)
        {
            return Ok(answer);
        }
    }
}

async fn over_tcp(server: SocketAddr, query: &Message) -> Result<Message, Fault> {
    let packet = encode(query)?;
    let length = u16::try_from(packet.len()).map_err(|_| Fault::Unreachable(TOO_LONG.into()))?;
    let mut stream = TcpStream::connect(server).await.map_err(unreachable)?;
    stream.write_all(&[&length.to_be_bytes()[..], &packet].concat()).await.map_err(unreachable)?;
    let length = stream.read_u16().await.map_err(unreachable)?;
    let mut packet = vec![0; usize::from(length)];
    stream.read_exact(&mut packet).await.map_err(unreachable)?;
    let answer = Message::from_vec(&packet).map_err(|_| Fault::Code(UNREADABLE.into()))?;
    if answers(&answer, query) { Ok(answer) } else { Err(Fault::Code(NOT_ASKED.into())) }
}

const TOO_LONG: &str = "the question is too long to send";
const UNREADABLE: &str = "an unreadable packet";
const NOT_ASKED: &str = "something that was not asked";

fn answers(answer: &Message, query: &Message) -> bool {
    answer.metadata.id == query.metadata.id && answer.queries == query.queries
}

fn encode(query: &Message) -> Result<Vec<u8>, Fault> {
    query.to_vec().map_err(|error| Fault::Code(error.to_string()))
}

fn unreachable(error: std::io::Error) -> Fault {
    Fault::Unreachable(error.kind().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        let faults = [
            Fault::NxDomain,
            Fault::ServFail { bogus: false },
            Fault::ServFail { bogus: true },
            Fault::Refused,
            Fault::Timeout,
            Fault::Lame,
            Fault::Unreachable("connection refused".into()),
            Fault::Code("NOTIMP".into()),
            Fault::Unreachable(TOO_LONG.into()),
            Fault::Code(UNREADABLE.into()),
            Fault::Code(NOT_ASKED.into()),
        ];
        insta::assert_snapshot!(faults.map(|fault| format!("ns1.example.net {fault}")).join("\n"));
    }
}
