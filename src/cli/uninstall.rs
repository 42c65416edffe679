//! `rcfed uninstall`

use clap::Args;

use super::Context;
use crate::deploy::need_root;
use crate::error::{Error, Result};
use crate::ui::prompt;
use crate::uninstall::{self, Uninstall};

/// Remove what rcfed made; data, secrets, certificate and configuration stay unless --purge
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  sudo rcfed uninstall\n  sudo rcfed uninstall --purge\n  sudo rcfed uninstall --purge --confirm example.org --yes"
)]
pub struct UninstallArgs {
    /// Also remove all messages, files, accounts, keys and secrets, for ever
    #[arg(long)]
    pub purge: bool,
    /// The federated domain, typed out; without a terminal --purge needs it
    #[arg(long, value_name = "DOMAIN", requires = "purge")]
    pub confirm: Option<String>,
}

impl UninstallArgs {
    /// Shows what goes and what stays, asks, and does it.
    pub async fn run(self, context: Context) -> Result<()> {
        need_root("uninstall")?;
        let ui = &context.ui;
        let found = prompt::unless_interrupted(Uninstall::begin(&context.host, self.purge)).await?;
        let Some(found) = found else {
            ui.say(NOTHING);
            return Ok(());
        };
        let keeps = !found.survey.keeps.is_empty();
        let plan = uninstall::text(&found.survey);
        // What is only half there is taken away unasked: there is nothing in it.
        if found.survey.removes.is_empty() && keeps {
            ui.say(plan.trim_end_matches("Nothing has been removed yet.").trim_end());
            return found.run(ui).await;
        }
        self.confirm(&context, plan).await?;
        found.run(ui).await?;
        ui.say(ended(!self.purge && keeps));
        Ok(())
    }

    async fn confirm(&self, context: &Context, plan: String) -> Result<()> {
        let domain = if self.purge { uninstall::domain(&context.host)? } else { None };
        if let (Some(typed), Some(domain)) = (&self.confirm, &domain) {
            right(typed, domain)?;
        }
        let types = domain.filter(|_| self.confirm.is_none());
        if types.is_some() && !context.input.can_ask() {
            return Err(not_typed());
        }
        if types.is_none() && !context.input.asks() {
            context.ui.say(&plan);
            if context.input.yes {
                return Ok(());
            }
            return Err(nobody());
        }
        let question = move |prompt: &prompt::Prompt| {
            prompt.note(&plan);
            match types {
                Some(domain) => {
                    prompt.note(FOR_EVER);
                    let typed = prompt.text(TYPE_IT, None, true, |_| Ok(()))?;
                    right(&typed, &domain).map(|()| true)
                }
                None => Ok(prompt.confirm("Remove it?")?),
            }
        };
        match prompt::ask(question).await? {
            true => Ok(()),
            false => Err(not_confirmed()),
        }
    }
}

fn right(typed: &str, domain: &str) -> Result<()> {
    if typed.trim() == domain {
        return Ok(());
    }
    Err(Error::usage(
        format!("`{}` is not the federated domain of this deployment", typed.trim()),
        "look at it with `rcfed status`. Nothing has been removed",
    ))
}

const NOTHING: &str = "There is nothing to uninstall: rcfed has made nothing on this machine.";
const FOR_EVER: &str = "All messages, files, accounts and keys go for ever.";
const TYPE_IT: &str = "Type the federated domain to go ahead";

fn ended(something_stays: bool) -> &'static str {
    match something_stays {
        true => "Uninstalled. Data, secrets, certificate and configuration stay.",
        false => "Uninstalled. Nothing of the deployment is left.",
    }
}

fn not_confirmed() -> Error {
    Error::new("not confirmed", "Nothing has been removed. `sudo rcfed uninstall` asks again")
}

fn not_typed() -> Error {
    Error::usage(
        "a purge has to be confirmed with the federated domain",
        "add `--confirm` and the domain, as in `rcfed status`. Nothing has been removed",
    )
}

fn nobody() -> Error {
    Error::usage(
        "nobody is there to confirm: this is not a terminal, or --no-input was given",
        "read what goes and what stays, then add `--yes` to the command. Nothing has been removed",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        let wrong = right("example.com", "example.org").unwrap_err();
        let told = crate::error::told([not_confirmed(), not_typed(), nobody(), wrong]);
        insta::assert_snapshot!([NOTHING, FOR_EVER, TYPE_IT, ended(true), ended(false), &told].join("\n"));
    }
}
