//! Answers over UDP and TCP (RFC 7766: both, several questions per connection).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use super::rdata::kind;
use super::wire::{Query, Rcode, Reply};
use super::zone::Zones;

/// A way to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    ServFail,
    NxDomain,
    Refused,
    Hang,
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "servfail" => Ok(Self::ServFail),
            "nxdomain" => Ok(Self::NxDomain),
            "refused" => Ok(Self::Refused),
            "hang" => Ok(Self::Hang),
            other => Err(format!("{other:?} is none of servfail, nxdomain, refused, hang")),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, out)
    }
}

/// Where answers come from.
pub enum Source {
    /// Every question fails alike.
    Fault(Fault),
    /// A zone file.
    File(ZoneFile),
}

/// A zone file that is read again when it changes.
pub struct ZoneFile {
    path: PathBuf,
    own: Vec<IpAddr>,
    loaded: Mutex<Loaded>,
}

/// When the file was last changed and how long it was, to see that it is another one now.
type Stamp = Option<(SystemTime, u64)>;

#[derive(Default)]
struct Loaded {
    stamp: Stamp,
    zones: Arc<Zones>,
}

impl ZoneFile {
    /// Reads the file; `own` are the addresses this server can be reached at.
    ///
    /// # Errors
    /// If it cannot be read or holds a line that cannot be used.
    pub fn open(path: PathBuf, own: Vec<IpAddr>) -> Result<Self, String> {
        let file = Self { path, own, loaded: Mutex::default() };
        file.reload()?;
        Ok(file)
    }

    /// Reads the file again.
    ///
    /// # Errors
    /// As [`ZoneFile::open`]; what was loaded before stays in use.
    pub fn reload(&self) -> Result<(), String> {
        let place = |why: String| format!("{}: {why}", self.path.display());
        let stamp = self.stamp();
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.stamp = stamp; // also when it fails: one complaint per change
        let text = std::fs::read_to_string(&self.path).map_err(|why| place(why.to_string()))?;
        loaded.zones = Arc::new(Zones::parse(&text, &self.own).map_err(place)?);
        Ok(())
    }

    fn current(&self) -> Arc<Zones> {
        let known = self.loaded.lock().unwrap_or_else(PoisonError::into_inner).stamp;
        if self.stamp() != known {
            match self.reload() {
                Ok(()) => eprintln!("{}: read again", self.path.display()),
                Err(why) => eprintln!("{why}; still serving what was there before"),
            }
        }
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).zones.clone()
    }

    fn stamp(&self) -> Stamp {
        let data = std::fs::metadata(&self.path).ok()?;
        Some((data.modified().ok()?, data.len()))
    }
}

/// The server.
pub struct Server {
    pub source: Source,
    /// Set RA, and answer for names outside all zones as a resolver would.
    pub recursive_looking: bool,
}

impl Server {
    /// Answers on one address until the process ends.
    ///
    /// # Errors
    /// If the address cannot be listened on.
    pub async fn listen(self: Arc<Self>, address: SocketAddr) -> std::io::Result<()> {
        let tcp = TcpListener::bind(address).await?;
        // port 0: UDP takes what TCP was given
        let udp = Arc::new(UdpSocket::bind(tcp.local_addr()?).await?);
        println!("listening on {}", tcp.local_addr()?);
        let streams = tokio::spawn(self.clone().serve_tcp(tcp));
        let mut buffer = vec![0; 65_535];
        loop {
            let Ok((length, peer)) = udp.recv_from(&mut buffer).await else { continue };
            if let Some(answer) = self.answer(&buffer[..length], false) {
                let _ = udp.send_to(&answer, peer).await;
            }
            if streams.is_finished() {
                return Err(std::io::Error::other("the TCP side ended"));
            }
        }
    }

    async fn serve_tcp(self: Arc<Self>, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => drop(tokio::spawn(self.clone().converse(stream))),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    async fn converse(self: Arc<Self>, mut stream: TcpStream) {
        loop {
            let message = tokio::time::timeout(Duration::from_secs(10), async {
                let mut message = vec![0; usize::from(stream.read_u16().await?)];
                stream.read_exact(&mut message).await.map(|_| message)
            });
            let Ok(Ok(message)) = message.await else { return };
            let Some(answer) = self.answer(&message, true) else {
                tokio::time::sleep(Duration::from_secs(600)).await;
                return;
            };
            let length = u16::try_from(answer.len()).unwrap_or(u16::MAX).to_be_bytes();
            if stream.write_all(&[&length[..], &answer].concat()).await.is_err() {
                return;
            }
        }
    }

    /// The answer to one message; `None` is silence.
    #[must_use]
    pub fn answer(&self, message: &[u8], tcp: bool) -> Option<Vec<u8>> {
        let query = match Query::parse(message) {
            Ok(query) => query,
            Err(answer) => return answer,
        };
        let reply = self.reply(&query)?;
        let limit = if tcp { usize::from(u16::MAX) } else { query.udp_limit() };
        Some(query.answer(&reply, self.recursive_looking, limit))
    }

    fn reply(&self, query: &Query) -> Option<Reply> {
        if query.flags & 0x7800 != 0 {
            return Some(Reply::empty(Rcode::NotImp));
        }
        if query.edns.is_some_and(|(_, version)| version > 0) {
            return Some(Reply::empty(Rcode::BadVers));
        }
        let fail = |fault| match fault {
            Fault::ServFail => Some(Reply::empty(Rcode::ServFail)),
            Fault::NxDomain => Some(Reply::empty(Rcode::NxDomain)),
            Fault::Refused => Some(Reply::empty(Rcode::Refused)),
            Fault::Hang => None,
        };
        let file = match &self.source {
            Source::Fault(fault) => return fail(*fault),
            Source::File(file) => file,
        };
        if query.class != 1 || matches!(query.kind, kind::AXFR | kind::IXFR) {
            return Some(Reply::empty(Rcode::Refused));
        }
        let zones = file.current();
        let told = [query.kind, kind::ANY].map(|kind| zones.faults.get(&(query.name.clone(), kind)));
        match told.into_iter().flatten().next() {
            Some(fault) => fail(*fault),
            None => Some(zones.lookup(&query.name, query.kind, self.recursive_looking)),
        }
    }
}
