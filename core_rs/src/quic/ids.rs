//! Connection ids that say whose they are (RFC 9000 §5.1).
//!
//! ```text
//! id = worker (1) ‖ nonce (5) ‖ check (2)        check = HMAC-SHA256(key, worker ‖ nonce), its first bytes
//! ```
//! The worker's number is in the clear, so that a socket filter can route datagrams by it. The check lets a process
//! recognise ids of its own number without a table, also those that it gave before a restart: packets for other ids are
//! not answered with a stateless reset.
use aws_lc_rs::hmac;
use quinn_proto::{ConnectionId, ConnectionIdGenerator, InvalidCid};
use std::time::Duration;

const NONCE_LEN: usize = 5;
const CHECK_LEN: usize = 2;
pub(super) const LEN: usize = 1 + NONCE_LEN + CHECK_LEN;

pub(super) struct Ids {
    worker: u8,
    /// Shared by all workers and restarts.
    key: hmac::Key,
    /// Of this process alone: makes nonces that nobody foresees.
    seed: hmac::Key,
    made: u64,
}

impl Ids {
    pub(super) fn new(worker: u8, key: hmac::Key, seed: &[u8]) -> Self {
        Self { worker, key, seed: hmac::Key::new(hmac::HMAC_SHA256, seed), made: 0 }
    }

    fn check(&self, body: &[u8]) -> [u8; CHECK_LEN] {
        let mut check = [0; CHECK_LEN];
        check.copy_from_slice(&hmac::sign(&self.key, body).as_ref()[..CHECK_LEN]);
        check
    }
}

impl ConnectionIdGenerator for Ids {
    fn generate_cid(&mut self) -> ConnectionId {
        self.made += 1;
        let nonce = hmac::sign(&self.seed, &self.made.to_be_bytes());
        let mut id = [self.worker; LEN];
        id[1..=NONCE_LEN].copy_from_slice(&nonce.as_ref()[..NONCE_LEN]);
        let check = self.check(&id[..=NONCE_LEN]);
        id[1 + NONCE_LEN..].copy_from_slice(&check);
        ConnectionId::new(&id)
    }

    fn validate(&self, id: &ConnectionId) -> Result<(), InvalidCid> {
        match id.split_first_chunk::<{ 1 + NONCE_LEN }>() {
            Some((body, check)) if body[0] == self.worker && *check == self.check(body) => Ok(()),
            _ => Err(InvalidCid),
        }
    }

    fn cid_len(&self) -> usize {
        LEN
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn ids(worker: u8, key: u8, seed: u8) -> Ids {
        Ids::new(worker, hmac::Key::new(hmac::HMAC_SHA256, &[key; 32]), &[seed; 32])
    }

    #[test]
    fn ids_name_their_worker_and_differ() {
        let mut generator = ids(7, 1, 2);
        let made: HashSet<ConnectionId> = (0..1000).map(|_| generator.generate_cid()).collect();
        assert_eq!(made.len(), 1000);
        assert!(made.iter().all(|id| id.len() == LEN && id[0] == 7));
    }

    #[test]
    fn an_id_is_recognised_by_its_worker_also_after_a_restart_and_by_nobody_else() {
        let id = ids(7, 1, 2).generate_cid();
        assert!(ids(7, 1, 3).validate(&id).is_ok());
        assert!(ids(8, 1, 2).validate(&id).is_err());
        assert!(ids(7, 9, 2).validate(&id).is_err());
        for place in 0..LEN {
            let mut bytes = [0; LEN];
            bytes.copy_from_slice(&id);
            bytes[place] ^= 1;
            assert!(ids(7, 1, 2).validate(&ConnectionId::new(&bytes)).is_err());
        }
        assert!(ids(7, 1, 2).validate(&ConnectionId::new(&[7; 3])).is_err());
    }
}
