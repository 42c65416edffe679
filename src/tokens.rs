//! New tokens for both sides of the bridge, given so that the two never end with different ones.
//!
//! The decision is one file with the old and the new values, written at once and removed when everything is proven. Before
//! it is there nothing has happened; from then on every run that changes the machine goes forward with the same values, so
//! a run that dies anywhere is finished by the next `apply`.
//!
//! # Guarantees
//! Rocket.Chat, which people are connected to, is restarted last, and only when the homeserver and the relay work with the
//! new tokens. The work ends only after both sides were read back and refused the old tokens.

use std::path::PathBuf;

use reqwest::Method;
use serde_json::json;

use crate::change::Look;
use crate::config::{Existing, Service};
use crate::error::{Error, Explain, Result};
use crate::host::Host;
use crate::host::fs::{self, Access, FileError};
use crate::host::secrets::SecretStore;
use crate::layout;
use crate::machine::Machine;
use crate::receipt::{Receipt, Undo};
use crate::secrets::{Secret, SecretName};
use crate::step;

/// A rotation that was decided and is not proven yet.
#[derive(Clone, Debug)]
pub struct Rotation {
    as_token: Pair,
    hs_token: Pair,
}

/// A token before and after.
#[derive(Clone, Debug)]
struct Pair {
    old: Secret,
    new: Secret,
}

/// Whether a rotation was begun and not finished.
pub fn pending(host: &Host) -> Result<bool, TokensError> {
    Ok(fs::access(&host.path(layout::ROTATION))?.is_some())
}

/// Decides on new tokens, unless that was done by a run which did not come to its end. The machine has to be as wanted:
/// whoever rotates tokens does not expect another change.
pub async fn decide(machine: &Machine, receipt: &Receipt) -> Result<()> {
    if pending(&machine.host)? {
        machine.ui.say(GOING_ON);
        return Ok(());
    }
    let look = Look::at(machine, &step::steps(&machine.config, &machine.topology)).await?;
    if !look.deployed {
        return Err(TokensError::NoDeployment.into());
    }
    if let Some(first) = look.changes.iter().find(|change| change.step != "certificate") {
        let (step, more) = (first.step.clone(), look.changes.len() - 1);
        return Err(TokensError::Differs { step, more }.into());
    }
    let pair = |name| -> Result<Pair> {
        let old = machine.secrets.get(name)?.ok_or(TokensError::Missing { name: name.name() })?;
        let new = Secret::random(LENGTH).map_err(|error| Error::new(error.to_string(), "try again"))?;
        Ok(Pair { old, new })
    };
    let rotation = Rotation { as_token: pair(SecretName::AsToken)?, hs_token: pair(SecretName::HsToken)? };
    let undo = Undo::PurgeFile { path: layout::ROTATION.into() };
    if !receipt.owns(&undo) {
        receipt.started("tokens", &undo.into())?;
    }
    Ok(fs::write(&machine.path(layout::ROTATION), rotation.text().as_bytes(), Access::root(0o600))?)
}

/// Puts the new tokens among the secrets, if a rotation was decided, and forgets what was proven with the old ones.
pub fn go_on(host: &Host) -> Result<Option<Rotation>> {
    let path = host.path(layout::ROTATION);
    let Some(text) = fs::read_text(&path)? else { return Ok(None) };
    let rotation = Rotation::parse(&text).ok_or(TokensError::Unreadable { path })?;
    let store = SecretStore::new(host);
    for (name, pair) in rotation.pairs() {
        store.put(name, &pair.new)?;
    }
    // Rocket.Chat's verdict of before stays in its database: it has to be asked anew.
    fs::remove(&host.path(layout::VERDICT))?;
    Ok(Some(rotation))
}

const GOING_ON: &str = "Going on with the tokens that an earlier run made.";

fn rotated(mut refused: Vec<String>) -> String {
    let last = refused.pop().unwrap_or_default();
    let who = if refused.is_empty() { last } else { format!("{} and {last}", refused.join(", ")) };
    format!("Both sides have new tokens. The old ones are refused by {who}.")
}

impl Rotation {
    /// Sees that nobody takes the old tokens any more, and ends the rotation; in words.
    pub async fn finish(self, machine: &Machine) -> Result<String> {
        let task = machine.ui.task("Try the old tokens");
        let mut refused = Vec::new();
        for door in doors(machine) {
            let old = if door.of_homeserver { &self.as_token.old } else { &self.hs_token.old };
            match door.refuses(machine, old).await {
                Ok(status) => refused.push(format!("{} ({status})", door.who)),
                Err(error) => {
                    task.failed("");
                    return Err(error.into());
                }
            }
        }
        fs::remove(&machine.path(layout::ROTATION))?;
        task.done("all refused");
        Ok(rotated(refused))
    }

    fn pairs(&self) -> [(SecretName, &Pair); 2] {
        [(SecretName::AsToken, &self.as_token), (SecretName::HsToken, &self.hs_token)]
    }

    fn text(&self) -> String {
        let line = |(name, pair): (SecretName, &Pair)| {
            format!("{} {} {}\n", name.name(), pair.old.expose(), pair.new.expose())
        };
        self.pairs().into_iter().map(line).collect()
    }

    fn parse(text: &str) -> Option<Self> {
        let pair = |wanted: SecretName| {
            let line = text.lines().find_map(|line| line.strip_prefix(wanted.name())?.strip_prefix(' '))?;
            let (old, new) = line.split_once(' ')?;
            let whole = !old.is_empty() && new.len() == LENGTH;
            whole.then(|| Pair { old: Secret::new(old), new: Secret::new(new) })
        };
        Some(Self { as_token: pair(SecretName::AsToken)?, hs_token: pair(SecretName::HsToken)? })
    }
}

/// Somebody who takes a token.
struct Door {
    who: &'static str,
    service: Service,
    port: u16,
    /// The homeserver takes the bridge's token, the others take the homeserver's.
    of_homeserver: bool,
}

fn doors(machine: &Machine) -> Vec<Door> {
    let all = [
        Door { who: "the homeserver", service: Service::Homeserver, port: 8008, of_homeserver: true },
        Door { who: "the relay", service: Service::Relay, port: 8080, of_homeserver: false },
        Door { who: "the bridge", service: Service::Rocketchat, port: 3300, of_homeserver: false },
    ];
    // The bridge is asked wherever it runs, also in a Rocket.Chat that somebody else runs.
    let there = |door: &Door| door.service == Service::Rocketchat || machine.topology.container(door.service).is_some();
    all.into_iter().filter(there).collect()
}

impl Door {
    /// The status of a refusal. Whoever takes the token after all gets an empty transaction, which changes nothing.
    async fn refuses(&self, machine: &Machine, old: &Secret) -> Result<u16, TokensError> {
        let who = self.who;
        let theirs = machine.config.rocketchat.existing.as_ref().filter(|_| self.service == Service::Rocketchat);
        let container = match theirs {
            None => Some(self.service.container()),
            Some(Existing::Container(name)) => Some(name.clone()),
            Some(Existing::Elsewhere { .. }) => None,
        };
        let silent = |why: String| TokensError::Silent { who, why, service: self.service };
        let url = machine.url(self.service, self.port).await.map_err(|error| silent(error.message()))?;
        let base = url.ok_or_else(|| silent("it does not run".into()))?;
        let (method, path, body) = if self.of_homeserver {
            (Method::GET, "/_matrix/client/v3/account/whoami", None)
        } else {
            (Method::PUT, "/_matrix/app/v1/transactions/rcfed-old-token", Some(json!({ "events": [] })))
        };
        let answer = machine.host.send(method, &format!("{base}{path}"), Some(old.expose()), body.as_ref()).await;
        match answer {
            Ok((status @ (401 | 403), _)) => Ok(status),
            Ok((status, _)) => Err(TokensError::StillTaken { who, container, status }),
            Err(error) => Err(silent(error.to_string())),
        }
    }
}

/// Letters and digits of a token, as of those made first.
const LENGTH: usize = 64;

/// Why tokens were not rotated, or not to the end.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// The machine is not as the configuration says.
    #[error("the machine is not as the configuration says ({step}{}), and new tokens would change that too; nothing was changed",
        if *.more > 0 { format!(" and {more} more") } else { String::new() })]
    Differs {
        /// The first step that differs.
        step: String,
        /// How many others do.
        more: usize,
    },
    /// A token is not among the secrets.
    #[error("the secret `{name}` is not on this machine, so there is nothing to change")]
    Missing {
        /// Its name.
        name: &'static str,
    },
    /// Rocket.Chat federates by itself.
    #[error("the profile native has no tokens: Rocket.Chat is its own homeserver, and nobody else has to know it")]
    Native,
    /// Nothing is deployed.
    #[error("there is no deployment whose tokens could be changed")]
    NoDeployment,
    /// One side could not be asked.
    #[error("{who} could not be asked whether it refuses the old token: {why}")]
    Silent {
        /// Which side.
        who: &'static str,
        /// Why.
        why: String,
        /// Whose log tells more.
        service: Service,
    },
    /// One side takes the old token still.
    #[error("{who} did not refuse the old token: it answered with status {status}")]
    StillTaken {
        /// Which side.
        who: &'static str,
        /// Its container, if it is on this machine.
        container: Option<String>,
        /// What it answered.
        status: u16,
    },
    /// The decision cannot be understood.
    #[error("`{}` cannot be understood", path.display())]
    Unreadable {
        /// Where it is.
        path: PathBuf,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Explain for TokensError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Differs { .. } => {
                "look with `sudo rcfed plan --diff`, run `sudo rcfed apply`, then this again".into()
            }
            Self::Missing { .. } => "run `sudo rcfed apply`, which says how to bring it back".into(),
            Self::Native => {
                "to end the access of a person or an integration, use Rocket.Chat's own administration".into()
            }
            Self::NoDeployment => "make one with `sudo rcfed init`".into(),
            Self::Silent { service, .. } => {
                format!("see `sudo rcfed logs {service}`, then run `sudo rcfed apply`, which goes on from here")
            }
            Self::StillTaken { container: Some(container), .. } => {
                format!("run `sudo docker restart {container}`, then `sudo rcfed apply`, which goes on from here")
            }
            Self::StillTaken { container: None, .. } => {
                "restart Rocket.Chat where it runs, then run `sudo rcfed apply`, which goes on from here".into()
            }
            Self::Unreadable { path } => {
                format!("remove it with `sudo rm {}`, then run `sudo rcfed tokens rotate`", path.display())
            }
            Self::File(error) => return error.hint(),
        })
    }

    fn exit_code(&self) -> u8 {
        if matches!(self, Self::Native) { 2 } else { 1 }
    }
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;
