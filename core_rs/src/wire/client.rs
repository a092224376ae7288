//! What clients send: one frame or an array of frames per message, into typed frames in their order.
//!
//! Three things can be wrong, and each costs as little as possible. A *message* that is no JSON or no frames is a
//! `Violation` and ends the link: where one frame ends is not known. A *frame* that breaks its schema is `Malformed` and
//! is answered with an error, in its place; the link goes on. A *member* or an operation that is not known is ignored,
//! so that newer clients can speak to older servers; an unknown operation with an id still gets its one answer.
use crate::json::{Kind, NotJson, Reader, Value};

/// Frames that one message may hold.
pub const MAX_FRAMES: usize = 64;
/// Levels of objects and arrays that `body` and `params` may have, their own counted.
pub const MAX_DEPTH: usize = 32;

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
        Err(fault) => return Ok(Some(fault.malformed(id, "bad_request"))),
    };
    Ok(match decode(&operation, &members) {
        Some(decoded) => Some(decoded.unwrap_or_else(|fault| fault.malformed(id, "invalid"))),
        None => id.map(|id| Fault::new(Member::Op, "unknown operation").malformed(Some(id), "bad_request")),
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
    let (epoch, offset) = members.resume()?.unzip();
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

/// Why a frame breaks its schema.
struct Fault {
    field: &'static str,
    reason: &'static str,
}

impl Fault {
    fn new(member: Member, reason: &'static str) -> Self {
        Self { field: member.name(), reason }
    }

    fn malformed(self, id: Option<u64>, code: &'static str) -> ClientFrame {
        ClientFrame::Malformed { id, code, field: self.field.to_owned(), reason: self.reason.to_owned() }
    }
}

/// The members that any frame of a client knows, by their names.
macro_rules! members {
    ($($member:ident = $name:literal),* $(,)?) => {
        #[derive(Clone, Copy)]
        enum Member { $($member),* }

        impl Member {
            const COUNT: usize = [$($name),*].len();

            fn named(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$member),)* _ => None }
            }

            fn name(self) -> &'static str {
                match self { $(Self::$member => $name),* }
            }
        }
    };
}

members! {
    Op = "op", Id = "id", Token = "token", Device = "device", Capabilities = "capabilities", Resume = "resume",
    Channel = "channel", Gen = "gen", Epoch = "epoch", After = "after", Before = "before", Limit = "limit",
    ClientId = "client_id", N = "n", Kind = "kind", Ref = "ref", Body = "body", Received = "received", Read = "read",
    Name = "name", Params = "params", Offset = "offset",
}

/// The known members of one frame, still undecoded.
#[derive(Default)]
struct Members<'a>([Option<Value<'a>>; Member::COUNT]);

impl<'a> Members<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, NotJson> {
        let mut members = Self::default();
        reader.members(|reader, name| {
            let value = reader.value()?;
            if let Some(member) = name.text().and_then(|name| Member::named(&name)) {
                members.0[member as usize] = Some(value); // of duplicates the last counts, as with JSON.parse
            }
            Ok::<_, NotJson>(())
        })?;
        Ok(members)
    }

    fn required(&self, member: Member) -> Result<Value<'a>, Fault> {
        self.0[member as usize].ok_or(Fault::new(member, "missing"))
    }

    /// Decodes a member that may be left out, but is never null.
    fn when_given<T>(&self, member: Member, get: fn(&Self, Member) -> Result<T, Fault>) -> Result<Option<T>, Fault> {
        self.0[member as usize].map(|_| get(self, member)).transpose()
    }

    /// Decodes a member that may be left out or null.
    fn optional<T>(&self, member: Member, get: fn(&Self, Member) -> Result<T, Fault>) -> Result<Option<T>, Fault> {
        self.0[member as usize].filter(|value| value.kind != Kind::Null).map(|_| get(self, member)).transpose()
    }

    fn integer(&self, member: Member) -> Result<u64, Fault> {
        self.required(member)?.integer().ok_or(Fault::new(member, "expected an integer from 0 to 2^53 - 1"))
    }

    fn text(&self, member: Member) -> Result<String, Fault> {
        text(self.required(member)?, member)
    }

    fn texts(&self, member: Member) -> Result<Vec<String>, Fault> {
        let value = self.required(member)?;
        let fault = || Fault::new(member, "expected a list of strings");
        if value.kind != Kind::Array {
            return Err(fault());
        }
        let mut texts = Vec::new();
        let read = Reader::new(value.raw).elements(|reader| {
            texts.push(reader.value()?.text().ok_or(NotJson)?.into_owned());
            Ok::<_, NotJson>(())
        });
        read.map(|()| texts).map_err(|_| fault())
    }

    /// The bytes of an object.
    fn object(&self, member: Member) -> Result<Vec<u8>, Fault> {
        let value = self.required(member)?;
        if value.kind != Kind::Object {
            return Err(Fault::new(member, "expected an object"));
        }
        if value.depth > MAX_DEPTH {
            return Err(Fault::new(member, "nested deeper than 32 levels"));
        }
        if !value.clean {
            return Err(Fault::new(member, UNCLEAN));
        }
        Ok(value.raw.as_bytes().to_vec())
    }

    /// `kind:id`; which kinds there are is not the parser's to say.
    fn channel(&self) -> Result<String, Fault> {
        let channel = self.text(Member::Channel)?;
        let shaped = channel.split_once(':').is_some_and(|(kind, id)| {
            !kind.is_empty()
                && kind.bytes().all(|byte| byte.is_ascii_lowercase())
                && (1..=64).contains(&id.len())
                && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'-'))
        });
        if shaped { Ok(channel) } else { Err(Fault::new(Member::Channel, "expected kind:id")) }
    }

    /// A ULID, which is case-insensitive, in its canonical form. The first character holds three bits only.
    fn client_id(&self) -> Result<String, Fault> {
        let mut ulid = self.text(Member::ClientId)?;
        ulid.make_ascii_uppercase();
        let crockford = |byte| matches!(byte, b'0'..=b'9' | b'A'..=b'Z') && !matches!(byte, b'I' | b'L' | b'O' | b'U');
        if ulid.len() == 26 && ulid.as_bytes()[0] <= b'7' && ulid.bytes().all(crockford) {
            Ok(ulid)
        } else {
            Err(Fault::new(Member::ClientId, "expected a ULID"))
        }
    }

    /// A UUID in lower case with hyphens (RFC 9562 §4).
    fn uuid(&self, member: Member) -> Result<String, Fault> {
        let uuid = self.text(member)?;
        let shaped = uuid.len() == 36
            && uuid.bytes().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            });
        if shaped { Ok(uuid) } else { Err(Fault::new(member, "expected a UUID in lower case")) }
    }

    /// `{epoch, offset}` of `connect`.
    fn resume(&self) -> Result<Option<(String, u64)>, Fault> {
        let Some(value) = self.0[Member::Resume as usize].filter(|value| value.kind != Kind::Null) else {
            return Ok(None);
        };
        let fault = |_| Fault::new(Member::Resume, "expected {epoch, offset}");
        if value.kind != Kind::Object {
            return Err(fault(NotJson));
        }
        let inner = Members::read(&mut Reader::new(value.raw)).map_err(fault)?;
        let (epoch, offset) = (inner.text(Member::Epoch), inner.integer(Member::Offset));
        Ok(Some((epoch.map_err(|_| fault(NotJson))?, offset.map_err(|_| fault(NotJson))?)))
    }
}

const UNCLEAN: &str = "a string holds NUL or a lone surrogate";

fn text(value: Value<'_>, member: Member) -> Result<String, Fault> {
    if value.kind != Kind::String {
        return Err(Fault::new(member, "expected a string"));
    }
    value.text().map(std::borrow::Cow::into_owned).ok_or(Fault::new(member, UNCLEAN))
}
