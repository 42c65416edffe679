//! `rcfed renew`

use clap::Args;

use super::{Context, machine};
use crate::error::Result;
use crate::renew::{Renewal, renew};

/// Renew the certificate if it is time; a timer runs this twice a day
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  sudo rcfed renew\n  sudo rcfed renew --force")]
pub struct RenewArgs {
    /// Renew even if it is not time; the authority limits how often
    #[arg(long)]
    pub force: bool,
}

impl RenewArgs {
    /// Renews if it is time.
    pub async fn run(self, context: Context) -> Result<()> {
        let ui = context.ui.clone();
        match renew(&machine(context).await?, self.force).await? {
            Renewal::NotDue(days) => ui.say(&format!("The certificate is good for {days} days; it is not time yet.")),
            Renewal::Renewed(days) => ui.say(&format!("The new certificate is good for {days} days.")),
        }
        Ok(())
    }
}
