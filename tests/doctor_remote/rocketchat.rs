//! A site with a Rocket.Chat behind it, as far as clients come before they log in.

use futures_util::{SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::faults::Chat;
use crate::servers::{Talk, head, raw, reply};

/// What stands before the pages of a site.
#[derive(Clone, Copy)]
pub enum Front {
    Nothing,
    Rocketchat(Chat),
    /// Everything but the documents is redirected to this host.
    Redirect(&'static str),
}

/// Serves `pages` behind `front`.
pub async fn site<H>(address: &str, tls: TlsAcceptor, pages: H, front: Front) -> std::net::SocketAddr
where
    H: Fn(&str) -> Option<String> + Clone + Send + Sync + 'static,
{
    raw(address, Some(tls), move |mut stream| {
        let pages = pages.clone();
        async move {
            loop {
                let request = head(&mut stream).await;
                let Some(path) = request.split(' ').nth(1) else { return };
                let json = "Content-Type: application/json\r\n";
                let text = match (front, path) {
                    // Without the headers Meteor answers so.
                    (Front::Rocketchat(Chat::NoUpgrade), "/websocket") => {
                        Some(reply(400, "", "Can \"Upgrade\" only to \"WebSocket\"."))
                    }
                    (Front::Rocketchat(chat), "/websocket") => return socket(stream, &request, chat).await,
                    (Front::Rocketchat(_), "/api/info") => {
                        Some(reply(200, json, r#"{"version":"7.10","success":true}"#))
                    }
                    (Front::Rocketchat(_), "/sockjs/info") => Some(reply(200, json, r#"{"websocket":true}"#)),
                    (Front::Redirect(host), path) if !path.starts_with("/.well-known/") => {
                        Some(reply(301, &format!("Location: https://{host}{path}\r\n"), ""))
                    }
                    _ => pages(&request),
                };
                let Some(text) = text else { return };
                if stream.write_all(text.as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    })
    .await
}

async fn socket(mut stream: Box<dyn Talk>, request: &str, chat: Chat) {
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    let proof = derive_accept_key(key.as_bytes());
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {proof}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    if chat != Chat::Silent {
        let _ = socket.send(Message::text(r#"{"server_id":"0"}"#)).await;
    }
    // One after the other until the other side has enough.
    while let Some(Ok(said)) = socket.next().await {
        let answer = match chat {
            Chat::Silent => continue,
            Chat::Stranger => said.to_text().unwrap().to_owned(),
            _ => r#"{"msg":"connected","session":"x"}"#.to_owned(),
        };
        let _ = socket.send(Message::text(answer)).await;
    }
}
