//! The Rocket.Chat stand-in. Its image calls it as `node main.js`, so arguments mean nothing.

use std::process::ExitCode;

use rcfed_standins::rocketchat::boot;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let Ok(runtime) = runtime else { return ExitCode::FAILURE };
    let code = runtime.block_on(async {
        // Before anything else: as process 1 nothing but a handler of its own lets a signal end it.
        let (Ok(mut term), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        else {
            return ExitCode::FAILURE;
        };
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            name.into_string().ok().zip(value.into_string().ok())
        };
        let running = tokio::spawn(boot::run(std::env::vars_os().filter_map(text).collect()));
        tokio::select! {
            _ = term.recv() => ExitCode::SUCCESS,
            _ = interrupt.recv() => ExitCode::SUCCESS,
            ended = running => {
                println!("{}", ended.unwrap_or_else(|error| error.to_string()));
                ExitCode::FAILURE
            }
        }
    });
    // A blocked wait for MongoDB must not hold up the end.
    runtime.shutdown_background();
    code
}
