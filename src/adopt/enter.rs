//! The way in of an administrator, with a second factor where Rocket.Chat asks for one.
//!
//! A code of an authenticator app lives half a minute, and one that came by e-mail opens one door once; the work that
//! follows takes longer. So whoever needed a code to log in gets rcfed's own token at once, which needs none.

use super::AdoptError;
use crate::error::Result;
use crate::rocketchat::{Client, Factor, RestError};
use crate::secrets::Secret;
use crate::ui::prompt;

/// Where codes come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Codes {
    /// One that was given with the command.
    pub given: Option<Secret>,
    /// Somebody can be asked.
    pub terminal: bool,
}

/// An administrator on the way in.
pub(super) struct Entrance<'a> {
    user: &'a str,
    codes: &'a Codes,
    given: Option<Secret>,
    asked: usize,
}

impl<'a> Entrance<'a> {
    pub(super) fn new(user: &'a str, codes: &'a Codes) -> Self {
        Self { user, codes, given: codes.given.clone(), asked: 0 }
    }

    /// Logs in; gives back the second factor that it took.
    pub(super) async fn log_in(&mut self, client: &mut Client, password: &Secret) -> Result<Option<Factor>> {
        let mut factor = None;
        loop {
            match client.login(self.user, password, factor.as_ref()).await {
                Ok(()) => return Ok(factor),
                Err(error) => factor = Some(self.next(client, error).await?),
            }
        }
    }

    /// A token for later runs; `factor` is what the log-in took.
    pub(super) async fn token(&mut self, client: &Client, mut factor: Factor) -> Result<Secret> {
        self.asked = 0;
        loop {
            match client.personal_access_token(&factor).await {
                Ok(token) => return Ok(token),
                Err(error) => factor = self.next(client, error).await?,
            }
        }
    }

    /// Another code, if that is what is missing and there is somebody who has one.
    async fn next(&mut self, client: &Client, error: RestError) -> Result<Factor> {
        let failed = |source| AdoptError::Login { user: self.user.into(), source };
        let (method, wrong, sent) = match &error {
            RestError::TotpRequired { method, sent, .. } if method != "password" => (method.clone(), false, *sent),
            RestError::WrongCode { method, .. } => (method.clone(), true, true),
            _ => return Err(failed(error).into()),
        };
        if let Some(code) = self.given.take() {
            return Ok(Factor { method, code });
        }
        if !self.codes.terminal || self.codes.given.is_some() || self.asked == TRIES {
            return Err(failed(error).into());
        }
        self.asked += 1;
        if method == "email" && !sent {
            client.send_email_code(self.user).await.map_err(failed)?;
        }
        let (note, question) = question(self.user, &method, wrong);
        let code = prompt::ask(move |prompt| {
            prompt.note(&note);
            Ok(prompt.text(question, None, false, |text| match text.trim().is_empty() {
                true => Err("a code is needed".into()),
                false => Ok(()),
            })?)
        })
        .await?;
        Ok(Factor { method, code: Secret::new(code.trim()) })
    }
}

fn question(user: &str, method: &str, wrong: bool) -> (String, &'static str) {
    let note = match wrong {
        true => "That code was not accepted.".into(),
        false => format!("Rocket.Chat asks for the second factor of `{user}`."),
    };
    (note, if method == "email" { "Code from the newest e-mail" } else { "Code of the authenticator app" })
}

/// Codes that are asked for before giving up; Rocket.Chat refuses after a few wrong ones by itself.
const TRIES: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked() {
        let asked = ["totp", "email"].map(|method| [false, true].map(|wrong| question("ada", method, wrong)));
        let lines = asked.as_flattened().iter().map(|(note, question)| format!("{note}\n{question}"));
        insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
    }
}
