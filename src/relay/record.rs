//! The lines of the journal.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// One line: what happened to one invite.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Record<'a> {
    /// It is about to be given to Dendrite.
    #[serde(borrow)]
    Intent(Intent<'a>),
    /// Dendrite has accepted it.
    Accepted(#[serde(borrow)] Cow<'a, str>),
    /// Dendrite has not accepted it.
    Void(#[serde(borrow)] Cow<'a, str>),
    /// The bridge has it.
    Done(#[serde(borrow)] Cow<'a, str>),
    /// The bridge does not want it, however often it is asked.
    Dropped(#[serde(borrow)] Cow<'a, str>),
    /// Digests of events the bridge got before, in hexadecimal; written when the journal is made anew.
    Delivered(Vec<String>),
}

/// What is needed to deliver an invite.
#[derive(Debug, Deserialize, Serialize)]
pub struct Intent<'a> {
    /// The event's id.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// When it came, in seconds since 1970.
    pub at: u64,
    /// Whether Dendrite has accepted it, where that is known when the line is written.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub accepted: bool,
    /// The event in the form of the client-server API, as the bridge gets it.
    #[serde(borrow)]
    pub event: &'a RawValue,
}

impl Record<'_> {
    /// The line with its end.
    pub fn line(&self) -> Vec<u8> {
        // Strings and JSON cannot fail to become JSON.
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }

    /// Reads a line, which may have its end.
    pub fn parse(line: &[u8]) -> Option<Record<'_>> {
        serde_json::from_slice(line).ok()
    }

    /// Bytes that are set aside for what will follow this line.
    pub fn ends(&self) -> u64 {
        if let Self::Intent(intent) = self { end_of(&intent.id) } else { 0 }
    }
}

/// Bytes of the lines that end an invite: its id twice, each byte of it escaped at worst, and their frames.
pub fn end_of(id: &str) -> u64 {
    2 * (6 * id.len() as u64 + 32)
}
