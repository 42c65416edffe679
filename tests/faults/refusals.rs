//! What uninstall refuses, and that nothing is touched then.

use crate::sight::Sight;
use crate::support::{Bed, Run};

/// A deployment that was kept is used again for the same domain, and for no other.
pub fn another_domain(bed: &Bed, profile: &str) {
    let before = Sight::of(bed);
    let answers = bed.answers_with("other.test", profile, "");
    let init = bed.rcfed(&["init", "--answers", answers.to_str().unwrap(), "--yes", "--no-input"]);
    assert_eq!(init.code, Some(1), "{}", init.stderr);
    assert!(init.stderr.contains("this deployment is `fed.test` and cannot become `other.test`"), "{}", init.stderr);
    // Without the secrets the volumes are of no use.
    let secrets = bed.root().join("var/lib/rcfed/secrets");
    let aside = bed.root().join("secrets-aside");
    std::fs::rename(&secrets, &aside).unwrap();
    let answers = bed.answers(profile, "");
    let init = bed.rcfed(&["init", "--answers", answers.to_str().unwrap(), "--yes", "--no-input"]);
    std::fs::rename(&aside, &secrets).unwrap();
    assert_eq!(init.code, Some(1), "{}", init.stderr);
    assert!(init.stderr.contains("not the secrets that open them"), "{}", init.stderr);
    Sight::of(bed).same_as(&before, "two refusals");
}

pub fn of_uninstall(bed: &Bed) {
    let mut told = Vec::new();
    let purge = ["uninstall", "--purge", "--confirm", "fed.test", "--yes"];
    let mut refused = |what: &str, words: &[&str]| {
        let before = Sight::of(bed);
        told.push(format!("{what}\n{}", sentence(&bed.rcfed(words))));
        Sight::of(bed).same_as(&before, what);
    };
    refused("nobody to confirm", &["uninstall"]);
    refused("a purge without its domain", &["uninstall", "--purge", "--yes"]);
    refused("a purge of another domain", &["uninstall", "--purge", "--confirm", "fed.tset", "--yes"]);

    let cron = bed.root().join("etc/cron.d/rcfed");
    let text = std::fs::read_to_string(&cron).unwrap();
    std::fs::write(&cron, format!("{text}0 1 * * * root backup\n")).unwrap();
    refused("a cron file with somebody else's line", &["uninstall", "--yes"]);
    std::fs::write(&cron, text).unwrap();

    bed.run(&["docker", "create", "--name", "guest", "--network", "rcfed", "-v", "rcfed-mongodb:/x", "mongo:7.0"]);
    refused("a guest on the network", &["uninstall", "--yes"]);
    refused("a guest in a volume", &purge);
    bed.run(&["docker", "rm", "-f", "-v", "guest"]);

    bed.run(&["docker", "rm", "-f", "rcfed-relay"]);
    bed.run(&["docker", "create", "--name", "rcfed-relay", "mongo:7.0"]);
    refused("somebody else's container of our name", &purge);
    bed.run(&["docker", "rm", "-f", "-v", "rcfed-relay"]);
    bed.rcfed(&["apply"]).well();

    let before = Sight::of(bed);
    bed.bed(&["stop-docker"]);
    told.push(format!("Docker is stopped\n{}", sentence(&bed.rcfed(&["uninstall", "--yes"]))));
    bed.bed(&["start-docker"]);
    assert_eq!(Sight::of(bed).tree, before.tree);

    let told = told.join("\n\n").replace(&bed.value("RCFED_STATE"), "BED");
    insta::assert_snapshot!(told);
}

/// Error and hint.
fn sentence(run: &Run) -> String {
    assert!(!run.ok && run.stdout.is_empty(), "{}\n{}", run.stdout, run.stderr);
    let from = run.stderr.find("error:").unwrap();
    format!("exit {}\n{}", run.code.unwrap(), run.stderr[from..].trim_end())
}
