//! Images: pulled and compared with what is known of them, or made from this binary.

use super::State;
use super::error::StepError;
use super::words;
use crate::compat;
use crate::config::{Profile, Service};
use crate::error::Result;
use crate::fault;
use crate::host::docker::ImageConfig;
use crate::machine::Machine;
use crate::relay_image;
use crate::ui::Task;

pub(super) async fn inspect(machine: &Machine, service: Service) -> Result<State> {
    Ok(match machine.image(service).await? {
        None => State::Absent,
        Some(image) if image.digest.is_some() && !machine.digests()?.contains_key(&machine.reference(service)?) => {
            State::Differs(words::NO_DIGEST.into())
        }
        Some(_) => State::Current,
    })
}

pub(super) async fn apply(machine: &Machine, service: Service, task: &Task) -> Result<String> {
    if service == Service::Relay {
        let tar = relay_image::tar()?;
        machine.docker.import(relay_image::REPOSITORY, &relay_image::tag()?, tar).await?;
        return Ok(String::new());
    }
    let reference = machine.reference(service)?;
    let recorded = machine.digests()?.get(&reference).cloned();
    if machine.image(service).await?.is_none() {
        machine.docker.pull(recorded.as_deref().unwrap_or(&reference), task).await?;
    }
    fault::point(format_args!("pulled:{service}"));
    let Some(image) = machine.image(service).await? else {
        return Err(StepError::ImageVanished(reference).into());
    };
    check(machine.config.profile, service, &reference, &image)?;
    if let Some(digest) = &image.digest {
        machine.record_digest(&reference, digest)?;
    }
    Ok(image.digest.and_then(|d| d.split_once('@').map(|(_, d)| d.chars().take(19).collect())).unwrap_or_default())
}

/// Compares an image with what rcfed knows of it: another one would start and then fail in a way nobody understands.
fn check(profile: Profile, service: Service, reference: &str, image: &ImageConfig) -> Result<(), StepError> {
    let reference = || reference.to_owned();
    let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    if image.architecture != machine {
        let made_for = image.architecture.clone();
        return Err(StepError::ImageArchitecture { reference: reference(), made_for, machine });
    }
    let Some(known) = compat::image(profile, service) else { return Ok(()) };
    let (program, user, known) = (known.program, known.user, known.reference);
    if !image.program.iter().any(|word| word.ends_with(program)) {
        let runs = image.program.join(" ");
        return Err(StepError::ImageProgram { reference: reference(), service, runs, program, known });
    }
    // The data of a database belong to the image's own user; the homeservers' belong to the user rcfed gives them.
    let theirs = image.user.split(':').next().and_then(|id| id.parse::<u32>().ok()).filter(|id| *id != 0);
    if let (true, Some((wanted, _)), Some(user)) = (service.is_database(), user, theirs)
        && user != wanted
    {
        return Err(StepError::ImageUser { reference: reference(), service, user, wanted, known });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_that_are_not_the_known_ones_are_refused() {
        let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
        let image = |architecture: &str, program: &str, user: &str| ImageConfig {
            architecture: architecture.into(),
            program: program.split(' ').map(str::to_owned).collect(),
            user: user.into(),
            ..ImageConfig::default()
        };
        let cases = [
            (Service::Mongodb, "mongo:7.0", image(machine, "docker-entrypoint.sh mongod", "")),
            (Service::Mongodb, "own/mongo:7.0", image(machine, "docker-entrypoint.sh mongod", "999:999")),
            (Service::Mongodb, "own/mongo:7.0", image(machine, "docker-entrypoint.sh mongod", "mongodb")),
            (Service::Mongodb, "own/mongo:7.0", image(machine, "docker-entrypoint.sh mongod", "1001")),
            (Service::Mongodb, "own/mongo:7.0", image(machine, "python3 /usr/local/bin/docker-entrypoint.py", "1001")),
            (Service::Postgres, "own/postgres:17", image(machine, "docker-entrypoint.sh postgres", "70:70")),
            (Service::Homeserver, "own/dendrite:v0.15.2", image(machine, "/usr/bin/dendrite", "1000")),
            (Service::Homeserver, "own/dendrite:v0.15.2", image("s390x", "/usr/bin/dendrite", "")),
            (Service::Rocketchat, "own/rocket.chat:7.10.15", image(machine, "node main.js", "65533:65533")),
        ];
        let told = cases.map(|(service, reference, image)| {
            let what = format!("{reference} {:?} {:?}", image.program.join(" "), image.user);
            match check(Profile::Dendrite, service, reference, &image) {
                Ok(()) => format!("{what}\n  taken"),
                Err(error) => format!("{what}\n{}", crate::error::told([error.into()])),
            }
        });
        insta::assert_snapshot!(told.join("\n").replace(&format!("is {machine}"), "is amd64"));
    }
}
