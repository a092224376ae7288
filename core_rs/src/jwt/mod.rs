//! Access tokens: JWS in compact form (RFC 7515), signed with Ed25519 (RFC 8037), claims as RFC 9068 wants them.
//!
//! There is one issuer, one algorithm and one form, so everything else is refused instead of negotiated (RFC 8725 §3.1):
//! a header has `alg`, `kid` and `typ` and nothing more, which keeps out `none`, `crit` and keys that a token brings
//! along, and there is exactly one way to write each part.
mod claims;
mod compact;
mod signer;
mod verifier;

pub use claims::Claims;
pub use signer::Signer;
pub use verifier::Verifier;

/// Longest token that is looked at, in bytes.
pub const MAX_TOKEN: usize = 4096;

/// Why a token or a key was refused. Never quotes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("expired")]
    Expired,
    #[error("not valid yet")]
    NotYetValid,
    #[error("longer than {MAX_TOKEN} bytes")]
    TooLong,
    #[error("not three parts of base64url")]
    Encoding,
    #[error("header is not exactly alg, kid and typ")]
    Header,
    #[error("algorithm is not EdDSA")]
    Algorithm,
    #[error("type is not at+jwt")]
    Type,
    #[error("key is not known")]
    UnknownKey,
    #[error("signature is wrong")]
    Signature,
    #[error("claims are not a JSON object of at most 32 members, each name once")]
    Claims,
    #[error("claim {0} is missing or of another type")]
    Claim(&'static str),
    #[error("issuer is another")]
    Issuer,
    #[error("audience is another")]
    Audience,
    #[error("an Ed25519 key has 32 bytes")]
    KeyLength,
    #[error("a key id has 1 to 64 visible ASCII characters")]
    KeyId,
}
