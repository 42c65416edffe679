//! The look at machine and DNS before the first change: told, and where DNS alone is wrong, settled or waited for.

use std::path::Path;
use std::time::Duration;

use crate::cli::Context;
use crate::config::{Apex, Config, Names};
use crate::dns::{self, Lookup, Patience};
use crate::error::Result;
use crate::host::Host;
use crate::layout;
use crate::preflight::{self, Preflight};
use crate::receipt::{self, Undo};
use crate::ui::prompt;

/// Looks, tells, and comes back with the configuration to go on with, in which the web site may have kept the federated
/// domain. `wait` is how long an unattended run waits for DNS.
pub async fn check(context: &Context, mut config: Config, wait: Option<Duration>) -> Result<Config> {
    if begun(&context.host)? {
        return Ok(config);
    }
    loop {
        let look = async { Ok(preflight::inspect(Path::new("/"), &context.host, &config, &context.ui).await) };
        let found = prompt::unless_interrupted(look).await?;
        preflight::tell(&found.findings).iter().for_each(|line| context.ui.say(line));
        if !found.only_dns_is_wrong() {
            found.verdict()?;
            return Ok(config);
        }
        let choice = match wait {
            Some(_) => Choice::Wait,
            None if context.input.asks() => ask(&found, &config.names).await?,
            None => Choice::Stop,
        };
        match choice {
            Choice::Elsewhere => config.names.apex = Apex::Elsewhere,
            Choice::Stop => found.verdict()?,
            Choice::Wait => {
                let at_most = wait.unwrap_or(Patience::default().at_most);
                wait_for(context, &config.names, &found, Patience { at_most, ..Patience::default() }).await?;
                return Ok(config);
            }
        }
    }
}

/// Whether containers of an earlier run are here: they have the ports and the names, and are looked at step by step.
fn begun(host: &Host) -> Result<bool> {
    let ours = receipt::ours(&receipt::read(&host.path(layout::RECEIPT))?);
    Ok(ours.iter().any(|ours| matches!(ours.undo, Undo::RemoveContainer { .. })))
}

/// What to do about names that are wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    /// The federated domain stays with its web site.
    Elsewhere,
    /// Nothing now.
    Stop,
    /// Somebody changes the records meanwhile.
    Wait,
}

async fn ask(found: &Preflight, names: &Names) -> Result<Choice> {
    let (note, choices) = question(found, names);
    let answer = move |prompt: &prompt::Prompt| {
        prompt.note(&note);
        let items: Vec<String> = choices.iter().map(|(_, item)| item.clone()).collect();
        let index = prompt.choose("What now?", &items)?;
        Ok(choices.get(index).map_or(Choice::Stop, |(choice, _)| *choice))
    };
    prompt::ask(answer).await
}

/// What is asked, and the answers.
fn question(found: &Preflight, names: &Names) -> (String, Vec<(Choice, String)>) {
    let name = &names.federated;
    let stop = (Choice::Stop, "Stop here; nothing has been changed".to_owned());
    if found.dns.apex != Some(Apex::Elsewhere) {
        let note = "\nDNS has to be as said above before a certificate can be had.".to_owned();
        return (note, vec![(Choice::Wait, "I change the records now; wait for them (Ctrl-C ends it)".into()), stop]);
    }
    // Judged as if it had to be here, since nobody is told unasked to take a web site down.
    let here = Names::alone(name);
    let judged = dns::judge(&here, &found.expected, &found.seen);
    let changes = judged.names.iter().flat_map(|report| &report.changes);
    let records: String = changes.map(|change| format!("\n      {change}")).collect();
    let note = format!(
        "\n{name} is another web site.\nIt can stay if it forwards two paths, which are shown at the end; until it \
         does, nobody outside\nfinds you. Or this machine takes its place, with these records:{records}"
    );
    let choices = vec![
        (Choice::Elsewhere, format!("The web site stays on {name} and forwards two paths")),
        (Choice::Wait, format!("This machine takes {name}; I change the records now, wait for them")),
        stop,
    ];
    (note, choices)
}

async fn wait_for(context: &Context, names: &Names, found: &Preflight, patience: Patience) -> Result<()> {
    context.ui.say(&waiting(patience));
    let task = context.ui.task("Wait for DNS");
    let lookup = Lookup::new(&context.host);
    match dns::wait_for(&lookup, names, &found.expected, &found.seen, patience, &task).await {
        Ok(_) => {
            task.done("");
            Ok(())
        }
        Err(error) => {
            task.failed("");
            Err(error.into())
        }
    }
}

fn waiting(patience: Patience) -> String {
    let minutes = patience.at_most.as_secs().div_ceil(60);
    let plural = if minutes == 1 { "minute" } else { "minutes" };
    format!("Waiting up to {minutes} {plural} until DNS is right; Ctrl-C ends it, and nothing has been changed.")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::SocketAddr;

    use super::*;
    use crate::cli::Input;
    use crate::config::Proxy;
    use crate::dns::{Answer, Caa, Expected, Fault, Seen, View};
    use crate::domain::DomainName;
    use crate::host::net::{Address, Addresses, Source};
    use crate::ui::{Ui, Verbosity};

    fn names() -> Names {
        let name = |text| DomainName::parse(text).unwrap();
        let (federated, chat, matrix) = (name("example.org"), name("chat.example.org"), name("matrix.example.org"));
        Names { federated, chat, matrix, apex: Apex::Here, chat_elsewhere: false }
    }

    /// The apex at `apex`, the other names nowhere.
    fn found(apex: Answer) -> Preflight {
        let names = names();
        let seen = |a: Answer| {
            let aaaa = a.clone().map(|_| Vec::new());
            Seen { resolver: View { a, aaaa, aliases: vec![] }, authoritative: vec![], caa: Caa::None }
        };
        let seen = BTreeMap::from([
            (names.federated.clone(), seen(apex)),
            (names.chat.clone(), seen(Err(Fault::NxDomain))),
            (names.matrix.clone(), seen(Err(Fault::NxDomain))),
        ]);
        let ours = Address { source: Source::Interface, ip: "198.51.100.4".parse().unwrap() };
        let expected = Expected { addresses: Addresses::new([ours]), proxy: Proxy::Gateway, issuer: None };
        let dns = dns::judge(&names, &expected, &seen);
        Preflight { findings: dns::findings(&dns, &expected), expected, seen, dns }
    }

    #[test]
    fn it_is_asked_what_the_web_site_is_for_and_only_then() {
        let texts = [Ok(vec!["203.0.113.9".parse().unwrap()]), Err(Fault::NxDomain)].map(|apex| {
            let found = found(apex);
            assert!(found.only_dns_is_wrong());
            let (note, choices) = question(&found, &names());
            let items: Vec<String> = choices.iter().map(|(choice, item)| format!("{item}  [{choice:?}]")).collect();
            let told = preflight::tell(&found.findings).join("\n");
            assert!(note.lines().all(|line| line.chars().count() <= 100), "{note}");
            let error = found.verdict().map_err(crate::error::Error::from).unwrap_err();
            format!("{told}\n{note}\n? {}\n---\n{error:?}", items.join("\n  "))
        });
        insta::assert_snapshot!(texts.join("\n\n────\n"));
    }

    #[tokio::test]
    async fn waiting_has_an_end_that_names_the_records() {
        // Nobody answers there.
        let nobody: SocketAddr = "127.0.0.1:9".parse().unwrap();
        let host =
            Host { root: "/nonexistent".into(), docker: String::new(), nameserver: Some(nobody), metadata: None };
        let context = Context { host, ui: Ui::new(Verbosity::Quiet), input: Input::default() };
        let patience = Patience { every: Duration::from_secs(60), at_most: Duration::from_millis(50) };
        let error = wait_for(&context, &names(), &found(Err(Fault::NxDomain)), patience).await.unwrap_err();
        let minutes = |minutes: u64| waiting(Patience { at_most: Duration::from_secs(minutes * 60), ..patience });
        insta::assert_snapshot!(format!("{}\n{}\n{error:?}", minutes(30), minutes(1)));
    }
}
