//! The report as JUnit XML, which most continuous integration shows.

use super::super::report::Report;
use crate::finding::{Finding, Status};

/// One test case for each finding, and a skipped one for each check that was not run.
pub fn junit(report: &Report) -> String {
    let counts = report.counts();
    let total = report.findings.len() + report.skipped.len();
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"rcfed doctor {}\" tests=\"{total}\" failures=\"{}\" \
         errors=\"{}\" skipped=\"{}\" timestamp=\"{}\">\n",
        escaped(&report.subject.server_name),
        counts.fail,
        counts.unknown,
        counts.skipped,
        report.subject.at.strftime("%Y-%m-%dT%H:%M:%S"),
    );
    for (place, finding) in &report.findings {
        let case = format!(
            "  <testcase classname=\"{}\" name=\"{}: {}\"",
            place.name(),
            finding.id,
            escaped(&finding.subject)
        );
        let inside = match finding.status {
            Status::Ok | Status::Info => None,
            // A warning is no failure, and JUnit has no word for it: it is told where people look for output.
            Status::Warn => Some(format!("<system-out>{}</system-out>", escaped(&words(finding)))),
            Status::Unknown => Some(problem("error", finding)),
            Status::Fail => Some(problem("failure", finding)),
        };
        text.push_str(&inside.map_or_else(|| format!("{case}/>\n"), |inside| format!("{case}>{inside}</testcase>\n")));
    }
    for (place, id, because) in &report.skipped {
        text.push_str(&format!(
            "  <testcase classname=\"{}\" name=\"{id}\"><skipped message=\"{because} failed\"/></testcase>\n",
            place.name()
        ));
    }
    text.push_str("</testsuite>\n");
    text
}

fn problem(element: &str, finding: &Finding) -> String {
    format!("<{element} message=\"{}\">{}</{element}>", escaped(&finding.summary), escaped(&words(finding)))
}

fn words(finding: &Finding) -> String {
    let mut lines = vec![finding.summary.clone()];
    lines.extend(finding.evidence.iter().map(|line| format!("seen: {line}")));
    lines.extend(finding.remedy.iter().chain(&finding.commands).map(|line| format!("do: {line}")));
    lines.join("\n")
}

fn escaped(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => result.push_str("&amp;"),
            '<' => result.push_str("&lt;"),
            '>' => result.push_str("&gt;"),
            '"' => result.push_str("&quot;"),
            '\n' | '\t' => result.push(c),
            // XML 1.0 has no way to write these at all.
            c if c.is_control() => result.push('\u{fffd}'),
            c => result.push(c),
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::super::super::report::tests::example;
    use super::*;

    #[test]
    fn a_case_for_each_finding() {
        insta::assert_snapshot!(junit(&example()));
        assert_eq!(escaped("a<b>\u{1b}[0m&\"\n"), "a&lt;b&gt;\u{fffd}[0m&amp;&quot;\n");
    }
}
