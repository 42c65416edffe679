//! How every step is that can differ from what is wanted, looked at all at once.

use futures_util::future::try_join_all;
use serde::Serialize;

use crate::apply::Outcome;
use crate::config::Service;
use crate::error::Result;
use crate::machine::Machine;
use crate::step::{State, Step};
use crate::tokens;
use crate::ui::Ui;

/// What a change of a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Something that was not there is made.
    New,
    /// Something is written or set anew, and nothing stops.
    Changed,
    /// nginx takes its new files; connections stay.
    Reloads,
    /// The container is replaced by a new one.
    Recreated,
    /// The container is stopped and started again.
    Restarted,
    /// The container is started.
    Started,
}

impl Effect {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Changed => "changed",
            Self::Reloads => "reloads",
            Self::Recreated => "recreated",
            Self::Restarted => "restarted",
            Self::Started => "started",
        }
    }
}

/// A step that differs.
#[derive(Clone, Debug, Serialize)]
pub struct Change {
    /// The step's id.
    pub step: String,
    /// What is done.
    pub effect: Effect,
    /// Why: in what it differs. Empty for what is new.
    pub why: String,
    /// Whether somebody changed it by hand, and not the configuration.
    pub by_hand: bool,
    /// The service whose container it is.
    pub service: Option<Service>,
}

/// How the machine is, compared with what is wanted.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// What differs, in the order of the steps.
    pub changes: Vec<Change>,
    /// How many steps are as wanted.
    pub unchanged: usize,
    /// Whether there is a deployment at all.
    pub deployed: bool,
}

impl Look {
    /// Looks at everything that can be changed by hand or by the configuration. Whether servers answer is not part of it.
    pub async fn at(machine: &Machine, steps: &[Step]) -> Result<Self> {
        // New tokens are no hand's work, and not the configuration's.
        let same = super::same_as_applied(&machine.host, &machine.config)? && !tokens::pending(&machine.host)?;
        let deployed = crate::deployment::Deployment::load(&machine.host)?.is_some();
        let steps: Vec<&Step> = steps.iter().filter(|step| is_looked_at(step)).collect();
        let states = try_join_all(steps.iter().map(|step| step.inspect(machine))).await?;
        let mut look = Self { deployed, ..Self::default() };
        for (step, state) in steps.into_iter().zip(states) {
            let service = if let Step::Container(service) = step { Some(*service) } else { None };
            let (effect, why) = match (state, service) {
                (State::Current, _) => {
                    look.unchanged += 1;
                    continue;
                }
                (State::Absent, _) => (Effect::New, String::new()),
                (State::Differs(why), Some(_)) if why == "it does not run" => (Effect::Started, why),
                (State::Differs(why), Some(_)) if why.starts_with("it was started with another") => {
                    (Effect::Restarted, why)
                }
                (State::Differs(why), Some(_)) => (Effect::Recreated, why),
                (State::Differs(why) | State::Foreign(why), None) if *step == Step::Reload => (Effect::Reloads, why),
                (State::Differs(why) | State::Foreign(why), _) => (Effect::Changed, why),
            };
            let by_hand = deployed && same && *step != Step::Certificate;
            look.changes.push(Change { step: step.id(), effect, why, by_hand, service });
        }
        Ok(look)
    }

    /// The change of a step, if it has one.
    pub fn change(&self, step: &str) -> Option<&Change> {
        self.changes.iter().find(|change| change.step == step)
    }

    /// Says what was mended, of what somebody had changed by hand.
    pub fn tell_mended(&self, outcome: &Outcome, ui: &Ui) {
        for change in self.changes.iter().filter(|change| change.by_hand && outcome.changed.contains(&change.step)) {
            let why = if change.why.is_empty() { "it was gone" } else { &change.why };
            ui.say(&format!("Mended {}: {why}.", change.step));
        }
    }
}

/// Whether a step is about things, and not about what servers answer.
pub(crate) fn is_looked_at(step: &Step) -> bool {
    match step {
        Step::Account | Step::Database(_) | Step::Federation | Step::Ready(_) | Step::Settings | Step::Trial(_) => {
            false
        }
        Step::Certificate
        | Step::Connection
        | Step::Container(_)
        | Step::Directory(_)
        | Step::File(_)
        | Step::Image(_)
        | Step::Network
        | Step::Reload
        | Step::Secret(_)
        | Step::Site(_)
        | Step::Unit
        | Step::Volume(_) => true,
    }
}
