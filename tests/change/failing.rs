//! A version that does not become ready where data are: it stops, says the way back, and that way works.

use crate::deployed::*;
use crate::variants::{broken, variant};
use crate::{DENDRITE, MONGO, POSTGRES, ROCKETCHAT};

#[test]
#[ignore = "minutes long; `make test-all` runs it"]
fn a_rocketchat_that_fails_stops_and_its_data_come_back() {
    let Some(bed) = deployed() else { return };
    variant(&bed, ROCKETCHAT, "7.10.15", "7.10.17", &broken("/usr/local/bin/node"));
    append(&bed, &format!("[images]\nrocketchat = \"{ROCKETCHAT}:7.10.17\"\n"));
    let before = containers(&bed);
    let apply = bed.rcfed(&["apply"]);
    assert_eq!(apply.code, Some(1), "{}", apply.stderr);
    let dump = dumps(&bed, "rocketchat").pop().unwrap();
    assert_eq!(others(&containers(&bed), "rcfed-rocketchat"), others(&before, "rcfed-rocketchat"));
    let state = bed.run(&["docker", "inspect", "-f", "{{.State.Status}}", "rcfed-rocketchat"]);
    assert_eq!(state.trim(), "exited", "it may not be started again and again on data it may have changed");
    let commands = commands(&apply);
    insta::assert_snapshot!(sentence(&apply).replace(&name(&dump), "DUMP"));

    // Trying again makes no further dump: the one from before the first try counts.
    let again = bed.rcfed(&["apply"]);
    assert_eq!(again.code, Some(1), "{}", again.stderr);
    assert!(again.stderr.contains(&name(&dump)), "{}", again.stderr);
    assert_eq!(dumps(&bed, "rocketchat"), std::slice::from_ref(&dump));

    // What the failed version did to the data: here, everybody is gone. The printed commands bring them back.
    let password = std::fs::read_to_string(bed.root().join("var/lib/rcfed/secrets/admin_password")).unwrap();
    let nobody = bed.root().join("var/lib/rcfed/dumps/nobody");
    let archive = "{\"archive\":\"standin\"}\n{\"db\":\"rocketchat\",\"collection\":\"users\",\"documents\":[]}\n";
    std::fs::write(&nobody, archive).unwrap();
    let restore = commands.iter().find(|command| command.contains("mongorestore")).unwrap();
    run_commands(&bed, &[restore.replace(&name(&dump), "nobody")]);
    std::fs::remove_file(nobody).unwrap();
    edit(&bed, ":7.10.17", ":7.10.15");
    run_commands(&bed, &commands);
    let body = format!("{{\"user\":\"ada\",\"password\":\"{}\"}}", password.trim());
    let login = ["-H", "Content-Type: application/json", "-d", &body];
    assert_eq!(bed.https("https://chat.fed.test/api/v1/login", &login).0, 200);
    assert_eq!(others(&containers(&bed), "rcfed-rocketchat"), others(&before, "rcfed-rocketchat"));
    assert_eq!(diff(&bed), "Everything is as wanted.");
}

#[test]
#[ignore = "minutes long; `make test-all` runs it"]
fn a_homeserver_that_fails_stops_and_its_data_come_back() {
    let Some(bed) = deployed() else { return };
    variant(&bed, DENDRITE, "v0.15.2", "v0.15.3", &broken("/usr/bin/dendrite"));
    append(&bed, &format!("[images]\nhomeserver = \"{DENDRITE}:v0.15.3\"\n"));
    let psql = |query: &str| {
        let words = ["docker", "exec", "rcfed-postgres", "psql", "-U", "postgres", "-d", "homeserver", "-tAc", query];
        bed.run(&words).trim().to_string()
    };
    psql("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7); ALTER TABLE kept OWNER TO homeserver");
    let apply = bed.rcfed(&["apply"]);
    assert_eq!(apply.code, Some(1), "{}", apply.stderr);
    let dump = dumps(&bed, "homeserver").pop().unwrap();
    insta::assert_snapshot!(sentence(&apply).replace(&name(&dump), "DUMP"));
    psql("DROP TABLE kept");
    edit(&bed, ":v0.15.3", ":v0.15.2");
    run_commands(&bed, &commands(&apply));
    assert_eq!(psql("SELECT n FROM kept"), "7");
    let about = "SELECT datcollate || ' ' || pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'homeserver'";
    assert_eq!(psql(about), "C homeserver");
    assert_eq!(diff(&bed), "Everything is as wanted.");
}

/// The same for a database server of the same major version, whose dump it makes itself before it is replaced.
#[test]
#[ignore = "minutes long; `make test-all` runs it"]
fn a_database_server_that_fails_stops_and_its_data_come_back() {
    let Some(bed) = deployed() else { return };
    let mut told = Vec::new();
    for (service, repository, old, new, program) in [
        ("postgres", POSTGRES, "17", "17.99", "$(command -v postgres)"),
        ("mongodb", MONGO, "7.0", "7.0.99", "$(command -v mongod)"),
    ] {
        variant(&bed, repository, old, new, &broken(program));
        append(&bed, &format!("[images]\n{service} = \"{repository}:{new}\"\n"));
        let before = containers(&bed);
        let apply = bed.rcfed(&["apply"]);
        assert_eq!(apply.code, Some(1), "{}", apply.stderr);
        let dump = dumps(&bed, service).pop().unwrap();
        told.push(sentence(&apply).replace(&name(&dump), "DUMP"));
        let container = format!("rcfed-{service}");
        assert_eq!(others(&containers(&bed), &container), others(&before, &container));
        edit(&bed, &format!(":{new}"), &format!(":{old}"));
        run_commands(&bed, &commands(&apply));
        assert_eq!(diff(&bed), "Everything is as wanted.");
        bed.rcfed(&["apply"]).well();
        bed.is_well();
        let kept = std::fs::read_to_string(config(&bed)).unwrap();
        std::fs::write(config(&bed), kept.split("[images]").next().unwrap()).unwrap();
        bed.rcfed(&["apply"]).well();
    }
    insta::assert_snapshot!(told.join("\n\n"));
}
