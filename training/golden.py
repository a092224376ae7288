"""Texts and the exact scores that a model of noise gives them: `tests/moderation/golden.json`."""

from __future__ import annotations

import json

from training.reference.model import logits, noise, random_model, scores

SEED = 1

# Each text is already normalised: its words are what stands between the spaces.
TEXTS = """\
a
ok
hello there
thanks for the session today , see you on tuesday
you are a complete idiot
i
can you review my pull request before noon ?
kill the worker process and restart it
the master branch is behind by three commits
send me the slides please
don't worry , it's fine
that's what i meant
auser did you see url yet ?
see url
! ! !
😀
😀 😀 great work 👍 !
see you at the café de la gare
the naive bayes model beats my baseline by 3 percent
h264 and mp3 and python3
मुझे कल मिलते हैं
धन्यवाद , आपका दिन शुभ हो
سلام ، حالت چطور است
ممنون از کمک شما
谢谢 你 的 帮助
привет как дела
καλημέρα σας
how is your thesis going ? mine is a mess
supercalifragilisticexpialidocious
pneumonoultramicroscopicsilicovolcanoconiosis is a word
aa bb cc dd ee ff gg
x
win a free prize now call 09061701461 claim code kl341
i will find you and hurt you
the patient presented with breast cancer in 2019
section 18c of the act concerns hate speech
let us integrate by parts : u dv = uv minus v du
the the the the the the the the
my favourite novel is moby dick
scunthorpe and penistone are towns in england
arsenal won the match
she lives in essex
people people people
they are vile
they are great
0
12 34 56
# maga
( see the notes below )
end\
""".splitlines()


def cases() -> list[list[str]]:
    """The words of every case: the texts above, and long ones around the edges of the windows."""
    source = noise(SEED)
    known = sorted({word for text in TEXTS for word in text.split()})
    found = [text.split() for text in TEXTS]
    return found + [[known[next(source) % len(known)] for _ in range(count)] for count in (256, 257, 448, 449, 700)]


def golden() -> str:
    """The file's contents: for each case its words, its logits in Q16 and its scores in 1/65536."""
    model = random_model(SEED)
    lines = []
    for words in cases():
        case = {"words": words, "logits": logits(model, words), "scores": scores(model, words)}
        lines.append("    " + json.dumps(case, ensure_ascii=False))
    return f'{{\n  "noise": {SEED},\n  "cases": [\n' + ",\n".join(lines) + "\n  ]\n}\n"
