//! Every file as it is written, and every structured one as its reader understands it.

use std::fmt::Write;

use rcfed::config::{Existing, Profile, Proxy, Service, Tester};
use rcfed::host::authorities::Authorities;
use rcfed::render::{Phase, Rendered, redact, rocketchat_env, secrets_in};
use rcfed::sizes::Sizes;
use rcfed::topology;

use crate::{NAMES, config, files, sites, text};

/// The first set of names is shown whole, the others only where they differ from it.
#[test]
fn every_file_of_every_combination() {
    for profile in Profile::ALL {
        let usual = files(&config(profile, NAMES[0], Proxy::Gateway), false);
        insta::assert_snapshot!(profile.name(), show(&usual));
        for names in &NAMES[1..] {
            let other = files(&config(profile, *names, Proxy::Gateway), false);
            insta::assert_snapshot!(format!("{}_{}", profile.name(), names.0), show(&different(other, &usual)));
        }
    }
    for profile in [Profile::Dendrite, Profile::Synapse] {
        let mut config = config(profile, NAMES[0], Proxy::Gateway);
        let usual = files(&config, false);
        config.federate_with = vec!["example.com".into(), "matrix.example.net:8448".into()];
        let few = files(&config, false);
        insta::assert_snapshot!(format!("{}_with_few", profile.name()), show(&different(few, &usual)));
        config.federate_with.clear();
        for (place, existing) in [
            ("here", Existing::Container("chat_rocketchat_1".into())),
            (
                "there",
                Existing::Elsewhere { url: "http://10.0.0.5:3000".into(), bridge: "http://10.0.0.5:3300".into() },
            ),
            (
                "open",
                Existing::Elsewhere { url: "https://chat.example.org".into(), bridge: "http://10.0.0.5:3300".into() },
            ),
        ] {
            config.names.chat_elsewhere = place == "open";
            config.rocketchat.existing = Some(existing);
            let taken = files(&config, false);
            assert!(taken.iter().all(|file| !matches!(file.service, Service::Mongodb | Service::Rocketchat)));
            insta::assert_snapshot!(format!("{}_taken_{place}", profile.name()), show(&different(taken, &usual)));
        }
    }
}

/// What IPv6 and another proxy change in a file, each change once with all combinations that have it.
#[test]
fn ipv6_and_proxies_of_every_combination() {
    let mut changes: Vec<(String, &str, Vec<String>)> = Vec::new();
    let mut note = |change: String, what, whose: String| match changes
        .iter_mut()
        .find(|(known, other, _)| *known == change && *other == what)
    {
        Some((.., all)) => all.push(whose),
        None => changes.push((change, what, vec![whose])),
    };
    let first = sites(&config(Profile::Dendrite, NAMES[0], Proxy::Host), false);
    for profile in Profile::ALL {
        for names in NAMES {
            let whose = || format!("{} {}", profile.name(), names.0);
            let all = |proxy, ipv6| files(&config(profile, names, proxy), ipv6);
            for change in changed(&all(Proxy::Gateway, false), &all(Proxy::Gateway, true)) {
                note(change, "IPv6", whose());
            }
            for (ipv6, proxied, host) in [(false, "proxied", "host"), (true, "IPv6, proxied", "IPv6, host")] {
                let behind = all(Proxy::Host, ipv6);
                assert_eq!(behind, all(Proxy::None, ipv6));
                for change in changed(&all(Proxy::Gateway, ipv6), &behind) {
                    note(change, proxied, whose());
                }
                for (first, site) in first.iter().zip(sites(&config(profile, names, Proxy::Host), ipv6)) {
                    assert_eq!((first.path, first.phase), (site.path, site.phase));
                    note(format!("===== {}\n{}", site.path, lines(&first.text, &site.text)), host, whose());
                }
            }
        }
    }
    let mut shown = String::new();
    for site in &first {
        writeln!(shown, "===== {} {:?}\n{}\n", site.path, site.phase, without_digest(&site.text)).unwrap();
    }
    for (change, what, whose) in changes {
        let everywhere = whose.len() == Profile::ALL.len() * NAMES.len();
        let whose = if everywhere { "everywhere".into() } else { whose.join(", ") };
        writeln!(shown, "# {what}: {whose}\n{change}").unwrap();
    }
    insta::assert_snapshot!(shown);
}

/// Files that are not the same, each with the lines that go and come.
fn changed(old: &[Rendered], new: &[Rendered]) -> Vec<String> {
    let is = |a: &Rendered, b: &Rendered| (a.service, a.name) == (b.service, b.name);
    let gone = old.iter().filter(|old| !new.iter().any(|new| is(old, new)));
    let mut shown: Vec<String> =
        gone.map(|file| format!("===== {}/{} is not there\n", file.service, file.name)).collect();
    for file in new.iter().filter(|file| !old.contains(file)) {
        let before = old.iter().find(|old| is(old, file)).map_or("", |file| &file.text);
        let changes = lines(before, &file.text);
        if !changes.is_empty() {
            let (service, name) = (file.service, file.name);
            shown.push(format!("===== {service}/{name} {:04o} {:?}\n{changes}", file.mode, file.phase));
        }
    }
    shown
}

/// Lines that go and come, each once: the same is said of every server and every location.
fn lines(old: &str, new: &str) -> String {
    let (old, new) = (without_digest(old), without_digest(new));
    let mut shown: Vec<String> = Vec::new();
    for change in similar::TextDiff::from_lines(&old, &new).iter_all_changes() {
        let line = format!("{}{}", change.tag(), change.value().trim_end());
        if change.tag() != similar::ChangeTag::Equal && !shown.contains(&line) {
            shown.push(line);
        }
    }
    shown.iter().map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_environment_of_rocketchat() {
    let mut shown = String::new();
    for profile in Profile::ALL {
        let mut config = config(profile, NAMES[0], Proxy::Gateway);
        config.rocketchat.registration_token_file = Some("/root/token".into());
        config.rocketchat.license_file = Some("/root/license".into());
        config.rocketchat.federation_tester = Some(Tester::At("https://tester.example.org".into()));
        let sizes = Sizes::for_memory(2048, false);
        writeln!(shown, "## {}", profile.name()).unwrap();
        for (name, value) in rocketchat_env(&config, &sizes) {
            assert!(secrets_in(&value).is_empty());
            writeln!(shown, "{name}={value}").unwrap();
        }
        let files = files(&config, false);
        for (name, file) in files.iter().filter_map(|file| Some((file.name.strip_prefix("env/")?, file))) {
            assert_eq!(file.mode, 0o400);
            writeln!(shown, "{name}={}", redact(&file.text)).unwrap();
        }
    }
    insta::assert_snapshot!(shown);
}

/// Only what differs from a deployment that keeps to the public internet.
#[test]
fn a_federation_that_is_not_the_public_internet() {
    let mut shown = String::new();
    for profile in Profile::ALL {
        let usual = config(profile, NAMES[0], Proxy::Gateway);
        let mut near = usual.clone();
        near.federation.private_networks = ["10.20.0.0/16", "fd12:3456:789a::/48"].map(|n| n.parse().unwrap()).into();
        near.federation.ca = Some(Authorities { path: "/root/ca.pem".into(), pem: "<certificates>\n".into() });
        writeln!(shown, "## {}", profile.name()).unwrap();
        let before = files(&usual, false);
        for file in different(files(&near, false), &before) {
            writeln!(shown, "===== {}/{} {:04o}", file.service, file.name, file.mode).unwrap();
            let old = before.iter().find(|old| (old.service, old.name) == (file.service, file.name));
            let lines: Vec<&str> = old.map(|old| old.text.lines().collect()).unwrap_or_default();
            file.text.lines().filter(|line| !lines.contains(line)).for_each(|line| writeln!(shown, "{line}").unwrap());
            if file.name.ends_with(".yaml") {
                drop(yaml_serde::from_str::<yaml_serde::Value>(&file.text).unwrap());
            }
        }
        let sizes = Sizes::for_memory(2048, false);
        let topology = |config| topology::topology(config, &sizes, &Default::default()).unwrap();
        let (usual, near) = (topology(&usual), topology(&near));
        for (old, new) in usual.containers.iter().zip(&near.containers) {
            for (name, value) in new.env.iter().filter(|(name, value)| old.env.get(*name) != Some(value)) {
                writeln!(shown, "{} {name}={value}", new.service).unwrap();
            }
            let reads = matches!(new.service, Service::Homeserver | Service::Rocketchat);
            assert_eq!(old.hash() != new.hash(), reads, "{}", new.service);
        }
    }
    insta::assert_snapshot!(shown);
}

/// A deployment that vouches for itself: what Rocket.Chat asks, and what the relay needs for its answer.
#[test]
fn a_federation_without_a_tester() {
    let mut config = config(Profile::Dendrite, NAMES[0], Proxy::Gateway);
    config.federation.ca = Some(Authorities { path: "/root/ca.pem".into(), pem: "<certificates>\n".into() });
    let before = files(&config, false);
    config.rocketchat.federation_tester = Some(Tester::Own);
    let env = rocketchat_env(&config, &Sizes::for_memory(2048, false));
    assert_eq!(env["FEDERATION_TESTER_HOST"], "http://relay:8080");
    insta::assert_snapshot!(show(&different(files(&config, false), &before)));
}

/// A container that has the file mounted has to be started anew once its content changes.
#[test]
fn other_authorities_are_another_container() {
    let hash = |pem: &str| {
        let mut config = config(Profile::Synapse, NAMES[0], Proxy::Gateway);
        config.federation.ca = Some(Authorities { path: "/root/ca.pem".into(), pem: pem.into() });
        let topology = topology::topology(&config, &Sizes::for_memory(2048, false), &Default::default()).unwrap();
        topology.container(Service::Homeserver).unwrap().hash()
    };
    assert_eq!(hash("one"), hash("one"));
    assert_ne!(hash("one"), hash("other"));
}

#[test]
fn structured_files_mean_what_they_say() {
    for profile in Profile::ALL {
        for names in NAMES {
            let files = files(&config(profile, names, Proxy::Gateway), true);
            for file in &files {
                let secrets = secrets_in(&file.text);
                assert_eq!(file.mode == 0o400, !secrets.is_empty(), "{}", file.name);
                match file.name.rsplit_once('.') {
                    Some((_, "yaml")) => drop(yaml_serde::from_str::<yaml_serde::Value>(&file.text).unwrap()),
                    Some((_, "toml")) => drop(toml::from_str::<toml::Table>(&file.text).unwrap()),
                    _ => {}
                }
            }
            if profile == Profile::Native {
                assert!(files.iter().all(|file| !matches!(file.service, Service::Homeserver | Service::Postgres)));
                continue;
            }
            let registration: yaml_serde::Value = yaml_serde::from_str(text(&files, "registration.yaml")).unwrap();
            for key in ["id", "as_token", "hs_token"] {
                assert!(registration[key].as_str().unwrap().starts_with("@secret:"), "{key} must be a string");
            }
            assert!(!registration["url"].as_str().unwrap().ends_with('/'));
            let main = if profile == Profile::Dendrite { "dendrite.yaml" } else { "homeserver.yaml" };
            let main: yaml_serde::Value = yaml_serde::from_str(text(&files, main)).unwrap();
            let scope = if profile == Profile::Dendrite { &main["global"] } else { &main };
            assert_eq!(scope["server_name"].as_str(), Some(names.1));
        }
    }
}

#[test]
fn only_a_site_with_tls_waits_for_a_certificate() {
    for (proxy, phase) in [(Proxy::Gateway, Phase::Certified), (Proxy::Host, Phase::Start), (Proxy::None, Phase::Start)]
    {
        let files = files(&config(Profile::Dendrite, NAMES[0], proxy), false);
        for file in files {
            let expected = if file.name == "tls.d/site.conf" { phase } else { Phase::Start };
            assert_eq!(file.phase, expected, "{}", file.name);
            assert!(phase == Phase::Certified || !file.text.contains("pair.pem"));
        }
    }
}

fn different(mut files: Vec<Rendered>, usual: &[Rendered]) -> Vec<Rendered> {
    files.retain(|file| !usual.contains(file));
    files
}

fn show(files: &[Rendered]) -> String {
    let mut shown = String::new();
    for file in files {
        let (service, name, mode, phase) = (file.service, file.name, file.mode, file.phase);
        writeln!(shown, "===== {service}/{name} {mode:04o} {phase:?}\n{}", file.text).unwrap();
    }
    without_digest(&shown)
}

/// Digests change with every character of the text they stand for, which is here to be read anyway.
fn without_digest(text: &str) -> String {
    let lines = text.lines().map(|line| match line.split_once("return 200 \"") {
        Some((before, _)) => format!("{before}return 200 \"<digest>\";"),
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}
