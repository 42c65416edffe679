//! A [`Config`] back into an answers file, so that what rcfed keeps can be read, edited and moved to another machine.

use super::from_answers::{IMAGES, MEMORY};
use super::{Apex, Config, Existing, LETSENCRYPT, LETSENCRYPT_STAGING, Proxy};
use crate::answers::{Key, Kind, Value};

impl Config {
    /// The answers file this configuration is made from. Names and profile are written even where they are the default,
    /// so that a later rcfed with other defaults changes nothing.
    pub fn to_toml(&self) -> String {
        let mut text = String::from("# Written by rcfed. Change it, see `rcfed plan`, then run `sudo rcfed apply`.\n");
        let mut table = "";
        for (key, value) in self.values() {
            let entry = key.entry();
            if entry.table() != table {
                table = entry.table();
                text.push_str(&format!("\n[{table}]\n"));
            }
            text.push_str(&format!("{} = {}\n", entry.name(), literal(entry.kind, value)));
        }
        text
    }

    fn values(&self) -> Vec<(Key, Value)> {
        let text = |text: &str| Value::Text(text.to_owned());
        let path = |path: &std::path::PathBuf| Value::Text(path.display().to_string());
        let mut values = vec![
            (Key::FederatedDomain, text(self.names.federated.as_str())),
            (Key::ChatDomain, text(self.names.chat.as_str())),
            (Key::MatrixDomain, text(self.names.matrix.as_str())),
            (Key::Profile, text(self.profile.name())),
            (Key::Proxy, text(self.proxy.name())),
            (Key::AdminUsername, text(self.admin.username.as_str())),
        ];
        let mut put = |key: Key, value: Option<Value>| values.extend(value.map(|value| (key, value)));
        put(Key::Apex, (self.names.apex == Apex::Elsewhere).then(|| text("elsewhere")));
        put(Key::Email, self.email.as_ref().map(|email| text(email.as_str())));
        put(Key::AcceptEndOfLife, self.accept_end_of_life.then_some(Value::Flag(true)));
        let addresses = self.addresses.iter().map(ToString::to_string).collect();
        put(Key::Address, (!self.addresses.is_empty()).then_some(Value::List(addresses)));
        let servers = (!self.federate_with.is_empty()).then(|| Value::List(self.federate_with.clone()));
        put(Key::FederateWith, servers);
        put(Key::AdminEmail, self.admin.email.as_ref().map(|email| text(email.as_str())));
        put(Key::AdminPasswordFile, self.admin.password_file.as_ref().map(path));
        put(Key::RegistrationTokenFile, self.rocketchat.registration_token_file.as_ref().map(path));
        put(Key::LicenseFile, self.rocketchat.license_file.as_ref().map(path));
        put(Key::FederationTester, self.rocketchat.federation_tester.as_ref().map(|tester| text(tester.answer())));
        match &self.rocketchat.existing {
            None => {}
            Some(Existing::Container(name)) => put(Key::ExistingContainer, Some(text(name))),
            Some(Existing::Elsewhere { url, bridge }) => {
                put(Key::ExistingUrl, Some(text(url)));
                put(Key::BridgeUrl, Some(text(bridge)));
            }
        }
        put(Key::ReplaceHomeserver, self.rocketchat.replace_homeserver.then_some(Value::Flag(true)));
        let networks: Vec<String> = self.federation.private_networks.iter().map(ToString::to_string).collect();
        put(Key::PrivateNetworks, (!networks.is_empty()).then_some(Value::List(networks)));
        put(Key::FederationCa, self.federation.ca.as_ref().map(|ca| path(&ca.path)));
        for (service, key) in IMAGES {
            put(key, self.images.get(&service).map(|image| text(image.as_str())));
        }
        for (service, key) in MEMORY {
            put(key, self.memory.get(&service).map(|mib| Value::Text(mib.to_string())));
        }
        let own = self.acme.directory != LETSENCRYPT;
        put(Key::AcmeDirectory, own.then(|| text(&self.acme.directory)));
        let staging = self.acme.staging.as_deref().filter(|staging| own || *staging != LETSENCRYPT_STAGING);
        put(Key::AcmeStagingDirectory, staging.map(text));
        put(Key::AcmeCa, self.acme.ca.as_ref().map(path));
        put(Key::AcmeRehearsal, self.acme.staging.is_none().then_some(Value::Flag(false)));
        let ignore = &self.doctor.ignore;
        put(Key::DoctorIgnore, (!ignore.is_empty()).then(|| Value::List(ignore.clone())));
        values.sort_by_key(|(key, _)| *key);
        values
    }
}

impl Proxy {
    /// The word for it in files and flags.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Host => "host",
            Self::None => "none",
        }
    }
}

fn literal(kind: Kind, value: Value) -> String {
    match value {
        Value::Text(text) if kind == Kind::Number => text,
        Value::Flag(flag) => flag.to_string(),
        Value::Text(text) => toml::Value::String(text).to_string(),
        Value::List(list) => toml::Value::Array(list.into_iter().map(toml::Value::String).collect()).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::path::{Path, PathBuf};

    use proptest::prelude::*;

    use super::super::{
        AcmeConfig, Admin, DoctorConfig, FederationConfig, Mode, Names, Profile, RocketchatConfig, Service,
    };
    use super::*;
    use crate::answers::Answers;
    use crate::config::Tester;
    use crate::domain::{DomainName, Email, ImageRef, Username};

    fn name() -> impl Strategy<Value = DomainName> {
        "[a-z][a-z0-9]{0,9}(\\.[a-z]{2,6}){1,3}".prop_map(|text| DomainName::parse(&text).unwrap())
    }

    fn email() -> impl Strategy<Value = Email> {
        "[a-zA-Z0-9+'{}#$]{1,9}@[a-z]{2,9}\\.org".prop_map(|text| Email::parse(&text).unwrap())
    }

    /// Paths with everything TOML could stumble over.
    fn file() -> impl Strategy<Value = Option<PathBuf>> {
        proptest::option::of("/[a-zA-Z0-9 \"'\\\\#=\\[\\]\t\né…]{1,12}x".prop_map(PathBuf::from))
    }

    fn names() -> impl Strategy<Value = Names> {
        (name(), name(), name(), any::<bool>(), 0..4).prop_map(|(federated, chat, matrix, away, same)| {
            let chat = if same & 1 == 0 { chat } else { federated.clone() };
            let matrix = if same & 2 == 0 { matrix } else { federated.clone() };
            let away = away && federated != chat && federated != matrix;
            Names {
                federated,
                chat,
                matrix,
                apex: if away { Apex::Elsewhere } else { Apex::Here },
                chat_elsewhere: false,
            }
        })
    }

    fn acme() -> impl Strategy<Value = AcmeConfig> {
        let url = || "https://[a-z]{1,9}\\.example/[a-z]{0,5}";
        let directory = prop_oneof![Just(LETSENCRYPT.to_owned()), url()];
        let staging = proptest::option::of(prop_oneof![Just(LETSENCRYPT_STAGING.to_owned()), url()]);
        (directory, staging, file()).prop_map(|(directory, staging, ca)| AcmeConfig { directory, staging, ca })
    }

    fn config() -> impl Strategy<Value = Config> {
        let profile = prop_oneof![Just(Profile::Dendrite), Just(Profile::Synapse), Just(Profile::Native)];
        let proxy = prop_oneof![Just(Proxy::Gateway), Just(Proxy::Host), Just(Proxy::None)];
        let admin = ("[a-z0-9._-]{1,9}x", proptest::option::of(email()), file());
        let rocketchat = (file(), file(), proptest::option::of("http://127\\.0\\.0\\.1:[1-9][0-9]{3}(/[a-z]{1,4})?"));
        let image = "[a-z]{1,9}/[a-z]{1,9}:[a-u][a-z0-9.]{0,8}".prop_map(|text| ImageRef::parse(&text).unwrap());
        let images =
            proptest::collection::btree_map(proptest::sample::select(IMAGES.map(|(s, _)| s).to_vec()), image, 0..3);
        let memory = proptest::collection::btree_map(
            proptest::sample::select(MEMORY.map(|(s, _)| s).to_vec()),
            512..1_000_000u32,
            0..3,
        );
        let addresses = proptest::collection::btree_set("1[0-9]{2}\\.[1-9]\\.0\\.1", 0..3);
        // A network of a native Rocket.Chat is refused, and authorities are read from a file that is there.
        let networks = proptest::collection::btree_set("10\\.[1-9]\\.0\\.0/16|fd0[1-9]::/48", 0..3);
        let servers = proptest::collection::btree_set("[a-z]{2,9}\\.org(:[1-9][0-9]{1,3})?", 0..3);
        let rest = (any::<bool>(), proptest::option::of(email()), addresses, memory, servers, networks);
        (names(), profile, proxy, admin, rocketchat, images, acme(), rest).prop_map(
            |(
                names,
                profile,
                proxy,
                admin,
                (token, license, tester),
                images,
                acme,
                (accept, email, addresses, memory, servers, networks),
            )| {
                Config {
                    names,
                    profile,
                    proxy,
                    accept_end_of_life: accept || crate::compat::end_of_life(profile).is_some(),
                    admin: Admin {
                        username: Username::parse(&admin.0).unwrap(),
                        email: admin.1.or_else(|| email.clone()),
                        password_file: admin.2,
                    },
                    email,
                    rocketchat: RocketchatConfig {
                        registration_token_file: token,
                        license_file: license.or((profile == Profile::Native).then(|| "/l".into())),
                        federation_tester: tester.map(Tester::At),
                        existing: None,
                        replace_homeserver: false,
                    },
                    federation: FederationConfig {
                        private_networks: networks
                            .iter()
                            .filter(|_| profile != Profile::Native)
                            .map(|text| text.parse().unwrap())
                            .collect(),
                        ca: None,
                    },
                    images,
                    memory,
                    acme,
                    addresses: addresses.iter().map(|text| text.parse::<IpAddr>().unwrap()).collect(),
                    federate_with: if profile == Profile::Native { Vec::new() } else { servers.into_iter().collect() },
                    doctor: DoctorConfig { ignore: if accept { vec!["machine.os".into()] } else { vec![] } },
                }
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(config in config()) {
            let text = config.to_toml();
            let answers = Answers::from_toml(&text, Path::new("/etc/rcfed/config.toml")).unwrap();
            let read = Config::from_answers(&answers, Mode::Unattended).unwrap();
            prop_assert_eq!(&read, &config);
            prop_assert_eq!(read.to_toml(), text);
        }
    }

    #[test]
    fn the_file_with_authorities_is_named_and_not_copied() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        let key = rcgen::KeyPair::generate().unwrap();
        let root = rcgen::CertificateParams::new(vec!["ca.example".into()]).unwrap().self_signed(&key).unwrap();
        std::fs::write(&path, root.pem()).unwrap();
        let mut answers = Answers::default();
        answers.typed(Key::FederatedDomain, "example.org");
        answers.typed(Key::FederationCa, path.display().to_string());
        let config = Config::from_answers(&answers, Mode::Interactive).unwrap();
        assert!(config.to_toml().contains(&format!("[federation]\nca = \"{}\"\n", path.display())));
        let read = Answers::from_toml(&config.to_toml(), Path::new("/etc/rcfed/config.toml")).unwrap();
        assert_eq!(Config::from_answers(&read, Mode::Interactive).unwrap(), config);
    }

    #[test]
    fn a_rocketchat_that_runs_already_is_kept_by_its_name_or_address() {
        for existing in [
            "container = \"rocketchat\"\nreplace_homeserver = true\n",
            "url = \"http://10.0.0.5:3000\"\nbridge_url = \"http://10.0.0.5:3300\"\n",
            "url = \"https://talk.example.org\"\nbridge_url = \"http://10.0.0.5:3300\"\n",
        ] {
            let text = format!(
                "federated_domain = \"example.org\"\n[admin]\npassword_file = \"/p\"\n[rocketchat]\n{existing}"
            );
            let read = |text: &str| {
                let answers = Answers::from_toml(text, Path::new("/etc/rcfed/config.toml")).unwrap();
                Config::from_answers(&answers, Mode::Unattended).unwrap()
            };
            let config = read(&text);
            assert!(config.to_toml().contains(&format!("\n[rocketchat]\n{existing}")), "{}", config.to_toml());
            assert_eq!(read(&config.to_toml()), config);
            assert_eq!(config.services(), [Service::Gateway, Service::Homeserver, Service::Postgres, Service::Relay]);
        }
    }

    #[test]
    fn the_file_reads_like_one_a_person_wrote() {
        let mut answers = Answers::default();
        answers.typed(Key::FederatedDomain, "example.org");
        answers.typed(Key::Email, "you@example.org");
        answers.typed(Key::ImageMongodb, "mongo:7.0");
        let config = Config::from_answers(&answers, Mode::Interactive).unwrap();
        assert_eq!(config.images.keys().collect::<Vec<_>>(), [&Service::Mongodb]);
        insta::assert_snapshot!(config.to_toml());
    }
}
