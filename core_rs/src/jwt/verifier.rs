//! Checks tokens, and remembers those whose signature was good: what costs most is done once per token.
use std::{collections::HashMap, sync::Arc};

use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{ED25519, UnparsedPublicKey},
};

use super::{Claims, MAX_TOKEN, TokenError, compact::Compact};

/// An accepted key. Tokens remember the very object that they were checked with.
struct Key {
    kid: String,
    public: [u8; 32],
}

impl Key {
    fn verify(&self, signed: &[u8], signature: &[u8]) -> Result<(), TokenError> {
        UnparsedPublicKey::new(&ED25519, &self.public).verify(signed, signature).map_err(|_| TokenError::Signature)
    }
}

/// SHA-256 of a whole token: two tokens never share one, and the cache holds nothing that could be replayed.
type Fingerprint = [u8; 32];

struct Checked<T> {
    claims: Arc<Claims>,
    key: Arc<Key>,
    attached: Option<Arc<T>>,
}

impl<T> Clone for Checked<T> {
    fn clone(&self) -> Self {
        Self { claims: self.claims.clone(), key: self.key.clone(), attached: self.attached.clone() }
    }
}

/// Checks access tokens of one issuer for one audience. To those that it remembers, callers may attach what they made
/// of the claims.
pub struct Verifier<T = ()> {
    issuer: String,
    audience: String,
    leeway: f64,
    keys: HashMap<String, Arc<Key>>,
    cache: Cache<T>,
}

impl<T> Verifier<T> {
    /// `leeway` in seconds; `cache` is how many checked tokens are remembered.
    pub fn new(issuer: &str, audience: &str, leeway: f64, cache: usize) -> Self {
        Self {
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            leeway,
            keys: HashMap::new(),
            cache: Cache::new(cache),
        }
    }

    /// (kid, public key) of every key that is accepted from now on; tokens of others are forgotten.
    pub fn set_keys<'a>(&mut self, keys: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<(), TokenError> {
        let mut accepted = HashMap::new();
        for (kid, public) in keys {
            let public = public.try_into().map_err(|_| TokenError::KeyLength)?;
            let kept = self.keys.get(kid).filter(|key| key.public == public).cloned();
            let key = kept.unwrap_or_else(|| Arc::new(Key { kid: kid.to_owned(), public }));
            accepted.insert(kid.to_owned(), key);
        }
        self.keys = accepted;
        let keys = &self.keys;
        self.cache.retain(|checked| is_accepted(keys, &checked.key));
        Ok(())
    }

    /// What the token says, when it may be used at `now` (seconds since the Unix epoch).
    pub fn verify(&mut self, token: &str, now: f64) -> Result<Arc<Claims>, TokenError> {
        if token.len() > MAX_TOKEN {
            return Err(TokenError::TooLong);
        }
        let fingerprint = fingerprint(token);
        let known = self.cache.get(&fingerprint).filter(|checked| is_accepted(&self.keys, &checked.key));
        let claims = match known {
            Some(checked) => checked.claims,
            None => {
                let checked = self.check(token)?;
                let claims = checked.claims.clone();
                self.cache.insert(fingerprint, checked);
                claims
            }
        };
        claims.check_time(now, self.leeway)?;
        Ok(claims)
    }

    /// Claims and what was attached, of a token that `verify` would accept and to which something was.
    pub fn recall(&mut self, token: &str, now: f64) -> Option<(Arc<Claims>, Arc<T>)> {
        let checked = self.cache.get(&fingerprint(token)).filter(|checked| is_accepted(&self.keys, &checked.key))?;
        checked.claims.check_time(now, self.leeway).ok()?;
        Some((checked.claims, checked.attached?))
    }

    /// Keeps something with a token, for as long as that is remembered. One that is not is left alone.
    pub fn attach(&mut self, token: &str, what: T) {
        let fingerprint = fingerprint(token);
        if let Some(mut checked) = self.cache.get(&fingerprint) {
            checked.attached = Some(Arc::new(what));
            self.cache.insert(fingerprint, checked);
        }
    }

    /// Forgets all that was attached.
    pub fn detach(&mut self) {
        for checked in self.cache.young.values_mut().chain(self.cache.old.values_mut()) {
            checked.attached = None;
        }
    }

    /// Everything that does not change with time.
    fn check(&self, token: &str) -> Result<Checked<T>, TokenError> {
        let compact = Compact::read(token)?;
        let key = self.keys.get(&compact.kid).ok_or(TokenError::UnknownKey)?;
        key.verify(compact.signed, &compact.signature)?;
        let claims = Claims::read(&compact.claims)?;
        if claims.iss != self.issuer {
            return Err(TokenError::Issuer);
        }
        if claims.aud != self.audience {
            return Err(TokenError::Audience);
        }
        Ok(Checked { claims: Arc::new(claims), key: key.clone(), attached: None })
    }
}

fn is_accepted(keys: &HashMap<String, Arc<Key>>, key: &Arc<Key>) -> bool {
    keys.get(&key.kid).is_some_and(|accepted| Arc::ptr_eq(accepted, key))
}

fn fingerprint(token: &str) -> Fingerprint {
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    fingerprint
}

/// Two generations: what was not asked for while the younger one filled is forgotten with the older one.
struct Cache<T> {
    half: usize,
    young: HashMap<Fingerprint, Checked<T>>,
    old: HashMap<Fingerprint, Checked<T>>,
}

impl<T> Cache<T> {
    fn new(capacity: usize) -> Self {
        Self { half: capacity / 2, young: HashMap::new(), old: HashMap::new() }
    }

    fn get(&mut self, fingerprint: &Fingerprint) -> Option<Checked<T>> {
        if let Some(checked) = self.young.get(fingerprint) {
            return Some(checked.clone());
        }
        let checked = self.old.remove(fingerprint)?;
        self.insert(*fingerprint, checked.clone());
        Some(checked)
    }

    fn insert(&mut self, fingerprint: Fingerprint, checked: Checked<T>) {
        if self.half == 0 {
            return;
        }
        if self.young.len() >= self.half {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(fingerprint, checked);
    }

    fn retain(&mut self, keep: impl Fn(&Checked<T>) -> bool) {
        self.young.retain(|_, checked| keep(checked));
        self.old.retain(|_, checked| keep(checked));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwt::{Signer, compact::encode};
    use serde_json::{Value, json};

    const NOW: f64 = 1_764_021_600.0;
    const HEADER: &str = r#"{"alg":"EdDSA","typ":"at+jwt","kid":"k1"}"#;

    fn signer() -> Signer {
        Signer::new("k1", &[7; 32]).unwrap()
    }

    fn claims() -> Value {
        json!({
            "iss": "https://chiron.test", "sub": "p", "aud": "chiron", "exp": NOW as u64 + 600, "iat": NOW as u64,
            "jti": "j", "sid": "s", "client_id": "web", "version": 1,
        })
    }

    fn changed(name: &str, value: Value) -> Value {
        let mut claims = claims();
        claims[name] = value;
        claims
    }

    fn verifier() -> Verifier {
        let mut verifier: Verifier = Verifier::new("https://chiron.test", "chiron", 0.0, 16);
        verifier.set_keys([("k1", signer().public_key())]).unwrap();
        verifier
    }

    /// A token with a good signature, whatever its parts say.
    fn sealed(header: &str, claims: &str) -> String {
        signer().seal(format!("{}.{}", encode(header.as_bytes()), encode(claims.as_bytes())))
    }

    fn refused(token: &str) -> TokenError {
        verifier().verify(token, NOW).unwrap_err()
    }

    #[test]
    fn what_was_signed_is_what_is_read() {
        let token = signer().sign(claims().to_string().as_bytes()).unwrap();
        let mut verifier = verifier();
        for _ in 0..2 {
            let read = verifier.verify(&token, NOW).unwrap();
            assert_eq!((read.sub.as_str(), read.sid.as_str(), read.exp), ("p", "s", NOW as u64 + 600));
            assert_eq!((read.jti.as_str(), read.client_id.as_str(), read.nbf), ("j", "web", None));
        }
    }

    #[test]
    fn test_rfc8037_a_4_ed25519_signature() {
        let seed = b"\x9d\x61\xb1\x9d\xef\xfd\x5a\x60\xba\x84\x4a\xf4\x92\xec\x2c\xc4\x44\x49\xc5\x69\x7b\x32\x69\x19\x70\x3b\xac\x03\x1c\xae\x7f\x60";
        let input = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        let signer = Signer::new("a", seed).unwrap();
        assert_eq!(encode(signer.public_key()), "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(signer.seal(input.to_owned()), format!("{input}.{signature}"));
        // Good as it is, it is no access token: its header names neither key nor type.
        let mut verifier = verifier();
        verifier.set_keys([("a", signer.public_key())]).unwrap();
        assert_eq!(verifier.verify(&format!("{input}.{signature}"), NOW), Err(TokenError::Header));
    }

    #[test]
    fn no_byte_can_be_changed_dropped_or_added() {
        let token = signer().sign(claims().to_string().as_bytes()).unwrap();
        let mut verifier = verifier();
        verifier.verify(&token, NOW).unwrap();
        for at in 0..token.len() {
            let (before, after) = (&token[..at], &token[at + 1..]);
            for other in ["A", "B", "_", "z", "0", "=", ".", "+", "\n", " ", "", "é"] {
                if other != &token[at..=at] {
                    let forged = format!("{before}{other}{after}");
                    assert!(verifier.verify(&forged, NOW).is_err(), "byte {at} became {other:?}");
                }
                if !other.is_empty() {
                    assert!(
                        verifier.verify(&format!("{before}{other}{}", &token[at..]), NOW).is_err(),
                        "{other:?} at {at}"
                    );
                }
            }
            let flipped = char::from(token.as_bytes()[at] ^ 1);
            assert!(verifier.verify(&format!("{before}{flipped}{after}"), NOW).is_err(), "bit of byte {at}");
        }
        for more in ["A", "=", ".", "\n", "\0"] {
            assert!(verifier.verify(&format!("{token}{more}"), NOW).is_err());
        }
    }

    #[test]
    fn test_rfc4648_3_5_bits_left_over_are_refused() {
        let token = signer().sign(claims().to_string().as_bytes()).unwrap();
        const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let (rest, last) = token.split_at(token.len() - 1); // 64 bytes: four bits of the last character are left over
        for other in ALPHABET.chars().filter(|other| !last.starts_with(*other)) {
            assert!(matches!(refused(&format!("{rest}{other}")), TokenError::Encoding | TokenError::Signature));
        }
        assert_eq!(refused(&format!("{token}==")), TokenError::Encoding);
    }

    #[test]
    fn test_rfc8725_3_1_the_algorithm_is_not_the_tokens_to_choose() {
        let body = claims().to_string();
        for algorithm in ["none", "None", "HS256", "RS256", "ES256", "Ed25519", "eddsa", "EdDSA "] {
            let header = json!({"alg": algorithm, "typ": "at+jwt", "kid": "k1"}).to_string();
            assert_eq!(refused(&sealed(&header, &body)), TokenError::Algorithm, "{algorithm}");
        }
        let unsigned = format!("{}.{}.", encode(HEADER.as_bytes()), encode(body.as_bytes()));
        assert_eq!(refused(&unsigned), TokenError::Signature);
        // A MAC under the public key as if it were a secret (RFC 8725 §2.1).
        let header = r#"{"alg":"HS256","typ":"at+jwt","kid":"k1"}"#;
        let input = format!("{}.{}", encode(header.as_bytes()), encode(body.as_bytes()));
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, signer().public_key());
        let tag = aws_lc_rs::hmac::sign(&key, input.as_bytes());
        assert_eq!(refused(&format!("{input}.{}", encode(tag.as_ref()))), TokenError::Algorithm);
    }

    #[test]
    fn headers_say_exactly_three_things() {
        let body = claims().to_string();
        let more = [
            r#""crit":["exp"]"#,
            r#""jwk":{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
            r#""jku":"https://evil.test/jwks.json""#,
            r#""x5c":[]"#,
            r#""x5u":"https://evil.test/""#,
            r#""b64":false"#,
            r#""zip":"DEF""#,
            r#""cty":"JWT""#,
            r#""alg":"EdDSA""#,
            r#""kid":"k1""#,
            r#""\u006bid":"k1""#,
            r#""note":1"#,
        ];
        for member in more {
            let header = format!(r#"{{"alg":"EdDSA","typ":"at+jwt","kid":"k1",{member}}}"#);
            assert_eq!(refused(&sealed(&header, &body)), TokenError::Header, "{member}");
        }
        for header in
            ["", "{}", "[]", "1", r#"{"alg":"EdDSA","typ":"at+jwt"}"#, r#"{"alg":"EdDSA","typ":"at+jwt","kid":1}"#]
        {
            assert_eq!(refused(&sealed(header, &body)), TokenError::Header, "{header}");
        }
        let other = sealed(&HEADER.replace("k1", "k2"), &body);
        assert_eq!(refused(&other), TokenError::UnknownKey);
    }

    #[test]
    fn test_rfc9068_4_type() {
        let body = claims().to_string();
        for kind in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"] {
            assert!(verifier().verify(&sealed(&HEADER.replace("at+jwt", kind), &body), NOW).is_ok(), "{kind}");
        }
        for kind in ["JWT", "jwt", "at+jwt ", "dpop+jwt", "application/application/at+jwt", ""] {
            assert_eq!(refused(&sealed(&HEADER.replace("at+jwt", kind), &body)), TokenError::Type, "{kind}");
        }
    }

    #[test]
    fn claims_are_all_there_once_and_of_their_type() {
        for name in ["iss", "sub", "aud", "exp", "iat", "jti", "sid", "client_id", "version"] {
            let mut without = claims();
            without.as_object_mut().unwrap().remove(name);
            assert_eq!(refused(&sealed(HEADER, &without.to_string())), TokenError::Claim(name));
            for value in [json!(null), json!(["chiron"]), json!(-1), json!(1.5), json!(true), json!("a\u{0}b")] {
                let token = sealed(HEADER, &changed(name, value.clone()).to_string());
                assert_eq!(refused(&token), TokenError::Claim(name), "{value}");
            }
        }
        assert_eq!(refused(&sealed(HEADER, &changed("nbf", json!("0")).to_string())), TokenError::Claim("nbf"));
        assert_eq!(refused(&sealed(HEADER, &changed("version", json!(2)).to_string())), TokenError::Claim("version"));
        let twice = claims().to_string().replacen('{', r#"{"sub":"other","#, 1);
        let escaped = claims().to_string().replacen('{', r#"{"\u0073ub":"other","#, 1);
        for body in ["", "1", "[]", "{", "{}{}", &twice, &escaped] {
            assert_eq!(refused(&sealed(HEADER, body)), TokenError::Claims, "{body}");
        }
        let mut many = claims();
        many.as_object_mut().unwrap().extend((0..30).map(|n| (n.to_string(), json!(n))));
        assert_eq!(refused(&sealed(HEADER, &many.to_string())), TokenError::Claims);
    }

    #[test]
    fn issuer_and_audience_are_exact() {
        for other in ["https://chiron.test/", "HTTPS://chiron.test", ""] {
            assert_eq!(refused(&sealed(HEADER, &changed("iss", json!(other)).to_string())), TokenError::Issuer);
        }
        for other in ["chiron2", "Chiron", ""] {
            assert_eq!(refused(&sealed(HEADER, &changed("aud", json!(other)).to_string())), TokenError::Audience);
        }
    }

    #[test]
    fn test_rfc7519_4_1_4_expiry_itself_is_too_late() {
        let token = signer().sign(claims().to_string().as_bytes()).unwrap();
        let mut exact = verifier();
        assert!(exact.verify(&token, NOW + 599.999).is_ok());
        assert_eq!(exact.verify(&token, NOW + 600.0), Err(TokenError::Expired), "also when it is remembered");
        assert_eq!(exact.verify(&token, NOW - 1.0), Err(TokenError::NotYetValid));
        let mut lenient: Verifier = Verifier::new("https://chiron.test", "chiron", 5.0, 16);
        lenient.set_keys([("k1", signer().public_key())]).unwrap();
        assert!(lenient.verify(&token, NOW + 604.9).is_ok() && lenient.verify(&token, NOW - 5.0).is_ok());
        assert_eq!(lenient.verify(&token, NOW + 605.0), Err(TokenError::Expired));
        assert_eq!(lenient.verify(&token, NOW - 5.1), Err(TokenError::NotYetValid));
    }

    #[test]
    fn test_rfc7519_4_1_5_not_before() {
        let token = sealed(HEADER, &changed("nbf", json!(NOW as u64 + 60)).to_string());
        let mut verifier = verifier();
        assert_eq!(verifier.verify(&token, NOW + 59.0), Err(TokenError::NotYetValid));
        assert!(verifier.verify(&token, NOW + 60.0).is_ok());
    }

    #[test]
    fn long_tokens_are_not_looked_at() {
        let body = changed("note", json!("x".repeat(MAX_TOKEN))).to_string();
        assert_eq!(refused(&signer().sign(body.as_bytes()).unwrap()), TokenError::TooLong);
        for token in ["", ".", "..", "...", "a.b", "a.b.c", "é.é.é"] {
            assert!(matches!(refused(token), TokenError::Encoding | TokenError::Header), "{token}");
        }
    }

    #[test]
    fn tokens_of_a_removed_key_are_refused_although_remembered() {
        let token = signer().sign(claims().to_string().as_bytes()).unwrap();
        let mut verifier = verifier();
        verifier.verify(&token, NOW).unwrap();
        let other = Signer::new("k2", &[8; 32]).unwrap();
        verifier.set_keys([("k1", signer().public_key()), ("k2", other.public_key())]).unwrap();
        assert!(verifier.verify(&token, NOW).is_ok(), "rotation keeps the older key");
        assert_eq!(verifier.cache.young.len(), 1, "and what was checked with it");
        verifier.set_keys([("k2", other.public_key())]).unwrap();
        assert!(verifier.cache.young.is_empty());
        assert_eq!(verifier.verify(&token, NOW), Err(TokenError::UnknownKey));
    }

    #[test]
    fn a_key_id_given_to_another_key_does_not_keep_its_tokens() {
        let token = signer().sign(claims().to_string().as_bytes()).unwrap();
        let mut verifier = verifier();
        verifier.verify(&token, NOW).unwrap();
        verifier.set_keys([("k1", Signer::new("k1", &[8; 32]).unwrap().public_key())]).unwrap();
        assert_eq!(verifier.verify(&token, NOW), Err(TokenError::Signature));
    }

    #[test]
    fn keys_of_another_length_change_nothing() {
        let token = signer().sign(claims().to_string().as_bytes()).unwrap();
        let mut verifier = verifier();
        assert_eq!(verifier.set_keys([("k2", &[0_u8; 31][..])]), Err(TokenError::KeyLength));
        assert!(verifier.verify(&token, NOW).is_ok());
    }

    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_used() {
        let token = |n: usize| signer().sign(changed("jti", json!(n.to_string())).to_string().as_bytes()).unwrap();
        let mut verifier = verifier();
        let used = token(0);
        for n in 1..100 {
            verifier.verify(&used, NOW).unwrap();
            verifier.verify(&token(n), NOW).unwrap();
            assert!(verifier.cache.young.len() + verifier.cache.old.len() <= 16);
        }
        assert!(verifier.cache.get(&fingerprint(&used)).is_some());
        let mut forgetful: Verifier = Verifier::new("https://chiron.test", "chiron", 0.0, 0);
        forgetful.set_keys([("k1", signer().public_key())]).unwrap();
        assert!(forgetful.verify(&used, NOW).is_ok() && forgetful.cache.young.is_empty());
    }

    #[test]
    fn signers_refuse_what_verifiers_would() {
        assert!(matches!(Signer::new("k", &[0; 31]), Err(TokenError::KeyLength)));
        for kid in ["", "a b", "é", &"k".repeat(65)] {
            assert!(matches!(Signer::new(kid, &[0; 32]), Err(TokenError::KeyId)), "{kid}");
        }
        for body in [&b"[]"[..], b"{", b"{\"a\":1,\"a\":2}", b"\xff"] {
            assert_eq!(signer().sign(body), Err(TokenError::Claims));
        }
    }
}
