//! Every profile behind every proxy, with the federated domain here and on another web site: set up by the real command, seen
//! from outside, found well by the doctor, applied again, and taken away.

#[path = "support/front.rs"]
mod front;
#[path = "support/site.rs"]
mod site;
mod support;
#[allow(dead_code)]
#[path = "support/surroundings.rs"]
mod surroundings;

use front::{Front, Kind};
use serde_json::Value;
use support::{Bed, Run};
use surroundings::Server;

/// One test for each: the profile, what has ports 80 and 443, and where the federated domain is.
macro_rules! every {
    ($($profile:ident { $($front:ident $kind:ident)* })*) => { $(
        mod $profile { $(
            mod $front {
                use crate::{Kind, Life};

                #[test]
                #[ignore = "minutes long; `make test-all` runs it"]
                fn here() {
                    Life::of(stringify!($profile), Kind::$kind, "here").lead();
                }

                #[test]
                #[ignore = "minutes long; `make test-all` runs it"]
                fn elsewhere() {
                    Life::of(stringify!($profile), Kind::$kind, "elsewhere").lead();
                }
            }
        )* }
    )* };
}

every! {
    dendrite { gateway Gateway host Host nginx Nginx apache Apache caddy Caddy }
    synapse { gateway Gateway host Host nginx Nginx apache Apache caddy Caddy }
    native { gateway Gateway host Host nginx Nginx apache Apache caddy Caddy }
}

/// Every way in which names may coincide, for both homeservers.
#[test]
#[ignore = "minutes long; `make test-all` runs it"]
fn names_that_coincide() {
    for profile in ["dendrite", "synapse"] {
        for (chat, matrix, apex) in [
            ("fed.test", "matrix.fed.test", "here"),
            ("chat.fed.test", "fed.test", "here"),
            ("chat.fed.test", "chat.fed.test", "here"),
            ("chat.fed.test", "chat.fed.test", "elsewhere"),
            ("fed.test", "fed.test", "here"),
        ] {
            println!("— {profile}: {chat}, {matrix}, {apex}");
            Life { chat, matrix, ..Life::of(profile, Kind::Gateway, apex) }.lead();
        }
    }
}

/// A short run leads one life, chosen by a seed that is printed; `RCFED_SEED` gives it again. Apache and Caddy are there for
/// long ones only.
#[test]
fn one_of_them() {
    let given = std::env::var("RCFED_SEED").ok().and_then(|text| text.parse().ok());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let seed: usize = given.unwrap_or(now.subsec_micros() as usize);
    let profile = ["dendrite", "synapse", "native"][seed % 3];
    let (kind, apex) = ([Kind::Gateway, Kind::Host, Kind::Nginx][seed / 3 % 3], ["here", "elsewhere"][seed / 9 % 2]);
    eprintln!("RCFED_SEED={seed}: {profile}, {kind:?}, {apex}");
    Life::of(profile, kind, apex).lead();
}

/// The certificate, its renewal and the files in another proxy are looked at behind every one.
#[test]
#[ignore = "minutes long; `make test-all` runs it"]
fn what_is_wrong_behind_a_proxy_is_told() {
    for kind in [Kind::Host, Kind::Nginx] {
        let Some(bed) = Bed::up() else { return };
        let _front = Life::of("dendrite", kind, "here").begin(&bed);
        let told = |id: &str, status: &str| {
            let report = bed.doctor();
            let found = report["findings"].as_array().unwrap().iter().any(|f| f["id"] == id && f["status"] == status);
            assert!(found, "{id} is not told: {report:#}");
            bed.rcfed(&["apply"]).well();
            bed.is_well();
        };
        std::fs::remove_file(bed.root().join("etc/cron.d/rcfed")).unwrap();
        told("certificate.renewal", "fail");
        let pair = bed.root().join("var/lib/rcfed/certificate/pair.pem");
        let before = std::fs::read(&pair).unwrap();
        std::fs::remove_file(&pair).unwrap();
        // Whether anybody sees it is another proxy's matter.
        told("certificate.file", if kind == Kind::Host { "fail" } else { "warn" });
        if kind == Kind::Host {
            std::fs::write(&pair, before).unwrap();
            told("certificate.served", "fail");
            let site = bed.root().join("etc/nginx/conf.d/rcfed-https.conf");
            std::fs::write(&site, std::fs::read_to_string(&site).unwrap().replace("200m", "1m")).unwrap();
            told("files.content", "warn");
        }
    }
}

/// A deployment.
struct Life {
    profile: &'static str,
    kind: Kind,
    chat: &'static str,
    matrix: &'static str,
    elsewhere: bool,
}

impl Life {
    /// With the names that are proposed; without a homeserver there is no third one.
    fn of(profile: &'static str, kind: Kind, apex: &str) -> Self {
        let matrix = if profile == "native" { "chat.fed.test" } else { "matrix.fed.test" };
        Self { profile, kind, chat: "chat.fed.test", matrix, elsewhere: apex == "elsewhere" }
    }

    fn native(&self) -> bool {
        self.profile == "native"
    }

    /// From an empty machine to one that has only what it had before.
    fn lead(&self) {
        let Some(bed) = Bed::up() else { return };
        let (front, _site) = self.begin(&bed);
        self.seen_from_outside(&bed);
        self.addresses_cannot_be_chosen(&bed);
        bed.rcfed(&["renew", "--force"]).well();
        bed.is_well();
        self.is_well_from_outside(&bed);
        let before = ids(&bed);
        let again = bed.rcfed(&["apply"]).well();
        assert!(again.stderr.contains("nothing was changed"), "{}", again.stderr);
        assert_eq!(ids(&bed), before);
        if let Some(front) = &front {
            front.is_undisturbed();
        }
        bed.rcfed(&["uninstall", "--yes"]).well();
        assert_eq!(ids(&bed), "");
        if let Some(front) = &front {
            front.is_undisturbed();
            front.has_only_its_own();
        }
    }

    /// Sets it up, and what stands before it: the proxy, and the web site on the federated domain.
    fn begin<'a>(&self, bed: &'a Bed) -> (Option<Front<'a>>, Option<Server>) {
        if self.elsewhere {
            site::in_dns(bed, "fed.test");
        }
        let mut served = vec![self.chat, self.matrix];
        served.extend((!self.elsewhere).then_some("fed.test"));
        served.dedup();
        let apex = if self.elsewhere { "elsewhere" } else { "here" };
        let more = format!("chat_domain = \"{}\"\nmatrix_domain = \"{}\"\napex = \"{apex}\"", self.chat, self.matrix);
        let front = Front::before(bed, self.kind, &served, self.profile, &more);
        let answers = bed.answers(self.profile, &format!("proxy = \"{}\"\n{more}", self.kind.proxy()));
        let mut run = bed.rcfed(&["init", "--answers", answers.to_str().unwrap(), "--yes", "--no-input"]);
        if front.as_ref().is_some_and(Front::certified) {
            // Nobody answered at port 443 yet, which is told where it matters already.
            assert!(self.elsewhere || asks_for_port_443(&run), "{run:?}");
            run = bed.rcfed(&["apply"]);
        }
        let mut run = run.well();
        let site = self.elsewhere.then(|| {
            assert!(run.stdout.contains("Federation     pending"), "{}", run.stdout);
            let site = site::nginx(bed, &bed.rcfed(&["apex", "nginx"]).well().stdout);
            run = bed.rcfed(&["apply"]).well();
            site
        });
        assert!(run.stdout.contains("Federation     valid"), "{}", run.stdout);
        (front, site)
    }

    fn seen_from_outside(&self, bed: &Bed) {
        let Self { chat, matrix, .. } = self;
        let delegate = if self.native() && !self.elsewhere { "fed.test" } else { matrix };
        assert_eq!(bed.https(&format!("https://{chat}/api/info"), &[]).0, 200);
        let (status, text) = bed.https("https://fed.test/.well-known/matrix/server", &[]);
        assert_eq!(status, 200, "{text}");
        assert!(text.ends_with(&format!("{{\"m.server\":\"{delegate}:443\"}}")), "{text}");
        let (status, text) = bed.https("https://fed.test/.well-known/matrix/client", &[]);
        // Where there is no homeserver, clients have nowhere to go.
        assert_eq!(status == 200, !self.native(), "{text}");
        assert_eq!(text.contains(&format!("{{\"base_url\":\"https://{matrix}\"}}")), !self.native(), "{text}");
        let (status, text) = bed.https(&format!("https://{delegate}/_matrix/key/v2/server"), &[]);
        assert!(status == 200 && text.contains("\"server_name\":\"fed.test\""), "{text}");
        let (status, text) = bed.https(&format!("https://{delegate}/_matrix/federation/v1/version"), &[]);
        assert_eq!(status, 200, "{text}");
        if !self.native() {
            let available = "https://fed.test/_matrix/client/v3/register/available?username=nobody-yet";
            assert_eq!(bed.https(available, &[]).0, 200);
            // It answers for the event, whose id has a slash, and not for another path.
            let event = format!("https://{delegate}/_matrix/federation/v1/event/%24a%2Fb");
            let (status, text) = bed.https(&event, &["--path-as-is"]);
            assert_eq!(status, 401, "{text}");
            for closed in ["/_synapse/admin/v1/server_version", "/_dendrite/monitor/health", "/metrics"] {
                assert_eq!(bed.https(&format!("https://{delegate}{closed}"), &[]).0, 404, "{closed}");
            }
        }
        let redirect = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}"];
        let plain = bed.inet(&[&redirect[..], &[&format!("http://{chat}/a?b")]].concat());
        assert_eq!(plain.stdout, format!("301 https://{chat}/a?b"));
    }

    /// Whoever asks is logged and limited by the address that the proxy saw, whatever is claimed.
    fn addresses_cannot_be_chosen(&self, bed: &Bed) {
        bed.https(&format!("https://{}/who-asks", self.chat), &["-4", "-H", "X-Forwarded-For: 203.0.113.99"]);
        let log = bed.run(&["sh", "-c", "docker logs rcfed-gateway 2>&1"]);
        let line = log.lines().find(|line| line.contains("/who-asks")).unwrap_or_else(|| panic!("{log}"));
        assert!(line.starts_with("198.51.100.1 "), "{line}");
    }

    /// The doctor on another machine, which knows the federated domain and nothing else.
    fn is_well_from_outside(&self, bed: &Bed) {
        let run = bed.inet(&[env!("CARGO_BIN_EXE_rcfed"), "doctor", "--json", "fed.test"]);
        let mut report: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"));
        if self.native() && self.elsewhere {
            // The web site sends its visitors on, and from outside nobody can know that no client should come.
            report["findings"].as_array_mut().unwrap().retain(|finding| finding["id"] != "client.document");
        }
        support::is_well(&report);
        assert!(run.ok, "{run:?}");
    }
}

fn asks_for_port_443(init: &Run) -> bool {
    init.code == Some(1) && init.stderr.contains("port 443") && init.stderr.contains("pair.pem")
}

fn ids(bed: &Bed) -> String {
    bed.run(&["docker", "ps", "-aq", "--no-trunc"])
}
