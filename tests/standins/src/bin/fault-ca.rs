//! `fault-ca`: an ACME directory that fails in one chosen way.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use rcfed_standins::ca::{Authority, Mode};
use rcfed_standins::web;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

/// Answers ACME requests at /directory up to the step that fails.
#[derive(Parser)]
struct Options {
    /// IP:PORT to answer on.
    #[arg(long, default_value = "0.0.0.0:14000")]
    listen: SocketAddr,
    /// refuse, limit, paused, html, hang or badname.
    #[arg(long)]
    mode: Mode,
    /// Plain HTTP.
    #[arg(long, conflicts_with = "ca_out")]
    http: bool,
    /// Where to write the certificate to trust; needed without --http.
    #[arg(long, required_unless_present = "http")]
    ca_out: Option<PathBuf>,
    /// A name or address the certificate is for, besides localhost and the address listened on.
    #[arg(long)]
    name: Vec<String>,
    /// The time after which mode `limit` says to try again.
    #[arg(long, default_value = "2026-12-01 10:00:00 UTC")]
    retry_after: String,
    /// The seconds mode `limit` puts in Retry-After.
    #[arg(long, default_value_t = 600_000)]
    retry_seconds: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("fault-ca: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), String> {
    let tls = match &options.ca_out {
        None => None,
        Some(file) => {
            let mut names = options.name.clone();
            names.extend(["localhost".to_owned(), "127.0.0.1".to_owned(), options.listen.ip().to_string()]);
            Some(acceptor(names, file)?)
        }
    };
    let authority = Authority {
        mode: options.mode,
        scheme: if tls.is_some() { "https" } else { "http" },
        nonces: 0.into(),
        retry_after: options.retry_after,
        retry_seconds: options.retry_seconds,
    };
    let listener = tokio::net::TcpListener::bind(options.listen).await;
    let listener = listener.map_err(|why| format!("{}: {why}", options.listen))?;
    println!("listening on {}", listener.local_addr().map_err(|why| why.to_string())?);
    tokio::select! {
        () = web::serve(listener, tls, Arc::new(authority)) => Ok(()),
        stopped = web::until_told_to_stop() => stopped.map_err(|why| why.to_string()),
    }
}

fn acceptor(names: Vec<String>, file: &std::path::Path) -> Result<TlsAcceptor, String> {
    let made = rcgen::generate_simple_self_signed(names).map_err(|why| why.to_string())?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|why| why.to_string())?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .map_err(|why| why.to_string())?;
    std::fs::write(file, made.cert.pem()).map_err(|why| format!("{}: {why}", file.display()))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
