//! What a change would do to a deployment that runs: which steps differ and why, what restarts, and what people notice.
//!
//! Everything is asked of the machine. The configuration of the last run that ended well tells a change that is wanted
//! from one that somebody made by hand.

mod look;
mod order;
mod refuse;
mod show;

pub(crate) use look::is_looked_at;
pub use look::{Change, Effect, Look};
pub use order::{Order, order};
pub use refuse::refuse;
pub use show::{Changes, notice};

use crate::config::Config;
use crate::error::Result;
use crate::host::Host;
use crate::host::fs::{self, Access};
use crate::layout;

/// Keeps the configuration of a run that ended well, and lets go of what was kept for going back.
pub fn applied(host: &Host, config: &Config) -> Result<()> {
    let previous = host.path(layout::PREVIOUS);
    if fs::access(&previous)?.is_some() {
        // Copies of files that were mended while their container stayed.
        let _ = std::fs::remove_dir_all(previous);
    }
    let (path, text) = (host.path(layout::APPLIED), config.to_toml());
    if fs::read_text(&path)?.as_deref() == Some(&text) {
        return Ok(());
    }
    Ok(fs::write(&path, text.as_bytes(), Access::root(0o600))?)
}

/// Whether the last run that ended well was with this very configuration, so that what differs now was changed by hand.
fn same_as_applied(host: &Host, config: &Config) -> Result<bool> {
    Ok(fs::read_text(&host.path(layout::APPLIED))?.is_some_and(|text| text == config.to_toml()))
}

/// Lines of the configuration that are not those of the last run that ended well, `-` before the old and `+` before the
/// new.
fn config_lines(host: &Host, config: &Config) -> Result<Vec<String>> {
    let Some(was) = fs::read_text(&host.path(layout::APPLIED))? else { return Ok(Vec::new()) };
    let wanted = config.to_toml();
    let (old, new): (Vec<&str>, Vec<&str>) = (was.lines().collect(), wanted.lines().collect());
    let gone = old.iter().filter(|line| !line.is_empty() && !new.contains(line)).map(|line| format!("- {line}"));
    let come = new.iter().filter(|line| !line.is_empty() && !old.contains(line)).map(|line| format!("+ {line}"));
    Ok(gone.chain(come).collect())
}
