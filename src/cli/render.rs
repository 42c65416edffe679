//! `rcfed render`

use std::path::PathBuf;

use clap::Args;

/// Write every generated file into a directory, to read or to use elsewhere
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example:\n  rcfed render --answers answers.toml --out /tmp/rcfed-files")]
pub struct RenderArgs {
    /// The answers to render
    #[arg(long, value_name = "FILE", env = "RCFED_ANSWERS", hide_env_values = true)]
    pub answers: PathBuf,
    /// The directory to write to
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Write the secrets themselves instead of marks that stand for them
    #[arg(long)]
    pub show_secrets: bool,
}
