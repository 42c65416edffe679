//! What steps say: in what a thing differs from the wanted one, what is being waited for, what was reached. In one file, so
//! that it is read together.

use std::fmt::Display;
use std::path::Path;

use crate::config::Service;
use crate::error::Error;

// In what something differs.
pub(super) const ANOTHER_CERTIFICATE: &str = "the gateway serves another certificate";
pub(super) const ANOTHER_CONFIGURATION: &str = "the gateway works with another configuration";
pub(super) const ANOTHER_IN_FILE: &str = "the file has another one";
pub(super) const BY_HAND: &str = "the gateway may work with files that were changed by hand";
pub(super) const INTERRUPTED: &str = "a replacement that was interrupted";
pub(super) const NO_DIGEST: &str = "its digest was not recorded";
pub(super) const NOT_LOADED: &str = "nginx has not loaded it";
pub(super) const NO_TIMER: &str = "the timer does not run";
pub(super) const TOKEN_UNKNOWN: &str = "Rocket.Chat does not know rcfed's token any more";

pub(super) fn not_as(container: &str, alias: impl Display) -> String {
    format!("`{container}` is on the network, but not as `{alias}`")
}

pub(super) fn foreign_file(path: &str) -> String {
    format!("a file `{path}` exists that rcfed did not write")
}

// What is being waited for.
pub(super) const ASKING_FOR_KEYS: &str = "asking for its keys as other servers do";
pub(super) const ASKING_FOR_MODULES: &str = "asking for the licence's modules";
pub(super) const ASKING_THE_SITE: &str = "asking the web site on the federated domain";
pub(super) const ASKING_WHO: &str = "asking the homeserver who the bridge is";
pub(super) const ELECTING: &str = "the replica set elects its primary";
pub(super) const INITIATED: &str = "the replica set was initiated";
pub(super) const ROLE_MADE: &str = "role and database were made";

// What was reached.
pub(super) const CRON: &str = "cron, since there is no systemd";
pub(super) const NO_CHECK: &str = "Rocket.Chat has its settings; this version has no check of its own";

pub(super) fn written(written: usize, all: usize) -> String {
    format!("{written} written, {} as they were", all - written)
}

pub(super) fn dumped(service: Service, path: &Path) -> String {
    format!("  {service}'s data as they were before the change: {}", path.display())
}

// Why something stays.
pub(super) const IN_A_VOLUME: &str = "it is data in a volume";

// What went wrong.
pub(super) fn room_unknown(error: impl Display) -> Error {
    Error::new(error.to_string(), "check it with `df -h`")
}

pub(super) fn not_dumped(service: Service, error: &Error) -> Error {
    let told = format!("{service} stays as it is, since its data could not be dumped: {}", error.message());
    Error::new(told, error.hint().unwrap_or_default())
}

pub(super) fn previous_unwell(new: &Error, previous: &Error) -> Error {
    let told = format!("{}\nThe previous container was started again, and: {}", new.message(), previous.message());
    Error::new(told, previous.hint().unwrap_or_default())
}

pub(super) fn no_site() -> Error {
    Error::new("there is no site file in this configuration", "please report this")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        let differs = [
            ANOTHER_CERTIFICATE,
            ANOTHER_CONFIGURATION,
            ANOTHER_IN_FILE,
            BY_HAND,
            INTERRUPTED,
            NO_DIGEST,
            NOT_LOADED,
            NO_TIMER,
            TOKEN_UNKNOWN,
            &not_as("chat", "rocketchat"),
            &foreign_file("/etc/nginx/conf.d/rcfed.conf"),
        ]
        .map(|why| format!("differs: {why}"));
        let notes = [ASKING_FOR_KEYS, ASKING_FOR_MODULES, ASKING_THE_SITE, ASKING_WHO, ELECTING, INITIATED, ROLE_MADE];
        let notes = notes.map(|note| format!("… {note}"));
        let reached = [
            CRON,
            NO_CHECK,
            &written(2, 7),
            &dumped(Service::Mongodb, Path::new("/var/lib/rcfed/dumps/mongodb-20261126T120000Z.archive.gz")),
        ]
        .map(|words| format!("done: {words}"));
        let unwell = |service: &str| Error::new(format!("{service} does not answer"), "see `sudo rcfed logs mongodb`");
        let errors = [
            room_unknown("/var/lib/rcfed cannot be read: Permission denied (os error 13)"),
            not_dumped(Service::Mongodb, &unwell("mongodump")),
            previous_unwell(&unwell("the new one"), &unwell("rcfed-mongodb")),
            no_site(),
        ];
        let stays = [format!("stays: {IN_A_VOLUME}")];
        let lines: Vec<String> = differs.into_iter().chain(notes).chain(reached).chain(stays).collect();
        insta::assert_snapshot!(format!("{}\n{}", lines.join("\n"), crate::error::told(errors)));
    }
}
