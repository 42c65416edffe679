//! systemd, where the machine was booted with it.

use std::path::Path;
use std::time::Duration;

use super::Host;
use crate::error::{Error, Result};

/// A machine booted with systemd has this directory (sd_booted(3)).
pub fn runs(host: &Host) -> bool {
    host.path("/run/systemd/system").is_dir()
}

/// Whether a file is one that systemd reads.
pub fn is_unit(path: &Path) -> bool {
    path.starts_with("/etc/systemd/system")
}

/// Stops a unit and keeps it from being started again; its file must still be there.
pub async fn forget(host: &Host, path: &Path) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match path.extension().is_some_and(|extension| extension == "timer") {
        _ if !runs(host) => Ok(()),
        true => systemctl(&["disable", "--now", &name]).await,
        false => systemctl(&["stop", &name]).await,
    }
}

/// Has systemd read its files again.
pub async fn reload(host: &Host) -> Result<()> {
    if runs(host) { systemctl(&["daemon-reload"]).await } else { Ok(()) }
}

/// Runs systemctl, at most 30 seconds.
pub async fn systemctl(arguments: &[&str]) -> Result<()> {
    let run = tokio::process::Command::new("systemctl").args(arguments).output();
    let output = tokio::time::timeout(Duration::from_secs(30), run).await;
    let said = match output {
        Ok(Ok(output)) if output.status.success() => return Ok(()),
        Ok(Ok(output)) => String::from_utf8_lossy(&output.stderr).trim().to_string(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => LATE.into(),
    };
    Err(failed(arguments, &said))
}

const LATE: &str = "no answer within 30 s";

fn failed(arguments: &[&str], said: &str) -> Error {
    let command = format!("systemctl {}", arguments.join(" "));
    Error::new(format!("`{command}` failed: {said}"), format!("run `sudo {command}`, then the same command again"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        let errors = [
            failed(&["enable", "--now", "rcfed-renew.timer"], "Failed to connect to bus: No such file or directory"),
            failed(&["daemon-reload"], LATE),
        ];
        insta::assert_snapshot!(crate::error::told(errors));
    }
}
