//! Is the clock right. Certificates and Matrix signatures have times in them; the ACME directory's `Date` is the measure.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::MACHINE;
use crate::finding::Finding;

/// Compares this machine's clock with the `Date` header of `directory`, whose web certificate may be signed by `ca`.
pub(crate) async fn check(directory: &str, ca: Option<&Path>) -> Finding {
    let started = SystemTime::now();
    match date(directory, ca).await {
        Ok(theirs) => judge(started, SystemTime::now(), theirs, directory),
        Err(error) => not_compared(causes(&*error)),
    }
}

fn not_compared(why: String) -> Finding {
    // A clock that is wrong by months shows as a certificate out of its time, before any header comes.
    if why.contains("certificate expired") || why.contains("certificate not valid yet") {
        return Finding::fail("machine.clock", MACHINE, "the clock is wrong, or the CA's web certificate is")
            .seen(why)
            .remedy("timedatectl set-ntp true");
    }
    Finding::unknown("machine.clock", MACHINE, "the clock could not be compared").seen(why)
}

/// `Date` has whole seconds, so the server's time is anywhere in the second after it.
fn judge(before: SystemTime, after: SystemTime, theirs: SystemTime, directory: &str) -> Finding {
    let behind = theirs.duration_since(after).unwrap_or_default();
    let ahead = before.duration_since(theirs + Duration::from_secs(1)).unwrap_or_default();
    let (skew, direction) = if behind > ahead { (behind, "behind") } else { (ahead, "ahead") };
    let said = format!("the clock is {} s {direction}", skew.as_secs());
    let status =
        |finding: Finding| finding.seen(format!("measured against {directory}")).remedy("timedatectl set-ntp true");
    match skew.as_secs() {
        0..=5 => Finding::ok("machine.clock", MACHINE, "the clock is right"),
        6..=60 => status(Finding::warn("machine.clock", MACHINE, said)),
        _ => status(Finding::fail(
            "machine.clock",
            MACHINE,
            format!("{said}; certificates and signatures will be refused"),
        )),
    }
}

const NO_DATE: &str = "the answer has no Date";

type Problem = Box<dyn std::error::Error + Send + Sync>;

async fn date(directory: &str, ca: Option<&Path>) -> Result<SystemTime, Problem> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(ca) = ca {
        for certificate in CertificateDer::pem_file_iter(ca)? {
            roots.add(certificate?)?;
        }
    }
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client =
        reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().timeout(Duration::from_secs(5)).build()?;
    let answer = client.get(directory).send().await?;
    let date = answer.headers().get("date").ok_or(NO_DATE)?;
    Ok(httpdate::parse_http_date(date.to_str()?)?)
}

fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::preflight::Status;

    #[test]
    fn seconds_are_forgiven_and_minutes_are_not() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        for (skew, status) in
            [(0, Status::Ok), (5, Status::Ok), (6, Status::Warn), (60, Status::Warn), (61, Status::Fail)]
        {
            let skew = Duration::from_secs(skew);
            assert_eq!(judge(now, now, now + skew, "").status, status, "behind {skew:?}");
            assert_eq!(judge(now, now, now - skew - Duration::from_secs(1), "").status, status, "ahead {skew:?}");
        }
    }

    #[test]
    fn sentences() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let at = |seconds| judge(now, now, seconds, "https://ca.example/directory");
        let all = [
            at(now),
            at(now + Duration::from_secs(30)),
            at(now - Duration::from_secs(600)),
            not_compared("invalid peer certificate: certificate expired: verification time 1".into()),
            not_compared("connection refused".into()),
            not_compared(NO_DATE.into()),
        ];
        let told = all.map(|f| {
            let seen: String = f.evidence.iter().map(|fact| format!("\n    {fact}")).collect();
            format!("{:?} {}{seen}\n    → {}", f.status, f.summary, f.remedy.unwrap_or_else(|| "nothing".into()))
        });
        insta::assert_snapshot!(told.join("\n"));
    }

    #[tokio::test]
    async fn the_date_of_a_real_answer_is_taken() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/directory", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await.unwrap();
            let date = "Mon, 23 Nov 2026 12:00:00 GMT";
            let answer = format!("HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        let theirs = date(&url, None).await.unwrap();
        assert_eq!(httpdate::fmt_http_date(theirs), "Mon, 23 Nov 2026 12:00:00 GMT");
        server.await.unwrap();
        assert_eq!(check(&url, None).await.status, Status::Unknown, "nobody listens any more");
    }
}
