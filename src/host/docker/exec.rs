//! Commands inside a running container.

use std::collections::HashMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::exec::StartExecResults;
use bollard::models::{ContainerCreateBody, ExecConfig, HostConfig};
use bollard::query_parameters::{CreateContainerOptionsBuilder, StartContainerOptions, WaitContainerOptions};
use futures_util::StreamExt;

use super::{Docker, DockerError, LABEL_SERVICE};
use crate::fault;
use crate::host::fs::FileError;
use crate::ui::Task;

pub(super) const RUN: &str = "run a command in";

/// What a command printed, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Exit code; -1 if the engine does not know it.
    pub code: i64,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Docker {
    /// Runs a command in a container and waits for it, at most `limit`.
    ///
    /// Nothing secret belongs into `command`: it can be read in the process list and in Docker's events.
    pub async fn exec(&self, container: &str, command: &[&str], limit: Duration) -> Result<Output, DockerError> {
        let mut stdout = Vec::new();
        let run = async {
            let keep = |part: &[u8]| {
                stdout.extend_from_slice(part);
                Ok(())
            };
            let (code, stderr) = self.attached(container, command, keep).await?;
            Ok(Output { code, stdout: String::from_utf8_lossy(&stdout).into_owned(), stderr })
        };
        let answer = tokio::time::timeout(limit, run).await;
        answer.unwrap_or_else(|_| {
            let said = late(command, limit);
            Err(DockerError::Call { what: RUN, subject: container.into(), said, status: 0 })
        })
    }
}

impl Docker {
    /// Runs a command in a container and writes what it prints to a file: 0600, synced, and there only if the command
    /// ended well. At most six hours; the task shows the bytes.
    pub async fn exec_to_file(
        &self,
        container: &str,
        command: &[&str],
        path: &Path,
        task: &Task,
    ) -> Result<(), DockerError> {
        const LIMIT: Duration = Duration::from_secs(6 * 60 * 60);
        let kept = |error| DockerError::File(FileError::new("write", path, error));
        let said = |said: String| DockerError::Call { what: RUN, subject: container.into(), said, status: 0 };
        let part = path.with_extension("part");
        let run = async {
            fault::point(format_args!("write:{}", path.parent().unwrap_or(path).display()));
            let mut options = std::fs::OpenOptions::new();
            let file = options.write(true).create(true).truncate(true).mode(0o600).open(&part);
            let mut file = std::io::BufWriter::new(file.map_err(kept)?);
            let mut bytes = 0_u64;
            let keep = |part: &[u8]| {
                bytes += part.len() as u64;
                task.note(format!("{} MB", bytes / 1_000_000));
                file.write_all(part).map_err(kept)
            };
            let (code, stderr) = self.attached(container, command, keep).await?;
            if code != 0 || bytes == 0 {
                return Err(said(ended(command, code, &stderr)));
            }
            let file = file.into_inner().map_err(|e| kept(e.into_error()))?;
            file.sync_all().map_err(kept)?;
            fault::point("part");
            std::fs::rename(&part, path).map_err(kept)?;
            let directory = path.parent().map_or(Ok(()), |parent| std::fs::File::open(parent)?.sync_all());
            directory.map_err(kept)
        };
        let result = tokio::time::timeout(LIMIT, run).await;
        let result = result.unwrap_or_else(|_| Err(said(late(command, LIMIT))));
        if result.is_err() {
            let _ = std::fs::remove_file(&part);
        }
        result
    }

    /// Runs a command in a container, gives away what it prints as it comes, and returns its exit code (-1 if the engine
    /// does not know it) and its standard error.
    async fn attached(
        &self,
        container: &str,
        command: &[&str],
        mut sink: impl FnMut(&[u8]) -> Result<(), DockerError>,
    ) -> Result<(i64, String), DockerError> {
        let failed = |error| DockerError::call(RUN, container, error);
        let config = ExecConfig {
            cmd: Some(command.iter().map(ToString::to_string).collect()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..Default::default()
        };
        let exec = self.api.create_exec(container, config).await.map_err(failed)?;
        let started = self.api.start_exec(&exec.id, None).await.map_err(failed)?;
        let mut stderr = Vec::new();
        if let StartExecResults::Attached { mut output, .. } = started {
            while let Some(part) = output.next().await {
                match part.map_err(failed)? {
                    LogOutput::StdErr { message } => stderr.extend_from_slice(&message),
                    other => sink(&other.into_bytes())?,
                }
            }
        }
        let code = self.api.inspect_exec(&exec.id).await.map_err(failed)?.exit_code.unwrap_or(-1);
        Ok((code, String::from_utf8_lossy(&stderr).into_owned()))
    }
}

impl Docker {
    /// Runs a command in a throw-away container without a network and waits for it, at most a minute.
    ///
    /// `mounts` are paths of this machine and where they appear, read-only. One of that `name` that a killed run left is
    /// removed.
    pub async fn run_once(
        &self,
        name: &str,
        image: &str,
        command: &[&str],
        mounts: &[(String, &str)],
    ) -> Result<Output, DockerError> {
        let failed = |error| DockerError::call("try a command with", image, error);
        let binds = mounts.iter().map(|(path, target)| format!("{path}:{target}:ro")).collect();
        let body = ContainerCreateBody {
            image: Some(image.into()),
            entrypoint: Some(command.iter().map(ToString::to_string).collect()),
            cmd: Some(Vec::new()),
            labels: Some(HashMap::from([(LABEL_SERVICE.into(), "trial".into())])),
            host_config: Some(HostConfig {
                network_mode: Some("none".into()),
                binds: Some(binds),
                ..Default::default()
            }),
            ..Default::default()
        };
        self.remove_container(name).await?;
        let options = CreateContainerOptionsBuilder::default().name(name).build();
        self.api.create_container(Some(options), body).await.map_err(failed)?;
        fault::point(format_args!("created:{name}"));
        let run = async {
            self.api.start_container(name, None::<StartContainerOptions>).await.map_err(failed)?;
            let mut wait = self.api.wait_container(name, None::<WaitContainerOptions>);
            let code = match wait.next().await {
                Some(Ok(end)) => end.status_code,
                Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => code,
                Some(Err(error)) => return Err(failed(error)),
                None => -1,
            };
            let lines = self.last_lines(name, 20).await?.join("\n");
            Ok(Output { code, stdout: String::new(), stderr: lines })
        };
        let limit = Duration::from_secs(60);
        let answer = tokio::time::timeout(limit, run).await;
        self.remove_container(name).await?;
        answer.unwrap_or_else(|_| {
            let said = late(command, limit);
            Err(DockerError::Call { what: "try a command with", subject: image.into(), said, status: 0 })
        })
    }
}

fn late(command: &[&str], limit: Duration) -> String {
    let limit = match limit.as_secs() {
        seconds if seconds < 3600 => format!("{seconds} s"),
        seconds => format!("{} hours", seconds / 3600),
    };
    format!("`{}` did not end within {limit}", program(command))
}

fn ended(command: &[&str], code: i64, stderr: &str) -> String {
    format!("`{}` ended with exit code {code}: {}", command.first().unwrap_or(&""), stderr.trim())
}

/// A script as an argument is nothing to read in an error.
fn program(command: &[&str]) -> String {
    match command {
        [shell @ "sh", "-c", ..] => (*shell).into(),
        ["mongosh", ..] => "mongosh".into(),
        _ => command.join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        let call = |said| DockerError::Call { what: RUN, subject: "rcfed-mongodb".into(), said, status: 0 };
        let (dump, script) = (["pg_dump", "--create", "homeserver"], ["sh", "-c", "umask 077; f=/tmp/x.yaml; …"]);
        let errors = [
            call(late(&script, Duration::from_secs(30))),
            call(late(&["mongosh", "--eval", "const secret = …"], Duration::from_secs(30))),
            call(late(&dump, Duration::from_secs(6 * 60 * 60))),
            call(ended(&script, 1, "mongodump: disk full\n")),
            call(ended(&dump, 1, "pg_dump: error: connection failed\n")),
        ];
        insta::assert_snapshot!(crate::error::told(errors.map(Into::into)));
    }
}
