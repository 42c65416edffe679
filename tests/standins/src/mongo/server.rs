//! mongod as a process: what it checks before it listens, a thread for each connection, and a quick end.

use std::fs::File;
use std::io::{self, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;

use super::args::Args;
use super::commands::{Server, Session, stored_config};
use super::data::Data;
use super::replica::{Replica, State};
use super::{dbpath, keyfile, log, wire};

/// A mongod that is listening.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    _lock: File,
}

/// Checks everything mongod checks, then listens; the error is the exit code.
pub fn start(args: Args, version: &str) -> Result<Running, u8> {
    log::info("CONTROL", 4615611, "MongoDB starting", json!({ "port": args.port, "dbPath": args.dbpath }));
    log::info("CONTROL", 23403, "Build Info", json!({ "buildInfo": { "version": version } }));
    if let Some(path) = &args.key_file
        && let Err(text) = keyfile::check(path)
    {
        log::error("ACCESS", 20254, "Read security file failed", json!({ "error": { "code": 30, "errmsg": text } }));
        return Err(1);
    }
    let refused = |text: &str| {
        log::error("CONTROL", 20557, "DBException in initAndListen, terminating", json!({ "error": text }));
        100
    };
    let lock = dbpath::lock(&args.dbpath).map_err(|text| refused(&text))?;
    let data = Data::open(&args.dbpath).map_err(|error| refused(&error.to_string()))?;
    let bind = if args.bind_ip_all { [0, 0, 0, 0] } else { [127, 0, 0, 1] };
    let listener = TcpListener::bind(SocketAddr::from((bind, args.port))).map_err(|error| {
        log::error(
            "STORAGE",
            23024,
            "Failed to set up listener",
            json!({ "error": format!("SocketException: {error}") }),
        );
        48
    })?;
    let address = listener.local_addr().map_err(|_| 48)?;
    let replica = args.repl_set.as_deref().map(|name| Replica::load(name, stored_config(&data), args.port));
    if replica.as_ref().is_some_and(|replica| replica.state() == State::Removed) {
        let text = "Local replica set configuration is not for this node; waiting for reconfig or remote heartbeat";
        log::warning("REPL", 21405, text, json!({}));
    }
    log::info("NETWORK", 23015, "Listening on", json!({ "address": address.ip().to_string() }));
    log::info("NETWORK", 23016, "Waiting for connections", json!({ "port": address.port(), "ssl": "off" }));
    let server = Arc::new(Mutex::new(Server { args, data, replica, version: version.into() }));
    watch(Arc::clone(&server));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let server = Arc::clone(&server);
            std::thread::spawn(move || {
                // A client that goes away is no error.
                let _ = serve(&server, &stream);
            });
        }
    });
    Ok(Running { address, _lock: lock })
}

/// Logs every change of state, for tests and for people.
fn watch(server: Arc<Mutex<Server>>) {
    std::thread::spawn(move || {
        let mut last = None;
        loop {
            let state = server.lock().unwrap_or_else(PoisonError::into_inner).replica.as_ref().map(Replica::state);
            let Some(state) = state else { return };
            if last.replace(state) != Some(state) {
                log::info("REPL", 21358, "Replica set state transition", json!({ "newState": state.name() }));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    });
}

fn serve(server: &Mutex<Server>, stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let loopback = stream.peer_addr()?.ip().is_loopback();
    let mut session = Session { loopback, who: None, conversation: None };
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    for id in 1.. {
        let (request, command) = wire::read(&mut reader)?;
        let reply = server.lock().unwrap_or_else(PoisonError::into_inner).answer(&mut session, &command);
        wire::write(&mut writer, id, request, &reply)?;
    }
    Ok(())
}
