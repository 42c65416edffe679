//! `rcfed apply`

use clap::Args;

use super::{CodeArgs, Context, load};
use crate::config::Mode;
use crate::deploy::{Manner, deploy};
use crate::error::Result;

/// Make the machine as the configuration says; run it again to resume or to change
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  sudo rcfed apply\n  sudo rcfed apply --yes --quiet")]
pub struct ApplyArgs {
    /// For a Rocket.Chat that runs already.
    #[command(flatten)]
    pub codes: CodeArgs,
}

impl ApplyArgs {
    /// Makes it so.
    pub async fn run(self, context: Context) -> Result<()> {
        let config = load(None, &context.host, Mode::Unattended)?;
        let terminal = context.input.can_ask();
        let codes = self.codes.codes(terminal);
        let manner = Manner { may_install: context.input.yes, terminal, codes, ..Manner::default() };
        deploy(context.host, config, &context.ui, manner, "apply").await?;
        Ok(())
    }
}
