//! The machine's own nginx, if it is the proxy: tried, and reloaded, and nothing else.

use std::time::Duration;

use super::{Host, systemd};
use crate::error::{Explain, Result};

/// Whether nginx takes its configuration as it is now; `Err` holds its own last words.
pub async fn test(host: &Host) -> Result<std::result::Result<(), String>> {
    let config = host.path("/etc/nginx/nginx.conf").display().to_string();
    Ok(run(&["-t", "-q", "-c", &config]).await?)
}

/// Has it take its configuration.
pub async fn reload(host: &Host) -> Result<()> {
    if systemd::runs(host) {
        return systemd::systemctl(&["reload", "nginx"]).await;
    }
    let config = host.path("/etc/nginx/nginx.conf").display().to_string();
    Ok(run(&["-s", "reload", "-c", &config]).await?.map_err(NginxError::NotReloaded)?)
}

async fn run(arguments: &[&str]) -> Result<std::result::Result<(), String>, NginxError> {
    let mut command = tokio::process::Command::new("nginx");
    let output =
        tokio::time::timeout(Duration::from_secs(30), command.args(arguments).kill_on_drop(true).output()).await;
    let output = output.map_err(|_| NginxError::Hangs)?.map_err(NginxError::CannotRun)?;
    if output.status.success() {
        return Ok(Ok(()));
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_string();
    Ok(Err(said))
}

/// Why nginx could not be asked.
#[derive(Debug, thiserror::Error)]
enum NginxError {
    /// It is not installed, most likely.
    #[error("could not run nginx: {0}")]
    CannotRun(std::io::Error),
    /// It was asked and did not end.
    #[error("nginx did not end within 30 s")]
    Hangs,
    /// It goes on with what it had; its own last words.
    #[error("the machine's nginx did not reload: {0}")]
    NotReloaded(String),
}

impl Explain for NginxError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::CannotRun(_) => "install it (`sudo apt-get install nginx`), or let rcfed have ports 80 and 443 with \
                                   `proxy = \"gateway\"`"
                .into(),
            Self::Hangs => "see how long `sudo nginx -t` takes: it may wait for a name in its configuration".into(),
            Self::NotReloaded(_) => "run `sudo nginx -s reload` and see what it says".into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        let errors = [
            NginxError::CannotRun(std::io::Error::from_raw_os_error(2)),
            NginxError::Hangs,
            NginxError::NotReloaded("nginx: [error] invalid PID number \"\"".into()),
        ];
        insta::assert_snapshot!(crate::error::told(errors.map(Into::into)));
    }
}
