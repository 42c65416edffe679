//! Lines as logrus writes them to a file or a pipe.

use serde_json::Value;

/// Writes one line to standard error, where logrus writes.
pub fn line(level: &str, message: &str) {
    let time = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
    // logrus quotes what is more than one plain word, with Go's %q, which is JSON's for all that is written here
    eprintln!("time=\"{time}\" level={level} msg={}", Value::from(message));
}

/// An error with its cause, as `WithError` writes it.
pub fn failed(message: &str, error: &str) {
    let time = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
    eprintln!("time=\"{time}\" level=error msg={} error={}", Value::from(message), Value::from(error));
}

pub fn info(message: &str) {
    line("info", message);
}

pub fn warn(message: &str) {
    line("warning", message);
}

pub fn error(message: &str) {
    line("error", message);
}
