//! Many names: a few at a time, and each told when it is done.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};

/// Looks that are open at the same time, and the names of this test.
const BOUND: usize = 64;
const NAMES: usize = 200;

/// A name server that answers nobody until as many have asked as may, and then says of every name that it does not exist. No
/// further name may be begun before a report is out for one that was.
#[test]
fn no_more_looks_than_the_bound_are_open_and_reports_come_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let names: String = (0..NAMES).map(|number| format!("n{number}.example\n")).collect();
    std::fs::write(dir.path().join("names"), names).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_rcfed"))
        .args(["--nameserver", &socket.local_addr().unwrap().to_string(), "doctor", "--json", "--from"])
        .arg(dir.path().join("names"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (tell, told) = channel();
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| tell.send(line)));
    assert_eq!(serve(&socket, &told), NAMES);
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

/// Answers until every report has come; how many names were asked for.
fn serve(socket: &UdpSocket, told: &Receiver<String>) -> usize {
    let (mut begun, mut reports) = (BTreeSet::new(), 0);
    let mut held: Option<Vec<(Message, SocketAddr)>> = Some(Vec::new());
    let mut buffer = [0; 512];
    let started = Instant::now();
    loop {
        assert!(started.elapsed() < Duration::from_secs(60), "{} names are begun and {reports} told", begun.len());
        let Ok((length, from)) = socket.recv_from(&mut buffer) else {
            // Nobody has asked for a while.
            if let Some(waiting) = held.take_if(|_| begun.len() >= BOUND) {
                assert_eq!((begun.len(), reports), (BOUND, 0));
                waiting.iter().for_each(|(query, from)| answer(socket, query, *from));
            }
            reports += told.try_iter().count();
            if reports >= NAMES {
                assert_eq!(reports, NAMES);
                return begun.len();
            }
            continue;
        };
        let query = Message::from_vec(&buffer[..length]).unwrap();
        let name = query.queries[0].name.to_ascii();
        if let Some(label) = name.trim_end_matches(".example.").rsplit('.').next().filter(|_| name != "example.") {
            begun.insert(label.to_owned());
        }
        // A report is written before its place is taken, but may still be on its way to us.
        while begun.len() > BOUND + reports {
            let came = told.recv_timeout(Duration::from_secs(10));
            assert!(came.is_ok(), "{} names are begun and {reports} told", begun.len());
            reports += 1;
        }
        match &mut held {
            Some(held) => held.push((query, from)),
            None => answer(socket, &query, from),
        }
    }
}

fn answer(socket: &UdpSocket, query: &Message, from: SocketAddr) {
    let mut answer = Message::response(query.metadata.id, OpCode::Query);
    answer.metadata.response_code = ResponseCode::NXDomain;
    answer.add_query(query.queries[0].clone());
    socket.send_to(&answer.to_vec().unwrap(), from).unwrap();
}
