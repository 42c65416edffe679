//! `rcfed apex`

use std::path::PathBuf;

use clap::Args;

use super::{Context, load};
use crate::apex::{self, Kind};
use crate::config::{Apex, Mode};
use crate::error::{Error, Result};

/// Print what the web site on the federated domain has to answer, where that is not this machine
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  rcfed apex\n  rcfed apex nginx\n  rcfed apex caddy --answers answers.toml")]
pub struct ApexArgs {
    /// Ready lines for what serves the site; without it, the answers alone
    #[arg(value_enum)]
    pub kind: Option<Kind>,
    /// Use these answers instead of the configuration that `init` kept
    #[arg(long, value_name = "FILE", env = "RCFED_ANSWERS", hide_env_values = true)]
    pub answers: Option<PathBuf>,
}

impl ApexArgs {
    /// Prints it. Needs no Docker, no root and no network.
    pub async fn run(self, context: Context) -> Result<()> {
        let config = load(self.answers.as_deref(), &context.host, Mode::Interactive)?;
        if config.names.apex == Apex::Here {
            return Err(Error::usage(
                format!("{} is served by this machine itself, so nothing is needed elsewhere", config.names.federated),
                "if it is another web site, say `apex = \"elsewhere\"` in the configuration or the answers",
            ));
        }
        let text = match self.kind {
            Some(kind) => apex::snippet(&config, kind)?,
            None => apex::plain(&config),
        };
        context.ui.data(text.trim_end());
        Ok(())
    }
}
