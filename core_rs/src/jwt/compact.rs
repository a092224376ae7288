//! The compact serialization (RFC 7515 §7.1): three parts of base64url without padding, and what the header must say.
use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{MAX_TOKEN, TokenError};
use crate::json::{NotJson, Reader, Value, write_string};

/// `alg`, `kid` and `typ`.
const HEADER_MEMBERS: usize = 3;

/// A token taken apart; nothing of it is trusted yet.
pub(super) struct Compact<'a> {
    pub(super) kid: String,
    pub(super) claims: Vec<u8>,
    /// What was signed: header and claims as they were sent.
    pub(super) signed: &'a [u8],
    pub(super) signature: Vec<u8>,
}

impl<'a> Compact<'a> {
    pub(super) fn read(token: &'a str) -> Result<Self, TokenError> {
        if token.len() > MAX_TOKEN {
            return Err(TokenError::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Encoding)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenError::Encoding)?;
        let kid = read_header(&decode(header)?)?;
        Ok(Self { kid, claims: decode(claims)?, signed: signed.as_bytes(), signature: decode(signature)? })
    }
}

/// The part of a token that is signed.
pub(super) fn signing_input(kid: &str, claims: &[u8]) -> String {
    let mut header = br#"{"alg":"EdDSA","typ":"at+jwt","kid":"#.to_vec();
    write_string(kid, &mut header);
    header.push(b'}');
    let mut input = encode(&header);
    input.push('.');
    URL_SAFE_NO_PAD.encode_string(claims, &mut input);
    input
}

pub(super) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Strict: no padding, no other alphabet, no white space, no bits left over (RFC 4648 §3.5).
fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Encoding)
}

/// The header's key id.
fn read_header(header: &[u8]) -> Result<String, TokenError> {
    let members = members(header, HEADER_MEMBERS).ok_or(TokenError::Header)?;
    let text = |name| find(&members, name).and_then(|value| value.text()).ok_or(TokenError::Header);
    let (algorithm, kid, kind) = (text("alg")?, text("kid")?, text("typ")?);
    if algorithm != "EdDSA" {
        return Err(TokenError::Algorithm);
    }
    // Media types are case-insensitive; the prefix may be left out (RFC 7515 §4.1.9, RFC 9068 §4).
    if !kind.eq_ignore_ascii_case("at+jwt") && !kind.eq_ignore_ascii_case("application/at+jwt") {
        return Err(TokenError::Type);
    }
    Ok(kid.into_owned())
}

/// The members of a JSON object of at most `most`, in which each name stands once (RFC 7515 §4, RFC 7519 §4).
pub(super) fn members(text: &[u8], most: usize) -> Option<Vec<(Cow<'_, str>, Value<'_>)>> {
    let mut reader = Reader::new(simdutf8::basic::from_utf8(text).ok()?);
    let mut members: Vec<(Cow<'_, str>, Value<'_>)> = Vec::new();
    let read = reader.members(|reader, name| {
        let name = name.text().ok_or(NotJson)?;
        if members.len() == most || find(&members, &name).is_some() {
            return Err(NotJson);
        }
        members.push((name, reader.value()?));
        Ok(())
    });
    read.and_then(|()| reader.end()).ok().map(|()| members)
}

pub(super) fn find<'a>(members: &[(Cow<'_, str>, Value<'a>)], name: &str) -> Option<Value<'a>> {
    members.iter().find(|(known, _)| known == name).map(|&(_, value)| value)
}
