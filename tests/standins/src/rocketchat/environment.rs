//! The environment Rocket.Chat is configured by.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;

/// What the process was started with.
pub(super) struct Environment {
    variables: BTreeMap<String, String>,
    pub(super) version: String,
    pub(super) mongo: MongoUrl,
}

/// `MONGO_URL`, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MongoUrl {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) db: String,
    pub(super) login: Option<(String, String)>,
    pub(super) auth_source: String,
    pub(super) replica_set: Option<String>,
}

impl Environment {
    pub(super) fn new(variables: BTreeMap<String, String>) -> Result<Self, String> {
        let get = |name: &str| variables.get(name).filter(|value| !value.is_empty());
        // Meteor's own words (packages/meteor, packages/mongo).
        get("ROOT_URL").ok_or("Error: Must pass options.rootUrl or set ROOT_URL in the server environment")?;
        let url = get("MONGO_URL").ok_or("Error: MONGO_URL must be set in environment")?;
        let mongo = MongoUrl::parse(url)?;
        let version = match get("STANDIN_VERSION") {
            Some(version) => version.clone(),
            None => std::fs::read_to_string("/app/bundle/rocket.chat-version")
                .map_or_else(|_| "7.10.15".into(), |text| text.trim().to_owned()),
        };
        Ok(Self { variables, version, mongo })
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub(super) fn port(&self) -> u16 {
        self.get("PORT").and_then(|port| port.parse().ok()).unwrap_or(3000)
    }

    pub(super) fn uploads(&self) -> PathBuf {
        self.get("STANDIN_UPLOADS").unwrap_or("/app/uploads").into()
    }

    pub(super) fn duration(&self, name: &str, default: u64) -> Duration {
        Duration::from_millis(self.get(name).and_then(|text| text.parse().ok()).unwrap_or(default))
    }

    /// Whether a second factor is asked for even where the real one would remember an earlier one.
    pub(super) fn strict_2fa(&self) -> bool {
        !matches!(self.get("STANDIN_STRICT_2FA"), Some("0" | "false"))
    }

    /// Major and minor version.
    pub(super) fn release(&self) -> (u32, u32) {
        let mut numbers = self.version.split('.').map(|part| part.parse().unwrap_or(0));
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
    }

    /// The bridge was removed after 7.10 (pull request 36988).
    pub(super) fn has_bridge(&self) -> bool {
        self.release() <= (7, 10)
    }

    /// The check of the configuration and its gate came with 6.12.0 (pull request 32535).
    pub(super) fn has_gate(&self) -> bool {
        self.release() >= (6, 12)
    }

    /// Whether the bridge's library looks for the homeserver's token in the header: since 7.0, by what users report
    /// (issue 33240).
    pub(super) fn reads_header(&self) -> bool {
        self.release() >= (7, 0)
    }
}

impl MongoUrl {
    fn parse(text: &str) -> Result<Self, String> {
        let invalid = || "MongoParseError: Invalid connection string".to_owned();
        let url = Url::parse(text).ok().filter(|url| url.scheme() == "mongodb").ok_or_else(invalid)?;
        let decoded = |text: &str| percent_decoded(text).ok_or_else(invalid);
        let option = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        let db = decoded(url.path().trim_start_matches('/'))?;
        let login = match (url.username(), url.password()) {
            ("", _) => None,
            (user, password) => Some((decoded(user)?, decoded(password.unwrap_or_default())?)),
        };
        // Without authSource the database of the path is asked (MongoDB manual, "Connection String Options").
        let auth_source =
            option("authSource").unwrap_or_else(|| if db.is_empty() { "admin".into() } else { db.clone() });
        Ok(Self {
            host: url.host_str().ok_or_else(invalid)?.to_owned(),
            port: url.port().unwrap_or(27017),
            db: if db.is_empty() { "test".into() } else { db },
            login,
            auth_source,
            replica_set: option("replicaSet"),
        })
    }
}

pub(super) fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        match first {
            b'%' => {
                let digits = std::str::from_utf8(after.get(..2)?).ok()?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(extra: &[(&str, &str)]) -> Environment {
        let base = [
            ("ROOT_URL", "https://chat.test"),
            ("MONGO_URL", "mongodb://m/rocketchat"),
            ("STANDIN_VERSION", "7.10.15"),
        ];
        let all = base.iter().chain(extra).map(|(name, value)| ((*name).into(), (*value).into()));
        Environment::new(all.collect()).unwrap()
    }

    #[test]
    fn a_mongo_url_with_everything() {
        let url =
            MongoUrl::parse("mongodb://rc:p%40ss@mongodb:27018/rocketchat?replicaSet=rs0&authSource=admin").unwrap();
        assert_eq!((url.host.as_str(), url.port, url.db.as_str()), ("mongodb", 27018, "rocketchat"));
        assert_eq!(url.login, Some(("rc".into(), "p@ss".into())));
        assert_eq!((url.auth_source.as_str(), url.replica_set.as_deref()), ("admin", Some("rs0")));
        assert_eq!(MongoUrl::parse("mongodb://a:b@h/rc").unwrap().auth_source, "rc");
        assert!(MongoUrl::parse("postgres://h").is_err());
    }

    #[test]
    fn versions() {
        assert!(with(&[]).has_bridge() && !with(&[("STANDIN_VERSION", "8.5.3")]).has_bridge());
        assert!(Environment::new(BTreeMap::new()).is_err());
    }
}
