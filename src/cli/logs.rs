//! `rcfed logs`

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};

use super::{Context, load};

use crate::config::{Existing, Mode, Service};
use crate::error::{Error, Result};
use crate::host::docker::Docker;

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

impl LogsArgs {
    /// Prints the lines on stdout.
    pub async fn run(self, context: Context) -> Result<()> {
        let mut docker = Docker::new(&context.host.docker)?;
        docker.engine().await?;
        let config = load(None, &context.host, Mode::Unattended).ok();
        let name = match config.and_then(|config| config.rocketchat.existing) {
            Some(Existing::Container(name)) if self.service == Service::Rocketchat => name,
            _ => self.service.container(),
        };
        if docker.container(&name).await?.is_none() {
            return Err(no_container(&name));
        }
        let tail = self.tail.map_or_else(|| "all".to_owned(), |n| n.to_string());
        Ok(docker.logs(&name, &tail, self.follow, |line| context.ui.data(line)).await?)
    }
}

fn no_container(name: &str) -> Error {
    Error::new(format!("there is no container `{name}`"), "see what runs with `sudo rcfed status`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        insta::assert_snapshot!(crate::error::told([no_container("rcfed-relay")]));
    }
}
