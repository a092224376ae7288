"""Threats, sexual advances and offers from frames: heads for which the public data have few labels."""

from __future__ import annotations

import math
import random
import re
from typing import Final

from training.ordinary import CLOSINGS, NAMES

Five = tuple[float, float, float, float, float]

_FILLERS: Final = """\
hurt: kill|hurt|beat|stab|shoot|strangle|smash|break|slap|punch|destroy|murder|drown|burn|rape|cut
body: face|legs|arms|neck|head|teeth|fingers|bones|skull|jaw
whom: you|you|you|you|your family|your sister|your kids|your mother|your dog|her|him|them|all of you
when: tonight|tomorrow|after class|when you leave|one day|soon|next time|at the station|on monday
part: tits|boobs|ass|pussy|legs|body|dick|cock|nudes|underwear|bra|panties
act: fuck|lick|touch|ride|suck|spank|undress|taste|bang|screw
sum: $500|£1000|5000 dollars|$250 a day|10k a week|1 btc|$3000
coin: bitcoin|crypto|forex|usdt|ethereum|binary options|nft
site: http://win-prize.example|www.cash-now.biz|bit.ly/2xyz|t.me/easyprofit|my profile link
thing: prize|gift card|iphone|voucher|holiday|reward|loan|refund|grant|bonus
"""
_SLOTS: Final = {
    "name": NAMES,
    **{line.split(": ")[0]: line.split(": ")[1].split("|") for line in _FILLERS.splitlines()},
}

THREATS: Final = """\
i will {hurt} {whom}
i will {hurt} {whom} {when}
i'm going to {hurt} {whom} {when}
im gonna {hurt} {whom}
i'll {hurt} your {body}
i want to {hurt} {whom}
i swear i will {hurt} {whom}
i am coming to {hurt} {whom} {when}
i know where you live and i will {hurt} {whom}
i know where you live
i know which school your kids go to
watch your back {when}
watch your back, {name}
you are dead {when}
you're a dead man
you will not see the morning
you will pay for this with blood
you better run
you will regret this, i will find {whom}
i will find you and {hurt} {whom}
i will make sure you never walk again
say that again and i {hurt} {whom}
do that again and i'll {hurt} your {body}
if i see you {when} i will {hurt} {whom}
if you tell anyone i will {hurt} {whom}
tell anyone and i {hurt} {whom}
give me your password or i {hurt} {whom}
pay me or i will post your pictures
send me money or i leak your photos
i have a gun and i am coming for {whom}
i'm bringing a knife {when}
someone should {hurt} {whom}
somebody please {hurt} {whom}
{name} deserves to be shot
you deserve to die
you should be hanged
i hope someone {hurt}s {whom}
we are going to burn your house down
we will bomb your school {when}
i will break every bone you have
sleep with one eye open
you wont be safe {when}
this is your last warning before i {hurt} {whom}\
""".splitlines()

# Abuse for certain; whether it is a threat, the data do not agree.
WISHES: Final = """\
i hope you die
go kill yourself
kill yourself
kys
just die already
do everyone a favour and jump off a bridge
drink bleach and die\
""".splitlines()

ADVANCES: Final = """\
send me nudes
send me a picture of your {part}
show me your {part}
can i see your {part}?
what are you wearing under that?
take off your clothes for me
turn the camera on and show your {part}
i want to {act} you
i want to {act} your {part}
i would love to {act} you {when}
let me {act} you
i keep thinking about your {part}
you have a sexy {part}, i am so horny
nice {part}, wanna {act}?
are you a virgin?
do you touch yourself at night?
have sex with me and you pass
sleep with me and i help you with the exam
wanna hook up {when}? no one has to know
come sit on my {part}
suck my {part}
i'm so hard right now
you make me so wet
let's have sex {when}
i will pay for a private video of your {part}
how big is your {part}?
don't tell your parents, send a photo without clothes
you look so fuckable
i jerked off to your profile picture
can we cyber? i am horny\
""".splitlines()

OFFERS: Final = """\
congratulations! you have won a {thing}, claim now at {site}
you have been selected for a free {thing}, click {site}
win {sum} now, text WIN to 86688
free {thing} for you! reply YES to claim
earn {sum} from home, no experience needed, contact {name} on whatsapp
make {sum} with {coin}, guaranteed profit, message me now
double your {coin} in 24 hours at {site}
invest in {coin} today, i turned a small deposit into {sum}
cheap essays written for you, {sum} only, order at {site}
buy followers cheap at {site}
urgent! your account is blocked, verify at {site}
your parcel is waiting, pay the fee at {site}
you are owed {sum}, call 09061701461 to claim your {thing}
get a loan of {sum} today, no credit check, {site}
hot singles near you, join free at {site}
limited offer! {thing} worth {sum}, act now {site}
dear friend, i have {sum} in a bank and need your help
i was helped by a trader called {name} who recovered my {coin}, write to him at {site}
call now 08712400603 for your {thing}, 150p/min
subscribe to my channel and get a {thing}: {site}\
""".splitlines()

_SLOT = re.compile(r"\{(\w+)\}")
_KINDS: Final[tuple[tuple[list[str], Five, int], ...]] = (
    (THREATS, (1.0, 0.0, 0.0, 1.0, 0.0), 6_000),
    (WISHES, (1.0, 0.0, 0.0, math.nan, 0.0), 800),
    (ADVANCES, (1.0, 0.0, 1.0, 0.0, 0.0), 4_000),
    (OFFERS, (0.0, 0.0, 0.0, 0.0, 1.0), 3_000),
)


def crafted(seed: int) -> list[tuple[str, Five]]:
    """Texts with their labels, in the order abuse, hate, sexual, threat, spam."""
    source = random.Random(seed)  # noqa: S311 - repeatable, not secret
    found = []
    for frames, label, count in _KINDS:
        for _ in range(count):
            text = _SLOT.sub(lambda match: source.choice(_SLOTS[match[1]]), source.choice(frames))
            found.append((text + source.choice(CLOSINGS).replace(" thanks!", ""), label))
    return found
