//! The report as one page that needs nothing else: the way of a federated message as a picture, and where it breaks.

use serde::Serialize;
use tera::{Context, Tera};

use super::super::check::Place;
use super::super::report::{Report, page};
use crate::error::Explain;
use crate::finding::{Finding, Status};

/// The page could not be made.
#[derive(Debug, thiserror::Error)]
#[error("could not make the page")]
pub struct PageError(#[from] tera::Error);

impl Explain for PageError {
    fn hint(&self) -> Option<String> {
        Some("this is a fault of rcfed: report it with the output of `rcfed doctor --share`".into())
    }
}

/// The page.
pub fn html(report: &Report) -> Result<String, PageError> {
    let mut tera = Tera::new();
    tera.autoescape_on(vec![".html"]);
    tera.add_raw_templates(vec![("doctor.html", include_str!("../../../templates/doctor.html"))])?;
    let mut values = Context::new();
    let subject = &report.subject;
    values.insert("name", &subject.server_name);
    values.insert("version", &subject.version);
    values.insert("profile", &subject.profile);
    values.insert("at", &subject.at.strftime("%Y-%m-%d %H:%M UTC").to_string());
    values.insert("took", &u64::try_from(report.took).unwrap_or(u64::MAX));
    values.insert("verdict", &report.verdict());
    // Something worth knowing is in order.
    let status = if report.status() == Status::Info { Status::Ok } else { report.status() };
    values.insert("status", status.name());
    values.insert("mark", if report.status() == Status::Fail { "✗" } else { "✓" });
    let (stops, edges) = way(report);
    let spoken: Vec<String> = stops.iter().map(|stop| format!("{} {}", stop.title, stop.count)).collect();
    values.insert("spoken", &spoken.join(", "));
    values.insert("stops", &stops);
    values.insert("edges", &edges);
    let slabs = ground(report);
    // Where the ground begins, and the height of it all, in the picture for narrow screens.
    let below = 84 + 64 * stops.len();
    values.insert("ground", &below);
    values.insert("tall", &(below + 60 * slabs.len()));
    values.insert("slabs", &slabs);
    values.insert("groups", &groups(report));
    let fine: Vec<Card> = report.of(Status::Ok).map(|finding| Card::of(report, finding)).collect();
    values.insert("fine_count", &fine.len());
    values.insert("fine", &fine);
    let ignored: Vec<&str> = report.ignored.iter().map(|finding| finding.id).collect();
    values.insert("ignored", &ignored.join(", "));
    Ok(tera.render("doctor.html", &values)?)
}

#[derive(Serialize)]
struct Stop {
    x: u32,
    title: &'static str,
    tone: &'static str,
    count: String,
}

#[derive(Serialize)]
struct Edge {
    from: u32,
    to: u32,
    tone: &'static str,
}

#[derive(Serialize)]
struct Slab {
    x: u32,
    width: u32,
    middle: u32,
    title: &'static str,
    tone: &'static str,
    count: String,
}

#[derive(Serialize)]
struct Group<'a> {
    title: &'static str,
    findings: Vec<Card<'a>>,
}

#[derive(Serialize)]
struct Card<'a> {
    id: &'a str,
    status: &'static str,
    badge: &'static str,
    subject: &'a str,
    summary: &'a str,
    evidence: &'a [String],
    remedy: Option<&'a str>,
    commands: &'a [String],
    cached: Option<&'a str>,
    skipped: String,
    page: String,
}

impl<'a> Card<'a> {
    fn of(report: &Report, finding: &'a Finding) -> Self {
        let first = report.first_cause() == Some(finding);
        let badge = if first { "first cause" } else { finding.status.name() };
        let skipped =
            if finding.status == Status::Fail { report.skipped_for(finding.id).join(", ") } else { String::new() };
        Self {
            id: finding.id,
            status: finding.status.name(),
            badge,
            subject: &finding.subject,
            summary: &finding.summary,
            evidence: &finding.evidence,
            remedy: finding.remedy.as_deref(),
            commands: &finding.commands,
            cached: finding.cached.as_deref(),
            skipped,
            page: page(finding.id),
        }
    }
}

/// The stops of the way, and the pieces of line before each. From the first break on nothing comes through.
fn way(report: &Report) -> (Vec<Stop>, Vec<Edge>) {
    const FIRST: u32 = 56;
    const STEP: u32 = 120;
    let mut edges = Vec::new();
    let mut x = FIRST;
    let mut broken = false;
    let stops = Place::WAY.map(|place| {
        let (tone, count) = state(report, place);
        let from = x;
        x += STEP;
        edges.push(Edge {
            from: from + 22,
            to: x - 22,
            tone: if broken {
                "skip"
            } else if tone == "fail" {
                "fail"
            } else {
                "ok"
            },
        });
        broken |= tone == "fail" || (tone == "skip" && count != NOT_HERE);
        Stop { x, title: place.title(), tone, count }
    });
    (stops.into(), edges)
}

fn ground(report: &Report) -> Vec<Slab> {
    let (width, gap) = (298, 12);
    let slab = |(index, place): (u32, Place)| {
        let (tone, count) = state(report, place);
        let x = 31 + index * (width + gap);
        Slab { x, width, middle: x + width / 2, title: place.title(), tone, count }
    };
    (0..).zip(Place::GROUND).map(slab).collect()
}

const NOT_HERE: &str = "not here";

fn state(report: &Report, place: Place) -> (&'static str, String) {
    let here = || report.findings.iter().filter(|(at, _)| *at == place).map(|(_, finding)| finding);
    let skipped = report.skipped.iter().filter(|(at, _, _)| *at == place).count();
    let Some(worst) = here().map(|finding| finding.status).max() else {
        return ("skip", if skipped > 0 { "not looked at".into() } else { NOT_HERE.into() });
    };
    let count = here().filter(|finding| finding.status == worst).count();
    let words = match worst {
        // What was not looked at hides behind a failure elsewhere: green would be a lie.
        Status::Ok | Status::Info if skipped > 0 => return ("skip", format!("{skipped} not looked at")),
        Status::Ok | Status::Info => format!("{} in order", here().count()),
        Status::Unknown => format!("{count} unknown"),
        Status::Warn if count == 1 => "1 warning".into(),
        Status::Warn => format!("{count} warnings"),
        Status::Fail => format!("{count} failed"),
    };
    // What is worth knowing is in order: the picture shows where it breaks.
    (if worst == Status::Info { Status::Ok.name() } else { worst.name() }, words)
}

fn groups(report: &Report) -> Vec<Group<'_>> {
    let group = |title, statuses: &[Status]| {
        let findings = statuses.iter().flat_map(|status| report.of(*status)).map(|finding| Card::of(report, finding));
        Group { title, findings: findings.collect() }
    };
    let groups = [
        group("What is broken", &[Status::Fail]),
        group("What to look at", &[Status::Warn, Status::Unknown]),
        group("Worth knowing", &[Status::Info]),
    ];
    groups.into_iter().filter(|group| !group.findings.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::report::tests::example;
    use super::*;

    #[test]
    fn sentences() {
        let mut tera = Tera::new();
        let error = tera.add_raw_templates(vec![("x", "{{")]).unwrap_err();
        insta::assert_snapshot!(crate::error::told([PageError::from(error).into()]));
    }

    #[test]
    fn the_page_shows_the_break_and_loads_nothing() {
        let page = html(&example()).unwrap();
        assert!(page.contains("&lt;shutdown&gt; &amp; more"), "evidence is escaped");
        for outside in ["src=", "<link", "@import", "url(", "<script"] {
            assert!(!page.contains(outside), "{outside}");
        }
        let (stops, edges) = way(&example());
        let tones: Vec<&str> = stops.iter().map(|stop| stop.tone).collect();
        assert_eq!(tones, ["skip", "fail", "skip", "skip", "ok", "skip", "skip"]);
        let edges: Vec<&str> = edges.iter().map(|edge| edge.tone).collect();
        assert_eq!(edges, ["ok", "fail", "skip", "skip", "skip", "skip", "skip"]);
        let slabs: Vec<String> =
            ground(&example()).iter().map(|slab| format!("{} {}", slab.tone, slab.count)).collect();
        assert_eq!(slabs, ["warn 1 warning", "ok 1 in order", "fail 1 failed"]);
    }
}
