//! What the web site on the federated domain has to answer, where that is somebody else's: the answers themselves, and the
//! lines that make common web servers give them.
//!
//! Three addresses. The first two are documents; by the third other Rocket.Chats ask whether somebody exists before
//! they let people write to them, and they ask the federated domain itself, not its delegate. Pure, but for [`look`].

mod look;
mod wait;

use clap::ValueEnum;
use serde_json::json;

use crate::config::Config;
use crate::render;

pub use look::{Available, Seen, available, look};
pub use wait::wait;

/// What a web site is served by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// nginx, 1.10 or newer.
    Nginx,
    /// Apache, 2.4.
    Apache,
    /// Caddy, 2.
    Caddy,
    /// Files alone, as GitHub Pages, Netlify and the like publish them.
    Static,
    /// Cloudflare before any host: a worker, or a redirect rule.
    Cloudflare,
}

/// A document, and the path it stands at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Below the federated domain.
    pub path: &'static str,
    /// The whole answer.
    pub body: String,
}

/// The path that is asked whether somebody exists.
pub const AVAILABLE: &str = "/_matrix/client/v3/register/available";

/// The documents. Without a homeserver there is none for Matrix clients.
pub fn documents(config: &Config) -> Vec<Document> {
    let matrix = &config.names.matrix;
    let mut all = vec![Document {
        path: "/.well-known/matrix/server",
        body: json!({ "m.server": format!("{matrix}:443") }).to_string(),
    }];
    if config.profile.has_homeserver() {
        let body = json!({ "m.homeserver": { "base_url": format!("https://{matrix}") } }).to_string();
        all.push(Document { path: "/.well-known/matrix/client", body });
    }
    all
}

/// What has to be answered, for whatever serves the site.
pub fn plain(config: &Config) -> String {
    let (site, matrix) = (&config.names.federated, &config.names.matrix);
    let mut lines = vec![format!("The web site on {site} must answer, over HTTPS and with status 200:"), String::new()];
    for Document { path, body } in documents(config) {
        lines.push(format!("  https://{site}{path}  {body}"));
    }
    lines.push(String::new());
    lines.push("both with `Access-Control-Allow-Origin: *` and as application/json.".into());
    if config.profile.has_homeserver() {
        lines.push(format!(
            "And it must pass https://{site}/_matrix/client/*/register/available on to https://{matrix}, or redirect there \
             (307): other Rocket.Chats ask it whether somebody exists."
        ));
    } else {
        lines[4] = "with `Access-Control-Allow-Origin: *` and as application/json.".into();
    }
    lines.push(String::new());
    lines.push("Ready lines: `rcfed apex nginx`, `apache`, `caddy`, `static` or `cloudflare`.".into());
    lines.join("\n")
}

/// Ready lines for a web server.
pub fn snippet(config: &Config, kind: Kind) -> Result<String, render::RenderError> {
    let file = match kind {
        Kind::Nginx => "apex/nginx.conf",
        Kind::Apache => "apex/apache.conf",
        Kind::Caddy => "apex/Caddyfile",
        Kind::Static => "apex/static.sh",
        Kind::Cloudflare => "apex/cloudflare.js",
    };
    render::apex(config, file)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::answers::Answers;
    use crate::config::Mode;

    fn config(profile: &str) -> Config {
        let licence = if profile == "native" { "\n[rocketchat]\nlicense_file = \"/root/license\"" } else { "" };
        let answers =
            format!("federated_domain = \"example.org\"\napex = \"elsewhere\"\nprofile = \"{profile}\"{licence}");
        let answers = Answers::from_toml(&answers, Path::new("answers.toml")).unwrap();
        Config::from_answers(&answers, Mode::Interactive).unwrap()
    }

    #[test]
    fn ready_lines() {
        for profile in ["dendrite", "native"] {
            let config = config(profile);
            insta::assert_snapshot!(format!("plain_{profile}"), plain(&config));
            for kind in Kind::value_variants() {
                let name = format!("{kind:?}_{profile}").to_lowercase();
                insta::assert_snapshot!(name, snippet(&config, *kind).unwrap());
            }
        }
    }

    /// The page shows the lines of the three web servers as they are printed for its names.
    #[test]
    fn the_page_shows_what_is_printed() {
        let page = include_str!("../docs/apex-elsewhere.md");
        for kind in [Kind::Nginx, Kind::Apache, Kind::Caddy] {
            let text = snippet(&config("dendrite"), kind).unwrap();
            let commands = text.lines().filter_map(|line| line.strip_prefix("#   "));
            for line in text.lines().filter(|line| !line.starts_with('#')).chain(commands) {
                assert!(page.lines().any(|shown| shown == line), "{kind:?}: {line}");
            }
        }
    }

    /// Every snippet holds every document, letter by letter.
    #[test]
    fn no_server_gets_another_document() {
        let config = config("synapse");
        for kind in Kind::value_variants() {
            let text = snippet(&config, *kind).unwrap();
            for document in documents(&config) {
                assert!(text.contains(&document.body), "{kind:?} lacks {}", document.body);
            }
        }
    }
}
