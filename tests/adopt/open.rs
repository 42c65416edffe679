//! A Rocket.Chat that people open at its own address, behind an nginx with TLS on another machine: adopted by that address,
//! with a certificate of somebody's own authority.

use std::path::PathBuf;

use serde_json::json;

use crate::site;
use crate::support::Bed;
use crate::surroundings::Server;
use crate::theirs::{PRIVATE, Theirs};
use crate::without_status;

const NAME: &str = "chat.fed.test";
const ADDRESS: &str = "198.51.100.20";

#[test]
fn one_with_tls_is_taken_by_the_address_that_people_open() {
    if !crate::all() {
        return;
    }
    let Some(bed) = Bed::up_two() else { return };
    let theirs = Theirs::on_second(&bed);
    let authority = site::authority(&bed);
    let _nginx = nginx(&bed, &authority);
    bed.bed(&["dns", "set", "chat.fed.test", "A", ADDRESS]);
    bed.bed(&["dns", "del", "chat.fed.test", "AAAA"]);
    let (before, started) = (theirs.settings(), theirs.started());
    let init = |lines: &str| {
        let answers = theirs.answers("dendrite", lines);
        bed.rcfed(&["init", "--answers", &answers, "--yes", "--no-input"])
    };
    let state = || ["etc/rcfed", "var/lib/rcfed"].map(|path| bed.root().join(path).exists());

    let bridge = format!("bridge_url = \"http://{PRIVATE}:3300\"");
    let line = format!("url = \"https://chat.fed.test\"\n{bridge}");
    let refused = init(&line);
    assert_eq!((refused.code, state()), (Some(1), [false, false]), "{}", refused.stderr);
    assert!(refused.stderr.contains("the certificate of https://chat.fed.test/ is not accepted"), "{}", refused.stderr);
    assert!(refused.stderr.contains("as `ca` below `[federation]`"), "{}", refused.stderr);
    let clear = init(&format!("url = \"http://{ADDRESS}:3000\"\n{bridge}"));
    assert_eq!((clear.code, state()), (Some(2), [false, false]), "{}", clear.stderr);
    assert!(clear.stderr.contains("password and token would be sent there in clear"), "{}", clear.stderr);

    let ca = authority.1.display().to_string();
    let run = init(&format!("{line}\n[federation]\nca = \"{ca}\"")).well();
    assert!(run.stdout.contains("Federation     valid"), "{}", run.stdout);
    for (id, value) in [
        ("homeserver_url", json!("https://matrix.fed.test")),
        ("bridge_url", json!(format!("http://{PRIVATE}:3300"))),
        ("enabled", json!(true)),
    ] {
        assert_eq!(theirs.setting(id), value, "{id}");
    }
    // People still come to the machine they came to, and this one has no certificate for their name.
    let (status, body) = bed.https("https://chat.fed.test/standing-here", &["--cacert", &ca]);
    assert!(status == 404 && body.contains("their own nginx"), "{body}");
    let pair = bed.root().join("var/lib/rcfed/certificate/pair.pem");
    let text = site::openssl(&["x509", "-in", pair.to_str().unwrap(), "-noout", "-text"]);
    assert!(text.contains("DNS:matrix.fed.test") && !text.contains("chat.fed.test"), "{text}");
    bed.is_well();
    assert!(bed.rcfed(&["apply"]).well().stderr.contains("nothing was changed"));

    bed.rcfed(&["uninstall", "--yes"]).well();
    assert_eq!(without_status(theirs.settings()), without_status(before));
    assert_eq!((theirs.started(), theirs.tokens()), (started, 0));
}

/// Their nginx, on the second machine.
fn nginx(bed: &Bed, authority: &(PathBuf, PathBuf)) -> Server {
    let site = "location /standing-here { return 404 'their own nginx'; }\n\
         location / { proxy_pass http://127.0.0.1:3000; proxy_http_version 1.1; proxy_set_header Host $host;\n\
         proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $http_connection; }";
    let here = (NAME, ADDRESS);
    let conf = site::nginx_conf(bed, here, &site::certificate_by(bed, authority, &[NAME]), site);
    site::started_at("run", &["-2"], here, &format!("nginx -c {conf}"))
}
