//! DDP over a WebSocket, as far as a probe of the proxy in front of it goes: connect, ping, and refusals.

use futures_util::{SinkExt, StreamExt};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::http::{Reply, Request};
use super::random_id;

/// Turns the connection into a WebSocket.
pub(super) fn upgrade(request: Request) -> Reply {
    let key = request.header("sec-websocket-key").to_owned();
    let (true, Some(upgrade)) = (!key.is_empty(), request.upgrade) else {
        return Reply::text(400, "text/plain", "Can \"Upgrade\" only to \"WebSocket\".");
    };
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            let stream = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
            talk(stream).await;
        }
    });
    let mut reply = Reply::text(101, "", "");
    reply.headers = vec![
        ("connection", "Upgrade".into()),
        ("upgrade", "websocket".into()),
        ("sec-websocket-accept", derive_accept_key(key.as_bytes())),
    ];
    reply
}

async fn talk(mut stream: WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>) {
    let hello = json!({ "server_id": "0" });
    if stream.send(Message::text(hello.to_string())).await.is_err() {
        return;
    }
    while let Some(Ok(message)) = stream.next().await {
        let Ok(text) = message.to_text() else { continue };
        let Ok(asked) = serde_json::from_str::<Value>(text) else { continue };
        let Some(answer) = answer(&asked) else { continue };
        if stream.send(Message::text(answer.to_string())).await.is_err() {
            return;
        }
    }
}

fn answer(asked: &Value) -> Option<Value> {
    let id = &asked["id"];
    match asked["msg"].as_str()? {
        "connect" if asked["version"] == "1" => Some(json!({ "msg": "connected", "session": random_id(17) })),
        "connect" => Some(json!({ "msg": "failed", "version": "1" })),
        "method" => {
            let error = json!({ "error": 404, "reason": "the stand-in has no methods" });
            Some(json!({ "msg": "result", "id": id, "error": error }))
        }
        "ping" if id.is_null() => Some(json!({ "msg": "pong" })),
        "ping" => Some(json!({ "msg": "pong", "id": id })),
        "sub" => Some(json!({ "msg": "nosub", "id": id })),
        _ => None,
    }
}
