//! Questions on the terminal.
//!
//! dialoguer blocks, so questions run on a thread of their own while this process keeps looking things up. Ctrl-C ends
//! them wherever they are: the terminal gets its cursor and its echo back, and since every question comes before the
//! first change, nothing has been changed.

use std::io;

use dialoguer::console::Term;
use dialoguer::theme::ColorfulTheme;
use dialoguer::{Confirm, Input, Password, Select};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};

use crate::error::{Explain, Result};

/// Runs `questions` until they are answered or interrupted.
pub async fn ask<T: Send + 'static>(questions: impl FnOnce(&Prompt) -> Result<T> + Send + 'static) -> Result<T> {
    // Before the first question: from here on Ctrl-C arrives as a message and does not kill.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(PromptError::Terminal)?;
    let mut terminal = Terminal::remember();
    let task = tokio::task::spawn_blocking(move || questions(&Prompt::new()));
    let outcome = tokio::select! {
        biased;
        _ = interrupt.recv() => Err(PromptError::Interrupted.into()),
        joined = task => joined.unwrap_or_else(|error| Err(PromptError::Terminal(io::Error::other(error)).into())),
    };
    terminal.restore(outcome.is_err());
    outcome
}

/// Waits for `work`, which changes nothing, unless Ctrl-C comes first.
///
/// After a question Ctrl-C no longer ends this process by itself, so whatever follows must listen for it.
pub async fn unless_interrupted<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(PromptError::Terminal)?;
    tokio::select! {
        biased;
        _ = interrupt.recv() => Err(PromptError::Interrupted.into()),
        done = work => done,
    }
}

/// Asks one question at a time on stderr.
pub struct Prompt {
    terminal: Term,
    theme: ColorfulTheme,
}

impl Prompt {
    fn new() -> Self {
        Self { terminal: Term::stderr(), theme: ColorfulTheme::default() }
    }

    /// Says something between questions.
    pub fn note(&self, line: &str) {
        let _ = self.terminal.write_line(line);
    }

    /// Asks for a line. It is taken once `check` takes it; until then the reason is shown.
    pub fn text(
        &self,
        question: &str,
        default: Option<String>,
        may_be_empty: bool,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> Result<String, PromptError> {
        let mut input = Input::<String>::with_theme(&self.theme)
            .with_prompt(question)
            .allow_empty(may_be_empty)
            .validate_with(|text: &String| check(text));
        if let Some(default) = default {
            input = input.default(default);
        }
        Ok(input.interact_text_on(&self.terminal)?)
    }

    /// Asks for a line that is not shown; it may be empty.
    pub fn hidden(&self, question: &str) -> Result<String, PromptError> {
        let password = Password::with_theme(&self.theme).with_prompt(question).allow_empty_password(true).report(false);
        Ok(password.interact_on(&self.terminal)?)
    }

    /// Asks for one of `items`; the first is proposed.
    pub fn choose(&self, question: &str, items: &[String]) -> Result<usize, PromptError> {
        let select = Select::with_theme(&self.theme).with_prompt(question).items(items).default(0).report(true);
        Ok(select.interact_on(&self.terminal)?)
    }

    /// Asks for yes or no; Enter is no.
    pub fn confirm(&self, question: &str) -> Result<bool, PromptError> {
        let confirm = Confirm::with_theme(&self.theme).with_prompt(question).default(false).wait_for_newline(true);
        Ok(confirm.interact_on(&self.terminal)?)
    }
}

/// Why a question was not answered.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// The answer was taken by the prompt and refused afterwards.
    #[error("the answer cannot be used: {0}")]
    Refused(String),
    /// The terminal went away.
    #[error("could not ask on this terminal")]
    Terminal(#[source] io::Error),
}

impl From<dialoguer::Error> for PromptError {
    fn from(error: dialoguer::Error) -> Self {
        match io::Error::from(error) {
            error if error.kind() == io::ErrorKind::Interrupted => Self::Interrupted,
            error => Self::Terminal(error),
        }
    }
}

impl Explain for PromptError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Interrupted | Self::Refused(_) => "Nothing has been changed.".into(),
            Self::Terminal(_) => "Nothing has been changed. Without a terminal, use `--answers FILE --yes`".into(),
        })
    }

    fn exit_code(&self) -> u8 {
        if matches!(self, Self::Interrupted) { 130 } else { 1 }
    }
}

/// The terminal's state before the first question; back again too if nobody waits for the answer any more.
struct Terminal {
    state: Option<Termios>,
    restored: bool,
}

impl Terminal {
    fn remember() -> Self {
        Self { state: tcgetattr(io::stdin()).ok(), restored: false }
    }

    fn restore(&mut self, cut_short: bool) {
        self.restored = true;
        if let Some(state) = &self.state {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, state);
        }
        let terminal = Term::stderr();
        let _ = terminal.show_cursor();
        if cut_short {
            // The cursor stands behind a question.
            let _ = terminal.write_line("");
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if !self.restored {
            self.restore(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        let errors = [
            PromptError::Interrupted,
            PromptError::Refused("it is no domain name".into()),
            PromptError::Terminal(io::ErrorKind::NotConnected.into()),
        ];
        insta::assert_snapshot!(crate::error::told(errors.map(Into::into)));
    }
}
