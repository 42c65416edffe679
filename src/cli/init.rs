//! `rcfed init`: answers from everywhere, the rest asked, the plan shown and confirmed; only then is anything written.

mod check;
mod lookups;
mod summary;
mod wizard;
mod words;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

pub use summary::summary;
pub use wizard::{Lookup, Lookups};

use super::{CodeArgs, Context};
use crate::adopt;
use crate::answers::{AnswerFlags, Answers, Key, Source, Value};
use crate::apex;
use crate::clock;
use crate::compat;
use crate::config::{Apex, Config, Mode};
use crate::deploy::{Manner, begin, deploy, need_root, unobstructed};
use crate::deployment;
use crate::dns::Patience;
use crate::error::{Error, Explain, Result};
use crate::host::{Host, fs};
use crate::layout;
use crate::machine::{self, Machine};
use crate::receipt::{self, Receipt, Undo};
use crate::relay_image;
use crate::rocketchat::license::{self, LicenseError};
use crate::secrets::Secret;
use crate::step::{Verdict, file};
use crate::ui::prompt;

/// Ask, show the plan, and set everything up
///
/// Each answer is taken from its flag, or else from its variable (RCFED_CHAT_DOMAIN for --chat-domain), or else from the
/// answers file; only the rest is asked. Secrets are given as files, never by value.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  sudo rcfed init\n  sudo rcfed init --federated-domain example.org --email you@example.org\n  sudo rcfed init --answers answers.toml --yes --no-input"
)]
pub struct InitArgs {
    /// File with answers [default: the configuration of an earlier run]
    #[arg(long, value_name = "FILE", env = "RCFED_ANSWERS", hide_env_values = true)]
    pub answers: Option<PathBuf>,
    /// If only DNS is wrong, wait until it is right, at most MINUTES [default: 30]
    #[arg(
        long,
        value_name = "MINUTES",
        num_args = 0..=1,
        default_missing_value = "30",
        value_parser = clap::value_parser!(u64).range(1..=1440)
    )]
    pub wait_for_dns: Option<u64>,
    /// If the federated domain is another web site, wait in the end until it answers, at most MINUTES [default: 30]
    #[arg(
        long,
        value_name = "MINUTES",
        num_args = 0..=1,
        default_missing_value = "30",
        value_parser = clap::value_parser!(u64).range(1..=1440)
    )]
    pub wait_for_apex: Option<u64>,
    /// Ask for the real certificate at once, without rehearsing at the staging authority
    #[arg(long)]
    pub no_rehearsal: bool,
    /// For a Rocket.Chat that runs already.
    #[command(flatten)]
    pub codes: CodeArgs,
    /// One flag for each answer.
    #[command(flatten)]
    pub flags: AnswerFlags,
}

/// A confirmed configuration of which nothing is written yet.
#[derive(Debug)]
pub struct Gathered {
    /// The configuration.
    pub config: Config,
    /// A registration token that was typed; the configuration names the file it goes to.
    pub token: Option<Secret>,
}

impl InitArgs {
    /// Gathers and keeps the configuration.
    pub async fn run(self, context: Context) -> Result<()> {
        // Nobody shall answer seven questions for nothing.
        need_root("init")?;
        let wait = self.wait_for_dns.map(|minutes| Duration::from_secs(minutes * 60));
        let apex = self.wait_for_apex.map(|minutes| Duration::from_secs(minutes * 60));
        let given = self.codes.clone();
        let lookups = |given: &Answers| Lookups::real(&context.host, given);
        let gathered = self.gather(&context, lookups).await?;
        relay_image::possible(gathered.config.profile)?;
        prompt::unless_interrupted(async { Ok(deployment::refuse_orphans(&context.host).await?) }).await?;
        let (terminal, before) = (context.input.can_ask(), gathered.config.clone());
        let codes = given.codes(terminal);
        let access = prompt::unless_interrupted(adopt::allowed(&context.host, &before, &codes)).await?;
        let checked = async {
            let config = check::check(&context, gathered.config, wait).await?;
            prompt::unless_interrupted(unobstructed(&context.host, &config, &context.ui)).await?;
            let gathered = Gathered { config, ..gathered };
            // Not under the feet of a run that is at work with the old configuration.
            let (_lock, receipt) = begin(&context.host, "init")?;
            gathered.record(&context.host, &receipt)?;
            gathered.write(&context.host)?;
            Ok(gathered)
        };
        let gathered = match (checked.await, &access) {
            (Err(error), Some(token)) => {
                // Nothing comes of it, so nothing stays of it there either.
                let _ = adopt::give_back(&context.host, &before, token).await;
                return Err(error);
            }
            (gathered, _) => gathered?,
        };
        let manner = Manner { may_install: true, terminal, looked: true, access, codes, ..Manner::default() };
        let config = gathered.config;
        let waits = apex.filter(|_| config.names.apex == Apex::Elsewhere);
        deploy(context.host.clone(), config.clone(), &context.ui, manner.clone(), "init").await?;
        let Some(at_most) = waits else { return Ok(()) };
        let machine = Machine::new(context.host.clone(), config.clone(), &machine::sizes(), context.ui.clone())?;
        if Verdict::load(&machine)?.is_some_and(|verdict| verdict.federation == "valid") {
            return Ok(());
        }
        apex::wait(&machine, Patience { at_most, ..Patience::default() }).await?;
        deploy(context.host, config, &context.ui, manner, "init").await?;
        Ok(())
    }

    /// Everything up to and with the confirmation. Reads, looks up and asks; writes nothing.
    ///
    /// `lookups` are made from the answers that were given, if anybody is asked at all.
    pub async fn gather(self, context: &Context, lookups: impl FnOnce(&Answers) -> Lookups) -> Result<Gathered> {
        let given = self.given(context)?;
        Config::check_given(&given)?;
        let asks = context.input.asks();
        let (answers, token) = match asks {
            true => {
                let lookups = lookups(&given);
                wizard::ask(given, lookups).await?
            }
            false => (given, None),
        };
        let mut config = Config::from_answers(&answers, if asks { Mode::Interactive } else { Mode::Unattended })?;
        if token.is_some() {
            config.rocketchat.registration_token_file = Some(context.host.path(layout::REGISTRATION_TOKEN));
        }
        check_files(&config, token.is_some())?;
        deployment::allows(&context.host, &config)?;
        confirm(&config, context, asks).await?;
        // Whoever confirms has read it in the summary; `apply` and the timer, which ask nobody, find it accepted.
        config.accept_end_of_life |= asks && compat::end_of_life(config.profile).is_some();
        Ok(Gathered { config, token })
    }

    fn given(self, context: &Context) -> Result<Answers> {
        let environment = Answers::from_env(std::env::vars_os())?;
        let kept = context.host.path(layout::CONFIG);
        let file = match self.answers {
            Some(path) => Answers::from_file(&path)?,
            None if fs::access(&kept)?.is_some() => {
                context.ui.say(&words::earlier(&kept));
                Answers::from_file(&kept)?
            }
            None => Answers::default(),
        };
        let mut flags = self.flags.0;
        if self.no_rehearsal {
            flags.set(Key::AcmeRehearsal, Value::Flag(false), Source::Flag("--no-rehearsal".into()));
        }
        Ok(flags.over(environment).over(file))
    }
}

impl Gathered {
    /// Puts what [`Gathered::write`] writes into the receipt, and a configuration of other origin aside.
    fn record(&self, host: &Host, receipt: &Receipt) -> Result<()> {
        for undo in receipt::base() {
            let Some(path) = undo.path().map(Path::to_path_buf) else { continue };
            let unused = path == Path::new(layout::REGISTRATION_TOKEN) && self.token.is_none();
            let there = fs::access(&host.path(&path))?.is_some();
            if receipt.owns(&undo) || unused {
                continue;
            }
            match (&undo, there) {
                (_, false) => _ = receipt.started("init", &undo.into())?,
                // Somebody made it, and it stays.
                (Undo::RemoveDirectory { .. }, true) => {}
                (_, true) => {
                    let backup = file::backup(&path);
                    receipt
                        .started("init", &Undo::RestoreFile { path: path.clone(), backup: backup.clone() }.into())?;
                    fs::back_up(&host.path(path), &host.path(backup))?;
                }
            }
        }
        Ok(())
    }

    /// Keeps configuration and token on the machine, for root only.
    pub fn write(&self, host: &Host) -> Result<()> {
        let path = host.path(layout::CONFIG);
        if let Some(directory) = path.parent() {
            fs::create_directory(directory, fs::Access::root(0o755))?;
        }
        if let Some(token) = &self.token {
            let path = host.path(layout::REGISTRATION_TOKEN);
            fs::write(&path, token.expose().as_bytes(), fs::Access::root(0o600))?;
        }
        fs::write(&path, self.config.to_toml().as_bytes(), fs::Access::root(0o600))?;
        Ok(())
    }
}

/// Files that answers name must be there before anything is built on them.
fn check_files(config: &Config, token_was_typed: bool) -> Result<()> {
    let token = config.rocketchat.registration_token_file.as_ref().filter(|_| !token_was_typed);
    let files: [(&str, Option<&PathBuf>); 3] = [
        ("password", config.admin.password_file.as_ref()),
        ("registration token", token),
        ("certificate authority's root", config.acme.ca.as_ref()),
    ];
    if let Some(path) = &config.rocketchat.license_file {
        // Ten minutes of work would only show that it cannot be one.
        let usage = |error: LicenseError| Error::usage(error.to_string(), error.hint().unwrap_or_default());
        license::read(path, clock::now()).map_err(usage)?;
    }
    for (what, path) in files {
        let Some(path) = path else { continue };
        match fs::read_text(path)? {
            Some(text) if !text.trim().is_empty() => {}
            Some(_) => {
                return Err(words::empty(what, path));
            }
            None => {
                return Err(words::not_there(what, path));
            }
        }
    }
    Ok(())
}

async fn confirm(config: &Config, context: &Context, asks: bool) -> Result<()> {
    let plan = summary(config);
    if asks {
        // Shown even when quiet: nobody can confirm what they have not seen.
        let question = move |prompt: &prompt::Prompt| {
            prompt.note(&plan);
            Ok(prompt.confirm("Go ahead?")?)
        };
        return match prompt::ask(question).await? {
            true => Ok(()),
            false => Err(words::not_confirmed()),
        };
    }
    context.ui.say(&plan);
    if context.input.yes {
        return Ok(());
    }
    Err(words::nobody())
}
