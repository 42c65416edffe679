//! The report as a textfile for Prometheus' node exporter.

use std::collections::BTreeMap;

use super::super::report::Report;
use crate::finding::Status;

/// One gauge for each check with the worst of its findings, and two for the whole run.
pub fn prometheus(report: &Report) -> String {
    let mut checks: BTreeMap<&str, Status> = BTreeMap::new();
    for (_, finding) in &report.findings {
        let worst = checks.entry(finding.id).or_insert(finding.status);
        *worst = finding.status.max(*worst);
    }
    let mut text = String::from(
        "# HELP rcfed_doctor_check Worst finding of a check: 0 ok, 1 info, 2 unknown, 3 warn, 4 fail, 5 skipped.\n\
         # TYPE rcfed_doctor_check gauge\n",
    );
    for (id, status) in checks {
        text.push_str(&format!("rcfed_doctor_check{{id=\"{id}\"}} {}\n", status as u8));
    }
    for (_, id, _) in &report.skipped {
        text.push_str(&format!("rcfed_doctor_check{{id=\"{id}\"}} 5\n"));
    }
    let counts = report.counts();
    text.push_str(&format!(
        "# HELP rcfed_doctor_findings Findings by status.\n# TYPE rcfed_doctor_findings gauge\n\
         rcfed_doctor_findings{{status=\"ok\"}} {}\nrcfed_doctor_findings{{status=\"info\"}} {}\n\
         rcfed_doctor_findings{{status=\"unknown\"}} {}\nrcfed_doctor_findings{{status=\"warn\"}} {}\n\
         rcfed_doctor_findings{{status=\"fail\"}} {}\n\
         # HELP rcfed_doctor_run_timestamp_seconds When the doctor ran.\n\
         # TYPE rcfed_doctor_run_timestamp_seconds gauge\nrcfed_doctor_run_timestamp_seconds {}\n",
        counts.ok,
        counts.info,
        counts.unknown,
        counts.warn,
        counts.fail,
        report.subject.at.as_second(),
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::super::super::report::tests::example;
    use super::*;

    #[test]
    fn a_line_for_each_check() {
        insta::assert_snapshot!(prometheus(&example()));
    }
}
