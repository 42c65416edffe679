//! The report for a person at a terminal: the places in a few lines, then whatever is not in order, the first cause last,
//! where the eye lands.

use super::super::check::Place;
use super::super::past::Change;
use super::super::report::Report;
use crate::finding::{Finding, Status};

/// How it is shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    /// With colours.
    pub colour: bool,
    /// Also what is in order.
    pub verbose: bool,
}

/// The whole report.
pub fn terminal(report: &Report, look: Look) -> String {
    let subject = &report.subject;
    let at = subject.at.strftime("%Y-%m-%d %H:%M UTC");
    let name = look.bold(&harmless(&subject.server_name));
    let head = format!("{name}  {}, rcfed {}, {at}", subject.profile, subject.version);
    let mut lines = vec![head, String::new()];
    let places = report.places();
    for place in Place::all().filter(|place| places.contains_key(place)) {
        lines.push(self::place(report, place, look));
    }
    let mut detail = |finding: &Finding, skipped: &[&str]| {
        lines.push(String::new());
        lines.extend(self::finding(finding, skipped, look));
    };
    if look.verbose {
        report.of(Status::Ok).for_each(|finding| detail(finding, &[]));
    }
    for status in [Status::Info, Status::Unknown, Status::Warn] {
        report.of(status).for_each(|finding| detail(finding, &[]));
    }
    let mut failed: Vec<&Finding> = report.of(Status::Fail).collect();
    failed.reverse();
    for (index, finding) in failed.iter().enumerate() {
        // Several findings of one check share what was skipped for it: told once, at the last.
        let last = failed[index + 1..].iter().all(|other| other.id != finding.id);
        detail(finding, &if last { report.skipped_for(finding.id) } else { Vec::new() });
    }
    lines.push(String::new());
    if !report.ignored.is_empty() {
        let ids: Vec<&str> = report.ignored.iter().map(|finding| finding.id).collect();
        lines.push(format!("Ignored, as the configuration says: {}", ids.join(", ")));
    }
    lines.push(look.bold(&look.paint(report.status(), &format!("{}.", harmless(&report.verdict())))));
    lines.join("\n")
}

/// A report among many: one line, and below it what is worst.
pub fn brief(report: &Report, look: Look) -> String {
    let status = report.status();
    let sign = look.paint(status, if status <= Status::Info { mark(Status::Ok) } else { mark(status) });
    let mut lines = vec![format!("{sign} {}  ({} ms)", harmless(&report.verdict()), report.took)];
    let worst =
        [Status::Fail, Status::Warn, Status::Unknown].into_iter().find(|status| report.of(*status).next().is_some());
    let shown = worst.into_iter().flat_map(|worst| report.of(worst));
    for one in shown {
        let skipped = if one.status == Status::Fail { report.skipped_for(one.id) } else { Vec::new() };
        let folded =
            if skipped.is_empty() { String::new() } else { format!(" ({} checks wait for it)", skipped.len()) };
        let (subject, summary) = (harmless(&one.subject), harmless(&one.summary));
        lines.push(format!("    {}  {subject} {summary}{folded}", look.bold(one.id)));
        let remedy = one.remedy.iter().flat_map(|text| text.lines().take(1));
        lines.extend(remedy.map(|line| format!("      {}", harmless(line))));
    }
    lines.join("\n")
}

/// What is not as it was.
pub fn changes(changes: &[Change], since: Option<&str>) -> String {
    let Some(since) = since else { return "This is the first run: there is nothing to compare with.".into() };
    if changes.is_empty() {
        return format!("Nothing has changed since {since}.");
    }
    let word = |status: &Option<String>| status.clone().unwrap_or_else(|| "-".into());
    let line = |c: &Change| {
        let (subject, summary) = (harmless(&c.subject), harmless(&c.summary));
        format!("  {} → {}  {}  {subject} {summary}", word(&c.before), word(&c.now), c.id)
    };
    let lines: Vec<String> = changes.iter().map(line).collect();
    format!("Changed since {since}:\n{}", lines.join("\n"))
}

fn place(report: &Report, place: Place, look: Look) -> String {
    let here: Vec<&Finding> =
        report.findings.iter().filter(|(at, _)| *at == place).map(|(_, finding)| finding).collect();
    let count = |status| here.iter().filter(|finding| finding.status == status).count();
    let skipped = report.skipped.iter().filter(|(at, _, _)| *at == place).count();
    let fine = count(Status::Ok) + count(Status::Info);
    let parts = [
        (count(Status::Fail), "failed"),
        (count(Status::Warn), if count(Status::Warn) == 1 { "warning" } else { "warnings" }),
        (count(Status::Unknown), "unknown"),
        (skipped, "not looked at"),
        (fine, "in order"),
    ];
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    let worst = here.iter().map(|finding| finding.status).max();
    let sign = match worst {
        None => "·".to_owned(),
        Some(Status::Info) => look.paint(Status::Ok, mark(Status::Ok)),
        Some(status) => look.paint(status, mark(status)),
    };
    format!("  {sign} {:<17} {}", place.title(), parts.join(", "))
}

fn finding(finding: &Finding, skipped: &[&str], look: Look) -> Vec<String> {
    let sign = look.paint(finding.status, mark(finding.status));
    let (subject, summary) = (harmless(&finding.subject), harmless(&finding.summary));
    let mut lines = vec![format!("  {sign} {}  {subject} {summary}", look.bold(finding.id))];
    let mut below = |label: &str, text: &str| {
        for (index, line) in text.lines().enumerate() {
            lines.push(format!("      {:<5} {}", if index == 0 { label } else { "" }, harmless(line)));
        }
    };
    let seen: Vec<String> = finding.evidence.iter().map(|fact| harmless(fact)).collect();
    below("seen", &seen.join("\n"));
    below("note", finding.remedy.as_deref().unwrap_or_default());
    below("do", &finding.commands.join("\n"));
    below("later", finding.cached.as_deref().unwrap_or_default());
    if finding.status == Status::Fail {
        below("more", &format!("rcfed doctor --explain {}", finding.id));
    }
    if !skipped.is_empty() {
        below("", &format!("not looked at until this is right: {}", folded(skipped)));
    }
    lines
}

/// Checks by their names, or their number where nobody would read all of them.
fn folded(skipped: &[&str]) -> String {
    const MOST: usize = 12;
    match skipped.len() {
        ..=MOST => skipped.join(", "),
        many => format!("{many} checks, `--json` names them"),
    }
}

/// What strangers say is shown and never obeyed: a terminal takes some characters for commands, and others turn lines around.
fn harmless(text: &str) -> String {
    let obeyed = |c: char| {
        c.is_control() || matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if obeyed(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

fn mark(status: Status) -> &'static str {
    match status {
        Status::Ok => "✓",
        Status::Info => "i",
        Status::Unknown => "?",
        Status::Warn => "!",
        Status::Fail => "✗",
    }
}

impl Look {
    fn bold(self, text: &str) -> String {
        self.code("1", text)
    }

    fn paint(self, status: Status, text: &str) -> String {
        let code = match status {
            Status::Ok => "32",
            Status::Info => "36",
            Status::Unknown | Status::Warn => "33",
            Status::Fail => "31",
        };
        self.code(code, text)
    }

    fn code(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::past::Past;
    use super::super::super::report::tests::example;
    use super::*;

    #[test]
    fn as_a_person_reads_it() {
        let mut report = example();
        let normal = terminal(&report, Look::default());
        assert!(!normal.contains('\x1b'));
        assert!(terminal(&report, Look { colour: true, verbose: false }).contains("\x1b[31m✗\x1b[0m"));
        let news = changes(&Past::default().changes(&report), Some("2026-11-22T15:00:00Z"));
        report.findings.retain(|(_, finding)| finding.status <= Status::Info);
        report.skipped.clear();
        let ignored = Finding::warn("machine.disk", "/var/lib/rcfed", "1500 MB are free");
        report.ignored.push(ignored);
        let well = terminal(&report, Look { colour: false, verbose: true });
        let none = [changes(&[], Some("2026-11-22T15:00:00Z")), changes(&[], None)].join("\n");
        insta::assert_snapshot!([normal, well, news, none].join("\n────\n"));
    }

    #[test]
    fn what_a_stranger_says_moves_no_cursor() {
        let evil = "\u{1b}[2J\u{9b}1A\r\nwell\u{202e}\u{7}";
        let finding = Finding::fail("keys.answer", evil, evil).seen(evil).remedy(evil).cached(evil).command(evil);
        let mut report = example();
        report.subject.server_name = evil.into();
        report.findings = vec![(Place::Homeserver, finding)];
        let change = Change {
            id: "x".into(),
            subject: evil.into(),
            before: None,
            now: Some("fail".into()),
            summary: evil.into(),
        };
        for text in
            [terminal(&report, Look::default()), brief(&report, Look::default()), changes(&[change], Some("then"))]
        {
            let obeyed = text.chars().filter(|c| c.is_control() && *c != '\n').count();
            assert_eq!(obeyed, 0, "{text:?}");
            assert!(!text.contains('\u{202e}') && !text.lines().any(|line| line.starts_with("well")), "{text}");
            assert!(text.contains("\\u{1b}[2J\\u{9b}1A\\r"), "{text}");
        }
    }

    #[test]
    fn a_long_list_of_checks_is_counted() {
        insta::assert_snapshot!([folded(&["a.b"; 12]), folded(&["a.b"; 13])].join("\n"));
    }
}
