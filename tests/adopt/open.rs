//! A Rocket.Chat that people open at its own address, behind an nginx with TLS on another machine: adopted by that address,
//! with a certificate of somebody's own authority.

use std::path::PathBuf;
use std::process::Command;

use serde_json::json;

use crate::support::Bed;
use crate::surroundings::Server;
use crate::theirs::{PRIVATE, Theirs};
use crate::without_status;

const ADDRESS: &str = "198.51.100.20";

#[test]
fn one_with_tls_is_taken_by_the_address_that_people_open() {
    if !crate::all() {
        return;
    }
    let Some(bed) = Bed::up_two() else { return };
    let theirs = Theirs::on_second(&bed);
    let _nginx = nginx(&bed);
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

    let ca = authority(&bed).display().to_string();
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
    let pair = std::fs::read_to_string(bed.root().join("var/lib/rcfed/certificate/pair.pem")).unwrap();
    let text =
        Command::new("sh").args(["-c", &format!("openssl x509 -noout -text <<'X'\n{pair}\nX")]).output().unwrap();
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains("DNS:matrix.fed.test") && !text.contains("chat.fed.test"), "{text}");
    bed.is_well();
    assert!(bed.rcfed(&["apply"]).well().stderr.contains("nothing was changed"));

    bed.rcfed(&["uninstall", "--yes"]).well();
    assert_eq!(without_status(theirs.settings()), without_status(before));
    assert_eq!((theirs.started(), theirs.tokens()), (started, 0));
}

/// Their nginx, on the second machine.
fn nginx(bed: &Bed) -> Server {
    let (key, chain) = certificate(bed);
    let state = bed.value("RCFED_STATE");
    let conf = format!(
        "daemon off; pid {state}/open-nginx.pid; error_log stderr; events {{}}\nhttp {{\naccess_log off;\n\
         client_body_temp_path {state}/site-body; proxy_temp_path {state}/site-proxy;\n\
         fastcgi_temp_path {state}/site-f; uwsgi_temp_path {state}/site-u; scgi_temp_path {state}/site-s;\n\
         server {{\nlisten {ADDRESS}:443 ssl;\nserver_name chat.fed.test;\nssl_certificate {};\nssl_certificate_key {};\n\
         location /standing-here {{ return 404 'their own nginx'; }}\n\
         location / {{ proxy_pass http://127.0.0.1:3000; proxy_http_version 1.1; proxy_set_header Host $host;\n\
         proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $http_connection; }}\n}}\n}}\n",
        chain.display(),
        key.display(),
    );
    let file = format!("{state}/open-nginx.conf");
    std::fs::write(&file, conf).unwrap();
    let script = format!(
        "nginx -c {file} >&2 & server=$!\nwhile ! curl -sk -o /dev/null --max-time 2 --resolve chat.fed.test:443:{ADDRESS} \
         https://chat.fed.test/standing-here; do\nkill -0 $server || exit 1\nsleep 0.1\ndone\necho listening\nwait"
    );
    Server::start("run", &["-2", "sh", "-c", &script])
}

fn authority(bed: &Bed) -> PathBuf {
    PathBuf::from(bed.value("RCFED_STATE")).join("open-ca.crt")
}

/// Key and certificate, by an authority that no machine of the bed knows.
fn certificate(bed: &Bed) -> (PathBuf, PathBuf) {
    let at = |file: &str| PathBuf::from(bed.value("RCFED_STATE")).join(file);
    let script = "set -e\n\
        new='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'\n\
        openssl req -x509 $new -days 90 -subj '/CN=their own authority' -keyout open-ca.key -out open-ca.crt\n\
        openssl req -new $new -subj /CN=chat.fed.test -keyout open.key -out open.csr\n\
        printf 'subjectAltName=DNS:chat.fed.test\\nextendedKeyUsage=serverAuth\\n' >open.ext\n\
        openssl x509 -req -in open.csr -CA open-ca.crt -CAkey open-ca.key -CAcreateserial -days 90 -extfile open.ext -out open.crt";
    let output = Command::new("sh").args(["-c", script]).current_dir(at("")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (at("open.key"), at("open.crt"))
}
