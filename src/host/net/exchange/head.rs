//! Status line and headers of an answer, as they were sent.

use httparse::{EMPTY_HEADER, Response, Status};

use super::{Trouble, beginning};

/// Headers in one answer; more than anybody sends.
const MOST_HEADERS: usize = 128;

/// The head of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// 0 or 1, of HTTP/1.x; 0 of HTTP/2.
    pub minor: u8,
    /// Status code.
    pub status: u16,
    /// The words after it.
    pub reason: String,
    headers: Vec<(String, String)>,
}

impl Head {
    /// The first header called `name`, in whatever case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Every header called `name`, in the order they came.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.headers.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }

    /// Whether one of the comma-separated words of a header is `word`, in whatever case.
    pub fn says(&self, name: &str, word: &str) -> bool {
        self.all(name).flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(word))
    }

    /// A head that came over HTTP/2, which has no words after the status.
    pub(super) fn of_http2(parts: &hyper::http::response::Parts) -> Self {
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let headers = parts.headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect();
        Self { minor: 0, status: parts.status.as_u16(), reason: String::new(), headers }
    }

    /// Whether the connection stays open (RFC 9112 §9.3).
    pub(super) fn keeps_alive(&self) -> bool {
        match self.minor {
            0 => self.says("connection", "keep-alive"),
            _ => !self.says("connection", "close"),
        }
    }
}

/// Reads a whole head.
pub fn parse(bytes: &[u8]) -> Result<Head, Trouble> {
    let mut headers = [EMPTY_HEADER; MOST_HEADERS];
    let mut response = Response::new(&mut headers);
    match response.parse(bytes) {
        Ok(Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Err(Trouble::LongHead),
        Ok(Status::Partial) | Err(_) => return Err(Trouble::NotHttp(beginning(bytes))),
    }
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    Ok(Head {
        minor: response.version.unwrap_or(0),
        status: response.code.unwrap_or(0),
        reason: response.reason.unwrap_or_default().to_owned(),
        headers: response.headers.iter().map(|header| (header.name.to_owned(), text(header.value))).collect(),
    })
}

/// Where the head ends, if it does; the first `seen` bytes were looked at before.
pub(super) fn end(bytes: &[u8], seen: usize) -> Option<usize> {
    let from = seen.saturating_sub(3);
    let fresh = bytes.get(from..)?;
    let at =
        |pattern: &[u8]| fresh.windows(pattern.len()).position(|part| part == pattern).map(|at| at + pattern.len());
    [at(b"\r\n\r\n"), at(b"\n\n"), at(b"\n\r\n")].into_iter().flatten().min().map(|length| from + length)
}

/// Whether these bytes can still become an answer.
pub(super) fn may_begin(bytes: &[u8]) -> bool {
    const START: &[u8] = b"HTTP/1.";
    let length = bytes.len().min(START.len());
    bytes.get(..length) == START.get(..length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_head_is_read_as_it_was_sent() {
        let head =
            parse(b"HTTP/1.1 404 Not Here\r\nX-A: 1\r\nx-a: 2\r\nConnection: Keep-Alive, Close\r\n\r\n").unwrap();
        assert_eq!((head.status, head.reason.as_str(), head.header("X-A")), (404, "Not Here", Some("1")));
        assert_eq!(head.all("x-A").collect::<Vec<_>>(), ["1", "2"]);
        assert!(head.says("connection", "close") && !head.keeps_alive());
        assert_eq!(parse(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), Err(Trouble::NotHttp("SSH-2.0-OpenSSH_9.6\r\n\r\n".into())));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(MOST_HEADERS + 1));
        assert_eq!(parse(many.as_bytes()), Err(Trouble::LongHead));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(tail in prop::collection::vec(any::<u8>(), 0..300), real in any::<bool>()) {
            let mut bytes = if real { b"HTTP/1.1 200 OK\r\n".to_vec() } else { Vec::new() };
            bytes.extend(tail);
            let _ = parse(&bytes);
        }

        #[test]
        fn the_end_is_found_wherever_the_pieces_are_cut(cut in 0usize..40) {
            let bytes = b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\nbody";
            let cut = cut.min(bytes.len());
            let found = end(&bytes[..cut], 0).or_else(|| end(bytes, cut));
            prop_assert_eq!(found, Some(30));
        }
    }
}
