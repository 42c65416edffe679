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
        if !terminal && username != own {
            return Err(nowhere(&username));
        }
        let Some(client) = account::with_token(&machine).await? else {
            return Err(no_token());
        };
        let password = Secret::password()?;
        client.reset_password(&username, &password).await?;
        if username == own {
            machine.secrets.put(SecretName::AdminPassword, &password)?;
        }
        // Rocket.Chat may end its sessions with the old password; rcfed's own access must not end with them.
        if username == own && !client.token_valid().await? {
            account::renew_token(&machine).await?;
        }
        ui.data(&told(&username, terminal.then_some(&password)));
        Ok(())
    }
}

/// What the output of a program is kept in may be read by others.
fn nowhere(username: &str) -> Error {
    Error::usage(
        format!("the new password of {username} is shown on a terminal only, and this is none"),
        format!("run `sudo rcfed admin reset --username {username}` in a terminal (over SSH: `ssh -t`)"),
    )
}

fn no_token() -> Error {
    Error::new(
        "rcfed has no token of Rocket.Chat, or it does not run",
        "see whether it runs with `sudo rcfed status`, then run `sudo rcfed apply`, which takes a token",
    )
}

/// The password, or where it is.
fn told(username: &str, password: Option<&Secret>) -> String {
    match password {
        Some(password) => format!("New password of {username}: {}", password.expose()),
        None => {
            let file = format!("{}/{}", layout::SECRETS, SecretName::AdminPassword.name());
            format!("The new password of {username} is in {file} (only root can read it).")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        let said = [told("ada", Some(&Secret::new("correct horse"))), told("ada", None)];
        let errors = crate::error::told([nowhere("grace"), no_token()]);
        insta::assert_snapshot!(format!("{}\n{errors}", said.join("\n")));
    }
}
