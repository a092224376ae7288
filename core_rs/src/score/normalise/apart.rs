//! Step 6: letters that stand apart are joined.
use super::{
    Cell, Kind,
    unicode::{class_of, is_letter},
    words::{Atom, cut_repeats},
};

/// Joins three or more single letters with the same between them: one white space, or a symbol (or two of it).
///
/// With white space, nothing but an opening mark may stand directly before the first, and three are not joined when each
/// is a word of text messages (`r u a`); with a symbol, not the same symbol after a word may stand there.
pub(super) fn join(atoms: &mut Vec<Atom>, made: &mut Vec<Cell>) {
    let mut kept = 0;
    let mut at = 0;
    while at < atoms.len() {
        let mut atom = atoms[at];
        let next = match apart(atoms, at, |at| made[at as usize].letter) {
            None => at + 1,
            Some((end, step)) => {
                let first = made.len();
                for index in (at..=end).step_by(step) {
                    let mut cell = made[atoms[index].first as usize];
                    if index < end {
                        cell.end = cell.end.max(made[atoms[index + step].first as usize].start);
                    }
                    made.push(cell);
                }
                cut_repeats(made, first);
                atom = Atom { first: first as u32, last: made.len() as u32, kind: Kind::Spaced, gap: atom.gap };
                end + 1
            }
        };
        // `apart` looks back at two atoms, as they were: a join frees at least two places, so they still are.
        atoms[kept] = atom;
        kept += 1;
        at = next;
    }
    atoms.truncate(kept);
}

fn single(atom: &Atom, letter: impl Fn(u32) -> char) -> bool {
    atom.is_single() && is_letter(class_of(letter(atom.first)))
}

/// The last atom of the letters that stand apart from here on, and the atoms from letter to letter; `at_first` gives what
/// stands where an atom begins.
pub(super) fn apart(atoms: &[Atom], at: usize, at_first: impl Fn(u32) -> char + Copy) -> Option<(usize, usize)> {
    let letter = |atom: &Atom| at_first(atom.first);
    if !single(&atoms[at], at_first) || at + 2 >= atoms.len() {
        return None;
    }
    let directly = |at: usize| at.checked_sub(1).map(|before| &atoms[before]).filter(|_| !atoms[at].has_gap());
    let following = &atoms[at + 1];
    if following.has_gap() {
        let opening = |letter| matches!(letter, '"' | '\'' | '“' | '‘' | '’' | '(' | '[' | '{' | '*' | '`');
        if directly(at).is_some_and(|before| before.kind != Kind::Symbol || !opening(letter(before))) {
            return None;
        }
        let goes_on = |atom: &&Atom| single(atom, at_first) && atom.gap.1 - atom.gap.0 == 1;
        let end = at + atoms[at + 1..].iter().take_while(goes_on).count();
        let texted = |atom: &Atom| matches!(letter(atom), 'a' | 'i' | 'u' | 'r' | 'y' | 'n' | 'o');
        return (end - at >= 2 && !(end - at == 2 && atoms[at..=end].iter().all(texted))).then_some((end, 1));
    }
    if following.kind != Kind::Symbol {
        return None;
    }
    let symbol = |atom: &Atom| atom.kind == Kind::Symbol && letter(atom) == letter(following);
    let width = if atoms[at + 2].kind == Kind::Symbol { 2 } else { 1 };
    if let (Some(before), true) = (directly(at), at >= 2 && !atoms[at - 1].has_gap()) {
        if atoms[at - 2].kind != Kind::Symbol && symbol(before) {
            return None;
        }
    }
    let goes_on = |group: &&[Atom]| {
        group.iter().all(|atom| !atom.has_gap()) && group[..width].iter().all(symbol) && single(&group[width], at_first)
    };
    let groups = atoms[at + 1..].chunks_exact(width + 1).take_while(goes_on).count();
    (groups >= 2).then_some((at + groups * (width + 1), width + 1))
}
