//! `federation-tester`: stands for federationtester.matrix.org, which Rocket.Chat asks whether a server federates.
//!
//! `GET /api/federation-ok?server_name=` answers GOOD or BAD as matrix-org/matrix-federation-tester does: GOOD if the
//! version could be fetched and every address of the server presents a good certificate and good keys.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use rcfed_standins::web::{self, Answer, Handler, Request};
use rcfed_standins::{federation, fetch};
use serde_json::{Value, json};

/// Answers whether a Matrix server can be reached by other servers, by trying it.
#[derive(Parser)]
struct Options {
    /// IP:PORT to answer on, in plain HTTP.
    #[arg(long, default_value = "0.0.0.0:8080")]
    listen: SocketAddr,
    /// PEM file of trusted roots, read again for each question; default: SSL_CERT_FILE, then the system's.
    #[arg(long)]
    ca: Option<PathBuf>,
}

struct Tester {
    ca: Option<PathBuf>,
}

impl Handler for Tester {
    async fn handle(&self, request: Request) -> Option<Answer> {
        let server = request.query_value("server_name");
        let text = |status, text: &str| Some(Answer::new(status, "text/plain; charset=utf-8", text.to_owned()));
        match request.path.as_str() {
            "/api/federation-ok" | "/api/report" if server.is_empty() => text(400, "Missing server_name"),
            "/api/federation-ok" => match self.check(&server).await {
                Ok(_) => text(200, "GOOD"),
                Err(why) => {
                    eprintln!("{server}: BAD: {why}");
                    text(200, "BAD")
                }
            },
            "/api/report" => {
                let (ok, rest) = match self.check(&server).await {
                    Ok(version) => (true, version),
                    Err(why) => (false, Value::from(why)),
                };
                Some(Answer::json(200, &json!({"FederationOK": ok, "Version": rest})))
            }
            _ => text(404, "404 page not found\n"),
        }
    }
}

impl Tester {
    async fn check(&self, server: &str) -> Result<Value, String> {
        let trust = fetch::trust(self.ca.as_deref())?;
        let place = federation::resolve(server, &trust).await;
        let mut version = Value::Null;
        for address in place.addresses().await? {
            let at = |why: String| format!("{address} ({}): {why}", place.host);
            version = place.get(address, "/_matrix/federation/v1/version", &trust).await.map_err(at)?["server"].take();
            if !version["name"].is_string() {
                return Err(at("the version has no server name".to_owned()));
            }
            place.keys(address, server, &trust).await.map_err(at)?;
        }
        Ok(version)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse();
    web::main("federation-tester", options.listen, Tester { ca: options.ca }).await
}
