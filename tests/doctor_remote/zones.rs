//! Faults of zones as data: what is wrong with the zone of a server that is well otherwise, and which check has to name it.
//!
//! They are made on real name servers below a root of their own, and seen through a real resolver that checks signatures.

use Do::*;

/// A zone, and what is wrong with it.
pub struct Case {
    /// What is wrong, for a person.
    pub name: &'static str,
    /// The check that has to be told first.
    pub first: &'static str,
    /// The zone's label below `example`, which is also the server name.
    pub label: &'static str,
    /// What is done to a zone that is right.
    pub done: &'static [Do],
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Do {
    /// The delegation names these servers instead of both that have the zone.
    Servers(&'static [&'static str]),
    /// One more record, as in a zone file.
    Record(&'static str),
    /// The second server has this address instead.
    Second(&'static str),
    /// The resolver was asked when this was the address; none if the name had none yet.
    Before(Option<&'static str>),
    /// The resolver that the world asks was asked when this was the address; none if the name had none yet.
    WorldBefore(Option<&'static str>),
    /// The resolver that the world asks does not find it: it fails.
    WorldFails,
    /// It is signed.
    Signed(Signing),
    /// The site has no document.
    NoDocument,
    /// The document is redirected to a private address.
    Redirected,
    /// The homeserver's certificate has ended.
    Lapsed,
    /// The resolver refuses the name.
    Blocked,
    /// It has no address.
    Bare,
    /// The domain above knows nothing of it.
    Unknown,
}

/// How a zone is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signing {
    Right,
    Expired,
    Early,
    /// The DS record is that of another key.
    OtherKey,
    /// There is a DS record, and no signature.
    Missing,
    /// An address was changed after it was signed.
    Changed,
}

const fn case(name: &'static str, first: &'static str, label: &'static str, done: &'static [Do]) -> Case {
    Case { name, first, label, done }
}

/// Every zone.
pub const CASES: &[Case] = &[
    case("Nothing is wrong", "nothing", "plain", &[]),
    case("Nothing is wrong, and the zone is signed", "nothing", "signed", &[Signed(Signing::Right)]),
    case("The only name server refuses", "dns.lame", "lame", &[Servers(&["ns3.host.example."])]),
    case("The only name server points to itself", "dns.lame", "upward", &[Servers(&["ns.nic.example."])]),
    case(
        "One of two name servers refuses",
        "dns.lame",
        "half",
        &[Servers(&["ns1.host.example.", "ns3.host.example."])],
    ),
    case(
        "One of two name servers is not there",
        "dns.lame",
        "silent",
        &[Servers(&["ns1.host.example.", "ns4.host.example."])],
    ),
    case("The name server does not exist", "dns.delegation", "nowhere", &[Servers(&["ns.gone.example."])]),
    case(
        "One of two name servers does not exist",
        "dns.delegation",
        "halfgone",
        &[Servers(&["ns1.host.example.", "ns.gone.example."])],
    ),
    case("The signatures have ended", "dns.dnssec", "expired", &[Signed(Signing::Expired)]),
    case("The signatures begin next year", "dns.dnssec", "early", &[Signed(Signing::Early)]),
    case("The DS record is that of another key", "dns.dnssec", "otherkey", &[Signed(Signing::OtherKey)]),
    case("There is a DS record and no signature", "dns.dnssec", "unsigned", &[Signed(Signing::Missing)]),
    case("A record was changed after the zone was signed", "dns.dnssec", "changed", &[Signed(Signing::Changed)]),
    case(
        "The resolver remembers an address where nothing is any more",
        "dns.stale",
        "moved",
        &[Before(Some("198.51.100.99"))],
    ),
    case(
        "The resolver remembers an address that still answers",
        "dns.stale",
        "moving",
        &[Before(Some("198.51.100.81"))],
    ),
    case("The resolver remembers that there was no address", "dns.stale", "fresh", &[Before(None)]),
    case(
        "The public resolvers still believe the old address",
        "dns.stale",
        "world",
        &[WorldBefore(Some("198.51.100.99"))],
    ),
    case("The public resolvers still believe that there is no address", "dns.stale", "unheard", &[WorldBefore(None)]),
    case("The public resolvers do not find a name that this machine's finds", "dns.stale", "mistrusted", &[WorldFails]),
    case("The resolver refuses a name that its zone has", "dns.stale", "blocked", &[Blocked]),
    case("The name does not exist", "dns.lookup", "unknown", &[Unknown]),
    case("The name has no address", "dns.lookup", "bare", &[Bare]),
    case("The name servers disagree", "dns.agree", "split", &[Second("198.51.100.81")]),
    case(
        "An SRV record is right",
        "nothing",
        "srv",
        &[NoDocument, Record("_matrix-fed._tcp SRV 10 5 8448 matrix"), Record("matrix A 198.51.100.80")],
    ),
    case(
        "An SRV record is right and a document delegates",
        "nothing",
        "unused",
        &[Record("_matrix-fed._tcp SRV 10 5 8448 matrix"), Record("matrix A 198.51.100.80")],
    ),
    case(
        "There is only the old SRV record",
        "srv.deprecated",
        "oldsrv",
        &[NoDocument, Record("_matrix._tcp SRV 10 5 8448 matrix"), Record("matrix A 198.51.100.80")],
    ),
    case(
        "An SRV record names an alias",
        "srv.alias",
        "alias",
        &[
            NoDocument,
            Record("_matrix-fed._tcp SRV 10 5 8448 other"),
            Record("other CNAME matrix"),
            Record("matrix A 198.51.100.80"),
        ],
    ),
    case(
        "An SRV record says that there is no service",
        "srv.unavailable",
        "noservice",
        &[NoDocument, Record("_matrix-fed._tcp SRV 0 0 0 .")],
    ),
    case(
        "An SRV record names a host that does not exist",
        "srv.target",
        "badtarget",
        &[NoDocument, Record("_matrix-fed._tcp SRV 10 5 8448 gone")],
    ),
    case(
        "One of two SRV records leads nowhere",
        "reach.address",
        "twosrv",
        &[
            NoDocument,
            Record("_matrix-fed._tcp SRV 10 5 8448 matrix"),
            Record("_matrix-fed._tcp SRV 20 5 8448 backup"),
            Record("matrix A 198.51.100.80"),
            Record("backup A 198.51.100.99"),
        ],
    ),
    case(
        "An SRV record has the wrong port",
        "reach.server",
        "badport",
        &[NoDocument, Record("_matrix-fed._tcp SRV 10 5 8449 matrix"), Record("matrix A 198.51.100.80")],
    ),
    case(
        "SRV records lie in a zone of their own that nobody answers for",
        "srv.lookup",
        "lamesrv",
        &[NoDocument, Record("_tcp NS ns3.host.example.")],
    ),
    case("The document is redirected to a private address", "wellknown.redirect", "redirected", &[Redirected]),
    case("CAA names the authority", "nothing", "caa", &[Record("@ CAA 0 issue \"letsencrypt.org\"")]),
    case("CAA names another authority", "tls.caa", "othercaa", &[Record("@ CAA 0 issue \"ca.example\"")]),
    case(
        "The certificate has ended, and CAA names another authority",
        "tls.caa",
        "lapsed",
        &[Lapsed, Record("@ CAA 0 issue \";\"")],
    ),
];

/// For how many seconds others believe what some of them said, by label: the times in the zones, or those of the protocol.
pub const KEPT: &[(&str, i64)] = &[
    ("lame", 3600),
    ("nowhere", 3600),
    ("otherkey", 3600),
    ("changed", 3600),
    ("moved", 3600),
    ("fresh", 900),
    ("world", 3600),
    ("unheard", 900),
    ("mistrusted", 300),
    ("blocked", 300),
    ("unknown", 900),
    ("bare", 900),
    ("split", 3600),
    ("badtarget", 900),
    ("twosrv", 3600),
    ("lamesrv", 300),
    ("redirected", 3600),
];

/// The section of `docs/remote-faults.md`.
pub fn section() -> String {
    let mut text = String::from(
        "\n## Zones\n\nThese are made on real name servers below a root of their own, and seen through a resolver that checks \
         signatures.\n\n| fault | told first |\n|---|---|\n",
    );
    for case in CASES.iter().filter(|case| case.first != "nothing") {
        text += &format!("| {} | [`{}`](checks.md#{}) |\n", case.name, case.first, case.first.replace('.', ""));
    }
    text
}
