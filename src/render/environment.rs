//! Rocket.Chat's environment: its only way to be configured before it runs.
//!
//! `OVERWRITE_SETTING_x` wins over what an administrator sets, at every start, so it is used only for what federation
//! stands on. A plain `x` is the first value of a setting, which an administrator may change. Variables with secrets
//! are files, exported by `start.sh`, so that the container's own configuration does not have them.

use std::collections::BTreeMap;

use super::{AUTHORITIES, Rendered, plain};
use crate::config::{Config, Profile, Service};
use crate::layout;
use crate::secrets::SecretName;
use crate::sizes::Sizes;

/// The variables without secrets.
pub fn rocketchat_env(config: &Config, sizes: &Sizes) -> BTreeMap<String, String> {
    let admin = &config.admin;
    let mut env: BTreeMap<String, String> = BTreeMap::new();
    let mut set = |name: &str, value: String| env.insert(name.into(), value);
    set("ROOT_URL", format!("https://{}", config.names.chat));
    set("PORT", "3000".into());
    // The gateway is the one proxy: without this all people have its address, and share its limit of failed logins.
    set("HTTP_FORWARDED_COUNT", "1".into());
    set("DEPLOY_METHOD", "docker".into());
    set("NODE_OPTIONS", format!("--max-old-space-size={}", sizes.node_heap_mb));
    set("ADMIN_USERNAME", admin.username.to_string());
    set("ADMIN_NAME", admin.username.to_string());
    if config.federation.ca.is_some() {
        // Beside the authorities Node brings along.
        set("NODE_EXTRA_CA_CERTS", format!("{}/{AUTHORITIES}", layout::MOUNT));
    }
    if let Some(email) = &admin.email {
        // Not marked as verified: codes for two-factor authentication would then go to it.
        set("ADMIN_EMAIL", email.to_string());
    }
    // Who has an invite link may sign up, nobody else.
    set("Accounts_RegistrationForm", "Secret URL".into());
    set("OVERWRITE_SETTING_Show_Setup_Wizard", "completed".into());
    if config.profile == Profile::Native {
        set("OVERWRITE_SETTING_Federation_Service_Enabled", "true".into());
        set("OVERWRITE_SETTING_Federation_Service_Domain", config.names.federated.to_string());
        return env;
    }
    let mut federation =
        |name: &str, value: &str| set(&format!("OVERWRITE_SETTING_Federation_Matrix_{name}"), value.into());
    federation("enabled", "true");
    federation("homeserver_domain", config.names.federated.as_str());
    federation("homeserver_url", "http://gateway:8008");
    // The bridge listens on the port that stands here.
    federation("bridge_url", "http://rocketchat:3300");
    federation("bridge_localpart", "rocket.cat");
    // Rocket.Chat would make one from the address above, which nobody outside can reach.
    federation("serve_well_known", "false");
    // Dendrite sends app services no typing notices.
    federation("enable_ephemeral_events", if config.profile == Profile::Synapse { "true" } else { "false" });
    if let Some(tester) = &config.rocketchat.federation_tester {
        set("FEDERATION_TESTER_HOST", tester.url().into());
    }
    env
}

/// The variables with secrets: a file for each, named like the variable.
pub(super) fn rocketchat_secrets(config: &Config) -> Vec<Rendered> {
    let of = |name, text| plain(Service::Rocketchat, name, text);
    let password = SecretName::MongoRocketchat.mark();
    let mongo = format!("mongodb://rocketchat:{password}@mongodb:27017/rocketchat?replicaSet=rs0&authSource=admin");
    let mut files = vec![of("env/ADMIN_PASS", SecretName::AdminPassword.mark()), of("env/MONGO_URL", mongo)];
    if config.profile.has_homeserver() {
        files.extend([
            of("env/OVERWRITE_SETTING_Federation_Matrix_as_token", SecretName::AsToken.mark()),
            of("env/OVERWRITE_SETTING_Federation_Matrix_hs_token", SecretName::HsToken.mark()),
            of("env/OVERWRITE_SETTING_Federation_Matrix_id", SecretName::AppserviceId.mark()),
        ]);
    }
    if config.rocketchat.registration_token_file.is_some() {
        files.push(of("env/REG_TOKEN", SecretName::RegistrationToken.mark()));
    }
    if config.rocketchat.license_file.is_some() {
        files.push(of("env/ROCKETCHAT_LICENSE", SecretName::License.mark()));
    }
    files
}
