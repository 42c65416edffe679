//! The events of a transaction, one by one, while its body streams by.
//!
//! A transaction may be 50 MB and the relay has 20 MB, so the body is never whole in memory: a scanner that knows only
//! where JSON strings, objects and arrays end cuts the array `events` into its elements and copies all the rest.

/// Cuts `events` out of a transaction's body.
pub struct Splitter {
    place: Place,
    depth: u32,
    string: Option<Text>,
    /// Whether the next string at the top is a key.
    expects_key: bool,
    key: Vec<u8>,
    element: Vec<u8>,
    /// The element is too long to be looked at and goes on as it comes.
    passing: bool,
    first: bool,
}

#[derive(PartialEq)]
enum Place {
    Outside,
    /// Inside the array; `depth` counts from its elements.
    Events,
}

enum Text {
    Plain,
    Escaped,
}

impl Splitter {
    /// At the start of a body.
    pub fn new() -> Self {
        Self {
            place: Place::Outside,
            depth: 0,
            string: None,
            expects_key: false,
            key: Vec::new(),
            element: Vec::new(),
            passing: false,
            first: true,
        }
    }

    /// Reads some bytes and writes what is to be sent on; `keep` decides on each element of `events`.
    ///
    /// An element longer than [`ELEMENT_LIMIT`] is sent on without being asked about: no event of Matrix is so long.
    pub fn feed(&mut self, input: &[u8], out: &mut Vec<u8>, keep: &mut dyn FnMut(&[u8]) -> bool) {
        for byte in input {
            match self.place {
                Place::Outside => self.outside(*byte, out),
                Place::Events => self.inside(*byte, out, keep),
            }
        }
    }

    /// What is left where the body ended too early; the bridge is to judge it.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.start(out);
        out.append(&mut self.element);
    }

    fn outside(&mut self, byte: u8, out: &mut Vec<u8>) {
        out.push(byte);
        if self.in_string(byte) {
            if self.expects_key && self.depth == 1 && self.key.len() < LONGEST_KEY {
                self.key.push(byte);
            }
            return;
        }
        match byte {
            b'"' if self.depth == 1 && self.expects_key => self.key.clear(),
            b'[' if self.depth == 1 && self.key == b"events\"" && !self.expects_key => {
                (self.place, self.depth, self.first) = (Place::Events, 0, true);
                self.key.clear();
            }
            b'{' | b'[' => {
                self.depth += 1;
                self.expects_key = byte == b'{' && self.depth == 1;
            }
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            b',' if self.depth == 1 => {
                self.expects_key = true;
                self.key.clear();
            }
            b':' if self.depth == 1 => self.expects_key = false,
            _ => {}
        }
    }

    fn inside(&mut self, byte: u8, out: &mut Vec<u8>, keep: &mut dyn FnMut(&[u8]) -> bool) {
        let in_string = self.in_string(byte);
        if !in_string && self.depth == 0 && matches!(byte, b',' | b']') {
            self.end(out, keep);
            if byte == b']' {
                out.push(byte);
                (self.place, self.depth) = (Place::Outside, 1);
            }
            return;
        }
        if !in_string {
            match byte {
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                b' ' | b'\t' | b'\r' | b'\n' if self.depth == 0 => return,
                _ => {}
            }
        }
        if self.passing {
            out.push(byte);
            return;
        }
        self.element.push(byte);
        if self.element.len() > ELEMENT_LIMIT {
            self.start(out);
            out.append(&mut self.element);
            self.passing = true;
        }
    }

    fn end(&mut self, out: &mut Vec<u8>, keep: &mut dyn FnMut(&[u8]) -> bool) {
        if !self.passing && !self.element.is_empty() && keep(&self.element) {
            self.start(out);
            out.extend_from_slice(&self.element);
        }
        self.passing = false;
        self.element.clear();
    }

    /// The comma before all elements but the first.
    fn start(&mut self, out: &mut Vec<u8>) {
        if self.element.is_empty() {
            return;
        }
        if !self.first {
            out.push(b',');
        }
        self.first = false;
    }

    /// Whether a byte belongs to a string that began before it; its closing quote does.
    fn in_string(&mut self, byte: u8) -> bool {
        match (&self.string, byte) {
            (Some(Text::Escaped), _) => self.string = Some(Text::Plain),
            (Some(Text::Plain), b'\\') => self.string = Some(Text::Escaped),
            (Some(Text::Plain), b'"') => self.string = None,
            (Some(Text::Plain), _) => {}
            (None, b'"') => {
                self.string = Some(Text::Plain);
                return false;
            }
            (None, _) => return false,
        }
        true
    }
}

/// Bytes of an event; the specification allows 65,536 and leaves what a server adds to it open.
pub const ELEMENT_LIMIT: usize = 1024 * 1024;
const LONGEST_KEY: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn split(text: &[u8], chunk: usize, keep: impl Fn(&[u8]) -> bool) -> (Vec<Vec<u8>>, Vec<u8>) {
        let (mut seen, mut out, mut splitter) = (Vec::new(), Vec::new(), Splitter::new());
        for part in text.chunks(chunk.max(1)) {
            splitter.feed(part, &mut out, &mut |element| {
                seen.push(element.to_vec());
                keep(element)
            });
        }
        splitter.finish(&mut out);
        (seen, out)
    }

    #[test]
    fn elements_are_dropped_and_everything_else_stays() {
        let text = r#"{"a":{"events":[1]}, "x\"events":[1], "e":"events", "events" : [ {"id":"],[\\\"","n":[{}]} , 2,3 ] ,"z":[4,"}"]}"#;
        for chunk in 1..text.len() {
            let (seen, out) = split(text.as_bytes(), chunk, |element| element != b"2");
            assert_eq!(seen.len(), 3, "{chunk}");
            let mut expected: Value = serde_json::from_str(text).unwrap();
            expected["events"].as_array_mut().unwrap().remove(1);
            assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), expected);
        }
        assert_eq!(split(br#"{"events":[{"a":1},{"b":2}]}"#, 3, |_| false).1, br#"{"events":[]}"#);
        assert_eq!(split(br#"{"events":[]}"#, 3, |_| false).1, br#"{"events":[]}"#);
        assert_eq!(split(br#"[{"events":[1]}]"#, 3, |_| false).0.len(), 0, "only at the top");
    }

    #[test]
    fn what_is_no_json_goes_on_for_the_bridge_to_judge() {
        for text in ["", "nonsense", "   ", r#"{"events":[{"a":"b"#, r#"{"events":[1,{"#, "]]}}", r#"{"events""#] {
            assert_eq!(String::from_utf8(split(text.as_bytes(), 2, |_| true).1).unwrap(), text);
        }
    }

    #[test]
    fn an_element_without_end_is_not_kept_in_memory() {
        let long = "y".repeat(3 * ELEMENT_LIMIT);
        let text = json!({"events": [{"a": 1}, {"b": long}, {"c": 1}]}).to_string();
        let mut splitter = Splitter::new();
        let (mut out, mut asked) = (Vec::new(), 0);
        for part in text.as_bytes().chunks(4096) {
            splitter.feed(part, &mut out, &mut |_| {
                asked += 1;
                true
            });
            assert!(splitter.element.capacity() <= 2 * ELEMENT_LIMIT + 4096);
        }
        assert_eq!((asked, String::from_utf8(out).unwrap() == text), (2, true));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let text = "[a-z\"\\\\\\[\\]{},: é\n]{0,8}";
        let leaf = prop_oneof![Just(Value::Null), any::<i32>().prop_map(Value::from), text.prop_map(Value::from)];
        leaf.prop_recursive(3, 24, 4, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(text, inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_transaction_is_cut_where_its_events_end(
            events in proptest::collection::vec(any_json(), 0..6), before in any_json(), after in any_json(),
            pretty in any::<bool>(), chunk in 1..40usize, drop in any::<u8>(),
        ) {
            let body = json!({"before": before, "events": events, "after": after});
            let text = if pretty { serde_json::to_string_pretty(&body).unwrap() } else { body.to_string() };
            let count = std::cell::Cell::new(0);
            let (seen, out) = split(text.as_bytes(), chunk, |_| {
                count.set(count.get() + 1);
                drop >> ((count.get() - 1) % 8) & 1 == 0
            });
            let values: Vec<Value> = seen.iter().map(|text| serde_json::from_slice(text).unwrap()).collect();
            prop_assert_eq!(&values, &events);
            let mut kept = body.clone();
            let all = events.into_iter().enumerate().filter(|(at, _)| drop >> (at % 8) & 1 == 0);
            kept["events"] = all.map(|(_, event)| event).collect();
            prop_assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), kept);
        }
    }
}
