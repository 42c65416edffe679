//! What the doctor tells of each fault of the table, in `told.txt`: a run compares the sections of the faults that it tries.

use std::path::PathBuf;

use serde_json::Value;

use crate::faults::FAULTS;

/// Compares what is told of the fault `name`, on a bed whose files are below `state`. `RCFED_UPDATE_DOCS=1` writes its section instead.
pub fn compare(name: &str, finding: &Value, state: &str) -> Result<(), String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/doctor/told.txt");
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let told = section(name, finding, state);
    let find = |name: &str| kept.split("\n\n").find(|section| section.lines().next() == Some(&format!("# {name}")));
    if find(name).map(str::trim_end) == Some(&told) {
        return Ok(());
    }
    if std::env::var_os("RCFED_UPDATE_DOCS").is_none() {
        let kept = find(name).unwrap_or("nothing");
        return Err(format!("tests/doctor/told.txt has\n{kept}\nand it tells\n{told}"));
    }
    let sections =
        FAULTS.iter().filter_map(|fault| if fault.name == name { Some(told.as_str()) } else { find(fault.name) });
    let sections: Vec<&str> = sections.map(str::trim_end).collect();
    std::fs::write(&path, sections.join("\n\n") + "\n").map_err(|error| error.to_string())
}

/// The faults that have a section, in their order.
pub fn names() -> Vec<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/doctor/told.txt");
    let kept = std::fs::read_to_string(path).unwrap();
    kept.lines().filter_map(|line| line.strip_prefix("# ")).map(str::to_owned).collect()
}

/// Its sentence and what is to be done, without what differs from run to run. What was seen is not part of it, since servers say
/// in their logs what they like.
fn section(name: &str, finding: &Value, state: &str) -> String {
    let text = |key: &str| finding[key].as_str().unwrap_or_default();
    let mut lines = vec![
        format!("{} {}  {} {}", text("status"), text("id"), text("subject"), text("summary")),
        text("remedy").to_owned(),
    ];
    lines.extend(finding["commands"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
    lines.push(text("cached").to_owned());
    let lines: Vec<String> = lines.iter().flat_map(|text| text.lines()).map(steady).collect();
    format!("# {name}\n{}", lines.join("\n    ").replace(state, "STATE").trim_end())
}

/// Without days, times, sizes, spans and the ids of processes.
fn steady(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let counted = |at: usize| {
        let next = words.get(at + 1).is_some_and(|word| ["MB", "hours"].contains(word));
        next || (at > 0 && words[at - 1].trim_start_matches('(') == "pid")
    };
    let word = |at: usize| {
        let bare = words[at].trim_end_matches([')', ',']);
        let kind = match bare {
            _ if bare.parse::<jiff::civil::Date>().is_ok() => "DAY",
            _ if bare.len() == 5 && bare.as_bytes()[2] == b':' => "TIME",
            _ if counted(at) => "SOME",
            _ => return words[at].to_owned(),
        };
        words[at].replacen(bare, kind, 1)
    };
    (0..words.len()).map(word).collect::<Vec<_>>().join(" ")
}
