//! `rcfed plan`

use std::path::PathBuf;

use clap::Args;

use super::{Context, load};
use crate::config::Mode;
use crate::error::Result;
use crate::machine;
use crate::plan::{self, Plan};
use crate::topology;

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
    /// Show the lines that differ in each file
    #[arg(long)]
    pub diff: bool,
}

impl PlanArgs {
    /// Prints the plan. Needs no Docker, no root and no network.
    pub async fn run(self, context: Context) -> Result<()> {
        let config = load(self.answers.as_deref(), &context.host, Mode::Interactive)?;
        let topology = topology::topology(&config, &machine::sizes(), &Default::default())?;
        let plan = Plan::new(&config, &topology);
        let diff = if self.diff { Some(plan::diff(&context.host, &topology)?) } else { None };
        if self.json {
            let mut value = serde_json::to_value(&plan).unwrap_or_default();
            if let Some(diff) = diff {
                value["diff"] = diff.into();
            }
            context.ui.data(&format!("{value:#}"));
        } else if let Some(diff) = diff {
            context.ui.data(if diff.is_empty() { "No file differs." } else { &diff });
        } else {
            context.ui.data(&plan.text());
        }
        Ok(())
    }
}
