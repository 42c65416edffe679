//! What is about to happen, before anything has: names, servers, ports, time, and what a person should know first.

use std::fmt::Write;

use crate::compat;
use crate::config::{Apex, Config, Existing, LETSENCRYPT, Profile, Proxy, Service};

/// The plan in words, ending with "Nothing has been changed yet."
pub fn summary(config: &Config) -> String {
    let mut text = format!("\nA federated Rocket.Chat for {}\n\n", config.names.federated);
    for (label, lines) in [
        ("Names", names(config)),
        ("Servers", servers(config)),
        ("Docker", vec!["installed by apt (docker.io) if this machine has none".to_owned()]),
        ("Ports", vec![ports(config.proxy).to_owned()]),
        ("Certificate", vec![certificate(config)]),
        ("Federation", federation(config)),
        ("Administrator", vec![administrator(config)]),
        ("Takes", vec![minutes(config.profile).to_owned()]),
    ] {
        for (index, line) in lines.iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {label:<14} {line}");
        }
    }
    text.push_str("\nWhat you should know first\n\n");
    for point in honest(config) {
        let _ = writeln!(text, "  - {}", point.replace('\n', "\n    "));
    }
    text.push_str("\nNothing has been changed yet.");
    text
}

fn names(config: &Config) -> Vec<String> {
    let names = &config.names;
    let width = [&names.federated, &names.chat, &names.matrix].map(|name| name.as_str().len());
    let width = width.into_iter().max().unwrap_or_default();
    let homeserver = if config.profile.has_homeserver() { "the homeserver" } else { "federation" };
    let line = |name: &dyn std::fmt::Display, what: &str| format!("{:<width$}  {what}", name.to_string());
    vec![
        line(&names.federated, &format!("people are @user:{}, for ever", names.federated)),
        line(&names.chat, "Rocket.Chat"),
        line(&names.matrix, homeserver),
    ]
}

fn servers(config: &Config) -> Vec<String> {
    use Service::{Gateway, Homeserver, Mongodb, Postgres, Relay, Rocketchat};
    let run = config.services();
    let servers: Vec<String> = [Rocketchat, Mongodb, Homeserver, Postgres, Relay, Gateway]
        .into_iter()
        .filter(|service| run.contains(service))
        .map(|service| {
            let name = match service {
                Gateway => "nginx",
                Homeserver if config.profile == Profile::Synapse => "Synapse",
                Homeserver => "Dendrite",
                Mongodb => "MongoDB",
                Postgres => "PostgreSQL",
                Relay => "rcfed relay",
                Rocketchat => "Rocket.Chat",
            };
            compat::version(config, service).map_or_else(|| name.to_owned(), |version| format!("{name} {version}"))
        })
        .collect();
    let theirs = config.rocketchat.existing.as_ref().map(|existing| match existing {
        Existing::Container(name) => format!("yours: Rocket.Chat in the container {name}, with its MongoDB"),
        Existing::Elsewhere { url, bridge } => format!("yours: Rocket.Chat at {url}, its bridge at {bridge}"),
    });
    servers.chunks(3).map(|line| line.join(", ")).chain(theirs).collect()
}

fn ports(proxy: Proxy) -> &'static str {
    match proxy {
        Proxy::Gateway => "80 and 443 on all addresses; published ports bypass ufw",
        Proxy::Host => "none of its own: your nginx gets two files in conf.d and forwards to 127.0.0.1",
        Proxy::None => "none of its own: your proxy forwards to 127.0.0.1",
    }
}

fn certificate(config: &Config) -> String {
    let names = config.names.served().len();
    let authority = if config.acme.directory == LETSENCRYPT { "Let's Encrypt" } else { &config.acme.directory };
    let rehearsal =
        if config.acme.staging.is_some() { ", rehearsed with its staging first" } else { ", without rehearsal" };
    let plural = if names == 1 { "name" } else { "names" };
    format!("one for {names} {plural} from {authority}{rehearsal}")
}

/// What differs from a server of the public internet; mostly nothing.
fn federation(config: &Config) -> Vec<String> {
    let networks = config.federation.private_networks.iter().map(|network| format!("asks servers in {network} too"));
    let ca = config.federation.ca.as_ref().map(|ca| format!("also trusts the authorities in {}", ca.path.display()));
    networks.chain(ca).collect()
}

fn administrator(config: &Config) -> String {
    let password = match config.admin.password_file.as_ref() {
        Some(path) => format!("password from {}", path.display()),
        None => "a password is made and shown at the end".into(),
    };
    format!("{}; {password}", config.admin.username)
}

fn minutes(profile: Profile) -> &'static str {
    match profile {
        Profile::Dendrite | Profile::Synapse => "5 to 10 minutes, most of it downloading images",
        Profile::Native => "5 to 8 minutes, most of it downloading images",
    }
}

fn honest(config: &Config) -> Vec<String> {
    let mut points =
        vec![format!("`{}` can never be changed: other servers know people and rooms by it.", config.names.federated)];
    if config.names.apex == Apex::Elsewhere {
        points.push(format!(
            "{0} stays with its web site, which must forward two paths; rcfed shows which.\nUntil it does, nobody \
             outside finds you. Other Rocket.Chats also ask {0} whether\na user exists, which a static web site cannot \
             answer.",
            config.names.federated
        ));
    }
    if let Some(existing) = &config.rocketchat.existing {
        points.push(
            "Rocket.Chat and its MongoDB stay as they are: never stopped, updated or backed up by rcfed. It\nwrites the \
             federation settings, takes an access token, and `rcfed uninstall` gives both back."
                .into(),
        );
        if config.rocketchat.replace_homeserver {
            points.push(
                "The homeserver of now is given up: rooms with people of other servers end, and they have to\nbe invited \
                 again. What was said stays in Rocket.Chat."
                    .into(),
            );
        }
        if matches!(existing, Existing::Elsewhere { .. }) {
            points.push(
                "From another machine Rocket.Chat cannot fetch files and avatars of other servers: they are not\npublic. \
                 Its bridge has no encryption: only this machine should reach that port."
                    .into(),
            );
        }
    }
    if config.rocketchat.certifies_itself() {
        points.push(
            "Rocket.Chat believes this server's own relay that other servers reach it: nobody outside looks.".into(),
        );
    }
    let end = compat::end_of_life(config.profile).filter(|_| config.rocketchat.existing.is_none());
    if let Some(end) = end {
        points
            .push(format!("{end}. The official\nmobile apps and push notifications refuse it. The web client works."));
    }
    if config.profile.has_homeserver() {
        points.push("Without an enterprise licence its bridge federates one-to-one conversations only.".into());
        points.push(
            "Some rooms of other servers have a version the bridge cannot read; they are refused\nwith the reason. \
             Start conversations from Rocket.Chat."
                .into(),
        );
    } else {
        points.push(
            "Federation works only if the licence includes it; when it ends, such rooms become\nread-only.".into(),
        );
    }
    points.push("End-to-end encrypted rooms cannot be read.".into());
    let registered = config.rocketchat.registration_token_file.is_some() || config.rocketchat.license_file.is_some();
    if !registered && config.rocketchat.existing.is_none() {
        points.push(
            "No registration token was given: Rocket.Chat may make the workspace read-only. You can\nadd one later, and \
             rcfed checks it by really sending a message."
                .into(),
        );
    }
    points
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::answers::Answers;
    use crate::config::Mode;
    use crate::host::authorities::Authorities;

    #[test]
    fn the_plan_in_words() {
        let files = [
            "federated_domain = \"example.org\"",
            "federated_domain = \"chat.example.org\"\nchat_domain = \"chat.example.org\"\nprofile = \"synapse\"\n\
             proxy = \"host\"\n[acme]\ndirectory = \"https://ca.example.net/dir\"\n[rocketchat]\n\
             registration_token_file = \"/root/token\"\n[federation]\n\
             private_networks = [\"10.20.0.0/16\", \"fd12:3456:789a::/48\"]\n[admin]\npassword_file = \"/root/password\"",
            "federated_domain = \"example.org\"\napex = \"elsewhere\"\nprofile = \"native\"\nproxy = \"none\"\n\
             [images]\nrocketchat = \"registry.example.net/chat:8.9.9\"\n[rocketchat]\nlicense_file = \"/root/license\"",
            "federated_domain = \"example.org\"\nproxy = \"host\"\n[admin]\npassword_file = \"/root/password\"\n\
             [rocketchat]\ncontainer = \"chat_rocketchat_1\"\nreplace_homeserver = true",
            "federated_domain = \"example.org\"\n[admin]\npassword_file = \"/root/password\"\n\
             [rocketchat]\nurl = \"http://10.0.0.5:3000\"\nbridge_url = \"http://10.0.0.5:3300\"",
        ];
        let config = |text| {
            let answers = Answers::from_toml(text, Path::new("answers.toml")).unwrap();
            Config::from_answers(&answers, Mode::Interactive).unwrap()
        };
        let mut closed = config(files[0]);
        closed.rocketchat.federation_tester = Some(crate::config::Tester::Own);
        closed.federation.ca = Some(Authorities { path: "/etc/ssl/inside.pem".into(), pem: String::new() });
        let texts: Vec<String> = files.map(config).into_iter().chain([closed]).map(|config| summary(&config)).collect();
        for line in texts.iter().flat_map(|text| text.lines()) {
            assert!(line.chars().count() <= 100, "{line}");
        }
        insta::assert_snapshot!(texts.join("\n\n────\n"));
    }
}
