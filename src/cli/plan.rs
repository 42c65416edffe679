//! `rcfed plan`

use std::path::PathBuf;

use clap::Args;

use super::{Context, load};
use crate::change::{self, Changes, Look};
use crate::config::{Config, Mode};
use crate::deployment;
use crate::error::{Error, Result};
use crate::machine::{self, Machine};
use crate::plan::{self, Plan};
use crate::step;
use crate::topology::{self, Topology};

/// Show what `apply` would change, and change nothing
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  rcfed plan --diff\n  rcfed plan --answers answers.toml --json")]
pub struct PlanArgs {
    /// Plan for these answers instead of the configuration that `init` kept
    #[arg(long, value_name = "FILE", env = "RCFED_ANSWERS", hide_env_values = true)]
    pub answers: Option<PathBuf>,
    /// Print JSON on stdout
    #[arg(long)]
    pub json: bool,
    /// Show what differs on this machine, what restarts, and the lines that differ in each file
    #[arg(long)]
    pub diff: bool,
}

impl PlanArgs {
    /// Prints the plan. Needs no Docker, no root and no network.
    pub async fn run(self, context: Context) -> Result<()> {
        let config = load(self.answers.as_deref(), &context.host, Mode::Interactive)?;
        deployment::allows(&context.host, &config)?;
        let topology = topology::topology(&config, &machine::sizes(), &Default::default())?;
        let plan = Plan::new(&config, &topology);
        let diff = if self.diff { Some(plan::diff(&context.host, &topology)?) } else { None };
        let changes = if self.diff { Some(changes(&context, config, &topology).await?) } else { None };
        if self.json {
            let mut value = serde_json::to_value(&plan).unwrap_or_default();
            if let (Some(diff), Some(changes)) = (diff, changes) {
                value["diff"] = diff.into();
                match changes {
                    Ok(changes) => value["changes"] = serde_json::to_value(changes).unwrap_or_default(),
                    Err(why) => value["not_looked"] = why.into(),
                }
            }
            context.ui.data(&format!("{value:#}"));
        } else if let (Some(diff), Some(changes)) = (diff, changes) {
            context.ui.data(&text(&diff, changes));
        } else {
            context.ui.data(&plan.text());
        }
        Ok(())
    }
}

/// What would change on this machine; inside, why it could not be looked at where there is no engine or no right to.
async fn changes(context: &Context, config: Config, topology: &Topology) -> Result<Result<Changes, String>> {
    let (host, ui) = (context.host.clone(), context.ui.clone());
    let connected = async {
        let mut machine = Machine::new(host, config, &machine::sizes(), ui)?;
        machine.connect().await?;
        Ok::<_, Error>(machine)
    };
    let machine = match connected.await {
        Ok(machine) => machine,
        Err(error) => return Ok(Err(error.message())),
    };
    change::refuse(&machine).await?;
    let look = match Look::at(&machine, &step::steps(&machine.config, &machine.topology)).await {
        Ok(look) => look,
        Err(error) => return Ok(Err(error.message())),
    };
    Ok(Ok(Changes::new(&machine.host, &machine.config, topology, look)?))
}

fn text(diff: &str, changes: Result<Changes, String>) -> String {
    let parts = match changes {
        Ok(changes) => [changes.text(), diff.into()],
        Err(why) => {
            let none = if diff.is_empty() { "No file differs." } else { diff };
            [format!("Only files were compared: {why}."), none.into()]
        }
    };
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { "Everything is as wanted.".into() } else { parts.join("\n\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_where_little_differs_or_nothing_could_be_looked_at() {
        let none = || Changes { configuration: vec![], changes: vec![], unchanged: 40, notice: vec![] };
        let away = || Err("Docker does not answer at unix:///var/run/docker.sock".to_owned());
        let told = [
            text("", Ok(none())),
            text("--- a file\n+++ a file", Ok(none())),
            text("", away()),
            text("--- a file", away()),
        ];
        insta::assert_snapshot!(told.join("\n====\n"));
    }
}
