//! The two files in the machine's own nginx, where that one keeps ports 80 and 443.
//!
//! Two and not one: nginx refuses to load a file that names a certificate which does not exist yet.

use sha2::{Digest, Sha256};

use super::context::Templates;
use super::{Phase, RenderError};
use crate::config::{Config, Proxy};
use crate::sizes::Sizes;

/// A file of the machine's nginx.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// From when on it may be there.
    pub phase: Phase,
    /// Its path as in production.
    pub path: &'static str,
    /// The content.
    pub text: String,
    /// Where nginx tells `digest` on this machine, if it has loaded the file: a port on 127.0.0.1.
    pub port: u16,
    /// Digest of the content.
    pub digest: String,
}

/// The files of the machine's nginx; none unless it is the proxy.
pub fn sites(config: &Config, sizes: &Sizes) -> Result<Vec<Site>, RenderError> {
    if config.proxy != Proxy::Host {
        return Ok(Vec::new());
    }
    let templates = Templates::new(config, sizes)?;
    let site = |phase, path, template, port| {
        // A file cannot contain its own digest, so that is left out of what is digested.
        let digest = crate::topology::hex(&Sha256::digest(templates.text(template)?));
        Ok(Site { phase, path, text: templates.with(template, &digest)?, port, digest })
    };
    Ok(vec![
        site(Phase::Start, "/etc/nginx/conf.d/rcfed-http.conf", "host/http.conf", 8082)?,
        site(Phase::Certified, "/etc/nginx/conf.d/rcfed-https.conf", "host/https.conf", 8083)?,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::Answers;
    use crate::config::Mode;

    #[test]
    fn both_files() {
        let toml = "federated_domain = \"example.org\"\nprofile = \"dendrite\"\nproxy = \"host\"\naccept_end_of_life = true\n\
                    [admin]\nusername = \"ada\"\n";
        let config = Config::from_answers(
            &Answers::from_toml(toml, std::path::Path::new("answers.toml")).unwrap(),
            Mode::Unattended,
        )
        .unwrap();
        let told = [false, true].map(|ipv6| {
            let sites = sites(&config, &Sizes::for_memory(4096, ipv6)).unwrap();
            sites.iter().map(|site| format!("# {}\n{}", site.path, site.text)).collect::<Vec<_>>().join("\n")
        });
        insta::assert_snapshot!(told.join("\n# with IPv6\n"));
    }
}
