"""Where model and lists come from, what is said of those that cannot be used, and how they are swapped."""

from __future__ import annotations

from pathlib import Path

import pytest

from chiron.server.moderation.scoring import Scoring
from chiron.server.moderation.sources import WEIGHTS, Content, Sources

WORD = "flurbwazzle"
"""In no list that is shipped."""


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_what_is_shipped_scores(tmp_path: Path) -> None:
    scoring = Scoring(Sources())
    score = scoring.score("Shall we look at the heron together on Tuesday?")
    assert (score.severity, score.contact, score.suspicious) == (0, (), False)
    assert all(0 <= head <= 1 for head in score.heads)
    assert (scoring.calls, scoring.seconds > 0) == (1, True)
    assert len(scoring.scorer.model) == 64


def test_terms_of_the_community_count_beside_those_that_are_shipped(tmp_path: Path) -> None:
    terms = written(tmp_path, "terms.tsv", f"3\t{WORD}\n")
    assert Scoring(Sources()).score(f"you {WORD}").severity == 0
    scoring = Scoring(Sources(terms=(terms,)))
    assert scoring.score(f"you {WORD}").severity == 3
    [span] = [span for span in scoring.explain(f"you {WORD}").spans if span.label == "term"]
    assert (span.start, span.end, span.severity) == (4, 4 + len(WORD), 3)
    allow = written(tmp_path, "allow.txt", f"mister {WORD}\n")
    assert Scoring(Sources(terms=(terms,), allow=(allow,))).score(f"dear Mister {WORD}").severity == 0


def test_a_file_that_cannot_be_used_is_named_with_its_line(tmp_path: Path) -> None:
    terms = written(tmp_path, "terms.tsv", f"# ours\n2\t{WORD}\nterrible\tword\n")
    with pytest.raises(ValueError, match=r"terms\.tsv: .*3"):
        Scoring(Sources(terms=(terms,)))
    model = written(tmp_path, "model.bin", "CHIRONSC and nothing else")
    with pytest.raises(ValueError, match=r"model\.bin: "):
        Scoring(Sources(model=model))
    with pytest.raises(ValueError, match=r"nowhere\.tsv cannot be read: No such file"):
        Scoring(Sources(terms=(tmp_path / "nowhere.tsv",)))


def test_what_is_read_again_is_used_by_everybody_who_holds_the_scorer(tmp_path: Path) -> None:
    terms = written(tmp_path, "terms.tsv", f"1\t{WORD}\n")
    sources = Sources(terms=(terms,))
    scoring = Scoring(sources)
    held = scoring.scorer
    terms.write_text(f"3\t{WORD}\n")
    follow = scoring.prepare(sources)
    assert held.score(WORD).severity == 1, "until it is swapped in"
    follow()
    assert held.score(WORD).severity == 3


def test_what_cannot_be_used_leaves_what_is_used(tmp_path: Path) -> None:
    terms = written(tmp_path, "terms.tsv", f"2\t{WORD}\n")
    sources = Sources(terms=(terms,))
    scoring = Scoring(sources)
    terms.write_text("worse than ever\n")
    with pytest.raises(ValueError, match=r"terms\.tsv"):
        scoring.prepare(sources)
    terms.unlink()
    with pytest.raises(ValueError, match="cannot be read"):
        scoring.prepare(sources)
    assert scoring.scorer.score(WORD).severity == 2


def test_the_fingerprint_is_of_what_own_files_hold(tmp_path: Path) -> None:
    assert Sources().fingerprint() == ""
    terms = written(tmp_path, "terms.tsv", "1\ta\n")
    sources = Sources(terms=(terms,))
    before = sources.fingerprint()
    assert sources.fingerprint() == before
    terms.write_text("2\ta\n")
    changed = sources.fingerprint()
    terms.unlink()
    assert len({before, changed, sources.fingerprint()}) == 3


def test_lists_are_read_in_their_order_and_what_is_shipped_may_be_left_out(tmp_path: Path) -> None:
    paths = tuple(written(tmp_path, f"{number}.tsv", f"{number}\tw{number}") for number in (1, 2))
    alone = Content.read(Sources(terms=paths, shipped_terms=False))
    assert alone.terms == b"1\tw1\n2\tw2"
    assert Content.read(Sources(terms=paths)).terms == (WEIGHTS / "terms.tsv").read_bytes() + b"\n" + alone.terms
