//! Images: pulled and compared with what is known of them, or made from this binary.

use super::State;
use crate::compat;
use crate::config::Service;
use crate::error::{Error, Result};
use crate::fault;
use crate::host::docker::ImageConfig;
use crate::machine::Machine;
use crate::relay_image;
use crate::ui::Task;

pub(super) async fn inspect(machine: &Machine, service: Service) -> Result<State> {
    Ok(match machine.image(service).await? {
        None => State::Absent,
        Some(image) if image.digest.is_some() && !machine.digests()?.contains_key(&machine.reference(service)?) => {
            State::Differs("its digest was not recorded".into())
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
        return Err(Error::new(
            format!("the engine pulled `{reference}` and then did not have it"),
            format!("try `docker pull {reference}`, then run the same command again"),
        ));
    };
    check(machine, service, &reference, &image)?;
    if let Some(digest) = &image.digest {
        machine.record_digest(&reference, digest)?;
    }
    Ok(image.digest.and_then(|d| d.split_once('@').map(|(_, d)| d.chars().take(19).collect())).unwrap_or_default())
}

/// Compares an image with what rcfed knows of it: another one would start and then fail in a way nobody understands.
fn check(machine: &Machine, service: Service, reference: &str, image: &ImageConfig) -> Result<()> {
    let wanted = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    if image.architecture != wanted {
        return Err(Error::new(
            format!("`{reference}` is made for {}, this machine is {wanted}", image.architecture),
            format!("name an image for {wanted} under `[images]` in the config"),
        ));
    }
    let Some(known) = compat::image(machine.config.profile, service) else { return Ok(()) };
    if !image.program.iter().any(|word| word.ends_with(known.program)) {
        return Err(Error::new(
            format!(
                "`{reference}` is not the {service} image rcfed knows: it runs `{}`, not `{}`",
                image.program.join(" "),
                known.program
            ),
            format!("use `{}`, or an image built from it", known.reference),
        ));
    }
    Ok(())
}
