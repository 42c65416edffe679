//! A report that may be pasted into a public issue: no secret, no name, no address, no person. Pure.
//!
//! Names keep their part in the deployment (`chat.example.org` is still the chat), and the same address is the same
//! stand-in everywhere, so that who helps can still reason about them.

use std::net::IpAddr;

use super::past::Change;
use super::report::Report;
use crate::config::Names;
use crate::dns::{PUBLIC_RESOLVERS, is_private};
use crate::finding::Finding;
use crate::secrets::{Secret, SecretName};

/// What is replaced by what.
#[derive(Default)]
pub struct Redactor {
    /// Value and stand-in, the longest value first.
    words: Vec<(String, String)>,
    /// Whether names, addresses and persons go too.
    public: bool,
}

impl Redactor {
    /// Hides the values of secrets: servers print them in logs, and logs are evidence.
    pub fn secrets(secrets: impl IntoIterator<Item = (SecretName, Secret)>) -> Self {
        let mut words: Vec<(String, String)> = secrets
            .into_iter()
            // A shorter one would be found in ordinary words.
            .filter(|(_, secret)| secret.expose().len() >= 8)
            .map(|(name, secret)| (secret.expose().to_owned(), format!("<secret {}>", name.name())))
            .collect();
        words.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        Self { words, public: false }
    }

    /// Hides names, addresses and persons as well.
    #[must_use]
    pub fn and_names(mut self, names: &Names) -> Self {
        let mut parts = vec![(names.federated.to_string(), "example.org".to_owned())];
        for (name, part) in [(&names.chat, "chat"), (&names.matrix, "matrix")] {
            if !parts.iter().any(|(known, _)| known == name.as_str()) {
                parts.push((name.to_string(), format!("{part}.example.org")));
            }
        }
        parts.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        self.words.extend(parts);
        self.public = true;
        self
    }

    /// Hides a host whose deployment is not known and `others` that were seen with it, and every address and person.
    #[must_use]
    pub fn and_host(mut self, host: &str, others: &[String]) -> Self {
        let below = format!(".{host}");
        // What lies below the host keeps its own part of the name.
        let others = others.iter().filter(|other| *other != host && !other.ends_with(&below)).zip(1..);
        let others = others.map(|(other, number)| (other.clone(), format!("other-{number}.example.net")));
        let mut parts: Vec<(String, String)> = others.chain([(host.to_owned(), "example.org".to_owned())]).collect();
        parts.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        self.words.extend(parts);
        self.public = true;
        self
    }

    /// Hides hosts of others, numbered as they come.
    #[must_use]
    pub fn and_strangers(mut self, hosts: &[String]) -> Self {
        let mut number = 0;
        for host in hosts {
            if !self.words.iter().any(|(known, _)| known == host) {
                number += 1;
                self.words.push((host.clone(), format!("server-{number}.example.net")));
            }
        }
        // One of them may lie below an own name.
        self.words.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        self
    }

    /// A text without what is hidden.
    pub fn text(&self, text: &str) -> String {
        let mut text = if self.public { unescaped(text) } else { text.to_owned() };
        for (value, stand_in) in &self.words {
            text = replaced(&text, value, stand_in);
        }
        if !self.public {
            return text;
        }
        let mut words = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some(first) = rest.chars().next() {
            let end = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
            if end == 0 {
                words.push(first);
                rest = &rest[first.len_utf8()..];
                continue;
            }
            words.push_str(&word(&rest[..end]));
            rest = &rest[end..];
        }
        words
    }

    /// The report without what is hidden.
    pub fn report(&self, mut report: Report) -> Report {
        report.subject.server_name = self.text(&report.subject.server_name);
        for finding in report.findings.iter_mut().map(|(_, finding)| finding).chain(&mut report.ignored) {
            *finding = self.finding(finding);
        }
        report
    }

    /// Changes without what is hidden.
    pub fn changes(&self, changes: Vec<Change>) -> Vec<Change> {
        let hide = |change: Change| Change {
            subject: self.text(&change.subject),
            summary: self.text(&change.summary),
            ..change
        };
        changes.into_iter().map(hide).collect()
    }

    fn finding(&self, finding: &Finding) -> Finding {
        let all = |texts: &[String]| texts.iter().map(|text| self.text(text)).collect();
        Finding {
            subject: self.text(&finding.subject),
            summary: self.text(&finding.summary),
            evidence: all(&finding.evidence),
            remedy: finding.remedy.as_deref().map(|text| self.text(text)),
            commands: all(&finding.commands),
            cached: finding.cached.as_deref().map(|text| self.text(text)),
            ..*finding
        }
    }
}

/// With the signs that persons and addresses have in paths and queries, so that they are seen.
fn unescaped(text: &str) -> String {
    const SIGNS: [(&str, &str); 6] =
        [("%2540", "@"), ("%253A", ":"), ("%40", "@"), ("%3A", ":"), ("%5B", "["), ("%5D", "]")];
    SIGNS.iter().fold(text.to_owned(), |text, (escaped, sign)| {
        text.replace(escaped, sign).replace(&escaped.to_ascii_lowercase(), sign)
    })
}

/// Whether the last three characters stand for another one, as in `%2Fexample.org`.
fn ends_escaped(text: &str) -> bool {
    let mut last = text.bytes().rev();
    let (two, one, percent) = (last.next(), last.next(), last.next());
    let digit = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_hexdigit());
    percent == Some(b'%') && digit(one) && digit(two)
}

/// Every occurrence that is not part of a longer name.
fn replaced(text: &str, value: &str, stand_in: &str) -> String {
    let inside = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let mut result = String::with_capacity(text.len());
    let mut from = 0;
    // Names are the same in capital letters; those of ASCII are as long.
    let lower = text.to_ascii_lowercase();
    for (at, _) in lower.match_indices(&value.to_ascii_lowercase()) {
        let before = text[..at].chars().next_back().is_some_and(inside) && !ends_escaped(&text[..at]);
        let after = text[at + value.len()..].chars().next().is_some_and(inside);
        if !before && !after && at >= from {
            result.push_str(&text[from..at]);
            result.push_str(stand_in);
            from = at + value.len();
        }
    }
    result.push_str(&text[from..]);
    result
}

/// What a name, an address, an e-mail address or a token is made of.
fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || ".:@_+=-%".contains(c)
}

/// A stand-in for a word that says who somebody is, or that looks like a token.
fn word(word: &str) -> String {
    let core = word.trim_end_matches([':', '.']);
    let end = &word[core.len()..];
    if let Some((key, value)) = core.split_once('=')
        && !value.trim_matches('=').is_empty()
    {
        return format!("{key}={}{end}", self::word(value));
    }
    let (address, port) = match core.rsplit_once(':') {
        Some((address, port)) if address.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv4()) => {
            (address, format!(":{port}"))
        }
        _ => (core, String::new()),
    };
    if let Ok(ip) = address.parse::<IpAddr>() {
        // Whom everybody asks is nobody in particular.
        let everybody = PUBLIC_RESOLVERS.iter().any(|resolver| resolver.ip() == ip);
        let shown = everybody || is_private(ip) || ip.is_loopback() || ip.is_unspecified();
        let stand_in = if shown { ip.to_string() } else { address_of(ip) };
        return format!("{stand_in}{port}{end}");
    }
    if let Some((local, domain)) = core.split_once('@') {
        return match (local, domain.split_once(':')) {
            ("", Some(("rocket.cat", server))) => format!("@rocket.cat:{server}{end}"),
            ("", Some((_, server))) => format!("@user:{server}{end}"),
            ("", None) => word.to_owned(),
            (before, Some((_, server))) if before.ends_with([':', '.', '-']) => format!("{before}@user:{server}{end}"),
            _ => format!("somebody@{domain}{end}"),
        };
    }
    let digits = core.bytes().any(|c| c.is_ascii_digit());
    let letters = core.bytes().any(|c| c.is_ascii_alphabetic());
    if core.len() >= 32 && digits && letters && !core.contains(['.', ':']) {
        return format!("<redacted>{end}");
    }
    word.to_owned()
}

/// The same stand-in for the same address, from the ranges for documentation.
fn address_of(ip: IpAddr) -> String {
    let sum = ip.to_string().bytes().fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
    if ip.is_ipv4() { format!("192.0.2.{sum}") } else { format!("2001:db8::{sum:x}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Apex;
    use crate::domain::DomainName;

    #[test]
    fn nothing_that_names_somebody_is_left() {
        let name = |text| DomainName::parse(text).unwrap();
        let names = Names {
            federated: name("acme.com"),
            chat: name("talk.acme.com"),
            matrix: name("acme.com"),
            apex: Apex::Here,
            chat_elsewhere: false,
        };
        let token = "q8WlmTPxGd40bKzvN2cYhR71";
        let secrets = || [(SecretName::HsToken, Secret::new(token)), (SecretName::AdminPassword, Secret::new("short"))];
        let texts = [
            "acme.com and talk.acme.com, not notacme.com nor acme.com.au; www.acme.com.",
            "/?access_token=q8WlmTPxGd40bKzvN2cYhR71&x=1",
            "https://acme.com/_matrix from 8.8.4.4:443, 8.8.4.4, [2a01:4f8::1]:8448 and 172.18.0.5:3000 at 10:00:00",
            "@ada:acme.com invited @rocket.cat:acme.com; mail ada@acme.com",
            "GET /profile/%40ada%3Aacme.com and ?user_id=%40ada%3Aacme.com: 404, user_id=@ada:acme.com",
            "room=!r:ACME.com peer=8.8.4.4:443 %5B2a01:4f8::1%5D:8448 x:@ada:acme.com a%253Aacme.com GET /%2Facme.com at 9.9.9.9",
            "key 0123456789abcdef0123456789abcdef0123 in rcfed-rocketchat, 7.10.15, 2026-11-23T10:00:00Z",
        ];
        let own = Redactor::secrets(secrets());
        assert_eq!(own.text(texts[1]), "/?access_token=<secret hs_token>&x=1");
        assert_eq!(own.text(texts[0]), texts[0]);
        let public = Redactor::secrets(secrets()).and_names(&names);
        insta::assert_snapshot!(texts.map(|text| public.text(text)).join("\n"));
    }

    #[test]
    fn of_a_stranger_every_host_is_hidden() {
        let others = ["acme.com", "matrix.acme.com", "hosting.example", "hs.hosting.example"].map(str::to_owned);
        let hide = Redactor::default().and_host("acme.com", &others);
        let text = "acme.com points to matrix.acme.com, hs.hosting.example:443 and www.hosting.example at 8.8.4.4";
        assert_eq!(
            hide.text(text),
            "example.org points to matrix.example.org, other-2.example.net:443 and www.other-1.example.net at 192.0.2.14"
        );
    }
}
