//! The tokens of a deployment, as its files, its servers and its people have them.

#![allow(dead_code)]

use std::collections::BTreeMap;

use crate::support::Bed;

/// Both tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    pub as_token: String,
    pub hs_token: String,
}

impl Tokens {
    pub fn of(bed: &Bed) -> Self {
        Self { as_token: secret(bed, "as_token"), hs_token: secret(bed, "hs_token") }
    }

    pub fn replaced(&self, old: &Self) {
        assert!(self.as_token != old.as_token && self.hs_token != old.hs_token, "a token is still the old one");
        assert!(self.as_token.len() == 64 && self.hs_token.len() == 64);
    }
}

/// One whole rotation, with everything that must be so afterwards.
pub fn rotated(bed: &Bed) {
    let (before, kept, containers) = (Tokens::of(bed), others(bed), started(bed));
    let run = bed.rcfed(&["tokens", "rotate"]).well();
    let after = Tokens::of(bed);
    after.replaced(&before);
    assert!(run.stdout.starts_with("Both sides have new tokens. The old ones are refused by "), "{}", run.stdout);
    assert!(!run.stderr.contains("Mended") && !run.stderr.contains("Worth a look"), "{}", run.stderr);
    for token in [&before, &after].into_iter().flat_map(|tokens| [&tokens.as_token, &tokens.hs_token]) {
        assert!(!run.stdout.contains(token) && !run.stderr.contains(token), "a token is printed");
    }
    assert_eq!(others(bed), kept, "only the two tokens change, and rcfed's own access is among the others");
    same_on_both_sides(bed, &after);
    dead(bed, &before);
    let now = started(bed);
    let restarted: Vec<&str> = now.keys().filter(|n| now.get(*n) != containers.get(*n)).map(String::as_str).collect();
    let with_relay = now.contains_key("rcfed-relay");
    let wanted = if with_relay {
        &["rcfed-homeserver", "rcfed-relay", "rcfed-rocketchat"][..]
    } else {
        &["rcfed-homeserver", "rcfed-rocketchat"]
    };
    assert_eq!(restarted, wanted);
    // People are the last to notice.
    for first in wanted.iter().filter(|name| **name != "rcfed-rocketchat") {
        assert!(now[*first] < now["rcfed-rocketchat"], "{now:#?}");
    }
}

/// Files, Rocket.Chat's environment and both servers have these tokens.
pub fn same_on_both_sides(bed: &Bed, tokens: &Tokens) {
    let services = bed.root().join("var/lib/rcfed/services");
    let registration = std::fs::read_to_string(services.join("homeserver/registration.yaml")).unwrap();
    assert!(registration.contains(&tokens.as_token) && registration.contains(&tokens.hs_token));
    let variable = |name: &str| {
        let path = services.join(format!("rocketchat/env/OVERWRITE_SETTING_Federation_Matrix_{name}"));
        std::fs::read_to_string(path).unwrap()
    };
    assert_eq!((variable("as_token"), variable("hs_token")), (tokens.as_token.clone(), tokens.hs_token.clone()));
    assert_eq!(doors(bed, tokens).into_values().collect::<Vec<_>>(), vec!["200"; doors(bed, tokens).len()]);
    let verdict = std::fs::read_to_string(bed.root().join("var/lib/rcfed/federation.json")).unwrap();
    assert!(verdict.contains("\"valid\""), "{verdict}");
    assert!(!bed.root().join("var/lib/rcfed/secrets/rotation").exists());
}

/// Those doors take these tokens.
pub fn taken(bed: &Bed, tokens: &Tokens, wanted: &[&str]) {
    let doors = doors(bed, tokens);
    assert!(wanted.iter().all(|door| doors[door] == "200"), "{doors:?}");
}

/// Nobody takes these tokens any more.
pub fn dead(bed: &Bed, tokens: &Tokens) {
    for (door, status) in doors(bed, tokens) {
        assert!(status == "401" || status == "403", "{door} answers {status} to the old token");
    }
}

/// What each side answers to its token: the homeserver as others reach it, the relay and the bridge where they are.
fn doors(bed: &Bed, tokens: &Tokens) -> BTreeMap<&'static str, String> {
    let header = format!("Authorization: Bearer {}", tokens.as_token);
    let (whoami, _) = bed.https("https://matrix.fed.test/_matrix/client/v3/account/whoami", &["-H", &header]);
    let mut doors = BTreeMap::from([("homeserver", whoami.to_string())]);
    for (name, port) in [("relay", 8080), ("rocketchat", 3300)] {
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        let address = bed.try_bed(&["run", "docker", "inspect", "-f", format, &format!("rcfed-{name}")]);
        if !address.ok {
            continue;
        }
        let url = format!("http://{}:{port}/_matrix/app/v1/transactions/test", address.stdout.trim());
        let header = format!("Authorization: Bearer {}", tokens.hs_token);
        let words = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", "PUT", "-H", &header];
        let body = ["-H", "Content-Type: application/json", "-d", "{\"events\":[]}", &url];
        doors.insert(name, bed.run(&[&words[..], &body].concat()));
    }
    doors
}

/// Every other secret, and how often each changed.
fn others(bed: &Bed) -> BTreeMap<String, String> {
    let directory = bed.root().join("var/lib/rcfed/secrets");
    let names = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names = names.filter(|name| !["as_token", "hs_token", "versions"].contains(&name.as_str()));
    names.map(|name| (name.clone(), secret(bed, &name))).collect()
}

fn secret(bed: &Bed, name: &str) -> String {
    std::fs::read_to_string(bed.root().join("var/lib/rcfed/secrets").join(name)).unwrap().trim().to_owned()
}

/// When each container was started.
pub fn started(bed: &Bed) -> BTreeMap<String, String> {
    let list = bed.run(&["sh", "-c", "docker inspect -f '{{.Name}} {{.State.StartedAt}}' $(docker ps -aq)"]);
    let pair = |line: &str| line.trim_start_matches('/').split_once(' ').map(|(n, at)| (n.to_owned(), at.to_owned()));
    list.lines().filter_map(pair).collect()
}
