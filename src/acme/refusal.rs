//! Why a certificate authority would not vouch for one name, in words a person can act on.
//!
//! The texts matched here are Boulder's (what Let's Encrypt runs) and Pebble's. An unknown text is passed on as it came,
//! with the best guess its problem type allows.

use crate::domain::DomainName;

/// One name that failed, as the certificate authority told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The name.
    pub name: DomainName,
    /// The last part of the problem type of RFC 8555 §6.7, e.g. `connection`.
    pub kind: String,
    /// The certificate authority's own text.
    pub detail: String,
}

/// In front of the text when the first look succeeded, and looks from other networks did not.
const ELSEWHERE: &str = "During secondary validation: ";

impl Refusal {
    /// A problem of RFC 8555 §6.7 about one name.
    pub(super) fn new(name: &DomainName, kind: &str, detail: &str) -> Self {
        let kind = kind.rsplit(':').next().unwrap_or(kind).to_owned();
        Self { name: name.clone(), kind, detail: detail.trim().to_owned() }
    }

    /// Whether only some of the networks that the certificate authority looks from were refused.
    pub fn only_elsewhere(&self) -> bool {
        self.detail.starts_with(ELSEWHERE)
    }

    /// What was seen, without the name of who saw it.
    pub fn sentence(&self) -> String {
        let name = &self.name;
        let text = self.text();
        let from = if self.only_elsewhere() { " from some networks" } else { "" };
        let at = self.address().map(|address| format!(" at {address}")).unwrap_or_default();
        match self.cause() {
            Cause::Refused => format!("{name}{at} refuses connections to port 80{from}"),
            Cause::Unanswered => format!("{name}{at} does not answer on port 80{from}"),
            Cause::Broken => {
                format!("{name}{at} could not be read on port 80{from}: {}", tail(text))
            }
            Cause::Redirect => format!("{name} redirects the check to where it cannot go{from}: {}", tail(text)),
            Cause::WrongAnswer => match status(text) {
                Some(status) => format!("{name}{at} answers{from} with status {status}, not with rcfed's answer"),
                None => format!("{name}{at} answers{from}, but not with rcfed's answer"),
            },
            Cause::Unknown => format!("{name} has no address in DNS{from}"),
            Cause::Resolver => format!("the DNS of {name} does not work{from}: {}", tail(text)),
            Cause::Caa => format!("a CAA record forbids certificates for {name}"),
            Cause::Policy => format!("{name} is a name it gives no certificates for: {text}"),
            Cause::Other if text.is_empty() => format!("{name} was refused ({}){from}", self.kind),
            Cause::Other => format!("{name} was refused{from}: {text} ({})", self.kind),
        }
    }

    /// An exact command, or a fact that was observed. `caa` is what a CAA record must say to allow this authority.
    pub fn hint(&self, caa: &str) -> String {
        let name = &self.name;
        if self.only_elsewhere() && !matches!(self.cause(), Cause::Caa | Cause::Policy) {
            return format!(
                "the first look at {name} succeeded: open port 80 to every country and network (geo-blocking, fail2ban \
                 and a provider's DDoS protection do this), and ask every name server of the zone for it"
            );
        }
        match self.cause() {
            Cause::Refused => format!(
                "compare `dig +short A {name}` and `dig +short AAAA {name}` with this machine's addresses (`ip -br \
                 address`), and see what listens with `sudo ss -ltnp 'sport = :80'`"
            ),
            Cause::Unanswered => format!(
                "open TCP port 80 in the provider's firewall and in this machine's (`sudo ufw status`), and compare \
                 `dig +short A {name}` and `dig +short AAAA {name}` with `ip -br address`"
            ),
            Cause::Broken | Cause::Redirect | Cause::WrongAnswer => format!(
                "another server may answer for {name}: `dig +short A {name}` and `dig +short AAAA {name}` must show \
                 addresses of this machine only; see the answer with `curl -i \
                 http://{name}/.well-known/acme-challenge/test`"
            ),
            Cause::Unknown => {
                format!("add an A record for {name} that points to this machine, and look at it with `dig {name}`")
            }
            Cause::Resolver => format!("look at the name servers with `dig +trace {name}` and `dig CAA {name}`"),
            Cause::Caa => {
                format!("add `{name}. CAA 0 issue \"{caa}\"` to DNS, or remove what `dig CAA {name}` shows")
            }
            Cause::Policy => format!("use another name than {name}"),
            Cause::Other => format!("see what others see with `curl -i http://{name}/.well-known/acme-challenge/test`"),
        }
    }

    fn text(&self) -> &str {
        self.detail.strip_prefix(ELSEWHERE).unwrap_or(&self.detail)
    }

    /// Boulder starts the text with the address it used.
    fn address(&self) -> Option<&str> {
        let (address, _) = self.text().split_once(": ")?;
        address.parse::<std::net::IpAddr>().ok().map(|_| address)
    }

    fn cause(&self) -> Cause {
        let text = self.text().to_lowercase();
        let says = |what: &str| text.contains(what);
        match self.kind.as_str() {
            "caa" => Cause::Caa,
            "rejectedIdentifier" | "unsupportedIdentifier" => Cause::Policy,
            "dns" if says("nxdomain") || says("no valid a records") || says("no valid ip addresses") => Cause::Unknown,
            "dns" => Cause::Resolver,
            "connection" | "unknownHost" if says("could not resolve") => Cause::Unknown,
            "connection" if says("redirect") => Cause::Redirect,
            "connection" if says("connection refused") => Cause::Refused,
            "connection" if says("timeout") || says("deadline") || says("no route") => Cause::Unanswered,
            "connection" | "tls" => Cause::Broken,
            "unauthorized" | "incorrectResponse" => Cause::WrongAnswer,
            _ => Cause::Other,
        }
    }
}

enum Cause {
    Broken,
    Caa,
    Other,
    Policy,
    Redirect,
    Refused,
    Resolver,
    Unanswered,
    Unknown,
    WrongAnswer,
}

/// Boulder ends with `: 404`, Pebble with `returned 404`.
fn status(text: &str) -> Option<u16> {
    let last = text.rsplit([' ', ':']).next()?;
    last.parse().ok().filter(|status| (300..600).contains(status))
}

/// What stands after the URL that was fetched.
fn tail(text: &str) -> &str {
    text.rsplit_once("acme-challenge/").and_then(|(_, rest)| rest.split_once(": ")).map_or(text, |(_, reason)| reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_a_sentence_and_a_hint() {
        let name = DomainName::parse("chat.example.org").unwrap();
        let url = "http://chat.example.org/.well-known/acme-challenge/8559FK5mRvcvk6Ahzo9QsAMEoTGpH2K3VdykYKCmv_4";
        let told = [
            ("connection", format!("203.0.113.5: Fetching {url}: Connection refused")),
            ("connection", format!("203.0.113.5: Fetching {url}: Timeout during connect (likely firewall problem)")),
            ("connection", format!("2001:db8::5: Fetching {url}: Connection reset by peer")),
            ("connection", format!("203.0.113.5: Fetching {url}: Redirect loop detected")),
            ("connection", format!("During secondary validation: 203.0.113.5: Fetching {url}: Timeout during connect (likely firewall problem)")),
            ("connection", format!("Get \"{url}\": dial tcp 127.0.0.1:80: connect: connection refused")),
            ("connection", format!("could not resolve URL \"{url}\"")),
            ("unauthorized", format!("203.0.113.5: Invalid response from {url}: 404")),
            ("unauthorized", format!("Non-200 status code from HTTP: {url} returned 404")),
            ("unauthorized", format!("203.0.113.5: Invalid response from {url}: \"<!DOCTYPE html>\\n<html>\"")),
            ("unauthorized", format!("During secondary validation: 203.0.113.5: Invalid response from {url}: 403")),
            ("dns", "DNS problem: NXDOMAIN looking up A for chat.example.org - check that a DNS record exists for this domain".into()),
            ("dns", "no valid A records found for chat.example.org; no valid AAAA records found for chat.example.org".into()),
            ("dns", "DNS problem: SERVFAIL looking up CAA for example.org - the domain's nameservers may be malfunctioning".into()),
            ("caa", "CAA record for example.org prevents issuance".into()),
            ("rejectedIdentifier", "The ACME server refuses to issue a certificate for this domain name, because it is forbidden by policy".into()),
            ("tls", format!("203.0.113.5: Fetching {url}: remote error: tls: handshake failure")),
            ("serverInternal", "Could not create authorization".into()),
            ("malformed", String::new()),
        ];
        let table: Vec<String> = told
            .iter()
            .map(|(kind, detail)| {
                let refusal = Refusal::new(&name, &format!("urn:ietf:params:acme:error:{kind}"), detail);
                format!("{kind}: {detail}\n  → {}\n  hint: {}", refusal.sentence(), refusal.hint("letsencrypt.org"))
            })
            .collect();
        insta::assert_snapshot!(table.join("\n"));
    }
}
