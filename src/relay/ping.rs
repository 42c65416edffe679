//! The ping of application services, answered in the homeserver's stead after really pinging the bridge.
//!
//! <https://spec.matrix.org/v1.13/client-server-api/#post_matrixclientv1appserviceappserviceidping>

use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{Request, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::answer::{Answer, noted, refuse, reply, too_large, unauthorized};
use super::serve::{BoxError, Relay, authorized, deepest};
use super::words;

/// Answers `POST /_matrix/client/v1/appservice/{id}/ping`.
pub async fn ping(relay: &Relay, id: &str, request: Request<Incoming>) -> Answer {
    if let Err(missing) = authorized(&request, &relay.config.as_token) {
        return unauthorized(missing);
    }
    if id != relay.config.appservice_id.as_str() {
        return refuse(StatusCode::FORBIDDEN, "M_FORBIDDEN", "The token does not belong to this application service");
    }
    let transaction = match transaction_id(request.into_body()).await {
        Ok(transaction) => transaction,
        Err(answer) => return *answer,
    };
    let start = Instant::now();
    match timeout(relay.config.ping_limit, ask(relay, transaction)).await {
        Err(_) => {
            let answer = refuse(StatusCode::GATEWAY_TIMEOUT, "M_CONNECTION_TIMEOUT", words::PING_LATE);
            noted(answer, words::reason(words::BRIDGE_LATE))
        }
        Ok(Err(error)) => {
            let answer = refuse(StatusCode::BAD_GATEWAY, "M_CONNECTION_FAILED", "The bridge cannot be reached");
            noted(answer, format_args!("bridge: {}", deepest(error.as_ref())))
        }
        Ok(Ok((status, _))) if status.is_success() => {
            let duration = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
            reply(StatusCode::OK, &json!({ "duration_ms": duration }))
        }
        Ok(Ok((status, body))) => {
            let answer = json!({ "errcode": "M_BAD_STATUS", "error": "The bridge did not accept the ping",
                "status": status.as_u16(), "body": body });
            noted(reply(StatusCode::BAD_GATEWAY, &answer), format_args!("bridge: status {}", status.as_u16()))
        }
    }
}

/// The `transaction_id` of a ping's body; the body may be empty.
async fn transaction_id(body: Incoming) -> Result<Option<Value>, Box<Answer>> {
    let body = match timeout(BODY_WAIT, Limited::new(body, BODY_LIMIT).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => return Err(Box::new(too_large())),
        Err(_) => {
            return Err(refuse(StatusCode::REQUEST_TIMEOUT, "M_UNKNOWN", words::BODY_LATE).into());
        }
    };
    if body.is_empty() {
        return Ok(None);
    }
    let bad = |errcode, error| Err(Box::new(refuse(StatusCode::BAD_REQUEST, errcode, error)));
    match serde_json::from_slice::<Value>(&body) {
        Ok(Value::Object(mut object)) => match object.remove("transaction_id") {
            Some(id) if !id.is_string() => bad("M_BAD_JSON", "transaction_id is not a string"),
            id => Ok(id),
        },
        Ok(_) => bad("M_BAD_JSON", words::NOT_AN_OBJECT),
        Err(_) => bad("M_NOT_JSON", "The body is not JSON"),
    }
}

async fn ask(relay: &Relay, transaction: Option<Value>) -> Result<(StatusCode, String), BoxError> {
    let body = transaction.map_or_else(|| json!({}), |id| json!({ "transaction_id": id }));
    let body = Full::from(body.to_string()).map_err(|never| match never {}).boxed_unsync();
    let url = relay.config.bridge_url.at("/_matrix/app/v1/ping").ok_or(words::BRIDGE_NO_URL)?;
    let request = Request::post(url)
        .header(AUTHORIZATION, relay.config.hs_token.bearer())
        .header(CONTENT_TYPE, "application/json")
        .body(body)?;
    let response = relay.client.request(request).await?;
    let status = response.status();
    Ok((status, if status.is_success() { String::new() } else { shown(response).await }))
}

/// As much of the bridge's refusal as belongs into an error.
async fn shown(response: Response<Incoming>) -> String {
    let body = Limited::new(response.into_body(), BODY_LIMIT).collect().await;
    body.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned()).unwrap_or_default()
}

const BODY_LIMIT: usize = 4 * 1024;
const BODY_WAIT: Duration = Duration::from_secs(10);
