//! `rcfed tokens`

use clap::{Args, Subcommand};

use super::{Context, load};
use crate::adopt::Codes;
use crate::config::Mode;
use crate::deploy::{Manner, deploy};
use crate::error::{Error, Result};
use crate::tokens::TokensError;
use crate::ui::prompt;

/// Change the tokens that Rocket.Chat and the homeserver know each other by
#[derive(Args, Clone, Debug)]
pub struct TokensArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: TokensCommand,
}

/// What can be done with the tokens.
#[derive(Clone, Debug, Subcommand)]
#[allow(missing_docs, reason = "each is described by its struct, which is also its help")]
pub enum TokensCommand {
    Rotate(RotateArgs),
}

/// Give both sides new tokens, and see that the old ones are dead
///
/// The homeserver is started anew, with Dendrite the relay too, and then Rocket.Chat: people are away for as long as it
/// takes to start. Run it again, or `rcfed apply`, to go on after an interruption.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  sudo rcfed tokens rotate\n  sudo rcfed tokens rotate --yes")]
pub struct RotateArgs {}

impl TokensArgs {
    /// Does what was asked for.
    pub async fn run(self, context: Context) -> Result<()> {
        let TokensCommand::Rotate(rotate) = self.command;
        rotate.run(context).await
    }
}

impl RotateArgs {
    /// Asks where somebody can be asked, and rotates.
    pub async fn run(self, context: Context) -> Result<()> {
        let config = load(None, &context.host, Mode::Unattended)?;
        if !config.profile.has_homeserver() {
            return Err(TokensError::Native.into());
        }
        if context.input.asks() {
            let question = |prompt: &prompt::Prompt| {
                prompt.note(BEFORE);
                Ok(prompt.confirm(QUESTION)?)
            };
            if !prompt::ask(question).await? {
                return Err(not_confirmed());
            }
        }
        let terminal = context.input.can_ask();
        let codes = Codes { given: None, terminal };
        let manner = Manner { terminal, rotate: true, codes, ..Manner::default() };
        deploy(context.host, config, &context.ui, manner, "tokens rotate").await?;
        Ok(())
    }
}

const BEFORE: &str = "The homeserver and then Rocket.Chat are started anew; people are away for some seconds.";
const QUESTION: &str = "Rotate the tokens?";

fn not_confirmed() -> Error {
    Error::new("not confirmed", "Nothing has been changed. `sudo rcfed tokens rotate` asks again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        insta::assert_snapshot!(format!("{BEFORE}\n{QUESTION}\n{}", crate::error::told([not_confirmed()])));
    }
}
