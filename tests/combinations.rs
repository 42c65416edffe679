//! Every profile behind every proxy, with the federated domain here and on another web site: set up by the real command, seen
//! from outside, found well by the doctor, applied again, and taken away.

#[path = "support/front.rs"]
mod front;
#[allow(dead_code)]
#[path = "support/site.rs"]
mod site;
mod support;
#[allow(dead_code)]
#[path = "support/surroundings.rs"]
mod surroundings;

use front::{Front, Kind};
use serde_json::Value;
use support::{Bed, Run};

/// One test for each: the profile, what has ports 80 and 443, and where the federated domain is.
macro_rules! every {
    ($($profile:ident { $($front:ident $kind:ident)* })*) => { $(
        mod $profile { $(
            mod $front {
                use crate::{Kind, life};

                #[test]
                #[ignore = "minutes long; `make test-all` runs it"]
                fn here() {
                    life(stringify!($profile), Kind::$kind, "here");
                }

                #[test]
                #[ignore = "minutes long; `make test-all` runs it"]
                fn elsewhere() {
                    life(stringify!($profile), Kind::$kind, "elsewhere");
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

fn life(profile: &str, kind: Kind, apex: &str) {
    let Some(bed) = Bed::up() else { return };
    let elsewhere = apex == "elsewhere";
    if elsewhere {
        site::in_dns(&bed, "fed.test");
    }
    let front = Front::before(&bed, kind, profile, apex);
    let answers = bed.answers(profile, &format!("proxy = \"{}\"\napex = \"{apex}\"", kind.proxy()));
    let mut run = bed.rcfed(&["init", "--answers", answers.to_str().unwrap(), "--yes", "--no-input"]);
    if front.as_ref().is_some_and(Front::certified) {
        // Nobody answered at port 443 yet, which is told where it matters already.
        assert!(elsewhere || profile == "native" || asks_for_port_443(&run), "{run:?}");
        run = bed.rcfed(&["apply"]);
    }
    let mut run = run.well();
    let _site = elsewhere.then(|| {
        assert!(run.stdout.contains("Federation     pending"), "{}", run.stdout);
        let site = site::nginx(&bed, &bed.rcfed(&["apex", "nginx"]).well().stdout);
        run = bed.rcfed(&["apply"]).well();
        site
    });
    assert!(run.stdout.contains("Federation     valid"), "{}", run.stdout);
    seen_from_outside(&bed, profile, elsewhere);
    addresses_cannot_be_chosen(&bed);
    bed.is_well();
    from_outside(&bed);
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

fn asks_for_port_443(init: &Run) -> bool {
    init.code == Some(1) && init.stderr.contains("port 443") && init.stderr.contains("pair.pem")
}

fn seen_from_outside(bed: &Bed, profile: &str, elsewhere: bool) {
    let native = profile == "native";
    let delegate = if native && !elsewhere { "fed.test" } else { "matrix.fed.test" };
    assert_eq!(bed.https("https://chat.fed.test/api/info", &[]).0, 200);
    let (status, text) = bed.https("https://fed.test/.well-known/matrix/server", &[]);
    assert_eq!(status, 200, "{text}");
    assert!(text.ends_with(&format!("{{\"m.server\":\"{delegate}:443\"}}")), "{text}");
    let (status, text) = bed.https("https://fed.test/.well-known/matrix/client", &[]);
    // Where there is no homeserver, clients have nowhere to go.
    assert_eq!(status == 200, !native, "{text}");
    assert_eq!(text.contains("{\"base_url\":\"https://matrix.fed.test\"}"), !native, "{text}");
    let (status, text) = bed.https(&format!("https://{delegate}/_matrix/key/v2/server"), &[]);
    assert!(status == 200 && text.contains("\"server_name\":\"fed.test\""), "{text}");
    let (status, text) = bed.https(&format!("https://{delegate}/_matrix/federation/v1/version"), &[]);
    assert_eq!(status, 200, "{text}");
    if !native {
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
    let plain = bed.inet(&[&redirect[..], &["http://chat.fed.test/a?b"]].concat());
    assert_eq!(plain.stdout, "301 https://chat.fed.test/a?b");
}

/// Whoever asks is logged and limited by the address that the proxy saw, whatever is claimed.
fn addresses_cannot_be_chosen(bed: &Bed) {
    bed.https("https://chat.fed.test/who-asks", &["-4", "-H", "X-Forwarded-For: 203.0.113.99"]);
    let log = bed.run(&["sh", "-c", "docker logs rcfed-gateway 2>&1"]);
    let line = log.lines().find(|line| line.contains("/who-asks")).unwrap_or_else(|| panic!("{log}"));
    assert!(line.starts_with("198.51.100.1 "), "{line}");
}

/// The doctor on another machine, which knows the federated domain and nothing else.
fn from_outside(bed: &Bed) {
    let run = bed.inet(&[env!("CARGO_BIN_EXE_rcfed"), "doctor", "--json", "fed.test"]);
    let report: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"));
    support::is_well(&report);
    assert!(run.ok, "{run:?}");
}

fn ids(bed: &Bed) -> String {
    bed.run(&["docker", "ps", "-aq", "--no-trunc"])
}
