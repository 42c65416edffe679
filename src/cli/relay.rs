//! `rcfed relay`: what the relay's container runs.

use std::path::PathBuf;

use clap::Args;

use crate::error::Result;

/// Run the service between Dendrite and Rocket.Chat's bridge
#[derive(Args, Clone, Debug)]
pub struct RelayArgs {
    /// Its configuration
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Ask a running relay whether it is well, and end with its answer
    #[arg(long)]
    pub check: bool,
}

impl RelayArgs {
    /// Serves until it is told to stop.
    pub async fn run(self) -> Result<()> {
        // Half a relay is worse than none: whoever runs its container starts a whole one again.
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            told(panic);
            std::process::abort();
        }));
        crate::relay::run(&self.config, self.check).await
    }
}
