//! Commands inside a running container.

use std::collections::HashMap;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::exec::StartExecResults;
use bollard::models::{ContainerCreateBody, ExecConfig, HostConfig};
use bollard::query_parameters::{CreateContainerOptions, StartContainerOptions, WaitContainerOptions};
use futures_util::StreamExt;

use super::{Docker, DockerError, LABEL_SERVICE};

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
        let failed = |error| DockerError::call("run a command in", container, error);
        let config = ExecConfig {
            cmd: Some(command.iter().map(ToString::to_string).collect()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..Default::default()
        };
        let run = async {
            let exec = self.api.create_exec(container, config).await.map_err(failed)?;
            let started = self.api.start_exec(&exec.id, None).await.map_err(failed)?;
            let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
            if let StartExecResults::Attached { mut output, .. } = started {
                while let Some(part) = output.next().await {
                    match part.map_err(failed)? {
                        LogOutput::StdErr { message } => stderr.extend_from_slice(&message),
                        other => stdout.extend_from_slice(&other.into_bytes()),
                    }
                }
            }
            let code = self.api.inspect_exec(&exec.id).await.map_err(failed)?.exit_code.unwrap_or(-1);
            let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
            Ok(Output { code, stdout: text(stdout), stderr: text(stderr) })
        };
        let answer = tokio::time::timeout(limit, run).await;
        answer.unwrap_or_else(|_| {
            let said = format!("`{}` did not end within {} s", command.join(" "), limit.as_secs());
            Err(DockerError::Call { what: "run a command in", subject: container.into(), said, status: 0 })
        })
    }
}

impl Docker {
    /// Runs a command in a throw-away container without a network and waits for it, at most a minute.
    ///
    /// `mounts` are paths of this machine and where they appear, read-only.
    pub async fn run_once(
        &self,
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
        let created = self.api.create_container(None::<CreateContainerOptions>, body).await.map_err(failed)?;
        let run = async {
            self.api.start_container(&created.id, None::<StartContainerOptions>).await.map_err(failed)?;
            let mut wait = self.api.wait_container(&created.id, None::<WaitContainerOptions>);
            let code = match wait.next().await {
                Some(Ok(end)) => end.status_code,
                Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => code,
                Some(Err(error)) => return Err(failed(error)),
                None => -1,
            };
            let lines = self.last_lines(&created.id, 20).await?.join("\n");
            Ok(Output { code, stdout: String::new(), stderr: lines })
        };
        let answer = tokio::time::timeout(Duration::from_secs(60), run).await;
        self.remove_container(&created.id).await?;
        answer.unwrap_or_else(|_| {
            let said = format!("`{}` did not end within 60 s", command.join(" "));
            Err(DockerError::Call { what: "try a command with", subject: image.into(), said, status: 0 })
        })
    }
}
