//! Docker from the distribution's own packages, when there is none and the user agrees.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::error::{Error, Result};
use crate::ui::Ui;

/// Whether an engine is installed at all, running or not.
pub fn docker_installed() -> bool {
    ["/usr/bin/dockerd", "/usr/sbin/dockerd", "/usr/local/bin/dockerd"]
        .iter()
        .any(|path| std::path::Path::new(path).exists())
}

/// Installs `docker.io` with apt, waiting at most 5 minutes for another package manager to finish.
pub async fn install_docker(ui: &Ui) -> Result<()> {
    let task = ui.task("install Docker (apt-get install docker.io)");
    for arguments in [&["update", "-q"][..], &["install", "-y", "-q", "--no-install-recommends", "docker.io"][..]] {
        let mut child = Command::new("apt-get")
            .args(["-o", "DPkg::Lock::Timeout=300"])
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| {
                Error::new(
                    format!("could not run apt-get: {error}"),
                    "install Docker yourself, then run the same command again",
                )
            })?;
        let mut last = String::new();
        if let Some(stdout) = child.stdout.take() {
            let mut lines = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                task.note(line.chars().take(60).collect::<String>());
                last = line;
            }
        }
        let ended = tokio::time::timeout(Duration::from_secs(900), child.wait_with_output()).await;
        let said = match ended {
            Ok(Ok(output)) if output.status.success() => continue,
            Ok(Ok(output)) => String::from_utf8_lossy(&output.stderr).trim().to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no end after 15 minutes; the last line was `{last}`"),
        };
        task.failed("");
        let command = format!("sudo apt-get {}", arguments.join(" "));
        return Err(Error::new(format!("apt-get failed: {said}"), format!("run `{command}` and look at its output")));
    }
    task.done("");
    Ok(())
}
