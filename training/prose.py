"""Harmless text of other kinds than mentoring: documentation, what programs say, numbers, and emoji.

Documentation is that of the running Python's own standard library (PSF licence), read from its sources without
importing them; so training repeats to the bit only on the same Python.
"""

from __future__ import annotations

import ast
import random
import re
import sysconfig
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

_SENTENCE: Final = re.compile(r"(?<=[.!?:])\s+|\n\s*\n")
_WORDS: Final = range(3, 40)

THINGS: Final = """\
password|e-mail|email address|account|profile|username|code|pin|session|booking|calendar|payment|invoice|
receipt|card|subscription|plan|order|device|browser|keyboard|sword|passport|passage|assignment|assessment|class|
classroom|homework|essay|thesis|chapter|grade|exam|report|file|folder|document|photo|picture|video|microphone|
camera|screen|phone|number|address|name|age|birthday|time zone|language|settings|notification|message|reply|
question|answer|link|download|upload|backup|update|version|licence|contract|application|cover letter|cv|resume|
portfolio|interview|salary|budget|tax form|visa|ticket|seat|room|key|door|bag|lunch|dinner|recipe|garden|dog|
cat|bike|car|train|flight|hotel|doctor|dentist|medicine|prescription|blood test|knee|back|shoulder|head|hand|
foot|heart|skin|weight|sleep|diet""".replace("\n", "").split("|")

SAYINGS: Final = """\
enter your {thing}|enter the {thing} again|your {thing} is changed|your {thing} was changed|
your {thing} has been reset|verify your {thing}|confirm your {thing}|reset your {thing}|forgot your {thing}?|
choose a new {thing}|check your {thing}|your {thing} is ready|your {thing} is wrong|this {thing} is not valid|
that {thing} has expired|upload your {thing}|your {thing} could not be saved|please add a {thing}|
no {thing} yet|the {thing} is too long|delete this {thing}?|i lost my {thing}|where is my {thing}|
my {thing} does not work|can i change my {thing}|can you send me the {thing}|
i will send you the {thing} tonight|i will check your {thing} tonight|
i am going to look at your {thing} tomorrow|how is your {thing}|did you bring the {thing}|
what happened to your {thing}|i like your {thing}|you forgot your {thing}|we need a new {thing}|
put the {thing} on the table|is the {thing} free|the {thing} is broken again|
do not share your {thing} with anybody|my {thing} hurts|thank you for the {thing}|
i know your {thing} from before|you will get your {thing} back on monday|i want to improve my {thing}|
let us meet about the {thing}|i will call you about the {thing}|your {thing} looks good|
a {thing} costs about 20|i found your {thing}""".replace("\n", "").split("|")

FIGURES: Final = """\
{n} minutes for the {thing} and {n} for questions|{n} min on the {thing}, then {n} min break|
we have {n} min left, so the {thing} next time|demo {n} min, feedback {n} min, the rest is free|
plan for {day}: {clock} {thing}, {clock} {thing}, {clock} home|
the {thing} went down at {clock} and was back at {clock}|the alarm came at {clock}, the fix at {clock}|
between {clock} and {clock} nobody could open the {thing}|{N} of {N} users saw the error|
the test ran {n} times and failed {n} times|version {n}.{n} is out, {n}.{n} still has the bug|
port {N} is taken, use {N}|line {N} of the log, not line {n}|chapter {n}, exercise {n}, part b|
answers: {n} a, {n} b, {n} d|question {n} is wrong, {n} and {n} are right|i got {n} out of {n}|
{n} + {n} is {n}, not {N}|{n} times {n}, minus {n}|the mean is {n}.{n} and the median {n}|{n} is prime, {N} is not|
the ratio is {n} to {n}|{n}% of the class passed, {n}% did not|the limit is {N} words, you have {N}|
page {n}, second paragraph|due on the {n}th at {clock}|the {thing} costs {n} euros, or {n} with a student card|
rent is {N} a month, food about {n} a week|i saved {N} this year, half of it is for the {thing}|
a salary of {N} before tax is about {N} after it|i paid {n} for the {thing} and want {n} back|
the invoice is for {N}, not for {N}|bus {n} leaves at {clock}, train {N} at {clock}|flight {N}, gate {n}, seat {n}c|
room {N}, floor {n}, next to the lift|take {n} mg every {n} hours|{n} g of flour, {n} ml of milk, {n} eggs|
bake it for {n} minutes at {N} degrees|i ran {n} km in {n} minutes|three sets of {n}, rest {n} seconds|
we lost {n} to {n} but played well|my number is {tel}, call me if you are late|call me on {tel} when you are there|
i changed my phone, text me on {tel}|the office is on {tel}, ask for the {thing}|my student number is {N}{N}|
is the {thing} free at {clock}?|the {thing} is free for students|are you free at {clock} or rather at {clock}?|
i am free from {clock} on|feel free to call after {clock}|text me when you are home|please reply by {day}|
we won the match and the {thing}|who wins if both have {n} points?|she won a prize for her {thing}|
the winner gets a book, the others get cake|i have two offers and can't decide by {day}|
they offered me {N} and i asked for {N}|the claim in chapter {n} needs a source|i claimed the {thing} on my insurance|
it is urgent, the {thing} is due at {clock}|the bank opens at {clock}, take your {thing} with you|
i called the bank about my {thing}|your account here has no {thing} yet|the link to the {thing} does not work|
click on the {thing}, then on save|the reward function is wrong by a factor of {n}|
there is a discount on the {thing} for members of the library|the lottery has odds of one in {N}{N}|
thanks for the message, i will send the {thing} at {clock}|stop the timer at {n} seconds|
the guaranteed bound is {n} log n, in practice {n} n|i bought the {thing} on sale for {n}|
credit for the {thing} goes to the whole team|this course gives {n} credits|
subscribe to the calendar to see the {thing}|my phone has {n}% left, call me on the landline|
tone and colour of the {thing} are right|
congratulations on the {thing}!|congratulations, {n} points out of {n}""".replace("\n", "").split("|")

EMOJI: Final = """\
😀 😃 😄 😁 😆 😅 😂 🤣 🙂 🙃 😉 😊 😇 🥰 😍 🤩 😋 😜 🤗 🤔 😐 😴 😎 🤓
😢 😭 😤 😱 😳 🥳 😬 👍 👎 👏 🙌 🙏 💪 👋 🤝 ✌️ 🤞 ❤️ 💔 🔥 ✨ ⭐ 🎉 🎂
🎓 📚 📝 📅 ⏰ 💻 🐍 🐛 🚀 ☕ 🍕 🍎 🌍 🌈 ☀️ 🌧️ 🏃 🚴 👩‍🔬 👨‍🏫 👩‍💻 👨‍👩‍👧 🧑‍🎓 👩‍⚕️
👨‍🍳 🧕 👳 👲 👩🏽‍🎓 👨🏿‍💻 🏳️‍🌈 🇮🇳 🇮🇷 🇬🇧 🇺🇸 🇧🇷 🐶 🐱 🐷 🐒 🐍 🍆 🍑 ✅ ❌ ❓ ❗ 💯
""".split()  # noqa: SIM905


@lru_cache(1)
def _documentation() -> tuple[str, ...]:
    """The sentences of the standard library's docstrings, each once, in the order of its files."""
    found: dict[str, None] = {}
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).rglob("*.py")):
        parts = path.parts
        if "site-packages" in parts or "test" in parts or "tests" in parts or "lib2to3" in parts:
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(path.read_text("utf-8"))
        except (SyntaxError, UnicodeDecodeError, ValueError):
            continue
        for node in ast.walk(tree):
            if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for sentence in _SENTENCE.split(ast.get_docstring(node) or ""):
                text = " ".join(sentence.split())
                if len(text.split()) in _WORDS:
                    found[text] = None
    return tuple(found)


def documentation(*, heldout: bool = False) -> list[str]:
    """Sentences of documentation: those of training, or the sixth that is kept from it."""
    return [text for at, text in enumerate(_documentation()) if (at % 6 == 3) == heldout]


def lone_words() -> list[str]:
    """Words of documentation by themselves, in the order of the alphabet: those that occur three times."""
    times = Counter(word for text in documentation() for word in re.findall(r"\b[a-z]{2,}\b", text))
    return sorted(word for word, count in times.items() if count >= 3)


def long(seed: int, count: int, *, heldout: bool = False) -> Iterator[str]:
    """Messages of 4 to 18 sentences of documentation and sayings: a window full of words without hostility."""
    source = random.Random(seed)  # noqa: S311 - repeatable, not secret
    sentences = [*documentation(heldout=heldout), *sayings(seed, heldout=heldout)]
    for _ in range(count):
        yield source.choice((" ", "\n", ". ")).join(source.choices(sentences, k=source.randint(4, 18)))


def sayings(seed: int, *, heldout: bool = False) -> Iterator[str]:
    """What programs say and people ask, with every thing; one saying in six is kept from training."""
    source = random.Random(seed)  # noqa: S311 - repeatable, not secret
    for at, saying in enumerate(SAYINGS):
        if (at % 6 == 3) != heldout:
            continue
        for thing in THINGS:
            text = saying.replace("{thing}", thing)
            yield (text[:1].upper() + text[1:] if source.random() < 0.5 else text) + source.choice(("", "", ".", "!"))


_HEX: Final = "0123456789abcdef"
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
_ALL: Final = _LETTERS + "0123456789"


def _token(source: random.Random) -> str:
    """An identifier, key, code, path, version or address without meaning."""

    def some(letters: str, least: int, most: int) -> str:
        return "".join(source.choices(letters, k=source.randint(least, most)))

    match source.randrange(12):
        case 0 | 1:
            return some(_HEX, 2, 8)
        case 2:
            return some(_HEX, 32, 40)
        case 3:
            return "-".join(some(_HEX, size, size) for size in (8, 4, 4, 4, 12))
        case 4:
            return some(_ALL, 3, 12)
        case 5:
            return some(_ALL + _LETTERS.upper() + "-_", 6, 24)
        case 6:
            return some(_LETTERS.upper(), 1, 4) + source.choice(("", "-", " ")) + some("0123456789", 1, 6)
        case 7:
            return "v" * source.randrange(2) + ".".join(some("0123456789", 1, 3) for _ in range(source.randint(2, 4)))
        case 8:
            return "/" * source.randrange(2) + "/".join(some(_ALL, 2, 8) for _ in range(source.randint(2, 4)))
        case 9:
            return f"{some(_LETTERS, 2, 7)}.{source.choice(('py', 'rs', 'txt', 'pdf', 'csv', 'md', 'c', 'html'))}"
        case 10:
            return f"https://{some(_LETTERS, 3, 9)}.example/{some(_ALL, 0, 8)}"
        case _:
            return some(_LETTERS, 2, 7)


def tokens(seed: int, count: int, *, heldout: bool = False) -> Iterator[str]:
    """Identifiers by themselves, with a number, or in what people write round them."""
    source = random.Random(seed + heldout)  # noqa: S311 - repeatable, not secret
    for _ in range(count):
        one, other, number = _token(source), _token(source), source.randrange(1000)
        yield source.choice(
            (
                one,
                f"{one} {number}",
                f"{number} {one}",
                f"{one} {other}",
                f"{one} {other} {_token(source)}",
                f"{one}: {other}",
                f"{one}={number}",
                f"[{one}] {other}",
                f"id {one}",
                f"my id is {one}",
                f"the code is {one}",
                f"commit {one} broke {other}",
                f"see {one} and {other}",
                f"git checkout {one}",
                f"pip install {one}",
                f"cd {one} && ls -la {other}",
                f"error {one} at line {number}",
                f"message {one} {number}",
                f"room {one}",
                f"{one} works, {other} does not",
            )
        )


def signs(seed: int, count: int) -> Iterator[str]:
    """Numbers as people send them, and emoji by themselves."""
    source = random.Random(seed)  # noqa: S311 - repeatable, not secret
    for _ in range(count):
        number = str(source.randrange(10 ** source.randint(1, 7)))
        yield source.choice(
            (
                number,
                f"{number}%",
                f"{source.randint(0, 23)}:{source.randint(0, 59):02}",
                f"{source.randint(1, 28)}.{source.randint(1, 12)}.",
                f"{source.choice('+-*/=<>')} {number}",
                f"text-{number}",
                f"message {number}",
                f"no. {number} ok",
            )
        )
        yield "".join(source.choices(EMOJI, k=source.randint(1, 3)))
        yield f"{source.choice(('ok', 'thanks', 'great', 'yes', 'hi', 'done', 'sure'))} {source.choice(EMOJI)}"


_SLOT: Final = re.compile(r"\{(\w+)\}")


def figures(seed: int, count: int) -> Iterator[str]:
    """Sentences in figures, and in words that offers have, too; every eighth message is of 5 to 20 of them."""
    source = random.Random(seed)  # noqa: S311 - repeatable, not secret
    made: dict[str, Callable[[], str]] = {
        "n": lambda: str(source.randint(2, 99)),
        "N": lambda: str(source.randint(100, 9999)),
        "clock": lambda: f"{source.randint(0, 23):02}:{source.randint(0, 59):02}",
        "tel": lambda: f"0{source.randrange(10**8, 10**10)}",
        "day": lambda: source.choice(("monday", "wednesday", "friday", "sunday", "the weekend", "tomorrow")),
        "thing": lambda: source.choice(THINGS),
    }
    for at in range(count):
        frames = source.choices(FIGURES, k=source.randint(1, 2) if at % 8 else source.randint(5, 20))
        sentences = [_SLOT.sub(lambda match: made[match[1]](), frame) for frame in frames]
        if source.random() < 0.5:
            sentences = [text[:1].upper() + text[1:] for text in sentences]
        yield source.choice((". ", ", ", "\n", "; ")).join(sentences) + source.choice(("", ".", "!", "?"))
