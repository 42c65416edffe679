//! The reference of all checks, for `--explain`, `--list-checks` and `docs/checks.md`: made from the table, so it is true.

use super::super::check::{Place, Row};
use super::super::checks::rows;

/// Every id with what is tested, one line each.
pub fn list() -> String {
    let checks = rows();
    let width = checks.iter().map(|check| check.id.len()).max().unwrap_or_default();
    let lines: Vec<String> = checks.iter().map(|check| format!("{:width$}  {}", check.id, check.doc.what)).collect();
    lines.join("\n")
}

/// The page of a check on the terminal.
pub fn explain(check: &Row) -> String {
    let doc = &check.doc;
    let mut text = format!("{}  ({})\n\n", check.id, check.place.title());
    for (title, words) in
        [("Tests", doc.what), ("Why", doc.why), ("Fails", doc.fails), ("Fix", doc.fix), ("Source", doc.source)]
    {
        text.push_str(&format!("{title:<8}{words}\n"));
    }
    let needs = if check.needs.is_empty() { "nothing".into() } else { check.needs.join(", ") };
    text.push_str(&format!("{:<8}{needs}", "Needs"));
    text
}

/// `docs/checks.md`.
pub fn markdown() -> String {
    let mut text = String::from(
        "# Checks of `rcfed doctor`\n\nGenerated from the code; `make docs` writes it again. The name of a check is a contract: it \
         is never used for something else. A check that needs a failed one is not run, and is told below it.\n",
    );
    let checks = rows();
    for place in Place::all() {
        text.push_str(&format!("\n## {}\n", place.title()));
        for check in checks.iter().filter(|check| check.place == place) {
            let doc = &check.doc;
            text.push_str(&format!(
                "\n### {}\n\n**Tests:** {}\n\n**Why:** {}\n\n**Fails:** {}\n\n**Fix:** {}\n\n**Source:** {}\n",
                check.id, doc.what, doc.why, doc.fails, doc.fix, doc.source
            ));
            if !check.needs.is_empty() {
                let needs: Vec<String> =
                    check.needs.iter().map(|need| format!("[`{need}`](#{})", need.replace('.', ""))).collect();
                text.push_str(&format!("\n**Needs:** {}\n", needs.join(", ")));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `RCFED_UPDATE_DOCS=1` writes the page instead of comparing it.
    #[test]
    fn the_page_is_that_of_the_code() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/checks.md");
        if std::env::var_os("RCFED_UPDATE_DOCS").is_some() {
            std::fs::write(&path, markdown()).unwrap();
        }
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(there == markdown(), "docs/checks.md is stale: run `make docs`");
    }

    #[test]
    fn a_page_on_the_terminal() {
        let check = super::super::super::checks::find("bridge.transaction").unwrap();
        insta::assert_snapshot!(explain(&check));
    }
}
