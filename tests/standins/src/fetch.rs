//! One HTTP request per connection, over TCP or verified TLS.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, ToSocketAddrs};

/// Where the roots of Debian, Ubuntu and Alpine are.
const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Trust in the certificates of a PEM file.
///
/// # Errors
/// If the file cannot be read or holds no certificate.
pub fn trust(file: Option<&std::path::Path>) -> Result<Arc<ClientConfig>, String> {
    let from_environment = std::env::var_os("SSL_CERT_FILE").map(std::path::PathBuf::from);
    let file = file.map_or_else(|| from_environment.unwrap_or_else(|| SYSTEM_ROOTS.into()), std::path::Path::to_owned);
    let place = |why: String| format!("{}: {why}", file.display());
    let pem = std::fs::read(&file).map_err(|why| place(why.to_string()))?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok));
    if roots.is_empty() {
        return Err(place("no certificate in it".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|why| why.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// A request to send.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: hyper::Method,
    /// Path and query, sent as they are.
    pub target: String,
    /// The `Host` header.
    pub host: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
}

impl Call {
    /// A GET.
    #[must_use]
    pub fn get(host: impl Into<String>, target: impl Into<String>) -> Self {
        let (method, headers) = (hyper::Method::GET, Vec::new());
        Self { method, target: target.into(), host: host.into(), headers, body: Bytes::new() }
    }

    /// Sends it to `address`, with TLS if a certificate name and a trust are given; answers with status and body.
    ///
    /// # Errors
    /// With what went wrong first: connection, TLS, HTTP or time.
    pub async fn send(
        self,
        address: impl ToSocketAddrs,
        tls: Option<(&str, Arc<ClientConfig>)>,
        limit: Duration,
    ) -> Result<(u16, Bytes), String> {
        let whole = async {
            let stream = TcpStream::connect(address).await.map_err(|why| format!("connect: {why}"))?;
            let Some((name, config)) = tls else { return self.exchange(stream).await };
            let name = ServerName::try_from(name.to_owned()).map_err(|why| format!("{name:?}: {why}"))?;
            let connector = tokio_rustls::TlsConnector::from(config);
            self.exchange(connector.connect(name, stream).await.map_err(|why| format!("TLS: {why}"))?).await
        };
        tokio::time::timeout(limit, whole).await.map_err(|_| format!("no answer within {limit:?}"))?
    }

    async fn exchange(
        self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) -> Result<(u16, Bytes), String> {
        let text = |why: hyper::Error| format!("HTTP: {why}");
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(text)?;
        let connection = tokio::spawn(connection);
        let mut builder = hyper::Request::builder()
            .method(self.method)
            .uri(self.target)
            .header("Host", self.host)
            .header("Connection", "close");
        for (name, value) in self.headers {
            builder = builder.header(name, value);
        }
        let request = builder.body(Full::new(self.body)).map_err(|why| format!("HTTP: {why}"))?;
        let response = sender.send_request(request).await.map_err(text)?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), 1 << 20).collect().await.map_err(|why| format!("HTTP: {why}"))?;
        connection.abort();
        Ok((status, body.to_bytes()))
    }
}
