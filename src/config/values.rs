//! One answer at a time: text in, a proven value out, or the reason and what to type instead.
//!
//! The wizard checks with these as somebody types, and [`super::Config::from_answers`] reads with them, so neither
//! takes what the other refuses.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use url::{Host, Url};

use super::{Apex, Profile, Proxy, Service, Tester};
use crate::answers::nearest;
use crate::dns::is_private;
use crate::domain::{DomainError, DomainName, EmailError, ImageError, UsernameError};
use crate::host::authorities::AuthoritiesError;
use crate::sizes;

/// Why a text is not taken, and what to type instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reason.
    pub why: String,
    /// What to type instead.
    pub hint: String,
}

impl Refusal {
    pub(super) fn new(why: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { why: why.into(), hint: hint.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.why, self.hint)
    }
}

macro_rules! refusal_from {
    ($($error:ident),*) => {$(
        impl From<$error> for Refusal {
            fn from(error: $error) -> Self {
                Self::new(error.to_string(), error.hint())
            }
        }
    )*};
}
refusal_from!(AuthoritiesError, DomainError, EmailError, ImageError, UsernameError);

/// Reads a profile's name.
pub fn profile(text: &str) -> Result<Profile, Refusal> {
    word("a profile", text, &Profile::ALL.map(|profile| (profile.name(), profile)))
}

/// Reads who answers on ports 80 and 443.
pub fn proxy(text: &str) -> Result<Proxy, Refusal> {
    word("a proxy", text, &[("gateway", Proxy::Gateway), ("host", Proxy::Host), ("none", Proxy::None)])
}

/// Reads who answers for the federated domain.
pub fn apex(text: &str) -> Result<Apex, Refusal> {
    word("a place for the apex", text, &[("here", Apex::Here), ("elsewhere", Apex::Elsewhere)])
}

/// Reads an address that others may reach this machine at.
pub fn address(text: &str) -> Result<IpAddr, Refusal> {
    let hint = "write an address such as `198.51.100.10` or `2001:db8::1`";
    match text.parse::<IpAddr>() {
        Ok(ip) if ip.is_unspecified() || ip.is_multicast() => {
            Err(Refusal::new(format!("`{text}` is not the address of one machine"), hint))
        }
        Ok(ip) => Ok(ip),
        Err(_) => Err(Refusal::new(format!("`{text}` is not an IP address"), hint)),
    }
}

/// Reads a network of servers to federate with, such as `10.20.0.0/16`.
pub fn network(text: &str) -> Result<IpNet, Refusal> {
    let trimmed = text.trim();
    let network = match (trimmed.parse::<IpNet>(), trimmed.parse::<IpAddr>()) {
        (Ok(network), _) => network,
        (_, Ok(ip)) => {
            let hint = format!("write `{}` for this one address", IpNet::from(ip));
            return Err(Refusal::new(format!("`{text}` is an address and not a network"), hint));
        }
        _ => {
            let hint = "write a network such as `10.20.0.0/16` or `fd12:3456:789a::/48`";
            return Err(Refusal::new(format!("`{text}` is not a network"), hint));
        }
    };
    if network.prefix_len() == 0 {
        let why = format!("`{text}` is every address there is, this machine's own containers among them");
        return Err(Refusal::new(why, "write the network of the other servers, such as `10.20.0.0/16`"));
    }
    if network != network.trunc() {
        let why = format!("`{text}` is an address in a network and not the network");
        return Err(Refusal::new(why, format!("write `{}`", network.trunc())));
    }
    Ok(network)
}

/// Reads a service's memory limit in MiB: not less than it can start with.
pub fn memory(service: Service, text: &str) -> Result<u32, Refusal> {
    let least = sizes::least(service);
    let hint = format!("write a whole number of MiB, at least {least} for {service}, or leave it out for no limit");
    match text.trim().parse::<u32>() {
        Ok(mib) if mib < least => {
            Err(Refusal::new(format!("{service} cannot run with {mib} MiB: it would be killed again and again"), hint))
        }
        // A limit beyond a terabyte is a number in other units.
        Ok(mib) if mib > 1024 * 1024 => Err(Refusal::new(format!("{mib} MiB is more than a terabyte"), hint)),
        Ok(mib) => Ok(mib),
        Err(_) => Err(Refusal::new(format!("`{text}` is not a number of MiB"), hint)),
    }
}

/// Reads the id of a check of the doctor.
pub fn check(text: &str) -> Result<String, Refusal> {
    if let Some(check) = crate::doctor::find(text) {
        return Ok(check.id.into());
    }
    let ids: Vec<&str> = crate::doctor::table().iter().map(|check| check.id).collect();
    let hint = match crate::answers::nearest(text, ids) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`rcfed doctor --list-checks` names all".into(),
    };
    Err(Refusal::new(format!("`{text}` is no check of the doctor"), hint))
}

/// Reads an ACME directory: `https` only, since whoever answers there decides who gets the certificate.
pub fn directory(text: &str) -> Result<String, Refusal> {
    let url = parse(text)?;
    match url.scheme() {
        "https" => Ok(url.to_string()),
        _ => Err(not_https(text)),
    }
}

/// Reads the name of a Matrix server: a host name, and a port where its users have one in their ids.
pub fn server(text: &str) -> Result<String, Refusal> {
    let text = text.trim();
    if let Some((_, rest)) = text.split_once("://") {
        let name = rest.trim_end_matches('/');
        return Err(Refusal::new(
            format!("`{text}` is an address, not the name of a server"),
            format!("type `{name}`"),
        ));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let host = DomainName::parse(host)?;
    match port {
        None => Ok(host.to_string()),
        Some(port) if port.parse::<u16>().is_ok_and(|number| number > 0) => Ok(format!("{host}:{port}")),
        Some(port) => Err(Refusal::new(
            format!("`{port}` in `{text}` is not a port"),
            format!("type what stands after the first colon in its users' ids, such as `{host}`"),
        )),
    }
}

/// Reads the federation tester's address: `https`, or `http` at an address or on this machine's own networks. No final slash.
pub fn federation_tester(text: &str) -> Result<Tester, Refusal> {
    if text == Tester::OWN {
        return Ok(Tester::Own);
    }
    let url = parse(text)?;
    let near = url.host().is_some_and(|host| is_near(&host));
    match url.scheme() {
        "https" => {}
        "http" if near => {}
        "http" => {
            return Err(Refusal {
                why: format!("`{text}` is public and would be asked without encryption"),
                ..not_https(text)
            });
        }
        _ => return Err(not_https(text)),
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Refusal::new(format!("`{text}` has a part after `?` or `#`"), "give it without that part"));
    }
    Ok(Tester::At(url.as_str().trim_end_matches('/').to_owned()))
}

/// Reads the name of a container that somebody else made.
pub fn container(text: &str) -> Result<String, Refusal> {
    let name = text.trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let hint = "write its name as `docker ps` shows it in the last column";
    if name.is_empty() || !name.chars().all(plain) || !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err(Refusal::new(format!("`{text}` is not the name of a container"), hint));
    }
    if Service::ALL.iter().any(|service| service.container() == name) {
        return Err(Refusal::new(format!("`{name}` is a container of rcfed's own"), "leave the answer out"));
    }
    Ok(name.into())
}

/// Reads where a Rocket.Chat answers that runs on another machine, without a path: HTTPS under the name that people
/// open, or plain HTTP at a private address.
pub fn rocketchat_url(text: &str) -> Result<String, Refusal> {
    let url = parse(text)?;
    if url.scheme() == "https" {
        return open(&url, text).map(|name| format!("https://{name}"));
    }
    let url = inside(
        text,
        "http://10.0.0.5:3000",
        "the administrator's password and token would be sent",
        "write `https://` and the name under which people open it; plain HTTP is for a private address, such as \
         `http://10.0.0.5:3000`",
    )?;
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// The name in the address of a Rocket.Chat that is reached as people reach it.
pub fn open_address(text: &str) -> Option<DomainName> {
    let url = parse(text).ok().filter(|url| url.scheme() == "https")?;
    open(&url, text).ok()
}

fn open(url: &Url, text: &str) -> Result<DomainName, Refusal> {
    let hint = "write it as people open it, such as `https://chat.example.org`";
    no_path(url, text, hint)?;
    if url.port().is_some() {
        return Err(Refusal::new(format!("`{text}` has a port, and people would have to type it"), hint));
    }
    match url.host() {
        Some(Host::Domain(name)) => DomainName::parse(name).map_err(|error| Refusal::new(error.to_string(), hint)),
        // Nor could a certificate be checked by most of what asks there.
        _ => Err(Refusal::new(format!("`{text}` has an address where the name should be"), hint)),
    }
}

/// Where the bridge listens if nothing else is said: beside a Rocket.Chat at a private address.
pub fn bridge_beside(url: &str) -> Option<String> {
    let url = Url::parse(url).ok().filter(|url| url.scheme() == "http")?;
    Some(format!("http://{}:3300", url.host_str()?))
}

/// Reads where its bridge listens. Rocket.Chat takes the port from this address, so it always has one.
pub fn bridge_url(text: &str) -> Result<String, Refusal> {
    let url = inside(
        text,
        "http://10.0.0.5:3300",
        "the tokens of the bridge would be sent",
        "the bridge knows no TLS: connect both machines by a private network and write the address there, such as \
         `http://10.0.0.5:3300`",
    )?;
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => Ok(format!("http://{host}:{port}")),
        None => Err(Refusal::new(format!("`{text}` has no port"), format!("write `http://{host}:3300`"))),
    }
}

/// An address in this machine's own network that its containers reach too.
fn inside(text: &str, example: &str, sent: &str, instead: &str) -> Result<Url, Refusal> {
    let url = parse(text)?;
    let hint = format!("write the address that it listens at, such as `{example}`");
    if url.scheme() != "http" {
        return Err(Refusal::new(
            format!("`{text}` does not start with `http://`: it is reached inside, without TLS"),
            hint,
        ));
    }
    no_path(&url, text, &hint)?;
    let here = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    };
    if here {
        let why = format!("`{text}` is this machine for this machine only: containers cannot reach it");
        return Err(Refusal::new(
            why,
            "name its container with `rocketchat.container`, or give an address of this machine",
        ));
    }
    let private = match url.host() {
        Some(Host::Ipv4(ip)) => is_private(ip.into()),
        Some(Host::Ipv6(ip)) => is_private(ip.into()),
        host => host.is_some_and(|host| is_near(&host)),
    };
    if !private {
        return Err(Refusal::new(format!("`{text}` is public, and {sent} there in clear"), instead));
    }
    Ok(url)
}

fn no_path(url: &Url, text: &str, hint: &str) -> Result<(), Refusal> {
    match url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        true => Err(Refusal::new(format!("`{text}` has a path"), hint)),
        false => Ok(()),
    }
}

fn parse(text: &str) -> Result<Url, Refusal> {
    let hint = "write it in full, such as `https://acme.example.org/directory`";
    let url = Url::parse(text.trim()).map_err(|error| Refusal::new(format!("`{text}` is not a URL: {error}"), hint))?;
    if url.host().is_none() {
        return Err(Refusal::new(format!("`{text}` names no host"), hint));
    }
    // Not repeated: what stands there may be a password.
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refusal::new("the URL holds a user name or a password", "give it without the part before `@`"));
    }
    Ok(url)
}

fn not_https(text: &str) -> Refusal {
    let rest = text.trim().split_once("://").map_or(text, |(_, rest)| rest);
    Refusal::new(format!("`{text}` does not start with `https://`"), format!("type `https://{rest}`"))
}

fn is_near(host: &Host<&str>) -> bool {
    match host {
        // Who writes an address and not a name means one of their own machines.
        Host::Ipv4(_) | Host::Ipv6(_) => true,
        // A name without a dot is one of this machine or of its container network.
        Host::Domain(name) => !name.contains('.') || name.ends_with(".localhost"),
    }
}

fn word<T: Copy>(what: &str, text: &str, words: &[(&str, T)]) -> Result<T, Refusal> {
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == text.trim()) {
        return Ok(*value);
    }
    let hint = match nearest(text, words.iter().map(|(word, _)| *word)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            let all: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            format!("it is one of {}", all.join(", "))
        }
    };
    Err(Refusal::new(format!("`{text}` is not {what}"), hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_says_why_and_what_to_type() {
        let show = |text: &str, refusal: Refusal| format!("{text} → {refusal}");
        let table = [
            show("dendrit", profile("dendrit").unwrap_err()),
            show("conduit", profile("conduit").unwrap_err()),
            show("nginx", proxy("nginx").unwrap_err()),
            show("there", apex("there").unwrap_err()),
            show("198.51.100", address("198.51.100").unwrap_err()),
            show("0.0.0.0", address("0.0.0.0").unwrap_err()),
            show("10.20.0.5", network("10.20.0.5").unwrap_err()),
            show("10.20.0.5/16", network("10.20.0.5/16").unwrap_err()),
            show("0.0.0.0/0", network("0.0.0.0/0").unwrap_err()),
            show("10.20/16", network("10.20/16").unwrap_err()),
            show("acme.example.org", directory("acme.example.org").unwrap_err()),
            show("http://127.0.0.1/d", directory("http://127.0.0.1/d").unwrap_err()),
            show("mailto:x", directory("mailto:x").unwrap_err()),
            show("https://me:hunter2@x.org", directory("https://me:hunter2@x.org").unwrap_err()),
            show("http://example.org", federation_tester("http://example.org").unwrap_err()),
            show("ftp://127.0.0.1", federation_tester("ftp://127.0.0.1").unwrap_err()),
            show("https://example.com", server("https://example.com").unwrap_err()),
            show("example.com:70000", server("example.com:70000").unwrap_err()),
            show("rcfed-rocketchat", container("rcfed-rocketchat").unwrap_err()),
            show("/rocketchat", container("/rocketchat").unwrap_err()),
            show("https://chat.example.org:8443", rocketchat_url("https://chat.example.org:8443").unwrap_err()),
            show("https://chat.example.org/chat", rocketchat_url("https://chat.example.org/chat").unwrap_err()),
            show("https://10.0.0.5", rocketchat_url("https://10.0.0.5").unwrap_err()),
            show("ftp://10.0.0.5", rocketchat_url("ftp://10.0.0.5").unwrap_err()),
            show("http://203.0.113.5:3000", rocketchat_url("http://203.0.113.5:3000").unwrap_err()),
            show("http://203.0.113.5:3300", bridge_url("http://203.0.113.5:3300").unwrap_err()),
            show("https://10.0.0.5:3300", bridge_url("https://10.0.0.5:3300").unwrap_err()),
            show("http://chat.example.org:3000", rocketchat_url("http://chat.example.org:3000").unwrap_err()),
            show("http://127.0.0.1:3000", rocketchat_url("http://127.0.0.1:3000").unwrap_err()),
            show("http://10.0.0.5/chat", rocketchat_url("http://10.0.0.5/chat").unwrap_err()),
            show("http://10.0.0.5", bridge_url("http://10.0.0.5").unwrap_err()),
            show("https://example.org/?a", federation_tester("https://example.org/?a").unwrap_err()),
        ];
        insta::assert_snapshot!(table.join("\n"));
    }

    #[test]
    fn a_tester_may_be_near() {
        for (text, kept) in [
            ("https://tester.example.org/", "https://tester.example.org"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
            ("http://10.0.0.5/x", "http://10.0.0.5/x"),
            ("http://[fd00::1]:80", "http://[fd00::1]"),
            ("http://relay:9000", "http://relay:9000"),
        ] {
            assert_eq!(federation_tester(text).unwrap(), Tester::At(kept.into()));
        }
        assert_eq!(federation_tester("self").unwrap(), Tester::Own);
    }
}
