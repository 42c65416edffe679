//! `rcfed status`

use clap::Args;

/// Show what runs and what is missing
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  rcfed status\n  rcfed status --json")]
pub struct StatusArgs {
    /// Print JSON on stdout
    #[arg(long)]
    pub json: bool,
}
