//! Address validation tokens (RFC 9000 §8.1): a client that was here shows one and is believed its address at once.
use quinn_proto::{TokenLog, TokenReuseError};
use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

/// How long a token of a NEW_TOKEN frame is good for.
pub(super) const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Tokens of one age group that are remembered.
const CAPACITY: usize = 50_000;

/// Accepts each token once: remembers those that were used, until they are too old to be accepted anyway.
///
/// Another worker, or this one after a restart, accepts it once more (RFC 9000 §8.1.4: "limited"). When more were used
/// than it remembers, it accepts none: those clients are validated like any other.
#[derive(Default)]
pub(super) struct UsedTokens(Mutex<Groups>);

/// Nonces of used tokens, by the half lifetime in which they were issued.
#[derive(Default)]
struct Groups {
    period: u64,
    current: HashSet<u128>,
    previous: HashSet<u128>,
    older: HashSet<u128>,
}

impl Groups {
    /// The group of a token of `period`; None for one that is older than all.
    fn group(&mut self, period: u64) -> Option<&mut HashSet<u128>> {
        while self.period < period {
            // After a long silence all are empty: no need to count every period.
            self.period = if self.period + 3 < period { period - 3 } else { self.period + 1 };
            self.older = std::mem::take(&mut self.previous);
            self.previous = std::mem::take(&mut self.current);
        }
        match self.period - period {
            0 => Some(&mut self.current),
            1 => Some(&mut self.previous),
            2 => Some(&mut self.older),
            _ => None,
        }
    }
}

impl TokenLog for UsedTokens {
    fn check_and_insert(&self, nonce: u128, issued: SystemTime, lifetime: Duration) -> Result<(), TokenReuseError> {
        let since = issued.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| TokenReuseError)?;
        let period = since.as_secs() / (lifetime.as_secs() / 2).max(1);
        let mut groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let group = groups.group(period).ok_or(TokenReuseError)?;
        if group.len() < CAPACITY && group.insert(nonce) { Ok(()) } else { Err(TokenReuseError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: u64 = LIFETIME.as_secs() / 2;

    fn used(log: &UsedTokens, nonce: u128, seconds: u64) -> bool {
        log.check_and_insert(nonce, SystemTime::UNIX_EPOCH + Duration::from_secs(seconds), LIFETIME).is_err()
    }

    #[test]
    fn test_rfc9000_8_1_4_a_token_is_accepted_once() {
        let log = UsedTokens::default();
        let start = 40_000 * HALF;
        assert!(!used(&log, 1, start));
        assert!(used(&log, 1, start));
        assert!(!used(&log, 2, start));
        assert!(!used(&log, 3, start + HALF));
        assert!(used(&log, 1, start) && used(&log, 3, start + HALF));
        assert!(!used(&log, 4, start + 2 * HALF));
        assert!(used(&log, 1, start));
        assert!(!used(&log, 5, start + 3 * HALF));
        assert!(used(&log, 6, start), "too old to be remembered");
    }

    #[test]
    fn beyond_what_is_remembered_none_is_accepted() {
        let log = UsedTokens::default();
        assert!((0..CAPACITY as u128).all(|nonce| !used(&log, nonce, HALF)));
        assert!(used(&log, u128::MAX, HALF));
    }
}
