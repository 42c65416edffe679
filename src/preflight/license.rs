//! A licence that cannot be one is said before anything is changed, and not after ten minutes of work.

use super::{Finding, MACHINE};
use crate::clock;
use crate::config::Config;
use crate::error::Explain;
use crate::host::{Host, fs};
use crate::layout;
use crate::rocketchat::license::{self, LicenseError};
use crate::secrets::SecretName;

const ID: &str = "rocketchat.license";

/// What the licence file says, if one is named. Where the file is gone, the copy that an earlier run kept counts.
pub(super) fn check(host: &Host, config: &Config) -> Option<Finding> {
    let path = config.rocketchat.license_file.as_deref()?;
    let now = clock::now();
    let kept = || {
        let copy = host.path(layout::SECRETS).join(SecretName::License.name());
        fs::read_text(&copy).ok().flatten().map(|text| license::check(path, &text, now))
    };
    let read = match license::read(path, now) {
        Err(error @ LicenseError::Missing(_)) => kept().unwrap_or(Err(error)),
        read => read,
    };
    Some(match read {
        Ok(license) if license.modules.is_some() => Finding::ok(ID, MACHINE, "has a licence that includes federation"),
        Ok(_) => Finding::ok(ID, MACHINE, "has a licence, which only Rocket.Chat can read"),
        Err(error) => {
            let finding = Finding::fail(ID, MACHINE, error.to_string());
            error.hint().into_iter().fold(finding, Finding::remedy)
        }
    })
}
