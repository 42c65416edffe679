//! Rendered files, read by what will read them: parsers, nginx itself, and requests through it.

mod live;
mod nginx;
mod scripts;
mod snapshots;

use std::collections::BTreeMap;

use rcfed::config::{AcmeConfig, Admin, Apex, Config, FederationConfig, Names, Profile, Proxy, RocketchatConfig};
use rcfed::domain::{DomainName, Username};
use rcfed::render::{self, Rendered, Site};
use rcfed::sizes::Sizes;

/// How host names may coincide: label, federated, chat, matrix, who serves the federated one.
const NAMES: [(&str, &str, &str, &str, Apex); 7] = [
    ("distinct", "example.org", "chat.example.org", "matrix.example.org", Apex::Here),
    ("elsewhere", "example.org", "chat.example.org", "matrix.example.org", Apex::Elsewhere),
    ("federated_is_chat", "example.org", "example.org", "matrix.example.org", Apex::Here),
    ("federated_is_matrix", "example.org", "chat.example.org", "example.org", Apex::Here),
    ("chat_is_matrix", "example.org", "chat.example.org", "chat.example.org", Apex::Here),
    ("chat_is_matrix_elsewhere", "example.org", "chat.example.org", "chat.example.org", Apex::Elsewhere),
    ("all_one", "example.org", "example.org", "example.org", Apex::Here),
];

fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

fn config(profile: Profile, names: (&str, &str, &str, &str, Apex), proxy: Proxy) -> Config {
    let (_, federated, chat, matrix, apex) = names;
    Config {
        names: Names {
            federated: name(federated),
            chat: name(chat),
            matrix: name(matrix),
            apex,
            chat_elsewhere: false,
        },
        email: None,
        profile,
        proxy,
        accept_end_of_life: true,
        admin: Admin {
            username: Username::parse("ada").unwrap(),
            email: Some("ada@example.org".parse().unwrap()),
            password_file: None,
        },
        rocketchat: RocketchatConfig::default(),
        federation: FederationConfig::default(),
        images: BTreeMap::new(),
        memory: BTreeMap::new(),
        acme: AcmeConfig { directory: "https://ca.example/directory".into(), staging: None, ca: None },
        addresses: Vec::new(),
        federate_with: Vec::new(),
        doctor: Default::default(),
    }
}

fn files(config: &Config, ipv6: bool) -> Vec<Rendered> {
    render::files(config, &Sizes::for_memory(2048, ipv6)).unwrap()
}

/// What the machine's own nginx gets, where that one is the proxy.
fn sites(config: &Config, ipv6: bool) -> Vec<Site> {
    render::sites(config, &Sizes::for_memory(2048, ipv6)).unwrap()
}

fn text<'a>(files: &'a [Rendered], name: &str) -> &'a str {
    &files.iter().find(|file| file.name == name).unwrap_or_else(|| panic!("no {name}")).text
}
