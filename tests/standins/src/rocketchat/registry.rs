//! The settings this stand-in knows, with the defaults of 7.10. Others are unknown to it, as unknown ones are to the
//! real one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::environment::Environment;
use super::password::sha256_hex;
use super::random_id;

/// How a value from the environment is converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Action,
    Boolean,
    Int,
    Text,
}

/// A setting as code registers it.
pub(super) struct Entry {
    pub(super) id: &'static str,
    pub(super) kind: Kind,
    pub(super) default: Value,
    pub(super) public: bool,
}

/// All settings of this version. `unique` is the workspace's `uniqueID`.
pub(super) fn entries(environment: &Environment, unique: &str) -> Vec<Entry> {
    let site = environment.get("ROOT_URL").unwrap_or_default().trim_end_matches('/');
    let entry = |id, kind, default, public| Entry { id, kind, default, public };
    let text = |id, default: &str, public| entry(id, Kind::Text, json!(default), public);
    let boolean = |id, default: bool, public| entry(id, Kind::Boolean, json!(default), public);
    let int = |id, default: i64, public| entry(id, Kind::Int, json!(default), public);
    let mut entries = vec![
        text("API_CORS_Origin", "*", false),
        boolean("API_Enable_Personal_Access_Tokens", true, true),
        boolean("API_Enable_Rate_Limiter", true, false),
        boolean("Accounts_AllowAnonymousRead", false, true),
        boolean("Accounts_AllowPasswordChange", true, true),
        boolean("Accounts_Password_Policy_AtLeastOneLowercase", true, true),
        boolean("Accounts_Password_Policy_AtLeastOneNumber", true, true),
        boolean("Accounts_Password_Policy_AtLeastOneSpecialCharacter", true, true),
        boolean("Accounts_Password_Policy_AtLeastOneUppercase", true, true),
        boolean("Accounts_Password_Policy_Enabled", false, true),
        int("Accounts_Password_Policy_MinLength", 7, true),
        text("Accounts_RegistrationForm", "Public", true),
        boolean("Accounts_TwoFactorAuthentication_By_Email_Enabled", true, true),
        boolean("Accounts_TwoFactorAuthentication_Enabled", true, true),
        boolean("Accounts_TwoFactorAuthentication_Enforce_Password_Fallback", true, false),
        int("Accounts_TwoFactorAuthentication_RememberFor", 1800, false),
        boolean("Cloud_Workspace_Registration_Enabled", true, false),
        boolean("FileUpload_Enabled", true, true),
        text("Enterprise_License", "", false),
        text("FileUpload_FileSystemPath", "", false),
        int("FileUpload_MaxFileSize", 104_857_600, true),
        boolean("FileUpload_ProtectFiles", true, true),
        text("FileUpload_Storage_Type", "GridFS", false),
        text("Language", "", true),
        text("Organization_Name", "", true),
        boolean("Register_Server", false, false),
        text("Show_Setup_Wizard", "pending", true),
        text("Site_Name", "Rocket.Chat", true),
        text("Site_Url", site, true),
        boolean("Statistics_reporting", true, false),
        text("Troubleshoot_Disable_Statistics_Generator", "false", false),
        // Public, and the two tokens below are made from it (createMiscSettings): whoever leaves the defaults gives
        // the bridge away.
        text("uniqueID", unique, true),
    ];
    if environment.has_bridge() {
        // server/services/federation/infrastructure/rocket-chat/adapters/Settings.ts
        entries.extend([
            boolean("Federation_Matrix_enabled", false, true),
            text("Federation_Matrix_id", &format!("rocketchat_{unique}"), false),
            text("Federation_Matrix_hs_token", &sha256_hex(&format!("hs_{unique}")), false),
            text("Federation_Matrix_as_token", &sha256_hex(&format!("as_{unique}")), false),
            text("Federation_Matrix_homeserver_url", "http://localhost:8008", false),
            // With its scheme, which no server name has: this default never works.
            text("Federation_Matrix_homeserver_domain", site, false),
            text("Federation_Matrix_bridge_url", "http://localhost:3300", false),
            text("Federation_Matrix_bridge_localpart", "rocket.cat", false),
            text("Federation_Matrix_registration_file", "", false),
            boolean("Federation_Matrix_enable_ephemeral_events", false, true),
            boolean("Federation_Matrix_serve_well_known", true, false),
            int("Federation_Matrix_max_size_of_public_rooms_users", 100, true),
        ]);
    } else {
        // server/settings/federation-service.ts; the key is made at the first boot.
        let seed = ring::digest::digest(&ring::digest::SHA256, random_id(43).as_bytes());
        entries.extend([
            boolean("Federation_Service_Enabled", false, true),
            text("Federation_Service_Domain", "", false),
            text("Federation_Service_Allow_List", "", false),
            text("Federation_Service_Matrix_Signing_Algorithm", "ed25519", false),
            text("Federation_Service_Matrix_Signing_Key", &STANDARD.encode(seed.as_ref()), false),
            text("Federation_Service_Matrix_Signing_Version", "0", false),
            boolean("Federation_Service_Join_Encrypted_Rooms", false, false),
            boolean("Federation_Service_Join_Non_Private_Rooms", false, false),
        ]);
    }
    if environment.has_bridge() && environment.has_gate() {
        entries.push(text("Federation_Matrix_configuration_status", "Invalid", false));
        let method = json!("checkFederationConfiguration");
        entries.push(entry("Federation_Matrix_check_configuration_button", Kind::Action, method, false));
    }
    entries
}
