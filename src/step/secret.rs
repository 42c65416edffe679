//! Secrets: made once, or copied from a file of the user.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom, SystemRandom};

use super::error::StepError;
use super::words;
use super::{State, account};
use crate::adopt;
use crate::clock;
use crate::error::Result;
use crate::host::fs;
use crate::machine::Machine;
use crate::rocketchat::license::{self, LicenseError};
use crate::secrets::{NoRandomness, Secret, SecretName};
use crate::topology::{self, Origin};

pub(super) fn inspect(machine: &Machine, secret: &topology::Secret) -> Result<State> {
    let kept = machine.secrets.get(secret.name)?;
    Ok(match (&secret.origin, kept) {
        (_, None) => State::Absent,
        // It counts only for the first start; afterwards Rocket.Chat has the password, and people change it there.
        (Origin::File(_), Some(_)) if secret.name == SecretName::AdminPassword => State::Current,
        (Origin::File(path), Some(kept)) => match fs::read_text(path)? {
            Some(text) if text.trim_end_matches('\n') != kept.expose() => State::Differs(words::ANOTHER_IN_FILE.into()),
            _ => State::Current,
        },
        _ => State::Current,
    })
}

pub(super) async fn apply(machine: &Machine, secret: &topology::Secret) -> Result<String> {
    let value = match &secret.origin {
        Origin::File(path) if secret.name == SecretName::License => {
            let text = fs::read_text(path)?.ok_or_else(|| LicenseError::Missing(path.clone()))?;
            license::check(path, &text, clock::now())?;
            Secret::new(text.trim_end_matches('\n'))
        }
        Origin::File(path) => {
            let text = fs::read_text(path)?.unwrap_or_default();
            let text = text.trim_end_matches('\n');
            if text.is_empty() || text.contains('\n') {
                let what = secret.name.name().replace('_', " ");
                return Err(StepError::OneLine { path: path.clone(), what }.into());
            }
            Secret::new(text)
        }
        Origin::Exchange(length) => exchanged(machine, secret.name, *length).await?,
        Origin::Password => Secret::password()?,
        Origin::Random(length) => Secret::random(*length)?,
        Origin::Seed => seed()?,
    };
    machine.secrets.put(secret.name, &value)?;
    Ok(String::new())
}

/// What Rocket.Chat has, if it may stay; else a new one, which goes to Rocket.Chat with its other settings.
async fn exchanged(machine: &Machine, name: SecretName, length: usize) -> Result<Secret> {
    let (Some(client), Some(id)) = (account::with_token(machine).await?, adopt::setting_of(name)) else {
        return Err(StepError::NoAccess.into());
    };
    let unique = client.setting("uniqueID").await?;
    let theirs = client.setting(id).await?;
    let (theirs, unique) = (theirs.as_str().unwrap_or_default(), unique.as_str().unwrap_or_default());
    match adopt::unguessable(name, theirs, unique) {
        true => Ok(Secret::new(theirs)),
        false => Ok(Secret::random(length)?),
    }
}

fn seed() -> Result<Secret> {
    let mut seed = [0u8; 32];
    SystemRandom::new().fill(&mut seed).map_err(|_| NoRandomness)?;
    Ok(Secret::new(STANDARD.encode(seed)))
}
