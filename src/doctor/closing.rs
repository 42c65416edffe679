//! The last look of a run that changed something: whoever set a server up shall not have to ask whether it is well.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Check, Ended, Past, Site, engine, table};
use crate::error::Result;
use crate::finding::{Finding, Status};
use crate::machine::Machine;

/// Looks at everything from inside for at most two seconds, and says in a line that all is well, or else what is not, in
/// calm words. What takes longer, or what the run itself has just asked, is left to `rcfed doctor`.
pub async fn once_more(machine: &Machine) -> Result<()> {
    let task = machine.ui.task(TASK);
    let config = &machine.config;
    let fits = |check: &&'static Check| (check.applies)(config) && !PASSED_OVER.contains(&check.id);
    let checks: Vec<&'static Check> = table().into_iter().filter(fits).collect();
    let past = Past::load(&machine.path(super::PAST)).unwrap_or_default();
    let site = Arc::new(Site::new(machine.clone(), past));
    let started = Instant::now();
    let outcomes =
        engine::run(&checks, &site, super::HASTE, LIMIT, |done| task.note(format!("{done} of {}", checks.len()))).await;
    // Of those the time ran out for, nothing is known; that is no news.
    let in_time = started.elapsed() < LIMIT;
    let found = outcomes.into_iter().flat_map(|outcome| match outcome.result {
        Ended::Found(findings) => findings,
        Ended::Skipped(_) => Vec::new(),
    });
    let told: Vec<Finding> = found
        .filter(|finding| finding.status > Status::Info && (in_time || finding.status != Status::Unknown))
        .filter(|finding| !config.doctor.ignore.iter().any(|id| id == finding.id))
        .collect();
    task.done(&counted(told.len()));
    if !told.is_empty() {
        machine.ui.say(&calm(&told));
    }
    Ok(())
}

/// Rocket.Chat's verdict is what a deployment ends with, and asks a server far away. A message that is not deleted in time
/// would stay. Other servers were not named.
const PASSED_OVER: [&str; 3] = ["rocketchat.verdict", "rocketchat.send", super::OUTBOUND];
const LIMIT: Duration = Duration::from_secs(2);
const TASK: &str = "Look at everything once more";

/// What the task ends with.
fn counted(findings: usize) -> String {
    match findings {
        0 => String::new(),
        1 => "one thing to look at".into(),
        many => format!("{many} things to look at"),
    }
}

/// Findings below a summary. Pure.
fn calm(findings: &[Finding]) -> String {
    let mut lines = vec![String::new(), "Everything was set up. Worth a look:".to_owned()];
    for finding in findings {
        lines.push(format!("  {} {}", finding.subject, finding.summary));
        let remedy = finding.remedy.as_deref().map(|remedy| format!("    {remedy}"));
        lines.extend(remedy);
        lines.extend(finding.commands.iter().map(|command| format!("    {command}")));
    }
    lines.push("`sudo rcfed doctor` says more.".to_owned());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_calmly() {
        let findings = [
            Finding::warn("machine.memory", "this machine", "2.0 GB of memory, no swap; it will be tight without swap")
                .remedy("fallocate -l 2G /swapfile && swapon /swapfile"),
            Finding::warn("docker.strangers", "other", "is on the network `rcfed`, and rcfed did not make it")
                .command("sudo docker network disconnect --force rcfed other"),
        ];
        let tasks = [0, 1, 2].map(|count| format!("{TASK}: {}", counted(count)));
        insta::assert_snapshot!(format!("{}\n{}", tasks.join("\n"), calm(&findings)));
        for id in PASSED_OVER {
            assert!(super::super::find(id).is_some(), "{id}");
        }
    }
}
