//! nginx: which host name has which roles, and how to ask which configuration is loaded.
//!
//! The three names may coincide in any way, so there is one server block for each distinct name with all its roles.

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::context::Templates;
use super::{Phase, RenderError, Rendered, plain};
use crate::config::{Config, Proxy, Service};
use crate::domain::DomainName;
use crate::sizes::Sizes;

/// What the gateway answers when asked which configuration it has loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digests {
    /// At `http://gateway:8008/rcfed/http`: of `nginx.conf` and `http.conf`.
    pub http: String,
    /// At `http://gateway:8010/`: of `tls.d/site.conf`; nothing listens there while that is not loaded.
    pub site: String,
}

/// The digests of the configuration as it should be.
pub fn digests(config: &Config, sizes: &Sizes) -> Result<Digests, RenderError> {
    digests_of(&Templates::new(config, sizes)?)
}

pub(super) fn files(config: &Config, templates: &Templates) -> Result<Vec<Rendered>, RenderError> {
    let digests = digests_of(templates)?;
    // Behind another proxy the site is served without TLS, so it need not wait for a certificate.
    let phase = if config.proxy == Proxy::Gateway { Phase::Certified } else { Phase::Start };
    let of = |name, text| plain(Service::Gateway, name, text);
    Ok(vec![
        of("http.conf", templates.with("gateway/http.conf", &digests.http)?),
        of("nginx.conf", templates.text("gateway/nginx.conf")?),
        Rendered { phase, ..of("tls.d/site.conf", templates.with("gateway/site.conf", &digests.site)?) },
    ])
}

/// One name that nginx answers for, with everything it does under that name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Site<'a> {
    name: &'a DomainName,
    /// Rocket.Chat's web pages.
    chat: bool,
    /// The federated domain itself.
    federated: bool,
    /// Server-server and client-server API.
    matrix: bool,
    /// Both well-knowns.
    well_known: bool,
    /// Only the question whether a user exists.
    availability: bool,
}

pub(super) fn sites(config: &Config) -> Vec<Site<'_>> {
    let names = &config.names;
    let served = names.served();
    let federated_here = served.contains(&&names.federated);
    let sites = served.into_iter().map(|name| {
        let federated = *name == names.federated;
        // Rocket.Chat that federates by itself does so under every name.
        let matrix = *name == names.matrix || !config.profile.has_homeserver();
        // If the federated domain is another web site, that one forwards its well-knowns here.
        let well_known = federated || (!federated_here && *name == names.matrix);
        Site { name, chat: *name == names.chat, federated, matrix, well_known, availability: federated && !matrix }
    });
    sites.collect()
}

/// The host that other servers connect to.
pub fn delegate(config: &Config) -> &DomainName {
    let names = &config.names;
    let native = !config.profile.has_homeserver();
    if native && names.served().contains(&&names.federated) { &names.federated } else { &names.matrix }
}

/// A file cannot contain its own digest, so that is left out of what is digested.
fn digests_of(templates: &Templates) -> Result<Digests, RenderError> {
    let http = templates.text("gateway/nginx.conf")? + &templates.text("gateway/http.conf")?;
    let hex = |text: &str| Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Digests { http: hex(&http), site: hex(&templates.text("gateway/site.conf")?) })
}
