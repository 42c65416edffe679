//! `rcfed admin`

use clap::{Args, Subcommand};

/// Help an administrator of Rocket.Chat
#[derive(Args, Clone, Debug)]
pub struct AdminArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: AdminCommand,
}

/// What can be done for an administrator.
#[derive(Clone, Debug, Subcommand)]
#[allow(missing_docs, reason = "each is described by its struct, which is also its help")]
pub enum AdminCommand {
    Reset(ResetArgs),
}

/// Give an administrator a new password and show it once
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example:\n  sudo rcfed admin reset --username ada")]
pub struct ResetArgs {
    /// The administrator [default: the one of the configuration]
    #[arg(long, value_name = "NAME")]
    pub username: Option<String>,
}
