//! `dendrite`: the bed's stand-in for Dendrite 0.15.2, under the name its image starts.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use rcfed_standins::dendrite::config::{self, Config};
use rcfed_standins::dendrite::database::Database;
use rcfed_standins::dendrite::flags::Flags;
use rcfed_standins::dendrite::sender::{self, Queue, writable};
use rcfed_standins::dendrite::server::Server;
use rcfed_standins::dendrite::{Stop, VERSION, key::go_error, log};
use rcfed_standins::web;
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let flags = match Flags::parse(std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned())) {
        Ok(flags) => flags,
        Err(why) => {
            eprintln!("{why}\nUsage of dendrite:\n  -config string\n  -http-bind-address string\n  -version");
            return ExitCode::from(2); // flag.ExitOnError
        }
    };
    if flags.version {
        println!("{VERSION}");
        return ExitCode::SUCCESS;
    }
    // from the very start: as PID 1 it would not be stopped while it waits for the database
    let ended = tokio::select! {
        ended = run(&flags) => ended,
        stopped = web::until_told_to_stop() => stopped.map_err(Stop::fatal),
    };
    match ended {
        Ok(()) => {
            log::info("Stopped HTTP listeners");
            ExitCode::SUCCESS
        }
        Err(Stop::Fatal(why)) => {
            log::line("fatal", &why);
            ExitCode::FAILURE
        }
        Err(Stop::Panic(why)) => {
            log::line("panic", &why);
            eprintln!("{why}\n\ngoroutine 1 [running]:\nmain.main()");
            ExitCode::from(2)
        }
    }
}

async fn run(flags: &Flags) -> Result<(), Stop> {
    if flags.config.is_empty() {
        return Err(Stop::fatal("--config must be supplied"));
    }
    let text = std::fs::read_to_string(&flags.config)
        .map_err(|why| Stop::Fatal(format!("Invalid config file: open {}: {}", flags.config, go_error(&why))))?;
    let config = config::load(&text, flags)?;
    log::info(&format!("Dendrite version {VERSION}"));
    if !config.registration_disabled && flags.open_registration {
        log::warn("Open registration is enabled");
    }
    let database = Database::open(&config, flags.skip_db_sanity).await?;
    let server = Arc::new(start(config, database).await?);
    let listener =
        listen(&flags.http_bind_address).await.map_err(|why| Stop::Fatal(format!("failed to serve HTTP: {why}")))?;
    log::info(&format!("Starting external listener on {}", flags.http_bind_address));
    for (queue, registration) in server.queues.iter().zip(&server.config.registrations) {
        let config = &server.config;
        tokio::spawn(sender::run(queue.clone(), registration.clone(), config.legacy_auth, config.legacy_paths));
    }
    web::serve(listener, None, server).await;
    Ok(())
}

/// What happens between the database and the listener: directories, and an account for each app service's sender
/// (generateAppServiceAccount).
async fn start(config: Config, database: Database) -> Result<Server, Stop> {
    let storage =
        if config.jetstream.is_empty() { std::env::temp_dir().join("nats") } else { (&config.jetstream).into() };
    writable(&storage.join("jetstream"))
        .map_err(|why| Stop::Panic(format!("could not create JetStream storage: {why}")))?;
    writable(Path::new(&config.media_path)).map_err(|why| Stop::Fatal(format!("media_api.base_path: {why}")))?;
    let mut queues = Vec::new();
    for service in &config.registrations {
        let failed = |why: String| Stop::Panic(format!("failed to generate bot account for appservice: {why}"));
        let local = &service.sender_localpart;
        database.add_account(local, &service.id).await.map_err(|why| failed(why.to_string()))?;
        database.add_device(&service.as_token, local, local).await.map_err(|why| failed(why.to_string()))?;
        queues.push(Queue::open(&config.jetstream, &service.id).map_err(failed)?);
    }
    Ok(Server {
        config,
        database,
        queues,
        joining: tokio::sync::Mutex::new(()),
        callers: tokio::sync::Mutex::default(),
    })
}

/// `:8008` is every address of both families, as in Go.
async fn listen(address: &str) -> std::io::Result<TcpListener> {
    match address.strip_prefix(':') {
        Some(port) => match TcpListener::bind(format!("[::]:{port}")).await {
            Ok(listener) => Ok(listener),
            Err(_) => TcpListener::bind(format!("0.0.0.0:{port}")).await,
        },
        None => TcpListener::bind(address).await,
    }
}
