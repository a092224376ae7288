//! What clients send: one frame or an array of frames per message, into typed frames in their order.
//!
//! Three things can be wrong, and each costs as little as possible. A *message* that is no JSON or no frames is a
//! `Violation` and ends the link: where one frame ends is not known. A *frame* that breaks its schema is `Malformed` and
//! is answered with an error, in its place; the link goes on. A *member* or an operation that is not known is ignored,
//! so that newer clients can speak to older servers; an unknown operation with an id still gets its one answer.
use super::members::{Fault, Member, Members};
use crate::{
    json::{NotJson, Reader},
    score::Score,
};

/// Frames that one message may hold.
pub const MAX_FRAMES: usize = 64;

/// One frame of a client. Integers are at most 2^53 - 1; strings hold neither NUL nor lone surrogates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientFrame {
    Connect {
        id: u64,
        token: String,
        device: String,
        capabilities: Vec<String>,
        /// Where to resume the personal channel: epoch and offset come together.
        epoch: Option<String>,
        offset: Option<u64>,
    },
    Attach {
        id: u64,
        channel: String,
        generation: u64,
        epoch: Option<String>,
        after: Option<u64>,
    },
    Detach {
        id: u64,
        channel: String,
        generation: u64,
    },
    Publish {
        id: u64,
        channel: String,
        /// A ULID: 26 characters of Crockford's base32, upper case.
        client_id: String,
        n: u64,
        kind: String,
        /// A UUID.
        reference: Option<String>,
        /// A JSON object, as sent.
        body: Vec<u8>,
        /// 0 from `parse`; the limit of the bound person sets it.
        retry_after_ms: u64,
        /// None from `parse`; the hub's scorer sets it.
        score: Option<Score>,
    },
    Watermark {
        id: u64,
        channel: String,
        received: Option<u64>,
        read: Option<u64>,
    },
    /// Exactly one of `after` and `before` is given.
    Sync {
        id: u64,
        channel: String,
        after: Option<u64>,
        before: Option<u64>,
        limit: u64,
    },
    Refresh {
        id: u64,
        token: String,
        generation: u64,
    },
    Command {
        id: u64,
        name: String,
        /// A JSON object, as sent.
        params: Vec<u8>,
        /// 0 from `parse`; the limit of the bound person sets it.
        retry_after_ms: u64,
    },
    Pong,
    /// To be answered with the error `code`; `id` is None when the frame had no usable one.
    Malformed {
        id: Option<u64>,
        code: &'static str,
        field: String,
        reason: String,
    },
}

impl ClientFrame {
    /// What its answer is known by.
    pub fn id(&self) -> Option<u64> {
        match self {
            Self::Connect { id, .. }
            | Self::Attach { id, .. }
            | Self::Detach { id, .. }
            | Self::Publish { id, .. }
            | Self::Watermark { id, .. }
            | Self::Sync { id, .. }
            | Self::Refresh { id, .. }
            | Self::Command { id, .. } => Some(*id),
            Self::Pong => None,
            Self::Malformed { id, .. } => *id,
        }
    }
}

/// The whole message cannot be used; `code` is the close code of RFC 6455 §7.4.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub code: u16,
    pub reason: String,
}

impl Violation {
    fn new(code: u16, reason: &str) -> Self {
        Self { code, reason: reason.to_owned() }
    }
}

impl From<NotJson> for Violation {
    fn from(_: NotJson) -> Self {
        Self::new(1007, "a message is not JSON")
    }
}

/// The frames of one message, in order.
pub fn parse(message: &[u8]) -> Result<Vec<ClientFrame>, Violation> {
    let text = simdutf8::basic::from_utf8(message).map_err(|_| Violation::new(1007, "a message is not UTF-8"))?;
    let mut reader = Reader::new(text);
    let mut frames = Vec::new();
    let mut count = 0;
    let mut one = |reader: &mut Reader<'_>| {
        count += 1;
        if count > MAX_FRAMES {
            return Err(Violation::new(1002, "a message holds more than 64 frames"));
        }
        if reader.peek() != Some(b'{') {
            reader.value()?;
            return Err(Violation::new(1002, "a frame is not a JSON object"));
        }
        frames.extend(frame(reader)?);
        Ok(())
    };
    if reader.peek() == Some(b'[') {
        reader.elements(&mut one)?;
    } else {
        one(&mut reader)?;
    }
    reader.end()?;
    if count == 0 {
        return Err(Violation::new(1002, "a message holds no frame"));
    }
    Ok(frames)
}

/// One frame; None when its operation is unknown and nobody waits for an answer.
fn frame(reader: &mut Reader<'_>) -> Result<Option<ClientFrame>, NotJson> {
    let members = Members::read(reader)?;
    let id = members.integer(Member::Id).ok();
    let operation = match members.text(Member::Op) {
        Ok(operation) => operation,
        Err(fault) => return Ok(Some(malformed(id, "bad_request", fault))),
    };
    Ok(match decode(&operation, &members) {
        Some(decoded) => Some(decoded.unwrap_or_else(|fault| malformed(id, "invalid", fault))),
        None => id.map(|id| malformed(Some(id), "bad_request", Fault::new(Member::Op, "unknown operation"))),
    })
}

/// The frame of a known operation.
fn decode(operation: &str, members: &Members<'_>) -> Option<Result<ClientFrame, Fault>> {
    Some(match operation {
        "connect" => connect(members),
        "attach" => attach(members),
        "detach" => detach(members),
        "publish" => publish(members),
        "watermark" => watermark(members),
        "sync" => sync(members),
        "refresh" => refresh(members),
        "command" => command(members),
        "pong" => Ok(ClientFrame::Pong),
        _ => return None,
    })
}

fn connect(members: &Members<'_>) -> Result<ClientFrame, Fault> {
    let (epoch, offset) = members.optional(Member::Resume, Members::resume)?.unzip();
    Ok(ClientFrame::Connect {
        id: members.integer(Member::Id)?,
        token: members.text(Member::Token)?,
        device: members.when_given(Member::Device, Members::text)?.unwrap_or_default(),
        capabilities: members.when_given(Member::Capabilities, Members::texts)?.unwrap_or_default(),
        epoch,
        offset,
    })
}

fn attach(members: &Members<'_>) -> Result<ClientFrame, Fault> {
    Ok(ClientFrame::Attach {
        id: members.integer(Member::Id)?,
        channel: members.channel()?,
        generation: members.integer(Member::Gen)?,
        epoch: members.optional(Member::Epoch, Members::text)?,
        after: members.optional(Member::After, Members::integer)?,
    })
}

fn detach(members: &Members<'_>) -> Result<ClientFrame, Fault> {
    Ok(ClientFrame::Detach {
        id: members.integer(Member::Id)?,
        channel: members.channel()?,
        generation: members.integer(Member::Gen)?,
    })
}

fn publish(members: &Members<'_>) -> Result<ClientFrame, Fault> {
    let id = members.integer(Member::Id)?;
    let channel = members.channel()?;
    let client_id = members.client_id()?;
    let n = members.integer(Member::N)?;
    if n == 0 {
        return Err(Fault::new(Member::N, "counts from 1"));
    }
    Ok(ClientFrame::Publish {
        id,
        channel,
        client_id,
        n,
        kind: members.text(Member::Kind)?,
        reference: members.optional(Member::Ref, Members::uuid)?,
        body: members.object(Member::Body)?,
        retry_after_ms: 0,
        score: None,
    })
}

fn watermark(members: &Members<'_>) -> Result<ClientFrame, Fault> {
    Ok(ClientFrame::Watermark {
        id: members.integer(Member::Id)?,
        channel: members.channel()?,
        received: members.optional(Member::Received, Members::integer)?,
        read: members.optional(Member::Read, Members::integer)?,
    })
}

fn sync(members: &Members<'_>) -> Result<ClientFrame, Fault> {
    let id = members.integer(Member::Id)?;
    let channel = members.channel()?;
    let after = members.optional(Member::After, Members::integer)?;
    let before = members.optional(Member::Before, Members::integer)?;
    if after.is_some() == before.is_some() {
        return Err(Fault::new(Member::After, "exactly one of after and before is expected"));
    }
    let limit = members.when_given(Member::Limit, Members::integer)?.unwrap_or(100);
    if !(1..=500).contains(&limit) {
        return Err(Fault::new(Member::Limit, "expected 1 to 500"));
    }
    Ok(ClientFrame::Sync { id, channel, after, before, limit })
}

fn refresh(members: &Members<'_>) -> Result<ClientFrame, Fault> {
    Ok(ClientFrame::Refresh {
        id: members.integer(Member::Id)?,
        token: members.text(Member::Token)?,
        generation: members.integer(Member::Gen)?,
    })
}

fn command(members: &Members<'_>) -> Result<ClientFrame, Fault> {
    Ok(ClientFrame::Command {
        id: members.integer(Member::Id)?,
        name: members.text(Member::Name)?,
        params: members.when_given(Member::Params, Members::object)?.unwrap_or_else(|| b"{}".to_vec()),
        retry_after_ms: 0,
    })
}

fn malformed(id: Option<u64>, code: &'static str, fault: Fault) -> ClientFrame {
    ClientFrame::Malformed { id, code, field: fault.field.to_owned(), reason: fault.reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    const CORPUS: &str = include_str!("../../../tests/protocols/wire/corpus.json");

    /// A frame as the corpus writes it.
    fn described(frame: &ClientFrame) -> Value {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("parsed from UTF-8");
        match frame {
            ClientFrame::Connect { id, token, device, capabilities, epoch, offset } => json!({
                "type": "Connect", "id": id, "token": token, "device": device, "capabilities": capabilities,
                "epoch": epoch, "offset": offset,
            }),
            ClientFrame::Attach { id, channel, generation, epoch, after } => json!({
                "type": "Attach", "id": id, "channel": channel, "generation": generation, "epoch": epoch, "after": after,
            }),
            ClientFrame::Detach { id, channel, generation } => {
                json!({"type": "Detach", "id": id, "channel": channel, "generation": generation})
            }
            ClientFrame::Publish { id, channel, client_id, n, kind, reference, body, retry_after_ms, .. } => json!({
                "type": "Publish", "id": id, "channel": channel, "client_id": client_id, "n": n, "kind": kind,
                "ref": reference, "body": text(body), "retry_after_ms": retry_after_ms,
            }),
            ClientFrame::Watermark { id, channel, received, read } => {
                json!({"type": "Watermark", "id": id, "channel": channel, "received": received, "read": read})
            }
            ClientFrame::Sync { id, channel, after, before, limit } => {
                json!({"type": "Sync", "id": id, "channel": channel, "after": after, "before": before, "limit": limit})
            }
            ClientFrame::Refresh { id, token, generation } => {
                json!({"type": "Refresh", "id": id, "token": token, "generation": generation})
            }
            ClientFrame::Command { id, name, params, retry_after_ms } => json!({
                "type": "Command", "id": id, "name": name, "params": text(params), "retry_after_ms": retry_after_ms,
            }),
            ClientFrame::Pong => json!({"type": "Pong"}),
            ClientFrame::Malformed { id, code, field, reason } => {
                json!({"type": "Malformed", "id": id, "code": code, "field": field, "reason": reason})
            }
        }
    }

    #[test]
    fn corpus() {
        let cases: Vec<Value> = serde_json::from_str(CORPUS).unwrap();
        for case in cases {
            let parsed = parse(case["bytes"].as_str().unwrap().as_bytes());
            match parsed {
                Ok(frames) => {
                    let frames: Vec<Value> = frames.iter().map(described).collect();
                    assert_eq!(Value::Array(frames), case["frames"], "{}", case["name"]);
                }
                Err(violation) => assert_eq!(json!(violation.code), case["violation"], "{}", case["name"]),
            }
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_are_not_a_message() {
        assert_eq!(parse(b"{\"op\":\"pong\",\"x\":\"\xff\"}").unwrap_err().code, 1007);
    }

    #[test]
    fn the_last_of_duplicates_counts_whatever_the_others_were() {
        let message = br#"{"op":"pong","id":"x","op":"detach","id":3,"channel":null,"gen":7,"channel":"conv:1"}"#;
        let expected = ClientFrame::Detach { id: 3, channel: "conv:1".into(), generation: 7 };
        assert_eq!(parse(message), Ok(vec![expected]));
    }

    #[test]
    fn what_is_ignored_need_not_be_clean() {
        assert_eq!(parse(br#"{"op":"pong","\udfff":["\ud800\u0000"]}"#), Ok(vec![ClientFrame::Pong]));
    }

    #[test]
    fn nesting_costs_no_stack() {
        let open = "[".repeat(30_000);
        assert_eq!(parse(open.as_bytes()).unwrap_err().code, 1007);
        let ignored = format!(r#"{{"op":"pong","x":{open}{}}}"#, "]".repeat(30_000));
        assert_eq!(parse(ignored.as_bytes()), Ok(vec![ClientFrame::Pong]));
    }

    fn integer() -> impl Strategy<Value = u64> {
        0..1_u64 << 53
    }

    /// Any text that PostgreSQL takes.
    fn words() -> impl Strategy<Value = String> {
        "[^\\x00]{0,12}"
    }

    fn channel() -> impl Strategy<Value = String> {
        "[a-z]{1,8}:[0-9a-z-]{1,64}"
    }

    fn object() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            words().prop_map(Value::from),
        ];
        let value = leaf.prop_recursive(4, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map(words(), inner, 0..4).prop_map(|map| map.into_iter().collect()),
            ]
        });
        prop::collection::hash_map(words(), value, 0..4).prop_map(|map| map.into_iter().collect())
    }

    /// A frame as a client would write it.
    fn sent() -> impl Strategy<Value = Value> {
        let maybe = || prop::option::of(integer());
        prop_oneof![
            (integer(), words(), words(), prop::collection::vec(words(), 0..3), prop::option::of((words(), integer())))
                .prop_map(|(id, token, device, capabilities, resume)| {
                    let resume = resume.map(|(epoch, offset)| json!({"epoch": epoch, "offset": offset}));
                    json!({"op": "connect", "id": id, "token": token, "device": device,
                           "capabilities": capabilities, "resume": resume})
                }),
            (integer(), channel(), integer(), prop::option::of(words()), maybe()).prop_map(
                |(id, channel, generation, epoch, after)| {
                    json!({"op": "attach", "id": id, "channel": channel, "gen": generation, "epoch": epoch,
                           "after": after})
                }
            ),
            (integer(), channel(), integer()).prop_map(
                |(id, channel, generation)| json!({"op": "detach", "id": id, "channel": channel, "gen": generation})
            ),
            (integer(), channel(), "[0-7][0-9A-HJKMNP-TV-Z]{25}", 1..1_u64 << 53, words(), object()).prop_map(
                |(id, channel, client_id, n, kind, body)| {
                    json!({"op": "publish", "id": id, "channel": channel, "client_id": client_id, "n": n, "kind": kind,
                           "body": body})
                }
            ),
            (integer(), channel(), maybe(), maybe()).prop_map(|(id, channel, received, read)| {
                json!({"op": "watermark", "id": id, "channel": channel, "received": received, "read": read})
            }),
            (integer(), channel(), integer(), any::<bool>(), 1..=500_u64).prop_map(|(id, channel, at, up, limit)| {
                json!({"op": "sync", "id": id, "channel": channel, if up { "after" } else { "before" }: at,
                       "limit": limit})
            }),
            (integer(), words(), integer()).prop_map(
                |(id, token, generation)| json!({"op": "refresh", "id": id, "token": token, "gen": generation})
            ),
            (integer(), words(), object())
                .prop_map(|(id, name, params)| json!({"op": "command", "id": id, "name": name, "params": params})),
            Just(json!({"op": "pong"})),
        ]
    }

    /// What a parsed frame was sent as.
    fn resent(frame: ClientFrame) -> Value {
        let object = |text: Vec<u8>| serde_json::from_slice::<Value>(&text).expect("an object");
        match frame {
            ClientFrame::Connect { id, token, device, capabilities, epoch, offset } => {
                let resume = epoch.zip(offset).map(|(epoch, offset)| json!({"epoch": epoch, "offset": offset}));
                json!({"op": "connect", "id": id, "token": token, "device": device, "capabilities": capabilities,
                       "resume": resume})
            }
            ClientFrame::Attach { id, channel, generation, epoch, after } => {
                json!({"op": "attach", "id": id, "channel": channel, "gen": generation, "epoch": epoch, "after": after})
            }
            ClientFrame::Detach { id, channel, generation } => {
                json!({"op": "detach", "id": id, "channel": channel, "gen": generation})
            }
            ClientFrame::Publish {
                id,
                channel,
                client_id,
                n,
                kind,
                reference: None,
                body,
                retry_after_ms: 0,
                score: None,
            } => {
                json!({"op": "publish", "id": id, "channel": channel, "client_id": client_id, "n": n, "kind": kind,
                       "body": object(body)})
            }
            ClientFrame::Watermark { id, channel, received, read } => {
                json!({"op": "watermark", "id": id, "channel": channel, "received": received, "read": read})
            }
            ClientFrame::Sync { id, channel, after: Some(at), before: None, limit } => {
                json!({"op": "sync", "id": id, "channel": channel, "after": at, "limit": limit})
            }
            ClientFrame::Sync { id, channel, after: None, before: Some(at), limit } => {
                json!({"op": "sync", "id": id, "channel": channel, "before": at, "limit": limit})
            }
            ClientFrame::Refresh { id, token, generation } => {
                json!({"op": "refresh", "id": id, "token": token, "gen": generation})
            }
            ClientFrame::Command { id, name, params, retry_after_ms: 0 } => {
                json!({"op": "command", "id": id, "name": name, "params": object(params)})
            }
            ClientFrame::Pong => json!({"op": "pong"}),
            other => panic!("nobody sent {other:?}"),
        }
    }

    proptest! {
        #[test]
        fn what_was_sent_is_what_is_read(frames in prop::collection::vec(sent(), 1..=64)) {
            let message = Value::Array(frames.clone()).to_string();
            let parsed = parse(message.as_bytes()).unwrap();
            prop_assert_eq!(parsed.into_iter().map(resent).collect::<Vec<_>>(), frames);
        }

        #[test]
        fn bodies_keep_their_bytes(body in object(), pretty in any::<bool>()) {
            let body = if pretty { serde_json::to_string_pretty(&body).unwrap() } else { body.to_string() };
            let message = format!(r#"{{"op":"command","id":1,"name":"x","params":{body} }}"#);
            let expected = ClientFrame::Command { id: 1, name: "x".into(), params: body.into(), retry_after_ms: 0 };
            prop_assert_eq!(parse(message.as_bytes()), Ok(vec![expected]));
        }

        #[test]
        fn any_bytes_are_answered(message in prop::collection::vec(any::<u8>(), 0..256)) {
            let _ = parse(&message);
        }

        #[test]
        fn mangled_frames_are_answered(
            frames in prop::collection::vec(sent(), 1..4),
            cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut message = Value::Array(frames).to_string().into_bytes();
            for (at, byte) in cuts {
                let at = at.index(message.len());
                message[at] = byte;
            }
            if let Ok(frames) = parse(&message) {
                prop_assert!(frames.len() <= 4);
            }
        }
    }
}
