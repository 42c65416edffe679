//! Waiting until the web site on the federated domain answers what it has to.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Seen, look};
use crate::dns::Patience;
use crate::error::{Error, Result};
use crate::machine::Machine;
use crate::stop::Stop;

/// Looks again and again until all documents are answered. Whether the site also says who exists is not waited for: many
/// cannot.
pub async fn wait(machine: &Machine, patience: Patience) -> Result<()> {
    let site = &machine.config.names.federated;
    let minutes = patience.at_most.as_secs().div_ceil(60);
    let plural = if minutes == 1 { "minute" } else { "minutes" };
    machine.ui.say(&format!(
        "Waiting up to {minutes} {plural} until {site} answers; Ctrl-C ends it, everything here stays as it is."
    ));
    let task = machine.ui.task(format!("Wait for the web site on {site}"));
    let eyes = machine.eyes()?;
    let deadline = Instant::now() + patience.at_most;
    let mut stop = Stop::listen()?;
    loop {
        let seen = look(&machine.config, &eyes, Instant::now() + LOOK).await;
        if seen.missing.is_empty() {
            task.done("");
            return Ok(());
        }
        task.note(note(&seen));
        let over = Instant::now() + patience.every > deadline;
        let reason = if over {
            None
        } else {
            tokio::select! {
                () = sleep(patience.every) => continue,
                reason = stop.asked() => Some(reason),
            }
        };
        task.failed("");
        let hint = "see what to put there with `rcfed apex`; once it answers, run `sudo rcfed apply`";
        return Err(match reason {
            Some(reason) => Error::stopped(
                format!("stopped by {} while waiting for {site}: {}", reason.words(), note(&seen)),
                hint,
                reason.exit_code(),
            ),
            None => Error::new(format!("{site} still does not answer after {minutes} {plural}: {}", note(&seen)), hint),
        });
    }
}

fn note(seen: &Seen) -> String {
    seen.missing.iter().map(|(path, why)| format!("{path} {why}")).collect::<Vec<_>>().join("; ")
}

const LOOK: Duration = Duration::from_secs(10);
