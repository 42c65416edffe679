//! Answers into a [`Config`]: defaults filled in, every answer proven, every problem told at once.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use super::values::{self, Refusal};
use super::{
    AcmeConfig, Admin, Apex, Config, DoctorConfig, Existing, FederationConfig, LETSENCRYPT, LETSENCRYPT_STAGING, Names,
    Profile, RocketchatConfig, Service, Tester,
};
use crate::answers::{Answers, Key, Problem, Problems};
use crate::compat;
use crate::domain::{DomainName, Email, ImageRef, Username};
use crate::host::authorities::Authorities;

/// Answers that cannot become a [`Config`], each with the place it came from.
pub type ConfigError = Problems;

/// Whether somebody sees the plan before it is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Somebody is shown the honest list and confirms it.
    Interactive,
    /// Nobody is: what must be accepted is accepted in the answers.
    Unattended,
}

impl Config {
    /// Proves the answers.
    pub fn from_answers(answers: &Answers, mode: Mode) -> Result<Self, ConfigError> {
        let (config, problems) = Reader::read(answers, mode);
        match config {
            Some(config) => Problems::unless_none(problems, config),
            // Names that could not be read left a problem that says why.
            None => Err(Problems::some(problems)),
        }
    }

    /// Proves what was answered so far, before the wizard asks for the rest.
    pub fn check_given(answers: &Answers) -> Result<(), ConfigError> {
        let (_, problems) = Reader::read(answers, Mode::Interactive);
        Problems::unless_none(problems.into_iter().filter(|problem| !problem.missing).collect(), ())
    }
}

struct Reader<'a> {
    answers: &'a Answers,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn read(answers: &Answers, mode: Mode) -> (Option<Config>, Vec<Problem>) {
        let mut reader = Reader { answers, problems: Vec::new() };
        let names = reader.names();
        let email = reader.one(Key::Email, Email::parse);
        let profile = reader.one(Key::Profile, values::profile);
        let proxy = reader.one(Key::Proxy, values::proxy).unwrap_or_default();
        let admin = reader.admin(email.as_ref());
        let rocketchat = RocketchatConfig {
            registration_token_file: reader.path(Key::RegistrationTokenFile),
            license_file: reader.path(Key::LicenseFile),
            federation_tester: reader.federation_tester(profile),
            existing: reader.existing(profile),
            replace_homeserver: answers.flag(Key::ReplaceHomeserver).unwrap_or_default(),
        };
        let federation = reader.federation(profile);
        let images = reader.images(profile);
        let memory = reader.memory();
        let acme = reader.acme();
        let addresses = reader.addresses();
        let federate_with = reader.federate_with();
        let doctor = DoctorConfig { ignore: reader.ignored_checks() };
        let accept_end_of_life = answers.flag(Key::AcceptEndOfLife).unwrap_or_default();
        // A profile that was named wrongly is no reason to speak of the default's needs too.
        if profile.is_some() || !answers.has(Key::Profile) {
            // Who has a Rocket.Chat already is not asked whether to run one.
            let accepted = accept_end_of_life || rocketchat.existing.is_some();
            reader.profile_needs(profile.unwrap_or_default(), mode, accepted);
        }
        let profile = profile.unwrap_or_default();
        let config = names.map(|names| Config {
            names,
            email,
            profile,
            proxy,
            accept_end_of_life,
            admin,
            rocketchat,
            federation,
            images,
            memory,
            acme,
            addresses,
            federate_with,
            doctor,
        });
        (config, reader.problems)
    }

    fn names(&mut self) -> Option<Names> {
        if !self.answers.has(Key::FederatedDomain) {
            let why = "no federated domain was given: the part after the colon in `@user:example.org`";
            self.problems.push(Problem::missing(Key::FederatedDomain, why));
        }
        let federated = self.one(Key::FederatedDomain, DomainName::parse);
        let own = self.answers.text(Key::ExistingUrl).and_then(values::open_address);
        let chat = match &own {
            Some(own) => self.chat_of(own),
            None => self.name_below(Key::ChatDomain, "chat", federated.as_ref()),
        };
        let native = self.answers.text(Key::Profile) == Some(Profile::Native.name());
        let matrix = match &chat {
            // Without a homeserver others come to Rocket.Chat itself, so there is no need of a third name.
            Some(chat) if native && !self.answers.has(Key::MatrixDomain) => Some(chat.clone()),
            _ => self.name_below(Key::MatrixDomain, "matrix", federated.as_ref()),
        };
        let apex = self.one(Key::Apex, values::apex).unwrap_or(Apex::Here);
        let (federated, chat, matrix) = (federated?, chat?, matrix?);
        let chat_elsewhere = own.is_some();
        if chat_elsewhere && chat == matrix {
            let why = format!("`{matrix}` stays with Rocket.Chat, and the homeserver is reached on this machine");
            self.refuse(
                Key::MatrixDomain,
                Refusal::new(why, "give it a name of its own, such as `matrix.example.org`"),
            );
        }
        // Who serves the chat or the homeserver under this name cannot leave it to another web site.
        let apex = match federated == chat {
            true if chat_elsewhere => Apex::Elsewhere,
            true => Apex::Here,
            false if federated == matrix => Apex::Here,
            false => apex,
        };
        Some(Names { federated, chat, matrix, apex, chat_elsewhere })
    }

    /// Where people open a Rocket.Chat that goes on being served at its own address.
    fn chat_of(&mut self, own: &DomainName) -> Option<DomainName> {
        match self.answers.has(Key::ChatDomain) {
            true => {
                let chat = self.one(Key::ChatDomain, DomainName::parse)?;
                if chat != *own {
                    let why = format!("Rocket.Chat goes on being served at `{own}`, and people open it there");
                    let hint = format!("leave the answer out, or write `{own}`");
                    self.refuse(Key::ChatDomain, Refusal::new(why, hint));
                }
                Some(own.clone())
            }
            false => Some(own.clone()),
        }
    }

    fn name_below(&mut self, key: Key, sub: &str, federated: Option<&DomainName>) -> Option<DomainName> {
        if self.answers.has(key) {
            return self.one(key, DomainName::parse);
        }
        match federated?.child(sub) {
            Ok(name) => Some(name),
            Err(error) => {
                let why = format!("`{sub}` in front of the federated domain is no usable name: {error}");
                self.problems.push(Problem::missing(key, why));
                None
            }
        }
    }

    fn admin(&mut self, email: Option<&Email>) -> Admin {
        let username = self.one(Key::AdminUsername, Username::parse).unwrap_or_default();
        let own = self.one(Key::AdminEmail, Email::parse);
        Admin { username, email: own.or_else(|| email.cloned()), password_file: self.path(Key::AdminPasswordFile) }
    }

    fn images(&mut self, profile: Option<Profile>) -> BTreeMap<Service, ImageRef> {
        // A profile that was named wrongly is told as that alone.
        let profile = profile.or_else(|| (!self.answers.has(Key::Profile)).then(Profile::default));
        let mut images = BTreeMap::new();
        for (service, key) in IMAGES {
            let Some(image) = self.one(key, ImageRef::parse) else { continue };
            let unfit = profile.and_then(|profile| compat::suits(profile, service, image.tag()).err());
            if let Some(why) = unfit {
                self.refuse(key, Refusal { why, hint: "leave the answer out for the version that rcfed knows".into() });
            }
            images.insert(service, image);
        }
        images
    }

    fn memory(&mut self) -> BTreeMap<Service, u32> {
        let limit =
            |(service, key): &(Service, Key)| Some((*service, self.one(*key, |text| values::memory(*service, text))?));
        MEMORY.iter().filter_map(limit).collect()
    }

    fn acme(&mut self) -> AcmeConfig {
        let directory = self.one(Key::AcmeDirectory, values::directory).unwrap_or_else(|| LETSENCRYPT.into());
        let given = self.one(Key::AcmeStagingDirectory, values::directory);
        let rehearsal = self.answers.flag(Key::AcmeRehearsal);
        let staging = match (rehearsal, given) {
            (Some(false), _) => None,
            (_, Some(given)) => Some(given),
            (_, None) if directory == LETSENCRYPT => Some(LETSENCRYPT_STAGING.into()),
            (Some(true), None) if !self.answers.has(Key::AcmeStagingDirectory) => {
                let why = format!(
                    "`{}` is true, but {directory} has no known directory to rehearse with",
                    Key::AcmeRehearsal.path()
                );
                self.problems.push(Problem::missing(Key::AcmeStagingDirectory, why));
                None
            }
            (_, None) => None,
        };
        AcmeConfig { directory, staging, ca: self.path(Key::AcmeCa) }
    }

    fn federation(&mut self, profile: Option<Profile>) -> FederationConfig {
        let mut private_networks = Vec::new();
        for text in self.answers.list(Key::PrivateNetworks) {
            match values::network(text) {
                Ok(network) if !private_networks.contains(&network) => private_networks.push(network),
                Ok(_) => {}
                Err(refusal) => self.refuse(Key::PrivateNetworks, refusal),
            }
        }
        if profile == Some(Profile::Native) && self.answers.has(Key::PrivateNetworks) {
            let why = "Rocket.Chat that federates by itself has no such list";
            self.refuse(Key::PrivateNetworks, Refusal { why: why.into(), hint: "leave the answer out".into() });
        }
        FederationConfig { private_networks, ca: self.one(Key::FederationCa, |text| Authorities::read(text.as_ref())) }
    }

    /// A server may be its own witness only where nobody else can be one.
    fn federation_tester(&mut self, profile: Option<Profile>) -> Option<Tester> {
        let tester = self.one(Key::FederationTester, values::federation_tester)?;
        let refusal = if tester != Tester::Own {
            return Some(tester);
        } else if profile.is_some_and(|profile| profile != Profile::Dendrite) {
            ("only the profile dendrite has a relay, which would be the tester", "name a tester by its address")
        } else if !self.answers.has(Key::FederationCa) {
            (
                "a server that vouches for itself is for networks with a certificate authority of their own",
                "name that authority's file as `ca` below `[federation]`, or leave the answer out",
            )
        } else {
            return Some(tester);
        };
        self.refuse(Key::FederationTester, Refusal { why: refusal.0.into(), hint: refusal.1.into() });
        None
    }

    /// The Rocket.Chat that runs already; what is its owner's affair is refused.
    fn existing(&mut self, profile: Option<Profile>) -> Option<Existing> {
        let (named, at) = (self.answers.has(Key::ExistingContainer), self.answers.has(Key::ExistingUrl));
        let container = self.one(Key::ExistingContainer, values::container);
        let url = self.one(Key::ExistingUrl, values::rocketchat_url);
        let bridge = self.one(Key::BridgeUrl, values::bridge_url);
        let mut refuse = |key: Key, why: &str, hint: &str| {
            self.refuse(key, Refusal { why: why.into(), hint: hint.into() });
        };
        if named && at {
            refuse(Key::ExistingUrl, "a Rocket.Chat is named by its container already", "leave one of the two out");
        }
        if !named && !at {
            for key in [Key::BridgeUrl, Key::ReplaceHomeserver] {
                refuse(
                    key,
                    "it belongs to a Rocket.Chat that runs already",
                    "name that one: `rocketchat.container` or `rocketchat.url`",
                );
            }
            return None;
        }
        if named {
            refuse(Key::BridgeUrl, "the bridge in a container is found by rcfed", "leave the answer out");
        }
        for key in THEIRS {
            refuse(
                key,
                "this Rocket.Chat and its MongoDB are not rcfed's to set up",
                "leave the answer out, and set it there",
            );
        }
        if profile == Some(Profile::Native) {
            let key = if named { Key::ExistingContainer } else { Key::ExistingUrl };
            refuse(
                key,
                "a Rocket.Chat that federates by itself needs no homeserver beside it",
                "choose the profile dendrite or synapse",
            );
        }
        if !self.answers.has(Key::AdminPasswordFile) {
            let why = "rcfed needs an administrator of the Rocket.Chat that runs already";
            self.problems.push(Problem::missing(Key::AdminPasswordFile, why));
        }
        let beside = url.as_deref().and_then(values::bridge_beside);
        // A bad address is told as that alone.
        if url.is_some() && beside.is_none() && !self.answers.has(Key::BridgeUrl) {
            let why = "the private address at which the bridge of that Rocket.Chat will listen was not given";
            self.problems.push(Problem::missing(Key::BridgeUrl, why));
        }
        match (container, url, bridge.or(beside)) {
            (Some(name), _, _) => Some(Existing::Container(name)),
            (None, Some(url), Some(bridge)) => Some(Existing::Elsewhere { url, bridge }),
            _ => None,
        }
    }

    fn addresses(&mut self) -> Vec<IpAddr> {
        let mut addresses = Vec::new();
        for text in self.answers.list(Key::Address) {
            match values::address(text) {
                Ok(address) if !addresses.contains(&address) => addresses.push(address),
                Ok(_) => {}
                Err(refusal) => self.refuse(Key::Address, refusal),
            }
        }
        addresses
    }

    fn federate_with(&mut self) -> Vec<String> {
        let mut servers = Vec::new();
        for text in self.answers.list(Key::FederateWith) {
            match values::server(text) {
                Ok(server) if !servers.contains(&server) => servers.push(server),
                Ok(_) => {}
                Err(refusal) => self.refuse(Key::FederateWith, refusal),
            }
        }
        servers
    }

    fn ignored_checks(&mut self) -> Vec<String> {
        let mut ids: Vec<String> = Vec::new();
        for text in self.answers.list(Key::DoctorIgnore) {
            match values::check(text) {
                Ok(id) if !ids.contains(&id) => ids.push(id),
                Ok(_) => {}
                Err(refusal) => self.refuse(Key::DoctorIgnore, refusal),
            }
        }
        ids
    }

    fn profile_needs(&mut self, profile: Profile, mode: Mode, accepted: bool) {
        if let Some(reason) = compat::end_of_life(profile)
            && mode == Mode::Unattended
            && !accepted
        {
            let why = format!("the profile {} needs your consent: {reason}", profile.name());
            self.problems.push(Problem::missing(Key::AcceptEndOfLife, why));
        }
        if profile == Profile::Native && !self.answers.has(Key::LicenseFile) {
            let why = "the profile native needs a Rocket.Chat licence that includes federation";
            self.problems.push(Problem::missing(Key::LicenseFile, why));
        }
        if profile == Profile::Native && self.answers.has(Key::FederateWith) {
            let why = "with the profile native, Rocket.Chat alone decides with whom it federates";
            let hint = "leave the answer out, and set `Federation_Service_Allow_List` in Rocket.Chat's administration";
            self.refuse(Key::FederateWith, Refusal { why: why.into(), hint: hint.into() });
        }
    }

    fn path(&mut self, key: Key) -> Option<PathBuf> {
        self.one(key, |text| match text.trim() {
            "" => Err(Refusal { why: "no file is named".into(), hint: "name a file, or leave the answer out".into() }),
            _ => Ok(PathBuf::from(text)),
        })
    }

    fn one<T, E: Into<Refusal>>(&mut self, key: Key, parse: impl Fn(&str) -> Result<T, E>) -> Option<T> {
        let text = self.answers.text(key)?;
        match parse(text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.refuse(key, error.into());
                None
            }
        }
    }

    fn refuse(&mut self, key: Key, refusal: Refusal) {
        if let Some(answer) = self.answers.get(key) {
            self.problems.push(Problem::wrong(key, &answer.source, refusal.why, refusal.hint));
        }
    }
}

/// What belongs to Rocket.Chat and MongoDB, and so to whoever runs them.
const THEIRS: [Key; 7] = [
    Key::RegistrationTokenFile,
    Key::LicenseFile,
    Key::FederationTester,
    Key::ImageMongodb,
    Key::ImageRocketchat,
    Key::MemoryMongodb,
    Key::MemoryRocketchat,
];

/// The key of every image that can be replaced.
pub(super) const IMAGES: [(Service, Key); 5] = [
    (Service::Gateway, Key::ImageGateway),
    (Service::Homeserver, Key::ImageHomeserver),
    (Service::Mongodb, Key::ImageMongodb),
    (Service::Postgres, Key::ImagePostgres),
    (Service::Rocketchat, Key::ImageRocketchat),
];

/// The key of every service's memory limit.
pub(super) const MEMORY: [(Service, Key); 6] = [
    (Service::Gateway, Key::MemoryGateway),
    (Service::Homeserver, Key::MemoryHomeserver),
    (Service::Mongodb, Key::MemoryMongodb),
    (Service::Postgres, Key::MemoryPostgres),
    (Service::Relay, Key::MemoryRelay),
    (Service::Rocketchat, Key::MemoryRocketchat),
];

#[cfg(test)]
#[path = "from_answers_tests.rs"]
mod tests;
