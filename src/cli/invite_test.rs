//! `rcfed invite-test`

use std::time::Duration;

use clap::Args;

use super::{Context, machine};
use crate::deploy::need_root;
use crate::error::{Error, Result};
use crate::invite_test::{self, last_words};
use crate::matrix::user_id::UserId;

/// Invite somebody on another server, for real, and see each hop
///
/// A user that nobody is, `@rcfed-probe`, makes a room and invites. Whether the other server accepts the invite is seen at
/// once; with --wait also whether the person joins. Then the invite is taken back and the room left.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  sudo rcfed invite-test @bob:example.net\n  sudo rcfed invite-test @bob:example.net --wait 60 --json"
)]
pub struct InviteTestArgs {
    /// Whom to invite
    #[arg(value_name = "@USER:SERVER")]
    pub person: UserId,
    /// Wait until the person joins, at most so long
    #[arg(long, value_name = "SECONDS", default_value_t = 0, hide_default_value = true, value_parser = clap::value_parser!(u64).range(..=3600))]
    pub wait: u64,
    /// Print JSON on stdout
    #[arg(long)]
    pub json: bool,
}

impl InviteTestArgs {
    /// Invites, tells each hop, and ends with an exit code.
    pub async fn run(self, context: Context) -> Result<()> {
        need_root("invite-test")?;
        let ui = context.ui.clone();
        let machine = machine(context).await?;
        let config = &machine.config;
        if !config.profile.has_homeserver() {
            return Err(native(&self.person));
        }
        if self.person.server().as_str() == config.names.federated.as_str() {
            return Err(own(&self.person));
        }
        let tell = |hop: &invite_test::Hop| {
            if !self.json {
                ui.data(&hop.text());
            }
        };
        let report = invite_test::run(&machine, &self.person, Duration::from_secs(self.wait), tell).await?;
        if self.json {
            ui.data(&format!("{:#}", report.json()));
            return report.error.map_or(Ok(()), |error| Err(Error::told(error.exit_code())));
        }
        match report.error {
            Some(error) => Err(error),
            None => {
                ui.say(&last_words(config, &self.person));
                Ok(())
            }
        }
    }
}

fn native(person: &UserId) -> Error {
    Error::usage(
        "with the profile native Rocket.Chat is its own homeserver, which takes no invites from rcfed",
        format!("invite {person} in Rocket.Chat; `rcfed doctor {}` looks at the other server", person.server()),
    )
}

fn own(person: &UserId) -> Error {
    Error::usage(
        format!("{person} is on this deployment itself, so nothing would leave it"),
        "name somebody on another server",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        let person: UserId = "@bob:example.net".parse().unwrap();
        insta::assert_snapshot!(crate::error::told([native(&person), own(&person)]));
    }
}
