//! The bridge's way in: the app service that listens beside Rocket.Chat (npm `matrix-appservice` 0.10.0).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};

use hyper::Method;
use serde_json::{Value, json};
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::http::{self, Reply, Request};
use super::{App, events, federation, license, now};

/// Where deliveries are remembered, for tests.
pub(super) const TRANSACTIONS: &str = "standin_transactions";

/// The bridge, running or not.
#[derive(Default)]
pub(super) struct Bridge {
    task: tokio::sync::Mutex<Option<JoinHandle<()>>>,
    running: AtomicBool,
    last: std::sync::Mutex<String>,
}

impl Bridge {
    pub(super) fn is_running(&self) -> bool {
        self.running.load(Ordering::SeqCst)
    }
}

/// Starts the bridge if settings and licence want it; otherwise, or after a change, ends the one that runs.
pub(super) async fn start(app: &Arc<App>) {
    let mut task = app.bridge.task.lock().await;
    app.bridge.running.store(false, Ordering::SeqCst);
    if let Some(old) = task.take() {
        old.abort();
        // Aborted is what it should be.
        let _ = old.await;
    }
    if !app.environment.has_bridge() || !app.settings.is("Federation_Matrix_enabled") {
        return;
    }
    // The community service is registered only without a valid licence, the enterprise one only with the module
    // `federation`: a licence without it leaves nothing, and nothing says so (ee/server/local-services/federation).
    let edition = match app.modules() {
        None => "Running Federation V2",
        Some(_) if app.has_module(license::FEDERATION) => "Running Federation Enterprise V2",
        Some(_) => return,
    };
    let port = port(&app.settings.text("Federation_Matrix_bridge_url"));
    let listener = match TcpListener::bind(("0.0.0.0", port)).await {
        Ok(listener) => listener,
        Err(error) => {
            println!("Failed to initialize the matrix-appservice-bridge. err={error}");
            return;
        }
    };
    let hs_token = app.settings.text("Federation_Matrix_hs_token");
    let shared = Arc::clone(app);
    *task = Some(tokio::spawn(http::serve(listener, move |request| {
        let (app, hs_token) = (Arc::clone(&shared), hs_token.clone());
        async move { handle(&app, &hs_token, &request) }
    })));
    app.bridge.running.store(true, Ordering::SeqCst);
    println!("{edition}:");
    for id in ["Federation_Matrix_id", "Federation_Matrix_bridge_url", "Federation_Matrix_homeserver_url"] {
        println!("\t{id}: {}", app.settings.text(id));
    }
    println!("\tFederation_Matrix_homeserver_domain: {}", federation::domain(app));
}

/// After a change of a watched setting: again from the start, then the check (`onFederationEnabledSettingChange`).
pub(super) async fn changed(app: &Arc<App>) {
    start(app).await;
    if app.settings.is("Federation_Matrix_enabled") && app.environment.has_gate() {
        federation::verify(app).await;
    }
}

fn handle(app: &Arc<App>, hs_token: &str, request: &Request) -> Reply {
    let path = request.path.strip_prefix("/_matrix/app/v1").unwrap_or(&request.path);
    let in_query: bool = request.query("access_token").as_bytes().ct_eq(hs_token.as_bytes()).into();
    let header = request.header("authorization").strip_prefix("Bearer ");
    let in_header = || bool::from(header.unwrap_or_default().as_bytes().ct_eq(hs_token.as_bytes()));
    // matrix-appservice 0.10 looks into the query alone, 2.0 into the header and only without one into the query.
    let form = match header {
        Some(_) if app.environment.reads_header() => in_header().then_some("header"),
        _ => in_query.then_some("query"),
    };
    let forbidden = || Reply::json(403, &json!({ "errcode": "M_FORBIDDEN", "error": "Bad token supplied," }));
    match (&request.method, path) {
        (&Method::GET, "/health") => Reply::text(200, "text/html; charset=utf-8", "OK"),
        // Rocket.Chat's own addition since 6.12, which takes the token in either place…
        (&Method::POST, "/ping") if app.environment.has_gate() && request.path.starts_with("/_matrix/app/v1/") => {
            if in_query || in_header() {
                Reply::json(200, &json!({}))
            } else {
                forbidden()
            }
        }
        // …while the library decides about transactions: a green ping proves nothing about them.
        (&Method::PUT, _) if path.starts_with("/transactions/") => match form {
            Some(form) => transaction(app, path.trim_start_matches("/transactions/"), form, &request.body),
            None => forbidden(),
        },
        (&Method::GET, _) if path.starts_with("/users/") || path.starts_with("/rooms/") => match form {
            Some(_) => Reply::json(200, &json!({})),
            None => forbidden(),
        },
        _ => Reply::json(404, &json!({ "errcode": "M_UNRECOGNIZED", "error": "Unrecognized request" })),
    }
}

fn transaction(app: &Arc<App>, id: &str, form: &str, body: &Value) -> Reply {
    let Some(events) = body["events"].as_array() else {
        return Reply::json(400, &json!({ "errcode": "M_BAD_JSON", "error": "Missing events body" }));
    };
    // The last id is acknowledged and not handled again; those before it are forgotten (`lastProcessedTxnId`).
    let new = *app.bridge.last.lock().unwrap_or_else(PoisonError::into_inner) != id;
    if let Err(error) = remember(app, id, form, events) {
        return error.into();
    }
    *app.bridge.last.lock().unwrap_or_else(PoisonError::into_inner) = id.to_owned();
    println!("bridge: transaction {id} events={}{}", events.len(), if new { "" } else { " (again)" });
    if new {
        let (app, events) = (Arc::clone(app), events.clone());
        // Acknowledged before it is handled: there is a queue between.
        tokio::spawn(async move { events::handle(&app, &events).await });
    }
    Reply::json(200, &json!({}))
}

/// Notes a delivery, for tests.
pub(super) fn remember(app: &App, id: &str, form: &str, events: &[Value]) -> Result<(), crate::mongo::client::Error> {
    let ids: Vec<_> = events.iter().map(|event| event["event_id"].clone()).collect();
    let old = app.store.find(TRANSACTIONS, id)?;
    let times = old.as_ref().and_then(|old| old["times"].as_i64()).unwrap_or(0);
    let first = old.as_ref().and_then(|old| old["first"].as_i64()).unwrap_or_else(now);
    let times = times + 1;
    app.store.put(TRANSACTIONS, &json!({ "_id": id, "events": ids, "times": times, "first": first, "form": form }))
}

/// `getBridgePort`: what stands between the second and the third colon of the URL, else 3300.
fn port(url: &str) -> u16 {
    let Some(text) = url.split(':').nth(2) else { return 3300 };
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().unwrap_or(3300)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_read_as_the_original_reads_it() {
        assert_eq!(port("http://rocketchat:3301"), 3301);
        assert_eq!(port("http://rocketchat:3301/x"), 3301);
        assert_eq!(port("http://rocketchat"), 3300);
    }
}
