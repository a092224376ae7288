//! What a field of a request may be, as `chiron.protocols.http3.fields` has it: names, values, and who needs more.

/// What a field needs besides a check of its characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Method,
    Scheme,
    Authority,
    Path,
    Plain,
    /// As plain, but never kept.
    Secret,
    Length,
    Host,
    Cookie,
    Priority,
    Te,
}

impl Kind {
    /// None for a name that is none, is not a request's, or needs more than is done here.
    pub(super) fn of(name: &[u8]) -> Option<Self> {
        Some(match name {
            b":method" => Self::Method,
            b":scheme" => Self::Scheme,
            b":authority" => Self::Authority,
            b":path" => Self::Path,
            b"authorization" | b"proxy-authorization" | b"set-cookie" => Self::Secret,
            b"content-length" => Self::Length,
            b"host" => Self::Host,
            b"cookie" => Self::Cookie,
            b"priority" => Self::Priority,
            b"te" => Self::Te,
            b"expect" | b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding" | b"upgrade" => {
                return None;
            }
            _ if is_name(name) => Self::Plain,
            _ => return None,
        })
    }
}

/// RFC 9110 §5.1, in lower case: RFC 9114 §4.2.
pub(super) fn is_name(name: &[u8]) -> bool {
    is_token(name) && !name.iter().any(u8::is_ascii_uppercase)
}

/// Of a connection of HTTP/1 alone (RFC 9110 §7.6.1, RFC 9114 §4.2).
pub(super) fn is_connection_specific(name: &[u8]) -> bool {
    matches!(name, b"connection" | b"keep-alive" | b"proxy-connection" | b"te" | b"transfer-encoding" | b"upgrade")
}

/// RFC 9110 §5.6.2.
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// RFC 9110 §5.5.
pub(super) fn is_value(text: &[u8]) -> bool {
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let allowed = text.iter().fold(true, |all, byte| all & ((*byte >= 0x20 && *byte != 0x7F) | (*byte == b'\t')));
    allowed && !blank(text.first()) && !blank(text.last())
}

/// RFC 3986 §3.1.
pub(super) fn is_scheme(text: &[u8]) -> bool {
    text.first().is_some_and(u8::is_ascii_alphabetic)
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte))
}

/// Host and port of RFC 3986 §3.2.2 without user information: a name or IPv4 address, or an IP literal in brackets.
pub(super) fn is_authority(text: &[u8]) -> bool {
    let end = if text.first() == Some(&b'[') {
        let Some(end) = text.iter().position(|byte| *byte == b']') else { return false };
        if end == 1 || !text[1..end].iter().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(byte)) {
            return false;
        }
        end + 1
    } else {
        let end = text.iter().position(|byte| *byte == b':').unwrap_or(text.len());
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"._~!$&'()*+,;=%-".contains(byte);
        if end == 0 || !text[..end].iter().all(allowed) {
            return false;
        }
        end
    };
    text[end..].split_first().is_none_or(|(colon, port)| *colon == b':' && port.iter().all(u8::is_ascii_digit))
}

/// Visible ASCII without `#`, for a fragment is never sent (RFC 9110 §7.1), or `*`.
pub(super) fn is_path(text: &[u8]) -> bool {
    text == b"*" || text.first() == Some(&b'/') && text.iter().all(|byte| matches!(byte, b'!'..=b'~') && *byte != b'#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3986_3_2_2_authorities() {
        for good in ["a", "chiron.test:4433", "127.0.0.1:", "[::1]", "[::ffff:1.2.3.4]:443", "%41"] {
            assert!(is_authority(good.as_bytes()), "{good}");
        }
        for bad in ["", ":1", "a:b", "a:1:2", "u@a", "[]", "[::1", "[::1]a", "[g]", "a b", "[::1]:x", "a/", "é"] {
            assert!(!is_authority(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn rfc9110_7_1_paths() {
        for good in ["/", "*", "/a?b=%20", "/~"] {
            assert!(is_path(good.as_bytes()), "{good}");
        }
        for bad in ["", "a", "/#", "/ ", "/\x7f", "/é", "**"] {
            assert!(!is_path(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn rfc9110_5_5_values() {
        for good in [&b""[..], b"a", b"a \t b", b"\xe9", b"~"] {
            assert!(is_value(good), "{good:?}");
        }
        for bad in [&b" "[..], b"\ta", b"a ", b"a\0b", b"a\r\nb", b"\x7f", b"a\x1f"] {
            assert!(!is_value(bad), "{bad:?}");
        }
    }

    #[test]
    fn rfc9114_4_2_names() {
        assert_eq!(Kind::of(b"x-some_thing"), Some(Kind::Plain));
        for bad in [&b""[..], b"A", b"a b", b":status", b":protocol", b":", b"a:", b"\xe9", b"upgrade", b"expect"] {
            assert_eq!(Kind::of(bad), None, "{bad:?}");
        }
    }
}
