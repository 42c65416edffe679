//! `rcfed admin`

use clap::{Args, Subcommand};

use super::{Context, machine};
use crate::error::{Error, Result};
use crate::host::lock::Lock;
use crate::layout;
use crate::secrets::{Secret, SecretName};
use crate::step::account;

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

impl AdminArgs {
    /// Does what was asked for.
    pub async fn run(self, context: Context) -> Result<()> {
        let AdminCommand::Reset(reset) = self.command;
        reset.run(context).await
    }
}

impl ResetArgs {
    /// Sets a new random password by rcfed's own token, and shows it once.
    pub async fn run(self, context: Context) -> Result<()> {
        let terminal = context.input.can_ask();
        let ui = context.ui.clone();
        let machine = machine(context).await?;
        let _lock = Lock::take(&machine.path(layout::LOCK), "admin reset")?;
        let own = machine.config.admin.username.as_str().to_owned();
        let username = self.username.unwrap_or_else(|| own.clone());
        let Some(client) = account::with_token(&machine).await? else {
            return Err(Error::new("rcfed has no token of Rocket.Chat, or it does not run", "run `sudo rcfed apply`"));
        };
        let password = Secret::password().map_err(|error| Error::new(error.to_string(), "try again"))?;
        client.reset_password(&username, &password).await?;
        if username == own {
            machine.secrets.put(SecretName::AdminPassword, &password)?;
        }
        // Rocket.Chat may end its sessions with the old password; rcfed's own access must not end with them.
        if username == own && !client.token_valid().await? {
            account::renew_token(&machine).await?;
        }
        let file = format!("{}/{}", layout::SECRETS, SecretName::AdminPassword.name());
        if terminal || username != own {
            ui.data(&format!("New password of {username}: {}", password.expose()));
        } else {
            ui.data(&format!("The new password of {username} is in {file} (only root can read it)."));
        }
        Ok(())
    }
}
