//! What the engine says of a container or an image: asked each time, or once for a whole look.
//!
//! Most checks of the doctor want to know the same few containers. An engine answers in a millisecond, but sixty answers
//! at once are what everybody else then waits for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bollard::models::{ContainerInspectResponse, ImageInspect};
use bollard::query_parameters::InspectContainerOptions;
use tokio::sync::OnceCell;

use super::{Docker, DockerError, absent};

/// What was said in one look.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    containers: Slots<ContainerInspectResponse>,
    images: Slots<ImageInspect>,
}

#[derive(Clone, Debug)]
struct Slots<T>(Arc<Mutex<HashMap<String, Slot<T>>>>);

/// None in it: there is nothing of that name.
type Slot<T> = Arc<OnceCell<Option<T>>>;

impl Docker {
    /// The same connection for one look at everything: each container and each image is inspected once, and remembered as it
    /// was then. What somebody waits for must not be waited for with this one.
    #[must_use]
    pub fn for_one_look(&self) -> Self {
        Self { memory: Some(Memory::default()), ..self.clone() }
    }

    /// The container of exactly this name.
    pub(super) async fn inspect(&self, name: &str) -> Result<Option<ContainerInspectResponse>, DockerError> {
        let asked = || async {
            let found = absent(self.api.inspect_container(name, None::<InspectContainerOptions>).await);
            let found = found.map_err(|e| DockerError::call("inspect the container", name, e))?;
            // The beginning of an id matches too.
            Ok(found.filter(|container| container.name.as_deref() == Some(&format!("/{name}"))))
        };
        match &self.memory {
            None => asked().await,
            Some(memory) => Ok(memory.containers.of(name).get_or_try_init(asked).await?.clone()),
        }
    }

    /// The image of this reference or id.
    pub(super) async fn inspect_image(&self, reference: &str) -> Result<Option<ImageInspect>, DockerError> {
        let asked = || async {
            let found = absent(self.api.inspect_image(reference).await);
            found.map_err(|e| DockerError::call("inspect the image", reference, e))
        };
        match &self.memory {
            None => asked().await,
            Some(memory) => Ok(memory.images.of(reference).get_or_try_init(asked).await?.clone()),
        }
    }
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Slots<T> {
    fn of(&self, name: &str) -> Slot<T> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(name.to_owned()).or_default())
    }
}
