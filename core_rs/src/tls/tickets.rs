//! Session tickets (RFC 5077 §4, RFC 8446 §4.6.1) under keys that the caller owns, shares between processes and rotates.
//!
//! ```text
//! ticket = key name (16) ‖ nonce (12) ‖ AES-256-GCM(state) ‖ tag (16)      additional data: the key name
//! ```
//! A ticket's life ends when its key is dropped from the list: rotation, not a clock, limits it (RFC 5077 §5.5).
use super::TlsError;
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    digest,
};
use rustls::server::ProducesTickets;
use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

const NAME_LEN: usize = 16;
/// Seconds; what clients are told (RFC 8446 §4.6.1 allows up to seven days).
pub(crate) const LIFETIME: u32 = 12 * 60 * 60;

struct TicketKey {
    /// Says which key sealed a ticket; derived, so that processes with the same key agree on it.
    name: [u8; NAME_LEN],
    key: RandomizedNonceKey,
}

impl TicketKey {
    fn new(secret: &[u8]) -> Result<Self, TlsError> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, secret).map_err(|_| TlsError::TicketKey(secret.len()))?;
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"chiron ticket key name");
        context.update(secret);
        let mut name = [0; NAME_LEN];
        name.copy_from_slice(&context.finish().as_ref()[..NAME_LEN]);
        Ok(Self { name, key })
    }
}

/// Seals with the first key and opens with every key; without keys there are no tickets.
pub(crate) struct Tickets(RwLock<Arc<[TicketKey]>>);

impl Tickets {
    pub(crate) fn new(secrets: &[Vec<u8>]) -> Result<Self, TlsError> {
        Ok(Self(RwLock::new(read(secrets)?)))
    }

    pub(crate) fn replace(&self, secrets: &[Vec<u8>]) -> Result<(), TlsError> {
        let keys = read(secrets)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    fn keys(&self) -> Arc<[TicketKey]> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn read(secrets: &[Vec<u8>]) -> Result<Arc<[TicketKey]>, TlsError> {
    secrets.iter().map(|secret| TicketKey::new(secret)).collect()
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tickets({} keys)", self.keys().len())
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        !self.keys().is_empty()
    }

    fn lifetime(&self) -> u32 {
        LIFETIME
    }

    fn encrypt(&self, state: &[u8]) -> Option<Vec<u8>> {
        let keys = self.keys();
        let TicketKey { name, key } = keys.first()?;
        let mut sealed = state.to_vec();
        let nonce = key.seal_in_place_append_tag(Aad::from(name), &mut sealed).ok()?;
        Some([name.as_slice(), nonce.as_ref(), &sealed].concat())
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_first_chunk::<NAME_LEN>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let keys = self.keys();
        let found = keys.iter().find(|candidate| candidate.name == *name)?;
        let mut state = sealed.to_vec();
        let length = found.key.open_in_place(Nonce::from(nonce), Aad::from(name), &mut state).ok()?.len();
        state.truncate(length);
        Some(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tickets(fills: &[u8]) -> Tickets {
        Tickets::new(&fills.iter().map(|fill| vec![*fill; 32]).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn two_tickets_of_one_state_differ_and_show_nothing_of_it() {
        let tickets = tickets(&[1]);
        let state = [0x5A; 64];
        let [one, two] = [(); 2].map(|()| tickets.encrypt(&state).unwrap());
        assert_ne!(one[NAME_LEN..], two[NAME_LEN..]);
        assert!(!one.windows(4).any(|window| window == [0x5A; 4]));
    }

    #[test]
    fn keys_do_not_show_when_printed() {
        assert_eq!(format!("{:?}", tickets(&[1, 2])), "Tickets(2 keys)");
    }

    proptest! {
        #[test]
        fn test_rfc5077_4_a_ticket_opens_under_its_key_and_unchanged_only(
            state in prop::collection::vec(any::<u8>(), 0..200),
            place in 0.0..1.0f64,
            flip in 1u8..,
        ) {
            let mut ticket = tickets(&[1]).encrypt(&state).unwrap();
            prop_assert_eq!(tickets(&[1]).decrypt(&ticket), Some(state.clone()));
            prop_assert_eq!(tickets(&[2, 1]).decrypt(&ticket), Some(state.clone()));
            prop_assert_eq!(tickets(&[2]).decrypt(&ticket), None);
            prop_assert_eq!(tickets(&[]).decrypt(&ticket), None);
            let place = (place * ticket.len() as f64) as usize;
            prop_assert_eq!(tickets(&[1]).decrypt(&ticket[..place]), None);
            ticket[place] ^= flip;
            prop_assert_eq!(tickets(&[1]).decrypt(&ticket), None);
        }

        #[test]
        fn noise_opens_under_no_key(noise in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(tickets(&[1, 2]).decrypt(&noise), None);
        }
    }
}
