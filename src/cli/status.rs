//! `rcfed status`

use clap::Args;

use super::{Context, machine};
use crate::error::Result;
use crate::status;

/// Show what runs and what is missing
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  rcfed status\n  rcfed status --json")]
pub struct StatusArgs {
    /// Print JSON on stdout
    #[arg(long)]
    pub json: bool,
}

impl StatusArgs {
    /// Prints how the deployment is. That something is wrong is data, and no failure of this verb.
    pub async fn run(self, context: Context) -> Result<()> {
        let ui = context.ui.clone();
        let status = status::status(&machine(context).await?).await?;
        if self.json {
            ui.data(&serde_json::to_string_pretty(&status).unwrap_or_default());
        } else {
            ui.data(&status.text(&ui));
        }
        Ok(())
    }
}
