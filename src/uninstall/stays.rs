//! The one list of what a purge leaves behind, and why. `docs/uninstall.md` has the same lines.

/// What `rcfed uninstall --purge` leaves, each with the reason. All else is as it was before `rcfed init`.
pub const STAYS: [(&str, &str); 8] = [
    ("the program `rcfed` itself", "it is running; `rm` it when you are done"),
    (
        "the package manager's lists, caches and logs, where rcfed installed Docker",
        "they say what really happened on the machine",
    ),
    (
        "`/var/lib/docker`, `/var/lib/containerd`, `/etc/docker` and the group `docker`, where rcfed installed Docker",
        "packages are removed and never purged: purging Docker deletes everybody's volumes",
    ),
    (
        "configuration and service links in `/etc` of the packages that rcfed installed with Docker",
        "it is what a removed package leaves for its next installation; `dpkg --list` shows such packages as `rc`",
    ),
    ("images that somebody else's container uses or that were there before", "they are not rcfed's alone"),
    ("the system's journal, and systemd's stamp of the last renewal", "logs are the administrator's"),
    ("the account and the certificates in the authority's books", "certificates end by themselves within 90 days"),
    ("what other servers keep: rooms, messages, the name", "a Matrix room lives on every server that is in it"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_has_the_same_list() {
        let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/uninstall.md")).unwrap();
        let rows: Vec<String> = STAYS.iter().map(|(what, why)| format!("| {what} | {why} |")).collect();
        let after = text.rsplit_once("|---|---|\n").unwrap().1;
        let told: Vec<&str> = after.lines().take_while(|line| line.starts_with('|')).collect();
        assert_eq!(told, rows);
    }
}
