//! `rcfed doctor`: this machine's deployment, or any server name from outside.

mod outbound;
mod outside;

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use jiff::Timestamp;

use super::{Context, load};
use crate::config::{Config, Mode};
use crate::dns::PUBLIC_RESOLVERS;
use crate::doctor::{self, Change, Check, Past, Redactor, Report, Site, Subject, remote};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::host::facts;
use crate::host::fs;
use crate::layout;
use crate::machine::{self, Machine};
use crate::matrix::server_name::ServerName;
use crate::secrets::SecretName;
use crate::ui::{Ui, Verbosity};

/// Find out why this deployment, or any Matrix server, does not federate, and what to do about it
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  sudo rcfed doctor                                  this machine's deployment\n  rcfed doctor example.org                           any server, as others see it; needs neither root nor Docker\n  rcfed doctor --json --from names.txt               many, one line of JSON each\n  sudo rcfed doctor --json | jq .first_cause\n  sudo rcfed doctor --only bridge.transaction\n  sudo rcfed doctor --share                          a report that may be pasted anywhere\n  rcfed doctor --explain certificate.served\n\nExit codes: 0 nothing failed, 1 something failed (with --strict: also warned or unknown), 2 wrong usage, or a line of a\nfile that cannot be read; the other lines are looked at"
)]
pub struct DoctorArgs {
    /// Look at these Matrix servers from outside, not at this machine's deployment; `-` reads names from standard input
    #[arg(value_name = "SERVER_NAME")]
    pub names: Vec<String>,
    /// Also the names in this file, one in each line
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
    /// With names: also trust the certificates in this file (PEM)
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Also ask this resolver what the world sees, or nobody (none); may be given several times. Without it, 1.1.1.1, 8.8.8.8
    /// and 9.9.9.9 are asked, and so learn which names are looked at; not with --nameserver, --from, - or more than ten names
    #[arg(
        long,
        value_name = "IP[:PORT]",
        env = "RCFED_PUBLIC_RESOLVERS",
        hide_env_values = true,
        value_delimiter = ',',
        value_parser = public_resolver
    )]
    pub public_resolver: Vec<PublicResolver>,
    /// Also see whether the own homeserver reaches this server, which it asks for a profile; may be given several times
    #[arg(long, value_name = "SERVER_NAME")]
    pub outbound: Vec<ServerName>,
    /// Print JSON on stdout (docs/doctor.schema.json); for several names one line each
    #[arg(long)]
    pub json: bool,
    /// Only this check and what it needs; may be given several times
    #[arg(long, value_name = "ID", value_parser = id)]
    pub only: Vec<&'static str>,
    /// Exit with 1 for warnings and for what could not be looked at, too
    #[arg(long)]
    pub strict: bool,
    /// Also say what has changed since the last run
    #[arg(long)]
    pub changes: bool,
    /// Replace names, addresses, persons and tokens, so that the report can be pasted anywhere
    #[arg(long)]
    pub share: bool,
    /// Also write one self-contained page with a picture
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Also write JUnit XML
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Also write a textfile for Prometheus' node exporter
    #[arg(long, value_name = "FILE")]
    pub prometheus: Option<PathBuf>,
    /// List every check
    #[arg(long, conflicts_with_all = ["names", "from", "outbound", "explain", "only", "json", "share", "changes", "html", "junit", "prometheus"])]
    pub list_checks: bool,
    /// Explain a check: what it tests, why, how it fails, the fix
    #[arg(long, value_name = "ID", value_parser = id, conflicts_with_all = ["names", "from", "outbound", "only", "json", "share", "changes", "html", "junit", "prometheus"])]
    pub explain: Option<&'static str>,
}

/// All checks together may take this long; the slowest waits for a federation tester outside.
const DEADLINE: Duration = Duration::from_secs(60);

/// Whom to ask beside this machine's own resolver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublicResolver {
    /// Nobody.
    Nobody,
    /// This one.
    At(SocketAddr),
}

/// With more names than these, nobody is asked who was not named.
const FEW: usize = 10;

impl DoctorArgs {
    /// The resolvers that are asked beside this machine's own.
    fn public_resolvers(&self, host: &Host) -> Arc<[SocketAddr]> {
        let many = self.from.is_some() || self.names.len() > FEW || self.names.iter().any(|name| name == "-");
        match self.public_resolver.as_slice() {
            [] if many || host.nameserver.is_some() => Arc::default(),
            [] => PUBLIC_RESOLVERS.into(),
            given if given.contains(&PublicResolver::Nobody) => Arc::default(),
            given => {
                given.iter().filter_map(|it| if let PublicResolver::At(at) = it { Some(*at) } else { None }).collect()
            }
        }
    }

    /// Looks, tells, and ends with an exit code.
    pub async fn run(self, context: Context) -> Result<()> {
        let ui = context.ui.clone();
        if self.list_checks {
            ui.data(&doctor::pages::list());
            return Ok(());
        }
        if let Some(check) = self.explain.and_then(doctor::find) {
            ui.data(&doctor::pages::explain(&check));
            return Ok(());
        }
        if outside::wanted(&self) {
            return outside::run(&self, &context).await;
        }
        if self.ca.is_some() {
            return Err(Error::usage("`--ca` is for looks from outside", "give a server name as well"));
        }
        outbound::named(&self)?;
        if !facts::is_root() {
            return Err(not_root());
        }
        let config = load(None, &context.host, Mode::Unattended)?;
        outbound::possible(&self.outbound, &config)?;
        let (socket, known) = (context.host.docker.clone(), config.clone());
        let mut machine = match Machine::new(context.host, config, &machine::sizes(), context.ui) {
            Ok(machine) => machine,
            // Without a socket there is nothing to connect to, and nothing else to be found out.
            Err(error) => {
                let outcomes = doctor::without_engine(&known, &socket).await.ok_or(error)?;
                let report = Report::new(subject(&known), outcomes, &known.doctor.ignore, 0);
                return self.tell(&ui, &report, None);
            }
        };
        // That the engine does not answer is a finding.
        let _ = tokio::time::timeout(Duration::from_secs(4), machine.connect()).await;
        let kept = machine.path(doctor::PAST);
        let past = Past::load(&kept)?;
        let public = self.public_resolvers(&machine.host);
        let mut site = Site::new(machine.clone(), past.clone());
        site.outbound.clone_from(&self.outbound);
        let (report, sizes) = examine(site, &self.only, public).await?;
        let hide = redactor(&machine, self.share)?.and_servers(if self.share { &self.outbound } else { &[] });
        let news = self.changes.then(|| hide.changes(self.changed(&past, &report)));
        let report = hide.report(report);
        if self.only.is_empty() {
            let free = facts::free_space(&machine.path(layout::STATE)).ok();
            // A shared report has stand-ins for names: those are not what is compared next time.
            if !self.share
                && let Err(error) = past.clone().after(&report, free, &sizes).store(&kept)
            {
                ui.say(&not_kept(&error.into()));
            }
        }
        self.tell(&ui, &report, news.as_deref().map(|news| (news, past.at())))
    }

    /// Prints, writes the files that were asked for, and ends with an exit code. `news` since when.
    fn tell(&self, ui: &Ui, report: &Report, news: Option<(&[Change], Option<&str>)>) -> Result<()> {
        if self.json {
            let json = doctor::json::json(report, news.map(|(news, _)| news));
            ui.data(&serde_json::to_string_pretty(&json).unwrap_or_default());
        } else {
            if let Some((news, since)) = news {
                ui.data(&format!("{}\n", doctor::terminal::changes(news, since)));
            }
            let look = self.colours(ui.verbosity());
            ui.data(&doctor::terminal::terminal(report, look));
        }
        // A place that cannot be written to costs nobody the report.
        for (file, text) in self.files(report)? {
            fs::deliver(&file, text.as_bytes())?;
        }
        match report.exit_code(self.strict) {
            0 => Ok(()),
            code => Err(Error::told(code)),
        }
    }

    /// What is not as it was, among what was looked at.
    fn changed(&self, past: &Past, report: &Report) -> Vec<Change> {
        let mut changes = past.changes(report);
        if !self.only.is_empty() {
            let looked: Vec<&str> = report.findings.iter().map(|(_, finding)| finding.id).collect();
            changes.retain(|change| looked.contains(&change.id.as_str()));
        }
        changes
    }

    /// How reports are shown here.
    fn colours(&self, verbosity: Verbosity) -> doctor::terminal::Look {
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colour = std::io::stdout().is_terminal() && !no_colour && !self.share;
        doctor::terminal::Look { colour, verbose: verbosity == Verbosity::Verbose || self.share }
    }

    /// The files that were asked for.
    fn files(&self, report: &Report) -> Result<Vec<(PathBuf, String)>> {
        let mut files = Vec::new();
        if let Some(file) = &self.html {
            files.push((file.clone(), doctor::html::html(report)?));
        }
        if let Some(file) = &self.junit {
            files.push((file.clone(), doctor::junit::junit(report)));
        }
        if let Some(file) = &self.prometheus {
            files.push((file.clone(), doctor::prometheus::prometheus(report)));
        }
        Ok(files)
    }
}

/// The report, and the bytes of what fills the disk.
async fn examine(
    site: Site,
    only: &[&'static str],
    public: Arc<[SocketAddr]>,
) -> Result<(Report, BTreeMap<String, u64>)> {
    let site = Arc::new(site);
    let machine = &site.machine;
    let config = &machine.config;
    let mut checks: Vec<&'static Check> = doctor::table();
    if !only.is_empty() {
        checks = doctor::with_needs(&checks, only);
    }
    checks.retain(|check| (check.applies)(config));
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
    Ok((Report::new(subject, outcomes, &config.doctor.ignore, took), sizes))
}

fn subject(config: &Config) -> Subject {
    Subject {
        server_name: config.names.federated.to_string(),
        profile: config.profile.name().into(),
        version: env!("CARGO_PKG_VERSION").into(),
        at: Timestamp::now(),
    }
}

fn redactor(machine: &Machine, share: bool) -> Result<Redactor> {
    let mut secrets = Vec::new();
    for name in SecretName::ALL {
        if let Some(secret) = machine.secrets.get(name)? {
            secrets.push((name, secret));
        }
    }
    let hide = Redactor::secrets(secrets);
    Ok(if share { hide.and_names(&machine.config.names) } else { hide })
}

fn public_resolver(text: &str) -> Result<PublicResolver, String> {
    if text == "none" { Ok(PublicResolver::Nobody) } else { super::nameserver(text).map(PublicResolver::At) }
}

fn id(text: &str) -> Result<&'static str, String> {
    if let Some(check) = doctor::find(text) {
        return Ok(check.id);
    }
    let ids: Vec<&'static str> = doctor::rows().iter().map(|row| row.id).collect();
    let near = crate::answers::nearest(text, ids.iter().copied());
    Err(match near {
        Some(near) => format!("there is no such check; did you mean `{near}`?"),
        None => "there is no such check; `rcfed doctor --list-checks` names all".into(),
    })
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
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    #[test]
    fn sentences() {
        let full = Error::new("could not write `/var/lib/rcfed/doctor.json`: disk full", "look with `df -h`");
        insta::assert_snapshot!(format!("{}\n{}", crate::error::told([not_root()]), not_kept(&full)));
    }

    /// The names go to strangers only where few were given and nobody said whom to ask.
    #[test]
    fn whom_the_world_asks_is_asked_for_a_few_names_or_where_it_was_named() {
        let many: Vec<String> = (0..11).map(|number| format!("n{number}.example")).collect();
        let cases: [(Vec<&str>, &str); 9] = [
            (vec![], "1.1.1.1:53 8.8.8.8:53 9.9.9.9:53"),
            (vec!["a.example", "b.example"], "1.1.1.1:53 8.8.8.8:53 9.9.9.9:53"),
            (many.iter().map(String::as_str).collect(), ""),
            (vec!["--from", "names"], ""),
            (vec!["-"], ""),
            (vec!["--nameserver", "192.0.2.53", "a.example"], ""),
            (vec!["--public-resolver", "none", "a.example"], ""),
            (
                vec!["--public-resolver", "192.0.2.1,[2001:db8::1]:5353", "--from", "names"],
                "192.0.2.1:53 [2001:db8::1]:5353",
            ),
            (vec!["--public-resolver", "192.0.2.1", "--public-resolver", "none"], ""),
        ];
        for (words, expected) in cases {
            let cli = Cli::parse_from([&["rcfed", "doctor"], words.as_slice()].concat());
            let host = cli.global.context().host;
            let Command::Doctor(args) = cli.command else { unreachable!() };
            let asked: Vec<String> = args.public_resolvers(&host).iter().map(ToString::to_string).collect();
            assert_eq!(asked.join(" "), expected, "{words:?}");
        }
        assert!(Cli::try_parse_from(["rcfed", "doctor", "--public-resolver", "google"]).is_err());
    }
}
