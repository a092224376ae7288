"""Scoring: how long one call of the scorer takes from Python, beside SHA-256 of the same text.

Texts of 200 characters and of 16 KiB, of several kinds, are drawn from the words of each kind, so that none is like the
one before it. The scorer remembers words, and these are few: so one more kind has words that were never seen before.
Each text is scored and hashed in turn. The model and the lists are those that are shipped.
"""

from __future__ import annotations

import hashlib
import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from string import ascii_lowercase
from typing import TypeVar

import msgspec

from bench.measure import Cores, Spread
from bench.progress import say
from chiron._core import Scorer
from chiron.server.moderation.sources import Content, Sources

T = TypeVar("T")

SEED = 11
SHORT = 200
"""Characters."""
LONG = 16_384
"""Bytes: the most that is read."""

WORDS = {
    "ordinary": """the session on thursday went well , i think we should look at your essay again before the deadline .
        thanks for all your help with python ! could you send me the slides please ? it's about the interview at the
        hospital next month and how to answer questions they don't expect i'm nervous but prepared what would you do if
        an offer came from two places at once let me know when you're free 10am works for me see you there""",
    "code": """for i in range(10): print(x[i]) def __init__(self, name: str) -> None: return foo.bar(baz) if (a && b) {
        kill -9 $PID; } SELECT * FROM users WHERE id = 42; git push origin main && make test # TODO: abort() master
        http://localhost:8080/api/v1?x=1&y=2 0x7fff self.assertEqual(a, b) lambda x: x**2 h264 python3""",
    "persian": """سلام ، حالت چطور است ؟ ممنون از کمک شما جلسه فردا ساعت ده است می‌خواهم درباره مقاله صحبت کنیم اگر وقت
        دارید لطفاً خبر بدهید استاد راهنما پروژه دانشگاه تهران بسیار عالی بود""",
    "hindi": """नमस्ते , मुझे कल मिलते हैं आपकी सलाह के लिए धन्यवाद परीक्षा की तैयारी कैसे करें क्या आप समय दे सकते हैं
        बहुत अच्छा लगा अगली बैठक सोमवार को है""",
    "emoji": "great work 😀 👍🏽 see you 🎉🎉 👩‍👩‍👧 soon ❤️ so proud of you 🚀 ! ok 🙏🏾 congrats 🥳 🇮🇳 yes",
    "hostile": """you are such a stupid idiot and an ass go to hell nobody likes you f u c k off you damn loser i will
        find you shut up moron what a piece of shit kurds muslim women people say""",
    "disguised": """y\u043eu \u0430re su\u0441h an idi\u043et f.u.c.k @$$h0le sh1t stuuuuupid
        l\u200bo\u200bs\u200be\u200br b!tch m\u03bfr\u03bfn d4mn \uff46\uff4f\uff4f\uff4c %66%6f%6f &amp; na\u00efve""",
    "contact": """write to me at someone@example.org or call +91 98765 43210 my insta is @some.one pay me at
        name@okbank see https://t.me/joinme whatsapp nine eight seven six five www.example.com paypal""",
}
"""By kind of text. Text of 200 characters or 16 KiB is words drawn from these."""
UNSEEN = "unseen"
"""The kind of text whose words are of letters at random: more than the scorer remembers before one comes again."""


@dataclass(frozen=True, slots=True)
class Size:
    texts: int
    short_calls: int
    long_calls: int
    explained: int
    """Texts of each kind and length."""
    rounds: int


FULL = Size(texts=400, short_calls=4000, long_calls=200, explained=8, rounds=5)
QUICK = Size(texts=20, short_calls=100, long_calls=5, explained=1, rounds=1)


class Times(msgspec.Struct, frozen=True):
    """Microseconds of one call: of the clock, and of the CPU, which knows nothing of those who wait for the core."""

    p50: Spread
    p99: Spread
    cpu_p50: Spread
    cpu_p99: Spread


class Row(msgspec.Struct):
    kind: str
    length: str
    ours: Times
    sha: Times
    times_sha: float
    """Median CPU of ours by that of SHA-256."""
    explain_us: float
    """Median of `explain`."""


class Result(msgspec.Struct):
    rows: list[Row]


def run(size: Size, cores: Cores) -> Result:
    cores.pin([os.getpid()], cores.measured)
    try:
        content = Content.read(Sources())
        scorer = Scorer(content.model, content.terms, content.allow)
        source = random.Random(SEED)  # noqa: S311 - repeatable, not secret
        rows = []
        for length, calls in ((SHORT, size.short_calls), (LONG, size.long_calls)):
            for kind, words in WORDS.items():
                texts = _texts(source, words.split(), length, size.texts if length == SHORT else 8)
                rows.append(_measure(scorer, kind, length, texts, calls, size))
            texts = [_unseen(source, length) for _ in range(size.texts if length == SHORT else 8)]
            rows.append(_measure(scorer, UNSEEN, length, texts, calls, size))
        return Result(rows)
    finally:
        cores.pin([os.getpid()], cores.load)


def _texts(source: random.Random, words: Sequence[str], length: int, count: int) -> list[str]:
    """`count` texts of 200 characters, or of 16 KiB."""
    made = []
    for _ in range(count):
        text = " ".join(source.choices(words, k=length))
        made.append(text[:length] if length == SHORT else text.encode()[:length].decode(errors="ignore"))
    return made


def _unseen(source: random.Random, length: int) -> str:
    """A text of as many characters, which are bytes, of words of 2 to 9 letters."""
    words = ("".join(source.choices(ascii_lowercase, k=source.randint(2, 9))) for _ in range(length // 3 + 1))
    return " ".join(words)[:length]


def _measure(scorer: Scorer, kind: str, length: int, texts: Sequence[str], calls: int, size: Size) -> Row:
    name = f"{length} characters" if length == SHORT else f"{length >> 10} KiB"
    encoded = [text.encode() for text in texts]
    for text in texts:
        scorer.score(text)
    ours, theirs = _Calls(), _Calls()
    for _ in range(size.rounds):
        for call in range(calls):
            number = call % len(texts)
            ours.time(scorer.score, texts[number])
            theirs.time(_sha256, encoded[number])
        ours.end()
        theirs.end()
    explained = _Calls()
    for text in texts[: size.explained]:
        explained.time(scorer.explain, text)
    explained.end()
    row = Row(kind, name, ours.times, theirs.times, ours.cost / theirs.cost, explained.times.p50.median)
    say(f"score: {name}, {kind}: p50 {row.ours.p50.median:.1f} us, p99 {row.ours.p99.median:.1f} us")
    return row


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


class _Calls:
    """Times of calls, in rounds."""

    def __init__(self) -> None:
        self._wall: list[int] = []
        self._cpu: list[int] = []
        self._rounds: list[tuple[float, float, float, float]] = []

    def time(self, call: Callable[[T], object], argument: T) -> None:
        spent = time.thread_time_ns()
        began = time.perf_counter_ns()
        call(argument)
        self._wall.append(time.perf_counter_ns() - began)
        self._cpu.append(time.thread_time_ns() - spent)

    def end(self) -> None:
        wall, cpu = sorted(self._wall), sorted(self._cpu)
        middle, late = len(wall) // 2, len(wall) * 99 // 100
        self._rounds.append((wall[middle] / 1000, wall[late] / 1000, cpu[middle] / 1000, cpu[late] / 1000))
        self._wall, self._cpu = [], []

    @property
    def times(self) -> Times:
        p50, p99, cpu_p50, cpu_p99 = (Spread.of(values) for values in zip(*self._rounds, strict=True))
        return Times(p50, p99, cpu_p50, cpu_p99)

    @property
    def cost(self) -> float:
        return self.times.cpu_p50.median
