"""`assess` and `chiron score`: scores, verdicts and places of texts, without a server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from chiron.server.cli import app
from chiron.server.moderation.assessment import Assessor, assess
from chiron.server.moderation.sources import Sources

HEADS = ["abuse", "hate", "sexual", "threat", "spam"]


def score(*arguments: str, lines: str = "") -> Result:
    return CliRunner().invoke(app, ["score", *arguments], input=lines.encode())


def test_what_is_allowed_has_scores_and_nothing_to_explain() -> None:
    found = assess("See you at five, and bring the second chapter.")
    assert list(found.scores) == HEADS
    assert all(0 <= value < 0.5 for value in found.scores.values())
    assert (found.verdict, found.spans, found.reasons, found.features) == ("allow", [], (), [])


def test_what_is_not_allowed_says_why_and_where() -> None:
    text = "go away you fucking idiot"
    found = assess(text)
    assert found.verdict != "allow"
    places = [(text[span.start : span.end], span.label) for span in found.spans]
    assert places == sorted(places, key=lambda place: text.index(place[0]))
    assert ("fucking", "term") in places
    assert ("idiot", "abuse") in places, "a word that is not listed, and weighs"
    assert "term" in found.reasons
    assert found.features


def test_what_was_found_is_shown_although_it_is_allowed() -> None:
    text = "call me at 0912 345 6789"
    found = assess(text)
    assert found.verdict == "allow"
    assert [(text[span.start : span.end], span.label) for span in found.spans] == [("0912 345 6789", "phone")]


def test_a_kind_of_conversation_has_its_own_policy() -> None:
    text = "I will kill you"
    assert (assess(text, "direct").verdict, assess(text, "group").verdict) == ("flag", "hold")


def test_lists_and_actions_of_ones_own(tmp_path: Path) -> None:
    terms = tmp_path / "terms.tsv"
    terms.write_text("2\tgrobian\n")
    assert Assessor(Sources(terms=(terms,))).assess("what a Grobian he is").reasons == ("term",)
    mail = "write to me at jo@example.com"
    assert Assessor().assess(mail).verdict == "allow"
    assert Assessor(actions=["contact=hold"]).assess(mail).verdict == "hold"
    terms.write_text("2 grobian\n")
    with pytest.raises(ValueError, match=r"terms\.tsv"):
        Assessor(Sources(terms=(terms,)))


def test_lines_are_answered_in_order_and_a_bad_one_in_its_place() -> None:
    texts = ["hello", "I will kill you", "good night"]
    lines = [json.dumps({"text": text, "id": 7}) for text in texts]
    outcome = score(lines="\n".join([lines[0], "nope", *lines[1:]]) + "\n")
    answers = [json.loads(line) for line in outcome.stdout.splitlines()]
    assert outcome.exit_code == 2
    assert [answer.get("verdict") for answer in answers] == ["allow", None, "hold", "allow"]
    assert "line 2" in answers[1]["error"]
    assert answers[0] == {"scores": assess("hello").scores, "verdict": "allow", "spans": []}
    assert score(lines=lines[0]).exit_code == 0


def test_a_policy_can_be_tried() -> None:
    line = json.dumps({"text": "write to me at jo@example.com"})
    assert json.loads(score("--action", "contact=hold", lines=line).stdout)["verdict"] == "hold"
    assert score("--action", "contact=perhaps", lines=line).exit_code != 0


def test_lines_come_from_a_file_too(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text('{"text": "hello"}\n')
    assert json.loads(score(str(path)).stdout)["verdict"] == "allow"
    assert score(str(path), "--explain", "hello").exit_code == 2


def test_a_person_is_shown_why_with_places_marked_and_nothing_that_moves_the_cursor() -> None:
    shown = score("--explain", "you fucking \x1b[2J idiot").stdout
    assert "Verdict: " in shown
    assert "[fucking]" in shown
    assert "<U+001B>" in shown
    assert "\x1b[2J" not in shown
    assert all(head in shown for head in HEADS)
