//! `fault-dns`: the bed's DNS server, authoritative from a zone file or failing in one chosen way.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{ArgAction, ArgGroup, Parser};
use rcfed_standins::dns::server::{Fault, Server, Source, ZoneFile};
use tokio::signal::unix::{SignalKind, signal};

/// Answers DNS questions over UDP and TCP, from a zone file or always with the same failure.
#[derive(Parser)]
#[command(group(ArgGroup::new("source").required(true).args(["mode", "zone"])))]
struct Options {
    /// IP:PORT to answer on; may be given several times.
    #[arg(long, required = true)]
    listen: Vec<SocketAddr>,
    /// Fail every question: servfail, nxdomain, refused or hang.
    #[arg(long)]
    mode: Option<Fault>,
    /// File of lines `NAME [TTL] TYPE VALUE…`, read again when it changes or on SIGHUP.
    #[arg(long)]
    zone: Option<PathBuf>,
    /// Address for the name servers of zones without NS records; default: the addresses listened on.
    #[arg(long)]
    address: Vec<std::net::IpAddr>,
    /// Set RA and answer NXDOMAIN, not REFUSED, for names outside all zones, so that it can be a machine's resolver.
    #[arg(long, default_value_t = true, action = ArgAction::Set)]
    recursive_looking: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("fault-dns: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), String> {
    let own = if options.address.is_empty() {
        options.listen.iter().map(SocketAddr::ip).collect()
    } else {
        options.address.clone()
    };
    let source = match (options.mode, options.zone) {
        (Some(fault), _) => Source::Fault(fault),
        (None, Some(path)) => Source::File(ZoneFile::open(path, own)?),
        (None, None) => return Err("--mode or --zone is needed".to_owned()),
    };
    let server = Arc::new(Server { source, recursive_looking: options.recursive_looking });
    let watch = |kind| signal(kind).map_err(|why| format!("signals: {why}"));
    let (mut hangup, mut term, mut int) =
        (watch(SignalKind::hangup())?, watch(SignalKind::terminate())?, watch(SignalKind::interrupt())?);
    let mut listeners = tokio::task::JoinSet::new();
    for address in options.listen {
        let server = server.clone();
        listeners.spawn(async move { server.listen(address).await.map_err(|why| format!("{address}: {why}")) });
    }
    loop {
        tokio::select! {
            Some(ended) = listeners.join_next() => return ended.map_err(|why| why.to_string())?,
            _ = hangup.recv() => if let Source::File(file) = &server.source {
                match file.reload() {
                    Ok(()) => eprintln!("read again"),
                    Err(why) => eprintln!("{why}; still serving what was there before"),
                }
            },
            _ = term.recv() => return Ok(()),
            _ = int.recv() => return Ok(()),
        }
    }
}
