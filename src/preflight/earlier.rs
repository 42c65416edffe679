//! What somebody set up here before: a Rocket.Chat, a homeserver, sites of nginx and certificates of certbot for these
//! names. By hand, after a guide, or with docker compose: rcfed takes Rocket.Chat over if it is told to, and leaves the
//! rest as it is with a word.

use std::path::{Path, PathBuf};

use crate::config::{Config, Existing, Proxy};
use crate::finding::Finding;
use crate::host::docker::{Docker, Foreign};
use crate::host::{Host, fs};

const ID: &str = "machine.earlier";

/// What is there.
#[derive(Clone, Debug, Default)]
struct Seen {
    containers: Vec<Foreign>,
    /// Files of nginx, with the names in them.
    sites: Vec<(PathBuf, Vec<String>)>,
    /// Names of certbot's certificates.
    certificates: Vec<String>,
}

/// Looks and judges; an engine that cannot be asked is another check's matter.
pub(crate) async fn check(host: &Host, config: &Config) -> Vec<Finding> {
    let mut seen = Seen { sites: sites(host), certificates: certificates(host), ..Seen::default() };
    if let Ok(mut docker) = Docker::new(&host.docker)
        && docker.engine().await.is_ok()
    {
        seen.containers = docker.all_foreign().await.unwrap_or_default();
    }
    judge(&seen, config)
}

fn judge(seen: &Seen, config: &Config) -> Vec<Finding> {
    let chats: Vec<&Foreign> = seen.containers.iter().filter(|c| is(c, &["rocket.chat"])).collect();
    let mut findings: Vec<Finding> = chats.iter().map(|chat| rocketchat(chat, seen, config)).collect();
    let servers = seen.containers.iter().filter(|c| is(c, &["dendrite-monolith", "dendrite", "synapse"]));
    findings.extend(servers.map(|server| homeserver(server, &chats, config)));
    if config.proxy == Proxy::Host {
        findings.extend(seen.sites.iter().filter_map(|(path, names)| site(path, names, config)));
    }
    findings.extend(seen.certificates.iter().filter(|name| ours(name, config)).map(|name| {
        Finding::warn(ID, "certbot", format!("has a certificate for {name}; rcfed leaves it alone and gets its own"))
            .seen(format!("/etc/letsencrypt/live/{name}"))
            .remedy(format!("once all works, `certbot delete --cert-name {name}`: its renewal fails without its site"))
    }));
    findings
}

fn rocketchat(chat: &Foreign, seen: &Seen, config: &Config) -> Finding {
    let Foreign { name, image, .. } = chat;
    let url = chat.env.get("ROOT_URL").cloned().unwrap_or_default();
    if config.rocketchat.existing == Some(Existing::Container(name.clone())) {
        return Finding::ok(ID, "Rocket.Chat", format!("in the container `{name}` is taken as it is"));
    }
    let host = url.split("://").last().unwrap_or_default().split(['/', ':']).next().unwrap_or_default();
    let said =
        format!("runs here already, in the container `{name}` for {}", if url.is_empty() { "no name" } else { &url });
    if config.rocketchat.existing.is_some() || !ours(host, config) {
        return Finding::warn(ID, "Rocket.Chat", said)
            .seen(format!("image {image}"))
            .remedy("nothing, if another one beside it is what you want and there is memory for both");
    }
    let beside = seen.containers.iter().filter(|other| other.project.is_some() && other.project == chat.project);
    let finding =
        Finding::fail(ID, "Rocket.Chat", format!("{said}; another one would begin without its people and messages"));
    let finding = beside.fold(finding, |finding, other| finding.seen(format!("{}: image {}", other.name, other.image)));
    finding.remedy(format!(
        "have it taken over as it is, with its MongoDB: `--rocketchat-container {name} --admin-username NAME \
         --admin-password-file FILE` with one of its administrators. Or stop it for good: `docker stop {name}`"
    ))
}

fn homeserver(server: &Foreign, chats: &[&Foreign], config: &Config) -> Finding {
    let Foreign { name, image, project, .. } = server;
    let said = format!("runs here already, in the container `{name}`");
    let beside = |chat: &&&Foreign| project.is_some() && chat.project == *project;
    let finding = if chats.iter().find(beside).is_none() {
        Finding::warn(ID, "a homeserver", said).remedy(format!(
            "nothing, if it serves another name than {}; a name has one homeserver",
            config.names.federated
        ))
    } else if config.rocketchat.replace_homeserver {
        Finding::warn(
            ID,
            "a homeserver",
            format!("{said}; Rocket.Chat leaves it, and its rooms with other servers end"),
        )
        .remedy(format!("once all works, `docker stop {name}`; rcfed touches neither it nor its data"))
    } else {
        Finding::fail(
            ID,
            "a homeserver",
            format!("{said}; its rooms and keys cannot be taken over, and a new one for the same name does not know them"),
        )
        .remedy(
            "stay with it; or begin anew with `--rocketchat-replace-homeserver`: messages stay in Rocket.Chat, rooms with \
             people of other servers end and they have to be invited again. Before that, keep its signing key \
             (matrix_key.pem, or NAME.signing.key) and a dump of its database",
        )
    };
    finding.seen(format!("image {image}"))
}

/// Two sites with one name: nginx takes the first that it reads, and says so only in its log.
fn site(path: &Path, names: &[String], config: &Config) -> Option<Finding> {
    let mut taken: Vec<&str> = names.iter().map(String::as_str).filter(|name| ours(name, config)).collect();
    taken.sort_unstable();
    taken.dedup();
    let (path, file) = (path.display(), path.file_name()?.to_string_lossy());
    (!taken.is_empty()).then(|| {
        Finding::fail(ID, "this machine's nginx", format!("has a site for {} already", taken.join(", ")))
            .seen(path.to_string())
            .remedy(format!(
                "put it aside when people can do without for some minutes, then run the same command: \
                 `mv {path} /etc/nginx/{file}.before-rcfed && nginx -t && systemctl reload nginx`"
            ))
    })
}

fn ours(name: &str, config: &Config) -> bool {
    let names = &config.names;
    [&names.federated, &names.chat, &names.matrix].iter().any(|own| own.as_str().eq_ignore_ascii_case(name))
}

/// Whether a container was made from one of these images, wherever that came from.
fn is(container: &Foreign, images: &[&str]) -> bool {
    let last = container.image.rsplit('/').next().unwrap_or_default();
    images.contains(&last.split([':', '@']).next().unwrap_or_default())
}

fn sites(host: &Host) -> Vec<(PathBuf, Vec<String>)> {
    let mut files: Vec<PathBuf> = ["/etc/nginx/conf.d", "/etc/nginx/sites-enabled"]
        .iter()
        .flat_map(|directory| std::fs::read_dir(host.path(directory)).into_iter().flatten().flatten())
        .map(|entry| entry.path())
        .collect();
    files.sort();
    let read = |path: PathBuf| {
        let text = fs::read_text(&path).ok().flatten()?;
        (!text.starts_with("# Written by rcfed")).then(|| (path, server_names(&text)))
    };
    files.into_iter().filter_map(read).collect()
}

/// The words of every `server_name` in a configuration of nginx.
fn server_names(text: &str) -> Vec<String> {
    let plain: Vec<&str> = text.lines().map(|line| line.split('#').next().unwrap_or_default()).collect();
    let statements = plain.join(" ");
    let named = statements.split([';', '{', '}']).filter_map(|statement| statement.trim().strip_prefix("server_name "));
    named.flat_map(str::split_whitespace).map(str::to_owned).collect()
}

fn certificates(host: &Host) -> Vec<String> {
    let entries = std::fs::read_dir(host.path("/etc/letsencrypt/live")).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.path().is_dir());
    let mut names: Vec<String> = directories.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::Answers;
    use crate::config::Mode;

    fn config(more: &str) -> Config {
        let text = format!("federated_domain = \"example.org\"\naccept_end_of_life = true\n{more}");
        Config::from_answers(&Answers::from_toml(&text, Path::new("a.toml")).unwrap(), Mode::Unattended).unwrap()
    }

    fn container(name: &str, image: &str, project: &str, url: &str) -> Foreign {
        Foreign {
            name: name.into(),
            image: image.into(),
            running: true,
            project: (!project.is_empty()).then(|| project.into()),
            env: [("ROOT_URL".into(), url.into())].into(),
            ..Foreign::default()
        }
    }

    #[test]
    fn names_in_a_site() {
        let text = "server {\n  listen 80 ; # server_name no.example;\n  server_name a.example\n    b.example;\n  return 404;\n}\n\
                    server { server_name c.example; }\nserver_names_hash_bucket_size 64;";
        assert_eq!(server_names(text), ["a.example", "b.example", "c.example"]);
    }

    /// The machine of the guide of 2022, one that is nobody's business, and an empty one.
    #[test]
    fn what_was_set_up_before_is_named_with_the_way_on() {
        let guide = Seen {
            containers: vec![
                container(
                    "chat_rocketchat_1",
                    "registry.rocket.chat/rocketchat/rocket.chat:4.8.0",
                    "chat",
                    "https://chat.example.org",
                ),
                container("chat_mongo_1", "mongo:4.0", "chat", ""),
                container("chat_dendrite_1", "matrixdotorg/dendrite-monolith:v0.8.7", "chat", ""),
            ],
            sites: vec![(
                "/etc/nginx/sites-enabled/matrix".into(),
                vec!["matrix.example.org".into(), "chat.example.org".into()],
            )],
            certificates: vec!["example.org".into(), "other.example".into()],
        };
        let mut other = guide.clone();
        other.sites[0].1 = vec!["other.example".into()];
        other.certificates.clear();
        other.containers[0] = container("rc", "rocketchat/rocket.chat@sha256:1", "", "https://chat.other.example");
        let adopts =
            "proxy = \"host\"\n[admin]\npassword_file = \"/p\"\n[rocketchat]\ncontainer = \"chat_rocketchat_1\"\n";
        let cases = [
            ("the guide's, nothing said", &guide, config("")),
            ("the guide's, nginx stays", &guide, config("proxy = \"host\"")),
            ("the guide's, taken over", &guide, config(&format!("{adopts}replace_homeserver = true"))),
            ("another's", &other, config("proxy = \"host\"")),
            ("empty", &Seen::default(), config("proxy = \"host\"")),
        ];
        let told = cases.map(|(what, seen, config)| {
            let lines = judge(seen, &config).into_iter().map(|f| {
                let seen: String = f.evidence.iter().map(|fact| format!("\n    {fact}")).collect();
                format!("{:?} {} {}{seen}\n    → {}", f.status, f.subject, f.summary, f.remedy.unwrap_or_default())
            });
            format!("# {what}\n{}", lines.collect::<Vec<_>>().join("\n"))
        });
        insta::assert_snapshot!(told.join("\n\n"));
    }
}
