//! Why Rocket.Chat did not do what it was asked.

use reqwest::Url;

use crate::error::Explain;

/// What went wrong between rcfed and Rocket.Chat.
#[derive(Debug, thiserror::Error)]
pub enum RestError {
    /// Another certificate than the machine's roots lead to, or for another name.
    #[error("the certificate of {base} is not accepted: {why}")]
    Certificate {
        /// Where Rocket.Chat was looked for.
        base: String,
        /// What is wrong with it.
        why: String,
    },
    /// The HTTP client could not be made.
    #[error("could not prepare to speak to Rocket.Chat")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Logged in, but without the right.
    #[error("Rocket.Chat does not let this user {what}")]
    Forbidden {
        /// What was asked for.
        what: &'static str,
    },
    /// A version without the bridge's own check.
    #[error("this Rocket.Chat has no check of its federation: it is older than 6.12 or newer than 7.10")]
    NoVerification,
    /// Too many requests in a minute.
    #[error("Rocket.Chat is asked too often and refused to {what}")]
    RateLimited {
        /// What was asked for.
        what: &'static str,
    },
    /// It understood, and said no.
    #[error("Rocket.Chat refused to {what}: {reason}")]
    Refused {
        /// What was asked for.
        what: &'static str,
        /// Rocket.Chat's own name of the error, e.g. `error-invalid-user`; empty if it gave none.
        kind: String,
        /// Rocket.Chat's own words.
        reason: String,
    },
    /// The workspace is read-only.
    #[error("Rocket.Chat has made the workspace read-only, because it is not registered")]
    Restricted,
    /// The stored token is not `userId:token`.
    #[error("the stored access token does not have the form `userId:token`")]
    TokenForm,
    /// A second factor that rcfed does not have.
    #[error("Rocket.Chat asks for a second factor ({method}) to {what}")]
    TotpRequired {
        /// What was asked for.
        what: &'static str,
        /// `email`, `totp` or `password`.
        method: String,
        /// Whether an e-mail with a code was just sent.
        sent: bool,
    },
    /// A wrong password, or a token that was revoked.
    #[error("Rocket.Chat did not accept the credentials to {what}")]
    Unauthorized {
        /// What was asked for.
        what: &'static str,
    },
    /// A second factor that is wrong, or not valid any more.
    #[error("Rocket.Chat did not accept the code of the second factor ({method}) to {what}")]
    WrongCode {
        /// What was asked for.
        what: &'static str,
        /// `email` or `totp`.
        method: String,
    },
    /// Something else than the documented answer.
    #[error("Rocket.Chat answered {status} when asked to {what}: {start}")]
    Unexpected {
        /// What was asked for.
        what: &'static str,
        /// The status of the answer.
        status: u16,
        /// How the answer starts, or what it lacks.
        start: String,
    },
    /// No answer at all.
    #[error("Rocket.Chat cannot be reached at {base}")]
    Unreachable {
        /// Where it was looked for.
        base: Url,
        /// What the connection said.
        source: reqwest::Error,
    },
}

impl RestError {
    /// A good answer without something that belongs into it. Its text is not shown, for it may hold a token.
    pub(super) fn lacks(what: &'static str, field: &str) -> Self {
        Self::Unexpected { what, status: 200, start: format!("the answer has no `{field}`") }
    }
}

impl Explain for RestError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Certificate { .. } => {
                "if an authority of your own issued it, name the file with that authority as `ca` below `[federation]`; \
                 otherwise mend the certificate where Rocket.Chat is served"
                    .into()
            }
            Self::Client(_) => "this is a fault of rcfed: report it with the output of `rcfed --version`".into(),
            Self::Forbidden { .. } => {
                "give rcfed's user the role `admin` in Rocket.Chat (Workspace > Users), then run `sudo \
                                       rcfed apply`"
                    .into()
            }
            Self::Unauthorized { .. } => {
                "run `sudo rcfed apply`: it takes a new access token with the administrator's password".into()
            }
            Self::TokenForm => format!(
                "remove it with `sudo rm {}/personal_access_token`, then run `sudo rcfed apply`, which takes a new one",
                crate::layout::SECRETS
            ),
            Self::NoVerification => "run `rcfed plan` to see which version belongs here".into(),
            Self::RateLimited { .. } => "wait a minute, then run the same command again".into(),
            Self::Refused { .. } | Self::Unexpected { .. } => "look at `sudo rcfed logs rocketchat`".into(),
            Self::Restricted => "register the workspace: put the token from cloud.rocket.chat into a file, name it as \
                 `registration_token_file` in the configuration, then run `sudo rcfed apply`"
                .into(),
            Self::TotpRequired { method, .. } if method == "password" => {
                "run `sudo rcfed admin reset`: the stored password is no longer the administrator's".into()
            }
            Self::TotpRequired { .. } => {
                "switch off two-factor authentication for the administrator while rcfed takes its \
                 token (Account > Security), then run `sudo rcfed apply`"
                    .into()
            }
            Self::WrongCode { method, .. } if method == "email" => {
                "each code counts once, and for some minutes: run the same command again with that of the newest e-mail".into()
            }
            Self::WrongCode { .. } => {
                "a code is valid for about 30 seconds, and the clocks of Rocket.Chat and of the authenticator app have to \
                 be right: run the same command again with the next code"
                    .into()
            }
            Self::Unreachable { source, .. } if source.is_timeout() => {
                "it took longer than it may: look at `sudo rcfed logs rocketchat`".into()
            }
            Self::Unreachable { .. } => "see whether it runs with `sudo rcfed status`".into(),
        })
    }
}
