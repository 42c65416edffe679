//! At most seven questions. Each answer is proven as it is typed, and what DNS knows about a name is looked up while the
//! next question is asked.

mod text;

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::answers::{Answers, Key};
use crate::clock;
use crate::config::{Profile, values};
use crate::domain::{DomainName, Email, Username};
use crate::error::Result;
use crate::rocketchat::license;
use crate::secrets::Secret;
use crate::ui::prompt::{self, Prompt, PromptError};

/// Starts looking something up about a name; one line comes back, or nothing worth saying.
pub type Lookup = Box<dyn Fn(DomainName) -> JoinHandle<Option<String>> + Send>;

/// What is looked up while somebody types.
pub struct Lookups {
    /// What DNS says: "example.org is 203.0.113.9; this machine is 198.51.100.4".
    pub dns: Lookup,
    /// Whether a web site is there already: "a web site answers on example.org (nginx)".
    pub site: Lookup,
}

impl Lookups {
    /// Looks nothing up.
    pub fn none() -> Self {
        let nothing = || -> Lookup { Box::new(|_| tokio::spawn(std::future::ready(None))) };
        Self { dns: nothing(), site: nothing() }
    }
}

/// How long an answer from the network is worth waiting for before the question that depends on it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks for what is not answered yet. The token comes back apart: it is not written before the plan is confirmed.
pub async fn ask(given: Answers, lookups: Lookups) -> Result<(Answers, Option<Secret>)> {
    prompt::ask(move |prompt| {
        let mut wizard = Wizard { prompt, answers: given, lookups, pending: Vec::new() };
        let token = wizard.questions()?;
        Ok((wizard.answers, token))
    })
    .await
}

struct Wizard<'a> {
    prompt: &'a Prompt,
    answers: Answers,
    lookups: Lookups,
    pending: Vec<JoinHandle<Option<String>>>,
}

impl Wizard<'_> {
    fn questions(&mut self) -> Result<Option<Secret>, PromptError> {
        self.prompt.note(text::BEGIN);
        self.names()?;
        self.email()?;
        let profile = self.profile()?;
        self.administrator()?;
        let theirs = self.answers.has(Key::ExistingContainer) || self.answers.has(Key::ExistingUrl);
        let token = match profile {
            // Whoever runs Rocket.Chat has registered it, or not.
            _ if theirs => None,
            Profile::Native => self.license().map(|()| None)?,
            Profile::Dendrite | Profile::Synapse => self.token()?,
        };
        self.say_found(PATIENCE);
        Ok(token)
    }

    fn names(&mut self) -> Result<(), PromptError> {
        let known = self.name(Key::FederatedDomain);
        let federated = match &known {
            Some(name) => name.clone(),
            None => {
                self.prompt.note(text::FEDERATED);
                self.domain(Key::FederatedDomain, "Federated domain", None)?
            }
        };
        let site = (self.lookups.site)(federated.clone());
        let address = self.answers.text(Key::ExistingUrl).and_then(values::open_address);
        let chat_known = self.answers.has(Key::ChatDomain) || address.is_some();
        let open = known.is_none() && !chat_known && !self.answers.has(Key::Apex);
        let site = self.wait(site, if open { PATIENCE } else { Duration::ZERO });
        if let Some(line) = &site {
            self.prompt.note(&format!("  {line}"));
        }
        match federated.child("chat") {
            Ok(chat) if open && site.is_some() => self.beside_a_site(&federated, &chat)?,
            chat if !chat_known => {
                self.prompt.note(text::CHAT);
                self.domain(Key::ChatDomain, "Chat domain", chat.ok())?;
            }
            _ => {}
        }
        let native = self.answers.text(Key::Profile) == Some(Profile::Native.name());
        if !native && !self.answers.has(Key::MatrixDomain) {
            self.prompt.note(text::MATRIX);
            self.domain(Key::MatrixDomain, "Matrix domain", federated.child("matrix").ok())?;
        }
        Ok(())
    }

    /// One question instead of the one for the chat domain: who keeps the name that a web site has already.
    fn beside_a_site(&mut self, federated: &DomainName, chat: &DomainName) -> Result<(), PromptError> {
        self.prompt.note(text::SITE);
        let (name, apex) = match self.prompt.choose("Who are people?", &text::beside_a_site(federated, chat))? {
            0 => (chat, "here"),
            1 => (federated, "elsewhere"),
            _ => (federated, "here"),
        };
        self.answers.typed(Key::FederatedDomain, name.as_str());
        self.answers.typed(Key::ChatDomain, chat.as_str());
        self.answers.typed(Key::Apex, apex);
        self.look_up(chat.clone());
        Ok(())
    }

    fn email(&mut self) -> Result<(), PromptError> {
        if self.answers.has(Key::Email) {
            return Ok(());
        }
        self.question(text::EMAIL);
        let check = |text: &str| if text.trim().is_empty() { Ok(()) } else { taken(Email::parse(text)) };
        let email = self.prompt.text("E-mail", None, true, check)?;
        if !email.trim().is_empty() {
            self.answers.typed(Key::Email, email.trim());
        }
        Ok(())
    }

    fn profile(&mut self) -> Result<Profile, PromptError> {
        // What was given was proven before the first question.
        if let Some(profile) = self.answers.text(Key::Profile).and_then(|text| values::profile(text).ok()) {
            return Ok(profile);
        }
        self.question(text::PROFILE);
        let profile = Profile::ALL[self.prompt.choose("Profile", &Profile::ALL.map(text::honest_line))?];
        self.answers.typed(Key::Profile, profile.name());
        Ok(profile)
    }

    fn administrator(&mut self) -> Result<(), PromptError> {
        if self.answers.has(Key::AdminUsername) {
            return Ok(());
        }
        self.question(text::ADMINISTRATOR);
        let default = Username::default().to_string();
        let name = self.prompt.text("Administrator", Some(default), false, |text| taken(Username::parse(text)))?;
        self.answers.typed(Key::AdminUsername, name.trim());
        Ok(())
    }

    fn token(&mut self) -> Result<Option<Secret>, PromptError> {
        if self.answers.has(Key::RegistrationTokenFile) {
            return Ok(None);
        }
        self.question(text::TOKEN);
        let token = self.prompt.hidden("Registration token")?;
        let token = token.trim();
        self.prompt.note(if token.is_empty() { text::NO_TOKEN } else { text::TOKEN_TAKEN });
        Ok((!token.is_empty()).then(|| Secret::new(token)))
    }

    fn license(&mut self) -> Result<(), PromptError> {
        if self.answers.has(Key::LicenseFile) {
            return Ok(());
        }
        self.question(text::LICENSE);
        let check = |text: &str| match license::read(text.trim().as_ref(), clock::now()) {
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        };
        let path = self.prompt.text("Licence file", None, false, check)?;
        let path = std::path::absolute(path.trim()).unwrap_or_else(|_| path.trim().into());
        self.answers.typed(Key::LicenseFile, path.display().to_string());
        Ok(())
    }

    fn domain(&mut self, key: Key, ask: &str, proposed: Option<DomainName>) -> Result<DomainName, PromptError> {
        self.say_found(Duration::ZERO);
        let proposed = proposed.map(|name| name.to_string());
        let text = self.prompt.text(ask, proposed, false, |text| taken(DomainName::parse(text)))?;
        // The prompt takes nothing else.
        let name = DomainName::parse(&text).map_err(|error| PromptError::Refused(error.to_string()))?;
        self.answers.typed(key, name.as_str());
        self.look_up(name.clone());
        Ok(name)
    }

    fn name(&self, key: Key) -> Option<DomainName> {
        DomainName::parse(self.answers.text(key)?).ok()
    }

    fn question(&mut self, why: &str) {
        self.say_found(Duration::ZERO);
        self.prompt.note(why);
    }

    fn look_up(&mut self, name: DomainName) {
        self.pending.push((self.lookups.dns)(name));
    }

    /// Says what was found so far, waiting at most `patience` for all of it together.
    fn say_found(&mut self, patience: Duration) {
        let deadline = std::time::Instant::now() + patience;
        for mut lookup in std::mem::take(&mut self.pending) {
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            match finished(&mut lookup, left) {
                Some(Some(line)) => self.prompt.note(&format!("  {line}")),
                Some(None) => {}
                None => self.pending.push(lookup),
            }
        }
    }

    fn wait(&mut self, mut lookup: JoinHandle<Option<String>>, patience: Duration) -> Option<String> {
        match finished(&mut lookup, patience) {
            Some(found) => found,
            None => {
                self.pending.push(lookup);
                None
            }
        }
    }
}

fn finished(lookup: &mut JoinHandle<Option<String>>, patience: Duration) -> Option<Option<String>> {
    if !lookup.is_finished() && patience.is_zero() {
        return None;
    }
    let waited = Handle::current().block_on(async { tokio::time::timeout(patience, lookup).await });
    // A lookup that failed has nothing to say here; the checks before the first change will.
    waited.ok().map(|joined| joined.unwrap_or_default())
}

fn taken<T, E: Into<values::Refusal>>(proven: Result<T, E>) -> Result<(), String> {
    proven.map(|_| ()).map_err(|error| error.into().to_string())
}
