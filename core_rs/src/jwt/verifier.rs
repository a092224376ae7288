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

/// SHA-256 of a whole token: two tokens never share one, and the cache holds nothing that could be replayed.
type Fingerprint = [u8; 32];

#[derive(Clone)]
struct Checked {
    claims: Arc<Claims>,
    key: Arc<Key>,
}

/// Checks access tokens of one issuer for one audience.
pub struct Verifier {
    issuer: String,
    audience: String,
    leeway: f64,
    keys: HashMap<String, Arc<Key>>,
    cache: Cache,
}

impl Verifier {
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

    /// Everything that does not change with time.
    fn check(&self, token: &str) -> Result<Checked, TokenError> {
        let compact = Compact::read(token)?;
        let key = self.keys.get(&compact.kid).ok_or(TokenError::UnknownKey)?;
        UnparsedPublicKey::new(&ED25519, &key.public)
            .verify(compact.signed, &compact.signature)
            .map_err(|_| TokenError::Signature)?;
        let claims = Claims::read(&compact.claims)?;
        if claims.iss != self.issuer {
            return Err(TokenError::Issuer);
        }
        if claims.aud != self.audience {
            return Err(TokenError::Audience);
        }
        Ok(Checked { claims: Arc::new(claims), key: key.clone() })
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
struct Cache {
    half: usize,
    young: HashMap<Fingerprint, Checked>,
    old: HashMap<Fingerprint, Checked>,
}

impl Cache {
    fn new(capacity: usize) -> Self {
        Self { half: capacity / 2, young: HashMap::new(), old: HashMap::new() }
    }

    fn get(&mut self, fingerprint: &Fingerprint) -> Option<Checked> {
        if let Some(checked) = self.young.get(fingerprint) {
            return Some(checked.clone());
        }
        let checked = self.old.remove(fingerprint)?;
        self.insert(*fingerprint, checked.clone());
        Some(checked)
    }

    fn insert(&mut self, fingerprint: Fingerprint, checked: Checked) {
        if self.half == 0 {
            return;
        }
        if self.young.len() >= self.half {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(fingerprint, checked);
    }

    fn retain(&mut self, keep: impl Fn(&Checked) -> bool) {
        self.young.retain(|_, checked| keep(checked));
        self.old.retain(|_, checked| keep(checked));
    }
}
