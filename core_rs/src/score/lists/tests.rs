use super::{
    line::{Token, fits, touched},
    *,
};
use crate::score::normalise::Normalised;
use proptest::prelude::*;

const TERMS: &str = "# sample\n2\tass\n3\tcunt\tsub\n2\tpiece of shit\n1\tdamn\n2\tcock\tsub\n1\tson of a gun\tspaced\n3\tсука\n\
                     \nidentity\tkurds\nidentity\tblack people\n1\tdick\n2\tdickhead\n1\tsluts\n";
const ALLOW: &str = "# towns\nScunthorpe\nCocktail\nDick Cheney\n";

fn lists(terms: &str) -> (Terms, Allow) {
    let terms = Terms::new(terms.as_bytes()).unwrap();
    let allow = Allow::new(ALLOW.as_bytes(), &terms).unwrap();
    (terms, allow)
}

fn marks(terms: &Terms, text: &Normalised) -> Vec<Marks> {
    let words = text.words.iter().map(|word| &text.plain.as_str()[word.start as usize..word.end as usize]);
    words.map(|word| terms.marks(word, &mut String::new())).collect()
}

/// What is found when every term is looked for everywhere, and every phrase.
fn everything(terms: &Terms, allow: &Allow, text: &Normalised) -> Vec<Found> {
    let mut search = Search::default();
    let Search { line, look, found, doubtful, .. } = &mut search;
    line.read(text);
    let stretched =
        |token: &Token, run: Range<usize>| text.plain.written(token.plain + run.start..token.plain + run.end).len() > 2;
    look.read(line, slice::from_ref(&(0..line.tokens.len())), stretched);
    let mut push = |touched: Range<usize>, place: Range<usize>, term: usize| {
        let (place, words) = (line.plain(&touched, &place), line.indices(&touched));
        found.push(Found { place, words, listed: terms.terms[term].listed, term });
    };
    for (pattern, place) in terms.exact.find(&line.text, slice::from_ref(&(0..line.text.len()))) {
        let term = terms.exact.terms[pattern];
        if let Some(touched) = touched(&line.tokens, &place, terms.terms[term].inside) {
            push(touched, place, term);
        }
    }
    for (pattern, place) in terms.look_alikes.find(&look.text, slice::from_ref(&(0..look.text.len()))) {
        let term = terms.look_alikes.terms[pattern];
        let Some(touched) = touched(&look.tokens, &place, terms.terms[term].inside) else { continue };
        if look.disguised[touched.clone()].contains(&true) && fits(&look.runs[place], &terms.runs[pattern]) {
            push(touched.clone(), line.tokens[touched.start].start..line.tokens[touched.end - 1].end, term);
        }
    }
    doubtful.extend((0..line.tokens.len()).map(|token| token..token + 1));
    search.settle(allow);
    search.found
}

fn found(text: &str) -> Vec<(String, u8)> {
    let (terms, allow) = lists(TERMS);
    let (mut normaliser, mut search) = (Normaliser::default(), Search::default());
    let normalised = normaliser.run(text);
    search.run(&terms, &allow, normalised, &marks(&terms, normalised));
    let plain = normalised.plain.as_str();
    search.found().iter().map(|found| (plain[found.place.clone()].to_owned(), found.listed.severity())).collect()
}

fn pieces<const N: usize>(pieces: [(&str, u8); N]) -> Vec<(String, u8)> {
    pieces.map(|(piece, severity)| (piece.to_owned(), severity)).to_vec()
}

#[test]
fn terms_are_found_at_the_boundaries_of_words() {
    assert_eq!(found("What an ASS you are , damn"), pieces([("ass", 2), ("damn", 1)]));
    assert_eq!(found("the class will assess a bass"), []);
    assert_eq!(found("piece of shit"), pieces([("piece of shit", 2)]));
    assert_eq!(found("xcuntx"), pieces([("cunt", 3)]));
    assert_eq!(found("sonofagun"), pieces([("sonofagun", 1)]));
    assert_eq!(found("some kurds"), pieces([("kurds", 0)]));
}

#[test]
fn what_lies_within_a_term_as_severe_is_not_found_again() {
    assert_eq!(found("dickhead"), pieces([("dickhead", 2)]));
    assert_eq!(found("dick head"), pieces([("dick", 1)]));
}

#[test]
fn a_term_inside_an_allowed_phrase_does_not_count() {
    assert_eq!(found("scunthorpe cocktails with dick cheney"), []);
    assert_eq!(found("scunthorpe cunt"), pieces([("cunt", 3)]));
    assert_eq!(found("dick cheney is a dick"), pieces([("dick", 1)]));
}

#[test]
fn many_matches_take_no_longer_each_than_few() {
    let start = std::time::Instant::now();
    assert_eq!(found(&"ass ".repeat(4000)).len(), 4000);
    assert_eq!(found(&"dick cheney ".repeat(1300)).len(), 0);
    assert!(start.elapsed().as_secs() < 5);
}

proptest! {
    #[test]
    fn nothing_is_missed_where_no_term_seems_to_be(pieces in prop::collection::vec(prop_oneof![
        prop::sample::select(vec![
            "ass", "аss", "cunt", "piece", "of", "shit", "damn", "cock", "cocktail", "son", "a", "gun", "сука", "kurds",
            "black", "people", "dick", "cheney", "head", "sluts", "xx", "yyy", "sh i t", "go", "s u n", "scunthorpe",
            "assss", "bläck", "piecee", "оf", "peoople", "c o c k", "diick", "xхх",
        ]).prop_map(str::to_owned),
        "[ .,_-]{1,3}",
        "[a-dаск]{1,3}",
        Just(" ".to_owned()),
    ], 0..24)) {
        let terms = [TERMS, "2\txx yyy\tsub\n2\ta gun go\n"].concat();
        let (terms, allow) = lists(&terms);
        let (mut normaliser, mut search) = (Normaliser::default(), Search::default());
        let text = normaliser.run(&pieces.concat());
        search.run(&terms, &allow, text, &marks(&terms, text));
        prop_assert_eq!(search.found(), everything(&terms, &allow, text));
    }
}

#[test]
fn a_list_that_cannot_be_used_names_the_line() {
    let line = |file: &[u8]| Terms::new(file).err().expect("the list cannot be used").to_string();
    assert_eq!(line(b"\xFF"), "the terms are not UTF-8");
    assert_eq!(line(b"# x\n4\tass"), "line 2 of the terms: it does not begin with 1, 2, 3 or identity and a tab");
    assert_eq!(line(b"1\tass\n\n1"), "line 3 of the terms: it does not begin with 1, 2, 3 or identity and a tab");
    assert_eq!(line(b"1\tass\tsup"), "line 1 of the terms: the flags are sub and spaced, with a comma between them");
    assert_eq!(line(b"1\tass\tsub\tx"), "line 1 of the terms: it has more than three columns");
    assert_eq!(line(b"1\t \t"), "line 1 of the terms: nothing is left of it when it is normalised");
    assert_eq!(line(["1\t", &"x".repeat(201)].concat().as_bytes()), "line 1 of the terms: it is longer than 200 bytes");
    assert!(Terms::new(b"").is_ok());
    assert!(Terms::new("\u{FEFF}1\tass,\r\n".as_bytes()).is_ok());
    assert_eq!(
        Allow::new(b"a\n\xE2", &Terms::new(b"").unwrap()).err().expect("no UTF-8").to_string(),
        "the allowed phrases are not UTF-8"
    );
}
