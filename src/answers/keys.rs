//! The table of everything that can be answered.

/// Something that can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each is described by its row in KEYS")]
pub enum Key {
    FederatedDomain,
    ChatDomain,
    MatrixDomain,
    Apex,
    Email,
    Profile,
    Proxy,
    AcceptEndOfLife,
    Address,
    FederateWith,
    AdminUsername,
    AdminEmail,
    AdminPasswordFile,
    RegistrationTokenFile,
    LicenseFile,
    FederationTester,
    ExistingContainer,
    ExistingUrl,
    BridgeUrl,
    ReplaceHomeserver,
    PrivateNetworks,
    FederationCa,
    ImageGateway,
    ImageHomeserver,
    ImageMongodb,
    ImagePostgres,
    ImageRocketchat,
    AcmeDirectory,
    AcmeStagingDirectory,
    AcmeCa,
    AcmeRehearsal,
    MemoryGateway,
    MemoryHomeserver,
    MemoryMongodb,
    MemoryPostgres,
    MemoryRelay,
    MemoryRocketchat,
    DoctorIgnore,
}

/// What an answer looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// A whole number; written without quotes in an answers file.
    Number,
    /// Several texts; separated by commas in flags and environment.
    List,
    /// A path; a relative one starts from the answers file's directory, or from the working directory.
    Path,
    /// Free text.
    Text,
}

/// A row of [`KEYS`].
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The key.
    pub key: Key,
    /// Its name in an answers file, with the table in front: `admin.username`.
    pub path: &'static str,
    /// What the answer looks like.
    pub kind: Kind,
    /// What stands for the value in help.
    pub value_name: &'static str,
    /// A value as an answers file writes it.
    pub example: &'static str,
    /// One line of help.
    pub help: &'static str,
}

impl Key {
    /// Its row.
    pub fn entry(self) -> &'static Entry {
        // The rows stand in the order of the enum; a test holds them to it.
        &KEYS[self as usize]
    }

    /// Its name in an answers file: `admin.username`.
    pub fn path(self) -> &'static str {
        self.entry().path
    }

    /// Its environment variable: `RCFED_ADMIN_USERNAME`.
    pub fn env(self) -> String {
        format!("RCFED_{}", self.path().replace('.', "_").to_uppercase())
    }

    /// Its flag: `--admin-username`.
    pub fn flag(self) -> String {
        format!("--{}", self.path().replace(['.', '_'], "-"))
    }

    /// The line to add to an answers file: `username = "admin"`, with the table in front where it has one.
    pub fn line(self) -> String {
        let Entry { path, example, .. } = self.entry();
        match path.split_once('.') {
            Some((table, name)) => format!("`{name} = {example}` below `[{table}]`"),
            None => format!("`{path} = {example}`"),
        }
    }
}

impl Entry {
    /// The table of an answers file, empty for the top.
    pub fn table(&self) -> &'static str {
        self.path.split_once('.').map_or("", |(table, _)| table)
    }

    /// The name inside its table.
    pub fn name(&self) -> &'static str {
        self.path.split_once('.').map_or(self.path, |(_, name)| name)
    }

    /// Whether few people need it: such flags are left out of the short help.
    pub fn is_advanced(&self) -> bool {
        matches!(self.table(), "images" | "acme" | "doctor" | "federation" | "memory")
            || matches!(
                self.key,
                Key::Address
                    | Key::FederateWith
                    | Key::FederationTester
                    | Key::ExistingContainer
                    | Key::ExistingUrl
                    | Key::BridgeUrl
                    | Key::ReplaceHomeserver
            )
    }
}

const fn row(
    key: Key,
    path: &'static str,
    kind: Kind,
    value_name: &'static str,
    example: &'static str,
    help: &'static str,
) -> Entry {
    Entry { key, path, kind, value_name, example, help }
}

/// Everything that can be answered: those at the top of the file first, then table by table.
#[rustfmt::skip]
pub const KEYS: &[Entry] = &[
    row(Key::FederatedDomain, "federated_domain", Kind::Text, "NAME", r#""example.org""#,
        "What stands after the colon in @user:example.org; it can never be changed"),
    row(Key::ChatDomain, "chat_domain", Kind::Text, "NAME", r#""chat.example.org""#,
        "Where Rocket.Chat is opened [default: chat.FEDERATED_DOMAIN]"),
    row(Key::MatrixDomain, "matrix_domain", Kind::Text, "NAME", r#""matrix.example.org""#,
        "Where the homeserver is reached [default: matrix.FEDERATED_DOMAIN]"),
    row(Key::Apex, "apex", Kind::Choice(&["here", "elsewhere"]), "WHERE", r#""here""#,
        "Who answers for the federated domain: this machine, or another web site [default: here]"),
    row(Key::Email, "email", Kind::Text, "ADDRESS", r#""you@example.org""#,
        "Given to Let's Encrypt, and to Rocket.Chat for its administrator"),
    row(Key::Profile, "profile", Kind::Choice(&["dendrite", "synapse", "native"]), "PROFILE", r#""dendrite""#,
        "Which servers run [default: dendrite]"),
    row(Key::Proxy, "proxy", Kind::Choice(&["gateway", "host", "none"]), "PROXY", r#""gateway""#,
        "Who answers on ports 80 and 443: rcfed's nginx, yours, or something else [default: gateway]"),
    row(Key::AcceptEndOfLife, "accept_end_of_life", Kind::Flag, "BOOL", "true",
        "Run a Rocket.Chat that gets no security fixes any more"),
    row(Key::Address, "address", Kind::List, "IP", r#"["198.51.100.10"]"#,
        "Public addresses of this machine that its interfaces do not show"),
    row(Key::FederateWith, "federate_with", Kind::List, "NAME", r#"["example.com"]"#,
        "Servers whose users may invite yours [default: all]"),
    row(Key::AdminUsername, "admin.username", Kind::Text, "NAME", r#""admin""#,
        "The first administrator [default: admin]"),
    row(Key::AdminEmail, "admin.email", Kind::Text, "ADDRESS", r#""you@example.org""#,
        "The administrator's address [default: that of --email]"),
    row(Key::AdminPasswordFile, "admin.password_file", Kind::Path, "FILE", r#""/root/admin-password""#,
        "File with the administrator's password [default: one is made and shown at the end]"),
    row(Key::RegistrationTokenFile, "rocketchat.registration_token_file", Kind::Path, "FILE", r#""/root/registration-token""#,
        "File with the workspace's registration token; without it the workspace may become read-only"),
    row(Key::LicenseFile, "rocketchat.license_file", Kind::Path, "FILE", r#""/root/license""#,
        "File with a Rocket.Chat licence; the profile native needs one"),
    row(Key::FederationTester, "rocketchat.federation_tester", Kind::Text, "URL", r#""https://federationtester.matrix.org""#,
        "Asked by Rocket.Chat instead of federationtester.matrix.org; `self` is this server's own relay"),
    row(Key::ExistingContainer, "rocketchat.container", Kind::Text, "NAME", r#""rocketchat""#,
        "Container of a Rocket.Chat that runs here already: it is taken as it is, with its MongoDB"),
    row(Key::ExistingUrl, "rocketchat.url", Kind::Text, "URL", r#""http://10.0.0.5:3000""#,
        "Where a Rocket.Chat answers that runs already on another machine: https, or http at a private address"),
    row(Key::BridgeUrl, "rocketchat.bridge_url", Kind::Text, "URL", r#""http://10.0.0.5:3300""#,
        "Where the bridge of that Rocket.Chat is to listen, reachable from this machine only [default: port 3300 of a private `url`]"),
    row(Key::ReplaceHomeserver, "rocketchat.replace_homeserver", Kind::Flag, "BOOL", "true",
        "Give up the homeserver that the existing Rocket.Chat federates with now, and with it its rooms"),
    row(Key::PrivateNetworks, "federation.private_networks", Kind::List, "NETWORK", r#"["10.20.0.0/16"]"#,
        "Networks with servers to federate with that homeservers otherwise take for internal and never ask"),
    row(Key::FederationCa, "federation.ca", Kind::Path, "FILE", r#""/root/intranet-ca.pem""#,
        "PEM file with authorities to trust in federation, beside the public ones"),
    row(Key::ImageGateway, "images.gateway", Kind::Text, "IMAGE", r#""docker.io/library/nginx:1.28""#,
        "Image of the gateway"),
    row(Key::ImageHomeserver, "images.homeserver", Kind::Text, "IMAGE", r#""ghcr.io/element-hq/synapse:v1.163.2""#,
        "Image of the homeserver"),
    row(Key::ImageMongodb, "images.mongodb", Kind::Text, "IMAGE", r#""docker.io/library/mongo:7.0""#,
        "Image of Rocket.Chat's database"),
    row(Key::ImagePostgres, "images.postgres", Kind::Text, "IMAGE", r#""docker.io/library/postgres:17""#,
        "Image of the homeserver's database"),
    row(Key::ImageRocketchat, "images.rocketchat", Kind::Text, "IMAGE", r#""registry.rocket.chat/rocketchat/rocket.chat:7.10.0""#,
        "Image of Rocket.Chat"),
    row(Key::AcmeDirectory, "acme.directory", Kind::Text, "URL", r#""https://acme.example.org/directory""#,
        "Certificate authority [default: Let's Encrypt]"),
    row(Key::AcmeStagingDirectory, "acme.staging_directory", Kind::Text, "URL", r#""https://acme-staging.example.org/directory""#,
        "Certificate authority to rehearse with [default: Let's Encrypt's staging, for Let's Encrypt]"),
    row(Key::AcmeCa, "acme.ca", Kind::Path, "FILE", r#""/root/ca.pem""#,
        "PEM file with the root behind the authority's own web certificate"),
    row(Key::AcmeRehearsal, "acme.rehearsal", Kind::Flag, "BOOL", "false",
        "Whether to rehearse before asking for the real certificate [default: true where possible]"),
    row(Key::MemoryGateway, "memory.gateway", Kind::Number, "MIB", "128",
        "The most memory that the gateway may take, in MiB [default: no limit]"),
    row(Key::MemoryHomeserver, "memory.homeserver", Kind::Number, "MIB", "1024",
        "The most memory that the homeserver may take, in MiB [default: no limit]"),
    row(Key::MemoryMongodb, "memory.mongodb", Kind::Number, "MIB", "1024",
        "The most memory that Rocket.Chat's database may take, in MiB [default: no limit]"),
    row(Key::MemoryPostgres, "memory.postgres", Kind::Number, "MIB", "512",
        "The most memory that the homeserver's database may take, in MiB [default: no limit]"),
    row(Key::MemoryRelay, "memory.relay", Kind::Number, "MIB", "64",
        "The most memory that the relay may take, in MiB [default: no limit]"),
    row(Key::MemoryRocketchat, "memory.rocketchat", Kind::Number, "MIB", "2048",
        "The most memory that Rocket.Chat may take, in MiB [default: no limit]"),
    row(Key::DoctorIgnore, "doctor.ignore", Kind::List, "ID", r#"["machine.memory"]"#,
        "Checks of `rcfed doctor` whose findings count for nothing"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn rows_stand_in_order_and_names_follow_from_the_path() {
        for (index, entry) in KEYS.iter().enumerate() {
            assert_eq!(entry.key as usize, index, "{}", entry.path);
            assert_eq!(entry.key.path(), entry.path);
        }
        assert_eq!(KEYS.iter().map(|entry| entry.key.env()).collect::<BTreeSet<_>>().len(), KEYS.len());
        assert_eq!(Key::FederatedDomain.env(), "RCFED_FEDERATED_DOMAIN");
        assert_eq!(Key::AdminUsername.env(), "RCFED_ADMIN_USERNAME");
        assert_eq!(Key::AdminPasswordFile.flag(), "--admin-password-file");
        assert_eq!(Key::AdminUsername.line(), "`username = \"admin\"` below `[admin]`");
    }

    #[test]
    fn a_secret_is_never_an_answer_by_value() {
        for entry in KEYS {
            let secret = ["password", "token", "secret", "license"].iter().any(|word| entry.path.contains(word));
            assert!(!secret || entry.kind == Kind::Path, "{}", entry.path);
        }
    }
}
