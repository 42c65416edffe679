//! The command line: one file for each verb, each a clap struct with its help and, where the work is done, a `run`.
//!
//! The types here are the only source of help, manual page and completions.

pub mod admin;
pub mod apex;
pub mod apply;
pub mod doctor;
pub mod init;
pub mod invite_test;
pub mod logs;
mod metadata;
pub mod plan;
pub mod relay;
pub mod render;
pub mod renew;
pub mod status;
pub mod tokens;
pub mod uninstall;
pub mod version;

use std::io::IsTerminal;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};

pub use metadata::Metadata;

use crate::adopt::Codes;
use crate::answers::Answers;
use crate::config::{Config, Mode};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::layout;
use crate::machine::{self, Machine};
use crate::secrets::Secret;
use crate::ui::{Ui, Verbosity};

/// From a bare server to a federated Rocket.Chat with one command.
#[derive(Debug, Parser)]
#[command(
    name = "rcfed",
    version,
    arg_required_else_help = true,
    after_help = "Examples:\n  sudo rcfed init                                    ask, show the plan, set it up\n  sudo rcfed init --answers answers.toml --yes       the same without a terminal\n  rcfed status                                       what runs, and what is missing"
)]
pub struct Cli {
    /// Where and how every verb works.
    #[command(flatten)]
    pub global: Global,
    /// The verb.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags every verb takes.
#[derive(Args, Debug)]
#[command(next_help_heading = "Everywhere")]
pub struct Global {
    /// Put DIR in front of every path
    #[arg(long, global = true, hide = true, env = "RCFED_ROOT", value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
    /// Docker engine to use
    #[arg(
        long,
        global = true,
        env = "DOCKER_HOST",
        hide_env_values = true,
        value_name = "HOST",
        default_value = "unix:///var/run/docker.sock"
    )]
    pub docker: String,
    /// Ask this name server instead of the system's
    #[arg(
        long,
        global = true,
        env = "RCFED_NAMESERVER",
        hide_env_values = true,
        value_name = "IP[:PORT]",
        value_parser = nameserver
    )]
    pub nameserver: Option<SocketAddr>,
    /// Ask this address what the cloud knows of this machine, or nobody (off)
    #[arg(
        long,
        global = true,
        hide = true,
        env = "RCFED_METADATA",
        value_name = "IP:PORT",
        default_value_t = Metadata::default()
    )]
    pub metadata: Metadata,
    /// Say nothing but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Also say every step with its time
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Never ask: what is missing is an error
    #[arg(long, global = true)]
    pub no_input: bool,
    /// Do not ask for confirmation; what was not answered takes its default
    #[arg(short, long, global = true)]
    pub yes: bool,
}

/// The verbs.
#[derive(Debug, Subcommand)]
#[allow(missing_docs, reason = "each is described by its struct, which is also its help")]
pub enum Command {
    Init(init::InitArgs),
    Plan(plan::PlanArgs),
    Render(render::RenderArgs),
    Apply(apply::ApplyArgs),
    Status(status::StatusArgs),
    Doctor(doctor::DoctorArgs),
    Logs(logs::LogsArgs),
    Admin(admin::AdminArgs),
    Apex(apex::ApexArgs),
    Tokens(tokens::TokensArgs),
    InviteTest(invite_test::InviteTestArgs),
    Renew(renew::RenewArgs),
    Uninstall(uninstall::UninstallArgs),
    #[command(hide = true)]
    Relay(relay::RelayArgs),
    Version(version::VersionArgs),
}

/// Where a verb works, how it talks, and whether it may ask.
#[derive(Clone)]
pub struct Context {
    /// The machine.
    pub host: Host,
    /// The printer.
    pub ui: Ui,
    /// Whether somebody can be asked.
    pub input: Input,
}

/// The code of an administrator with a second factor.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct CodeArgs {
    /// Code of the authenticator app, if the administrator of a Rocket.Chat that runs already has one; valid for 30 seconds
    #[arg(long, value_name = "CODE", env = "RCFED_TWO_FACTOR_CODE", hide_env_values = true)]
    pub two_factor_code: Option<String>,
}

impl CodeArgs {
    /// Where codes come from.
    pub fn codes(&self, terminal: bool) -> Codes {
        let given = self.two_factor_code.as_deref().map(str::trim).filter(|code| !code.is_empty());
        Codes { given: given.map(Secret::new), terminal }
    }
}

/// Whether somebody can be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Input {
    /// `--no-input`
    pub no_input: bool,
    /// `--yes`
    pub yes: bool,
}

impl Input {
    /// Whether a question would reach somebody: a terminal on both ends, and no `--no-input`.
    pub fn can_ask(self) -> bool {
        !self.no_input && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// Whether somebody is to be asked: nobody is with `--yes`.
    pub fn asks(self) -> bool {
        !self.yes && self.can_ask()
    }
}

impl Global {
    /// The context these flags describe.
    pub fn context(&self) -> Context {
        let verbosity = match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (_, true) => Verbosity::Verbose,
            _ => Verbosity::Normal,
        };
        Context {
            host: Host {
                root: self.root.clone(),
                docker: self.docker.clone(),
                nameserver: self.nameserver,
                metadata: self.metadata.0,
            },
            ui: Ui::new(verbosity),
            input: Input { no_input: self.no_input, yes: self.yes },
        }
    }
}

impl Command {
    /// Does what the verb says.
    pub async fn run(self, context: Context) -> Result<()> {
        match self {
            Self::Init(args) => args.run(context).await,
            Self::Plan(args) => args.run(context).await,
            Self::Render(args) => args.run(context).await,
            Self::Apply(args) => args.run(context).await,
            Self::Status(args) => args.run(context).await,
            Self::Doctor(args) => args.run(context).await,
            Self::Logs(args) => args.run(context).await,
            Self::Admin(args) => args.run(context).await,
            Self::Apex(args) => args.run(context).await,
            Self::Tokens(args) => args.run(context).await,
            Self::InviteTest(args) => args.run(context).await,
            Self::Renew(args) => args.run(context).await,
            Self::Uninstall(args) => args.run(context).await,
            Self::Relay(args) => args.run().await,
            Self::Version(args) => args.run(context).await,
        }
    }
}

/// The configuration a verb works on: that of an answers file with the environment over it, or else the one `init` kept.
pub fn load(answers: Option<&Path>, host: &Host, mode: Mode) -> Result<Config> {
    let answers = match answers {
        Some(path) => Answers::from_env(std::env::vars_os())?.over(Answers::from_file(path)?),
        None => {
            let path = host.path(layout::CONFIG);
            if crate::host::fs::access(&path)?.is_none() {
                let message = format!("there is no configuration yet: `{}` does not exist", path.display());
                return Err(Error::usage(message, "make one with `sudo rcfed init`"));
            }
            Answers::from_file(&path)?
        }
    };
    Ok(Config::from_answers(&answers, mode)?)
}

/// The deployment that the kept configuration describes, with its engine connected.
pub async fn machine(context: Context) -> Result<Machine> {
    let config = load(None, &context.host, Mode::Unattended)?;
    let mut machine = Machine::new(context.host, config, &machine::sizes(), context.ui)?;
    machine.connect().await?;
    Ok(machine)
}

fn nameserver(text: &str) -> Result<SocketAddr, String> {
    let address = text.parse::<SocketAddr>().ok();
    let plain = || text.trim_matches(['[', ']']).parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 53));
    address.or_else(plain).ok_or_else(|| "write an address such as 192.0.2.53 or [2001:db8::53]:5353".into())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definitions_hold_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_of_every_verb() {
        let mut root = Cli::command();
        root.build();
        let mut texts = vec![format!("# rcfed --help\n{}", root.render_long_help())];
        for verb in root.get_subcommands_mut().filter(|verb| verb.get_name() != "help") {
            let help = verb.render_long_help();
            texts.push(format!("# rcfed {} --help\n{help}", verb.get_name()));
            for inner in verb.get_subcommands_mut().filter(|inner| inner.get_name() != "help") {
                let help = inner.render_long_help();
                texts.push(format!("# … {} --help\n{help}", inner.get_name()));
            }
        }
        insta::assert_snapshot!(texts.join("\n"));
    }

    #[test]
    fn short_help_of_init_leaves_out_what_few_need() {
        let mut root = Cli::command();
        root.build();
        let help = root.find_subcommand_mut("init").unwrap().render_help().to_string();
        assert!(help.contains("--federated-domain") && !help.contains("--images-mongodb"));
    }

    #[test]
    fn wrong_words_are_answered_with_the_right_ones() {
        let lines = [
            vec!["rcfed", "stauts"],
            vec!["rcfed", "init", "--chat-domian", "x.example.org"],
            vec!["rcfed", "init", "--profile", "dendrit"],
            vec!["rcfed", "init", "--admin-password", "x"],
            vec!["rcfed", "logs", "mongo"],
            vec!["rcfed", "-q", "-v", "status"],
            vec!["rcfed", "--nameserver", "localhost", "status"],
            vec!["rcfed", "--metadata", "no", "status"],
            vec!["rcfed", "render", "--out", "x"],
            vec!["rcfed", "relay"],
        ];
        let table = lines.map(|words| {
            let error = Cli::try_parse_from(&words).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            format!("$ {}\n{error}", words.join(" "))
        });
        insta::assert_snapshot!(table.join("\n"));
    }

    #[test]
    fn name_servers() {
        for (text, address) in [
            ("192.0.2.53", "192.0.2.53:53"),
            ("127.0.0.1:5353", "127.0.0.1:5353"),
            ("2001:db8::53", "[2001:db8::53]:53"),
            ("[2001:db8::53]:5353", "[2001:db8::53]:5353"),
        ] {
            assert_eq!(nameserver(text).unwrap().to_string(), address);
        }
    }

    #[test]
    fn a_machine_without_configuration_is_told_to_make_one() {
        let dir = tempfile::tempdir().unwrap();
        let host = Host { root: dir.path().into(), docker: String::new(), nameserver: None, metadata: None };
        let error = load(None, &host, Mode::Unattended).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert_eq!(error.hint().unwrap(), "make one with `sudo rcfed init`");
    }
}
