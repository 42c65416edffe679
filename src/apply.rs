//! Runs steps: whatever is ready runs at once, a failure stops what depends on it and nothing else.
//!
//! # Guarantees
//! Before a step acts, the receipt says so; a step that is as wanted is not touched. Nothing is touched at all while
//! something foreign stands in the way. The first Ctrl-C lets running steps end, the second ends the process; both can be
//! resumed by running the same command again. SIGTERM is the same as Ctrl-C.
//! # Errors
//! All failures are reported, the first cause first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::try_join_all;
use tokio::task::JoinSet;

use crate::change::{Order, is_looked_at};
use crate::error::{Error, Result};
use crate::host::fs;
use crate::machine::Machine;
use crate::receipt::{Receipt, Undo};
use crate::step::{State, Step};
use crate::stop::{Reason, Stop, stopped};
use crate::{fault, leftovers};

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Ids of the steps that changed something, in the order in which they ended.
    pub changed: Vec<String>,
    /// How many steps were as wanted already.
    pub unchanged: usize,
}

/// Makes everything so, and stops at the first Ctrl-C after the running steps.
pub async fn apply(machine: &Machine, receipt: Receipt, steps: Vec<Step>, rule: &Order) -> Result<Outcome> {
    refuse_foreign(machine, &steps).await?;
    leftovers::clear(&machine.host, &machine.docker, &receipt).await?;
    let receipt = Arc::new(receipt);
    let mut run =
        Run { machine, receipt, waiting: BTreeMap::new(), done: BTreeSet::new(), outcome: Outcome::default() };
    let known: BTreeSet<String> = steps.iter().map(Step::id).collect();
    for (order, step) in steps.into_iter().enumerate() {
        let needs = rule.needs(&step, &machine.topology).into_iter().filter(|id| known.contains(id)).collect();
        run.waiting.insert(order, (step, needs));
    }
    run.all().await
}

/// Whether all servers answer as wanted: the part of the steps that [`crate::change::Look`] leaves out. One that cannot be
/// asked does not.
pub async fn all_answer(machine: &Machine, steps: &[Step]) -> bool {
    let asked = steps.iter().filter(|step| !is_looked_at(step)).map(|step| async {
        match step.inspect(machine).await {
            Ok(State::Current) => Ok(()),
            Ok(_) | Err(_) => Err(()),
        }
    });
    try_join_all(asked).await.is_ok()
}

struct Run<'a> {
    machine: &'a Machine,
    receipt: Arc<Receipt>,
    /// Steps not yet started with what they need, in plan order.
    waiting: BTreeMap<usize, (Step, Vec<String>)>,
    done: BTreeSet<String>,
    outcome: Outcome,
}

impl Run<'_> {
    async fn all(mut self) -> Result<Outcome> {
        let mut running: JoinSet<(String, Result<bool>)> = JoinSet::new();
        let mut failures: Vec<(String, Error)> = Vec::new();
        let mut stop = Some(Stop::listen()?);
        let mut stopped = None;
        loop {
            if stopped.is_none() {
                self.start_ready(&mut running);
            }
            let ended = tokio::select! {
                ended = running.join_next() => ended,
                reason = asked(&mut stop) => {
                    stopped = Some(reason);
                    self.machine.ui.say("Stopping after the running steps; press Ctrl-C again to stop now.");
                    if let Some(stop) = stop.take() {
                        stop.at_once_next_time();
                    }
                    continue;
                }
            };
            match ended {
                None => break,
                Some(Ok((id, Ok(changed)))) => {
                    if changed {
                        self.outcome.changed.push(id.clone());
                    } else {
                        self.outcome.unchanged += 1;
                    }
                    self.done.insert(id);
                }
                Some(Ok((id, Err(error)))) => failures.push((id, error)),
                Some(Err(panic)) => failures.push(("internal".into(), bug(&panic.to_string()))),
            }
        }
        if !failures.is_empty() {
            return Err(report(failures, self.waiting.len()));
        }
        if let Some(reason) = stopped {
            return Err(stopped_by(reason, self.waiting.len()));
        }
        if !self.waiting.is_empty() {
            return Err(circle(self.waiting.values().map(|(step, _)| step.id())));
        }
        Ok(self.outcome)
    }

    fn start_ready(&mut self, running: &mut JoinSet<(String, Result<bool>)>) {
        let ready: Vec<usize> = self
            .waiting
            .iter()
            .filter(|(_, (_, needs))| needs.iter().all(|id| self.done.contains(id)))
            .map(|(order, _)| *order)
            .collect();
        let at_once = if fault::in_order() { 1_usize.saturating_sub(running.len()) } else { ready.len() };
        for order in ready.into_iter().take(at_once) {
            if let Some((step, _)) = self.waiting.remove(&order) {
                let (machine, receipt) = (self.machine.clone(), Arc::clone(&self.receipt));
                running.spawn(async move { (step.id(), one(&machine, &receipt, &step).await) });
            }
        }
    }
}

/// Looks, acts if needed, and looks again. Returns whether anything was changed.
async fn one(machine: &Machine, receipt: &Receipt, step: &Step) -> Result<bool> {
    let id = step.id();
    let began = Instant::now();
    match step.inspect(machine).await? {
        State::Current => {
            fault::point(format_args!("before:{id}"));
            fault::point(format_args!("after:{id}"));
            machine.ui.detail(&id, began.elapsed());
            return Ok(false);
        }
        State::Foreign(why) => return Err(foreign(&why)),
        State::Absent | State::Differs(_) => {}
    }
    let task = machine.ui.task(step.summary(&machine.topology));
    record(machine, receipt, step).await?;
    fault::point(format_args!("before:{id}"));
    let applied = step.apply(machine, &task).await;
    fault::point(format_args!("after:{id}"));
    match applied {
        Ok(summary) => {
            // A container that ends at once is for the step that waits for its server: that one says why.
            if !matches!(step, Step::Container(_))
                && let State::Differs(what) = step.inspect(machine).await?
            {
                task.failed("");
                return Err(still_differs(&id, &what));
            }
            receipt.done(&id)?;
            if step.is_small() {
                task.silent()
            } else {
                task.done(&summary)
            }
            machine.ui.detail(&id, began.elapsed());
            Ok(true)
        }
        Err(error) => {
            task.failed("");
            Err(error)
        }
    }
}

/// Puts everything the step will make into the receipt, and somebody else's file aside.
async fn record(machine: &Machine, receipt: &Receipt, step: &Step) -> Result<()> {
    let id = step.id();
    for thing in step.things(machine, receipt).await? {
        let (undo, new) = receipt.started(&id, &thing)?;
        if let Undo::RestoreFile { path, backup } = undo
            // Later it is rcfed's own content, which nobody wants back.
            && (new || !receipt.was_done(&id))
        {
            fs::back_up(&machine.path(path), &machine.path(backup))?;
        }
    }
    Ok(())
}

/// Refuses what has one of our names and is somebody else's.
pub async fn refuse_foreign(machine: &Machine, steps: &[Step]) -> Result<()> {
    let mut all = Vec::new();
    for step in steps.iter().filter(|step| step.may_be_foreign()) {
        if let State::Foreign(why) = step.inspect(machine).await? {
            all.push(why);
        }
    }
    if all.is_empty() { Ok(()) } else { Err(foreign(&all.join("; "))) }
}

fn foreign(why: &str) -> Error {
    Error::new(
        format!("something else is in the way: {why}"),
        "rename or remove it if it is not needed (`docker ps -a`, `docker volume ls`), then run the same command again",
    )
}

/// The first failure with its hint; a few others in one line each, since one cause, such as a full disk, has many.
fn report(mut failures: Vec<(String, Error)>, skipped: usize) -> Error {
    const MOST: usize = 3;
    let (_, first) = failures.remove(0);
    let mut message = first.message();
    let mut said = BTreeSet::from([message.clone()]);
    failures.retain(|(_, error)| said.insert(error.message()));
    for (id, error) in failures.iter().take(MOST) {
        message.push_str(&format!("\nalso, {id}: {}", error.message()));
    }
    if failures.len() > MOST {
        message.push_str(&format!("\nand {} more", failures.len() - MOST));
    }
    let skipped = match skipped {
        0 => None,
        1 => Some("one step that needs it was".into()),
        many => Some(format!("{many} steps that need it were")),
    };
    if let Some(skipped) = skipped {
        message.push_str(&format!("\n{skipped} not started; everything done so far stays"));
    }
    let hint = first.hint().unwrap_or_default();
    Error::new(message, if hint.is_empty() { "run `sudo rcfed apply` to try again".into() } else { hint })
}

fn stopped_by(reason: Reason, left: usize) -> Error {
    stopped(reason, left, "step", "run `sudo rcfed apply` to go on, it continues where this stopped")
}

fn still_differs(id: &str, what: &str) -> Error {
    Error::new(
        format!("`{id}` was done, and still differs: {what}"),
        "somebody else may be changing it; run the same command again",
    )
}

fn circle(steps: impl Iterator<Item = String>) -> Error {
    bug(&format!("these steps wait for each other: {}", steps.collect::<Vec<_>>().join(", ")))
}

fn bug(what: &str) -> Error {
    Error::new(format!("rcfed itself went wrong: {what}"), "please report this; `sudo rcfed apply` may go on")
}

async fn asked(stop: &mut Option<Stop>) -> Reason {
    match stop {
        Some(stop) => stop.asked().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_with_the_first_cause_first_and_each_once() {
        let failure = |id: &str, why: &str, hint: &str| (id.to_owned(), Error::new(why, hint));
        let pull = || failure("image:mongodb", "Docker could not pull `mongo:7.0`: no such host", "check DNS");
        let other =
            || failure("image:postgres", "Docker could not pull `postgres:17`: no such host", "check DNS again");
        let many = (1..=5).map(|n| failure(&format!("file:{n}"), &format!("could not write `{n}`"), "make room"));
        let errors = [
            report(vec![pull()], 0),
            report(vec![pull(), other()], 1),
            report(vec![other(), pull()], 20),
            // The same cause, met by two steps, is told once.
            report(vec![pull(), pull(), failure("network", "Docker went away", "start it")], 3),
            report(many.collect(), 0),
            report(vec![failure("network", "it failed", "")], 0),
        ];
        insta::assert_snapshot!(crate::error::told(errors));
    }

    #[test]
    fn sentences() {
        let errors = [
            stopped_by(Reason::Interrupt, 12),
            stopped_by(Reason::Terminate, 1),
            still_differs("network", "it has other labels"),
            circle(["file:/a".to_owned(), "file:/b".into()].into_iter()),
            foreign("a network `rcfed` exists that rcfed did not make"),
        ];
        insta::assert_snapshot!(crate::error::told(errors));
    }
}
