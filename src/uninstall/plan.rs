//! What goes and what stays, as a person reads it before confirming.

use std::path::Path;

use super::{Item, STAYS, Survey};
use crate::layout;
use crate::receipt::Undo;

/// The plan of an uninstall.
pub fn text(survey: &Survey) -> String {
    let mut text = String::new();
    if survey.removes.is_empty() {
        text.push_str("Nothing is left to remove.\n");
    } else {
        text.push_str("This goes:\n");
        rows(&mut text, &survey.removes);
    }
    if !survey.keeps.is_empty() {
        text.push_str("\nThis stays, and a later `rcfed init` uses it again (`--purge` removes it, too):\n");
        rows(&mut text, &survey.keeps);
    }
    if !survey.stays.is_empty() {
        text.push_str("\nThis stays, because it is not rcfed's alone:\n");
        for (undo, why) in &survey.stays {
            let (kind, name) = row(undo);
            text.push_str(&format!("  {kind:<14}{name}: {why}\n"));
        }
    }
    if survey.purge {
        text.push_str("\nEven a purge leaves:\n");
        for (what, why) in STAYS {
            text.push_str(&format!("  {what}: {why}\n"));
        }
    }
    text.push_str("\nNothing has been removed yet.");
    text
}

fn rows(text: &mut String, items: &[Item]) {
    let mut kinds: Vec<(&str, Vec<String>)> = Vec::new();
    for item in items {
        let (kind, name) = row(&item.undo);
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, names)) => names.push(name),
            None => kinds.push((kind, vec![name])),
        }
    }
    for (kind, mut names) in kinds {
        names.sort();
        names.dedup();
        // Nobody reads sixty paths.
        let shown = match kind {
            "files" | "directories" | "secrets" if names.len() > 3 => {
                let above = common(&names);
                format!("{} below {}", names.len(), above.display())
            }
            _ => names.join(", "),
        };
        text.push_str(&format!("  {kind:<14}{shown}\n"));
    }
}

fn row(undo: &Undo) -> (&'static str, String) {
    let path = undo.path().map(|path| path.display().to_string()).unwrap_or_default();
    match undo {
        Undo::Disconnect { container } => ("disconnected", container.clone()),
        Undo::RestoreSettings { of, .. } => ("settings", format!("federation settings of {of}, as they were before")),
        Undo::RemoveContainer { name } => ("containers", name.clone()),
        Undo::RemoveImage { reference } => ("images", reference.clone()),
        Undo::RemoveNetwork { name } => ("network", name.clone()),
        Undo::RemovePackage { name } => ("packages", name.clone()),
        Undo::RemoveVolume { name } => ("volumes", name.clone()),
        Undo::RemoveSite { .. } => ("site files", path),
        Undo::RemoveUnit { .. } => ("renewal", path),
        Undo::RemoveFile { path: file } if file.starts_with("/etc") => ("renewal", path),
        Undo::RemoveDirectory { .. } => ("directories", path),
        Undo::RestoreFile { .. } => ("put back", path),
        Undo::PurgeFile { path: file } if file.starts_with(layout::SECRETS) => ("secrets", path),
        Undo::PurgeFile { path: file } if file.starts_with(layout::CERTIFICATE) => ("certificate", path),
        Undo::PurgeTree { path: tree } if tree == Path::new(layout::DUMPS) => ("dumps", path),
        Undo::PurgeTree { .. } => ("certificate", path),
        Undo::PurgeFile { path: file } if file == Path::new(layout::RAN) => ("dumps", path),
        Undo::PurgeFile { path: file } if file.starts_with("/etc") => ("configuration", path),
        Undo::PurgeFile { .. } => ("configuration", path),
        _ => ("files", path),
    }
}

fn common(paths: &[String]) -> &Path {
    let first = Path::new(paths.first().map_or("/", String::as_str));
    let mut above = first.ancestors().skip(1);
    above.find(|above| paths.iter().all(|path| Path::new(path).starts_with(above))).unwrap_or(Path::new("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans() {
        let item = |undo| Item { undo };
        let file = |path: &str| item(Undo::RemoveFile { path: path.into() });
        let removes = vec![
            file("/etc/cron.d/rcfed"),
            item(Undo::RestoreSettings { of: "chat".into(), backup: layout::SETTINGS_BEFORE.into() }),
            item(Undo::RemoveContainer { name: "rcfed-gateway".into() }),
            item(Undo::RemoveContainer { name: "rcfed-mongodb".into() }),
            item(Undo::RemoveNetwork { name: "rcfed".into() }),
            file("/var/lib/rcfed/services/gateway/nginx.conf"),
            file("/var/lib/rcfed/services/gateway/http.conf"),
            file("/var/lib/rcfed/services/postgres/start.sh"),
            file("/var/lib/rcfed/images.json"),
            item(Undo::RemoveDirectory { path: "/var/lib/rcfed/services".into() }),
        ];
        let keeps = vec![
            item(Undo::RemoveVolume { name: "rcfed-mongodb".into() }),
            item(Undo::PurgeFile { path: layout::RAN.into() }),
            item(Undo::PurgeTree { path: layout::DUMPS.into() }),
            item(Undo::PurgeFile { path: "/var/lib/rcfed/secrets/as_token".into() }),
            item(Undo::PurgeFile { path: layout::CONFIG.into() }),
        ];
        let used = Undo::RemoveImage { reference: "docker.io/library/nginx:1.28".into() };
        let stays = vec![(used, "the container `web` uses it".to_string())];
        let keep = Survey { removes: removes.clone(), keeps: keeps.clone(), stays, ..Survey::default() };
        let purge = Survey { removes: [removes, keeps.clone()].concat(), purge: true, ..Survey::default() };
        let left = Survey { keeps, ..Survey::default() };
        insta::assert_snapshot!([keep, purge, left].map(|survey| text(&survey)).join("\n\n----\n\n"));
    }
}
