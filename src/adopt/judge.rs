//! Whether a Rocket.Chat that runs already can be taken. Pure: what was found, against what is wanted.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Found;
use crate::compat::has_bridge;
use crate::config::Config;
use crate::error::Explain;
use crate::rocketchat::RestError;
use crate::secrets::SecretName;
use crate::topology::hex;

/// The settings that federation stands on, the one that starts the bridge last.
pub const SETTINGS: [&str; 8] = [
    "Federation_Matrix_id",
    "Federation_Matrix_hs_token",
    "Federation_Matrix_as_token",
    "Federation_Matrix_homeserver_url",
    "Federation_Matrix_homeserver_domain",
    "Federation_Matrix_bridge_url",
    "Federation_Matrix_serve_well_known",
    "Federation_Matrix_enabled",
];

/// The setting that holds what both sides know.
pub fn setting_of(name: SecretName) -> Option<&'static str> {
    match name {
        SecretName::AppserviceId => Some("Federation_Matrix_id"),
        SecretName::AsToken => Some("Federation_Matrix_as_token"),
        SecretName::HsToken => Some("Federation_Matrix_hs_token"),
        _ => None,
    }
}

/// Whether a token that Rocket.Chat has may stay: nobody can compute it from the public `uniqueID`, it is long enough,
/// and no file format has to quote it. An id is no secret.
pub fn unguessable(name: SecretName, value: &str, unique: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let computed = |prefix: &str| hex(&Sha256::digest(format!("{prefix}_{unique}")));
    let fits = !value.is_empty() && value.chars().all(plain);
    match name {
        SecretName::AppserviceId => fits,
        _ => fits && value.len() >= 32 && value != computed("hs") && value != computed("as"),
    }
}

/// Refuses what cannot work, what would not last, and what would lose rooms.
pub(super) fn judge(config: &Config, found: &Found) -> Result<(), AdoptError> {
    let text = |id: &str| found.settings.get(id).and_then(Value::as_str).unwrap_or_default();
    if !has_bridge(&found.version) {
        return Err(AdoptError::Version { version: found.version.clone() });
    }
    if !found.settings.contains_key("Federation_Matrix_enabled") {
        return Err(AdoptError::Unknown { version: found.version.clone() });
    }
    let server = config.names.federated.as_str();
    let was = text("Federation_Matrix_homeserver_domain");
    let was = was.split_once("://").map_or(was, |(_, name)| name).trim_end_matches('/');
    let url = text("Federation_Matrix_homeserver_url");
    // The default, which nobody ever federated with.
    let set_up = found.settings.get("Federation_Matrix_enabled") == Some(&Value::Bool(true))
        && !url.is_empty()
        && url != "http://localhost:8008";
    // Its container has another name now.
    let ours = url == config.homeserver_url() && was == server;
    if (set_up || found.stranger.is_some()) && !ours {
        let sign = match (&found.stranger, set_up) {
            (Some(user), _) => format!("it knows `{user}`"),
            (None, _) => format!("its homeserver is {url}"),
        };
        if was != server {
            return Err(AdoptError::OtherName { was: was.into(), wanted: server.into(), sign });
        }
        if !config.rocketchat.replace_homeserver {
            return Err(AdoptError::Used { server: server.into(), sign });
        }
    }
    let mut kept = Vec::new();
    for (id, value) in &found.forced {
        let wanted = wanted(config, id);
        if wanted.as_ref().is_some_and(|wanted| !value.eq_ignore_ascii_case(wanted)) {
            kept.push((format!("OVERWRITE_SETTING_{id}"), wanted.unwrap_or_default()));
        }
    }
    if !kept.is_empty() {
        return Err(AdoptError::Forced { kept });
    }
    for name in [SecretName::AppserviceId, SecretName::AsToken, SecretName::HsToken] {
        let Some(id) = setting_of(name) else { continue };
        if let Some(value) = found.forced.get(id)
            && !unguessable(name, value, &found.unique)
        {
            return Err(AdoptError::Guessable { variable: format!("OVERWRITE_SETTING_{id}") });
        }
    }
    Ok(())
}

/// What a setting has to be that is no secret; as its variable would say it.
fn wanted(config: &Config, id: &str) -> Option<String> {
    Some(match id.strip_prefix("Federation_Matrix_")? {
        "enabled" => "true".into(),
        "serve_well_known" => "false".into(),
        "homeserver_url" => config.homeserver_url(),
        "homeserver_domain" => config.names.federated.to_string(),
        "bridge_url" => config.bridge().into(),
        _ => return None,
    })
}

/// Why a Rocket.Chat that runs already is not taken.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// No such container.
    #[error("there is no container `{name}`, or rcfed made it")]
    Gone {
        /// Its name.
        name: String,
    },
    /// It does not run.
    #[error("the container `{name}` does not run")]
    Stopped {
        /// Its name.
        name: String,
    },
    /// It has no network of its own.
    #[error("the container `{name}` has no network of its own, so it cannot be connected to rcfed's")]
    NoNetwork {
        /// Its name.
        name: String,
    },
    /// It listens somewhere else.
    #[error("Rocket.Chat in the container `{name}` listens on port {port}, and rcfed knows 3000 only")]
    Port {
        /// The container's name.
        name: String,
        /// The port.
        port: String,
    },
    /// It does not answer.
    #[error("no Rocket.Chat answers at {at}")]
    Silent {
        /// Where it was looked for.
        at: String,
        /// What happened.
        source: RestError,
    },
    /// The administrator is not let in.
    #[error("Rocket.Chat does not let `{user}` log in")]
    Login {
        /// The user.
        user: String,
        /// What it said.
        source: RestError,
    },
    /// Its settings cannot be read.
    #[error("the settings of Rocket.Chat cannot be read as `{user}`")]
    Read {
        /// The user.
        user: String,
        /// What it said.
        source: RestError,
    },
    /// It has no bridge.
    #[error("this Rocket.Chat is {version}, and only 4.7 to 7.10 have the bridge to a homeserver")]
    Version {
        /// Its version.
        version: String,
    },
    /// It hides its federation settings.
    #[error("this Rocket.Chat {version} does not show the settings of its bridge")]
    Unknown {
        /// Its version.
        version: String,
    },
    /// It federates under another name.
    #[error(
        "this Rocket.Chat federates as `{was}` already ({sign}), and its people and rooms would be lost as `{wanted}`"
    )]
    OtherName {
        /// Its name so far.
        was: String,
        /// The name it should get.
        wanted: String,
        /// How that shows.
        sign: String,
    },
    /// It federates through another homeserver.
    #[error("this Rocket.Chat federates as `{server}` already ({sign}), and a new homeserver does not know its rooms")]
    Used {
        /// Its name.
        server: String,
        /// How that shows.
        sign: String,
    },
    /// Its environment forces settings.
    #[error("the environment of its container forces settings, which would come back when it starts: {}", names(kept))]
    Forced {
        /// The variables, with the values they would need.
        kept: Vec<(String, String)>,
    },
    /// Its environment forces a token that is none.
    #[error("the environment of its container forces a token that is short or that anybody can compute: {variable}")]
    Guessable {
        /// The variable.
        variable: String,
    },
}

fn names(kept: &[(String, String)]) -> String {
    kept.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
}

impl Explain for AdoptError {
    fn hint(&self) -> Option<String> {
        let hint: String = match self {
            Self::Gone { .. } => "`docker ps` shows the names of what runs".into(),
            Self::Stopped { name } => format!("start it with `docker start {name}`"),
            Self::NoNetwork { .. } => {
                "leave `container` out, and give addresses of this machine: `url = \"http://ADDRESS:3000\"` and \
                 `bridge_url = \"http://ADDRESS:3300\"`"
                    .into()
            }
            Self::Port { port, .. } => {
                format!("set PORT=3000 there and publish it as {port}, then run the same command again")
            }
            Self::Silent { source: source @ RestError::Certificate { .. }, .. } => source.hint()?,
            Self::Silent { .. } => "see what it says with `docker logs`, and give it time to start".into(),
            Self::Login { source: RestError::TotpRequired { method, .. }, .. } if method == "email" => {
                "run the same command in a terminal: it asks for the code that Rocket.Chat sends by e-mail, one to log in and \
                 one to take rcfed's token. Or name another administrator with `username` below `[admin]`"
                    .into()
            }
            Self::Login { source: RestError::TotpRequired { .. }, .. } => {
                "give the code of the authenticator app with `--two-factor-code` or in RCFED_TWO_FACTOR_CODE, at once, for it \
                 is valid for about 30 seconds; in a terminal it is asked for. Or name another administrator with \
                 `username` below `[admin]`"
                    .into()
            }
            Self::Login { source: source @ RestError::WrongCode { .. }, .. } => source.hint()?,
            Self::Login { .. } => {
                "check `username` and the file `password_file` below `[admin]`: an administrator of that \
                 Rocket.Chat, with the password as it is now"
                    .into()
            }
            Self::Read { .. } => "name an administrator of that Rocket.Chat with `username` below `[admin]`".into(),
            Self::Version { .. } => {
                "an older one can be updated up to 7.10 where it runs. A newer one cannot go back: with an \
                 enterprise licence it federates by itself (Workspace > Federation), without one not at all"
                    .into()
            }
            Self::Unknown { .. } => {
                "see whether SETTINGS_HIDDEN or SETTINGS_BLOCKED in its environment name them".into()
            }
            Self::OtherName { was, .. } => {
                format!("keep the name: `federated_domain = \"{was}\"`, or leave this Rocket.Chat as it is")
            }
            Self::Used { server, .. } => format!(
                "leave it as it is, or give up what the homeserver of now holds: with `replace_homeserver = true` below \
                 `[rocketchat]`, messages stay in Rocket.Chat, but every room with people of other servers ends, they have to \
                 be invited anew, and what other servers send meanwhile to the old rooms of `{server}` is lost"
            ),
            Self::Forced { kept } => {
                let lines: String = kept.iter().map(|(name, value)| format!("\n  {name}={value}")).collect();
                return Some(format!(
                    "take them out of its compose file, or write them as below, and make the container anew. Nothing has been \
                     changed{lines}"
                ));
            }
            Self::Guessable { variable } => {
                format!(
                    "take {variable} out of its compose file and make the container anew; rcfed then writes a random one"
                )
            }
        };
        Some(format!("{hint}. Nothing has been changed"))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;
    use crate::answers::Answers;
    use crate::config::Mode;

    const UNIQUE: &str = "uniqueWorkspace42";

    fn config(more: &str) -> Config {
        let text = format!(
            "federated_domain = \"example.org\"\n[admin]\npassword_file = \"/p\"\n[rocketchat]\ncontainer = \"rocketchat\"\n{more}"
        );
        Config::from_answers(&Answers::from_toml(&text, Path::new("a.toml")).unwrap(), Mode::Unattended).unwrap()
    }

    /// As it is when nobody ever touched its federation.
    fn fresh() -> Found {
        let settings = [
            ("Federation_Matrix_enabled", json!(false)),
            ("Federation_Matrix_homeserver_url", json!("http://localhost:8008")),
            ("Federation_Matrix_homeserver_domain", json!("https://chat.example.org")),
        ];
        Found { version: "7.10.15".into(), unique: UNIQUE.into(), settings: settings.into(), ..Found::default() }
    }

    fn used(domain: &str) -> Found {
        let mut found = fresh();
        found.settings.extend([
            ("Federation_Matrix_enabled", json!(true)),
            ("Federation_Matrix_homeserver_url", json!("http://dendrite:8008")),
            ("Federation_Matrix_homeserver_domain", json!(domain)),
        ]);
        found
    }

    fn forced(pairs: &[(&str, &str)]) -> Found {
        let variable = |(id, value): &(&str, &str)| (format!("Federation_Matrix_{id}"), (*value).to_owned());
        Found { forced: pairs.iter().map(variable).collect(), ..fresh() }
    }

    #[test]
    fn tokens_that_can_be_computed_do_not_stay() {
        let default = hex(&Sha256::digest(format!("hs_{UNIQUE}")));
        for (name, value, stays) in [
            (SecretName::HsToken, default.as_str(), false),
            (SecretName::AsToken, default.as_str(), false),
            (SecretName::AsToken, "0123456789abcdef0123456789abcdef", true),
            (SecretName::AsToken, "0123456789abcdef0123456789abcde", false),
            (SecretName::AsToken, "0123456789abcdef0123456789\"abcdef: x", false),
            (SecretName::AppserviceId, "rocketchat_uniqueWorkspace42", true),
            (SecretName::AppserviceId, "", false),
        ] {
            assert_eq!(unguessable(name, value, UNIQUE), stays, "{value}");
        }
    }

    #[test]
    fn what_is_taken() {
        let default = Found { version: "6.11.3".into(), ..fresh() };
        // Switched on once, without a homeserver: nobody ever federated.
        let on = Found { settings: [("Federation_Matrix_enabled", json!(true))].into(), ..fresh() };
        let good =
            forced(&[("enabled", "TRUE"), ("homeserver_url", "http://rcfed-gateway:8008"), ("bridge_localpart", "x")]);
        let mut renamed = used("example.org");
        renamed.settings.insert("Federation_Matrix_homeserver_url", json!("http://rcfed-gateway:8008"));
        for found in [fresh(), default, on, good, renamed] {
            judge(&config(""), &found).unwrap();
        }
        judge(&config("replace_homeserver = true"), &used("example.org")).unwrap();
    }

    #[test]
    fn every_refusal_says_why_and_what_to_do() {
        let stranger = Found { stranger: Some("bob:other.example".into()), ..fresh() };
        let no_settings = Found { settings: [].into(), ..fresh() };
        let computed = hex(&Sha256::digest(format!("as_{UNIQUE}")));
        let cases = [
            Found { version: "7.11.0".into(), ..fresh() },
            Found { version: "8.5.3".into(), ..fresh() },
            Found { version: "4.6.1".into(), ..fresh() },
            no_settings,
            used("other.example"),
            used("example.org"),
            stranger,
            forced(&[("homeserver_url", "http://dendrite:8008"), ("serve_well_known", "true"), ("as_token", "kept")]),
            forced(&[("as_token", &computed)]),
        ];
        let mut told: Vec<AdoptError> = cases.iter().map(|found| judge(&config(""), found).unwrap_err()).collect();
        let unauthorized = || RestError::Unauthorized { what: "log in" };
        let asked = |method: &str| AdoptError::Login {
            user: "ada".into(),
            source: RestError::TotpRequired { what: "log in", method: method.into(), sent: true },
        };
        let wrong = |method: &str| AdoptError::Login {
            user: "ada".into(),
            source: RestError::WrongCode { what: "log in", method: method.into() },
        };
        told.extend([
            AdoptError::Gone { name: "rocketchat".into() },
            AdoptError::Stopped { name: "rocketchat".into() },
            AdoptError::NoNetwork { name: "rocketchat".into() },
            AdoptError::Port { name: "rocketchat".into(), port: "8080".into() },
            AdoptError::Silent { at: "http://10.0.0.5:3000".into(), source: unauthorized() },
            AdoptError::Login { user: "ada".into(), source: unauthorized() },
            asked("totp"),
            asked("email"),
            wrong("totp"),
            wrong("email"),
            AdoptError::Silent {
                at: "https://chat.example.org".into(),
                source: RestError::Certificate {
                    base: "https://chat.example.org/".into(),
                    why: "invalid peer certificate: UnknownIssuer".into(),
                },
            },
            AdoptError::Read { user: "ada".into(), source: RestError::Forbidden { what: "read a setting" } },
        ]);
        let lines = told.into_iter().map(|error| {
            let hint = error.hint().unwrap();
            format!("{}\n  hint: {hint}", crate::error::Error::from(error).message())
        });
        insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
    }
}
