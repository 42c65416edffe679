//! The clock jumps, forwards beyond the certificate's end and back before its beginning.

use crate::converged;
use crate::sight::orders;
use crate::support::Bed;
use crate::surroundings::{Told, sentence};

const AHEAD: [(&str, &str); 1] = [("RCFED_CLOCK", "8640000")];
const BEHIND: [(&str, &str); 1] = [("RCFED_CLOCK", "-86400")];

pub fn jumps(bed: &Bed, told: &mut Told) {
    let ordered = orders(bed);
    let pair = bed.root().join("var/lib/rcfed/certificate/pair.pem");
    let kept = std::fs::read(&pair).unwrap();
    told.add("100 days ahead: apply", &bed.rcfed_with(&["apply"], &AHEAD));
    told.add("100 days ahead: renew", &bed.rcfed_with(&["renew", "--force"], &AHEAD));
    let status = bed.rcfed_with(&["status", "--json"], &AHEAD);
    let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    assert!(status["certificate"]["days_left"].as_i64().unwrap() < 0, "{status:#}");

    // With something to do besides.
    let config = bed.root().join("etc/rcfed/config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("relay = 64", "relay = 48")).unwrap();
    for words in [&["apply"][..], &["renew", "--force"]] {
        let run = bed.rcfed_with(words, &BEHIND);
        let text = sentence(&run);
        // Whether TLS sees it first depends on the age of the authority's own certificate.
        let seen = ["this machine's clock is 24 hours behind its own", "is not valid yet, by this machine's clock"];
        assert!(seen.iter().any(|seen| text.contains(seen)) && text.contains("`date -u`"), "{words:?}: {text}");
        assert_eq!(run.code, Some(1));
    }
    // What was remembered of the attempt a hundred days ahead keeps nobody waiting now.
    let renew = bed.rcfed(&["renew"]).well();
    assert!(renew.stderr.contains("it is not time yet"), "{}", renew.stderr);
    assert_eq!(std::fs::read(&pair).unwrap(), kept, "the certificate in use");

    let seen: Vec<String> = std::fs::read_to_string(bed.root().join("var/lib/rcfed/receipt.jsonl"))
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["at"].as_str().unwrap().to_string())
        .collect();
    assert!(!seen.is_sorted(), "the receipt's times go back");
    bed.rcfed(&["apply"]).well();
    converged(bed);
    assert_eq!(bed.run(&["docker", "inspect", "-f", "{{.HostConfig.Memory}}", "rcfed-relay"]).trim(), "50331648");
    assert_eq!(orders(bed), ordered, "certificates");
}
