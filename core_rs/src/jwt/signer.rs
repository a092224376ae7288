//! Making tokens.
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};

use super::{
    TokenError,
    claims::MOST_CLAIMS,
    compact::{encode, members, signing_input},
};

/// Makes access tokens under one key.
pub struct Signer {
    kid: String,
    pair: Ed25519KeyPair,
}

impl Signer {
    /// `seed` is the 32-byte private key of RFC 8032 §5.1.5.
    pub fn new(kid: &str, seed: &[u8]) -> Result<Self, TokenError> {
        if !(1..=64).contains(&kid.len()) || !kid.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::KeyId);
        }
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| TokenError::KeyLength)?;
        Ok(Self { kid: kid.to_owned(), pair })
    }

    /// The 32 bytes of RFC 8032 §5.1.5.
    pub fn public_key(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// `claims` is a JSON object; it is signed as given.
    pub fn sign(&self, claims: &[u8]) -> Result<String, TokenError> {
        members(claims, MOST_CLAIMS).ok_or(TokenError::Claims)?;
        Ok(self.seal(signing_input(&self.kid, claims)))
    }

    /// The token of a signing input: the signature behind it.
    pub(super) fn seal(&self, input: String) -> String {
        let signature = encode(self.pair.sign(input.as_bytes()).as_ref());
        input + "." + &signature
    }
}
