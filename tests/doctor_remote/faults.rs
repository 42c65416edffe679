//! Faults as data: what is broken about a server, and which check has to name it first.
//!
//! The page `docs/remote-faults.md` is made from this table, and the test runs it.

/// A row of the table.
pub struct Fault {
    /// What is wrong, for a person.
    pub name: &'static str,
    /// The check that has to be told first.
    pub first: &'static str,
    /// What is done to a server that is well.
    pub break_it: &'static [Break],
}

/// One thing that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// The name that is looked at.
    Name(&'static str),
    /// A record of the zone instead of those of the same name and type, or `!nxdomain`, `!servfail`, `!bogus`.
    Record(&'static str),
    /// The server document: status, headers, body.
    Server(u16, &'static str, &'static str),
    /// The server document takes for ever.
    Slow,
    /// The server document is this many bytes long.
    Long(usize),
    /// The server document comes with a header of this many bytes.
    Header(usize),
    /// The client document: headers and body.
    Client(&'static str, &'static str),
    /// The document for people: headers and body.
    Support(&'static str, &'static str),
    /// Another address of the site, 127.0.0.2, has this server document.
    Second(&'static str),
    /// Another address of the homeserver, 127.0.0.2, is another homeserver of the same name.
    Twin,
    /// Private addresses are not connected to, as by a person somewhere else.
    Outside,
    /// The certificate of the site, or of the homeserver.
    Site(Certificate),
    Matrix(Certificate),
    /// The homeserver's answer to the question for its keys: status, headers, body.
    Keys(u16, &'static str, &'static str),
    /// The answer to the question for keys is this many bytes of nothing.
    KeysLong(usize),
    /// The keys name this server, were valid until then (seconds from now), or are broken otherwise.
    KeysName(&'static str),
    KeysValid(i64),
    KeysChanged,
    KeysShort,
    /// A path with an escaped slash arrives as another one.
    Normalises,
    /// Two slashes arrive as one.
    Merges,
    /// Bodies of more than 1 MB are refused.
    SmallBodies,
    /// Whoever has this in the `User-Agent` is refused.
    Filters(&'static str),
    /// HTTP/2 is offered as well, and how it is.
    Http2(Over),
    /// Only `Host` with its port is known.
    OneHost,
    /// The version is not told.
    NoVersion,
    /// Seconds by which the clock is wrong.
    Clock(i64),
    /// There is a Rocket.Chat, and how it is.
    Chat(Spot, Chat),
    /// The certificate of the one at `chat` below the name.
    ChatIdentity(Certificate),
    /// Nothing listens where the homeserver was, or plain HTTP is spoken, or nothing is ever said.
    Closed,
    /// Nothing listens where the site was.
    NoSite,
    /// Nothing listens on port 8448 alone.
    NoPort,
    Plain,
    Silent,
}

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificate {
    Good,
    Expired,
    Early,
    OtherName,
    LeafOnly,
    SelfSigned,
    Stranger,
    Ending,
}

/// How HTTP/2 is beside HTTP/1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The same answers.
    Same,
    /// Another homeserver of the same name.
    Other,
    /// This status, whatever is asked.
    Status(u16),
    /// A body that never ends, or a head of this many bytes.
    Endless,
    Header(usize),
    /// It was agreed on, and HTTP/1.1 is spoken, or nothing is ever said.
    NotSpoken,
    Silent,
}

/// Where a Rocket.Chat is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spot {
    /// At the name itself.
    Name,
    /// At `chat` below the name, 127.0.0.3.
    Below,
    /// Where the name redirects to, also 127.0.0.3.
    Redirected,
}

/// How a Rocket.Chat is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chat {
    Good,
    /// The proxy before it takes the headers away that ask for a socket.
    NoUpgrade,
    /// The socket opens, and something else than Meteor is behind it, or nobody.
    Stranger,
    Silent,
}

use Break::*;

const fn fault(name: &'static str, first: &'static str, break_it: &'static [Break]) -> Fault {
    Fault { name, first, break_it }
}

/// Every fault that is tried.
pub const FAULTS: &[Fault] = &[
    fault("Nothing is broken", "nothing", &[]),
    fault("A URL instead of a name", "name.grammar", &[Name("https://example.org/")]),
    fault("An address that is none", "name.grammar", &[Name("999.1.1.1")]),
    fault("The name does not exist", "dns.lookup", &[Record("example.org !nxdomain")]),
    fault("The zone's servers fail", "dns.lookup", &[Record("example.org !servfail")]),
    fault("The zone's signatures are wrong", "dns.dnssec", &[Record("example.org !bogus")]),
    fault("The name has a capital letter", "name.unwise", &[Name("Example.org"), KeysName("Example.org")]),
    fault("The name is a private address", "dns.private", &[Name("10.0.0.1:8448"), Outside]),
    fault("The name has a private address", "dns.private", &[Outside]),
    fault("The document is behind an expired certificate", "wellknown.tls", &[Site(Certificate::Expired), Closed]),
    fault(
        "The document is behind a certificate for another name",
        "wellknown.tls",
        &[Site(Certificate::OtherName), Closed],
    ),
    fault(
        "The document is behind a self-signed certificate",
        "wellknown.tls",
        &[Site(Certificate::SelfSigned), Closed],
    ),
    fault(
        "The document is not there, and nothing listens on 8448",
        "wellknown.missing",
        &[Server(404, "", "no"), Closed],
    ),
    fault(
        "The document is a web page, and nothing listens on 8448",
        "wellknown.document",
        &[Server(200, "", "<!doctype html><title>Welcome"), Closed],
    ),
    fault(
        "The document has a comma too many",
        "wellknown.document",
        &[Server(200, "", r#"{"m.server": "matrix.example.org:443",}"#), Closed],
    ),
    fault(
        "The document begins with a byte order mark",
        "wellknown.document",
        &[Server(200, "", "\u{feff}{\"m.server\": \"matrix.example.org:443\"}"), Closed],
    ),
    fault(
        "The document has no m.server",
        "wellknown.document",
        &[Server(200, "", r#"{"server": "matrix.example.org:443"}"#), Closed],
    ),
    fault("The document is too large", "wellknown.document", &[Long(60_000), Closed]),
    fault("The document comes with a header of two megabytes", "wellknown.answer", &[Header(2_000_000), Closed]),
    fault(
        "The document is compressed, which nobody asked for",
        "wellknown.document",
        &[Server(200, "Content-Encoding: gzip\r\n", "\u{1f}\u{8}\u{0}\u{0}"), Closed],
    ),
    fault(
        "Two addresses have different documents",
        "wellknown.split",
        &[
            Record("example.org A 127.0.0.1"),
            Record("example.org A 127.0.0.2"),
            Second(r#"{"m.server": "matrix.example.org:8448"}"#),
        ],
    ),
    fault(
        "The document is to be kept for a year",
        "wellknown.cache",
        &[Server(200, "Cache-Control: max-age=31536000\r\n", r#"{"m.server": "matrix.example.org:8443"}"#)],
    ),
    fault(
        "The document is not to be kept at all",
        "wellknown.cache",
        &[Server(200, "Cache-Control: no-store\r\n", r#"{"m.server": "matrix.example.org:8443"}"#)],
    ),
    fault(
        "The document is called text",
        "wellknown.type",
        &[Server(200, "Content-Type: text/plain\r\n", r#"{"m.server": "matrix.example.org:8443"}"#)],
    ),
    fault(
        "m.server has a scheme",
        "wellknown.name",
        &[Server(200, "", r#"{"m.server": "https://matrix.example.org"}"#), Closed],
    ),
    fault(
        "m.server ends with a slash",
        "wellknown.name",
        &[Server(200, "", r#"{"m.server": "matrix.example.org:443/"}"#), Closed],
    ),
    fault(
        "m.server has no port, and nothing listens on 8448",
        "wellknown.port",
        &[Server(200, "", r#"{"m.server": "matrix.example.org"}"#), NoPort],
    ),
    fault(
        "m.server is a host that does not exist",
        "wellknown.target",
        &[Server(200, "", r#"{"m.server": "matrx.example.org:443"}"#)],
    ),
    fault(
        "The document is redirected in a circle",
        "wellknown.redirect",
        &[Server(301, "Location: /.well-known/matrix/server\r\n", ""), Closed],
    ),
    fault(
        "The document is redirected to a host that does not exist",
        "wellknown.redirect",
        &[Server(302, "Location: https://www.example.org/\r\n", ""), Closed],
    ),
    fault("The site fails where the document should be", "wellknown.answer", &[Server(502, "", "Bad Gateway"), Closed]),
    fault("The document takes too long", "wellknown.answer", &[Slow]),
    fault(
        "SRV records cannot be looked up",
        "srv.lookup",
        &[Server(404, "", ""), Record("_matrix-fed._tcp.example.org !servfail")],
    ),
    fault(
        "An SRV record says that there is no service",
        "srv.unavailable",
        &[Server(404, "", ""), Record("_matrix-fed._tcp.example.org SRV 8448 ."), Closed],
    ),
    fault(
        "An SRV record points to a host that does not exist",
        "srv.target",
        &[Server(404, "", ""), Record("_matrix-fed._tcp.example.org SRV 8448 gone.example.org")],
    ),
    fault(
        "Only the old SRV record exists",
        "srv.deprecated",
        &[Server(404, "", ""), Record("_matrix._tcp.example.org SRV 8448 matrix.example.org")],
    ),
    fault(
        "An SRV record points to an alias",
        "srv.alias",
        &[Server(404, "", ""), Record("_matrix-fed._tcp.example.org SRV 8448 alias.example.org")],
    ),
    fault(
        "SRV records are left over beside a document",
        "srv.unused",
        &[Record("_matrix-fed._tcp.example.org SRV 8448 matrix.example.org")],
    ),
    fault(
        "Cloudflare's proxy is switched on, and port 8448 is behind it",
        "cloudflare.port",
        &[
            Server(200, "", r#"{"m.server": "matrix.example.org:8448"}"#),
            Record("matrix.example.org A 104.16.1.1"),
            NoPort,
        ],
    ),
    fault(
        "Cloudflare's proxy is switched on, and the port is one that it forwards",
        "cloudflare.proxied",
        &[Record("matrix.example.org A 104.16.1.1")],
    ),
    fault("An address does not answer", "reach.address", &[Record("matrix.example.org AAAA ::1")]),
    fault("Neither port 443 nor port 8448 answers", "reach.server", &[NoSite, Closed]),
    fault("Nothing listens where the document points", "reach.server", &[Closed]),
    fault("The homeserver's port speaks plain HTTP", "tls.handshake", &[Plain]),
    fault("The homeserver's port accepts and says nothing", "tls.handshake", &[Silent]),
    fault("The certificate has expired", "tls.expired", &[Matrix(Certificate::Expired)]),
    fault("The certificate begins tomorrow", "tls.early", &[Matrix(Certificate::Early)]),
    fault("The certificate is for another name", "tls.name", &[Matrix(Certificate::OtherName)]),
    fault("The certificate comes without its intermediate", "tls.chain", &[Matrix(Certificate::LeafOnly)]),
    fault("The certificate is self-signed", "tls.untrusted", &[Matrix(Certificate::SelfSigned)]),
    fault("The certificate is from an unknown authority", "tls.untrusted", &[Matrix(Certificate::Stranger)]),
    fault("The certificate ends in three days", "tls.ending", &[Matrix(Certificate::Ending)]),
    fault(
        "The homeserver behind the proxy does not run",
        "keys.answer",
        &[Keys(502, "Server: nginx/1.28\r\n", "<html>Bad Gateway")],
    ),
    fault("A web page answers instead of the homeserver", "keys.answer", &[Keys(200, "", "<html>Welcome to nginx!")]),
    fault("The proxy does not pass /_matrix on", "keys.answer", &[Keys(404, "", "<html>Not Found")]),
    fault(
        "Cloudflare takes servers for bots",
        "keys.answer",
        &[Keys(403, "Server: cloudflare\r\nCF-RAY: 1\r\n", "<html>Just a moment")],
    ),
    fault("Instead of keys come two megabytes of nothing", "keys.answer", &[KeysLong(2_000_000)]),
    fault("The keys are those of another server", "keys.name", &[KeysName("example.net")]),
    fault("The name is where the homeserver lives, not its name", "keys.name", &[Name("matrix.example.org:8443")]),
    fault("The keys have ended", "keys.validity", &[KeysValid(-86_400)]),
    fault("The keys end within the hour", "keys.validity", &[KeysValid(600)]),
    fault("The keys were changed on the way", "keys.signature", &[KeysChanged]),
    fault("A key is too short", "keys.format", &[KeysShort]),
    fault(
        "Two addresses are two homeservers",
        "keys.split",
        &[Record("matrix.example.org A 127.0.0.1"), Record("matrix.example.org A 127.0.0.2"), Twin],
    ),
    fault("The clock is two hours wrong", "server.clock", &[Clock(7200)]),
    fault("The clock is half a minute wrong", "server.clock", &[Clock(-30)]),
    fault("The version is not told", "server.version", &[NoVersion]),
    fault("Only the name with its port is known", "server.host", &[OneHost]),
    fault("The proxy undoes escapes", "proxy.paths", &[Normalises]),
    fault("The proxy merges slashes", "proxy.slashes", &[Merges]),
    fault("The proxy refuses large bodies", "proxy.body", &[SmallBodies]),
    fault("The proxy refuses Synapse by its name", "proxy.agent", &[Filters("Synapse/")]),
    fault("The proxy refuses this doctor by its name, and nobody else", "keys.answer", &[Filters("rcfed/")]),
    fault("HTTP/2 is offered and as good as HTTP/1.1", "nothing", &[Http2(Over::Same)]),
    fault("This doctor alone is refused, over HTTP/2, too", "keys.answer", &[Filters("rcfed/"), Http2(Over::Same)]),
    fault("HTTP/2 fails for the moment", "proxy.alpn", &[Http2(Over::Status(503))]),
    fault("HTTP/2 leads to a web site", "proxy.alpn", &[Http2(Over::Status(200))]),
    fault("HTTP/2 leads to another homeserver", "proxy.alpn", &[Http2(Over::Other)]),
    fault("HTTP/2 is taken for a connection to another name", "proxy.alpn", &[Http2(Over::Status(421))]),
    fault("HTTP/2 leads to nothing", "proxy.alpn", &[Http2(Over::Status(404))]),
    fault("HTTP/2 answers without an end", "proxy.alpn", &[Http2(Over::Endless)]),
    fault("HTTP/2 answers with a header of two megabytes", "proxy.alpn", &[Http2(Over::Header(2_000_000))]),
    fault("HTTP/2 is offered and not spoken", "proxy.alpn", &[Http2(Over::NotSpoken)]),
    fault("HTTP/2 is offered and never answered", "proxy.alpn", &[Http2(Over::Silent)]),
    fault("The proxy takes the connection for one to another name", "keys.answer", &[Keys(421, "", "")]),
    fault(
        "Pages from elsewhere may not read the client document",
        "client.cors",
        &[Client("", r#"{"m.homeserver": {"base_url": "https://matrix.example.org:8443"}}"#)],
    ),
    fault(
        "The client document has its permission twice",
        "client.cors",
        &[Client(
            "Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Origin: *\r\n",
            r#"{"m.homeserver": {"base_url": "https://matrix.example.org:8443"}}"#,
        )],
    ),
    fault(
        "The client document has a comma too many",
        "client.document",
        &[Client(
            "Access-Control-Allow-Origin: *\r\n",
            r#"{"m.homeserver": {"base_url": "https://matrix.example.org:8443"},}"#,
        )],
    ),
    fault("There is no client document", "client.document", &[Client("", "")]),
    fault("The document for people names nobody", "support.document", &[Support("", r#"{"contacts": []}"#)]),
    fault(
        "The client document points to another site",
        "client.api",
        &[Client("Access-Control-Allow-Origin: *\r\n", r#"{"m.homeserver": {"base_url": "https://example.org"}}"#)],
    ),
    fault("The proxy before Rocket.Chat opens no socket", "chat.websocket", &[Chat(Spot::Name, Chat::NoUpgrade)]),
    fault(
        "The proxy before a Rocket.Chat on a host of its own opens no socket",
        "chat.websocket",
        &[Chat(Spot::Below, Chat::NoUpgrade), Record(CHAT)],
    ),
    fault("Behind the socket to Rocket.Chat is something else", "chat.websocket", &[Chat(Spot::Name, Chat::Stranger)]),
    fault("The socket to Rocket.Chat opens and stays silent", "chat.websocket", &[Chat(Spot::Name, Chat::Silent)]),
    fault(
        "An address of Rocket.Chat's host does not answer",
        "chat.public",
        &[Chat(Spot::Below, Chat::Good), Record(CHAT), Record("chat.example.org A 127.0.0.9")],
    ),
    fault(
        "The certificate of Rocket.Chat's host has ended",
        "chat.public",
        &[Chat(Spot::Below, Chat::Good), Record(CHAT), ChatIdentity(Certificate::Expired)],
    ),
    fault(
        "The certificate of Rocket.Chat's host is of an authority that nobody knows",
        "chat.public",
        &[Chat(Spot::Below, Chat::Good), Record(CHAT), ChatIdentity(Certificate::Stranger)],
    ),
];

/// Where the Rocket.Chat is that has a host of its own.
pub const CHAT: &str = "chat.example.org A 127.0.0.3";

/// `docs/remote-faults.md`.
pub fn page() -> String {
    let mut text = String::from(
        "# Faults of other servers that are tried\n\nGenerated from the table that the tests run; `make docs` writes it again. Each \
         fault is made in a real server that is well otherwise; `rcfed doctor SERVER_NAME` has to name the check in the second \
         column before all others.\n\n| fault | told first |\n|---|---|\n",
    );
    for fault in FAULTS.iter().filter(|fault| fault.first != "nothing") {
        text += &format!("| {} | [`{}`](checks.md#{}) |\n", fault.name, fault.first, fault.first.replace('.', ""));
    }
    text
}
