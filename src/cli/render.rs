//! `rcfed render`

use std::path::PathBuf;

use clap::Args;

use super::{Context, load};
use crate::config::Mode;
use crate::error::{Error, Result};
use crate::host::fs::{self, Access};
use crate::host::secrets::SecretStore;
use crate::machine;
use crate::render;
use crate::secrets::Secret;
use crate::topology;

/// Write every generated file into a directory, to read or to use elsewhere
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example:\n  rcfed render --answers answers.toml --out /tmp/rcfed-files")]
pub struct RenderArgs {
    /// The answers to render
    #[arg(long, value_name = "FILE", env = "RCFED_ANSWERS", hide_env_values = true)]
    pub answers: PathBuf,
    /// The directory to write to
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Write the secrets themselves instead of marks that stand for them
    #[arg(long)]
    pub show_secrets: bool,
}

impl RenderArgs {
    /// Writes the files below `--out`, in the places they have below `/`.
    pub async fn run(self, context: Context) -> Result<()> {
        let config = load(Some(&self.answers), &context.host, Mode::Interactive)?;
        let topology = topology::topology(&config, &machine::sizes(), &Default::default())?;
        let secrets = SecretStore::new(&context.host);
        let me = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        for site in &topology.sites {
            let path = self.out.join(site.path.trim_start_matches('/'));
            write(&path, site.text.as_bytes(), Access { mode: 0o644, uid: me.0, gid: me.1 })?;
        }
        for file in &topology.files {
            let text = if self.show_secrets {
                let secret = |name| secrets.get(name).ok().flatten();
                render::resolve(&file.text, &secret).map_err(|error| {
                    let hint = "secrets are made by `sudo rcfed init`; leave out --show-secrets before that";
                    Error::new(format!("could not fill in {}: {error}", file.path.display()), hint)
                })?
            } else {
                Secret::new(render::redact(&file.text))
            };
            let path = self.out.join(file.path.strip_prefix("/").unwrap_or(&file.path));
            let mode = if self.show_secrets { 0o600 } else { 0o644 };
            write(&path, text.expose().as_bytes(), Access { mode, uid: me.0, gid: me.1 })?;
        }
        let count = topology.files.len() + topology.sites.len();
        context.ui.say(&format!("Wrote {count} files below {}.", self.out.display()));
        Ok(())
    }
}

fn write(path: &std::path::Path, bytes: &[u8], access: Access) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_directory(parent, Access { mode: 0o755, ..access })?;
    }
    Ok(fs::write(path, bytes, access)?)
}
