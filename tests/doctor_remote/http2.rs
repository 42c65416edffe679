//! A homeserver behind a proxy that offers HTTP/2, and what may be wrong with that alone.

use std::net::SocketAddr;

use bytes::Bytes;
use hyper::http::Response;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::faults::Over;
use crate::servers::{answers, reply};

/// Serves `plain` over HTTP/1.1 and, as `over` says, `other` over HTTP/2. The acceptor knows both.
pub async fn server<P, O>(tls: TlsAcceptor, over: Over, plain: P, other: O) -> SocketAddr
where
    P: Fn(&str) -> Option<String> + Clone + Send + Sync + 'static,
    O: Fn(&str) -> Option<String> + Clone + Send + Sync + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (tls, plain, other) = (tls.clone(), plain.clone(), other.clone());
            tokio::spawn(async move {
                let Ok(mut stream) = tls.accept(stream).await else { return };
                if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
                    return answers(Box::new(stream), plain).await;
                }
                match over {
                    Over::Same => frames(stream, plain).await,
                    Over::Other => frames(stream, other).await,
                    Over::Status(status) => frames(stream, move |_: &str| Some(reply(status, "", "<html>"))).await,
                    Over::Header(length) => {
                        let long = format!("X-Long: {}\r\n", "a".repeat(length));
                        frames(stream, move |_: &str| Some(reply(200, &long, "{}"))).await;
                    }
                    Over::Endless => endless(stream).await,
                    Over::NotSpoken => {
                        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
                        let _ = stream.read_to_end(&mut Vec::new()).await;
                    }
                    Over::Silent => drop(stream.read_to_end(&mut Vec::new()).await),
                }
            });
        }
    });
    address
}

/// Answers over HTTP/2 with what `answer` makes of the same head over HTTP/1.1.
async fn frames(stream: TlsStream<TcpStream>, answer: impl Fn(&str) -> Option<String>) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let uri = request.uri();
        let agent = request.headers()["user-agent"].to_str().unwrap();
        let host = uri.authority().unwrap();
        let head = format!("GET {} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\n\r\n", uri.path());
        let text = answer(&head).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status: u16 = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Response::builder().status(status);
        for (name, value) in head.lines().skip(1).filter_map(|line| line.split_once(": ")) {
            answer = answer.header(name, value);
        }
        let mut sending = respond.send_response(answer.body(()).unwrap(), false).unwrap();
        sending.send_data(Bytes::copy_from_slice(body.as_bytes()), true).unwrap();
    }
}

/// Answers with as much as is taken.
async fn endless(stream: TlsStream<TcpStream>) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        let mut sending = respond.send_response(Response::new(()), false).unwrap();
        tokio::spawn(async move {
            loop {
                sending.reserve_capacity(16 * 1024);
                match std::future::poll_fn(|context| sending.poll_capacity(context)).await {
                    Some(Ok(room)) if sending.send_data(Bytes::from(vec![b' '; room]), false).is_ok() => {}
                    _ => return,
                }
            }
        });
    }
}
