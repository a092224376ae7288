//! What one link has seen of one channel: whether its offsets came without gap, in order, once.
use std::collections::BTreeSet;

/// Offsets of a channel as one link sees them. A record of its own is not delivered: the ack stands for it, and may come
/// before or after deliveries around it.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// Every offset below was delivered, acknowledged, or is in `missing`.
    next: u64,
    /// Acknowledged offsets from `next` on.
    own: BTreeSet<u64>,
    missing: BTreeSet<u64>,
    pub(crate) repeated: u64,
    /// Deliveries behind one with a higher offset.
    pub(crate) disordered: u64,
}

impl Ledger {
    /// Of a channel whose newest offset was `head` when deliveries began.
    pub(crate) fn new(head: u64) -> Self {
        Self { next: head + 1, own: BTreeSet::new(), missing: BTreeSet::new(), repeated: 0, disordered: 0 }
    }

    /// Whether it had not come before.
    pub(crate) fn delivered(&mut self, offset: u64) -> bool {
        if offset < self.next {
            let late = self.missing.remove(&offset);
            if late {
                self.disordered += 1;
            } else {
                self.repeated += 1;
            }
            return late;
        }
        let repeated = self.own.remove(&offset);
        if repeated {
            self.repeated += 1;
        }
        for passed in self.next..offset {
            if !self.own.remove(&passed) {
                self.missing.insert(passed);
            }
        }
        self.next = offset + 1;
        !repeated
    }

    /// A publish of this link was acknowledged.
    pub(crate) fn acknowledged(&mut self, offset: u64) {
        let fresh = if offset < self.next { self.missing.remove(&offset) } else { self.own.insert(offset) };
        if !fresh {
            self.repeated += 1;
        }
    }

    /// How many offsets up to `head` have not come.
    pub(crate) fn lost(&self, head: u64) -> u64 {
        let behind = (head + 1).saturating_sub(self.next);
        self.missing.len() as u64 + behind - self.own.range(..=head).count() as u64
    }

    /// Forgets what went wrong so far, up to `head`.
    pub(crate) fn forgive(&mut self, head: u64) {
        *self = Self::new(head.max(self.next - 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_in_order_is_fine_whenever_the_own_acks_come() {
        let mut ledger = Ledger::new(10);
        ledger.acknowledged(12);
        ledger.delivered(11);
        ledger.delivered(13);
        ledger.delivered(15);
        ledger.acknowledged(14);
        ledger.acknowledged(16);
        assert_eq!((ledger.lost(16), ledger.repeated, ledger.disordered), (0, 0, 0));
    }

    #[test]
    fn a_gap_and_a_missing_end_are_lost() {
        let mut ledger = Ledger::new(0);
        ledger.delivered(1);
        ledger.delivered(4);
        assert_eq!(ledger.lost(6), 4);
        ledger.forgive(6);
        assert_eq!(ledger.lost(6), 0);
    }

    #[test]
    fn a_late_one_is_disorder_and_a_second_one_a_repeat() {
        let mut ledger = Ledger::new(0);
        ledger.delivered(2);
        ledger.delivered(1);
        ledger.delivered(2);
        ledger.acknowledged(1);
        assert_eq!((ledger.lost(2), ledger.disordered, ledger.repeated), (0, 1, 2));
    }
}
