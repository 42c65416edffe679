//! The DNS server as its clients see it: messages in, messages out, no sockets but in one test.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Command, Stdio};

use rcfed_standins::dns::server::{Fault, Server, Source, ZoneFile};

const ZONE: &str = r#"
# a comment
example.test          SOA
example.test          A     198.51.100.7
example.test     300  IN A  198.51.100.8
example.test          CAA   0 issue "letsencrypt.org; validationmethods=http-01"
chat.example.test     CNAME example.test.
out.example.test      CNAME elsewhere.invalid
loop.example.test     CNAME loop.example.test
gone.example.test     CNAME nothing.example.test
a.b.example.test      TXT   "v=1; \"quoted\""   ; another comment
*.wild.example.test   A     198.51.100.9
_matrix-fed._tcp.example.test SRV 10 5 8448 example.test
sub.example.test      NS    ns.sub.example.test
ns.sub.example.test   A     198.51.100.53
fail.example.test     CAA   !servfail
slow.example.test     ANY   !hang
big.example.test      TXT   BIG
"#;

fn server(recursive_looking: bool) -> (tempfile::NamedTempFile, Server) {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(ZONE.replace("BIG", &"x".repeat(1500)).as_bytes()).expect("written");
    let own = vec![IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1))];
    let zone = ZoneFile::open(file.path().to_owned(), own).expect("a good zone");
    (file, Server { source: Source::File(zone), recursive_looking })
}

/// A question with RD set; with EDNS if `size` is given.
fn question(name: &str, kind: u16, size: Option<u16>) -> Vec<u8> {
    let mut message = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(size.is_some())];
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    message.extend_from_slice(&kind.to_be_bytes());
    message.extend_from_slice(&[0, 1]);
    if let Some(size) = size {
        message.extend_from_slice(&[0, 0, 41]);
        message.extend_from_slice(&size.to_be_bytes());
        message.extend_from_slice(&[0; 6]);
    }
    message
}

/// (rcode, AA, TC, RA, counts of answers, authority, additional)
fn head(answer: &[u8]) -> (u8, bool, bool, bool, [u8; 3]) {
    let counts = [answer[7], answer[9], answer[11]];
    (answer[3] & 0xf, answer[2] & 4 != 0, answer[2] & 2 != 0, answer[3] & 0x80 != 0, counts)
}

#[test]
fn yes_no_and_not_this_type_are_three_answers() {
    let (_file, server) = server(true);
    let ask = |name, kind| head(&server.answer(&question(name, kind, None), false).expect("an answer"));
    assert_eq!(ask("example.test", 1), (0, true, false, true, [2, 0, 0]));
    assert_eq!(ask("EXAMPLE.test", 28), (0, true, false, true, [0, 1, 0]), "NODATA carries the SOA");
    assert_eq!(ask("nope.example.test", 1), (3, true, false, true, [0, 1, 0]), "NXDOMAIN carries the SOA");
    assert_eq!(ask("b.example.test", 1), (0, true, false, true, [0, 1, 0]), "an empty name between names exists");
    assert_eq!(ask("x.y.wild.example.test", 1), (0, true, false, true, [1, 0, 0]));
    assert_eq!(ask("wild.example.test", 1), (0, true, false, true, [0, 1, 0]), "a wildcard is not its own parent");
    assert_eq!(ask("example.test", 2), (0, true, false, true, [1, 0, 1]), "the server itself, with its address");
    assert_eq!(ask("_matrix-fed._tcp.example.test", 33), (0, true, false, true, [1, 0, 2]));
    assert_eq!(ask("host.sub.example.test", 1), (0, false, false, true, [0, 1, 1]), "a referral with glue, without AA");
    assert_eq!(ask("elsewhere.invalid", 1), (3, false, false, true, [0, 1, 0]));
    assert_eq!(ask("test", 2), (0, false, false, true, [0, 1, 0]), "what is above a zone exists");
    assert_eq!(ask("example.test", 252).0, 5, "no zone transfer");
}

#[test]
fn aliases_are_followed_as_far_as_the_data_goes() {
    let (_file, resolver) = server(true);
    let (_file2, authority) = server(false);
    let ask = |server: &Server, name| head(&server.answer(&question(name, 1, None), false).expect("an answer"));
    assert_eq!(ask(&resolver, "chat.example.test"), (0, true, false, true, [3, 0, 0]));
    assert_eq!(ask(&resolver, "gone.example.test"), (3, true, false, true, [1, 1, 0]));
    assert_eq!(ask(&resolver, "out.example.test"), (3, true, false, true, [1, 0, 0]));
    assert_eq!(ask(&authority, "out.example.test"), (0, true, false, false, [1, 0, 0]));
    assert_eq!(ask(&resolver, "loop.example.test").0, 2);
    assert_eq!(ask(&authority, "elsewhere.invalid"), (5, false, false, false, [0, 0, 0]));
}

#[test]
fn long_answers_need_tcp() {
    let (_file, server) = server(true);
    let big = |size, tcp| head(&server.answer(&question("big.example.test", 16, size), tcp).expect("an answer"));
    assert_eq!(big(None, false), (0, true, true, true, [0, 0, 0]));
    assert_eq!(big(Some(4096), false), (0, true, true, true, [0, 0, 1]), "the OPT record stays");
    assert_eq!(big(None, true), (0, true, false, true, [1, 0, 0]));
}

#[test]
fn one_question_can_fail_while_others_do_not() {
    let (_file, server) = server(true);
    let ask = |name, kind| server.answer(&question(name, kind, None), false);
    assert_eq!(ask("fail.example.test", 257).map(|answer| head(&answer).0), Some(2));
    assert_eq!(ask("slow.example.test", 1), None);
    assert_eq!(ask("example.test", 257).map(|answer| head(&answer).0), Some(0));
    let refuser = Server { source: Source::Fault(Fault::Refused), recursive_looking: true };
    let answer = refuser.answer(&question("example.test", 1, None), false).expect("an answer");
    assert_eq!((head(&answer).0, &answer[..2]), (5, &[0xab, 0xcd][..]));
}

#[test]
fn damaged_questions_do_no_harm() {
    let (_file, server) = server(true);
    let whole = question("example.test", 1, Some(1232));
    for length in 0..whole.len() {
        if let Some(answer) = server.answer(&whole[..length], false) {
            assert_eq!(head(&answer).0, 1, "FORMERR at {length}");
        }
    }
    assert_eq!(server.answer(&[0xff; 40], false), None, "answers are not answered");
}

#[test]
fn a_changed_file_is_read_again_and_a_broken_one_is_not_used() {
    let (file, server) = server(true);
    let count = || head(&server.answer(&question("new.example.test", 1, None), false).expect("an answer")).0;
    assert_eq!(count(), 3);
    std::fs::write(file.path(), "example.test SOA\nnew.example.test A 198.51.100.3\n").expect("written");
    assert_eq!(count(), 0);
    for bad in ["new.example.test A 198.51.100", "stray.invalid A 198.51.100.3", "x.example.test CNAME a.test b.test"] {
        std::fs::write(file.path(), format!("example.test SOA\n{bad}\n")).expect("written");
        assert_eq!(count(), 0, "{bad}");
    }
}

#[test]
fn dig_agrees_over_udp_and_tcp() {
    if Command::new("dig").arg("-v").stderr(Stdio::null()).status().is_err() {
        eprintln!("SKIPPED: no dig on this machine");
        return;
    }
    let (file, _) = server(true);
    let mut child = Command::new(env!("CARGO_BIN_EXE_fault-dns"))
        .args(["--listen", "127.0.0.1:0", "--address", "198.51.100.1", "--zone"])
        .arg(file.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let mut line = String::new();
    let out = child.stdout.take().expect("piped");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).expect("a line");
    let port = line.trim().rsplit(':').next().expect("a port").to_owned();
    let dig = |words: &[&str]| {
        let out = Command::new("dig").args(["@127.0.0.1", "-p", &port, "+norec", "+tries=1"]).args(words).output();
        String::from_utf8_lossy(&out.expect("dig ran").stdout).into_owned()
    };
    let results = [
        dig(&["+short", "chat.example.test"]),
        dig(&["+short", "+tcp", "example.test", "CAA"]),
        dig(&["+short", "big.example.test", "TXT"]),
        dig(&["+short", "example.test", "NS"]),
        dig(&["nope.example.test"]),
    ];
    child.kill().and_then(|()| child.wait()).expect("ended");
    assert_eq!(results[0], "example.test.\n198.51.100.7\n198.51.100.8\n");
    assert_eq!(results[1], "0 issue \"letsencrypt.org; validationmethods=http-01\"\n");
    assert_eq!(results[2].matches('x').count(), 1500, "repeated over TCP by itself");
    assert_eq!(results[3], "ns.example.test.\n");
    assert!(results[4].contains("NXDOMAIN") && results[4].contains("flags: qr aa ra"), "{}", results[4]);
    assert!(!results[4].contains("WARNING"), "{}", results[4]);
}
