//! The doctor on the bed: a healthy deployment has nothing to tell, and every fault is told by its first cause, with a
//! remedy that mends it.

mod faults;
mod hairpin;
mod outbound;
#[path = "../support/site.rs"]
mod site;
#[path = "../support/mod.rs"]
mod support;
#[allow(dead_code)]
#[path = "../support/surroundings.rs"]
mod surroundings;
mod told;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use faults::{Fault, Where};
use rcfed::doctor::Place;
use serde_json::Value;
use support::{Bed, Run};

/// A short run tries one fault of each place, chosen by a seed that is printed; `RCFED_SEED` gives it again.
/// `RCFED_TEST_ALL=1` tries every fault.
#[test]
fn every_fault_of_a_dendrite_deployment() {
    let Some(bed) = Bed::up() else { return };
    // What a cloud or a person says where no interface shows it.
    let answers = outbound::trusted(&bed, bed.answers("dendrite", "address = [\"198.51.100.10\"]"));
    let init = bed.rcfed(&["init", "--answers", answers.to_str().unwrap(), "--yes", "--no-input"]).well();
    let last = init.stderr.lines().last().unwrap_or_default();
    assert!(last.starts_with("✓ Look at everything once more") && !last.contains('—'), "{}", init.stderr);
    healthy(&bed, "after init");
    outputs(&bed);
    hairpin::tried(&bed);
    outbound::tried(&bed);
    tries(&bed, Where::Dendrite);
}

#[test]
fn every_fault_of_a_synapse_deployment() {
    if !all() {
        return;
    }
    let Some(bed) = Bed::up() else { return };
    let answers = outbound::trusted(&bed, bed.answers("synapse", ""));
    // A bridge that reads the token in the query alone.
    let older = "[images]\nrocketchat = \"registry.rocket.chat/rocketchat/rocket.chat:6.13.1\"\n";
    std::fs::write(&answers, std::fs::read_to_string(&answers).unwrap() + older).unwrap();
    bed.rcfed(&["init", "--answers", answers.to_str().unwrap(), "--yes", "--no-input"]).well();
    healthy(&bed, "after init");
    outbound::tried(&bed);
    tries(&bed, Where::Synapse);
}

#[test]
fn every_fault_of_a_native_deployment() {
    if !all() {
        return;
    }
    let Some(bed) = Bed::up() else { return };
    let answers = bed.answers("native", "");
    bed.rcfed(&["init", "--answers", answers.to_str().unwrap(), "--yes", "--no-input"]).well();
    healthy(&bed, "after init");
    tries(&bed, Where::Native);
}

fn all() -> bool {
    std::env::var_os("RCFED_TEST_ALL").is_some()
}

#[test]
fn a_workspace_that_may_not_send() {
    if !all() {
        return;
    }
    let Some(bed) = Bed::up() else { return };
    let answers = bed.answers("synapse", "");
    let text = std::fs::read_to_string(&answers).unwrap();
    let (line, rest): (Vec<&str>, Vec<&str>) = text.lines().partition(|l| l.starts_with("registration_token_file"));
    std::fs::write(&answers, rest.join("\n")).unwrap();
    assert_eq!(bed.rcfed(&["init", "--answers", answers.to_str().unwrap(), "--yes", "--no-input"]).code, Some(1));
    let report = doctor(&bed);
    assert_eq!(report["first_cause"], "rocketchat.send", "{report:#}");
    let told = finding(&report, "rocketchat.send")["remedy"].as_str().unwrap();
    assert!(told.contains("registration_token_file") && told.contains("sudo rcfed apply"), "{told}");
    let config = bed.root().join("etc/rcfed/config.toml");
    let kept = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, kept.replace("[rocketchat]", &format!("[rocketchat]\n{}", line[0]))).unwrap();
    bed.rcfed(&["apply"]).well();
    healthy(&bed, "with a registration token");
}

/// `RCFED_UPDATE_DOCS=1` writes the page instead of comparing it.
#[test]
fn the_page_of_faults_is_that_of_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/faults.md");
    let page = faults::page();
    if std::env::var_os("RCFED_UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    assert!(std::fs::read_to_string(&path).unwrap_or_default() == page, "docs/faults.md is stale: run `make docs`");
    assert_eq!(
        told::names(),
        faults::FAULTS.iter().map(|fault| fault.name).collect::<Vec<_>>(),
        "tests/doctor/told.txt"
    );
    for fault in faults::FAULTS {
        assert!(rcfed::doctor::find(fault.first).is_some(), "{}: there is no check {}", fault.name, fault.first);
    }
}

/// Injects every fault of a profile, one after the other, each into the deployment that the last remedy mended. All that
/// went wrong is told at the end. `RCFED_TEST_FAULT` picks those with that text in their names.
fn tries(bed: &Bed, profile: Where) {
    let only = std::env::var("RCFED_TEST_FAULT").ok();
    let mut chosen: Vec<&Fault> = faults::FAULTS.iter().filter(|fault| fault.profile == profile).collect();
    match &only {
        Some(only) => chosen.retain(|fault| fault.name.contains(only)),
        None if all() => {}
        None => chosen = slice(&chosen),
    }
    let mut wrong = Vec::new();
    for fault in chosen {
        let started = Instant::now();
        let result = one(bed, fault);
        eprintln!(
            "{:>5.1} s  {}: {}",
            started.elapsed().as_secs_f32(),
            fault.name,
            result.as_ref().map_or("WRONG", |()| "ok")
        );
        if let Err(why) = result {
            eprintln!("{why}");
            wrong.push(format!("{}\n{why}", fault.name));
            bed.rcfed(&["apply"]);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n────\n"));
}

/// One fault of each place, none of the slow ones.
fn slice(faults: &[&'static Fault]) -> Vec<&'static Fault> {
    let given = std::env::var("RCFED_SEED").ok().and_then(|text| text.parse().ok());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let seed: usize = given.unwrap_or(now.subsec_micros() as usize);
    eprintln!("RCFED_SEED={seed}");
    let mut places: BTreeMap<Place, Vec<&Fault>> = BTreeMap::new();
    for fault in faults.iter().filter(|fault| !fault.slow) {
        places.entry(rcfed::doctor::find(fault.first).unwrap().place).or_default().push(fault);
    }
    assert_eq!(places.len(), Place::all().count(), "a place has no fault: {:?}", places.keys());
    places.into_values().enumerate().map(|(place, faults)| faults[(seed >> place) % faults.len()]).collect()
}

fn one(bed: &Bed, fault: &Fault) -> Result<(), String> {
    for line in fault.inject {
        line_well(bed, line)?;
    }
    // What was done needs a moment to show, such as a server that ends.
    let tells = |report: &Value| match fault.status {
        "fail" => report["first_cause"] == fault.first,
        status => report["first_cause"].is_null() && find(report, fault.first, status).is_some(),
    };
    let report = until(bed, Duration::from_secs(25), tells);
    let Some(told) = find(&report, fault.first, fault.status).filter(|_| tells(&report)) else {
        return Err(format!("first cause {}, not {}: {}", report["first_cause"], fault.first, brief(&report)));
    };
    let commands: Vec<&str> = told["commands"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    if fault.commands != commands {
        return Err(format!("it tells {commands:?}, not {:?}", fault.commands));
    }
    if !fault.by_hand.is_empty() && fault.commands.is_empty() && told["remedy"].as_str().unwrap_or_default().is_empty()
    {
        return Err("it does not tell what to do".into());
    }
    let compared = told::compare(fault.name, told, &bed.value("RCFED_STATE"));
    for line in fault.by_hand {
        line_well(bed, line)?;
    }
    // What a person does instead, where the bed lacks systemd, replaces the command.
    for command in fault.commands.iter().filter(|command| !command.contains("systemctl")) {
        line_well(bed, command.trim_start_matches("sudo "))?;
    }
    let after = until(bed, Duration::from_secs(60), is_well);
    // Told last, so that the next fault finds the deployment well.
    if is_well(&after) { compared } else { Err(format!("the remedy did not mend it: {}", brief(&after))) }
}

/// A line of the table: `bed …` for a verb of the bed, anything else for a shell on the droplet.
fn line_well(bed: &Bed, line: &str) -> Result<(), String> {
    if let Some(verb) = line.strip_prefix("bed ") {
        bed.bed(&verb.split(' ').collect::<Vec<_>>());
        return Ok(());
    }
    let text =
        format!("set -e\nS=$RCFED_ROOT/var/lib/rcfed\nrcfed() {{ '{}' \"$@\"; }}\n{line}", env!("CARGO_BIN_EXE_rcfed"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bed/bed");
    let output = Command::new(script).args(["run", "bash", "-c", &text]).output().unwrap();
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("`{line}`: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

fn until(bed: &Bed, limit: Duration, good: impl Fn(&Value) -> bool) -> Value {
    let started = Instant::now();
    loop {
        let report = doctor(bed);
        if good(&report) || started.elapsed() > limit {
            return report;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn doctor(bed: &Bed) -> Value {
    let run = bed.rcfed(&["doctor", "--json"]);
    assert!(matches!(run.code, Some(0 | 1)), "{run:?}");
    let report: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"));
    assert_eq!(run.code == Some(1), report["status"] == "fail", "{run:?}");
    report
}

fn is_well(report: &Value) -> bool {
    ["unknown", "warn", "fail", "skipped"].iter().all(|kind| report["counts"][kind] == 0)
}

fn healthy(bed: &Bed, when: &str) {
    let report = until(bed, Duration::from_secs(20), is_well);
    assert!(is_well(&report), "{when}: {}", brief(&report));
}

fn finding<'a>(report: &'a Value, id: &str) -> &'a Value {
    find(report, id, "fail").unwrap_or_else(|| panic!("no {id}: {report:#}"))
}

fn find<'a>(report: &'a Value, id: &str, status: &str) -> Option<&'a Value> {
    report["findings"].as_array().unwrap().iter().find(|f| f["id"] == id && f["status"] == status)
}

fn brief(report: &Value) -> String {
    let bad = |f: &&Value| !["ok", "info"].contains(&f["status"].as_str().unwrap_or_default());
    let line =
        |f: &Value| format!("\n  {} {} {} {} {}", f["status"], f["id"], f["subject"], f["summary"], f["evidence"]);
    let all = report["findings"].as_array().unwrap();
    all.iter().filter(bad).map(line).collect::<String>()
        + &format!("\n  skipped {}", report["skipped"].as_array().unwrap().len())
}

/// The other forms of output, of a deployment that is well.
fn outputs(bed: &Bed) {
    let directory = std::path::PathBuf::from(bed.value("RCFED_STATE"));
    let file = |name: &str| directory.join(name).to_str().unwrap().to_owned();
    let (html, junit, prometheus) = (file("d.html"), file("d.xml"), file("d.prom"));
    let words =
        ["doctor", "--strict", "--share", "--changes", "--html", &html, "--junit", &junit, "--prometheus", &prometheus];
    let run: Run = bed.rcfed(&words).well();
    assert!(run.stdout.contains("example.org is well."), "{}", run.stdout);
    assert!(run.stdout.contains("Nothing has changed since"), "{}", run.stdout);
    for name in ["fed.test", "198.51.100.10", "2001:db8:51::10", "ada@", "@ada"] {
        assert!(!run.stdout.contains(name), "{name} is shared: {}", run.stdout);
    }
    assert!(std::fs::read_to_string(&html).unwrap().contains("<svg"));
    assert!(std::fs::read_to_string(&junit).unwrap().contains("failures=\"0\""));
    assert!(std::fs::read_to_string(&prometheus).unwrap().contains("rcfed_doctor_check{id=\"bridge.transaction\"} 0"));
    // No secret in any form of output.
    let texts = [run.stdout, std::fs::read_to_string(&html).unwrap(), doctor(bed).to_string()];
    for entry in std::fs::read_dir(bed.root().join("var/lib/rcfed/secrets")).unwrap() {
        let path = entry.unwrap().path();
        let secret = std::fs::read_to_string(&path).unwrap();
        let secret = secret.trim();
        if secret.len() >= 8 && !path.ends_with("versions") {
            assert!(texts.iter().all(|text| !text.contains(secret)), "{} is told", path.display());
        }
    }
    // Ignored, and chosen.
    let one = bed.rcfed(&["doctor", "--json", "--only", "mongodb.primary"]).well();
    let report: Value = serde_json::from_str(&one.stdout).unwrap();
    let ids: Vec<&str> = report["findings"].as_array().unwrap().iter().filter_map(|f| f["id"].as_str()).collect();
    assert!(ids.contains(&"mongodb.primary") && !ids.contains(&"rocketchat.up"), "{ids:?}");
    assert_eq!(bed.rcfed(&["doctor", "--only", "mongodb.secondary"]).code, Some(2));
}
