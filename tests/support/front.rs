//! Another proxy on the droplet, with ports 80 and 443, a site of its own, and rcfed's names as docs/proxy.md says.

use std::path::PathBuf;

use crate::site;
use crate::support::Bed;
use crate::surroundings::Server;

/// What has ports 80 and 443.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// rcfed's own gateway.
    Gateway,
    /// The machine's own nginx, into which rcfed puts its files.
    Host,
    /// An nginx with the files that `rcfed render` wrote, and rcfed's certificate.
    Nginx,
    /// Apache, with a certificate of its own.
    Apache,
    /// Caddy, with certificates that it orders itself.
    Caddy,
}

/// The site that was there before, and what it answers.
const OLD: (&str, &str) = ("old.fed.test", "the old site");

impl Kind {
    /// The answer to `proxy`.
    pub fn proxy(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Host => "host",
            Self::Nginx | Self::Apache | Self::Caddy => "none",
        }
    }
}

/// A proxy at work.
pub struct Front<'a> {
    bed: &'a Bed,
    kind: Kind,
    _server: Server,
}

impl<'a> Front<'a> {
    /// Starts it on an empty droplet for `names`, as its owner has it ready before `rcfed init`; none where rcfed brings
    /// its own. `profile` and `more` are those of the answers.
    pub fn before(bed: &'a Bed, kind: Kind, names: &[&str], profile: &str, more: &str) -> Option<Self> {
        bed.bed(&["dns", "set", OLD.0, "A", "198.51.100.10"]);
        let command = match kind {
            Kind::Gateway => return None,
            Kind::Host => nginx(bed),
            Kind::Nginx => {
                let command = nginx(bed);
                rendered(bed, profile, more);
                put(bed, "rcfed-http.conf");
                command
            }
            Kind::Apache => apache(bed, names),
            Kind::Caddy => caddy(bed, names),
        };
        let script = format!(
            "{command} >&2 & server=$!\nwhile ! curl -s -o /dev/null --max-time 2 http://127.0.0.1/; do\n\
             kill -0 $server || exit 1\nsleep 0.1\ndone\necho listening\nwait"
        );
        let front = Self { bed, kind, _server: Server::on_droplet(&["sh", "-c", &script]) };
        front.is_ready(names);
        Some(front)
    }

    /// What is left to its owner once rcfed has a certificate; false if that is nothing.
    pub fn certified(&self) -> bool {
        if self.kind != Kind::Nginx {
            return false;
        }
        put(self.bed, "rcfed-https.conf");
        self.bed.run(&["nginx", "-s", "reload", "-c", config(self.bed).to_str().unwrap()]);
        true
    }

    /// Nothing that was there before has changed.
    pub fn is_undisturbed(&self) {
        let answer = self.bed.inet(&["curl", "-sS", "--max-time", "5", &format!("http://{}/old.txt", OLD.0)]).well();
        assert_eq!(answer.stdout.trim_end(), OLD.1);
    }

    /// Once rcfed is gone, the machine's nginx has no file of its.
    pub fn has_only_its_own(&self) {
        if self.kind == Kind::Host {
            assert_eq!(
                self.bed.run(&["ls", config(self.bed).with_file_name("conf.d").to_str().unwrap()]),
                "old.conf\n"
            );
        }
    }

    /// It forwards, and nobody is there yet; one with certificates shows them.
    fn is_ready(&self, names: &[&str]) {
        self.is_undisturbed();
        for name in names {
            let status = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "9"];
            let plain = self
                .bed
                .inet(&[&status[..], &[&format!("http://{name}/.well-known/acme-challenge/x")]].concat())
                .stdout;
            assert_eq!(plain.starts_with('5'), self.kind != Kind::Host, "{name}: {plain}");
            if matches!(self.kind, Kind::Apache | Kind::Caddy) {
                let mut tries = 0;
                while !self.bed.inet(&["curl", "-s", "-o", "/dev/null", &format!("https://{name}/")]).ok {
                    tries += 1;
                    assert!(tries < 100, "{:?} has no certificate for {name}", self.kind);
                    std::thread::sleep(std::time::Duration::from_millis(100));
                }
            }
        }
    }
}

fn config(bed: &Bed) -> PathBuf {
    bed.root().join("etc/nginx/nginx.conf")
}

/// The machine's own nginx, without a service manager.
fn nginx(bed: &Bed) -> String {
    let (root, directory) = (bed.root(), bed.root().join("etc/nginx/conf.d"));
    std::fs::create_dir_all(&directory).unwrap();
    let main = format!(
        "daemon off; user root; pid {}/nginx.pid; error_log stderr; events {{}}\n\
         http {{ access_log off; include {}/*.conf; }}\n",
        root.display(),
        directory.display()
    );
    std::fs::write(config(bed), main).unwrap();
    let (name, answer) = OLD;
    let old = format!(
        "server {{ listen 80; listen [::]:80; server_name {name}; location / {{ return 200 \"{answer}\"; }} }}\n"
    );
    std::fs::write(directory.join("old.conf"), old).unwrap();
    format!("nginx -c {}", config(bed).display())
}

/// Has rcfed write the model for another nginx.
fn rendered(bed: &Bed, profile: &str, more: &str) {
    let answers = bed.answers(profile, &format!("proxy = \"host\"\n{more}"));
    let out = PathBuf::from(bed.value("RCFED_STATE")).join("model");
    bed.rcfed(&["render", "--answers", answers.to_str().unwrap(), "--out", out.to_str().unwrap()]).well();
}

/// Takes a file of the model.
fn put(bed: &Bed, name: &str) {
    let model = PathBuf::from(bed.value("RCFED_STATE")).join("model/etc/nginx/conf.d").join(name);
    let here = bed.root().join("var/lib/rcfed");
    let text = std::fs::read_to_string(model).unwrap().replace("/var/lib/rcfed", here.to_str().unwrap());
    std::fs::write(bed.root().join("etc/nginx/conf.d").join(name), text).unwrap();
}

fn apache(bed: &Bed, names: &[&str]) -> String {
    let state = bed.value("RCFED_STATE");
    let modules = "mpm_event authz_core headers proxy proxy_http socache_shmcb ssl".split(' ');
    let modules: String =
        modules.map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n")).collect();
    std::fs::create_dir_all(format!("{state}/old")).unwrap();
    std::fs::write(format!("{state}/old/old.txt"), OLD.1).unwrap();
    let (key, chain) = site::certificate(bed, names);
    let lines = documented("apache", names)
        .replace("/etc/ssl/example.org/fullchain.pem", chain.to_str().unwrap())
        .replace("/etc/ssl/example.org/key.pem", key.to_str().unwrap());
    let conf = format!(
        "{modules}User www-data\nGroup www-data\nServerRoot {state}\nPidFile {state}/front.pid\nErrorLog /dev/stderr\nListen 80\nListen 443\n\
         ServerName {old}\n<VirtualHost *:80>\nServerName {old}\nDocumentRoot {state}/old\n</VirtualHost>\n{lines}\n",
        old = OLD.0,
    );
    format!("/usr/sbin/apache2 -f {} -D FOREGROUND", site::kept(bed, "front-apache.conf", &conf))
}

fn caddy(bed: &Bed, names: &[&str]) -> String {
    let home = PathBuf::from(bed.value("RCFED_STATE")).join("front-caddy");
    // Certificates of an authority that was made anew since are no use.
    let _ = std::fs::remove_dir_all(&home);
    let conf = format!(
        "{{\n\tadmin off\n\tacme_ca {}\n}}\nhttp://{} {{\n\trespond \"{}\"\n}}\n{}\n",
        bed.value("ACME_DIRECTORY"),
        OLD.0,
        OLD.1,
        documented("caddy", names)
    );
    let file = site::kept(bed, "front-Caddyfile", &conf);
    let home = home.display();
    format!("env XDG_CONFIG_HOME={home} XDG_DATA_HOME={home} caddy run --adapter caddyfile --config {file}")
}

/// The lines of docs/proxy.md for a proxy, with the bed's names, and without those that are not served here.
fn documented(language: &str, names: &[&str]) -> String {
    let page = include_str!("../../docs/proxy.md");
    let (_, from) = page.split_once(&format!("```{language}\n")).expect("the page has lines for it");
    let (lines, _) = from.split_once("```").expect("they end");
    let mut lines = lines.replace("/etc/ssl/example.org", "CERTIFICATE").replace("example.org", "fed.test");
    for name in ["matrix.fed.test", "fed.test"].iter().filter(|name| !names.contains(name)) {
        lines = lines.replace(&format!(", http://{name}"), "").replace(&format!(", {name}"), "");
        lines = lines.replace(&format!(" {name}"), "").replace("    ServerAlias\n", "");
    }
    lines.replace("CERTIFICATE", "/etc/ssl/example.org")
}
