//! What no server of the tables does: a look at a good server, changed by hand, so that what would be told of it is seen too.

use std::net::IpAddr;

use rcfed::dns::{Fault, Heard, NameServer, Own, Said, Zone};
use rcfed::host::net::exchange::{End, Stage, Trouble};
use rcfed::host::tls::{Path, TlsFacts};
use rcfed::matrix::discovery::{Problem, Rule};
use rcfed::matrix::keys::{Key, KeyFault, ServerKeys, Signature};
use rcfed::matrix::probe::{Keys, Normalisation, Seen, Signed, Status, Verdict};
use rcfed::matrix::server_name::Unwise;
use rcfed::matrix::well_known::{self, Stop};
use rcfed::matrix::{ClientSide, Ground, Look};

/// What is seen, and how.
pub type Case = (&'static str, fn(&mut Look));

/// Nothing is changed.
pub const GOOD: Case = ("Nothing is wrong", |_| {});

/// Every case.
pub const CASES: &[Case] = &[
    ("The name has zeros before its port, and is long", |look| look.unwise = vec![Unwise::LeadingZeros, Unwise::Long]),
    ("One family of addresses cannot be looked up", |look| {
        problem(look, Problem::HalfLookup("example.org".into(), Fault::Timeout));
    }),
    ("There are very many addresses", |look| problem(look, Problem::TooMany(7))),
    ("No name server of the delegation has an address", |look| {
        zone(look, &[Said::NoAddress(None), Said::NoAddress(Some(Fault::NxDomain))], own(true, 300));
    }),
    ("No name server of the delegation knows the zone, and it is not known for how long", |look| {
        let private = Said::Private("10.0.0.1".parse().unwrap());
        zone(look, &[Said::Lame(address(), Fault::Refused), private], own(true, 300));
        look.grounds[0].zone.as_mut().unwrap().delegated = None;
    }),
    ("Two of three name servers do not know the zone", |look| {
        let lame = Said::Lame(address(), Fault::Refused);
        zone(look, &[Said::Answer(own(true, 300)), lame.clone(), lame], own(true, 300));
    }),
    ("The resolver believes that there is no such name", |look| {
        zone(look, &[Said::Answer(own(true, 300))], own(false, 60))
    }),
    ("Public resolvers believe that there is no such name", |look| {
        zone(look, &[Said::Answer(own(true, 300))], own(true, 300));
        look.grounds[0].public = ["1.1.1.1:53", "9.9.9.9:53"].map(|server| heard(server, Ok(own(false, 60)))).into();
    }),
    ("Public resolvers do not find the name", |look| {
        zone(look, &[Said::Answer(own(true, 300))], own(true, 300));
        look.grounds[0].public = vec![heard("8.8.8.8:53", Err(Fault::ServFail { bogus: true }))];
    }),
    ("The document is asked for at a port without TLS", |look| stop(look, Stop::Trouble(Trouble::NotTls))),
    ("The document is redirected for ever", |look| stop(look, Stop::TooManyHops)),
    ("The document is redirected to nowhere", |look| stop(look, Stop::BadLocation)),
    ("The document ends early", |look| stop(look, Stop::Unfinished(End::Cut))),
    ("The document is a list", |look| stop(look, Stop::Document(well_known::Fault::NotAnObject))),
    ("The document has a number for a name", |look| {
        stop(look, Stop::Document(well_known::Fault::WrongType("m.server")));
    }),
    ("The document is redirected to plain HTTP", |look| {
        for hop in look.discovery.well_known.iter_mut().flat_map(|fetch| &mut fetch.hops) {
            hop.tls = None;
            hop.url = "http://www.example.org/matrix.json".into();
        }
    }),
    ("One of two addresses has no document", |look| {
        let mut other = look.discovery.well_known[0].clone();
        other.outcome = Err(Stop::Status(404));
        other.address = "127.0.0.2".parse().unwrap();
        look.discovery.well_known.push(other);
        problem(look, Problem::SplitWellKnown);
    }),
    ("The document has no port, and 8448 answers", |look| each(look, |seen| seen.target.rule = Rule::Delegated)),
    ("An SRV record names an address", |look| {
        let query = "_matrix-fed._tcp.example.org".into();
        problem(look, Problem::SrvBadTarget(query, "192.0.2.1".into()));
    }),
    ("It is not known where to connect", |look| look.targets.clear()),
    ("There are addresses of IPv6 alone, and none here", |look| {
        each(look, |seen| seen.target.address = "2001:db8::1".parse().unwrap());
        trouble(look, Trouble::Unreachable("network unreachable".into()));
    }),
    ("One address is of IPv6, and there is none here", |look| {
        let mut other = look.targets[0].clone();
        other.target.address = "2001:db8::1".parse().unwrap();
        other.trouble = Some(Trouble::Unreachable("network unreachable".into()));
        look.targets.push(other);
    }),
    ("Packets to the homeserver are dropped", |look| trouble(look, Trouble::Timeout(Stage::Connect))),
    ("Connections to the homeserver are broken off", |look| trouble(look, Trouble::Reset(Stage::Head))),
    ("There is no way to the homeserver", |look| trouble(look, Trouble::Unreachable("host unreachable".into()))),
    ("The homeserver answers with Cloudflare's headers", |look| each(look, |seen| seen.cloudflare.header = true)),
    ("The certificate does not name the address", |look| {
        tls(look, |facts| (facts.name.needed, facts.name.valid) = ("192.0.2.1".into(), false));
        each(look, |seen| seen.target.rule = Rule::Address);
    }),
    ("The certificate is not for the SRV record's owner", |look| {
        other_name(look);
        each(look, |seen| seen.target.rule = Rule::Srv);
    }),
    ("The certificate is not for the server name", |look| {
        other_name(look);
        each(look, |seen| seen.target.rule = Rule::Plain);
    }),
    ("The certificate comes alone, from somebody unknown", |look| {
        tls(look, |facts| (facts.path, facts.presented) = (Path::UnknownIssuer, 1));
    }),
    ("The certificate cannot be used", |look| tls(look, |facts| facts.path = Path::Bad("it was revoked".into()))),
    ("The keys do not come", |look| each(look, |seen| seen.keys = Some(Err(Trouble::Timeout(Stage::Head))))),
    ("The keys are cut off", |look| {
        keys(look, |keys| (keys.end, keys.beginning) = (End::Cut, "{".into()));
    }),
    ("Cloudflare does not reach the machine", |look| {
        each(look, |seen| seen.cloudflare.address = true);
        status(look, 522);
    }),
    ("The homeserver redirects", |look| status(look, 302)),
    ("The homeserver fails", |look| status(look, 500)),
    ("The homeserver has no name", |look| {
        document(look, |document| document.server_name = None);
    }),
    ("The homeserver has a name that nobody can have", |look| {
        document(look, |document| document.server_name = Some("https://example.org".into()));
        look.discovery.well_known.clear();
    }),
    ("The keys have no end", |look| document(look, |document| document.valid_until_ts = None)),
    ("The keys' document has a number that cannot be signed", |look| {
        let number = serde_json::json!(1.5);
        let refused = rcfed::matrix::canonical_json::canonical(&number).unwrap_err();
        document(look, |document| document.not_canonical = Some(refused.clone()));
    }),
    ("There is no key", |look| document(look, |document| document.keys.clear())),
    ("A key has another kind of id", |look| {
        key(look, |key| (key.id, key.key, key.fault) = ("rsa:1".into(), "AAAA".into(), Some(KeyFault::Id)));
    }),
    ("A key is not base64", |look| {
        key(look, |key| (key.key, key.fault) = ("no base64!".into(), Some(KeyFault::NotBase64)));
    }),
    ("The keys are not signed", |look| key(look, |key| key.signature = Signature::Missing)),
    ("The other form of the name is not answered", |look| {
        each(look, |seen| seen.versions[1] = Err(Trouble::Closed(Stage::Head)));
    }),
    ("HTTP/2 is as good as HTTP/1.1", |look| each(look, |seen| seen.http2 = seen.keys.clone())),
    ("HTTP/2 ends early", |look| {
        each(look, |seen| seen.http2 = seen.keys.clone());
        each(look, |seen| {
            if let Some(Ok(keys)) = &mut seen.http2 {
                (keys.end, keys.beginning) = (End::Cut, "{".into());
            }
        });
    }),
    ("HTTP/2 is offered by somebody slow", |look| {
        keys(look, |keys| keys.took_ms = 2500);
        each(look, |seen| seen.http2 = Some(Err(Trouble::Timeout(Stage::Head))));
    }),
    ("The version is not answered", |look| each(look, |seen| seen.versions[0] = Err(Trouble::Closed(Stage::Head)))),
    ("Paths are answered in a way that says nothing", |look| {
        each(look, |seen| seen.paths.as_mut().unwrap().normalisation = Normalisation::Inconclusive);
    }),
    ("The own signature is taken", |look| signed(look, 404, Some("M_NOT_FOUND"), Verdict::Accepted)),
    ("The own signature is taken away", |look| {
        signed(look, 401, Some("Missing Authorization headers"), Verdict::BadSignature);
    }),
    ("The own signature is refused", |look| signed(look, 401, Some("Invalid signature"), Verdict::BadSignature)),
    ("A signed request is answered with nothing", |look| signed(look, 502, None, Verdict::Inconclusive)),
    ("A signed request is not answered", |look| {
        each(look, |seen| seen.signed = Some(Err(Trouble::Timeout(Stage::Head))));
    }),
    ("The client document's URL is none, and is kept for a day", |look| {
        let fetch = &mut clients(look).client;
        fetch.cache.stated = Some(86_400);
        fetch.outcome = Err(Stop::Document(well_known::Fault::BadUrl("m.homeserver.base_url", "example.org".into())));
    }),
    ("The client document has a number for a URL", |look| {
        let fault = well_known::Fault::WrongType("m.homeserver.base_url");
        clients(look).client.outcome = Err(Stop::Document(fault));
    }),
    ("The client document is not what was asked for", |look| {
        clients(look).client.outcome = Err(Stop::Status(500));
        clients(look).support.outcome = Err(Stop::Loop);
    }),
    ("Pages that ask first may not read the client document", |look| {
        clients(look).preflight = Ok((405, Default::default()));
    }),
    ("The client document is redirected without permission", |look| {
        let hop = &mut clients(look).client.hops[0];
        hop.location = Some("https://www.example.org/".into());
        hop.cors.allow_origin.clear();
    }),
    ("Pages of one place may read the client document", |look| {
        clients(look).client.hops[0].cors.allow_origin = vec!["https://chat.example.org".into()];
    }),
    ("The API for clients does not answer", |look| clients(look).versions = Some(Err(Trouble::Refused))),
    ("The API for clients may not be read by pages", |look| {
        clients(look).versions.as_mut().unwrap().as_mut().unwrap().cors.allow_origin.clear();
    }),
];

fn problem(look: &mut Look, problem: Problem) {
    look.discovery.problems.push(problem);
}

fn address() -> IpAddr {
    "198.51.100.3".parse().unwrap()
}

fn own(exists: bool, ttl: u32) -> Own {
    let addresses = if exists { [address()].into() } else { Default::default() };
    Own { exists, addresses, elsewhere: false, ttl }
}

fn heard(server: &str, said: Result<Own, Fault>) -> Heard {
    Heard { server: server.parse().unwrap(), said }
}

/// What is below the name: its name servers, and what the resolver says.
fn zone(look: &mut Look, said: &[Said], resolver: Own) {
    let server = |(at, said): (usize, &Said)| NameServer { name: format!("ns{at}.example.net"), said: said.clone() };
    let zone = Zone {
        host: "example.org".into(),
        apex: "example.org".into(),
        delegated: Some(3600),
        servers: said.iter().enumerate().map(server).collect(),
        resolver: Ok(resolver),
    };
    look.grounds =
        vec![Ground { host: "example.org".into(), zone: Some(zone), bogus: None, caa: None, public: Vec::new() }];
}

/// Without its document, the name leads nowhere.
fn stop(look: &mut Look, stop: Stop) {
    for fetch in &mut look.discovery.well_known {
        fetch.outcome = Err(stop.clone());
    }
    look.targets.clear();
}

fn each(look: &mut Look, change: impl Fn(&mut Seen)) {
    look.targets.iter_mut().for_each(change);
}

fn trouble(look: &mut Look, trouble: Trouble) {
    each(look, |seen| seen.trouble = Some(trouble.clone()));
}

fn tls(look: &mut Look, change: impl Fn(&mut TlsFacts)) {
    each(look, |seen| change(seen.tls.as_mut().unwrap()));
}

fn other_name(look: &mut Look) {
    tls(look, |facts| {
        facts.name.valid = false;
        facts.chain[0].names = vec!["www.example.org".into()];
    });
}

fn keys(look: &mut Look, change: impl Fn(&mut Keys)) {
    each(look, |seen| change(seen.keys.as_mut().unwrap().as_mut().unwrap()));
}

fn status(look: &mut Look, status: u16) {
    keys(look, |keys| (keys.status, keys.beginning) = (status, "<html>Moved".into()));
}

fn document(look: &mut Look, change: impl Fn(&mut ServerKeys)) {
    keys(look, |keys| change(keys.document.as_mut().unwrap()));
}

fn key(look: &mut Look, change: impl Fn(&mut Key)) {
    document(look, |document| document.keys.iter_mut().for_each(&change));
}

fn signed(look: &mut Look, status: u16, error: Option<&str>, verdict: Verdict) {
    let signed = Signed { status: Status { status, errcode: None }, error: error.map(str::to_owned), verdict };
    each(look, |seen| seen.signed = Some(Ok(signed.clone())));
}

fn clients(look: &mut Look) -> &mut ClientSide {
    look.clients.as_mut().unwrap()
}
