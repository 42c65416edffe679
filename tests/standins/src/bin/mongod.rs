//! The mongod stand-in.

use std::io::Write;
use std::process::ExitCode;

use rcfed_standins::mongo::args::Args;
use rcfed_standins::mongo::server;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(text) => {
            let _ = writeln!(std::io::stderr(), "{text}");
            return ExitCode::from(2);
        }
    };
    let version = std::env::var("STANDIN_MONGO_VERSION").unwrap_or_else(|_| "7.0.14".into());
    if args.version {
        println!("db version v{version}");
        return ExitCode::SUCCESS;
    }
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return ExitCode::FAILURE;
    };
    runtime.block_on(async {
        // Before anything else: as process 1 nothing but a handler of its own lets a signal end it.
        let (Ok(mut term), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        else {
            return ExitCode::FAILURE;
        };
        let _running = match server::start(args, &version) {
            Ok(running) => running,
            Err(code) => return ExitCode::from(code),
        };
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
        ExitCode::SUCCESS
    })
}
