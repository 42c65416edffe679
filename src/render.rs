//! Every file and variable the servers are configured with, made from a [`Config`] and nothing else.
//!
//! Rendering is pure and never holds a secret: a text contains marks ([`crate::secrets::SecretName::mark`]), which
//! [`resolve`] replaces when the file is written, and which [`redact`] replaces when it is shown. So a plan can be made,
//! hashed and printed by somebody who may not read the secrets.
//!
//! Nothing a person types can break out of its place: names, addresses and images are parsed types of
//! [`crate::domain`], secrets are letters and digits, and strings in YAML and TOML are quoted by a serialiser.

mod context;
mod environment;
mod gateway;
mod marks;
mod site;

use serde_json::{Map, Value, json};

use crate::config::{Config, Profile, Service};
use crate::error::Explain;
use crate::matrix::signing_key;
use crate::secrets::SecretName;
use crate::sizes::Sizes;

pub use environment::rocketchat_env;
pub use gateway::{Digests, delegate, digests};
pub use marks::{UnknownMark, redact, resolve, secrets_in};
pub use site::{Site, sites};

/// A file to be, in the directory of its service ([`crate::layout::service`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// Whose directory.
    pub service: Service,
    /// Path in that directory; may contain a slash.
    pub name: &'static str,
    /// Permission bits; 0400 if the text has secrets. The owner is the user the service runs as.
    pub mode: u32,
    /// The content, with marks for secrets.
    pub text: String,
    /// From when on it may be there.
    pub phase: Phase,
}

/// From when on a file may be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Before its service starts.
    Start,
    /// Once a certificate exists: nginx refuses to load a file that names one it cannot read.
    Certified,
}

/// All files of a deployment, by service and name.
pub fn files(config: &Config, sizes: &Sizes) -> Result<Vec<Rendered>, RenderError> {
    let templates = context::Templates::new(config, sizes)?;
    let mut files = gateway::files(config, &templates)?;
    if config.profile.has_homeserver() {
        files.extend(homeserver(config, &templates)?);
        files.push(plain(Service::Postgres, "start.sh", templates.text("postgres/start.sh")?));
        files.push(plain(Service::Postgres, "role.sql", templates.text("postgres/role.sql")?));
        files.push(secret(Service::Postgres, "postgres_homeserver", SecretName::PostgresHomeserver));
    }
    if let Some(ca) = &config.federation.ca {
        // Rocket.Chat too asks other servers, whether a user exists there.
        let reads = |service: &Service| match service {
            Service::Relay => config.rocketchat.certifies_itself(),
            Service::Homeserver => config.profile.has_homeserver(),
            _ => true,
        };
        let readers = [Service::Homeserver, Service::Relay, Service::Rocketchat].into_iter().filter(reads);
        files.extend(readers.map(|service| plain(service, AUTHORITIES, ca.pem.clone())));
    }
    if config.profile == Profile::Dendrite {
        files.push(plain(Service::Relay, "relay.toml", templates.text("relay/relay.toml")?));
    }
    files.extend([
        secret(Service::Mongodb, "keyfile", SecretName::MongoKeyfile),
        secret(Service::Mongodb, "mongo_admin", SecretName::MongoAdmin),
        secret(Service::Mongodb, "mongo_rocketchat", SecretName::MongoRocketchat),
        plain(Service::Rocketchat, "start.sh", templates.text("rocketchat/start.sh")?),
    ]);
    files.extend(environment::rocketchat_secrets(config));
    let services = config.services();
    files.retain(|file| services.contains(&file.service));
    files.sort_by_key(|file| (file.service, file.name));
    Ok(files)
}

/// Lines for the web site on the federated domain, where that is not this machine.
pub fn apex(config: &Config, file: &'static str) -> Result<String, RenderError> {
    context::Templates::new(config, &Sizes::for_memory(0, false))?.text(file)
}

/// The file with the authorities of [`crate::config::FederationConfig::ca`], in the directories of those who read it.
pub(crate) const AUTHORITIES: &str = "federation-ca.pem";

fn homeserver(config: &Config, templates: &context::Templates) -> Result<Vec<Rendered>, RenderError> {
    let (seed, id) = (SecretName::SigningKey.mark(), SecretName::SigningKeyId.mark());
    let registration = templates.text("homeserver/registration.yaml")?;
    let of = |name, text| plain(Service::Homeserver, name, text);
    Ok(match config.profile {
        Profile::Dendrite => vec![
            of("dendrite.yaml", templates.text("homeserver/dendrite.yaml")?),
            of("matrix_key.pem", signing_key::pem(&seed, &id)),
            of("registration.yaml", registration),
        ],
        Profile::Synapse => vec![
            of("homeserver.yaml", templates.text("homeserver/homeserver.yaml")?),
            of("rcfed_invites.py", templates.text("homeserver/rcfed_invites.py")?),
            of("registration.yaml", registration),
            of("signing.key", signing_key::line(&seed, &id)),
        ],
        Profile::Native => Vec::new(),
    })
}

/// A file that is there from the start, closed to others if it has secrets.
fn plain(service: Service, name: &'static str, text: String) -> Rendered {
    let mode = if secrets_in(&text).is_empty() { 0o644 } else { 0o400 };
    Rendered { service, name, mode, text, phase: Phase::Start }
}

/// A file with one secret and nothing else, not even a final newline.
fn secret(service: Service, name: &'static str, secret: SecretName) -> Rendered {
    plain(service, name, secret.mark())
}

/// A template that does not fit its values: a mistake in rcfed, which its tests should have found.
#[derive(Debug, thiserror::Error)]
#[error("could not make `{file}` from its template")]
pub struct RenderError {
    file: &'static str,
    source: tera::Error,
}

impl Explain for RenderError {
    fn hint(&self) -> Option<String> {
        Some(format!("this is a mistake in rcfed; report it at {}/issues", env!("CARGO_PKG_REPOSITORY")))
    }
}

/// The marks of all secrets, by name, for templates.
fn mark_table() -> Map<String, Value> {
    SecretName::ALL.into_iter().map(|name| (name.name().into(), json!(name.mark()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        let source = tera::Error::message("Variable `names.chat` not found in context");
        insta::assert_snapshot!(crate::error::told([RenderError { file: "nginx.conf", source }.into()]));
    }
}
