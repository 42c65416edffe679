//! The machine's own nginx, if it is the proxy: tried, and reloaded, and nothing else.

use std::time::Duration;

use super::{Host, systemd};
use crate::error::{Error, Result};

/// Whether nginx takes its configuration as it is now; `Err` holds its own last words.
pub async fn test(host: &Host) -> Result<std::result::Result<(), String>> {
    let config = host.path("/etc/nginx/nginx.conf").display().to_string();
    run(&["-t", "-q", "-c", &config]).await
}

/// Has it take its configuration.
pub async fn reload(host: &Host) -> Result<()> {
    if systemd::runs(host) {
        return systemd::systemctl(&["reload", "nginx"]).await;
    }
    let config = host.path("/etc/nginx/nginx.conf").display().to_string();
    run(&["-s", "reload", "-c", &config]).await?.map_err(|said| {
        Error::new(
            format!("the machine's nginx did not reload: {said}"),
            "run `sudo nginx -s reload` and see what it says",
        )
    })
}

async fn run(arguments: &[&str]) -> Result<std::result::Result<(), String>> {
    let mut command = tokio::process::Command::new("nginx");
    let output =
        tokio::time::timeout(Duration::from_secs(30), command.args(arguments).kill_on_drop(true).output()).await;
    let output = output.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())).map_err(|error| {
        Error::new(
            format!("could not run nginx: {error}"),
            "install it (`sudo apt-get install nginx`), or let rcfed have ports 80 and 443 with proxy = \"gateway\"",
        )
    })?;
    if output.status.success() {
        return Ok(Ok(()));
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_string();
    Ok(Err(said))
}
