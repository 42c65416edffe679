//! An administrator with a second factor: codes of an authenticator app, and codes by e-mail.

use std::process::Command;

use crate::screen::Screen;
use crate::support::{Bed, Run};
use crate::theirs::Theirs;
use crate::without_status;

/// RFC 4648 of `12345678901234567890`, the secret of RFC 6238's examples.
const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const LINE: &str = "container = \"chat_rocketchat_1\"";
const OTHERWISE: &str = "with `username` below `[admin]`. Nothing has been changed";

#[test]
fn a_code_of_an_authenticator_app_lets_rcfed_in_once() {
    let Some(bed) = Bed::up() else { return };
    let theirs = Theirs::start(&bed, &[&format!("STANDIN_TOTP_SECRET={SECRET}")]);
    let (before, started) = (theirs.settings(), theirs.started());
    let answers = theirs.answers("dendrite", LINE);
    let init = |more: &[&str]| bed.rcfed(&[&["init", "--answers", &answers, "--yes", "--no-input"], more].concat());
    let untouched = |run: &Run, said: &[&str]| {
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        assert_eq!(run.stderr.matches("error: ").count(), 1, "{}", run.stderr);
        for said in said {
            assert!(run.stderr.contains(said), "{said}: {}", run.stderr);
        }
        let left = ["etc/rcfed", "var/lib/rcfed"].map(|path| bed.root().join(path).exists());
        assert_eq!((left, theirs.tokens()), ([false, false], 0), "something was written");
        assert_eq!(theirs.settings(), before);
    };
    untouched(
        &init(&[]),
        &["asks for a second factor (totp) to log in", "`--two-factor-code`", "30 seconds", OTHERWISE],
    );
    let wrong = format!("{:06}", (code().parse::<u32>().unwrap() + 500_000) % 1_000_000);
    untouched(
        &init(&["--two-factor-code", &wrong]),
        &["did not accept the code of the second factor (totp)", "again with the next code. Nothing has been changed"],
    );
    // A token that was taken, and nothing comes of it.
    bed.bed(&["dns", "set", "matrix.fed.test", "A", "198.51.100.77"]);
    untouched(&init(&["--two-factor-code", &code()]), &["matrix.fed.test"]);
    bed.bed(&["dns", "reset"]);
    if !crate::all() {
        return;
    }

    let words = ["init", "--answers", &answers, "--yes", "--no-input"];
    let run = bed.rcfed_with(&words, &[("RCFED_TWO_FACTOR_CODE", &code())]).well();
    assert!(run.stdout.contains("Federation     valid"), "{}", run.stdout);
    assert_eq!(theirs.tokens(), 1);
    // From here on the token does, which needs no code.
    assert!(bed.rcfed(&["apply"]).well().stderr.contains("nothing was changed"));
    std::fs::remove_file(bed.root().join("var/lib/rcfed/secrets/personal_access_token")).unwrap();
    let lost = bed.rcfed(&["apply"]);
    assert!(lost.code == Some(1) && lost.stderr.contains("`--two-factor-code`"), "{}", lost.stderr);
    bed.rcfed(&["apply", "--two-factor-code", &code()]).well();
    assert_eq!(theirs.tokens(), 1);
    bed.rcfed(&["uninstall", "--yes"]).well();
    assert_eq!((theirs.started(), theirs.tokens()), (started, 0));
    assert_eq!(without_status(theirs.settings()), without_status(before));
}

/// Two codes: what opened the log-in is used up when the token is asked for.
#[test]
fn codes_by_e_mail_are_asked_for_in_a_terminal() {
    if !crate::all() {
        return;
    }
    let Some(bed) = Bed::up() else { return };
    let mail = ["STANDIN_EMAIL_CODES=1", "ADMIN_EMAIL=ada@fed.test", "ADMIN_EMAIL_VERIFIED=true"];
    let theirs = Theirs::start(&bed, &mail);
    let answers = theirs.answers("dendrite", LINE);
    let refused = bed.rcfed(&["init", "--answers", &answers, "--yes", "--no-input"]);
    assert!(
        refused.code == Some(1) && refused.stderr.contains("run the same command in a terminal"),
        "{}",
        refused.stderr
    );
    let screen = Screen::open(&[], &format!("init --answers {answers} --yes"));
    const QUESTION: &str = "Code from the newest e-mail";
    screen.wait_for("asks for the second factor of `ada`", 30);
    screen.wait_for(QUESTION, 10);
    screen.press(&["000-000", "Enter"]);
    screen.wait_for("That code was not accepted.", 10);
    screen.wait_for_times(QUESTION, 2, 10);
    // The one of the refused run was sent before, so another was sent now.
    assert_eq!(sent(&theirs).len(), 2);
    screen.press(&[&sent(&theirs)[1], "Enter"]);
    crate::held::until("a third e-mail", || sent(&theirs).len() == 3);
    screen.wait_for_times(QUESTION, 3, 20);
    screen.press(&[&sent(&theirs)[2], "Enter"]);
    let end = screen.wait_for("exit 0", 240);
    assert!(end.contains("Federation     valid"), "{end}");
    drop(screen);
    assert!(bed.rcfed(&["apply"]).well().stderr.contains("nothing was changed"));
    bed.rcfed(&["uninstall", "--yes"]).well();
}

/// The codes that were sent so far.
fn sent(theirs: &Theirs) -> Vec<String> {
    let printed = theirs.printed();
    let code =
        |line: &str| Some(line.split_once("E-mail to ada@fed.test: Here is your authentication code: ")?.1.to_owned());
    printed.lines().filter_map(code).collect()
}

/// What an authenticator app shows now (RFC 6238).
pub fn code() -> String {
    let script = include_str!("../standins/tests/common/totp.py");
    let output = Command::new("python3").args(["-c", script, SECRET, "0"]).output().expect("python3");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
