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


def sayings(seed: int, *, heldout: bool = False) -> Iterator[str]:
    """What programs say and people ask, with every thing; one saying in six is kept from training."""
    source = random.Random(seed)  # noqa: S311 - repeatable, not secret
    for at, saying in enumerate(SAYINGS):
        if (at % 6 == 3) != heldout:
            continue
        for thing in THINGS:
            text = saying.replace("{thing}", thing)
            yield (text[:1].upper() + text[1:] if source.random() < 0.5 else text) + source.choice(("", "", ".", "!"))


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
