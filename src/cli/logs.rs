//! `rcfed logs`

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};

use crate::config::Service;

/// Show what a service says
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  rcfed logs rocketchat --tail 50\n  rcfed logs homeserver --follow")]
pub struct LogsArgs {
    /// The service
    #[arg(value_name = "SERVICE")]
    pub service: Service,
    /// Go on as new lines come, until Ctrl-C
    #[arg(short, long)]
    pub follow: bool,
    /// Start with the last N lines [default: all]
    #[arg(short = 'n', long, value_name = "N")]
    pub tail: Option<u32>,
}

impl ValueEnum for Service {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()))
    }
}
