//! A request that is one HEADERS frame to the end of its stream.
use super::{
    field::{self, Kind},
    qpack::{Line, Lines, Name, STATIC, Text},
};
use std::collections::HashMap;

/// What RFC 9114 §4.2.2 counts for each field besides its characters.
const OVERHEAD: usize = 32;
/// Fields that are kept, and the size up to which one is.
const KEPT: usize = 4_096;
const KEPT_BYTES: usize = 192;
/// The same of names.
const NAMES: usize = 1_024;
const NAME_BYTES: usize = 64;
/// Fields for which there is room from the beginning.
const USUAL: usize = 16;

/// Makes what a head is handed over in. Bytes are latin-1.
pub trait Make {
    type Text;
    type Field;

    fn text(&self, bytes: &[u8]) -> Self::Text;
    /// A text of which there will be many.
    fn name(&self, bytes: &[u8]) -> Self::Text;
    fn field(&self, name: Self::Text, value: Self::Text) -> Self::Field;
    fn same_text(&self, text: &Self::Text) -> Self::Text;
    fn same_field(&self, field: &Self::Field) -> Self::Field;
    fn equal(&self, one: &Self::Text, other: &Self::Text) -> bool;
}

/// Of what is read here; `field_section_bytes` as RFC 9114 §4.2.2 counts them.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub field_section_bytes: usize,
    pub header_fields: usize,
    pub target_bytes: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Head<T, F> {
    pub method: T,
    pub scheme: T,
    pub authority: T,
    pub path: T,
    /// As sent, but with Host in front where there was only `:authority`, and the crumbs of cookies joined.
    pub fields: Vec<F>,
    pub priority: Option<T>,
}

/// A field that was checked.
enum Known<T, F> {
    Method {
        method: T,
        options: bool,
    },
    Scheme(T),
    /// With the field of Host that it stands for.
    Authority {
        authority: T,
        field: F,
    },
    Path {
        path: T,
        asterisk: bool,
    },
    Plain(F),
    Host {
        host: T,
        field: F,
    },
    Priority {
        priority: T,
        field: F,
    },
}

/// A known field, and its size as RFC 9114 §4.2.2 counts it.
type Measured<T, F> = (Known<T, F>, usize);

/// Reads heads, and keeps what fields are made of: they repeat from request to request. By what they were encoded to,
/// for without references to the dynamic table that is all of it, and so nothing is decoded again. Clients choose what
/// is kept, so it is bounded, long values stay out, and so does what is secret.
pub struct Reader<T, F> {
    limits: Limits,
    table: Vec<Option<Measured<T, F>>>,
    table_names: Vec<Option<(T, Kind)>>,
    kept: HashMap<Box<[u8]>, Measured<T, F>>,
    names: HashMap<Box<[u8]>, (T, Kind)>,
    host: T,
    cookie: T,
    name: Vec<u8>,
    value: Vec<u8>,
    crumbs: Vec<u8>,
}

impl<T, F> Reader<T, F> {
    pub fn new(make: &impl Make<Text = T, Field = F>, limits: Limits) -> Self {
        let (host, cookie) = (make.name(b"host"), make.name(b"cookie"));
        let table_names: Vec<_> = STATIC
            .iter()
            .map(|(name, _)| Kind::of(name.as_bytes()).map(|kind| (make.name(name.as_bytes()), kind)))
            .collect();
        let table = STATIC.iter().zip(&table_names).map(|((name, value), of)| {
            let (text, kind) = of.as_ref()?;
            let known = known(make, &limits, &host, (text, *kind), value.as_bytes())?;
            Some((known, name.len() + value.len() + OVERHEAD))
        });
        let table = table.collect();
        let (kept, names) = (HashMap::new(), HashMap::new());
        let (name, value, crumbs) = (Vec::new(), Vec::new(), Vec::new());
        Self { limits, table, table_names, kept, names, host, cookie, name, value, crumbs }
    }

    /// The head of a request, from all bytes of its stream. None unless that is one HEADERS frame, and the request is
    /// well-formed, within the limits, and complete without a body.
    pub fn read(&mut self, make: &impl Make<Text = T, Field = F>, data: &[u8]) -> Option<Head<T, F>> {
        let lines = Lines::new(section(data, self.limits.field_section_bytes)?)?;
        let mut draft = Draft::new();
        self.crumbs.clear();
        for line in lines {
            match line? {
                Line::Static(index) => draft.add(make, self.table[index].as_ref()?)?,
                Line::Literal { encoded, name, value } => {
                    let kept = (encoded.len() <= KEPT_BYTES).then(|| self.kept.get(encoded)).flatten();
                    match kept {
                        Some(known) => draft.add(make, known)?,
                        None => self.learn(make, &mut draft, encoded, name, value)?,
                    }
                }
            }
            if draft.size > self.limits.field_section_bytes || draft.count > self.limits.header_fields {
                return None;
            }
        }
        draft.finish(make, || make.field(make.same_text(&self.cookie), make.text(&self.crumbs)))
    }

    /// Adds a field that is not kept, and keeps it if it may be.
    fn learn(
        &mut self,
        make: &impl Make<Text = T, Field = F>,
        draft: &mut Draft<T, F>,
        encoded: &[u8],
        name: Name<'_>,
        value: Text<'_>,
    ) -> Option<()> {
        let unkept;
        let (name_bytes, (name, kind)) = match name {
            Name::Static(index) => (STATIC[index].0.len(), self.table_names[index].as_ref()?),
            Name::Literal(text) => {
                let bytes = text.read(&mut self.name)?;
                if !self.names.contains_key(bytes) {
                    let kind = Kind::of(bytes)?;
                    if self.names.len() < NAMES && bytes.len() <= NAME_BYTES {
                        self.names.insert(bytes.into(), (make.name(bytes), kind));
                    }
                }
                match self.names.get(bytes) {
                    Some(known) => (bytes.len(), known),
                    None => {
                        unkept = (make.text(bytes), Kind::of(bytes)?);
                        (bytes.len(), &unkept)
                    }
                }
            }
        };
        let value = value.read(&mut self.value)?;
        if !field::is_value(value) {
            return None;
        }
        let size = name_bytes + value.len() + OVERHEAD;
        if *kind == Kind::Cookie {
            draft.add_crumb(&mut self.crumbs, value, size);
            return Some(());
        }
        let known = (known(make, &self.limits, &self.host, (name, *kind), value)?, size);
        draft.add(make, &known)?;
        if size <= KEPT_BYTES && encoded.len() <= KEPT_BYTES && *kind != Kind::Secret {
            if self.kept.len() >= KEPT {
                self.kept.clear();
            }
            self.kept.insert(encoded.into(), known);
        }
        Some(())
    }
}

/// What HEADERS holds, if it is all that there is (RFC 9114 §7.1); up to 16,383 bytes, as a length of two says.
fn section(data: &[u8], most: usize) -> Option<&[u8]> {
    let (length, section) = match data {
        [0x01, length @ 0..0x40, section @ ..] => (usize::from(*length), section),
        [0x01, high @ 0x40..0x80, low, section @ ..] => (usize::from(high & 0x3F) << 8 | usize::from(*low), section),
        _ => return None,
    };
    (length == section.len() && length <= most).then_some(section)
}

/// Checks a field whose name and characters are good.
fn known<T, F>(
    make: &impl Make<Text = T, Field = F>,
    limits: &Limits,
    host: &T,
    (name, kind): (&T, Kind),
    value: &[u8],
) -> Option<Known<T, F>> {
    let field = || make.field(make.same_text(name), make.text(value));
    Some(match kind {
        Kind::Method if field::is_token(value) && value != b"CONNECT" => {
            Known::Method { method: make.name(value), options: value == b"OPTIONS" }
        }
        Kind::Scheme if field::is_scheme(value) => Known::Scheme(make.name(value)),
        Kind::Authority if field::is_authority(value) => {
            let authority = make.text(value);
            let field = make.field(make.same_text(host), make.same_text(&authority));
            Known::Authority { authority, field }
        }
        Kind::Path if field::is_path(value) && value.len() <= limits.target_bytes => {
            Known::Path { path: make.text(value), asterisk: value == b"*" }
        }
        Kind::Plain | Kind::Secret => Known::Plain(field()),
        Kind::Length if value == b"0" => Known::Plain(field()),
        Kind::Te if value.eq_ignore_ascii_case(b"trailers") => Known::Plain(field()),
        Kind::Host if field::is_authority(value) => {
            let host = make.text(value);
            let field = make.field(make.same_text(name), make.same_text(&host));
            Known::Host { host, field }
        }
        Kind::Priority => {
            let priority = make.text(value);
            let field = make.field(make.same_text(name), make.same_text(&priority));
            Known::Priority { priority, field }
        }
        _ => return None,
    })
}

/// A head, as far as it was read.
struct Draft<T, F> {
    method: Option<T>,
    options: bool,
    scheme: Option<T>,
    /// With the field of Host that it stands for.
    authority: Option<(T, F)>,
    path: Option<T>,
    asterisk: bool,
    host: Option<T>,
    priority: Option<T>,
    fields: Vec<F>,
    /// Where in `fields` the first crumb of a cookie was.
    cookie: Option<usize>,
    /// Fields, each crumb of a cookie among them.
    count: usize,
    size: usize,
}

impl<T, F> Draft<T, F> {
    fn new() -> Self {
        Self {
            method: None,
            options: false,
            scheme: None,
            authority: None,
            path: None,
            asterisk: false,
            host: None,
            priority: None,
            fields: Vec::with_capacity(USUAL),
            cookie: None,
            count: 0,
            size: 0,
        }
    }

    /// None for a pseudo-header field behind others (RFC 9114 §4.3), and for what may be there once.
    fn add(&mut self, make: &impl Make<Text = T, Field = F>, (known, size): &Measured<T, F>) -> Option<()> {
        let first = self.count == 0;
        self.size += size;
        let field = match known {
            Known::Method { method, options } if first && self.method.is_none() => {
                self.options = *options;
                self.method = Some(make.same_text(method));
                return Some(());
            }
            Known::Scheme(scheme) if first && self.scheme.is_none() => {
                self.scheme = Some(make.same_text(scheme));
                return Some(());
            }
            Known::Authority { authority, field } if first && self.authority.is_none() => {
                self.authority = Some((make.same_text(authority), make.same_field(field)));
                return Some(());
            }
            Known::Path { path, asterisk } if first && self.path.is_none() => {
                self.asterisk = *asterisk;
                self.path = Some(make.same_text(path));
                return Some(());
            }
            Known::Plain(field) => field,
            Known::Host { host, field } if self.host.is_none() => {
                self.host = Some(make.same_text(host));
                field
            }
            Known::Priority { priority, field } if self.priority.is_none() => {
                self.priority = Some(make.same_text(priority));
                field
            }
            _ => return None,
        };
        self.count += 1;
        self.fields.push(make.same_field(field));
        Some(())
    }

    fn add_crumb(&mut self, crumbs: &mut Vec<u8>, value: &[u8], size: usize) {
        if self.cookie.is_some() {
            crumbs.extend_from_slice(b"; ");
        }
        self.cookie.get_or_insert(self.fields.len());
        crumbs.extend_from_slice(value);
        self.count += 1;
        self.size += size;
    }

    /// None unless everything is there that must be, and Host is what `:authority` is (RFC 9114 §4.3.1).
    fn finish(mut self, make: &impl Make<Text = T, Field = F>, cookie: impl FnOnce() -> F) -> Option<Head<T, F>> {
        if let Some(at) = self.cookie {
            self.fields.insert(at, cookie());
        }
        let authority = match (self.authority, self.host) {
            (Some((authority, field)), None) => {
                self.fields.insert(0, field);
                authority
            }
            (Some((authority, _)), Some(host)) if make.equal(&authority, &host) => authority,
            (None, Some(host)) => host,
            _ => return None,
        };
        if self.asterisk && !self.options {
            return None;
        }
        Some(Head {
            method: self.method?,
            scheme: self.scheme?,
            authority,
            path: self.path?,
            fields: self.fields,
            priority: self.priority,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Strings;

    fn latin1(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| char::from(*byte)).collect()
    }

    impl Make for Strings {
        type Text = String;
        type Field = (String, String);

        fn text(&self, bytes: &[u8]) -> String {
            latin1(bytes)
        }

        fn name(&self, bytes: &[u8]) -> String {
            latin1(bytes)
        }

        fn field(&self, name: String, value: String) -> (String, String) {
            (name, value)
        }

        fn same_text(&self, text: &String) -> String {
            text.clone()
        }

        fn same_field(&self, field: &(String, String)) -> (String, String) {
            field.clone()
        }

        fn equal(&self, one: &String, other: &String) -> bool {
            one == other
        }
    }

    const LIMITS: Limits = Limits { field_section_bytes: 1_000, header_fields: 6, target_bytes: 50 };
    const GET: [(&str, &str); 4] =
        [(":method", "GET"), (":scheme", "https"), (":authority", "chiron.test"), (":path", "/")];

    fn string(out: &mut Vec<u8>, bits: u32, flags: u8, text: &str) {
        let most = (1 << bits) - 1;
        if text.len() < most {
            out.push(flags | text.len() as u8);
        } else {
            out.push(flags | most as u8);
            let mut rest = text.len() - most;
            while rest >= 0x80 {
                out.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            out.push(rest as u8);
        }
        out.extend_from_slice(text.as_bytes());
    }

    /// A HEADERS frame of literals.
    fn frame(fields: &[(&str, &str)]) -> Vec<u8> {
        let mut section = b"\0\0".to_vec();
        for (name, value) in fields {
            string(&mut section, 3, 0x20, name);
            string(&mut section, 7, 0, value);
        }
        let length = u16::try_from(section.len()).expect("a short one") | 0x4000;
        [&[1], &length.to_be_bytes()[..], &section].concat()
    }

    /// What is read, twice: the second time from what was kept.
    fn read(data: &[u8]) -> Option<Head<String, (String, String)>> {
        let mut reader = Reader::new(&Strings, LIMITS);
        let head = reader.read(&Strings, data);
        assert_eq!(reader.read(&Strings, data), head);
        head
    }

    fn fields(more: &[(&str, &str)]) -> Option<Vec<(String, String)>> {
        read(&frame(&[&GET, more].concat())).map(|head| head.fields)
    }

    fn owned(fields: &[(&str, &str)]) -> Option<Vec<(String, String)>> {
        Some(fields.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect())
    }

    #[test]
    fn a_plain_request() {
        let head = read(b"\x01\x12\0\0\xd1\xd7\x50\x0bchiron.test\xc1").expect("it is plain");
        assert_eq!((head.method.as_str(), head.scheme.as_str(), head.path.as_str()), ("GET", "https", "/"));
        assert_eq!(head.authority, "chiron.test");
        assert_eq!(Some(head.fields), owned(&[("host", "chiron.test")]));
        assert_eq!(head.priority, None);
    }

    #[test]
    fn rfc9114_4_3_1_host_is_in_front_unless_it_was_sent() {
        assert_eq!(fields(&[("a", "b")]), owned(&[("host", "chiron.test"), ("a", "b")]));
        assert_eq!(fields(&[("a", "b"), ("host", "chiron.test")]), owned(&[("a", "b"), ("host", "chiron.test")]));
        assert_eq!(fields(&[("host", "other.test")]), None);
        assert_eq!(fields(&[("host", "chiron.test"), ("host", "chiron.test")]), None);
        let head = read(&frame(&[GET[0], GET[1], GET[3], ("host", "a:1")])).expect("Host will do");
        assert_eq!((head.authority.as_str(), head.fields.len()), ("a:1", 1));
        assert_eq!(read(&frame(&[GET[0], GET[1], GET[3], ("host", "u@a")])), None);
    }

    #[test]
    fn rfc9114_4_2_1_crumbs_of_cookies_are_joined_where_the_first_was() {
        let crumbs = [("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")];
        assert_eq!(fields(&crumbs), owned(&[("host", "chiron.test"), ("cookie", "a=1; b=2"), ("x", "y")]));
    }

    #[test]
    fn what_is_not_plain_is_not_read() {
        for field in [
            ("expect", "100-continue"),
            ("content-length", "1"),
            ("content-length", "00"),
            ("connection", "close"),
            ("te", "gzip"),
            (":protocol", "websocket"),
            (":path", "/"),
            (":status", "200"),
            ("A", "b"),
            ("", "b"),
            ("a", " b"),
            ("a", "b\n"),
        ] {
            assert_eq!(fields(&[field]), None, "{field:?}");
        }
        for good in [("content-length", "0"), ("te", "Trailers"), ("a", ""), ("priority", "u=1")] {
            assert_eq!(fields(&[good]), owned(&[("host", "chiron.test"), good]));
        }
        assert_eq!(fields(&[("priority", "u=1"), ("priority", "i")]), None);
    }

    #[test]
    fn rfc9114_4_3_1_pseudo_header_fields_are_complete_and_in_front() {
        for missing in GET {
            let mut head = GET.to_vec();
            head.retain(|field| *field != missing);
            assert_eq!(read(&frame(&head)), None);
            head.extend([("a", "b"), missing]);
            assert_eq!(read(&frame(&head)), None);
        }
        for (at, value) in [(0, "CONNECT"), (0, "G T"), (1, "1"), (2, "u@a"), (3, "*"), (3, "a"), (3, "/#")] {
            let mut head = GET;
            head[at].1 = value;
            assert_eq!(read(&frame(&head)), None, "{value}");
        }
        assert!(read(&frame(&[(":method", "OPTIONS"), GET[1], GET[2], (":path", "*")])).is_some());
    }

    #[test]
    fn limits_hold() {
        assert!(fields(&[("a", "b"); 6]).is_some());
        assert_eq!(fields(&[("a", "b"); 7]), None);
        assert_eq!(fields(&[("cookie", "b"); 7]), None);
        let spent: usize = GET.iter().map(|(name, value)| name.len() + value.len() + OVERHEAD).sum();
        let left = LIMITS.field_section_bytes - spent - OVERHEAD - 1;
        assert!(fields(&[("a", &"b".repeat(left))]).is_some());
        assert_eq!(fields(&[("a", &"b".repeat(left + 1))]), None);
        for (length, good) in [(50, true), (51, false)] {
            let path = format!("/{}", "a".repeat(length - 1));
            assert_eq!(read(&frame(&[GET[0], GET[1], GET[2], (":path", &path)])).is_some(), good);
        }
    }

    #[test]
    fn rfc9114_7_1_it_is_one_frame_and_whole() {
        let data = frame(&GET);
        assert!(read(&data).is_some());
        for wrong in [&data[..data.len() - 1], &[&data[..], b"\0\0"].concat(), &data[1..], b"", b"\x01", b"\x01\0"] {
            assert_eq!(read(wrong), None);
        }
    }

    #[test]
    fn nothing_secret_and_nothing_without_bound_is_kept() {
        let mut reader = Reader::new(&Strings, LIMITS);
        for name in ["authorization", "cookie", "proxy-authorization", "set-cookie"] {
            assert!(reader.read(&Strings, &frame(&[&GET[..], &[(name, "secret")]].concat())).is_some());
        }
        assert_eq!(reader.kept.len(), GET.len());
        for number in 0..2 * KEPT {
            let name = format!("x-{number}");
            assert!(reader.read(&Strings, &frame(&[&GET[..], &[(&name, "b")]].concat())).is_some());
            assert!(reader.kept.len() <= KEPT && reader.names.len() <= NAMES);
        }
        let kept = reader.kept.len();
        assert!(reader.read(&Strings, &frame(&[&GET[..], &[("long", &"b".repeat(KEPT_BYTES))]].concat())).is_some());
        assert_eq!(reader.kept.len(), kept);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_head_or_not(section: Vec<u8>) {
            let length = (section.len() as u16 + 2) | 0x4000;
            let head = read(&[&[1], &length.to_be_bytes()[..], b"\0\0", &section].concat());
            prop_assert!(head.is_none_or(|head| head.fields.iter().any(|(name, _)| name == "host")));
        }
    }
}
