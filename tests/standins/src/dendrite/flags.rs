//! Command line flags by the rules of Go's `flag` package: one dash or two, `-name value` or `-name=value`, switches only
//! with `=`, and nothing after the first word that is no flag.

/// The flags that matter here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flags {
    pub config: String,
    pub version: bool,
    pub open_registration: bool,
    pub http_bind_address: String,
    pub skip_db_sanity: bool,
}

/// cmd/dendrite/main.go, setup/flags.go and internal/sqlutil: names that take a value and mean nothing here.
const IGNORED: [&str; 5] = ["https-bind-address", "tls-cert", "tls-key", "unix-socket", "unix-socket-permission"];

impl Flags {
    /// Reads the words after the program's name.
    ///
    /// # Errors
    /// With the text Go prints before it ends with status 2.
    pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut flags = Self {
            config: "dendrite.yaml".to_owned(),
            version: false,
            open_registration: false,
            http_bind_address: ":8008".to_owned(),
            skip_db_sanity: false,
        };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let Some(body) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else { break };
            if body.is_empty() {
                break;
            }
            if body.starts_with(['-', '=']) {
                return Err(format!("bad flag syntax: {word}"));
            }
            let (name, given) =
                body.split_once('=').map_or((body, None), |(name, value)| (name, Some(value.to_owned())));
            match name {
                "version" => flags.version = switch(name, given)?,
                "really-enable-open-registration" => flags.open_registration = switch(name, given)?,
                "skip-db-sanity" => flags.skip_db_sanity = switch(name, given)?,
                "config" | "http-bind-address" => {
                    let value = given.or_else(|| words.next()).ok_or_else(|| missing(name))?;
                    *(if name == "config" { &mut flags.config } else { &mut flags.http_bind_address }) = value;
                }
                other if IGNORED.contains(&other) => {
                    given.or_else(|| words.next()).ok_or_else(|| missing(name))?;
                }
                other => return Err(format!("flag provided but not defined: -{other}")),
            }
        }
        Ok(flags)
    }
}

fn missing(name: &str) -> String {
    format!("flag needs an argument: -{name}")
}

fn switch(name: &str, given: Option<String>) -> Result<bool, String> {
    match given.as_deref() {
        None | Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
        Some(other) => Err(format!("invalid boolean value {other:?} for -{name}: parse error")),
    }
}
