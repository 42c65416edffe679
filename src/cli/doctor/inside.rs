//! `rcfed doctor`: this machine's deployment. It needs root, because secrets are compared.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{DoctorArgs, outbound};
use crate::cli::{Context, load};
use crate::config::{Config, Mode};
use crate::doctor::{self, Change, Check, Past, Redactor, Report, Site, Subject, remote};
use crate::error::{Error, Result};
use crate::host::facts;
use crate::layout;
use crate::machine::{self, Machine};
use crate::secrets::SecretName;

/// All checks together may take this long; the slowest waits for a federation tester outside.
const DEADLINE: Duration = Duration::from_secs(60);

/// Looks, tells, keeps what was seen for the next run, and ends with an exit code.
pub(super) async fn run(args: &DoctorArgs, context: Context) -> Result<()> {
    let ui = context.ui.clone();
    outbound::named(args)?;
    if !facts::is_root() {
        return Err(not_root());
    }
    let config = load(None, &context.host, Mode::Unattended)?;
    let wanted = outbound::wanted(args, &config)?;
    let (socket, known) = (context.host.docker.clone(), config.clone());
    let mut machine = match Machine::new(context.host, config, &machine::sizes(), context.ui) {
        Ok(machine) => machine,
        // Without a socket there is nothing to connect to, and nothing else to be found out.
        Err(error) => {
            let outcomes = doctor::without_engine(&known, &socket).await.ok_or(error)?;
            let report = Report::new(subject(&known), outcomes, &known.doctor.ignore, 0);
            let hide = Redactor::default();
            let hide = if args.share { hide.and_names(&known.names) } else { hide };
            return args.tell(&ui, &hide.report(report), None);
        }
    };
    // That the engine does not answer is a finding.
    let _ = tokio::time::timeout(Duration::from_secs(4), machine.connect()).await;
    let kept = machine.path(doctor::PAST);
    let past = Past::load(&kept)?;
    let public = args.public_resolvers(&machine.host);
    let mut site = Site::new(machine.clone(), past.clone());
    site.outbound = wanted.servers;
    let Seen { report, sizes, strangers } = examine(site, &wanted.only, public).await?;
    let hide = redactor(&machine, args.share, &strangers)?;
    let news = args.changes.then(|| hide.changes(changed(&past, &report, &args.only)));
    let report = hide.report(report);
    if args.only.is_empty() {
        let free = facts::free_space(&machine.path(layout::STATE)).ok();
        // A shared report has stand-ins for names: those are not what is compared next time.
        if !args.share
            && let Err(error) = past.clone().after(&report, free, &sizes).store(&kept)
        {
            ui.say(&not_kept(&error.into()));
        }
    }
    args.tell(&ui, &report, news.as_deref().map(|news| (news, past.at())))
}

struct Seen {
    report: Report,
    /// The bytes of what fills the disk.
    sizes: BTreeMap<String, u64>,
    /// Hosts of others.
    strangers: Vec<String>,
}

async fn examine(site: Site, only: &[&'static str], public: Arc<[SocketAddr]>) -> Result<Seen> {
    let site = Arc::new(site);
    let machine = &site.machine;
    let config = &machine.config;
    let mut checks: Vec<&'static Check> = doctor::table();
    if !only.is_empty() {
        checks = doctor::with_needs(&checks, only);
    }
    checks.retain(|check| (check.applies)(config) && (check.id != doctor::OUTBOUND || !site.outbound.is_empty()));
    let subject = subject(config);
    let task = machine.ui.task(format!("{} checks", checks.len()));
    let started = Instant::now();
    let outside = async { if remote::wanted(only) { Some(remote::see(machine, public).await) } else { None } };
    let inside = doctor::run(&checks, &site, doctor::HASTE, DEADLINE, |done| task.note(format!("{done} done")));
    let (mut outcomes, seen) = futures_util::future::join(inside, outside).await;
    if let Some(seen) = seen {
        let reached = site.reached.get().copied();
        outcomes.extend(remote::beside(seen, reached, &outcomes, only, config.profile.has_homeserver()));
    }
    let took = started.elapsed().as_millis();
    drop(task);
    let sizes = site.sizes.get().cloned().unwrap_or_default();
    let mut strangers: Vec<String> = site.outbound.iter().map(|name| name.host().to_string()).collect();
    strangers.extend(site.strangers.lock().map(|hosts| hosts.clone()).unwrap_or_default());
    Ok(Seen { report: Report::new(subject, outcomes, &config.doctor.ignore, took), sizes, strangers })
}

/// What is not as it was, among what was looked at.
fn changed(past: &Past, report: &Report, only: &[&'static str]) -> Vec<Change> {
    let mut changes = past.changes(report);
    if !only.is_empty() {
        let looked: Vec<&str> = report.findings.iter().map(|(_, finding)| finding.id).collect();
        changes.retain(|change| looked.contains(&change.id.as_str()));
    }
    changes
}

fn subject(config: &Config) -> Subject {
    Subject {
        server_name: config.names.federated.to_string(),
        profile: config.profile.name().into(),
        version: env!("CARGO_PKG_VERSION").into(),
        at: Timestamp::now(),
    }
}

fn redactor(machine: &Machine, share: bool, strangers: &[String]) -> Result<Redactor> {
    let mut secrets = Vec::new();
    for name in SecretName::ALL {
        if let Some(secret) = machine.secrets.get(name)? {
            secrets.push((name, secret));
        }
    }
    let hide = Redactor::secrets(secrets);
    Ok(if share { hide.and_names(&machine.config.names).and_strangers(strangers) } else { hide })
}

fn not_root() -> Error {
    Error::new(
        "the doctor has to look at files that only root can read",
        "run `sudo rcfed doctor`, or `rcfed doctor SERVER_NAME` for what others see of a server",
    )
}

fn not_kept(error: &Error) -> String {
    let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
    format!("This run could not be kept for the next `--changes`: {}{hint}", error.message())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        let full = Error::new("could not write `/var/lib/rcfed/doctor.json`: disk full", "look with `df -h`");
        insta::assert_snapshot!(format!("{}\n{}", crate::error::told([not_root()]), not_kept(&full)));
    }
}
