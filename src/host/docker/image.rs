//! Images: pulled with progress, or made from this binary.

use std::collections::HashMap;

use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt;

use super::{Docker, DockerError, absent};
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
        let found = absent(self.api.inspect_image(reference).await);
        let found = found.map_err(|e| DockerError::call("inspect the image", reference, e))?;
        Ok(found.map(|image| {
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
        let mut layers = HashMap::new();
        loop {
            // A registry that says nothing for this long is not going to.
            let silence = std::time::Duration::from_secs(90);
            let Ok(answer) = tokio::time::timeout(silence, answers.next()).await else {
                let said = "the registry sent nothing for 90 s".into();
                return Err(DockerError::Call { what: "pull", subject: reference.into(), said, status: 0 });
            };
            match answer {
                Some(Ok(info)) => show(&mut layers, info, task),
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

fn show(layers: &mut HashMap<String, (u64, u64)>, info: CreateImageInfo, task: &Task) {
    let Some(id) = info.id else { return };
    let status = info.status.unwrap_or_default();
    let layer = layers.entry(id).or_default();
    if status == "Downloading" {
        if let Some(progress) = info.progress_detail {
            let number = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok()).unwrap_or_default();
            *layer = (number(progress.current), number(progress.total));
        }
    } else if status == "Download complete" || status == "Pull complete" {
        layer.0 = layer.1;
    }
    let (done, total) = layers.values().fold((0, 0), |sum, layer| (sum.0 + layer.0, sum.1 + layer.1));
    if total > 0 {
        task.bytes(done, total);
    }
    task.note(status.to_lowercase());
}
