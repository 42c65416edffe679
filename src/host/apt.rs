//! Docker from the distribution's own packages, when there is none and the user agrees; and the way back.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use futures_util::future::join;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::error::{Error, Result};
use crate::fault;
use crate::receipt::{self, Event, Ours, Receipt, Undo};
use crate::ui::{Task, Ui};

/// Whether an engine is installed at all, running or not.
pub fn docker_installed() -> bool {
    ["/usr/bin/dockerd", "/usr/sbin/dockerd", "/usr/local/bin/dockerd"]
        .iter()
        .any(|path| std::path::Path::new(path).exists())
}

/// Names the installing in the receipt.
const STEP: &str = "package";

/// Whether an earlier run was cut short while it installed Docker.
pub fn interrupted(path: &Path) -> Result<bool> {
    let entries = receipt::read(path)?;
    let done = entries.iter().any(|entry| entry.step == STEP && entry.event == Event::Done);
    Ok(!done && unfinished(&receipt::ours(&entries)))
}

fn unfinished(ours: &[Ours]) -> bool {
    ours.iter().any(|ours| matches!(ours.undo, Undo::RemovePackage { .. }))
}

const TITLE: &str = "install Docker (apt-get install docker.io)";
const INSTALL: [&str; 4] = ["install", "-y", "--no-install-recommends", "docker.io"];

/// Installs `docker.io` with apt, waiting at most 5 minutes for another package manager to finish.
///
/// Every package that comes new to the machine is in the receipt before it does.
pub async fn install_docker(ui: &Ui, receipt: &Receipt) -> Result<()> {
    let task = ui.task(TITLE);
    let result = async {
        if unfinished(&receipt.ours()) && !receipt.was_done(STEP) {
            configure(&task).await?;
        }
        apt_get(&["update"], &task).await?;
        let simulated = simulate(&INSTALL).await?;
        let lost = leaving(&simulated);
        if !lost.is_empty() {
            return Err(evicts(&lost));
        }
        for name in arriving(&simulated) {
            receipt.started(STEP, &Undo::RemovePackage { name }.into())?;
        }
        apt_get(&[&INSTALL[..], &["--no-remove"]].concat(), &task).await?;
        Ok(receipt.done(STEP)?)
    }
    .await;
    ended(task, result)
}

fn ended(task: Task, result: Result<()>) -> Result<()> {
    match &result {
        Ok(()) => task.done(""),
        Err(_) => task.failed(""),
    }
    result
}

/// Which of these packages are on the machine, be it half.
pub async fn installed(names: &[String]) -> Result<Vec<String>> {
    Ok(states(names).await?.into_iter().map(|(name, _)| name).collect())
}

/// Names and dpkg's states of those of these packages that have files on the machine.
async fn states(names: &[String]) -> Result<Vec<(String, String)>> {
    let format = "-f=${Package} ${db:Status-Status}\n";
    let mut query = Command::new("dpkg-query");
    // It fails where one of the names is unknown, and still tells the others.
    let output = query.env("LC_ALL", "C").arg("-W").arg(format).args(names).stdin(Stdio::null()).output().await;
    let output = output.map_err(|error| cannot_run("dpkg-query", &error))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(there(&text))
}

/// What else would go if these packages went.
pub async fn leaving_too(names: &[String]) -> Result<Vec<String>> {
    let words: Vec<&str> = ["remove", "-y"].into_iter().chain(names.iter().map(String::as_str)).collect();
    let leaving = leaving(&simulate(&words).await?);
    Ok(leaving.into_iter().filter(|name| !names.contains(name)).collect())
}

/// Removes packages; their configuration stays, and so does everything they were installed with.
pub async fn remove(names: &[String], ui: &Ui) -> Result<()> {
    let task = ui.task(format!("apt-get remove {}", names.join(" ")));
    let words: Vec<&str> = ["remove", "-y"].into_iter().chain(names.iter().map(String::as_str)).collect();
    let result = async {
        if states(names).await?.iter().any(|(_, state)| state != "installed") {
            configure(&task).await?;
        }
        apt_get(&words, &task).await
    };
    let result = result.await;
    ended(task, result)
}

/// Lets dpkg finish what was cut short, without which apt refuses to do anything; waits at most 5 minutes for what still
/// holds its lock, such as the apt of a run that was killed.
async fn configure(task: &Task) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(300);
    loop {
        task.note("dpkg --configure -a");
        let mut command = Command::new("dpkg");
        command.args(["--configure", "-a"]).env("LC_ALL", "C").env("DEBIAN_FRONTEND", "noninteractive");
        let output = command.stdin(Stdio::null()).output().await.map_err(|error| cannot_run("dpkg", &error))?;
        let said = String::from_utf8_lossy(&output.stderr).trim().to_string();
        if output.status.success() {
            return Ok(());
        }
        if !said.contains("lock") || Instant::now() > end {
            return Err(unfinished_still(&said));
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Lines of dpkg-query, `NAME STATE`, without packages of which nothing or only the configuration is there.
fn there(said: &str) -> Vec<(String, String)> {
    let pairs = said.lines().filter_map(|line| line.split_once(' '));
    let there = pairs.filter(|(_, state)| !matches!(*state, "not-installed" | "config-files"));
    there.map(|(name, state)| (name.to_string(), state.to_string())).collect()
}

/// Names of packages that a simulated run would bring: `Inst NAME (…)`; with `[version]` after the name it is there in an
/// older version already.
fn arriving(simulated: &str) -> Vec<String> {
    let new = |line: &str| {
        let (name, rest) = line.strip_prefix("Inst ")?.split_once(' ')?;
        (!rest.starts_with('[')).then(|| name.to_string())
    };
    simulated.lines().filter_map(new).collect()
}

/// Names of packages that a simulated run would take away: `Remv NAME [version]`.
fn leaving(simulated: &str) -> Vec<String> {
    let name = |line: &str| line.strip_prefix("Remv ")?.split(' ').next().map(str::to_string);
    simulated.lines().filter_map(name).collect()
}

async fn simulate(arguments: &[&str]) -> Result<String> {
    let mut command = Command::new("apt-get");
    command.env("LC_ALL", "C").arg("--simulate").args(arguments).stdin(Stdio::null());
    let output = command.output().await.map_err(|error| cannot_run("apt-get", &error))?;
    if !output.status.success() {
        return Err(failed(arguments, String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

async fn apt_get(arguments: &[&str], task: &Task) -> Result<()> {
    let mut child = Command::new("apt-get")
        // What an end in the middle leaves undone, the next run lets dpkg finish.
        .kill_on_drop(true)
        .args(["-q", "-o", "DPkg::Lock::Timeout=300"])
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| cannot_run("apt-get", &error))?;
    let mut last = String::new();
    let stdout = child.stdout.take();
    let told = async {
        let Some(stdout) = stdout else { return };
        let mut lines = BufReader::new(stdout).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            task.note(line.chars().take(60).collect::<String>());
            if line.starts_with("Unpacking docker.io") {
                fault::point("unpacking");
            }
            last = line;
        }
    };
    // Both at once: whoever reads only one of two pipes waits for ever once the other is full.
    let ended = tokio::time::timeout(LIMIT, join(told, child.wait_with_output())).await;
    let said = match ended {
        Ok(((), Ok(output))) if output.status.success() => return Ok(()),
        Ok(((), Ok(output))) => String::from_utf8_lossy(&output.stderr).trim().to_string(),
        Ok(((), Err(error))) => error.to_string(),
        Err(_) => late(&last),
    };
    Err(failed(arguments, &said))
}

fn evicts(lost: &[String]) -> Error {
    let lost = lost.join(", ");
    Error::new(
        format!("apt would remove {lost} to install docker.io, and rcfed removes nothing of yours"),
        "install the engine that goes with it yourself, such as `sudo apt-get install docker-ce`, then run the same command again",
    )
}

fn unfinished_still(said: &str) -> Error {
    let hint = "run `sudo dpkg --configure -a` and look at its output, then run the same command again";
    Error::new(format!("dpkg could not finish what was cut short: {said}"), hint)
}

fn late(last: &str) -> String {
    format!("no end after 15 minutes; the last line was `{last}`")
}

const LIMIT: Duration = Duration::from_secs(15 * 60);

fn failed(arguments: &[&str], said: &str) -> Error {
    let command = format!("sudo apt-get {}", arguments.join(" "));
    let hint = format!("run `{command}` and look at its output; once it works, run the same command again");
    Error::new(format!("apt-get failed: {said}"), hint)
}

fn cannot_run(program: &str, error: &std::io::Error) -> Error {
    let hint = "rcfed installs and removes Docker with apt only: do it by hand, then run the same command again";
    Error::new(format!("could not run {program}: {error}"), hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines as apt 2.6 of Debian 12 prints them.
    #[test]
    fn only_packages_that_were_not_there_count_as_arriving() {
        let said = "Reading package lists...\n\
                    Inst libssl3 [3.0.14-1] (3.0.17-1 Debian:12.11/stable [amd64])\n\
                    Inst runc (1.1.5+ds1-1+deb12u1 Debian:12.11/stable [amd64])\n\
                    Inst containerd (1.6.20~ds1-1+deb12u1 Debian:12.11/stable [amd64])\n\
                    Inst docker.io (20.10.24+dfsg1-1+deb12u1 Debian:12.11/stable [amd64]) []\n\
                    Conf runc (1.1.5+ds1-1+deb12u1 Debian:12.11/stable [amd64])\n";
        assert_eq!(arriving(said), ["runc", "containerd", "docker.io"]);
        let said = "Remv docker.io [20.10.24+dfsg1-1+deb12u1]\nRemv containerd [1.6.20] [docker-buildx:amd64 ]\n";
        assert_eq!(leaving(said), ["docker.io", "containerd"]);
        insta::assert_snapshot!(format!("{:?}", evicts(&leaving(said))));
        let said =
            "runc installed\ncontainerd unpacked\ndocker.io half-configured\ntini config-files\nx not-installed\n";
        let names: Vec<String> = there(said).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["runc", "containerd", "docker.io"]);
    }

    #[test]
    fn sentences() {
        let locked = "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 812 (apt-get)";
        let errors = [
            evicts(&["docker-ce".into(), "containerd.io".into()]),
            failed(&INSTALL, locked),
            failed(&["update"], &late("Get:1 http://deb.debian.org/debian bookworm InRelease")),
            unfinished_still("dpkg: error processing package docker.io (--configure)"),
            cannot_run("apt-get", &std::io::Error::from_raw_os_error(2)),
        ];
        insta::assert_snapshot!(format!("{TITLE}\n{}", crate::error::told(errors)));
    }
}
