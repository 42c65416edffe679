//! `--outbound SERVER_NAME`: who can be asked whether others are reached, and for whom.

use super::DoctorArgs;
use crate::config::Config;
use crate::doctor;
use crate::error::{Error, Result};
use crate::matrix::server_name::ServerName;

/// Whoever asks for the check alone has to say for whom.
pub(super) fn named(args: &DoctorArgs) -> Result<()> {
    if args.outbound.is_empty() && args.only.contains(&doctor::OUTBOUND) { Err(nobody()) } else { Ok(()) }
}

/// Which servers are to be reached, and which checks are wanted then.
pub(super) struct Wanted {
    /// Each once.
    pub servers: Vec<ServerName>,
    /// Nothing: all of them.
    pub only: Vec<&'static str>,
}

/// Only a homeserver can be asked for others, and only for others.
pub(super) fn wanted(args: &DoctorArgs, config: &Config) -> Result<Wanted> {
    let own = config.names.federated.as_str();
    let mut servers: Vec<ServerName> = Vec::new();
    for name in &args.outbound {
        if !config.profile.has_homeserver() {
            return Err(no_homeserver(name));
        }
        if name.as_str() == own {
            return Err(itself(own));
        }
        if !servers.contains(name) {
            servers.push(name.clone());
        }
    }
    let mut only = args.only.clone();
    if !servers.is_empty() && !only.is_empty() {
        only.push(doctor::OUTBOUND);
    }
    Ok(Wanted { servers, only })
}

/// Beside names that are looked at from outside.
pub(super) fn misplaced(name: &ServerName) -> Error {
    Error::usage(
        "`--outbound` asks this machine's own homeserver",
        format!("leave the other names away: `sudo rcfed doctor --outbound {name}`"),
    )
}

fn nobody() -> Error {
    Error::usage(
        format!("`{}` has to know which server is to be reached", doctor::OUTBOUND),
        "name one: `--outbound matrix.org`",
    )
}

fn itself(name: &str) -> Error {
    Error::usage(format!("{name} is this deployment itself"), "name another server: `--outbound matrix.org`")
}

fn no_homeserver(name: &ServerName) -> Error {
    Error::usage(
        "with the profile native Rocket.Chat is its own homeserver, which cannot be asked to reach others",
        format!("write to somebody there; `rcfed doctor {name}` looks at the other server"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        let name = "example.net".parse().unwrap();
        insta::assert_snapshot!(crate::error::told([
            misplaced(&name),
            nobody(),
            itself("example.org"),
            no_homeserver(&name)
        ]));
    }
}
