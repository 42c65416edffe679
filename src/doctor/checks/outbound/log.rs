//! What homeservers write while they fail to reach another server. Their answer is the same for every cause.

use std::net::{IpAddr, SocketAddr};

/// What the log says happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// The other server answered, with this status.
    Answered(u16),
    /// The homeserver keeps away from this address.
    Private(IpAddr),
    /// Nothing that could be understood.
    Nothing,
}

/// Reads the lines that name the server, or a host that it leads to.
pub(super) fn said(lines: &[String], names: &[&str]) -> Said {
    let of_it = || lines.iter().rev().filter(|line| names.iter().any(|name| has(line, name)));
    let private = of_it().find_map(|line| private(line)).map(Said::Private);
    let answered = || of_it().find_map(|line| status(line)).map(Said::Answered);
    private.or_else(answered).unwrap_or(Said::Nothing)
}

/// The last lines about the server, without those that only repeat that it was asked for.
pub(super) fn about(lines: &[String], names: &[&str]) -> Vec<String> {
    const REPEATS: [&str; 3] = ["Processed request:", "Failed to fetch profile", "level=debug"];
    let tells =
        |line: &&String| names.iter().any(|name| has(line, name)) && !REPEATS.iter().any(|words| line.contains(words));
    let mut found: Vec<&String> = lines.iter().rev().filter(tells).take(3).collect();
    found.reverse();
    found.into_iter().map(|line| without_contents(line).chars().take(400).collect()).collect()
}

/// Synapse blocks an address (synapse/http/client.py), gomatrixserverlib denies it (fclient/client.go).
fn private(line: &str) -> Option<IpAddr> {
    let blocked = || line.split_once("Blocked ")?.1.split(' ').next()?.parse().ok();
    let denied = || line.split_once(" is denied")?.0.rsplit(' ').next()?.parse().ok();
    blocked().or_else(|| denied().map(|peer: SocketAddr| peer.ip()))
}

/// Synapse tells each status that is no success (synapse/http/matrixfederationclient.py), gomatrix as `code=403`.
fn status(line: &str) -> Option<u16> {
    let after = |words: &str| {
        let rest = line.split_once(words)?.1;
        rest.get(..3)?.parse().ok().filter(|status| (300..600).contains(status))
    };
    after("Got response headers: ").or_else(|| after(" code="))
}

/// Whether `name` stands in `line`, and not as a part of a longer one.
fn has(line: &str, name: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    line.match_indices(name).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + name.len()..]);
        // `%3A` stands for a colon.
        let before = before.ends_with("%3A") || !before.ends_with(inside);
        // A name may end a sentence.
        let after = after.strip_prefix('.').unwrap_or(after);
        before && !after.starts_with(inside)
    })
}

/// Without the answer of the other server, of which gomatrix writes each byte as a number before the status.
fn without_contents(line: &str) -> String {
    let contents = line.split_once("contents=[").and_then(|(before, rest)| Some((before, rest.split_once("] ")?.1)));
    contents.map_or_else(|| line.to_owned(), |(before, after)| format!("{before}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 2] = ["other.example", "matrix.hosting.example"];

    fn of(line: &str) -> Said {
        said(&[line.to_owned()], &NAMES)
    }

    /// As Synapse 1.163.2 and Dendrite 0.15.2 wrote them.
    #[test]
    fn what_a_line_says() {
        let blocked = "synapse.http.client - 219 - INFO - sentinel - Blocked 10.0.0.7 from DNS resolution to matrix.hosting.example";
        assert_eq!(of(blocked), Said::Private("10.0.0.7".parse().unwrap()));
        let denied = r#"level=error msg="getProfile failed" error="Get \"matrix://other.example/_matrix/federation/v1/query/profile?user_id=%40rcfed-probe%3Aother.example\": dial tcp [fd00::7]:443: [fd00::7]:443 is denied" req.id=50YnmB2kPpoj"#;
        assert_eq!(of(denied), Said::Private("fd00::7".parse().unwrap()));
        let refused = "synapse.http.matrixfederationclient - 793 - INFO - GET-55 - {GET-O-1} [other.example] Got response headers: 401 Unauthorized";
        assert_eq!(of(refused), Said::Answered(401));
        assert_eq!(of(CODE), Said::Answered(403));
        for line in [
            "{GET-O-1} [other.example] Request failed: GET matrix-federation://other.example/: DNSLookupError('no results')",
            "Blocked by somebody at other.example; access is denied",
            "Blocked 10.0.0.7 from DNS resolution to another.example",
            "[other.example.org] Got response headers: 401 Unauthorized",
        ] {
            assert_eq!(of(line), Said::Nothing, "{line}");
        }
    }

    const CODE: &str = r#"msg="getProfile failed" error="contents=[123 34 125] msg=Failed to GET JSON (hostname \"other.example\" path \"/_matrix/federation/v1/query/profile\") code=403 wrapped=M_FORBIDDEN: no""#;

    #[test]
    fn the_last_lines_about_a_server_are_kept() {
        let lines = [
            "a other.example",
            "b other.example.",
            "c",
            "d %3Aother.example",
            "level=debug other.example",
            "e nother.example",
            CODE,
        ];
        let kept = about(&lines.map(str::to_owned), &NAMES);
        assert_eq!(kept[..2], ["b other.example.", "d %3Aother.example"]);
        assert!(kept[2].contains("error=\"msg=Failed to GET JSON") && kept.len() == 3, "{kept:?}");
    }
}
