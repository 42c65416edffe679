//! What a step says when it fails by itself. What its doors say (files, the engine, Rocket.Chat) passes through.

use std::path::PathBuf;

use crate::config::Service;
use crate::error::Explain;
use crate::layout;

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum StepError {
    /// The settings that are kept are of another workspace.
    #[error("this is another Rocket.Chat than the one whose settings rcfed has kept")]
    AnotherRocketchat,
    /// The homeserver refuses a database that sorts otherwise.
    #[error("the homeserver's database has encoding and collation `{0}`, not `UTF8 C C`")]
    Collation(String),
    /// A directory of the machine's own is missing and cannot be made.
    #[error("could not create `{}`: {error}", path.display())]
    Create {
        /// The directory.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A new container was refused by the engine when it was to start.
    #[error("{0}; the previous container runs again")]
    DidNotStart(String),
    /// There is no room for a dump.
    #[error("the dump of {service} may need {need} MB in {}, and {free} MB are free", layout::DUMPS)]
    DumpRoom {
        /// Whose data.
        service: Service,
        /// How much it may need.
        need: u64,
        /// How much there is.
        free: u64,
    },
    /// Nothing can be dumped while the database does not run.
    #[error("{service} gets another image, and its data cannot be dumped before: {database} does not run")]
    DumpStopped {
        /// Whose data.
        service: Service,
        /// Where they are.
        database: Service,
    },
    /// An image without the database's own tools.
    #[error("{service} gets another image, and its data cannot be dumped before: {database} has no `{tool}`")]
    DumpTool {
        /// Whose data.
        service: Service,
        /// Where they are.
        database: Service,
        /// What is missing.
        tool: &'static str,
    },
    /// Rocket.Chat's own verdict.
    #[error("Rocket.Chat's own check of its federation failed: {words}")]
    Federation {
        /// Its verdict in words.
        words: String,
        /// What to do, if that is known.
        hint: Option<String>,
    },
    /// A generated file needs a secret that is not there.
    #[error("could not fill in {}: {error}", path.display())]
    Fill {
        /// The file.
        path: PathBuf,
        /// Which secret.
        error: crate::render::UnknownMark,
    },
    /// The homeserver's container is gone or stands still.
    #[error("the homeserver does not run")]
    HomeserverDown,
    /// The homeserver gives no answer.
    #[error("the homeserver does not answer: {0}")]
    HomeserverSilent(String),
    /// The homeserver does not know the bridge.
    #[error("the homeserver does not take the bridge's token (status {status}: {body})")]
    HomeserverToken {
        /// Of its answer.
        status: u16,
        /// How its answer begins.
        body: String,
    },
    /// An image for other processors.
    #[error("`{reference}` is made for {made_for}, this machine is {machine}")]
    ImageArchitecture {
        /// The image.
        reference: String,
        /// For which processors.
        made_for: String,
        /// This machine's, in Docker's words.
        machine: &'static str,
    },
    /// An image of another program.
    #[error("`{reference}` is not the {service} image rcfed knows: it runs `{runs}`, not `{program}`")]
    ImageProgram {
        /// The image.
        reference: String,
        /// Whose place it is to take.
        service: Service,
        /// What it runs.
        runs: String,
        /// What the known one runs.
        program: &'static str,
        /// The one that is known.
        known: &'static str,
    },
    /// An image whose files belong to another user than the one it is run as.
    #[error("`{reference}` is made for the user {user}, and rcfed runs the {service} as {wanted}")]
    ImageUser {
        /// The image.
        reference: String,
        /// Whose place it is to take.
        service: Service,
        /// Whom its files belong to.
        user: u32,
        /// Whom rcfed runs it as.
        wanted: u32,
        /// The one that is known.
        known: &'static str,
    },
    /// The engine says it pulled it.
    #[error("the engine pulled `{0}` and then did not have it")]
    ImageVanished(String),
    /// The password that is kept is not the administrator's.
    #[error("could not log in to Rocket.Chat as `{username}` with the password rcfed knows: {error}")]
    Login {
        /// The administrator.
        username: String,
        /// Why.
        error: String,
        /// Whether somebody else runs that Rocket.Chat.
        existing: bool,
    },
    /// Another major version of a database.
    #[error("{0}")]
    Major(String),
    /// Neither a token nor a Rocket.Chat to use it with.
    #[error("Rocket.Chat does not run, or rcfed has no token of it")]
    NoAccess,
    /// The container of somebody else's Rocket.Chat is gone.
    #[error("there is no container `{0}`")]
    NoContainer(String),
    /// The image went away between two steps.
    #[error("there is no image for {0}")]
    NoImage(Service),
    /// The password went away between two steps.
    #[error("the administrator's password is not on this machine")]
    NoPassword,
    /// It was there a moment ago.
    #[error("Rocket.Chat does not run")]
    NoRocketchat,
    /// A secret's file of the user with none or several lines.
    #[error("`{}` should hold one line, the {what}", path.display())]
    OneLine {
        /// The file.
        path: PathBuf,
        /// What it is for.
        what: String,
    },
    /// A setting stays as its environment has it.
    #[error("Rocket.Chat took a new value for `{0}` and still has the old one")]
    Overwritten(&'static str),
    /// This program's path is not known.
    #[error("could not find this program's own path: {0}")]
    OwnPath(std::io::Error),
    /// nginx refuses to reload, in its own words.
    #[error("the gateway refuses to reload: {0}")]
    Reload(String),
    /// nginx was told to reload and shows another certificate.
    #[error("there is a new certificate on disk, and the gateway still shows another one: {0}")]
    CertificateIgnored(String),
    /// nginx was told to reload and works as before.
    #[error("the gateway did not take its new configuration, and goes on with the old one: {0}")]
    ReloadIgnored(String),
    /// The settings that were kept cannot be put back.
    #[error("the settings of Rocket.Chat cannot be put back: {why}")]
    Restore {
        /// What is in the way.
        why: String,
        /// Where they are kept.
        path: PathBuf,
    },
    /// The settings that were kept are not readable as such.
    #[error("`{}` cannot be understood", .0.display())]
    RestoreUnreadable(PathBuf),
    /// Rocket.Chat holds other settings than those in its environment.
    #[error("Rocket.Chat does not have the settings it was given: {list}")]
    SettingsDiffer {
        /// Which, and how they differ.
        list: String,
        /// Whether somebody else runs that Rocket.Chat.
        existing: bool,
    },
    /// The machine's nginx was broken before.
    #[error("the machine's nginx does not accept its own configuration, even without rcfed's part: {0}")]
    SiteBefore(String),
    /// The machine's nginx does not include the directory.
    #[error("the machine's nginx was reloaded and does not use `{0}`")]
    SiteIgnored(&'static str),
    /// The machine's nginx refuses rcfed's file.
    #[error("the machine's nginx does not accept `{path}`, so it was taken back: {said}")]
    SiteRefused {
        /// The file.
        path: &'static str,
        /// nginx' own words.
        said: String,
    },
    /// nginx refuses the gateway's files in a trial.
    #[error("nginx does not accept the gateway's configuration: {0}")]
    Trial(String),
    /// Somebody else's Rocket.Chat is read-only.
    #[error("{0}")]
    Unregistered(crate::rocketchat::RestError),
}

impl Explain for StepError {
    fn hint(&self) -> Option<String> {
        const AGAIN: &str = "run `sudo rcfed apply` to try again";
        Some(match self {
            Self::AnotherRocketchat => {
                "run `sudo rcfed uninstall` with the earlier one first, then take this one".into()
            }
            Self::Collation(_) => "it was not made by rcfed: move its volume `rcfed-postgres` away, or restore a dump \
                                   into an empty one"
                .into(),
            Self::Create { path, .. } => {
                format!("see what is there with `ls -ld {}`, then run `sudo rcfed apply`", path.display())
            }
            Self::DidNotStart(_) => "put the cause right, then run `sudo rcfed apply`".into(),
            Self::DumpRoom { .. } => "make room (`df -h`, `docker image prune`), then run the same command again. \
                                      Nothing was stopped"
                .into(),
            Self::DumpStopped { .. } => format!(
                "put the image's old tag back below `[images]` in {}, run `sudo rcfed apply`, and change it once \
                 everything runs",
                layout::CONFIG
            ),
            Self::DumpTool { .. } => "use the official image of the database, which has it".into(),
            Self::Federation { hint, .. } => hint.clone().unwrap_or_else(|| AGAIN.into()),
            Self::Fill { error, .. } => error.hint()?,
            Self::HomeserverDown | Self::HomeserverSilent(_) => "see `sudo rcfed logs homeserver`".into(),
            Self::HomeserverToken { .. } => {
                "restart it with `sudo docker restart rcfed-homeserver`, since it reads the \
                                             registration only when it starts"
                    .into()
            }
            Self::ImageArchitecture { machine, .. } => {
                format!("name an image for {machine} below `[images]` in {}", layout::CONFIG)
            }
            Self::ImageProgram { known, .. } | Self::ImageUser { known, .. } => {
                format!("use `{known}`, or an image built from it")
            }
            Self::ImageVanished(reference) => {
                format!("try `sudo docker pull {reference}`, then run the same command again")
            }
            Self::Login { existing: true, .. } => format!(
                "check `username` and `password_file` below `[admin]`: an administrator of that Rocket.Chat; if the \
                 password was changed, also remove {}/admin_password, then run `sudo rcfed apply`",
                layout::SECRETS
            ),
            Self::Login { existing: false, .. } => format!(
                "if the password was changed in Rocket.Chat, write it into a 0600 file, name it as `password_file` \
                 below `[admin]` and remove {}/admin_password; then run `sudo rcfed apply`",
                layout::SECRETS
            ),
            Self::Major(_) => {
                format!("put the old tag back below `[images]` in {}. Nothing was stopped", layout::CONFIG)
            }
            Self::NoAccess | Self::NoRocketchat => {
                "see why with `sudo rcfed logs rocketchat`, then run `sudo rcfed apply`".into()
            }
            Self::NoContainer(_) => {
                "start it anew where it was made, or name another one with `container` below `[rocketchat]`".into()
            }
            Self::NoImage(_) => AGAIN.into(),
            Self::NoPassword => {
                "write it into a 0600 file, name it as `password_file` below `[admin]`, then run `sudo \
                                 rcfed apply`"
                    .into()
            }
            Self::OneLine { path, .. } => format!("write it there: `sudo sh -c 'cat > {}'`", path.display()),
            Self::Overwritten(id) => {
                format!("if its environment has OVERWRITE_SETTING_{id}, take that out where it is made")
            }
            Self::OwnPath(_) => "check that /proc is mounted".into(),
            Self::CertificateIgnored(_) | Self::Reload(_) | Self::ReloadIgnored(_) => {
                "see `sudo rcfed logs gateway`".into()
            }
            Self::Restore { path, .. } => format!(
                "start it, then run the same command again; or leave its settings as they are: `sudo rm {}`",
                path.display()
            ),
            Self::RestoreUnreadable(path) => {
                format!("remove it to leave Rocket.Chat's settings as they are now: `sudo rm {}`", path.display())
            }
            Self::SettingsDiffer { existing: true, .. } => {
                "see whether somebody else writes them, then run `sudo rcfed apply`".into()
            }
            Self::SettingsDiffer { existing: false, .. } => {
                "restart it with `sudo docker restart rcfed-rocketchat`, then run `sudo rcfed apply`".into()
            }
            Self::SiteBefore(_) => "mend it first: `sudo nginx -t` shows where it is wrong".into(),
            Self::SiteIgnored(path) => {
                let directory = std::path::Path::new(path).parent().unwrap_or(std::path::Path::new("/"));
                format!("see that /etc/nginx/nginx.conf has `include {}/*.conf;` within `http`", directory.display())
            }
            Self::SiteRefused { .. } => {
                "another site may claim the same names or options: `sudo nginx -T | grep -n server_name`".into()
            }
            Self::Trial(_) => "nothing was replaced; please report this with the output of `rcfed plan --json`".into(),
            Self::Unregistered(_) => {
                "register it in its administration (Workspace > Registration), then run `sudo rcfed apply`".into()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::StepError::*;
    use super::*;
    use crate::rocketchat::RestError;

    #[test]
    fn sentences() {
        let (service, database) = (Service::Rocketchat, Service::Mongodb);
        let path = || PathBuf::from("/var/lib/rcfed/rocketchat-settings.json");
        let io = || std::io::Error::from_raw_os_error(2);
        let login = |existing| Login {
            username: "ada".into(),
            error: RestError::Unauthorized { what: "log in" }.to_string(),
            existing,
        };
        let list = || "Federation_Matrix_enabled is false instead of true".to_owned();
        let error = crate::render::resolve("@secret:hs_token@", &|_| None).unwrap_err();
        let errors = [
            AnotherRocketchat,
            Collation("UTF8 en_US.utf8 en_US.utf8".into()),
            Create { path: "/etc/cron.d".into(), error: std::io::Error::from_raw_os_error(30) },
            DidNotStart("Docker could not start `rcfed-gateway`: no".into()),
            DumpRoom { service, need: 900, free: 12 },
            DumpStopped { service, database },
            DumpTool { service, database, tool: "mongodump" },
            Federation { words: "the federation tester was not reached".into(), hint: None },
            Federation { words: "the ping failed".into(), hint: Some("see `sudo rcfed status`".into()) },
            Fill { path: "/var/lib/rcfed/homeserver/registration.yaml".into(), error },
            HomeserverDown,
            HomeserverSilent("no answer in time".into()),
            HomeserverToken { status: 401, body: "{\"errcode\":\"M_UNKNOWN_TOKEN\"}".into() },
            ImageVanished("docker.io/library/nginx:1.28".into()),
            login(false),
            login(true),
            Major(crate::compat::database_change(Service::Postgres, "postgres:17", "postgres:18").unwrap_err()),
            Major(crate::compat::database_change(Service::Mongodb, "mongo:7.0", "mongo:8.0").unwrap_err()),
            NoAccess,
            NoContainer("chat".into()),
            NoImage(Service::Gateway),
            NoPassword,
            NoRocketchat,
            OneLine { path: "/root/token".into(), what: "registration token".into() },
            Overwritten("Federation_Matrix_enabled"),
            OwnPath(io()),
            Reload("nginx: [emerg] no".into()),
            CertificateIgnored("it runs but does not answer".into()),
            ReloadIgnored("it runs but does not answer".into()),
            Restore { why: "`chat` does not run".into(), path: path() },
            RestoreUnreadable(path()),
            SettingsDiffer { list: list(), existing: false },
            SettingsDiffer { list: list(), existing: true },
            SiteBefore("nginx: [emerg] no".into()),
            SiteIgnored("/etc/nginx/conf.d/rcfed.conf"),
            SiteRefused { path: "/etc/nginx/conf.d/rcfed.conf", said: "nginx: [emerg] no".into() },
            Trial("nginx: [emerg] no".into()),
            Unregistered(RestError::Restricted),
        ];
        insta::assert_snapshot!(crate::error::told(errors.map(Into::into)));
    }
}
