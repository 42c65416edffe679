//! The federated domain as somebody else's web site: the printed lines in real web servers, and a deployment that waits for
//! them.

#[path = "support/site.rs"]
mod site;
mod support;
#[allow(dead_code)]
#[path = "support/surroundings.rs"]
mod surroundings;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use support::Bed;
use surroundings::Server;

/// Where the homeserver's stand-in is: another address that is free for tests.
const MATRIX: &str = "198.51.100.8";

#[test]
fn nginx_answers_with_the_printed_lines() {
    let Some(bed) = Bed::up() else { return };
    let _homeserver = homeserver(&bed);
    let _site = site::nginx(&bed, &printed(&bed, "nginx"));
    answers(&bed, "nginx");
    // Files alone: what is written when the lines are run.
    let directory = tempfile::tempdir().unwrap();
    let run =
        Command::new("sh").args(["-eu", "-c", &printed(&bed, "static")]).current_dir(&directory).status().unwrap();
    assert!(run.success());
    let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap();
    assert_eq!(read(".well-known/matrix/server"), "{\"m.server\":\"matrix.fed.test:443\"}");
    assert_eq!(read(".well-known/matrix/client"), "{\"m.homeserver\":{\"base_url\":\"https://matrix.fed.test\"}}");
    assert!(directory.path().join(".nojekyll").exists() && read("_redirects").ends_with(" 307\n"));
}

#[test]
#[ignore = "minutes long; `make test-all` runs it"]
fn apache_answers_with_the_printed_lines() {
    let Some(bed) = Bed::up() else { return };
    let _homeserver = homeserver(&bed);
    let state = bed.value("RCFED_STATE");
    let lines = printed(&bed, "apache").replace("/var/www", &format!("{state}/www"));
    for command in lines.lines().filter_map(|line| line.strip_prefix("#   ")).filter(|c| !c.starts_with("a2enmod")) {
        assert!(Command::new("sh").args(["-c", command]).status().unwrap().success(), "{command}");
    }
    let modules = "mpm_event authz_core alias headers proxy proxy_http socache_shmcb ssl".split(' ');
    let modules: String =
        modules.map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n")).collect();
    let (key, chain) = site::certificate(&bed, &["fed.test"]);
    let conf = format!(
        "{modules}ServerName fed.test\nServerRoot {state}\nPidFile {state}/apache.pid\nErrorLog /dev/stderr\n\
         Listen {}:443\nDocumentRoot {state}/www\n<VirtualHost *:443>\nServerName fed.test\nSSLEngine on\n\
         SSLCertificateFile {}\nSSLCertificateKeyFile {}\nRedirectMatch 303 \"^/$\" \"https://elsewhere.example/\"\n{lines}\n</VirtualHost>\n",
        site::ADDRESS,
        chain.display(),
        key.display(),
    );
    let file = site::kept(&bed, "apache.conf", &conf);
    let _site = site::started(&format!("/usr/sbin/apache2 -f {file} -D FOREGROUND"));
    answers(&bed, "apache");
}

#[test]
#[ignore = "minutes long; `make test-all` runs it"]
fn caddy_answers_with_the_printed_lines() {
    let Some(bed) = Bed::up() else { return };
    let _homeserver = homeserver(&bed);
    let (key, chain) = site::certificate(&bed, &["fed.test"]);
    let conf = format!(
        "{{\n\tadmin off\n\tauto_https off\n}}\nhttps://fed.test {{\n\tbind {}\n\ttls {} {}\n{}\n\
         \thandle {{\n\t\tredir / https://elsewhere.example/ 303\n\t\trespond 404\n\t}}\n}}\n",
        site::ADDRESS,
        chain.display(),
        key.display(),
        printed(&bed, "caddy"),
    );
    let file = site::kept(&bed, "Caddyfile", &conf);
    let state = bed.value("RCFED_STATE");
    let home = format!("env XDG_CONFIG_HOME={state}/caddy XDG_DATA_HOME={state}/caddy");
    let _site = site::started(&format!("{home} caddy run --adapter caddyfile --config {file}"));
    answers(&bed, "caddy");
}

/// `init` ends as pending, or waits until the site answers; the doctor says what the site lacks still.
#[test]
#[ignore = "minutes long; `make test-all` runs it"]
fn a_deployment_waits_for_the_web_site() {
    let Some(bed) = Bed::up() else { return };
    site::in_dns(&bed, "fed.test");
    let file = bed.answers("dendrite", "apex = \"elsewhere\"");
    let words = ["init", "--answers", file.to_str().unwrap(), "--yes", "--no-input", "--wait-for-apex", "5"];
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bed/bed");
    let mut command = Command::new(script);
    command.arg("run").arg(env!("CARGO_BIN_EXE_rcfed")).args(words);
    let mut init = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let stderr = BufReader::new(init.stderr.take().unwrap());
    let mut lines = stderr.lines().map_while(Result::ok);
    let waits = lines.by_ref().find(|line| line.starts_with("Waiting up to"));
    assert!(waits.is_some(), "{}", std::io::read_to_string(init.stdout.take().unwrap()).unwrap());
    // Without the question whether somebody exists, as a site without a proxy.
    let documents: String = printed(&bed, "nginx").split("# Other Rocket.Chats").next().unwrap().into();
    let site = site::nginx(&bed, &documents);
    let rest: Vec<String> = lines.collect();
    let output = init.wait_with_output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{stdout}{rest:#?}");
    let (pending, valid) = (stdout.find("Federation     pending"), stdout.find("Federation     valid"));
    assert!(pending.is_some() && pending < valid, "{stdout}");

    let available = |bed: &Bed| {
        let run = bed.rcfed(&["doctor", "--json", "--only", "wellknown.available"]);
        let report: Value = serde_json::from_str(&run.stdout).unwrap();
        let found = report["findings"].as_array().unwrap().iter().find(|f| f["id"] == "wellknown.available").cloned();
        found.unwrap_or_else(|| panic!("{report:#}"))
    };
    let lacks = available(&bed);
    assert_eq!(lacks["status"], "warn", "{lacks:#}");
    insta::assert_snapshot!(format!(
        "{} {}\n{}\n{}",
        lacks["subject"], lacks["summary"], lacks["evidence"], lacks["remedy"]
    ));
    drop(site);
    let _site = site::nginx(&bed, &printed(&bed, "nginx"));
    let has = available(&bed);
    assert_eq!(has["status"], "ok", "{has:#}");
}

/// What `rcfed apex` prints for the bed's names.
fn printed(bed: &Bed, kind: &str) -> String {
    let answers = bed.answers("dendrite", "apex = \"elsewhere\"");
    bed.rcfed(&["apex", kind, "--answers", answers.to_str().unwrap()]).well().stdout
}

/// Everything that others ask of the site, and that the rest of it is as before.
fn answers(bed: &Bed, server: &str) {
    for (path, body) in [
        ("server", "{\"m.server\":\"matrix.fed.test:443\"}"),
        ("client", "{\"m.homeserver\":{\"base_url\":\"https://matrix.fed.test\"}}"),
    ] {
        let (status, text) = bed.https(&format!("https://fed.test/.well-known/matrix/{path}"), &[]);
        assert_eq!(status, 200, "{server}: {text}");
        let head = text.to_lowercase();
        assert!(head.contains("content-type: application/json"), "{server}: {text}");
        assert_eq!(head.matches("access-control-allow-origin: *").count(), 1, "{server}: {text}");
        assert!(text.trim_end().ends_with(body), "{server}: {text}");
    }
    for version in ["v3", "r0"] {
        let url = format!("https://fed.test/_matrix/client/{version}/register/available?username=ada");
        let (status, text) = bed.https(&url, &[]);
        assert_eq!(status, 400, "{server}: {text}");
        let wanted =
            format!("\"asked\": \"matrix.fed.test /_matrix/client/{version}/register/available?username=ada\"");
        assert!(text.contains("M_USER_IN_USE") && text.contains(&wanted), "{server}: {text}");
    }
    let available = "https://fed.test/_matrix/client/v3/register/available";
    let (status, text) = bed.https(available, &["--http1.1", "-X", "POST"]);
    assert!(status >= 400 && !text.contains("asked"), "{server}: {text}");
    let (status, text) = bed.https("https://fed.test/_matrix/client/v3/register?username=ada", &[]);
    assert!(!text.contains("asked") && status != 400, "{server} passes on more than it should: {text}");
    assert_eq!(bed.https("https://fed.test/", &[]).0, 303, "{server}: the site's own page");
}

/// A homeserver that knows everybody, and says what it was asked.
fn homeserver(bed: &Bed) -> Server {
    site::in_dns(bed, "fed.test");
    bed.bed(&["dns", "set", "matrix.fed.test", "A", MATRIX]);
    bed.bed(&["dns", "del", "matrix.fed.test", "AAAA"]);
    let (key, chain) = site::certificate(bed, &["matrix.fed.test"]);
    let words = ["/usr/bin/python3", "-c", HOMESERVER, MATRIX, chain.to_str().unwrap(), key.to_str().unwrap()];
    Server::start("inet", &words)
}

/// `ADDRESS CHAIN KEY`
const HOMESERVER: &str = r#"
import json, ssl, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        asked = "%s %s" % (self.headers["Host"], self.path)
        body = json.dumps({"errcode": "M_USER_IN_USE", "error": "taken", "asked": asked}).encode()
        self.send_response(400)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_POST = do_GET
    def log_message(self, *_):
        pass
server = ThreadingHTTPServer((sys.argv[1], 443), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
server.socket = context.wrap_socket(server.socket, server_side=True)
print("listening", flush=True)
server.serve_forever()
"#;
