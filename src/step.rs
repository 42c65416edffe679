//! Steps: the kinds of thing rcfed makes, each able to look, to say how it would be undone, and to act.
//!
//! # Guarantees
//! `apply` is idempotent, and after it `inspect` says [`State::Current`]. What it makes, and the way back, is known before it acts ([`Step::things`]).
//! # Assumptions
//! Only one command changes the machine at a time ([`crate::host::lock`]).

pub(crate) mod account;
pub(crate) mod certificate;
mod connection;
pub(crate) mod container;
pub(crate) mod database;
mod dump;
mod error;
pub(crate) mod federation;
pub(crate) mod file;
mod image;
mod previous;
mod ready;
pub(crate) mod reload;
mod replace;
mod secret;
pub(crate) mod settings;
mod site;
mod things;
mod trial;
mod unit;
mod words;

use crate::config::{Config, Existing, Service};
use crate::error::Result;
use crate::machine::Machine;
use crate::receipt::{Receipt, Thing};
use crate::render::Phase;
use crate::secrets::SecretName;
use crate::topology::{Directory, File, Origin, Secret, Topology, Volume};
use crate::ui::Task;

pub use federation::Verdict;

/// One thing to be made so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Rocket.Chat's administrator exists, and rcfed has a revocable token of it.
    Account,
    /// The gateway's certificate covers all names and is not due.
    Certificate,
    /// The container of a Rocket.Chat that somebody else runs is on the network.
    Connection,
    /// A container runs as wanted.
    Container(Service),
    /// The replica set and the users of MongoDB, or role and database of PostgreSQL.
    Database(Service),
    /// A directory exists.
    Directory(Directory),
    /// Both sides agree, a message can be sent, and Rocket.Chat's own verification says so.
    Federation,
    /// A file has the wanted content.
    File(File),
    /// An image is on the machine.
    Image(Service),
    /// The network exists.
    Network,
    /// A server answers.
    Ready(Service),
    /// The gateway works with the files and the certificate on disk.
    Reload,
    /// A secret has a value.
    Secret(Secret),
    /// A Rocket.Chat that somebody else runs has its federation settings.
    Settings,
    /// A file in the machine's own nginx, loaded.
    Site(Phase),
    /// nginx accepts the gateway's files of this phase.
    Trial(Phase),
    /// Something renews the certificate.
    Unit,
    /// A volume exists.
    Volume(Volume),
}

/// What is, compared with what is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Not there.
    Absent,
    /// As wanted.
    Current,
    /// There and ours, but different: in these words.
    Differs(String),
    /// There and not ours: in these words. Nothing is touched.
    Foreign(String),
}

impl Step {
    /// Names the step in plans, receipts and needs.
    pub fn id(&self) -> String {
        match self {
            Self::Account => "account".into(),
            Self::Certificate => "certificate".into(),
            Self::Connection => "connection".into(),
            Self::Container(service) => format!("container:{service}"),
            Self::Database(service) => format!("database:{service}"),
            Self::Directory(directory) => format!("directory:{}", directory.path.display()),
            Self::Federation => "federation".into(),
            Self::File(file) => format!("file:{}", file.path.display()),
            Self::Image(service) => format!("image:{service}"),
            Self::Network => "network".into(),
            Self::Ready(service) => format!("ready:{service}"),
            Self::Reload => "reload".into(),
            Self::Secret(secret) => format!("secret:{}", secret.name.name()),
            Self::Settings => "settings".into(),
            Self::Site(Phase::Start) => "site:http".into(),
            Self::Site(Phase::Certified) => "site:https".into(),
            Self::Trial(Phase::Start) => "trial:http".into(),
            Self::Trial(Phase::Certified) => "trial:https".into(),
            Self::Unit => "unit:renewal".into(),
            Self::Volume(volume) => format!("volume:{}", volume.service),
        }
    }

    /// What is done, for a person.
    pub fn summary(&self, topology: &Topology) -> String {
        let image = |service: &Service| match topology.container(*service).map(|c| &c.image) {
            Some(crate::topology::ImageSource::Pull(reference)) => reference.clone(),
            _ => "this binary".into(),
        };
        match self {
            Self::Account if topology.container(Service::Rocketchat).is_none() => {
                "take a token of Rocket.Chat for later runs".into()
            }
            Self::Account => "create Rocket.Chat's administrator and a token for later runs".into(),
            Self::Certificate => "get a certificate from the certificate authority".into(),
            Self::Connection => "connect Rocket.Chat's container to the network rcfed".into(),
            Self::Container(service) => format!("start {}", service.container()),
            Self::Database(Service::Mongodb) => "set up MongoDB's replica set and users".into(),
            Self::Database(_) => "set up PostgreSQL's role and database".into(),
            Self::Directory(directory) => format!("create {}", directory.path.display()),
            Self::Federation => "check that both sides agree and that a message can be sent".into(),
            Self::File(file) => format!("write {}", file.path.display()),
            Self::Image(service @ Service::Relay) => format!("make the {service} image from {}", image(service)),
            Self::Image(service) => format!("pull {}", image(service)),
            Self::Network => "create the network rcfed".into(),
            Self::Ready(service) => format!("wait until {service} answers"),
            Self::Reload => "let the gateway serve HTTPS".into(),
            Self::Secret(secret) => format!("make the secret {}", secret.name.name()),
            Self::Settings => "write Rocket.Chat's federation settings and read them back".into(),
            Self::Site(Phase::Start) => "have this machine's nginx forward proofs for the certificate".into(),
            Self::Site(Phase::Certified) => "have this machine's nginx forward the site".into(),
            Self::Trial(Phase::Start) => "try the gateway's configuration for HTTP".into(),
            Self::Trial(Phase::Certified) => "try the gateway's configuration for HTTPS".into(),
            Self::Unit => "have the certificate renewed twice a day".into(),
            Self::Volume(volume) => format!("create the volume {}", volume.name),
        }
    }

    /// Ids of the steps that must be done before this one. An id that is not in the plan counts as done.
    pub fn needs(&self, topology: &Topology) -> Vec<String> {
        needs(self, topology)
    }

    /// Whether it deserves no line of its own: too quick, or it has lines of its own making.
    pub fn is_small(&self) -> bool {
        matches!(
            self,
            Self::Certificate | Self::Directory(_) | Self::File(_) | Self::Network | Self::Secret(_) | Self::Volume(_)
        )
    }

    /// Whether something of the same name may be somebody else's.
    pub fn may_be_foreign(&self) -> bool {
        matches!(self, Self::Container(_) | Self::Directory(_) | Self::Network | Self::Site(_) | Self::Volume(_))
    }

    /// Looks at the machine.
    pub async fn inspect(&self, machine: &Machine) -> Result<State> {
        match self {
            Self::Account => account::inspect(machine).await,
            Self::Certificate => certificate::inspect(machine),
            Self::Connection => connection::inspect(machine).await,
            Self::Container(service) => container::inspect(machine, *service).await,
            Self::Database(service) => database::inspect(machine, *service).await,
            Self::Directory(directory) => file::inspect_directory(machine, directory),
            Self::Federation => federation::inspect(machine).await,
            Self::File(file) => file::inspect(machine, file),
            Self::Image(service) => image::inspect(machine, *service).await,
            Self::Network => container::inspect_network(machine).await,
            Self::Ready(service) => ready::inspect(machine, *service).await,
            Self::Reload => reload::inspect(machine).await,
            Self::Secret(secret) => secret::inspect(machine, secret),
            Self::Settings => settings::inspect(machine).await,
            Self::Site(phase) => site::inspect(machine, *phase).await,
            Self::Trial(phase) => trial::inspect(machine, *phase),
            Self::Unit => unit::inspect(machine).await,
            Self::Volume(volume) => container::inspect_volume(machine, volume).await,
        }
    }

    /// What it would make, given what is there now, each with the way back. Empty if it leaves nothing behind.
    pub async fn things(&self, machine: &Machine, receipt: &Receipt) -> Result<Vec<Thing>> {
        things::things(self, machine, receipt).await
    }

    /// Makes it so; returns what is worth telling, or nothing.
    pub async fn apply(&self, machine: &Machine, task: &Task) -> Result<String> {
        match self {
            Self::Account => account::apply(machine).await,
            Self::Certificate => certificate::apply(machine).await,
            Self::Connection => connection::apply(machine).await,
            Self::Container(service) => container::apply(machine, *service, task).await,
            Self::Database(service) => database::apply(machine, *service, task).await,
            Self::Directory(directory) => file::apply_directory(machine, directory),
            Self::Federation => federation::apply(machine, task).await,
            Self::File(file) => file::apply(machine, file),
            Self::Image(service) => image::apply(machine, *service, task).await,
            Self::Network => container::apply_network(machine).await,
            Self::Ready(service) => ready::apply(machine, *service, task).await,
            Self::Reload => reload::apply(machine).await,
            Self::Secret(secret) => secret::apply(machine, secret).await,
            Self::Settings => settings::apply(machine).await,
            Self::Site(phase) => site::apply(machine, *phase).await,
            Self::Trial(phase) => trial::apply(machine, *phase).await,
            Self::Unit => unit::apply(machine).await,
            Self::Volume(volume) => container::apply_volume(machine, volume).await,
        }
    }
}

/// Every step of a deployment, in an order that respects their needs.
pub fn steps(config: &Config, topology: &Topology) -> Vec<Step> {
    let services = config.services();
    let directories = topology.directories.iter().cloned().map(Step::Directory);
    let secrets = topology.secrets.iter().cloned().map(Step::Secret);
    let files = |phase| topology.files.iter().filter(move |f| f.phase == phase).cloned().map(Step::File);
    let mut steps: Vec<Step> = directories.chain(secrets).collect();
    steps.extend(services.iter().map(|s| Step::Image(*s)));
    steps.push(Step::Network);
    let existing = config.rocketchat.existing.as_ref();
    steps.extend(matches!(existing, Some(Existing::Container(_))).then_some(Step::Connection));
    steps.extend(topology.volumes.iter().cloned().map(Step::Volume));
    steps.push(Step::Trial(Phase::Start));
    steps.extend(files(Phase::Start));
    steps.extend(services.iter().map(|s| Step::Container(*s)));
    steps.extend(services.iter().filter(|s| s.is_database()).map(|s| Step::Database(*s)));
    steps.extend(services.iter().filter(|s| !s.is_database()).map(|s| Step::Ready(*s)));
    let sites = |phase| topology.sites.iter().filter(move |s| s.phase == phase).map(|s| Step::Site(s.phase));
    steps.extend(sites(Phase::Start));
    steps.extend([Step::Certificate, Step::Trial(Phase::Certified)]);
    steps.extend(files(Phase::Certified));
    steps.extend(sites(Phase::Certified));
    steps.extend([Step::Reload, Step::Account]);
    steps.extend(existing.map(|_| Step::Settings));
    steps.extend([Step::Federation, Step::Unit]);
    steps
}

fn needs(step: &Step, topology: &Topology) -> Vec<String> {
    let services = || topology.containers.iter().map(|c| c.service);
    let files = |service: Service, phase: Phase| {
        topology
            .files
            .iter()
            .filter(move |f| f.service == service && f.phase == phase)
            .cloned()
            .map(|f| Step::File(f).id())
    };
    match step {
        Step::Directory(directory) => {
            let above =
                topology.directories.iter().filter(|d| directory.path != d.path && directory.path.starts_with(&d.path));
            above.map(|d| format!("directory:{}", d.path.display())).collect()
        }
        Step::Secret(secret) => {
            let mut needs = vec![format!("directory:{}", crate::layout::SECRETS)];
            needs.extend(matches!(secret.origin, Origin::Exchange(_)).then(|| Step::Account.id()));
            needs
        }
        Step::File(file) => {
            let mut needs: Vec<String> =
                file.path.parent().iter().map(|p| format!("directory:{}", p.display())).collect();
            needs.extend(crate::render::secrets_in(&file.text).into_iter().map(secret_id));
            if file.service == Service::Gateway {
                needs.push(Step::Trial(file.phase).id());
            }
            needs
        }
        Step::Connection => vec![Step::Network.id()],
        Step::Image(_) | Step::Network | Step::Volume(_) => vec![format!("directory:{}", crate::layout::STATE)],
        Step::Trial(Phase::Start) => {
            vec![Step::Image(Service::Gateway).id(), format!("directory:{}", crate::layout::STATE)]
        }
        Step::Trial(Phase::Certified) => vec![Step::Trial(Phase::Start).id(), Step::Certificate.id()],
        Step::Container(service) => {
            let mut needs: Vec<String> = vec![Step::Image(*service).id(), Step::Network.id()];
            needs.extend(
                topology.volumes.iter().filter(|v| v.service == *service).map(|v| format!("volume:{}", v.service)),
            );
            needs.push(format!("directory:{}", crate::layout::service(*service).display()));
            needs.extend(files(*service, Phase::Start));
            needs.extend(match service {
                Service::Rocketchat => vec![Step::Database(Service::Mongodb).id()],
                Service::Homeserver => vec![Step::Database(Service::Postgres).id()],
                Service::Gateway => {
                    [crate::layout::CHALLENGES, crate::layout::CERTIFICATE].map(|d| format!("directory:{d}")).into()
                }
                _ => vec![],
            });
            needs
        }
        Step::Database(service) | Step::Ready(service) => vec![Step::Container(*service).id()],
        Step::Certificate => {
            let directory = format!("directory:{}", crate::layout::ACME);
            vec![Step::Ready(Service::Gateway).id(), Step::Site(Phase::Start).id(), directory]
        }
        Step::Site(Phase::Start) => vec![format!("directory:{}", crate::layout::STATE)],
        Step::Site(Phase::Certified) => vec![Step::Site(Phase::Start).id(), Step::Certificate.id()],
        Step::Reload => {
            let mut needs =
                vec![Step::Ready(Service::Gateway).id(), Step::Certificate.id(), Step::Site(Phase::Certified).id()];
            needs.extend(files(Service::Gateway, Phase::Start).chain(files(Service::Gateway, Phase::Certified)));
            needs
        }
        Step::Account => vec![
            Step::Ready(Service::Rocketchat).id(),
            secret_id(SecretName::AdminPassword),
            format!("directory:{}", crate::layout::SECRETS),
        ],
        Step::Federation | Step::Settings => {
            let mut needs = vec![Step::Account.id(), Step::Reload.id(), Step::Connection.id()];
            needs.extend((*step == Step::Federation).then(|| Step::Settings.id()));
            needs.extend(services().filter(|s| !s.is_database()).map(|s| Step::Ready(s).id()));
            needs.extend([SecretName::AppserviceId, SecretName::AsToken, SecretName::HsToken].map(secret_id));
            needs
        }
        Step::Unit => vec![Step::Certificate.id()],
    }
}

fn secret_id(name: SecretName) -> String {
    format!("secret:{}", name.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::Answers;
    use crate::config::Mode;
    use crate::sizes::Sizes;

    /// Files and directories are many; what is said of one is said of all.
    #[test]
    fn every_step_in_words() {
        let adopted = "[rocketchat]\ncontainer = \"chat\"\n[admin]\nusername = \"ada\"\npassword_file = \"/root/p\"\n";
        let mut told: Vec<String> = Vec::new();
        for (profile, more) in [("synapse", "proxy = \"host\"\n"), ("dendrite", adopted)] {
            let text = format!(
                "federated_domain = \"example.org\"\nprofile = \"{profile}\"\naccept_end_of_life = true\n{more}"
            );
            let answers = Answers::from_toml(&text, std::path::Path::new("answers.toml")).unwrap();
            let config = Config::from_answers(&answers, Mode::Interactive).unwrap();
            let topology =
                crate::topology::topology(&config, &Sizes::for_memory(4096, false), &Default::default()).unwrap();
            for step in steps(&config, &topology) {
                let kind = step.id().split(':').next().unwrap_or_default().to_owned();
                let many = matches!(step, Step::Directory(_) | Step::File(_) | Step::Secret(_));
                let line = format!("{kind}: {}", step.summary(&topology));
                let known = told.iter().any(|other| *other == line || many && other.starts_with(&format!("{kind}:")));
                if !known {
                    told.push(line);
                }
            }
        }
        insta::assert_snapshot!(told.join("\n"));
    }
}
