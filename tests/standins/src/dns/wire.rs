//! The wire format of RFC 1035 with EDNS(0) of RFC 6891: questions in, answers out.

use std::collections::HashMap;

use super::name::Name;
use super::rdata::{Rdata, kind};

/// Response codes (RFC 1035 §4.1.1, RFC 6891 §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rcode {
    NoError = 0,
    FormErr = 1,
    ServFail = 2,
    NxDomain = 3,
    NotImp = 4,
    Refused = 5,
    BadVers = 16,
}

/// One record of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub name: Name,
    pub ttl: u32,
    pub data: Rdata,
}

/// A question as it came in.
#[derive(Clone, Debug)]
pub struct Query {
    pub id: u16,
    /// The flags word, of which opcode, RD and CD are repeated in the answer.
    pub flags: u16,
    pub name: Name,
    pub kind: u16,
    pub class: u16,
    /// The question section byte for byte: senders compare its letter case (DNS 0x20).
    raw_question: Vec<u8>,
    /// UDP size and version of the OPT record, if there was one.
    pub edns: Option<(u16, u8)>,
}

/// What to answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub rcode: Rcode,
    pub authoritative: bool,
    pub answers: Vec<Record>,
    pub authority: Vec<Record>,
    pub additional: Vec<Record>,
}

impl Reply {
    /// A reply without records.
    #[must_use]
    pub fn empty(rcode: Rcode) -> Self {
        Self { rcode, authoritative: false, answers: Vec::new(), authority: Vec::new(), additional: Vec::new() }
    }
}

impl Query {
    /// Reads a message.
    ///
    /// # Errors
    /// `Some(bytes)` is the FORMERR to send; `None` means that not even that can be answered.
    pub fn parse(message: &[u8]) -> Result<Self, Option<Vec<u8>>> {
        let mut reader = Reader { message, at: 0 };
        let (Some(id), Some(flags)) = (reader.u16(), reader.u16()) else { return Err(None) };
        if flags & 0x8000 != 0 {
            return Err(None); // an answer; answering answers makes loops
        }
        reader
            .rest(id, flags)
            .ok_or_else(|| Some([&id.to_be_bytes()[..], &[0x80 | (flags >> 8) as u8 & 0x79, 1], &[0; 8]].concat()))
    }

    /// The reply in bytes; `limit` is what the transport carries, and what is longer is cut to nothing with TC set.
    #[must_use]
    pub fn answer(&self, reply: &Reply, recursion_available: bool, limit: usize) -> Vec<u8> {
        let whole = self.encode(reply, recursion_available, false);
        if whole.len() <= limit {
            return whole;
        }
        self.encode(
            &Reply { authoritative: reply.authoritative, ..Reply::empty(reply.rcode) },
            recursion_available,
            true,
        )
    }

    /// How many bytes a UDP answer may have: 512 without EDNS, at most 1232 with (the DNS flag day size).
    #[must_use]
    pub fn udp_limit(&self) -> usize {
        self.edns.map_or(512, |(size, _)| usize::from(size.clamp(512, 1232)))
    }

    fn encode(&self, reply: &Reply, recursion_available: bool, truncated: bool) -> Vec<u8> {
        let mut flags = 0x8000 | (self.flags & 0x7910) | (reply.rcode as u16 & 0xf);
        for (set, bit) in [(reply.authoritative, 0x0400), (truncated, 0x0200), (recursion_available, 0x0080)] {
            flags |= if set { bit } else { 0 };
        }
        let mut out = Writer::default();
        let counts =
            [1, reply.answers.len(), reply.authority.len(), reply.additional.len() + usize::from(self.edns.is_some())];
        out.u16(self.id);
        out.u16(flags);
        counts.iter().for_each(|count| out.u16(u16::try_from(*count).unwrap_or(u16::MAX)));
        out.remember(&self.name);
        out.bytes(&self.raw_question);
        for record in reply.answers.iter().chain(&reply.authority).chain(&reply.additional) {
            out.record(record);
        }
        if self.edns.is_some() {
            out.bytes(&[0]);
            out.u16(kind::OPT);
            out.u16(1232);
            out.bytes(&[(reply.rcode as u16 >> 4) as u8, 0, 0, 0, 0, 0]);
        }
        out.bytes
    }
}

struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn u16(&mut self) -> Option<u16> {
        let bytes = self.message.get(self.at..self.at + 2)?;
        self.at += 2;
        Some(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn rest(&mut self, id: u16, flags: u16) -> Option<Query> {
        let counts = [self.u16()?, self.u16()?, self.u16()?, self.u16()?];
        if counts[0] != 1 {
            return None;
        }
        let start = self.at;
        let name = self.name()?;
        let (kind, class) = (self.u16()?, self.u16()?);
        let raw_question = self.message.get(start..self.at)?.to_vec();
        let mut edns = None;
        for _ in 0..counts[1..].iter().map(|count| u32::from(*count)).sum() {
            self.name()?;
            let (kind, size, _, flags) = (self.u16()?, self.u16()?, self.u16()?, self.u16()?);
            let version = self.message.get(self.at - 3)?;
            let _ = flags;
            self.at += usize::from(self.u16()?);
            if kind == kind::OPT {
                edns = Some((size, *version));
            }
        }
        (self.at <= self.message.len()).then_some(Query { id, flags, name, kind, class, raw_question, edns })
    }

    /// A name without compression, which has no place in a question.
    fn name(&mut self) -> Option<Name> {
        let (mut labels, mut total) = (Vec::new(), 1);
        loop {
            let length = usize::from(*self.message.get(self.at)?);
            self.at += 1;
            if length == 0 {
                return Some(Name::from_labels(labels));
            }
            total += length + 1;
            if length > 63 || total > 255 {
                return None;
            }
            labels.push(self.message.get(self.at..self.at + length)?.to_vec());
            self.at += length;
        }
    }
}

/// Collects the bytes of a message and the places of the names in it.
#[derive(Default)]
pub struct Writer {
    bytes: Vec<u8>,
    places: HashMap<Name, u16>,
}

impl Writer {
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub fn u16(&mut self, number: u16) {
        self.bytes(&number.to_be_bytes());
    }

    pub fn u32(&mut self, number: u32) {
        self.bytes(&number.to_be_bytes());
    }

    /// A character string: its length, then at most 255 bytes.
    pub fn string(&mut self, text: &[u8]) {
        let text = &text[..text.len().min(255)];
        self.bytes(&[text.len() as u8]);
        self.bytes(text);
    }

    /// A name, with a pointer to where its tail already stands.
    pub fn name(&mut self, name: &Name) {
        let mut rest = name.clone();
        while let Some(parent) = rest.parent() {
            if let Some(place) = self.places.get(&rest) {
                self.u16(0xc000 | place);
                return;
            }
            if let Ok(place @ ..=0x3fff) = u16::try_from(self.bytes.len()) {
                self.places.insert(rest.clone(), place);
            }
            self.string(&rest.labels()[0]);
            rest = parent;
        }
        self.bytes(&[0]);
    }

    /// A name in full.
    pub fn plain_name(&mut self, name: &Name) {
        name.labels().iter().for_each(|label| self.string(label));
        self.bytes(&[0]);
    }

    /// Notes that `name` follows here in full.
    fn remember(&mut self, name: &Name) {
        let (mut rest, mut place) = (name.clone(), self.bytes.len());
        while let Some(parent) = rest.parent() {
            let length = rest.labels()[0].len();
            self.places.insert(rest, u16::try_from(place).unwrap_or(0));
            place += length + 1;
            rest = parent;
        }
    }

    fn record(&mut self, record: &Record) {
        self.name(&record.name);
        self.u16(record.data.kind());
        self.u16(1);
        self.u32(record.ttl);
        let length_at = self.bytes.len();
        self.u16(0);
        record.data.write(self);
        let length = u16::try_from(self.bytes.len() - length_at - 2).unwrap_or(u16::MAX);
        self.bytes[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
    }
}
