//! The last words of a successful run: where to go, who to be, what to do next. Pure, except for [`summary`].

use crate::apex;
use crate::config::{Apex, Config};
use crate::error::Result;
use crate::layout;
use crate::machine::Machine;
use crate::secrets::{Secret, SecretName};
use crate::step::Verdict;

/// How the administrator learns the first password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Password {
    /// It was not made by this run.
    Known,
    /// Shown once, here.
    Show,
    /// There is no terminal to show it on: the file is named.
    Tell,
}

/// The summary of a deployment.
pub fn summary(machine: &Machine, password: Password) -> Result<String> {
    let shown = match password {
        Password::Show => Shown::Once(machine.secrets.get(SecretName::AdminPassword)?),
        Password::Tell => Shown::File,
        Password::Known => Shown::No,
    };
    Ok(text(&machine.config, &shown, Verdict::load(machine)?.as_ref()))
}

/// What the summary says of the first password.
enum Shown {
    /// Nothing.
    No,
    /// Which file it is in.
    File,
    /// The password itself.
    Once(Option<Secret>),
}

fn text(config: &Config, password: &Shown, verdict: Option<&Verdict>) -> String {
    let names = &config.names;
    let admin = &config.admin.username;
    let mut lines = vec![format!("Rocket.Chat    https://{}", names.chat), format!("Administrator  {admin}")];
    let file = format!("{}/{}", layout::SECRETS, SecretName::AdminPassword.name());
    match password {
        Shown::No => {}
        Shown::Once(Some(secret)) => {
            lines.push(format!("Password       {}   (shown this once; also in {file})", secret.expose()));
        }
        Shown::File | Shown::Once(None) => lines.push(format!("Password       in {file} (only root can read it)")),
    }
    lines.push(format!("Matrix id      @{admin}:{}   (others invite you by it)", names.federated));
    lines.push(match verdict {
        None => "Federation     not checked".into(),
        Some(Verdict { federation, words, .. }) if words.is_empty() => format!("Federation     {federation}"),
        Some(Verdict { federation, words, .. }) => format!("Federation     {federation}: {words}"),
    });
    let valid = verdict.is_some_and(|verdict| verdict.federation == "valid");
    if let Some(hint) = verdict.and_then(|verdict| verdict.hint.as_ref()).filter(|_| !valid) {
        lines.push(format!("               {}", hint.replace('\n', "\n               ")));
    }
    if names.apex == Apex::Elsewhere {
        lines.extend(forwarded(config, valid));
    }
    lines.push(String::new());
    lines.push(format!("Config {}, secrets {}, receipt {}", layout::CONFIG, layout::SECRETS, layout::RECEIPT));
    if let Some(existing) = &config.rocketchat.existing {
        lines.push(format!(
            "Rocket.Chat and its MongoDB ({}) stay with whoever runs them; `rcfed uninstall` gives the settings back",
            existing.name()
        ));
    }
    lines.push(
        "Next: `sudo rcfed status`, `sudo rcfed logs rocketchat`; change the config and run `sudo rcfed apply`".into(),
    );
    lines.join("\n")
}

/// What the web site on the federated domain answers, or has to.
fn forwarded(config: &Config, valid: bool) -> Vec<String> {
    let (site, matrix) = (&config.names.federated, &config.names.matrix);
    let documents = apex::documents(config);
    let these = if documents.len() == 1 { "this address" } else { "these two addresses" };
    let intro = match valid {
        true => format!("The web site on {site} answers {these}; it must go on doing so:"),
        false => format!("The web site on {site} must answer {these}, or nobody finds this server:"),
    };
    let mut lines = vec![String::new(), intro];
    lines.extend(documents.iter().map(|document| format!("  https://{site}{}  {}", document.path, document.body)));
    if config.profile.has_homeserver() {
        lines.push(format!(
            "Other Rocket.Chats ask https://{site}/_matrix/client/*/register/available whether somebody exists;"
        ));
        lines.push(format!("pass it on to https://{matrix}, or they are told that nobody can say."));
    }
    lines.push("Ready lines for the site: `rcfed apex nginx` (or apache, caddy, static, cloudflare).".into());
    if !valid {
        let again =
            if config.profile.has_homeserver() { "asks Rocket.Chat to check again" } else { "looks at it again" };
        lines.push(format!("Then run `sudo rcfed apply`, which {again}."));
        lines.push(
            "Until then this works: Rocket.Chat for its own people. This does not: any contact with other servers."
                .into(),
        );
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::answers::Answers;
    use crate::config::Mode;

    fn verdict(federation: &str, words: &str, hint: Option<&str>) -> Verdict {
        let at = "2026-09-01T12:00:00Z".to_owned();
        let (federation, words, hint) = (federation.into(), words.into(), hint.map(Into::into));
        Verdict { federation, words, hint, message_sent: true, at }
    }

    #[test]
    fn last_words() {
        let verdicts = [
            verdict("valid", "Rocket.Chat federates: the bridge's ping came back in 3 ms", None),
            verdict(
                "pending",
                "the federation tester could not reach this server from outside",
                Some("look at the same things as the tester"),
            ),
        ];
        let mut texts = Vec::new();
        for apex in ["here", "elsewhere"] {
            let answers = format!("federated_domain = \"example.org\"\napex = \"{apex}\"");
            let answers = Answers::from_toml(&answers, Path::new("answers.toml")).unwrap();
            let config = Config::from_answers(&answers, Mode::Interactive).unwrap();
            for verdict in &verdicts {
                for (name, password) in
                    [("shown", Shown::Once(Some(Secret::new("hunter2")))), ("told", Shown::File), ("known", Shown::No)]
                {
                    let head = format!("──── apex {apex}, {}, password {name}", verdict.federation);
                    texts.push(format!("{head}\n{}", text(&config, &password, Some(verdict))));
                }
            }
            texts.push(format!("──── apex {apex}, not checked\n{}", text(&config, &Shown::No, None)));
        }
        let native = "federated_domain = \"example.org\"\napex = \"elsewhere\"\nprofile = \"native\"\n\
                      [rocketchat]\nlicense_file = \"/root/license\"";
        let answers = Answers::from_toml(native, Path::new("answers.toml")).unwrap();
        let config = Config::from_answers(&answers, Mode::Interactive).unwrap();
        let words =
            "the web site on example.org does not send other servers here yet: it has no document that names a server";
        let hint = "let it answer as is said below, then run `sudo rcfed apply`";
        let verdict = verdict("pending", words, Some(hint));
        texts.push(format!("──── native, apex elsewhere\n{}", text(&config, &Shown::No, Some(&verdict))));
        let answers =
            "federated_domain = \"example.org\"\n[admin]\npassword_file = \"/p\"\n[rocketchat]\ncontainer = \"chat\"";
        let answers = Answers::from_toml(answers, Path::new("answers.toml")).unwrap();
        let config = Config::from_answers(&answers, Mode::Interactive).unwrap();
        texts.push(format!("──── taken as it is\n{}", text(&config, &Shown::No, None)));
        insta::assert_snapshot!(texts.join("\n\n"));
    }
}
