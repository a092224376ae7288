//! The members of a client's frame: which there are, and what each may hold.
use std::borrow::Cow;

use crate::json::{Kind, NotJson, Reader, Value};

/// Levels of objects and arrays that `body` and `params` may have, their own counted.
pub const MAX_DEPTH: usize = 32;

const UNCLEAN: &str = "a string holds NUL or a lone surrogate";

/// Why a frame breaks its schema.
pub(super) struct Fault {
    pub(super) field: &'static str,
    pub(super) reason: &'static str,
}

impl Fault {
    pub(super) fn new(member: Member, reason: &'static str) -> Self {
        Self { field: member.name(), reason }
    }
}

/// The members that any frame of a client knows, by their names.
macro_rules! members {
    ($($member:ident = $name:literal),* $(,)?) => {
        #[derive(Clone, Copy)]
        pub(super) enum Member { $($member),* }

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
pub(super) struct Members<'a>([Option<Value<'a>>; Member::COUNT]);

impl<'a> Members<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, NotJson> {
        let mut members = Self::default();
        reader
            .members(|reader, name| {
                let value = reader.value()?;
                if let Some(member) = name.text().and_then(|name| Member::named(&name)) {
                    members.0[member as usize] = Some(value); // of duplicates the last counts, as with JSON.parse
                }
                Ok(())
            })
            .map(|()| members)
    }

    fn required(&self, member: Member) -> Result<Value<'a>, Fault> {
        self.0[member as usize].ok_or(Fault::new(member, "missing"))
    }

    /// Decodes a member that may be left out, but is never null.
    pub(super) fn when_given<T>(
        &self,
        member: Member,
        get: fn(&Self, Member) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        self.0[member as usize].map(|_| get(self, member)).transpose()
    }

    /// Decodes a member that may be left out or null.
    pub(super) fn optional<T>(
        &self,
        member: Member,
        get: fn(&Self, Member) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        self.0[member as usize].filter(|value| value.kind != Kind::Null).map(|_| get(self, member)).transpose()
    }

    pub(super) fn integer(&self, member: Member) -> Result<u64, Fault> {
        self.required(member)?.integer().ok_or(Fault::new(member, "expected an integer from 0 to 2^53 - 1"))
    }

    pub(super) fn text(&self, member: Member) -> Result<String, Fault> {
        let value = self.required(member)?;
        if value.kind != Kind::String {
            return Err(Fault::new(member, "expected a string"));
        }
        value.text().map(Cow::into_owned).ok_or(Fault::new(member, UNCLEAN))
    }

    pub(super) fn texts(&self, member: Member) -> Result<Vec<String>, Fault> {
        let mut texts = Vec::new();
        let read = Reader::new(self.required(member)?.raw).elements(|reader| {
            texts.push(reader.value()?.text().ok_or(NotJson)?.into_owned());
            Ok(())
        });
        read.map(|()| texts).map_err(|NotJson| Fault::new(member, "expected a list of strings"))
    }

    /// The bytes of an object.
    pub(super) fn object(&self, member: Member) -> Result<Vec<u8>, Fault> {
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
    pub(super) fn channel(&self) -> Result<String, Fault> {
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
    pub(super) fn client_id(&self) -> Result<String, Fault> {
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
    pub(super) fn uuid(&self, member: Member) -> Result<String, Fault> {
        let uuid = self.text(member)?;
        let shaped = uuid.len() == 36
            && uuid.bytes().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            });
        if shaped { Ok(uuid) } else { Err(Fault::new(member, "expected a UUID in lower case")) }
    }

    /// `{epoch, offset}` of `connect`.
    pub(super) fn resume(&self, member: Member) -> Result<(String, u64), Fault> {
        let inner = Members::read(&mut Reader::new(self.required(member)?.raw)).unwrap_or_default();
        match (inner.text(Member::Epoch), inner.integer(Member::Offset)) {
            (Ok(epoch), Ok(offset)) => Ok((epoch, offset)),
            _ => Err(Fault::new(member, "expected {epoch, offset}")),
        }
    }
}
