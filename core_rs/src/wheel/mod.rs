//! Timers: a hashed timing wheel (Varghese and Lauck, 1987, scheme 6). Setting, moving and cancelling take constant time.
//!
//! Time is cut into ticks, and a timer waits in the slot of its deadline's tick, modulo the number of slots; whatever is
//! further away than one revolution is passed by until its turn. A tick is looked at when it is over, so that no timer
//! fires early and each is touched once per revolution. Only floor, subtraction and division stand between a time and its
//! tick, and rounding keeps each of them monotone: comparing ticks never contradicts comparing times.
use slab::Slab;
use std::collections::HashMap;

const SLOTS: usize = 2048;
/// The last tick that is told from later ones; with ticks of 50 ms it comes in seven million years.
const HORIZON: u64 = 1 << 52;
const NONE: u32 = u32::MAX;

/// A timer: links to its neighbours in its slot, and to the next timer of the same key.
#[derive(Debug)]
struct Timer {
    key: u64,
    kind: u32,
    deadline: f64,
    tick: u64,
    before: u32,
    after: u32,
    sibling: u32,
}

/// One timer per (key, kind). Times are seconds of the caller's clock.
#[derive(Debug)]
pub struct Wheel {
    origin: f64,
    tick: f64,
    /// The tick that is not over yet; all before it were looked at.
    current: u64,
    slots: Vec<u32>,
    timers: Slab<Timer>,
    /// First timer of each key. A key has few kinds, so a list does.
    keys: HashMap<u64, u32>,
    /// Tick of the earliest timer, while it is known.
    earliest: Option<u64>,
}

impl Wheel {
    /// `now` and `tick` in seconds; `tick` is above 0. No time before `now` is ever given.
    pub fn new(now: f64, tick: f64) -> Self {
        Self {
            origin: now,
            tick,
            current: 0,
            slots: vec![NONE; SLOTS],
            timers: Slab::new(),
            keys: HashMap::new(),
            earliest: None,
        }
    }

    /// Sets or moves the timer of (`key`, `kind`). A deadline that has passed fires with the tick that is not over yet.
    pub fn set(&mut self, key: u64, kind: u32, deadline: f64) {
        let tick = self.tick_of(deadline).min(HORIZON).max(self.current);
        let index = match self.find(key, kind) {
            Some(index) => {
                self.unlink(index);
                index
            }
            None => {
                let sibling = self.keys.get(&key).copied().unwrap_or(NONE);
                let timer = Timer { key, kind, deadline, tick, before: NONE, after: NONE, sibling };
                let index = self.timers.insert(timer) as u32;
                self.keys.insert(key, index);
                index
            }
        };
        let slot = Self::slot_of(tick);
        let head = std::mem::replace(&mut self.slots[slot], index);
        if head != NONE {
            self.timers[head as usize].before = index;
        }
        let timer = &mut self.timers[index as usize];
        (timer.deadline, timer.tick, timer.before, timer.after) = (deadline, tick, NONE, head);
        if self.timers.len() == 1 || self.earliest.is_some_and(|earliest| tick < earliest) {
            self.earliest = Some(tick);
        }
    }

    /// Whether there was one.
    pub fn cancel(&mut self, key: u64, kind: u32) -> bool {
        let Some(index) = self.find(key, kind) else { return false };
        self.unlink(index);
        self.forget(index);
        true
    }

    /// (key, kind) of every timer whose deadline has passed, in order of deadline: never early, at most one tick late.
    pub fn expire(&mut self, now: f64) -> Vec<(u64, u32)> {
        let target = self.tick_of(now).min(HORIZON + 1);
        let mut due = Vec::new();
        for tick in self.current..target.min(self.current + SLOTS as u64) {
            let mut index = self.slots[Self::slot_of(tick)];
            while index != NONE {
                let timer = &self.timers[index as usize];
                let after = timer.after;
                if timer.tick < target {
                    due.push((timer.deadline, timer.key, timer.kind));
                    self.unlink(index);
                    self.forget(index);
                }
                index = after;
            }
        }
        self.current = self.current.max(target);
        due.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then_with(|| (a.1, a.2).cmp(&(b.1, b.2))));
        due.into_iter().map(|(_, key, kind)| (key, kind)).collect()
    }

    /// When to call `expire` next: not before the earliest deadline, at most one tick after it. None without timers.
    pub fn next_expiry(&mut self) -> Option<f64> {
        if self.timers.is_empty() {
            return None;
        }
        let earliest = match self.earliest {
            Some(earliest) => earliest,
            None => self.find_earliest(),
        };
        self.earliest = Some(earliest);
        let mut time = self.origin + (earliest + 1) as f64 * self.tick;
        while self.tick_of(time) <= earliest {
            time += (time.abs() * f64::EPSILON).max(f64::MIN_POSITIVE); // was rounded down, into the tick itself
        }
        Some(time)
    }

    pub fn len(&self) -> usize {
        self.timers.len()
    }

    pub fn is_empty(&self) -> bool {
        self.timers.is_empty()
    }

    fn tick_of(&self, time: f64) -> u64 {
        ((time - self.origin) / self.tick).floor() as u64
    }

    fn slot_of(tick: u64) -> usize {
        (tick % SLOTS as u64) as usize
    }

    fn find(&self, key: u64, kind: u32) -> Option<u32> {
        let mut index = self.keys.get(&key).copied().unwrap_or(NONE);
        while index != NONE {
            let timer = &self.timers[index as usize];
            if timer.kind == kind {
                return Some(index);
            }
            index = timer.sibling;
        }
        None
    }

    /// The nearest slot with a timer of this revolution has it; without one, all timers are far away.
    fn find_earliest(&self) -> u64 {
        let mut nearest = u64::MAX;
        for tick in self.current..self.current + SLOTS as u64 {
            let mut index = self.slots[Self::slot_of(tick)];
            while index != NONE {
                let timer = &self.timers[index as usize];
                nearest = nearest.min(timer.tick);
                index = timer.after;
            }
            if nearest == tick {
                break;
            }
        }
        nearest
    }

    /// Takes a timer out of its slot.
    fn unlink(&mut self, index: u32) {
        let &Timer { tick, before, after, .. } = &self.timers[index as usize];
        if before == NONE {
            self.slots[Self::slot_of(tick)] = after;
        } else {
            self.timers[before as usize].after = after;
        }
        if after != NONE {
            self.timers[after as usize].before = before;
        }
        if self.earliest == Some(tick) {
            self.earliest = None;
        }
    }

    /// Drops an unlinked timer and takes it off the list of its key.
    fn forget(&mut self, index: u32) {
        let Timer { key, sibling, .. } = self.timers.remove(index as usize);
        let first = self.keys.get(&key).copied().unwrap_or(NONE);
        if first != index {
            let mut brother = first;
            while self.timers[brother as usize].sibling != index {
                brother = self.timers[brother as usize].sibling;
            }
            self.timers[brother as usize].sibling = sibling;
        } else if sibling == NONE {
            self.keys.remove(&key);
        } else {
            self.keys.insert(key, sibling);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TICK: f64 = 0.05;

    #[test]
    fn one_timer_per_key_and_kind() {
        let mut wheel = Wheel::new(100.0, TICK);
        wheel.set(1, 0, 101.0);
        wheel.set(1, 1, 102.0);
        wheel.set(1, 0, 103.0);
        assert_eq!(wheel.len(), 2);
        assert_eq!(wheel.expire(102.1), [(1, 1)]);
        assert_eq!(wheel.expire(103.1), [(1, 0)]);
        assert!(wheel.is_empty());
        assert_eq!(wheel.next_expiry(), None);
    }

    #[test]
    fn cancelled_timers_do_not_fire() {
        let mut wheel = Wheel::new(0.0, TICK);
        for kind in 0..4 {
            wheel.set(7, kind, 1.0);
            wheel.set(8, kind, 1.0);
        }
        assert!(wheel.cancel(7, 1) && !wheel.cancel(7, 1) && !wheel.cancel(9, 0));
        assert_eq!(wheel.expire(2.0), [(7, 0), (7, 2), (7, 3), (8, 0), (8, 1), (8, 2), (8, 3)]);
    }

    #[test]
    fn deadlines_in_the_past_fire_with_the_tick() {
        let mut wheel = Wheel::new(100.0, TICK);
        wheel.expire(200.0);
        wheel.set(1, 0, 150.0);
        wheel.set(2, 0, f64::MIN);
        let next = wheel.next_expiry().unwrap();
        assert!((200.0..=200.0 + TICK + 1e-9).contains(&next));
        assert_eq!(wheel.expire(next), [(2, 0), (1, 0)]);
    }

    #[test]
    fn far_deadlines_wait_for_their_revolution() {
        let mut wheel = Wheel::new(0.0, TICK);
        let week = 604_800.0;
        wheel.set(1, 0, week);
        for hour in 1..168 {
            assert_eq!(wheel.expire(f64::from(hour) * 3600.0), []);
        }
        assert_eq!(wheel.expire(week - 1e-6), []);
        assert_eq!(wheel.expire(week + TICK), [(1, 0)]);
    }

    #[test]
    fn a_clock_that_stands_or_returns_fires_nothing() {
        let mut wheel = Wheel::new(100.0, TICK);
        wheel.set(1, 0, 101.0);
        assert_eq!(wheel.expire(100.0), []);
        assert_eq!(wheel.expire(100.9), []);
        assert_eq!(wheel.expire(0.0), []);
        assert_eq!(wheel.expire(101.1), [(1, 0)]);
    }

    #[test]
    fn times_without_measure_end() {
        let mut wheel = Wheel::new(-1.0, 1.0);
        wheel.set(1, 0, f64::MAX);
        wheel.set(2, 0, -1.0);
        assert_eq!(wheel.next_expiry(), Some(0.0));
        assert_eq!(wheel.expire(0.0), [(2, 0)]);
        assert!(wheel.next_expiry().is_some_and(|next| next > 1e15));
        assert_eq!(wheel.expire(f64::MAX), [(1, 0)]);
        wheel.set(3, 0, 0.0);
        assert!(wheel.next_expiry().is_some());
    }

    #[derive(Debug, Clone)]
    enum Step {
        Set { key: u64, kind: u32, ahead: f64 },
        Cancel { key: u64, kind: u32 },
        Pass { time: f64 },
        PassToNext,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        // Within a tick, within a revolution (102.4 s), over several.
        let ahead = prop_oneof![-1.0..0.2, 0.0..10.0, 0.0..1_000.0];
        let time = prop_oneof![0.0..0.05, 0.0..5.0, 0.0..500.0];
        let step = prop_oneof![
            4 => (0..12_u64, 0..3_u32, ahead).prop_map(|(key, kind, ahead)| Step::Set { key, kind, ahead }),
            2 => (0..12_u64, 0..3_u32).prop_map(|(key, kind)| Step::Cancel { key, kind }),
            2 => time.prop_map(|time| Step::Pass { time }),
            1 => Just(Step::PassToNext),
        ];
        prop::collection::vec(step, 0..150)
    }

    /// A timer, its deadline, and when it was set.
    type Known = ((u64, u32), f64, f64);

    /// How many timers fired, all of them in time.
    fn expire(wheel: &mut Wheel, model: &mut Vec<Known>, now: f64) -> usize {
        let fired = wheel.expire(now);
        for timer in &fired {
            let at = model.iter().position(|(known, ..)| known == timer).expect("set, and not cancelled");
            let (_, deadline, _) = model.remove(at);
            assert!(deadline <= now, "{timer:?} is early");
        }
        for (timer, deadline, set) in model {
            assert!(now < deadline.max(*set) + TICK + 1e-7, "{timer:?} is late");
        }
        fired.len()
    }

    proptest! {
        /// Against a list.
        #[test]
        fn never_early_and_at_most_a_tick_late(steps in steps(), start in prop_oneof![Just(0.0), 0.0..1e7]) {
            let (mut wheel, mut now) = (Wheel::new(start, TICK), start);
            let mut model: Vec<Known> = Vec::new();
            for step in steps {
                match step {
                    Step::Set { key, kind, ahead } => {
                        wheel.set(key, kind, now + ahead);
                        model.retain(|(known, ..)| *known != (key, kind));
                        model.push(((key, kind), now + ahead, now));
                    }
                    Step::Cancel { key, kind } => {
                        let before = model.len();
                        model.retain(|(known, ..)| *known != (key, kind));
                        prop_assert_eq!(wheel.cancel(key, kind), model.len() < before);
                    }
                    Step::Pass { time } => {
                        now += time;
                        expire(&mut wheel, &mut model, now);
                    }
                    Step::PassToNext => {
                        let earliest = model.iter().map(|(_, deadline, set)| deadline.max(*set)).reduce(f64::min);
                        let next = wheel.next_expiry();
                        prop_assert_eq!(next.is_some(), earliest.is_some());
                        if let Some((next, earliest)) = next.zip(earliest) {
                            prop_assert!(earliest <= next && next <= earliest + TICK + 1e-7, "{earliest} {next}");
                            now = now.max(next);
                            prop_assert!(expire(&mut wheel, &mut model, now) > 0, "woken for nothing");
                        }
                    }
                }
                prop_assert_eq!(wheel.len(), model.len());
            }
        }
    }
}
