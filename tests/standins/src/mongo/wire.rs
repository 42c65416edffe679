//! OP_MSG on a stream (MongoDB wire protocol: <https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/>).

use std::io::{self, Read, Write};

use bson::{Bson, Document};

/// One message: its request id and its document, with kind-1 sections put in as arrays.
pub(super) fn read(stream: &mut impl Read) -> io::Result<(i32, Document)> {
    let mut header = [0; 16];
    stream.read_exact(&mut header)?;
    let (length, id, opcode) = (int(&header, 0)?, int(&header, 4)?, int(&header, 12)?);
    // maxMessageSizeBytes of `hello` is 48,000,000.
    let length = usize::try_from(length).ok().filter(|length| (21..=48_000_000).contains(length));
    let (Some(length), OP_MSG) = (length, opcode) else {
        return Err(invalid("not an OP_MSG message"));
    };
    let mut body = vec![0; length - 16];
    stream.read_exact(&mut body)?;
    let flags = int(&body, 0)?;
    let end = if flags & CHECKSUM_PRESENT == 0 { body.len() } else { body.len().saturating_sub(4) };
    Ok((id, sections(body.get(4..end).unwrap_or_default())?))
}

/// Sends `document`; `response_to` is 0 in a request.
pub(super) fn write(stream: &mut impl Write, id: i32, response_to: i32, document: &Document) -> io::Result<()> {
    let body = document.to_vec().map_err(io::Error::other)?;
    let length = i32::try_from(body.len() + 21).map_err(io::Error::other)?;
    let mut message = Vec::with_capacity(body.len() + 21);
    for field in [length, id, response_to, OP_MSG, 0] {
        message.extend(field.to_le_bytes());
    }
    message.push(0);
    message.extend(body);
    stream.write_all(&message)
}

fn sections(mut rest: &[u8]) -> io::Result<Document> {
    let mut document = Document::new();
    let mut sequences = Vec::new();
    while let Some((kind, after)) = rest.split_first() {
        match kind {
            0 => {
                rest = after;
                document = Document::from_reader(&mut rest).map_err(|error| invalid(&error.to_string()))?;
            }
            1 => {
                let size = usize::try_from(int(after, 0)?).unwrap_or(0);
                let (mut sequence, after) = after
                    .get(4..size)
                    .zip(after.get(size..))
                    .ok_or_else(|| invalid("a document sequence of a wrong size"))?;
                let name_end = sequence.iter().position(|byte| *byte == 0).ok_or_else(|| invalid("no name"))?;
                let name = String::from_utf8_lossy(&sequence[..name_end]).into_owned();
                sequence = &sequence[name_end + 1..];
                let mut documents = Vec::new();
                while !sequence.is_empty() {
                    let one = Document::from_reader(&mut sequence).map_err(|error| invalid(&error.to_string()))?;
                    documents.push(Bson::Document(one));
                }
                sequences.push((name, documents));
                rest = after;
            }
            _ => return Err(invalid("an unknown kind of section")),
        }
    }
    for (name, documents) in sequences {
        document.insert(name, documents);
    }
    Ok(document)
}

fn int(bytes: &[u8], at: usize) -> io::Result<i32> {
    let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
    four.map(i32::from_le_bytes).ok_or_else(|| invalid("a message cut short"))
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

const OP_MSG: i32 = 2013;
const CHECKSUM_PRESENT: i32 = 1;

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[test]
    fn a_message_comes_back_and_nonsense_does_not() {
        let mut bytes = Vec::new();
        write(&mut bytes, 7, 0, &doc! { "ping": 1 }).unwrap();
        assert_eq!(read(&mut bytes.as_slice()).unwrap(), (7, doc! { "ping": 1 }));
        bytes[12] = 1;
        assert!(read(&mut bytes.as_slice()).is_err());
        assert!(read(&mut [255; 64].as_slice()).is_err());
    }
}
