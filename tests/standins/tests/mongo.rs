//! mongod and mongosh as a provisioner meets them, from an empty directory to a restart after a kill.

mod common;

use std::process::Command;

use common::{Process, free_port, mongod, mongosh, ready_mongod, run, until_primary};

const FIRST: &str = r#"{"createUser": "root", "pwd": secret("root"), "roles": ["root"]}"#;

#[test]
fn the_way_to_a_primary_with_users() {
    let directory = tempfile::tempdir().unwrap();
    let (directory, port) = (directory.path(), free_port());
    std::fs::write(directory.join("root"), "root-password").unwrap();
    let process = mongod(directory, port, "rs0");
    let hello = run(directory, port, None, r#"{"hello": 1}"#);
    assert_eq!((&hello["isreplicaset"], &hello["isWritablePrimary"]), (&true.into(), &false.into()));
    assert_eq!(run(directory, port, None, r#"{"replSetGetStatus": 1}"#)["code"], 94);
    assert_eq!(run(directory, port, None, FIRST)["code"], 10107);
    assert_eq!(run(directory, port, None, r#"{"usersInfo": 1}"#)["code"], 13);
    let config =
        |host: &str| format!(r#"{{"replSetInitiate": {{"_id": "rs0", "members": [{{"_id": 0, "host": "{host}"}}]}}}}"#);
    assert_eq!(run(directory, port, None, &config("mongodb.invalid:27017"))["codeName"], "NodeNotFound");
    let config = config(&format!("127.0.0.1:{port}"));
    assert_eq!(run(directory, port, None, &config)["ok"], 1);
    assert_eq!(run(directory, port, None, &config)["codeName"], "AlreadyInitialized");
    assert_eq!(run(directory, port, None, FIRST)["codeName"], "NotWritablePrimary");
    until_primary(directory, port);
    assert_eq!(run(directory, port, None, FIRST)["ok"], 1);

    // The exception has ended with the first user.
    assert_eq!(run(directory, port, None, FIRST)["errmsg"], "Command createUser requires authentication");
    let again = run(directory, port, Some("root"), FIRST);
    assert_eq!((&again["code"], &again["errmsg"]), (&51003.into(), &"User \"root@admin\" already exists".into()));
    assert_eq!(run(directory, port, Some("root"), r#"{"updateUser": "root", "pwd": "another"}"#)["ok"], 1);
    let refused = mongosh(directory, port, Some("root"), r#"{"ping": 1}"#);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(refused.stderr, b"MongoServerError: Authentication failed.\n");
    assert!(!process.printed.lock().unwrap().contains("root-password"));
}

#[test]
fn a_killed_mongod_comes_back_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let (directory, port) = (directory.path(), free_port());
    let mut process = ready_mongod(directory, port);
    process.child.kill().unwrap();
    let _ = process.child.wait();
    let refused = mongosh(directory, port, None, r#"{"ping": 1}"#);
    let said = format!("MongoNetworkError: connect ECONNREFUSED 127.0.0.1:{port}\n");
    assert_eq!((refused.status.code(), String::from_utf8(refused.stderr).unwrap()), (Some(1), said));

    let process = mongod(directory, port, "rs0");
    until_primary(directory, port);
    let users = run(directory, port, Some("root"), r#"{"usersInfo": {"user": "rocketchat", "db": "admin"}}"#);
    assert_eq!(users["users"][0]["roles"][0]["role"], "readWrite");
    assert_eq!(users["users"][0].get("credentials"), None);
    assert_eq!(run(directory, port, Some("rocketchat"), r#"{"usersInfo": 1}"#)["code"], 13);
    drop(process);

    let _other = mongod(directory, port, "rs1");
    assert_eq!(run(directory, port, Some("root"), r#"{"replSetGetStatus": 1}"#)["codeName"], "InvalidReplicaSetConfig");
}

#[test]
fn what_ends_mongod_before_it_listens() {
    let directory = tempfile::tempdir().unwrap();
    let start = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mongod"));
        command.current_dir(directory.path()).args(["--port", &free_port().to_string()]).args(arguments);
        let mut process = Process::start(&mut command);
        let code = process.ended();
        std::thread::sleep(std::time::Duration::from_millis(100));
        let printed = process.printed.lock().unwrap().clone();
        (code, printed)
    };
    assert_eq!(start(&["--nonsense"]).0, 2);
    std::fs::write(directory.path().join("open"), "c2VjcmV0").unwrap();
    let (code, printed) = start(&["--dbpath", ".", "--keyFile", "open"]);
    assert!(code == 1 && printed.contains("permissions on open are too open"), "{printed}");
    let (code, printed) = start(&["--dbpath", "none"]);
    assert!(code == 100 && printed.contains("NonExistentPath"), "{printed}");
}

#[test]
fn a_signal_ends_mongod_cleanly() {
    let directory = tempfile::tempdir().unwrap();
    let mut process = mongod(directory.path(), free_port(), "rs0");
    Command::new("kill").args(["-TERM", &process.child.id().to_string()]).status().unwrap();
    assert_eq!(process.ended(), 0);
}
