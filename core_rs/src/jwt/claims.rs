//! What a token says (RFC 7519 §4.1, RFC 9068 §2.2, and our own `sid`, the login, and `version`).
use super::{
    TokenError,
    compact::{find, members},
};

/// Claims that a token may have, others than ours included.
pub(super) const MOST_CLAIMS: usize = 32;

/// Of what the claims mean. A token of another version is refused, whoever signed it.
const VERSION: u64 = 1;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    pub iss: String,
    pub sub: String,
    pub aud: String,
    /// Seconds since the Unix epoch, as are all times.
    pub exp: u64,
    pub iat: u64,
    /// May be left out.
    pub nbf: Option<u64>,
    pub jti: String,
    pub sid: String,
    pub client_id: String,
    /// Names with spaces between (RFC 9068 §2.2.3); empty when left out.
    pub scope: String,
}

impl Claims {
    pub(super) fn read(text: &[u8]) -> Result<Self, TokenError> {
        let members = members(text, MOST_CLAIMS).ok_or(TokenError::Claims)?;
        let string = |name| {
            let text = find(&members, name).and_then(|value| value.text());
            text.map(std::borrow::Cow::into_owned).ok_or(TokenError::Claim(name))
        };
        let scope = match find(&members, "scope") {
            Some(value) => value.text().ok_or(TokenError::Claim("scope"))?.into_owned(),
            None => String::new(),
        };
        let optional_time =
            |name| find(&members, name).map(|value| value.integer().ok_or(TokenError::Claim(name))).transpose();
        let time = |name| optional_time(name)?.ok_or(TokenError::Claim(name));
        if find(&members, "version").and_then(|value| value.integer()) != Some(VERSION) {
            return Err(TokenError::Claim("version"));
        }
        Ok(Self {
            iss: string("iss")?,
            sub: string("sub")?,
            aud: string("aud")?,
            exp: time("exp")?,
            iat: time("iat")?,
            nbf: optional_time("nbf")?,
            jti: string("jti")?,
            sid: string("sid")?,
            client_id: string("client_id")?,
            scope,
        })
    }

    /// Whether the token may be used at `now`, give or take `leeway`, in seconds. `exp` itself is too late.
    pub(super) fn check_time(&self, now: f64, leeway: f64) -> Result<(), TokenError> {
        if now >= self.exp as f64 + leeway {
            return Err(TokenError::Expired);
        }
        if now < self.iat.max(self.nbf.unwrap_or(0)) as f64 - leeway {
            return Err(TokenError::NotYetValid);
        }
        Ok(())
    }
}
