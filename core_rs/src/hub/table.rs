//! Ids that are never used twice: a slot's index in the low 24 bits, the slot's generation above it.
//!
//! An id fits into 53 bits and is never 0. A slot whose generations are used up is retired, not reused.

const INDEX_BITS: u32 = 24;
const INDEX_MASK: u64 = (1 << INDEX_BITS) - 1;
const LAST_GENERATION: u32 = (1 << (53 - INDEX_BITS)) - 1;

struct Slot<T> {
    /// Of the value that is here, or of the next one to come.
    generation: u32,
    value: Option<Box<T>>,
}

/// Values by id. Boxed: an empty slot costs 16 bytes, and growing moves no value.
pub(super) struct Table<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    len: usize,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), len: 0 }
    }
}

impl<T> Table<T> {
    /// `None` when all indices are in use or retired (16.7 million).
    pub(super) fn insert(&mut self, value: T) -> Option<u64> {
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                let index = u32::try_from(self.slots.len()).ok().filter(|&index| u64::from(index) <= INDEX_MASK)?;
                self.slots.push(Slot { generation: 1, value: None });
                index
            }
        };
        let slot = self.slots.get_mut(index as usize)?;
        slot.value = Some(Box::new(value));
        self.len += 1;
        Some(u64::from(slot.generation) << INDEX_BITS | u64::from(index))
    }

    pub(super) fn get(&self, id: u64) -> Option<&T> {
        let slot = self.slots.get((id & INDEX_MASK) as usize)?;
        if u64::from(slot.generation) == id >> INDEX_BITS { slot.value.as_deref() } else { None }
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut T> {
        let slot = self.slots.get_mut((id & INDEX_MASK) as usize)?;
        if u64::from(slot.generation) == id >> INDEX_BITS { slot.value.as_deref_mut() } else { None }
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Box<T>> {
        let index = (id & INDEX_MASK) as u32;
        let slot = self.slots.get_mut(index as usize)?;
        if u64::from(slot.generation) != id >> INDEX_BITS {
            return None;
        }
        let value = slot.value.take()?;
        self.len -= 1;
        slot.generation += 1;
        if slot.generation <= LAST_GENERATION {
            self.free.push(index);
        }
        Some(value)
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        #[test]
        fn test_an_id_is_never_used_twice_and_finds_its_own_value(steps in prop::collection::vec(any::<Option<u8>>(), 1..200)) {
            let mut table = Table::default();
            let mut alive: HashMap<u64, usize> = HashMap::new();
            let mut all = Vec::new();
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    None => {
                        let id = table.insert(number).expect("there is room");
                        prop_assert!(id > 0 && id < 1 << 53 && !all.contains(&id));
                        all.push(id);
                        alive.insert(id, number);
                    }
                    Some(pick) if !all.is_empty() => {
                        let id = all[usize::from(pick) % all.len()];
                        prop_assert_eq!(table.remove(id).map(|value| *value), alive.remove(&id));
                    }
                    Some(_) => {}
                }
                prop_assert_eq!(table.len(), alive.len());
                for id in &all {
                    prop_assert_eq!(table.get(*id), alive.get(id));
                    prop_assert_eq!(table.get_mut(*id).map(|value| *value), alive.get(id).copied());
                }
            }
        }
    }

    #[test]
    fn test_a_slot_without_generations_is_retired() {
        let mut table = Table::default();
        let first = table.insert(()).expect("there is room");
        table.slots[0].generation = LAST_GENERATION;
        let last = u64::from(LAST_GENERATION) << INDEX_BITS;
        assert!(table.get(first).is_none());
        assert!(last < 1 << 53);
        assert!(table.remove(last).is_some());
        let next = table.insert(()).expect("there is room");
        assert_eq!(next & INDEX_MASK, 1);
        assert!(table.get(last).is_none());
    }

    #[test]
    fn test_nonsense_ids_find_nothing() {
        let mut table = Table::default();
        table.insert(()).expect("there is room");
        for id in [0, 1, u64::MAX, INDEX_MASK, 1 << 53] {
            assert!(table.get(id).is_none());
            assert!(table.get_mut(id).is_none());
            assert!(table.remove(id).is_none());
        }
    }
}
