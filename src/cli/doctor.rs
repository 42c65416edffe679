//! `rcfed doctor`: this machine's deployment, or any server name from outside.

mod inside;
mod outbound;
mod outside;

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::Context;
use crate::dns::PUBLIC_RESOLVERS;
use crate::doctor::{self, Change, Report};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::host::fs;
use crate::matrix::server_name::ServerName;
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
        inside::run(&self, context).await
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::{Cli, Command};

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
