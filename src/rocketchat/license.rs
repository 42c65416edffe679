//! What can be read in a licence before Rocket.Chat has seen it.
//!
//! Since version 3 a licence is `RCV3_` and a signed JSON Web Token, so its modules and periods are there for everybody to
//! read; an older one is base64 of one encrypted block, and only Rocket.Chat can open it (ee/packages/license/src/token.ts,
//! ILicenseV3.ts). Whether the signature is right, and whether a licence is for this address, is Rocket.Chat's to say.

use std::io;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::Value;

use crate::error::Explain;

/// The module that lets Rocket.Chat federate.
pub const FEDERATION: &str = "federation";

/// The block of the RSA key with which older licences are encrypted has 512 bytes; a shorter key would still be no less.
const LEAST_BLOCK: usize = 256;

/// A text that has the form of a licence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct License {
    /// What it grants; `None` if only Rocket.Chat can read it.
    pub modules: Option<Vec<String>>,
    /// When it ends, if that can be read.
    pub until: Option<Timestamp>,
}

/// Why a file is no use as a licence.
#[derive(Debug, thiserror::Error)]
pub enum LicenseError {
    /// The file is not there.
    #[error("there is no licence at `{}`", .0.display())]
    Missing(PathBuf),
    /// The file cannot be read.
    #[error("the licence `{}` cannot be read: {}", .0.display(), .1)]
    Unreadable(PathBuf, io::Error),
    /// Nothing is in it.
    #[error("the licence `{}` is an empty file", .0.display())]
    Empty(PathBuf),
    /// Something else is in it.
    #[error("`{}` holds no Rocket.Chat licence: {}", .0.display(), .1)]
    Form(PathBuf, &'static str),
    /// It is over.
    #[error("the licence `{}` ended on {}", .0.display(), .1.strftime("%Y-%m-%d"))]
    Over(PathBuf, Timestamp),
    /// It does not grant federation.
    #[error("the licence `{}` does not include federation; it has {}", .0.display(), listed(.1))]
    NoFederation(PathBuf, Vec<String>),
}

impl Explain for LicenseError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Missing(path) | Self::Empty(path) | Self::Form(path, _) => format!(
                "copy the licence from cloud.rocket.chat into it, as one line: `sudo sh -c 'cat > {}'`",
                path.display()
            ),
            Self::Unreadable(path, _) => format!("look at it with `ls -l {}`", path.display()),
            Self::Over(..) | Self::NoFederation(..) => {
                "ask Rocket.Chat for a licence with the federation add-on; without one, the profiles dendrite and \
                 synapse federate one-to-one rooms"
                    .into()
            }
        })
    }
}

fn listed(modules: &[String]) -> String {
    if modules.is_empty() { "no modules at all".into() } else { format!("only {}", modules.join(", ")) }
}

/// Reads a licence file, and refuses what cannot let Rocket.Chat federate `now`.
pub fn read(path: &Path, now: Timestamp) -> Result<License, LicenseError> {
    match std::fs::read(path) {
        Ok(bytes) => check(path, &String::from_utf8_lossy(&bytes), now),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(LicenseError::Missing(path.into())),
        Err(error) => Err(LicenseError::Unreadable(path.into(), error)),
    }
}

/// The same for a text that was read already; `path` is only named.
pub fn check(path: &Path, text: &str, now: Timestamp) -> Result<License, LicenseError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(LicenseError::Empty(path.into()));
    }
    let license = parse(text).map_err(|why| LicenseError::Form(path.into(), why))?;
    if let Some(until) = license.until.filter(|until| *until < now) {
        return Err(LicenseError::Over(path.into(), until));
    }
    match &license.modules {
        Some(modules) if !modules.iter().any(|module| module == FEDERATION) => {
            Err(LicenseError::NoFederation(path.into(), modules.clone()))
        }
        _ => Ok(license),
    }
}

fn parse(text: &str) -> Result<License, &'static str> {
    if text.contains(char::is_whitespace) {
        return Err("a licence is one line without blanks");
    }
    let Some(token) = text.strip_prefix("RCV3_") else {
        let block = STANDARD.decode(text).ok().filter(|block| block.len() >= LEAST_BLOCK);
        return block
            .map(|_| License { modules: None, until: None })
            .ok_or("it neither begins with `RCV3_` nor is one long line of base64");
    };
    let cut = "the token after `RCV3_` is not whole";
    let mut parts = token.split('.');
    let (Some(_), Some(payload), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(cut);
    };
    let payload = URL_SAFE_NO_PAD.decode(payload).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let payload = payload.filter(|_| !signature.is_empty()).ok_or(cut)?;
    let modules = payload["grantedModules"]
        .as_array()
        .map(|granted| granted.iter().filter_map(|module| module["module"].as_str().map(str::to_owned)).collect());
    // Of several periods the first that ends is the one that counts.
    let periods = payload["validation"]["validPeriods"].as_array().into_iter().flatten();
    let fatal = periods.filter(|period| period["invalidBehavior"] == "invalidate_license");
    let until = fatal.filter_map(|period| period["validUntil"].as_str()?.parse().ok()).min();
    Ok(License { modules, until })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn token(payload: &Value) -> String {
        let parts = ["{}".to_owned(), payload.to_string(), "signature".to_owned()];
        format!("RCV3_{}", parts.map(|part| URL_SAFE_NO_PAD.encode(part)).join("."))
    }

    fn granted(modules: &[&str], until: &str) -> Value {
        let modules: Vec<Value> = modules.iter().map(|module| json!({ "module": module })).collect();
        let period = json!({ "validUntil": until, "invalidBehavior": "invalidate_license" });
        json!({ "grantedModules": modules, "validation": { "validPeriods": [period] } })
    }

    #[test]
    fn what_a_licence_says_of_itself() {
        let now: Timestamp = "2026-11-26T12:00:00Z".parse().unwrap();
        let block = STANDARD.encode([7; 512]);
        let good = token(&granted(&["auditing", "federation"], "2027-01-01T00:00:00Z"));
        let cut = &good[..good.len() / 2];
        let texts: [(&str, String); 9] = [
            ("good", format!("{good}\n")),
            ("older", block.clone()),
            ("empty", " \n".into()),
            ("a registration token", "bed-registration-token".into()),
            ("cut", cut.into()),
            ("two lines", format!("{block}\n{block}")),
            ("without federation", token(&granted(&["auditing", "oauth-enterprise"], "2027-01-01T00:00:00Z"))),
            ("without anything", token(&granted(&[], "2027-01-01T00:00:00Z"))),
            ("over", token(&granted(&["federation"], "2026-11-01T00:00:00Z"))),
        ];
        let told: Vec<String> = texts
            .iter()
            .map(|(what, text)| match check(Path::new("/root/license"), text, now) {
                Ok(license) => format!("{what}: {license:?}"),
                Err(error) => format!("{what}: {error}\n  {}", error.hint().unwrap()),
            })
            .collect();
        insta::assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn what_is_not_there_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let now = Timestamp::UNIX_EPOCH;
        assert!(matches!(read(&directory.path().join("none"), now), Err(LicenseError::Missing(_))));
        assert!(matches!(read(directory.path(), now), Err(LicenseError::Unreadable(..))));
        let path = || PathBuf::from("/root/license");
        let errors =
            [LicenseError::Missing(path()), LicenseError::Unreadable(path(), io::Error::from_raw_os_error(13))];
        insta::assert_snapshot!(crate::error::told(errors.map(Into::into)));
    }
}
