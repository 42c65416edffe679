//! From the environment to "SERVER RUNNING", with everything that ends the way there.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::json;
use tokio::net::TcpListener;

use super::bridge::{self, Bridge};
use super::environment::Environment;
use super::native::{self, Native};
use super::settings::Settings;
use super::store::{NO_SET, Store};
use super::{App, api, chat, http, license, users};

/// Boots and serves; it comes back only with the reason why that did not work.
pub async fn run(variables: BTreeMap<String, String>) -> String {
    match boot(variables).await {
        Ok((app, listener)) => {
            http::serve(listener, move |request| api::handle(Arc::clone(&app), request)).await;
            String::new()
        }
        Err(text) => text,
    }
}

async fn boot(variables: BTreeMap<String, String>) -> Result<(Arc<App>, TcpListener), String> {
    let start = Instant::now();
    let environment = Environment::new(variables)?;
    // HOME=/tmp and the volume of the image are what it writes to (helm chart, volumeMounts).
    for directory in [Path::new("/tmp"), &environment.uploads()] {
        writable(directory)?;
    }
    let limit = environment.duration("STANDIN_MONGO_WAIT_MS", 15_000);
    let mongo = environment.mongo.clone();
    let store = tokio::task::block_in_place(|| Store::connect(mongo, limit)).map_err(|text| match text.as_str() {
        NO_SET => boxed("SERVER ERROR", NO_SET),
        _ => text,
    })?;
    let told = |error: crate::mongo::client::Error| error.to_string();
    let mongo_version = store.version().map_err(told)?;
    store.monitor().map_err(told)?;
    let major: u32 = mongo_version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0);
    // server/startup/serverRunning.js; from 8.0 on MongoDB 5 and 6 are refused too (pull request 35961).
    let least = if environment.release() >= (8, 0) { 7 } else { 5 };
    if major < least && environment.get("BYPASS_MONGO_VALIDATION").is_none() {
        let text = "YOUR CURRENT MONGODB VERSION IS NOT SUPPORTED BY ROCKET.CHAT,\nPLEASE UPGRADE TO VERSION";
        return Err(boxed("SERVER ERROR", &format!("{text} {least}.0 OR LATER")));
    }
    let settings = Settings::load(&environment, &store).map_err(told)?;
    for line in users::initial(&environment, &store).map_err(told)? {
        println!("{line}");
    }
    // An administrator has been made, but not the steps after it (initialData.ts).
    let admin = store.all(users::COLLECTION).map_err(told)?.iter().any(users::is_admin);
    if admin && settings.text("Show_Setup_Wizard") == "pending" {
        settings.set(&store, "Show_Setup_Wizard", json!("in_progress")).map_err(told)?;
    }
    license::load(&settings, &store, environment.get("ROCKETCHAT_LICENSE")).map_err(told)?;
    let trust = trust(&environment)?;
    let http = client(&trust)?;
    let (bridge, native) = (Bridge::default(), Native::default());
    let app = Arc::new(App { environment, store, settings, bridge, native, http, trust });
    chat::initial(&app).map_err(told)?;
    let rest = app.environment.duration("STANDIN_BOOT_MS", 2_000).saturating_sub(start.elapsed());
    tokio::time::sleep(rest).await;
    bridge::start(&app).await;
    native::configure(&app);
    let port = app.environment.port();
    let listener = TcpListener::bind(("0.0.0.0", port)).await;
    let listener = listener
        .map_err(|error| format!("Error: listen EADDRINUSE: address already in use 0.0.0.0:{port} ({error})"))?;
    let lines = [
        format!("Rocket.Chat Version: {}", app.environment.version),
        format!("    MongoDB Version: {mongo_version}"),
        format!("       Process Port: {port}"),
        format!("           Site URL: {}", app.settings.text("Site_Url")),
        "   ReplicaSet OpLog: Enabled".into(),
    ];
    println!("{}", boxed("SERVER RUNNING", &lines.join("\n")));
    Ok((app, listener))
}

/// Node trusts its own list of authorities and `NODE_EXTRA_CA_CERTS`, never the machine's; the list is of no use in a
/// bed without the Internet, so here it is empty.
fn trust(environment: &Environment) -> Result<Arc<rustls::ClientConfig>, String> {
    let mut roots = rustls::RootCertStore::empty();
    if let Some(path) = environment.get("NODE_EXTRA_CA_CERTS") {
        match CertificateDer::pem_file_iter(path) {
            Ok(certificates) => {
                roots.add_parsable_certificates(certificates.filter_map(Result::ok));
            }
            Err(error) => println!("Warning: Ignoring extra certs from `{path}`, load failed: {error}"),
        }
    }
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let tls = tls.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    Ok(Arc::new(tls.with_root_certificates(roots).with_no_client_auth()))
}

fn client(trust: &rustls::ClientConfig) -> Result<reqwest::Client, String> {
    let builder = reqwest::Client::builder().tls_backend_preconfigured(trust.clone()).no_proxy();
    builder.build().map_err(|error| error.to_string())
}

fn writable(directory: &Path) -> Result<(), String> {
    let probe = directory.join(format!(".standin-{}", std::process::id()));
    let shown = directory.display();
    let result = std::fs::write(&probe, "").and_then(|()| std::fs::remove_file(&probe));
    result.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("Error: ENOENT: no such file or directory, open '{shown}'"),
        std::io::ErrorKind::ReadOnlyFilesystem => format!("Error: EROFS: read-only file system, open '{shown}'"),
        _ => format!("Error: EACCES: permission denied, open '{shown}'"),
    })
}

fn boxed(title: &str, text: &str) -> String {
    let width = text.lines().map(str::len).max().unwrap_or(0).max(title.len());
    let line = format!("+{}+", "-".repeat(width + 4));
    let row = |text: &str| format!("|  {text:width$}  |");
    let rows: Vec<_> = text.lines().map(row).collect();
    format!("{line}\n{}\n{line}\n{}\n{line}", row(&format!("{title:^width$}")), rows.join("\n"))
}
