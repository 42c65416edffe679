//! `rcfed version`

use clap::Args;

use super::Context;
use crate::error::Result;

/// Show which rcfed this is
#[derive(Args, Clone, Debug)]
pub struct VersionArgs {}

impl VersionArgs {
    /// Prints name and version.
    pub async fn run(self, context: Context) -> Result<()> {
        context.ui.data(concat!("rcfed ", env!("CARGO_PKG_VERSION")));
        Ok(())
    }
}
