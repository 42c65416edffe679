//! `rcfed apply`

use clap::Args;

use super::{Context, load};
use crate::config::Mode;
use crate::deploy::{Manner, deploy};
use crate::error::Result;

/// Make the machine as the configuration says; run it again to resume or to change
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  sudo rcfed apply\n  sudo rcfed apply --yes --quiet")]
pub struct ApplyArgs {}

impl ApplyArgs {
    /// Makes it so.
    pub async fn run(self, context: Context) -> Result<()> {
        let config = load(None, &context.host, Mode::Unattended)?;
        let manner = Manner { may_install: context.input.yes, terminal: context.input.can_ask(), ..Manner::default() };
        deploy(context.host, config, &context.ui, manner, "apply").await?;
        Ok(())
    }
}
