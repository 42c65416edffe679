//! The templates, and the values they can name.
//!
//! An undefined name is an error in tera 2, so a misspelt one cannot become an empty line in somebody's configuration.

use ipnet::IpNet;
use serde_json::json;
use tera::{Context, Kwargs, State, Tera};

use super::{RenderError, gateway, mark_table};
use crate::apex;
use crate::compat;
use crate::config::{Config, Existing, Profile, Proxy};
use crate::matrix::refusal;
use crate::secrets::SecretName;
use crate::sizes::Sizes;

/// The templates together with the values of one deployment.
pub(super) struct Templates {
    tera: Tera,
    values: Context,
}

impl Templates {
    pub(super) fn new(config: &Config, sizes: &Sizes) -> Result<Self, RenderError> {
        let fail = |source| RenderError { file: "templates", source };
        let mut tera = Tera::new();
        // Nothing here is HTML.
        tera.autoescape_on(Vec::<&str>::new());
        tera.register_filter("quote", quote);
        tera.add_raw_templates(SOURCES).map_err(fail)?;
        let values = Context::from_serialize(&values(config, sizes)).map_err(fail)?;
        Ok(Self { tera, values })
    }

    /// A file's text.
    pub(super) fn text(&self, file: &'static str) -> Result<String, RenderError> {
        self.with(file, "")
    }

    /// The text of a file that says its own digest.
    pub(super) fn with(&self, file: &'static str, digest: &str) -> Result<String, RenderError> {
        let mut values = self.values.clone();
        values.insert("digest", digest);
        let text = self.tera.render(file, &values).map_err(|source| RenderError { file, source })?;
        Ok(tidy(&text))
    }
}

const SOURCES: [(&str, &str); 22] = [
    ("apex/Caddyfile", include_str!("../../templates/apex/Caddyfile")),
    ("apex/apache.conf", include_str!("../../templates/apex/apache.conf")),
    ("apex/cloudflare.js", include_str!("../../templates/apex/cloudflare.js")),
    ("apex/nginx.conf", include_str!("../../templates/apex/nginx.conf")),
    ("apex/static.sh", include_str!("../../templates/apex/static.sh")),
    ("gateway/challenge.conf", include_str!("../../templates/gateway/challenge.conf")),
    ("gateway/cors.conf", include_str!("../../templates/gateway/cors.conf")),
    ("gateway/http.conf", include_str!("../../templates/gateway/http.conf")),
    ("gateway/matrix.conf", include_str!("../../templates/gateway/matrix.conf")),
    ("gateway/nginx.conf", include_str!("../../templates/gateway/nginx.conf")),
    ("gateway/rocketchat.conf", include_str!("../../templates/gateway/rocketchat.conf")),
    ("gateway/site.conf", include_str!("../../templates/gateway/site.conf")),
    ("homeserver/dendrite.yaml", include_str!("../../templates/homeserver/dendrite.yaml")),
    ("homeserver/homeserver.yaml", include_str!("../../templates/homeserver/homeserver.yaml")),
    ("homeserver/rcfed_invites.py", include_str!("../../templates/homeserver/rcfed_invites.py")),
    ("homeserver/registration.yaml", include_str!("../../templates/homeserver/registration.yaml")),
    ("host/http.conf", include_str!("../../templates/host/http.conf")),
    ("host/https.conf", include_str!("../../templates/host/https.conf")),
    ("postgres/role.sql", include_str!("../../templates/postgres/role.sql")),
    ("postgres/start.sh", include_str!("../../templates/postgres/start.sh")),
    ("relay/relay.toml", include_str!("../../templates/relay/relay.toml")),
    ("rocketchat/start.sh", include_str!("../../templates/rocketchat/start.sh")),
];

fn values(config: &Config, sizes: &Sizes) -> serde_json::Value {
    let names = &config.names;
    let (dendrite, synapse) = (config.profile == Profile::Dendrite, config.profile == Profile::Synapse);
    let proxied = config.proxy != Proxy::Gateway;
    let password = SecretName::PostgresHomeserver.mark();
    json!({
        "appservice_url": if dendrite { "http://relay:8080" } else { config.bridge() },
        "authorities": format!("{}/{}", crate::layout::MOUNT, super::AUTHORITIES),
        "bridge_url": config.bridge(),
        "certify": config.rocketchat.certifies_itself(),
        "chat": names.chat,
        "chat_upstream": chat_upstream(config),
        "client_document": document(config, "client"),
        "database": format!("postgresql://homeserver:{password}@postgres:5432/homeserver?sslmode=disable"),
        "db_connections": sizes.db_connections,
        "distant": matches!(config.rocketchat.existing, Some(Existing::Elsewhere { .. })),
        "delegate": gateway::delegate(config),
        "dendrite_cache_mb": sizes.dendrite_cache_mb,
        "federate_with": json!(config.federate_with).to_string(),
        "encryption_refused": refusal::ENCRYPTED,
        "federated": names.federated,
        "homeserver": config.profile.has_homeserver(),
        "ipv6": sizes.ipv6,
        "journal": crate::layout::RELAY_JOURNAL,
        "listen": if sizes.ipv6 { "[::]:8080" } else { "0.0.0.0:8080" },
        "matrix": names.matrix,
        "matrix_upstream": if config.profile.has_homeserver() { "homeserver:8008" } else { "rocketchat:3000" },
        "bridge_room_versions": compat::BRIDGE_ROOM_VERSIONS,
        "dendrite_denied": dendrite_denied(&config.federation.private_networks),
        "private_networks": config.federation.private_networks,
        "max_connections": sizes.db_connections + Sizes::SPARE_CONNECTIONS,
        "pair": std::path::Path::new(crate::layout::CERTIFICATE).join(crate::acme::Store::FILE),
        "proxied": proxied,
        "relay": dendrite,
        "scheme": if proxied { "$rcfed_scheme" } else { "$scheme" },
        "secret": mark_table(),
        "served": names.served(),
        "server_document": document(config, "server"),
        "sites": gateway::sites(config),
        "synapse": synapse,
        "version_refused": refusal::version("VERSION"),
        // Synapse keeps connections beside its pool.
        "synapse_connections": sizes.db_connections / 2,
    })
}

/// Rocket.Chat as the gateway reaches it: `host:port`.
fn chat_upstream(config: &Config) -> &str {
    match &config.rocketchat.existing {
        Some(Existing::Elsewhere { url, .. }) => url.trim_start_matches("http://"),
        _ => "rocketchat:3000",
    }
}

/// A document that another web site serves; empty if this deployment has none of the kind.
fn document(config: &Config, which: &str) -> String {
    let found = apex::documents(config).into_iter().find(|document| document.path.ends_with(which));
    found.map(|document| document.body).unwrap_or_default()
}

/// What Dendrite denies by default, without the holes. What is denied cannot be allowed again, so a network that is to
/// be asked has to be cut out (`isAllowed` of gomatrixserverlib's dialer).
fn dendrite_denied(holes: &[IpNet]) -> Vec<IpNet> {
    let mut denied: Vec<IpNet> = DENDRITE_DENIES.iter().filter_map(|text| text.parse().ok()).collect();
    for hole in holes {
        denied = denied.iter().flat_map(|net| without(*net, hole)).collect();
    }
    denied
}

/// setup/config/config_federationapi.go, with host bits gone.
const DENDRITE_DENIES: [&str; 9] = [
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "::1/128",
    "fe80::/64",
    "fc00::/7",
];

/// `net` without `hole`, in the fewest networks.
fn without(net: IpNet, hole: &IpNet) -> Vec<IpNet> {
    if hole.contains(&net) {
        return Vec::new();
    }
    if !net.contains(hole) {
        return vec![net];
    }
    // A network that holds a smaller one can be halved.
    let halves = net.subnets(net.prefix_len() + 1).into_iter().flatten();
    halves.flat_map(|half| without(half, hole)).collect()
}

/// A JSON string is a YAML double-quoted scalar and a TOML basic string, and serde knows how to escape one.
fn quote(value: &str, _: Kwargs, _: &State) -> String {
    serde_json::Value::from(value).to_string()
}

/// At most one empty line in a row, none at the end, and a final newline: what is left where a condition was false.
fn tidy(text: &str) -> String {
    let mut tidy = String::with_capacity(text.len());
    for line in text.trim().lines().map(str::trim_end) {
        let doubled = line.is_empty() && tidy.ends_with("\n\n");
        let opening = line.is_empty() && tidy.ends_with("{\n");
        if !doubled && !opening {
            tidy.push_str(line);
            tidy.push('\n');
        }
    }
    tidy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_cut_out_of_what_is_denied() {
        let cut = |holes: &[&str]| -> Vec<String> {
            let holes: Vec<IpNet> = holes.iter().map(|text| text.parse().unwrap()).collect();
            dendrite_denied(&holes).iter().map(ToString::to_string).collect()
        };
        let all = cut(&[]);
        assert_eq!(all, DENDRITE_DENIES);
        // Not denied anyway.
        assert_eq!(cut(&["198.51.100.0/24"]), all);
        // Whole, and larger than what is denied: there are two in fc00::/6.
        assert_eq!(cut(&["192.168.0.0/16", "fc00::/6"]).len(), all.len() - 3);
        let tens: Vec<String> =
            cut(&["10.128.0.0/10", "10.64.0.1/32"]).into_iter().filter(|n| n.starts_with("10.")).collect();
        assert!(tens.contains(&"10.192.0.0/10".into()) && tens.contains(&"10.64.0.0/32".into()), "{tens:?}");
        assert_eq!(tens.len(), 2 + 22, "{tens:?}");
    }
}
