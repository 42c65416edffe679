//! `rcfed apply`

use clap::Args;

/// Make the machine as the configuration says; run it again to resume or to change
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  sudo rcfed apply\n  sudo rcfed apply --yes --quiet")]
pub struct ApplyArgs {}
