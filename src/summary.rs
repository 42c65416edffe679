//! The last words of a successful run: where to go, who to be, what to do next.

use crate::config::Apex;
use crate::error::Result;
use crate::layout;
use crate::machine::Machine;
use crate::secrets::SecretName;
use crate::step::Verdict;

/// How the administrator learns the first password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Password {
    /// It was not made by this run.
    Known,
    /// Shown once, here.
    Show,
    /// There is no terminal to show it on: the file is named.
    Tell,
}

/// The summary of a deployment.
pub fn summary(machine: &Machine, password: Password) -> Result<String> {
    let names = &machine.config.names;
    let admin = &machine.config.admin.username;
    let mut lines = vec![format!("Rocket.Chat    https://{}", names.chat), format!("Administrator  {admin}")];
    let file = format!("{}/{}", layout::SECRETS, SecretName::AdminPassword.name());
    match password {
        Password::Known => {}
        Password::Tell => lines.push(format!("Password       in {file} (only root can read it)")),
        Password::Show => {
            let secret = machine.secrets.get(SecretName::AdminPassword)?;
            let shown = secret.map(|s| s.expose().to_string()).unwrap_or_default();
            lines.push(format!("Password       {shown}   (shown this once; also in {file})"));
        }
    }
    lines.push(format!("Matrix id      @{admin}:{}   (others invite you by it)", names.federated));
    lines.push(match Verdict::load(machine)? {
        None => "Federation     not checked".into(),
        Some(verdict) => format!("Federation     {}: {}", verdict.federation, verdict.words),
    });
    if names.apex == Apex::Elsewhere {
        let site = &names.federated;
        lines.push(String::new());
        lines.push(format!("The web site on {site} must answer these two addresses, or nobody finds this server:"));
        lines.push(format!("  https://{site}/.well-known/matrix/server  {{\"m.server\":\"{}:443\"}}", names.matrix));
        lines.push(format!(
            "  https://{site}/.well-known/matrix/client  {{\"m.homeserver\":{{\"base_url\":\"https://{}\"}}}}",
            names.matrix
        ));
        lines.push("Then run `sudo rcfed apply`, which asks Rocket.Chat to check again.".into());
    }
    lines.push(String::new());
    lines.push(format!("Config {}, secrets {}, receipt {}", layout::CONFIG, layout::SECRETS, layout::RECEIPT));
    lines.push(
        "Next: `rcfed status`, `sudo rcfed logs rocketchat`; change the config and run `sudo rcfed apply`".into(),
    );
    Ok(lines.join("\n"))
}
