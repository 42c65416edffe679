//! `rcfed renew`

use clap::Args;

/// Renew the certificate if it is time; a timer runs this twice a day
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  sudo rcfed renew\n  sudo rcfed renew --force")]
pub struct RenewArgs {
    /// Renew even if it is not time; the authority limits how often
    #[arg(long)]
    pub force: bool,
}
