//! Waiting until the web site on the federated domain answers what it has to.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Seen, look};
use crate::dns::Patience;
use crate::domain::DomainName;
use crate::error::{Error, Result};
use crate::machine::Machine;
use crate::stop::{Reason, Stop};

/// Looks again and again until all documents are answered. Whether the site also says who exists is not waited for: many
/// cannot.
pub async fn wait(machine: &Machine, patience: Patience) -> Result<()> {
    let site = &machine.config.names.federated;
    let time = minutes(patience);
    machine.ui.say(&begins(site, &time));
    let task = machine.ui.task(title(site));
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
        return Err(ended(reason, site, &time, &note(&seen)));
    }
}

fn note(seen: &Seen) -> String {
    seen.missing.iter().map(|(path, why)| format!("{path} {why}")).collect::<Vec<_>>().join("; ")
}

const LOOK: Duration = Duration::from_secs(10);

fn minutes(patience: Patience) -> String {
    match patience.at_most.as_secs().div_ceil(60) {
        1 => "1 minute".into(),
        minutes => format!("{minutes} minutes"),
    }
}

fn title(site: &DomainName) -> String {
    format!("Wait for the web site on {site}")
}

fn begins(site: &DomainName, time: &str) -> String {
    format!("Waiting up to {time} until {site} answers; Ctrl-C ends it, everything here stays as it is.")
}

/// Somebody had enough, or the time is over.
fn ended(reason: Option<Reason>, site: &DomainName, time: &str, seen: &str) -> Error {
    let hint = "see what to put there with `rcfed apex`; once it answers, run `sudo rcfed apply`";
    match reason {
        Some(reason) => {
            let told = format!("stopped by {} while waiting for {site}: {seen}", reason.words());
            Error::stopped(told, hint, reason.exit_code())
        }
        None => Error::new(format!("{site} still does not answer after {time}: {seen}"), hint),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        let site = DomainName::parse("example.org").unwrap();
        let patience = |seconds| Patience { every: Duration::from_secs(10), at_most: Duration::from_secs(seconds) };
        let seen = "/.well-known/matrix/server answers 404";
        let reasons = [Some(Reason::Interrupt), Some(Reason::Terminate), None];
        let errors = reasons.map(|reason| ended(reason, &site, &minutes(patience(1800)), seen));
        let told = crate::error::told(errors);
        insta::assert_snapshot!(format!("{}\n{}\n{told}", begins(&site, &minutes(patience(60))), title(&site)));
    }
}
