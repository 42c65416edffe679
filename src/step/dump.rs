//! A copy of a database before a new version may change it, and the commands that bring it back.
//!
//! Rocket.Chat and the homeservers migrate their database when they start, and only forwards. The tools are those of the
//! database's own image: `mongodump` and `mongorestore` (mongodb-database-tools) in mongo, `pg_dump` and `psql` in
//! postgres.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::StepError;
use super::words;
use super::{State, database};
use crate::clock;
use crate::compat;
use crate::config::Service;
use crate::error::{Error, Result};
use crate::host::docker::Observed;
use crate::host::facts;
use crate::host::fs::{self, Access};
use crate::layout;
use crate::machine::Machine;
use crate::ran::{Image, Ran};
use crate::ui::Task;

/// Dumps of a service that are kept.
const KEPT: usize = 2;

/// Whether a service has data that its versions change.
pub(super) fn keeps_data(service: Service) -> bool {
    !matches!(service, Service::Gateway | Service::Relay)
}

/// Whether `image` would be the first start of another version on these data. A version that was started before and
/// failed is not: the dump from before it is the one that counts.
pub(super) fn needed(machine: &Machine, service: Service, image: &Image, old: Option<&Observed>) -> Result<bool> {
    if !keeps_data(service) {
        return Ok(false);
    }
    let ran = Ran::load(&machine.host, service)?;
    let ready = ran.ready.map(|image| image.id).or_else(|| old.map(|old| old.image.clone()));
    let started = ran.started.map(|image| image.id);
    Ok(ready.is_some_and(|ready| ready != image.id) && started.as_ref() != Some(&image.id))
}

fn database_of(service: Service) -> Service {
    match service {
        Service::Rocketchat | Service::Mongodb => Service::Mongodb,
        _ => Service::Postgres,
    }
}

/// Whether a dump can be made: the database runs, has the tool, and the disk has room. Asked before anything is stopped.
pub(super) async fn possible(machine: &Machine, service: Service) -> Result<()> {
    let database = database_of(service);
    if database::inspect(machine, database).await? != State::Current {
        return Err(StepError::DumpStopped { service, database }.into());
    }
    let tool = if database == Service::Mongodb { "mongodump" } else { "pg_dump" };
    let asks = format!("command -v {tool}");
    if exec(machine, database, &["sh", "-c", &asks]).await?.is_none() {
        return Err(StepError::DumpTool { service, database, tool }.into());
    }
    let data = if database == Service::Mongodb { "/data/db" } else { "/var/lib/postgresql/data" };
    let used = exec(machine, database, &["du", "-sk", data]).await?;
    let kib: u64 = used.and_then(|text| text.split_whitespace().next()?.parse().ok()).unwrap_or_default();
    // The data on disk are compressed, indexes are not dumped: as much again is the usual size, and some is for others.
    let need = kib * 1024 + 256 * 1024 * 1024;
    let free = facts::free_space(&machine.path(layout::STATE)).map_err(words::room_unknown)?;
    if free < need {
        let mb = |bytes: u64| bytes / (1024 * 1024);
        return Err(StepError::DumpRoom { service, need: mb(need), free: mb(free) }.into());
    }
    Ok(())
}

/// The tag may hide it (`latest`); the official images also say their major version in a variable.
pub(super) async fn same_major(machine: &Machine, service: Service, old: &Observed, new: &Image) -> Result<()> {
    let variable = match service {
        Service::Mongodb => "MONGO_MAJOR=",
        Service::Postgres => "PG_MAJOR=",
        _ => return Ok(()),
    };
    let major = async |id: &str| -> Result<Option<String>> {
        let image = machine.docker.image(id).await?;
        let env = image.map(|image| image.env).unwrap_or_default();
        Ok(env.iter().find_map(|entry| entry.strip_prefix(variable)).map(String::from))
    };
    if let (Some(was), Some(wanted)) = (major(&old.image).await?, major(&new.id).await?)
        && was != wanted
    {
        let reference = |version: &str| format!("{service}:{version}");
        compat::database_change(service, &reference(&was), &reference(&wanted)).map_err(StepError::Major)?;
    }
    Ok(())
}

/// What a command printed, if it ended well.
async fn exec(machine: &Machine, service: Service, command: &[&str]) -> Result<Option<String>> {
    let output = machine.docker.exec(&service.container(), command, Duration::from_secs(60)).await?;
    Ok((output.code == 0).then_some(output.stdout))
}

/// Makes a dump, whole or not at all, and removes those that are older than the newest two.
pub(super) async fn dump(machine: &Machine, service: Service, task: &Task) -> Result<PathBuf> {
    let database = database_of(service);
    let directory = machine.path(layout::DUMPS);
    fs::create_directory(&directory, Access::root(0o700))?;
    let time = clock::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let ending = if database == Service::Mongodb { "archive.gz" } else { "sql" };
    let path = Path::new(layout::DUMPS).join(format!("{service}-{time}.{ending}"));
    task.note(format!("dumping to {}", path.display()));
    let command = dump_words(service);
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    machine
        .docker
        .exec_to_file(&database.container(), &command, &machine.path(&path), task)
        .await
        .map_err(|error| words::not_dumped(service, &error.into()))?;
    // By name: with the clock put back the newest does not come last.
    let mut old = dumps(&directory, service);
    old.retain(|old| *old != machine.path(&path));
    for old in old.into_iter().rev().skip(KEPT - 1) {
        fs::remove(&old)?;
    }
    machine.ui.say(&words::dumped(service, &path));
    Ok(path)
}

/// The dumps of a service, oldest first: their names sort by time.
fn dumps(directory: &Path, service: Service) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let prefix = format!("{service}-2");
    let of_service = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix))
            && path.extension().is_some_and(|ending| ending == "gz" || ending == "sql")
    };
    let mut all: Vec<PathBuf> = entries.filter(of_service).collect();
    all.sort();
    all
}

/// Without a password in any argument: the tools read it from a file that only lives as long as they do.
fn mongo_tool(tool: &str) -> String {
    format!(
        "umask 077; f=/tmp/rcfed-$$.yaml; trap \"rm -f $f\" EXIT; \
         printf \"password: \\\"%s\\\"\\n\" \"$(cat /run/rcfed/mongo_admin)\" >$f; \
         {tool} --quiet --config=$f --host=127.0.0.1 --port=27017 --username=rcfed --authenticationDatabase=admin \
         --archive --gzip"
    )
}

fn dump_words(service: Service) -> Vec<String> {
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect();
    match service {
        Service::Mongodb => words(&["sh", "-c", &mongo_tool("mongodump")]),
        Service::Rocketchat => words(&["sh", "-c", &format!("{} --db=rocketchat", mongo_tool("mongodump"))]),
        // With the commands that make the database anew, so that it is restored with its owner and collation.
        _ => words(&["pg_dump", "-U", "postgres", "--create", "--clean", "--if-exists", "homeserver"]),
    }
}

/// The command that restores a dump.
fn restore_command(service: Service, dump: &Path) -> String {
    let dump = dump.display();
    match database_of(service) {
        Service::Mongodb => {
            format!("sudo sh -c \"docker exec -i rcfed-mongodb sh -c '{}' <{dump}\"", shell_in_double_quotes())
        }
        _ => format!(
            "sudo sh -c \"docker exec -i rcfed-postgres psql -X -q -v ON_ERROR_STOP=1 -U postgres -d postgres <{dump}\""
        ),
    }
}

/// The tool's script inside `'…'` inside `"…"`.
fn shell_in_double_quotes() -> String {
    format!("{} --drop", mongo_tool("mongorestore")).replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$")
}

/// Stops a version that did not become ready and says how to get back to the one before it.
///
/// For a service without another version, or without data, the error stays as it is.
pub(super) async fn stopped(machine: &Machine, service: Service, error: Error) -> Result<Error> {
    let ran = Ran::load(&machine.host, service)?;
    let (Some(ready), true) = (&ran.ready, keeps_data(service) && ran.failed()) else { return Ok(error) };
    let name = service.container();
    machine.docker.stop_container(&name).await?;
    let mut told = format!(
        "{}\n{name} was stopped. It may have changed its data already, so the version before it was not started on them",
        error.message()
    );
    let mut commands = vec![format!("sudo docker rm -f {name}")];
    let set = format!("`{service} = \"{}\"` below `[images]` in {}", ready.reference, layout::CONFIG);
    if let Some(dump) = &ran.dump {
        told.push_str(&format!("\nIts data as they were before: {}", dump.display()));
        let restore = restore_command(service, dump);
        match service {
            // The server must run to be restored into, and who uses it knows the data of before.
            Service::Mongodb | Service::Postgres => {
                let user = if service == Service::Mongodb { Service::Rocketchat } else { Service::Homeserver };
                commands.extend([
                    "sudo rcfed apply".into(),
                    restore,
                    format!("sudo docker restart {}", user.container()),
                ]);
            }
            _ => commands.extend([restore, "sudo rcfed apply".into()]),
        }
    } else {
        commands.push("sudo rcfed apply".into());
    }
    let commands: String = commands.iter().map(|command| format!("\n  {command}")).collect();
    let hint = format!(
        "to go back, write {set}, and run{commands}\n\
         To try the new version again once the cause is gone, run `sudo rcfed apply` alone"
    );
    Ok(Error::new(told, hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_have_no_password_and_survive_the_shell() {
        let mut told = Vec::new();
        for service in [Service::Rocketchat, Service::Homeserver, Service::Mongodb, Service::Postgres] {
            told.push(format!("{service}\n  {}", dump_words(service).join(" ")));
            told.push(format!("  {}", restore_command(service, Path::new("/var/lib/rcfed/dumps/x"))));
        }
        insta::assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn dumps_of_a_service_are_found_by_age() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "rocketchat-20270101T000000Z.archive.gz",
            "rocketchat-20261231T235959Z.archive.gz",
            "homeserver-20261231T235959Z.sql",
            "rocketchat-20261231T235958Z.archive.gz.part",
        ] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let found = dumps(dir.path(), Service::Rocketchat);
        let names: Vec<_> = found.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
        assert_eq!(names, ["rocketchat-20261231T235959Z.archive.gz", "rocketchat-20270101T000000Z.archive.gz"]);
    }
}
