//! Answers: always JSON, always whole, and what the log says about them.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

/// What the relay answers.
pub type Answer = Response<Full<Bytes>>;

/// Why an answer is not a success, for the log.
#[derive(Clone)]
pub struct Note(pub String);

/// A JSON answer.
pub fn reply(status: StatusCode, body: &Value) -> Answer {
    whole(status, HeaderValue::from_static("application/json"), body.to_string().into())
}

/// An error in the form of the Matrix specification.
pub fn refuse(status: StatusCode, errcode: &str, error: &str) -> Answer {
    reply(status, &json!({ "errcode": errcode, "error": error }))
}

/// An answer that came from elsewhere.
pub fn whole(status: StatusCode, content_type: HeaderValue, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, content_type);
    answer
}

/// The same answer, with words for the log.
pub fn noted(mut answer: Answer, note: impl ToString) -> Answer {
    answer.extensions_mut().insert(Note(note.to_string()));
    answer
}

/// 401, as the specification has it for a missing and for a wrong token.
pub fn unauthorized(missing: bool) -> Answer {
    match missing {
        true => refuse(StatusCode::UNAUTHORIZED, "M_MISSING_TOKEN", "Missing access token"),
        false => refuse(StatusCode::UNAUTHORIZED, "M_UNKNOWN_TOKEN", "Unrecognised access token"),
    }
}

/// 405 for a known path, 404 for any other.
pub fn unrecognized(known: bool) -> Answer {
    let status = if known { StatusCode::METHOD_NOT_ALLOWED } else { StatusCode::NOT_FOUND };
    refuse(status, "M_UNRECOGNIZED", "Unrecognized request")
}

/// 413.
pub fn too_large() -> Answer {
    refuse(StatusCode::PAYLOAD_TOO_LARGE, "M_TOO_LARGE", "The request is too large")
}
