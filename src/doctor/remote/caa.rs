//! Whether the authority that made a certificate may make the next one. Nothing is wrong until then, and then everything.

use super::super::check::{Doc, Place};
use super::{Remote, Sight};
use crate::finding::{Finding, Status};
use crate::host::tls::{Path, TlsFacts};

const CAA: &str = "tls.caa";

pub(super) const CHECKS: &[Remote] = &[Remote::row(
    Place::Tls,
    CAA,
    &["tls.handshake"],
    caa,
    Doc {
        what: "Whether CAA records let the authority of the presented certificate issue the next one.",
        why: "An authority that is not named there must refuse. The records are looked at on the day of the renewal only.",
        fails: "The certificate is not renewed: `CAA record prevents issuance`. Weeks later everything stops at once.",
        fix: "Add the record that is shown, or get the certificate from an authority that is named.",
        source: "RFC 8659, DNS Certification Authority Authorization.",
    },
)];

/// Authorities, by their organisation in the certificates they sign, and the domains by which CAA records name them. Only those
/// are judged of whom all domains are known.
const AUTHORITIES: &[(&str, &[&str])] = &[
    ("O=Let's Encrypt", &["letsencrypt.org"]),
    ("O=Google Trust Services", &["pki.goog"]),
    ("O=Buypass AS", &["buypass.com", "buypass.no"]),
    ("O=SSL Corp", &["ssl.com"]),
    ("O=ZeroSSL", SECTIGO),
    ("O=Sectigo Limited", SECTIGO),
];
const SECTIGO: &[&str] = &["sectigo.com", "comodo.com", "comodoca.com", "usertrust.com", "trust-provider.com"];

fn caa(sight: &Sight<'_>) -> Vec<Finding> {
    let site = sight.look.discovery.well_known.iter().filter_map(|fetch| fetch.hops.first()?.tls.as_ref());
    let targets = sight.connected().filter_map(|seen| seen.tls.as_ref());
    let mut found: Vec<Finding> = Vec::new();
    for facts in targets.chain(site) {
        let finding = of(sight, facts);
        found.extend(finding.filter(|finding| !found.iter().any(|other| other.subject == finding.subject)));
    }
    found
}

fn of(sight: &Sight<'_>, facts: &TlsFacts) -> Option<Finding> {
    let host = &facts.name.needed;
    let issuer = &facts.chain.first()?.issuer;
    let (name, domains) = AUTHORITIES.iter().find(|(organisation, _)| issuer.contains(organisation))?;
    let ground = sight.look.grounds.iter().find(|ground| ground.host == *host)?;
    let (at, record) = ground.caa.as_ref()?.shuts_out(domains)?;
    let name = name.trim_start_matches("O=");
    let (status, said) = match facts.path {
        Path::Expired(_) => (Status::Fail, format!("has a certificate that has ended, and {name} may not renew it")),
        _ => (Status::Warn, format!("has a certificate from {name}, who may not renew it")),
    };
    let finding = Finding::new(status, CAA, host, said).seen(format!("{at} CAA {record}"));
    Some(finding.remedy(format!("add at whoever runs the zone: {at}. 300 IN CAA 0 issue \"{}\"", domains[0])))
}
