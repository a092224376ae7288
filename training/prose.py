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
from collections.abc import Iterator
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
