use super::super::super::report::tests::told;
use super::*;
use crate::finding::Status;

#[test]
fn room_is_judged_by_what_is_left_and_by_how_long_it_lasts() {
    let status = |free, days| room(free, days).status;
    assert_eq!(status(499_999_999, None), Status::Fail);
    assert_eq!(status(500_000_000, None), Status::Warn);
    assert_eq!(status(2_000_000_000, None), Status::Ok);
    assert_eq!(status(9_000_000_000, Some(29)), Status::Warn);
    assert_eq!(status(9_000_000_000, Some(30)), Status::Ok);
}

#[test]
fn room_in_words() {
    let cases = [(1, None), (1_999_999_999, None), (2_000_000_000, None)];
    let slow = [0, 1, 29].map(|days| (9_000_000_000, Some(days)));
    let rooms = cases.into_iter().chain(slow).map(|(free, days)| room(free, days));
    insta::assert_snapshot!(told(rooms.chain([crowded(9_999)])));
}

#[test]
fn counters_and_firewalls_are_read() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let write = |path: &str, text: &str| {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let mut findings = vec![oom(root)];
    for text in ["oom_kill 0", "nr_x 4\noom_kill 3", "oom_kill 1", "x 1"] {
        write("proc/vmstat", text);
        findings.push(oom(root));
    }
    findings.push(firewall(root));
    write("etc/systemd/system/multi-user.target.wants/firewalld.service", "");
    findings.push(firewall(root));
    write("etc/ufw/ufw.conf", "# x\nENABLED=yes\nLOGLEVEL=low\n");
    findings.push(firewall(root));
    write("etc/ufw/ufw.conf", "ENABLED=no\n");
    std::fs::remove_file(root.join("etc/systemd/system/multi-user.target.wants/firewalld.service")).unwrap();
    write("etc/systemd/system/sysinit.target.wants/nftables.service", "");
    assert_eq!(firewall(root).status, Status::Ok, "it has no rules");
    write("etc/nftables.conf", "#!/usr/sbin/nft -f\nflush ruleset\n");
    findings.push(firewall(root));
    insta::assert_snapshot!(told(findings));
}
