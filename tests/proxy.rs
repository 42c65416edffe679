//! Beside an nginx that has sites already: rcfed's two files come and go, the other sites never notice.

mod support;

use support::Bed;
use support::machine::Machine;

#[test]
#[ignore = "minutes long; `make test-all` runs it"]
fn beside_an_nginx_with_sites_of_its_own() {
    let Some(bed) = Bed::up() else { return };
    let machine = Machine::up(&bed, "dendrite", "proxy = \"host\"");
    machine.run(&["apt-get", "-q", "update"]).well();
    let install =
        ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y", "--no-install-recommends", "install"];
    machine.run(&[&install[..], &["nginx-light"]].concat()).well();
    let other =
        "server { listen 80; listen [::]:80; server_name old.fed.test; location / { return 200 \"the old site\"; } }\n";
    std::fs::write(machine.root.join("etc/nginx/conf.d/old.conf"), other).expect("old site");
    machine.run(&["systemctl", "restart", "nginx"]).well();
    bed.bed(&["dns", "set", "old.fed.test", "A", "198.51.100.30"]);
    old_site_answers(&bed);

    let init = machine.rcfed(&["init", "--answers", "/root/answers.toml", "--yes", "--no-input"]).well();
    assert!(init.stdout.contains("Federation     valid"), "{}", init.stdout);
    for url in [
        "https://chat.fed.test/api/info",
        "https://fed.test/.well-known/matrix/server",
        "https://matrix.fed.test/_matrix/federation/v1/version",
    ] {
        let (status, body) = bed.https(url, &[]);
        assert_eq!(status, 200, "{url}: {body}");
    }
    // What is escaped in a path reaches the homeserver as it was sent: 401, since nobody signed, and not 404.
    let (status, body) = bed.https("https://matrix.fed.test/_matrix/federation/v1/event/%24a%2Fb", &["--path-as-is"]);
    assert_eq!(status, 401, "{body}");
    old_site_answers(&bed);
    let again = machine.rcfed(&["apply"]).well();
    assert!(again.stderr.contains("nothing was changed"), "{}", again.stderr);
    machine.rcfed(&["renew", "--force"]).well();

    // Edited by hand: found and mended. Its owner's mistake: named, and nothing is loaded.
    let ours = machine.root.join("etc/nginx/conf.d/rcfed-https.conf");
    let text = std::fs::read_to_string(&ours).expect("rcfed's file");
    std::fs::write(&ours, text.replace("200m", "1m")).expect("edit");
    let broken = machine.root.join("etc/nginx/conf.d/broken.conf");
    std::fs::write(&broken, "server { listen 80; no_such_thing; }\n").expect("broken");
    let refused = machine.rcfed(&["apply"]);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("no_such_thing") && refused.stderr.contains("nginx -t"), "{}", refused.stderr);
    old_site_answers(&bed);
    std::fs::remove_file(&broken).expect("mended");
    let mended = machine.rcfed(&["apply"]).well();
    assert!(mended.stderr.contains("Mended site:https"), "{}", mended.stderr);
    assert_eq!(std::fs::read_to_string(&ours).expect("rcfed's file"), text);

    machine.rcfed(&["uninstall", "--yes"]).well();
    let left = machine.run(&["ls", "/etc/nginx/conf.d"]).well();
    assert_eq!(left.stdout, "old.conf\n");
    old_site_answers(&bed);
    let closed = bed.inet(&["curl", "-sS", "--max-time", "5", "https://chat.fed.test/api/info"]);
    assert!(!closed.ok, "{}", closed.stdout);
    bed.bed(&["vm", "down"]);
}

fn old_site_answers(bed: &Bed) {
    let answer = bed.inet(&["curl", "-sS", "--max-time", "5", "http://old.fed.test/"]).well();
    assert_eq!(answer.stdout, "the old site");
}
