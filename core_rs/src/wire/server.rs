//! What the server sends: each frame encoded once, then shared by all links that are sent it.
//!
//! The JSON text is kept behind its WebSocket header in one allocation, because that is how nearly every frame leaves;
//! the framing of QUIC streams is added when the first such link needs it.
use std::sync::{Arc, OnceLock};

use crate::{
    json::{self, Kind, write_integer, write_string},
    websocket::{opcode, write_header},
};

/// How a frame's JSON text is delimited in a byte stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// One unmasked text frame (RFC 6455 §5.2).
    WebSocket,
    /// The length as a QUIC variable-length integer (RFC 9000 §16), then the text.
    Record,
}

/// What was to be spliced into a frame is not what it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("{0} is not a JSON object")]
    NotAnObject(&'static str),
    #[error("{0} is not JSON")]
    NotJson(&'static str),
    #[error("items of a page are deliveries")]
    NotADelivery,
}

/// One frame of the server. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Frame(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    number: Option<u64>,
    offset: Option<u64>,
    /// Header of a WebSocket frame, then the JSON text.
    websocket: Arc<[u8]>,
    /// Where the text begins in `websocket`.
    header: usize,
    record: OnceLock<Arc<[u8]>>,
}

impl Frame {
    /// A durable record. `time` in milliseconds since the Unix epoch; `body` a JSON object.
    #[expect(clippy::too_many_arguments, reason = "the members of a delivery")]
    pub fn delivery(
        number: u64,
        offset: u64,
        message: &str,
        ordinal: u64,
        time: u64,
        author: &str,
        kind: &str,
        reference: Option<&str>,
        body: &[u8],
        client_id: Option<&str>,
        verdict: Option<&str>,
    ) -> Result<Self, FrameError> {
        Ok(Text::of("delivery")
            .integer("number", number)
            .integer("offset", offset)
            .string("message", message)
            .integer("ordinal", ordinal)
            .integer("time", time)
            .string("author", author)
            .string("kind", kind)
            .raw("body", object("body", body)?)
            .optional_string("ref", reference)
            .optional_string("client_id", client_id)
            .optional_string("verdict", verdict)
            .frame(Some(number), Some(offset)))
    }

    /// An ephemeral event of a channel; `body` a JSON object.
    pub fn event(number: u64, kind: &str, body: &[u8]) -> Result<Self, FrameError> {
        Ok(Text::of("event")
            .integer("number", number)
            .string("kind", kind)
            .raw("body", object("body", body)?)
            .frame(Some(number), None))
    }

    /// The answer to `connect`; `body` is the JSON object of all members behind `op` and `id`.
    pub fn welcome(id: u64, body: &[u8]) -> Result<Self, FrameError> {
        Ok(Text::of("welcome").integer("id", id).members(object("body", body)?).frame(None, None))
    }

    /// `origin` is the `from` of outcome `truncated`: the first offset that can still be read.
    #[expect(clippy::too_many_arguments, reason = "the members of attached")]
    pub fn attached(
        id: u64,
        channel: &str,
        number: u64,
        generation: u64,
        outcome: &str,
        epoch: &str,
        head: u64,
        origin: Option<u64>,
    ) -> Self {
        Text::of("attached")
            .integer("id", id)
            .string("channel", channel)
            .integer("number", number)
            .integer("gen", generation)
            .string("outcome", outcome)
            .string("epoch", epoch)
            .integer("head", head)
            .optional_integer("from", origin)
            .frame(Some(number), None)
    }

    /// `result`: any JSON value.
    pub fn ok(id: u64, result: Option<&[u8]>) -> Result<Self, FrameError> {
        let text = Text::of("ok").integer("id", id);
        let text = match result {
            Some(result) => {
                text.raw("result", json::kind(result).map(|_| result).ok_or(FrameError::NotJson("result"))?)
            }
            None => text,
        };
        Ok(text.frame(None, None))
    }

    /// `time` in milliseconds since the Unix epoch.
    pub fn ack(
        id: u64,
        message: &str,
        offset: u64,
        ordinal: u64,
        time: u64,
        duplicate: bool,
        verdict: Option<&str>,
    ) -> Self {
        let text = Text::of("ack")
            .integer("id", id)
            .string("message", message)
            .integer("offset", offset)
            .integer("ordinal", ordinal)
            .integer("time", time);
        let text = if duplicate { text.boolean("duplicate", true) } else { text };
        text.optional_string("verdict", verdict).frame(None, None)
    }

    /// `items` are deliveries, in order of offset.
    #[expect(clippy::too_many_arguments, reason = "the members of a page")]
    pub fn page<'a>(
        id: u64,
        channel: &str,
        number: u64,
        items: impl IntoIterator<Item = &'a Self>,
        more: bool,
        head: u64,
        floor: u64,
        epoch: &str,
    ) -> Result<Self, FrameError> {
        let mut array = vec![b'['];
        for item in items {
            if item.offset().is_none() {
                return Err(FrameError::NotADelivery);
            }
            if array.len() > 1 {
                array.push(b',');
            }
            array.extend_from_slice(item.payload());
        }
        array.push(b']');
        Ok(Text::of("page")
            .integer("id", id)
            .string("channel", channel)
            .integer("number", number)
            .raw("items", &array)
            .boolean("more", more)
            .integer("head", head)
            .integer("floor", floor)
            .string("epoch", epoch)
            .frame(Some(number), None))
    }

    /// `code` and `action` as in `chiron.errors.CODES`; `params` a JSON object, left out when empty.
    pub fn error(
        id: Option<u64>,
        code: &str,
        params: &[u8],
        temporary: bool,
        scope: &str,
        action: &str,
        retry_after_ms: Option<u64>,
    ) -> Result<Self, FrameError> {
        let text = Text::of("error").optional_integer("id", id).string("code", code);
        let params = object("params", params)?;
        let text = if is_empty(params) { text } else { text.raw("params", params) };
        Ok(text
            .boolean("temporary", temporary)
            .string("scope", scope)
            .string("action", action)
            .optional_integer("retry_after_ms", retry_after_ms)
            .frame(None, None))
    }

    pub fn lag(number: u64, head: u64) -> Self {
        Text::of("lag").integer("number", number).integer("head", head).frame(Some(number), None)
    }

    pub fn detached(number: u64, reason: &str) -> Self {
        Text::of("detached").integer("number", number).string("reason", reason).frame(Some(number), None)
    }

    pub fn token_expiring(expires_in_ms: u64) -> Self {
        Text::of("token_expiring").integer("expires_in_ms", expires_in_ms).frame(None, None)
    }

    pub fn ping() -> Self {
        Text::of("ping").frame(None, None)
    }

    /// The last frame of a link; a WebSocket close frame with the same code follows.
    pub fn close(code: u16, reason: &str, reconnect_in_ms: u64, resumable: bool) -> Self {
        Text::of("close")
            .integer("code", code.into())
            .string("reason", reason)
            .integer("reconnect_in_ms", reconnect_in_ms)
            .boolean("resumable", resumable)
            .frame(None, None)
    }

    /// The JSON text, without framing.
    pub fn payload(&self) -> &[u8] {
        &self.0.websocket[self.0.header..]
    }

    /// The channel that the frame is about.
    pub fn number(&self) -> Option<u64> {
        self.0.number
    }

    /// The offset of a delivery; None for every other frame.
    pub fn offset(&self) -> Option<u64> {
        self.0.offset
    }

    /// The frame as it travels; every call gives the same bytes, made once.
    pub fn encoded(&self, framing: Framing) -> Arc<[u8]> {
        match framing {
            Framing::WebSocket => self.0.websocket.clone(),
            Framing::Record => self.0.record.get_or_init(|| record(self.payload())).clone(),
        }
    }
}

/// The JSON text of a frame while it is written. Members stand in the order of `docs/protocol.md`.
struct Text(Vec<u8>);

impl Text {
    fn of(op: &str) -> Self {
        let mut text = Vec::with_capacity(256);
        text.extend_from_slice(b"{\"op\":\"");
        text.extend_from_slice(op.as_bytes());
        text.push(b'"');
        Self(text)
    }

    fn name(mut self, name: &str) -> Self {
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
        self
    }

    fn integer(self, name: &str, number: u64) -> Self {
        let mut text = self.name(name);
        write_integer(number, &mut text.0);
        text
    }

    fn optional_integer(self, name: &str, number: Option<u64>) -> Self {
        match number {
            Some(number) => self.integer(name, number),
            None => self,
        }
    }

    fn string(self, name: &str, string: &str) -> Self {
        let mut text = self.name(name);
        write_string(string, &mut text.0);
        text
    }

    fn optional_string(self, name: &str, string: Option<&str>) -> Self {
        match string {
            Some(string) => self.string(name, string),
            None => self,
        }
    }

    fn boolean(self, name: &str, value: bool) -> Self {
        self.raw(name, if value { b"true" } else { b"false" })
    }

    /// A value that is JSON already.
    fn raw(self, name: &str, value: &[u8]) -> Self {
        let mut text = self.name(name);
        text.0.extend_from_slice(value);
        text
    }

    /// All members of an object, as the frame's own.
    fn members(mut self, object: &[u8]) -> Self {
        if !is_empty(object) {
            self.0.push(b',');
            self.0.extend_from_slice(&object[1..object.len() - 1]); // `object` saw both braces
        }
        self
    }

    fn frame(mut self, number: Option<u64>, offset: Option<u64>) -> Frame {
        self.0.push(b'}');
        let mut framed = Vec::with_capacity(10 + self.0.len());
        write_header(opcode::TEXT, self.0.len(), &mut framed);
        let header = framed.len();
        framed.append(&mut self.0);
        Frame(Arc::new(Shared { number, offset, websocket: framed.into(), header, record: OnceLock::new() }))
    }
}

/// `text` without white space around it, when it is a JSON object.
fn object<'a>(what: &'static str, text: &'a [u8]) -> Result<&'a [u8], FrameError> {
    match json::kind(text) {
        Some(Kind::Object) => Ok(text.trim_ascii()),
        _ => Err(FrameError::NotAnObject(what)),
    }
}

fn is_empty(object: &[u8]) -> bool {
    object[1..object.len() - 1].trim_ascii().is_empty()
}

fn record(payload: &[u8]) -> Arc<[u8]> {
    let mut record = Vec::with_capacity(8 + payload.len());
    write_varint(payload.len() as u64, &mut record);
    record.extend_from_slice(payload);
    record.into()
}

/// RFC 9000 §16; `number` is below 2^62.
fn write_varint(number: u64, out: &mut Vec<u8>) {
    match number {
        0..=0x3F => out.push(number as u8),
        0x40..=0x3FFF => out.extend_from_slice(&(number as u16 | 0x4000).to_be_bytes()),
        0x4000..=0x3FFF_FFFF => out.extend_from_slice(&(number as u32 | 0x8000_0000).to_be_bytes()),
        _ => out.extend_from_slice(&(number | 0xC000_0000_0000_0000).to_be_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn text(frame: &Frame) -> &str {
        std::str::from_utf8(frame.payload()).unwrap()
    }

    fn delivery(offset: u64, body: &[u8]) -> Frame {
        Frame::delivery(9, offset, "m", 40, 1_764_021_600_000, "p", "text", None, body, None, None).unwrap()
    }

    #[test]
    fn members_stand_in_the_order_of_the_protocol() {
        let frames = [
            (
                Frame::delivery(
                    9,
                    42,
                    "m",
                    40,
                    7,
                    "p",
                    "text",
                    Some("r"),
                    b"{\"text\":\"\\u00e9\"}",
                    Some("c"),
                    Some("v"),
                )
                .unwrap(),
                r#"{"op":"delivery","number":9,"offset":42,"message":"m","ordinal":40,"time":7,"author":"p","kind":"text","body":{"text":"\u00e9"},"ref":"r","client_id":"c","verdict":"v"}"#,
            ),
            (
                Frame::event(9, "watermark", b"{\"read\":1}").unwrap(),
                r#"{"op":"event","number":9,"kind":"watermark","body":{"read":1}}"#,
            ),
            (Frame::welcome(1, b"{\"link\":\"17\"}").unwrap(), r#"{"op":"welcome","id":1,"link":"17"}"#),
            (Frame::welcome(1, b" { } ").unwrap(), r#"{"op":"welcome","id":1}"#),
            (
                Frame::attached(2, "conv:1", 9, 1, "truncated", "9f3a", 42, Some(7)),
                r#"{"op":"attached","id":2,"channel":"conv:1","number":9,"gen":1,"outcome":"truncated","epoch":"9f3a","head":42,"from":7}"#,
            ),
            (Frame::ok(3, None).unwrap(), r#"{"op":"ok","id":3}"#),
            (Frame::ok(3, Some(b"[1]")).unwrap(), r#"{"op":"ok","id":3,"result":[1]}"#),
            (
                Frame::ack(3, "m", 43, 40, 7, false, None),
                r#"{"op":"ack","id":3,"message":"m","offset":43,"ordinal":40,"time":7}"#,
            ),
            (
                Frame::ack(3, "m", 43, 40, 7, true, Some("held")),
                r#"{"op":"ack","id":3,"message":"m","offset":43,"ordinal":40,"time":7,"duplicate":true,"verdict":"held"}"#,
            ),
            (
                Frame::page(5, "conv:1", 9, [], false, 42, 0, "9f3a").unwrap(),
                r#"{"op":"page","id":5,"channel":"conv:1","number":9,"items":[],"more":false,"head":42,"floor":0,"epoch":"9f3a"}"#,
            ),
            (
                Frame::error(Some(3), "limited", b"{}", true, "command", "retry", Some(1500)).unwrap(),
                r#"{"op":"error","id":3,"code":"limited","temporary":true,"scope":"command","action":"retry","retry_after_ms":1500}"#,
            ),
            (
                Frame::error(None, "protocol", b"{\"reason\":\"x\"}", false, "link", "reconnect", None).unwrap(),
                r#"{"op":"error","code":"protocol","params":{"reason":"x"},"temporary":false,"scope":"link","action":"reconnect"}"#,
            ),
            (Frame::lag(9, 42), r#"{"op":"lag","number":9,"head":42}"#),
            (Frame::detached(9, "removed"), r#"{"op":"detached","number":9,"reason":"removed"}"#),
            (Frame::token_expiring(60_000), r#"{"op":"token_expiring","expires_in_ms":60000}"#),
            (Frame::ping(), r#"{"op":"ping"}"#),
            (
                Frame::close(1001, "draining", 250, true),
                r#"{"op":"close","code":1001,"reason":"draining","reconnect_in_ms":250,"resumable":true}"#,
            ),
        ];
        for (frame, expected) in &frames {
            assert_eq!(text(frame), *expected);
        }
    }

    #[test]
    fn pages_hold_deliveries_and_nothing_else() {
        let items = [delivery(1, b"{\"a\":1}"), delivery(2, b"{}")];
        let page = Frame::page(5, "conv:1", 9, &items, true, 42, 0, "9f3a").unwrap();
        let page: Value = serde_json::from_str(text(&page)).unwrap();
        let expected: Vec<Value> = items.iter().map(|item| serde_json::from_str(text(item)).unwrap()).collect();
        assert_eq!(page["items"], Value::from(expected));
        assert_eq!(
            Frame::page(5, "conv:1", 9, &[Frame::ping()], true, 42, 0, "9f3a").unwrap_err(),
            FrameError::NotADelivery
        );
    }

    #[test]
    fn only_json_is_spliced_in() {
        for body in [&b"{},\"op\":\"close\""[..], b"[]", b"", b"{", b"{\"a\":\"\xff\"}"] {
            assert_eq!(Frame::event(9, "x", body).unwrap_err(), FrameError::NotAnObject("body"));
        }
        assert_eq!(Frame::ok(1, Some(b"1,2")).unwrap_err(), FrameError::NotJson("result"));
    }

    #[test]
    fn frames_know_what_they_are_about() {
        let frame = delivery(42, b"{}");
        assert_eq!((frame.number(), frame.offset()), (Some(9), Some(42)));
        let lag = Frame::lag(9, 42);
        assert_eq!((lag.number(), lag.offset()), (Some(9), None));
        assert_eq!((Frame::ping().number(), Frame::ping().offset()), (None, None));
    }

    #[test]
    fn each_framing_is_made_once_and_shared() {
        let frame = delivery(1, b"{}");
        for framing in [Framing::WebSocket, Framing::Record] {
            assert!(Arc::ptr_eq(&frame.encoded(framing), &frame.clone().encoded(framing)));
        }
    }

    #[test]
    fn test_rfc9000_a_1_variable_length_integers() {
        let samples: [(u64, &[u8]); 4] = [
            (151_288_809_941_952_652, &[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c]),
            (494_878_333, &[0x9d, 0x7f, 0x3e, 0x7d]),
            (15_293, &[0x7b, 0xbd]),
            (37, &[0x25]),
        ];
        for (number, expected) in samples {
            let mut out = Vec::new();
            write_varint(number, &mut out);
            assert_eq!(out, expected);
        }
    }

    proptest! {
        #[test]
        fn framings_hold_the_payload(length in prop_oneof![0..200_usize, 65_400..65_700_usize, 16_300..16_400_usize]) {
            let frame = delivery(1, json!({"text": "x".repeat(length)}).to_string().as_bytes());
            let payload = frame.payload();
            let mut expected = Vec::new();
            write_header(opcode::TEXT, payload.len(), &mut expected);
            expected.extend_from_slice(payload);
            prop_assert_eq!(&frame.encoded(Framing::WebSocket)[..], &expected[..]);
            let record = frame.encoded(Framing::Record);
            let header = 1 << (record[0] >> 6);
            prop_assert_eq!(&record[header..], payload);
            let length = record[..header].iter().fold(0, |sum, &byte| sum << 8 | usize::from(byte));
            prop_assert_eq!(length & !(0b11 << (8 * header - 2)), payload.len());
        }

        #[test]
        fn texts_arrive_as_they_were(message in any::<String>(), kind in any::<String>(), verdict in any::<Option<String>>()) {
            let frame =
                Frame::delivery(1, 2, &message, 3, 4, "p", &kind, None, b"{}", None, verdict.as_deref()).unwrap();
            let decoded: Value = serde_json::from_str(text(&frame)).unwrap();
            let mut expected = json!({
                "op": "delivery", "number": 1, "offset": 2, "message": message, "ordinal": 3, "time": 4, "author": "p",
                "kind": kind, "body": {},
            });
            if let Some(verdict) = verdict {
                expected["verdict"] = verdict.into();
            }
            prop_assert_eq!(decoded, expected);
        }
    }
}
