//! Images: pulled with progress, or made from this binary.

use std::collections::HashMap;

use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt;

use super::{Docker, DockerError};
use crate::ui::Task;

/// What an image says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageConfig {
    /// The content's id on this engine.
    pub id: String,
    /// `repository@sha256:…`, if it was pulled.
    pub digest: Option<String>,
    /// Architecture in Docker's words, e.g. `amd64`.
    pub architecture: String,
    /// Entrypoint and command, one after the other.
    pub program: Vec<String>,
    /// The user it runs as; empty for root.
    pub user: String,
    /// Its variables, `NAME=value`.
    pub env: Vec<String>,
}

impl Docker {
    /// What the engine knows of an image; `None` if it has none of that reference.
    pub async fn image(&self, reference: &str) -> Result<Option<ImageConfig>, DockerError> {
        Ok(self.inspect_image(reference).await?.map(|image| {
            let config = image.config.unwrap_or_default();
            let program = config.entrypoint.into_iter().chain(config.cmd).flatten().collect();
            ImageConfig {
                id: image.id.unwrap_or_default(),
                digest: image.repo_digests.unwrap_or_default().into_iter().next(),
                architecture: image.architecture.unwrap_or_default(),
                program,
                user: config.user.unwrap_or_default(),
                env: config.env.unwrap_or_default(),
            }
        }))
    }

    /// Pulls an image; the task shows bytes of all layers together.
    pub async fn pull(&self, reference: &str, task: &Task) -> Result<(), DockerError> {
        let options = CreateImageOptionsBuilder::default().from_image(reference).build();
        let mut answers = self.api.create_image(Some(options), None, None);
        let mut layers = Layers::default();
        loop {
            // A registry that says nothing for this long is not going to.
            let silence = std::time::Duration::from_secs(90);
            let Ok(answer) = tokio::time::timeout(silence, answers.next()).await else {
                let said = "the registry sent nothing for 90 s".into();
                return Err(DockerError::Call { what: "pull", subject: reference.into(), said, status: 0 });
            };
            match answer {
                Some(Ok(info)) => {
                    if let Some(shown) = layers.hear(info) {
                        shown.on(task);
                    }
                }
                Some(Err(error)) => return Err(DockerError::call("pull", reference, error)),
                None => return Ok(()),
            }
        }
    }

    /// Makes an image of the files in a tar archive.
    pub async fn import(&self, repository: &str, tag: &str, tar: Vec<u8>) -> Result<(), DockerError> {
        let options = CreateImageOptionsBuilder::default().from_src("-").repo(repository).tag(tag).build();
        let body = bollard::body_full(tar.into());
        let mut answers = self.api.create_image(Some(options), Some(body), None);
        while let Some(answer) = answers.next().await {
            answer.map_err(|e| DockerError::call("import", repository, e))?;
        }
        Ok(())
    }
}

/// What a pull shows: the bytes of all layers together, and what happens to the last one that was heard of.
#[derive(Default)]
struct Layers(HashMap<String, (u64, u64)>);

impl Layers {
    /// Takes in a message of the engine; `None` if it is of no layer.
    fn hear(&mut self, info: CreateImageInfo) -> Option<Shown> {
        let (id, status) = (info.id?, info.status.unwrap_or_default());
        let layer = self.0.entry(id).or_default();
        if status == "Downloading" {
            if let Some(progress) = info.progress_detail {
                let number = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok()).unwrap_or_default();
                *layer = (number(progress.current), number(progress.total));
            }
        } else if status == "Download complete" || status == "Pull complete" {
            layer.0 = layer.1;
        }
        let (done, total) = self.0.values().fold((0, 0), |sum, layer| (sum.0 + layer.0, sum.1 + layer.1));
        Some(Shown { done, total, note: status.to_lowercase() })
    }
}

/// What a bar says.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    done: u64,
    total: u64,
    note: String,
}

impl Shown {
    fn on(self, task: &Task) {
        if self.total > 0 {
            task.bytes(self.done, self.total);
        }
        task.note(self.note);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The messages of Docker 20.10 for an image of two layers, of which one is there already.
    #[test]
    fn a_pull_shows_the_bytes_of_all_layers() {
        let stream = r#"{"status":"Pulling from library/postgres","id":"17-alpine"}
{"status":"Already exists","progressDetail":{},"id":"aaa"}
{"status":"Pulling fs layer","progressDetail":{},"id":"bbb"}
{"status":"Pulling fs layer","progressDetail":{},"id":"ccc"}
{"status":"Downloading","progressDetail":{"current":100,"total":1000},"progress":"[>  ]","id":"bbb"}
{"status":"Downloading","progressDetail":{"current":400,"total":4000},"progress":"[>  ]","id":"ccc"}
{"status":"Downloading","progressDetail":{"current":900,"total":1000},"progress":"[=> ]","id":"bbb"}
{"status":"Verifying Checksum","progressDetail":{},"id":"bbb"}
{"status":"Download complete","progressDetail":{},"id":"bbb"}
{"status":"Extracting","progressDetail":{"current":32,"total":1000},"progress":"[>  ]","id":"bbb"}
{"status":"Pull complete","progressDetail":{},"id":"bbb"}
{"status":"Download complete","progressDetail":{},"id":"ccc"}
{"status":"Pull complete","progressDetail":{},"id":"ccc"}
{"status":"Digest: sha256:0123"}
{"status":"Status: Downloaded newer image for postgres:17-alpine"}"#;
        let mut layers = Layers::default();
        let shown = stream.lines().map(|line| match layers.hear(serde_json::from_str(line).unwrap()) {
            Some(Shown { done, total, note }) => format!("{done:>4}/{total:<4} {note}"),
            None => "(nothing)".into(),
        });
        insta::assert_snapshot!(shown.collect::<Vec<_>>().join("\n"));
    }
}
