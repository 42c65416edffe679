//! What happens to a container once it is there. Apart, since each call is a place where a run may be cut short and the
//! next one has to make sense of what it finds.

use bollard::query_parameters::{
    RemoveContainerOptionsBuilder, RenameContainerOptionsBuilder, RestartContainerOptions, StartContainerOptions,
    StopContainerOptions,
};

use super::{Docker, DockerError, absent};
use crate::fault;

impl Docker {
    /// Gives a container another name; its address and aliases on the network stay.
    pub async fn rename_container(&self, name: &str, new: &str) -> Result<(), DockerError> {
        let options = RenameContainerOptionsBuilder::default().name(new).build();
        let renamed = self.api.rename_container(name, options).await;
        renamed.map_err(|e| DockerError::call("rename the container", name, e))?;
        fault::point(format_args!("renamed:{new}"));
        Ok(())
    }

    /// Stops a container; that it does not run, or is not there, is fine.
    pub async fn stop_container(&self, name: &str) -> Result<(), DockerError> {
        let stopped = absent(self.api.stop_container(name, None::<StopContainerOptions>).await);
        stopped.map_err(|e| DockerError::call("stop the container", name, e))?;
        fault::point(format_args!("stopped:{name}"));
        Ok(())
    }

    /// Stops a container and starts it again.
    pub async fn restart_container(&self, name: &str) -> Result<(), DockerError> {
        let restarted = self.api.restart_container(name, None::<RestartContainerOptions>).await;
        restarted.map_err(|e| DockerError::call("restart the container", name, e))
    }

    /// Starts a container; that it runs already is fine.
    pub async fn start_container(&self, name: &str) -> Result<(), DockerError> {
        let started = self.api.start_container(name, None::<StartContainerOptions>).await;
        started.map_err(|e| DockerError::call("start the container", name, e))?;
        fault::point(format_args!("started:{name}"));
        Ok(())
    }

    /// Stops and removes a container; that there is none is fine. Its named volumes stay.
    pub async fn remove_container(&self, name: &str) -> Result<(), DockerError> {
        self.stop_container(name).await?;
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        let removed = absent(self.api.remove_container(name, Some(options)).await);
        removed.map_err(|e| DockerError::call("remove the container", name, e))?;
        fault::point(format_args!("removed:{name}"));
        Ok(())
    }
}
