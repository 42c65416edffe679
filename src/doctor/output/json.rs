//! The report for programs; `docs/doctor.schema.json` describes it.

use serde_json::{Value, json};

use super::super::past::Change;
use super::super::report::{Report, page};
use crate::finding::{Finding, Status};

/// The whole report. `changes` since the last run, if they were asked for.
pub fn json(report: &Report, changes: Option<&[Change]>) -> Value {
    let subject = &report.subject;
    let findings: Vec<Value> = report.findings.iter().map(|(place, f)| finding(f, Some(place.name()))).collect();
    let skipped: Vec<Value> = report
        .skipped
        .iter()
        .map(|(place, id, because)| json!({ "id": id, "place": place.name(), "because": because }))
        .collect();
    let mut document = json!({
        "schema_version": 1,
        "rcfed": subject.version,
        "server_name": subject.server_name,
        "profile": subject.profile,
        "at": subject.at.to_string(),
        "took_ms": u64::try_from(report.took).unwrap_or(u64::MAX),
        "status": report.status().name(),
        "verdict": report.verdict(),
        "first_cause": report.first_cause().map(|finding| finding.id),
        "counts": report.counts(),
        "findings": findings,
        "skipped": skipped,
        "ignored": report.ignored.iter().map(|f| finding(f, None)).collect::<Vec<Value>>(),
    });
    if let (Some(changes), Value::Object(object)) = (changes, &mut document) {
        object.insert("changes".into(), json!(changes));
    }
    document
}

fn finding(finding: &Finding, place: Option<&str>) -> Value {
    let mut value = json!({
        "id": finding.id,
        "subject": finding.subject,
        "status": finding.status.name(),
        "summary": finding.summary,
        "evidence": finding.evidence,
        "remedy": finding.remedy,
        "commands": finding.commands,
        "cached": finding.cached,
        "page": (finding.status > Status::Info).then(|| page(finding.id)),
    });
    if let (Some(place), Value::Object(object)) = (place, &mut value) {
        object.insert("place".into(), json!(place));
    }
    value
}

#[cfg(test)]
mod tests {
    use super::super::super::past::Past;
    use super::super::super::report::tests::example;
    use super::*;

    #[test]
    fn it_is_what_the_schema_says() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/doctor.schema.json");
        let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let report = example();
        let changes = Past::default().changes(&report);
        for document in [json(&report, None), json(&report, Some(&changes))] {
            let problems: Vec<String> =
                validator.iter_errors(&document).map(|e| format!("{}: {e}", e.instance_path())).collect();
            assert_eq!(problems, Vec::<String>::new());
        }
        // It says something: what lacks a part, or has another one, is refused.
        for key in ["findings", "verdict", "schema_version", "counts"] {
            let mut without = json(&report, None);
            without.as_object_mut().unwrap().remove(key);
            assert!(!validator.is_valid(&without), "without {key}");
        }
        let mut more = json(&report, None);
        more["findings"][0]["status"] = json!("broken");
        assert!(!validator.is_valid(&more));
        insta::assert_snapshot!(serde_json::to_string_pretty(&json(&report, Some(&changes))).unwrap());
    }
}
