//! The body of an answer, up to a limit, whatever length was promised.

use super::{End, Head, Request, Stage, Trouble, Wire};

/// The longest line that announces a chunk, in bytes.
const LONGEST_CHUNK_LINE: usize = 256;

/// Why a body ended before its end.
enum Stop {
    End(End),
    Kept,
}

impl Wire {
    /// Reads the body that belongs to `head` (RFC 9112 §6.3).
    pub(super) async fn body(&mut self, head: &Head, request: &Request<'_>) -> (Vec<u8>, End) {
        let bodiless = request.method == "HEAD" || matches!(head.status, 101 | 204 | 304);
        let mut kept = Vec::new();
        let end = if bodiless {
            End::Whole
        } else if head.says("transfer-encoding", "chunked") {
            self.chunks(&mut kept, request.body).await
        } else if let Some(length) = head.header("content-length") {
            match length.trim().parse::<u64>() {
                Ok(length) => match self.piece(&mut kept, length, request.body).await {
                    Ok(()) => End::Whole,
                    Err(Stop::End(end)) => end,
                    Err(Stop::Kept) => End::Capped,
                },
                Err(_) => End::Cut,
            }
        } else {
            self.rest(&mut kept, request.body).await
        };
        (kept, end)
    }

    /// Everything until the other side closes.
    async fn rest(&mut self, kept: &mut Vec<u8>, most: usize) -> End {
        loop {
            let room = most.saturating_sub(kept.len());
            if self.buffer.len() > room {
                kept.extend(self.buffer.drain(..room));
                return End::Capped;
            }
            kept.append(&mut self.buffer);
            match self.fill(Stage::Body).await {
                Ok(0) => return End::Whole,
                Ok(_) => {}
                // Many servers end TLS without saying so; then the length is all there is to go by, and there is none.
                Err(Trouble::Closed(_)) => return End::Whole,
                Err(trouble) => return end_of(&trouble),
            }
        }
    }

    /// Exactly `length` bytes, of which at most `most` are kept altogether.
    async fn piece(&mut self, kept: &mut Vec<u8>, length: u64, most: usize) -> Result<(), Stop> {
        let mut left = length;
        while left > 0 {
            if self.buffer.is_empty() {
                self.more().await?;
            }
            let room = most.saturating_sub(kept.len());
            if room == 0 {
                return Err(Stop::Kept);
            }
            let part = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len()).min(room);
            kept.extend(self.buffer.drain(..part));
            left -= part as u64;
        }
        Ok(())
    }

    async fn chunks(&mut self, kept: &mut Vec<u8>, most: usize) -> End {
        loop {
            let step = async {
                let line = self.line().await?;
                let size = line.split(|byte| *byte == b';').next().unwrap_or_default();
                let size = std::str::from_utf8(size).ok().and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
                let size = size.ok_or(Stop::End(End::Cut))?;
                if size > 0 {
                    self.piece(kept, size, most).await?;
                    return self.line().await.map(|_| false);
                }
                // Trailers: few, short, and of no interest.
                for _ in 0..16 {
                    if self.line().await?.is_empty() {
                        return Ok(true);
                    }
                }
                Err(Stop::End(End::Cut))
            };
            match step.await {
                Ok(false) => {}
                Ok(true) => return End::Whole,
                Err(Stop::End(end)) => return end,
                Err(Stop::Kept) => return End::Capped,
            }
        }
    }

    /// One line without its end.
    async fn line(&mut self) -> Result<Vec<u8>, Stop> {
        loop {
            if let Some(at) = self.buffer.iter().take(LONGEST_CHUNK_LINE).position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=at).collect();
                return Ok(line.trim_ascii_end().to_vec());
            }
            if self.buffer.len() >= LONGEST_CHUNK_LINE {
                return Err(Stop::End(End::Cut));
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> Result<(), Stop> {
        match self.fill(Stage::Body).await {
            Ok(0) => Err(Stop::End(End::Cut)),
            Ok(_) => Ok(()),
            Err(trouble) => Err(Stop::End(end_of(&trouble))),
        }
    }
}

fn end_of(trouble: &Trouble) -> End {
    if matches!(trouble, Trouble::Timeout(_)) { End::Late } else { End::Cut }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_answer_is_read_or_refused(tail in prop::collection::vec(any::<u8>(), 0..400), start in 0usize..5, most in 0usize..100) {
            let starts = ["", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n"];
            let bytes = [starts[start].as_bytes(), &tail].concat();
            let request = Request { method: "GET", target: "/", host: "x", headers: &[], body: most };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let answer = runtime.block_on(async { Wire::of_bytes(bytes).exchange(&request).await });
            if let Ok(answer) = answer {
                prop_assert!(answer.body.len() <= most);
            }
        }
    }
}
