//! `rcfed plan`

use std::path::PathBuf;

use clap::Args;

/// Show what `apply` would change, and change nothing
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  rcfed plan --diff\n  rcfed plan --answers answers.toml --json")]
pub struct PlanArgs {
    /// Plan for these answers instead of the configuration that `init` kept
    #[arg(long, value_name = "FILE", env = "RCFED_ANSWERS", hide_env_values = true)]
    pub answers: Option<PathBuf>,
    /// Print JSON on stdout
    #[arg(long)]
    pub json: bool,
    /// Show the lines that differ in each file
    #[arg(long)]
    pub diff: bool,
}
