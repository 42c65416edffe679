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
        ui.say(&told(renew(&machine(context).await?, self.force).await?));
        Ok(())
    }
}

fn told(renewal: Renewal) -> String {
    let time = |days: i64| if days == 1 { "one day".to_owned() } else { format!("{days} days") };
    match renewal {
        Renewal::NotDue(days) => format!("The certificate is good for {}; it is not time yet.", time(days)),
        Renewal::Renewed(days) => format!("The new certificate is good for {}.", time(days)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        let told = [Renewal::NotDue(60), Renewal::NotDue(1), Renewal::Renewed(89)].map(told);
        insta::assert_snapshot!(told.join("\n"));
    }
}
