//! Somebody's web site on the federated domain, at an address of its own, that answers what rcfed asks it to.

#![allow(dead_code)]

use std::path::PathBuf;
use std::process::Command;

use crate::support::Bed;
use crate::surroundings::Server;

/// An address of the bed's internet that is free for tests.
pub const ADDRESS: &str = "198.51.100.7";

/// Lets `name` be the web site's in DNS, and in nothing else yet.
pub fn in_dns(bed: &Bed, name: &str) {
    bed.bed(&["dns", "set", name, "A", ADDRESS]);
    bed.bed(&["dns", "del", name, "AAAA"]);
}

/// Serves the addresses and answers that `rcfed init` printed (`https://NAME/path  {…}`), with a certificate that the
/// bed's public root store has.
pub fn serve(bed: &Bed, name: &str, printed: &str) -> Server {
    let start = format!("https://{name}/");
    let lines = printed.lines().filter_map(|line| line.trim().strip_prefix(&start)?.split_once("  "));
    let answers: Vec<String> = lines.flat_map(|(path, answer)| [format!("/{path}"), answer.to_owned()]).collect();
    // A document for other servers, and one for clients where there is a homeserver for them.
    let documents = if printed.contains("answer this address") { 1 } else { 2 };
    assert_eq!(answers.len(), 2 * documents, "{printed}");
    let (key, chain) = certificate(bed, &[name]);
    let mut words = vec!["/usr/bin/python3", "-c", SITE, ADDRESS, chain.to_str().unwrap(), key.to_str().unwrap()];
    words.extend(answers.iter().map(String::as_str));
    Server::start("inet", &words)
}

/// Key and certificate, by the bed's own authority.
pub fn certificate(bed: &Bed, names: &[&str]) -> (PathBuf, PathBuf) {
    let pki = PathBuf::from(bed.value("RCFED_STATE")).join("pki");
    certificate_by(bed, &(pki.join("ca.key"), pki.join("ca.crt")), names)
}

/// Key and certificate of an authority that nobody on the bed knows.
pub fn authority(bed: &Bed) -> (PathBuf, PathBuf) {
    let of = |kind: &str| PathBuf::from(bed.value("RCFED_STATE")).join(format!("site-authority.{kind}"));
    let (key, certificate) = (of("key"), of("crt"));
    let files = ["-keyout", key.to_str().unwrap(), "-out", certificate.to_str().unwrap()];
    let new = ["req", "-x509", "-days", "90", "-subj", "/CN=their own authority"];
    openssl(&[&new[..], &CURVE, &files].concat());
    (key, certificate)
}

const CURVE: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

/// What openssl prints.
pub fn openssl(words: &[&str]) -> String {
    let output = Command::new("openssl").args(words).output().expect("openssl");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Key and certificate, by an authority of which these are key and certificate.
pub fn certificate_by(bed: &Bed, (ca_key, ca): &(PathBuf, PathBuf), names: &[&str]) -> (PathBuf, PathBuf) {
    let name = names[0];
    let state = PathBuf::from(bed.value("RCFED_STATE"));
    let at = |file: &str| state.join(file);
    let of = |kind: &str| state.join(format!("site-{name}.{kind}"));
    let (key, request, chain) = (of("key"), of("csr"), of("crt"));
    let text = |path: &PathBuf| path.to_str().unwrap().to_owned();
    let (key_, request_, chain_) = (text(&key), text(&request), text(&chain));
    let (ca, ca_key, conf) = (text(ca), text(ca_key), text(&at("pki/openssl.cnf")));
    let san = text(&of("ext"));
    std::fs::write(&san, format!("subjectAltName=DNS:{}\nextendedKeyUsage=serverAuth\n", names.join(",DNS:"))).unwrap();
    let subject = format!("/CN={name}");
    openssl(
        &[&["req", "-config", &conf, "-new"][..], &CURVE, &["-subj", &subject, "-keyout", &key_, "-out", &request_]]
            .concat(),
    );
    openssl(&[
        "x509",
        "-req",
        "-in",
        &request_,
        "-CA",
        &ca,
        "-CAkey",
        &ca_key,
        "-CAcreateserial",
        "-days",
        "90",
        "-extfile",
        &san,
        "-out",
        &chain_,
    ]);
    (key, chain)
}

/// nginx with a site of its own and `lines` in it.
pub fn nginx(bed: &Bed, lines: &str) -> Server {
    let site = format!("{lines}\nlocation / {{ return 303 https://elsewhere.example/; }}");
    started(&format!("nginx -c {}", nginx_conf(bed, ("fed.test", ADDRESS), &certificate(bed, &["fed.test"]), &site)))
}

/// The configuration of an nginx that serves `site` over TLS, under this name and at this address.
pub fn nginx_conf(bed: &Bed, (name, address): (&str, &str), (key, chain): &(PathBuf, PathBuf), site: &str) -> String {
    let state = bed.value("RCFED_STATE");
    let conf = format!(
        "daemon off; pid {state}/site-nginx.pid; error_log stderr; events {{}}\nhttp {{\naccess_log off;\n\
         client_body_temp_path {state}/site-body; proxy_temp_path {state}/site-proxy;\n\
         fastcgi_temp_path {state}/site-f; uwsgi_temp_path {state}/site-u; scgi_temp_path {state}/site-s;\n\
         server {{\nlisten {address}:443 ssl;\nserver_name {name};\nssl_certificate {};\nssl_certificate_key {};\n{site}\n}}\n}}\n",
        chain.display(),
        key.display(),
    );
    kept(bed, "site-nginx.conf", &conf)
}

/// A file in the bed's state directory.
pub fn kept(bed: &Bed, name: &str, text: &str) -> String {
    let path = PathBuf::from(bed.value("RCFED_STATE")).join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// Starts a web server on the internet's side, and waits until it takes connections.
pub fn started(command: &str) -> Server {
    started_at("inet", &[], ("fed.test", ADDRESS), command)
}

/// Starts a web server in a place of the bed, and waits until it takes connections under this name and at this address.
pub fn started_at(place: &str, words: &[&str], (name, address): (&str, &str), command: &str) -> Server {
    let script = format!(
        "{command} >&2 & server=$!\nwhile ! curl -sk -o /dev/null --max-time 2 --resolve {name}:443:{address} https://{name}/; do\n\
         kill -0 $server || exit 1\nsleep 0.1\ndone\necho listening\nwait"
    );
    Server::start(place, &[words, &["sh", "-c", &script]].concat())
}

/// `ADDRESS CHAIN KEY (PATH ANSWER)…`
const SITE: &str = r#"
import ssl, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
answers = dict(zip(sys.argv[4::2], sys.argv[5::2]))
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = answers.get(self.path, "<h1>Somebody's web site</h1>").encode()
        self.send_response(200 if self.path in answers else 404)
        self.send_header("Content-Type", "application/json" if self.path in answers else "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
server = ThreadingHTTPServer((sys.argv[1], 443), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
server.socket = context.wrap_socket(server.socket, server_side=True)
print("listening", flush=True)
server.serve_forever()
"#;
