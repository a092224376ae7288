"""Harmless sentences that are a word or two away from hostile ones, and hostile words in their plain sense.

Without them the pieces of `training.crafted` would count by themselves: `i will find you` is followed by `a book`, too.
As in `training.ordinary`, one frame in six of `CONTRASTS` is kept out of training.
"""

from __future__ import annotations

import random
from typing import Final

from training.ordinary import SLOTS, Slots, fill, parts, sentence

_FILLERS: Final = """\
star: star|genius|legend|angel|hero|gem|treasure|lifesaver|champion|rock star|natural|wizard|pro|expert|great mentor|\
good friend|patient teacher|fast learner|born leader|kind soul|brilliant student|mentor|student|doctor|nurse|teacher|\
engineer|lawyer|member|guest|beginner|volunteer|parent|manager|first-year|night owl|dog person|python developer|\
team player
nice: kind|smart|clever|brave|patient|funny|helpful|generous|talented|lovely|amazing|brilliant|wonderful|awesome|\
great|right|welcome|early|late|busy|nearly there|on mute|tired|quiet|close to the answer|good at this|invited|sharp|\
inspiring
silly: idiot|fool|failure|loser|moron|fraud|burden|clown|coward|disappointment|mess|bad student|dummy|disaster|nobody
seen: slides|code|notes|essay|draft|results|schedule|calendar|invoice|screen|graph|proof|plot|poster|repository|\
figures|timetable|address|contract|answer|homework|recording|recipe|garden|kitchen|new office|reading list|\
feedback form|presentation|pull request|log file|solution|certificate|cv|garage|bike|cat|puppy|baby
deed: kill|destroy|beat|smash|cut|burn|break|crush|hit|attack|shoot|chop|bury|drop|murder|punch|hang|execute|strip|\
bang out
aim: process|exam|deadline|bug|record|high score|test|target|onions|toast|build|egg whites|old branch|cache|database|\
gym|marathon|scene|second goal|ball|penalty|drums|piano piece|nail|backlog|to-do list|boss in level three|other team|\
competition|chess game|weeds|cron job|garlic|calories|paper jam|wood|bread|piñata|server|docker container|\
record table
tool: knife|hammer|baseball bat|axe|screwdriver|saw|drill|rope|cake|camera|guitar|laptop|lunch box|projector|tent
wear: suit|tie|name badge|lab coat|helmet|jacket|scarf|mask|gown|pair of headphones|raincoat|apron|costume|sari
fee: $20|£15|500 dollars|€9.50|$1,200|40 pounds|rs 300|$99|5 euros|£2,000|30k|$50 an hour|10% off|free
page: https://meet.example/abc-defg|http://docs.example/start|www.library.example|github.com/acme/repo|\
the calendar invite|https://forms.example/q7|the shared folder|zoom.us/j/8412|the course page|\
http://wiki.example/howto|the handbook
"""
_SLOTS: Final[Slots] = {
    **SLOTS,
    **{line.split(": ")[0]: line.split(": ")[1].split("|") for line in _FILLERS.splitlines()},
}

CONTRASTS: Final = """\
you are a {star}|you are a {star}|you're a {star}|you're such a {star}|you are an absolute {star}|you are so {nice}|
you're so {nice}|you are really {nice}, {name}|you are too {nice}|you are {nice}|you are all {nice}|u r so {nice}|
what a {star}|what a {star} you are|{name} is a {star}|{name} is such a {star}|he is a {star}|she's so {nice}|
they are all {nice}|are you a {star}?|are you {nice}?|how {nice} you are!|how can one person be so {nice}?|
why are you so {nice}?|i am a {silly}|i feel like a {silly}|i am such a {silly}|what a {silly} i am|
i was a {silly} to skip the lecture|i'm so stupid, i forgot the {seen}|i feel dumb in this class|
i feel so stupid right now|sorry, stupid question|sorry for the dumb question|
this may be a dumb question about {topic}|my brain is useless today|my code is garbage, can you help?|
my english is bad, sorry|my {seen} looks ugly|this {aim} is driving me crazy|damn, i forgot the {seen}|
oh shit, wrong window|that was a stupid mistake of mine|the stupid printer ate my {seen}|i hate this {aim}|
i hate mondays|i hate {topic}|i hate it when the {aim} fails|{topic} sucks|this weather sucks|the wifi here sucks|
fuck, i lost the {seen}|fuck yes, i passed|this is fucking awesome|that's sick, well done|
he called me a {silly} and i am upset|the {silly} is a character in the play|it's not your fault|nobody is perfect|
everybody likes you|everybody in the group likes you|nobody asked me|the whole group thanks you|shut the door please|
shut down the server|i will shut up now and listen|go home and rest|get lost in a good book|get well soon|go to bed|
i love you all|i love this group|i miss you|miss you, friend|i will {deed} the {aim}|i will {deed} the {aim} {day}|
i'm going to {deed} the {aim}|i'll {deed} the {aim} after lunch|i want to {deed} the {aim}|
i want to {deed} that {aim}|we will {deed} the {aim} {day}|we are going to {deed} the {aim}|let's {deed} the {aim}|
how do i {deed} the {aim}?|can you {deed} the {aim}?|did you {deed} the {aim}?|please {deed} the {aim} at {time}|
you should {deed} the {aim}|you will {deed} this {aim}|you are going to {deed} it|you killed it yesterday|
you are killing it|you're on fire today|i could kill for a coffee|i would kill for that job|i'm dying of laughter|
i'm dead, so funny|i nearly died when the {aim} crashed|i'm going to hit the books|i'm going to beat you at chess|
we will beat you in the quiz {day}|i'll crush the interview|i'll call you {day}|i'll call you at {time}|
i will call you tonight|i will find you a book about {topic}|i will find you a mentor|i'll find you at the entrance|
i'll find out and tell you|i'll come and see you {day}|i am coming to {place} {day}|i am coming to your talk|
i am coming for the workshop {day}|we are coming to your office at {time}|i'm outside your office|
i'm waiting outside the room|i know where you live, i can drop the {seen} off|i know where the office is|
i know where to park|i know your sister from school|your kids are lovely|how are your kids?|how is your mother?|
your mother must be proud of you|say hi to your family|my brother will help you move {day}|bring a {tool} {day}|
i'll bring a {tool} {day}|i have a {tool} if you need one|can i borrow your {tool}?|i bought a {tool}|see you {day}|
see you at the station at {time}|you will pay {fee} for the course|you will regret nothing, the course is great|
i regret missing your talk|you won't believe it|you will not regret this|you deserve a break|you deserve the prize|
you deserve to be heard|you deserve to pass|i hope you win|i hope you pass|i hope you sleep well|
i hope you feel better {day}|i hope your mother gets well|this is your last reminder for the survey|
this is the last call for abstracts|last warning before the server restarts|do that again and it works|
try that again and tell me what happens|if you tell me the error i can help|if you leave now you catch the train|
if i see you {day} i will bring the {seen}|give me the {seen} or i can't grade it|give me a minute|
you are next in the queue|you're next, {name}|watch your step on the ice|watch your back when you lift the boxes|
watch out for the wet floor|sleep well|my back hurts|my head hurts after {topic}|my teeth hurt, i am at the dentist|
the gun in act one must fire in act three|the bomb in the novel goes off in chapter {num}|
there was a fire drill {day}|a man was shot in the news, terrible|
the police came because of a knife attack in {place}|send me the {seen}|send me your {seen}|
send me a picture of the {seen}|send me a photo of the {seen} {day}|show me your {seen}|show me the {seen}|
can i see your {seen}?|can i see the {seen}?|can i touch the {seen}?|i want to see your {seen}|
i want to see you at the workshop|i want to meet you {day}|i would love to see your {seen}|
i would love to visit you {day}|let me see your {seen}|let me see the {seen}|i like your {seen}|i love your {seen}|
nice {seen}|nice {seen}, well done|how big is your {seen}?|how big is the dataset?|how long is your {seen}?|
i keep thinking about your {seen}|i was thinking about your {seen}|i dreamed about the exam|you have a nice {seen}|
your {seen} looks good|your {seen} is great|turn on your camera|turn your camera on please|turn on the light|
what are you wearing to the interview?|what should i wear to the ceremony?|wear a {wear} {day}|
i will wear a {wear} {day}|take off the {wear}|put on a {wear}|are you free {day}?|are you free for a call at {time}?|
are you alone on the project?|are you single-threaded or async?|do you want to meet {day}?|do you want to join?|
do you want my {seen}?|wanna study together {day}?|wanna grab lunch {day}?|wanna see my {seen}?|let's meet {day}|
let's have lunch {day}|let's take a break|let's do it {day}|come over to my desk|come to my office at {time}|
come to our party {day}|come sit with us|sit next to {name}|open your books|open the second tab|bend the wire|
get on the bus at {time}|spread the word|feel free to ask|play with the settings|we can ride bikes {day}|
i kissed my kids goodbye|we kissed at our wedding|i gave birth {day}|i have my period and will stay home|
breastfeeding room is on floor {num}|sex education class is {day}|same sex marriage became legal in {num}|
the sex ratio is {num} to {num}|the sexual harassment training is {day}|good girls and bad boys, a film|
your secret is safe with me|i will pay you back {day}|i'll pay {fee} for the ticket|the fee is {fee}|it costs {fee}|
the ticket is {fee} at {page}|the workshop is free|the workshop is free for members|free coffee in room {num}|
free entry for students {day}|there is a free place in my group|i have a free hour {day}|
i got a free ticket, want it?|you won the chess match, congratulations|congratulations on your new job|
congratulations {name}, you passed|congratulations, your paper was accepted|we won a prize of {fee}|
the prize for the best poster is {fee}|apply for the grant of {fee} by {day}|the scholarship pays {fee}|
my salary is {fee}|the job pays {fee}|the internship is paid, {fee}|my rent is {fee}|i owe you {fee}|
here is {fee} for the pizza|i earn {fee} as a tutor|i sold my old phone for {fee}|how do i invest my savings?|
what is bitcoin?|the talk on crypto is {day}|i wrote a paper about bitcoin|our stock portfolio lost {num} percent|
i need a loan for my studies|which bank has student accounts?|my bank account is empty|my bank asks for my {seen}|
my account is locked, can you reset it?|i can't log in to my account|please update your password {day}|
please verify the numbers in part {num}|please confirm by {day}|please confirm the booking at {page}|
please reply by {day}|please call the office|please call me back at {time}|call me when you are free|
call me on {num} {num} {num}|text me when you arrive|text me the address|message me on whatsapp|
add me on telegram, my name is {name}|join the call at {page}|join us {day}, {page}|join the group at {page}|
click {page} to join|click on the link in {page}|the link is {page}|see {page}|look at {page} for the notes|
sign up for the workshop at {page}|register at {page} by {day}|order the book at {page}|
subscribe to the newsletter at {page}|follow me on github|my channel has {num} subscribers|
your parcel arrived at the front desk|your parcel is at my place|your order is ready|
your appointment is confirmed for {day} {time}|your booking for {day} is confirmed|your code is {num}|
your subscription renews {day}|your invoice for {day} is {fee}|your refund of {fee} was sent|the offer ends {day}|
the sale starts {day}|buy milk and eggs|can somebody proofread my essay?|who writes the report?|
i write essays for a student magazine|help with homework is on {day}|the exam is {day}, no cheating|
my driving licence came {day}|my visa was approved|the winner gets a t-shirt|limited seats, sign up early|
only {num} seats left for the workshop|urgent: the room changed to {num}|important: bring your passport|
last chance to submit the {thing}""".replace("\n", "").split("|")

# Words of hostile sentences in their plain sense, greetings, and what is said in a word or two.
LITERAL: Final = """\
tighten the screw a little|the screw is loose|a box of screws and bolts from the shop|the nuts and bolts of {topic}|
use a nut and a washer, not glue|the vacuum cleaner sucks up the dust|suck the air out with a pump|
lick the envelope and send it|the baby sucks its thumb|the stupid joke made me laugh|the dumb waiter in the old hotel|
a dumb terminal and a fat client|the fat in milk is {num} percent|a fat cat sleeps on my keyboard|
ugly duckling is the next story|the ugly sweater party is {day}|this is an ugly hack, but it works|
that was a lazy evaluation bug|lazy loading of the {aim}|a dirty read in the database|
dirty dishes in the sink, please wash|the dog is dirty, wash him|garbage collection in {lang}|
take out the garbage {day}|trash and rubbish go in the green bin|the trash can is full|empty the trash folder|
the rat in the maze learned in {num} trials|mice and rats in the lab|a pig farm near {place}|
guinea pig for my experiment, anyone?|cows and goats in the field|the monkey ate a banana|monkey patching in {lang}|
a donkey carried the bags|the worm turned {num} pages|parasites of fish, lecture {num}|the leech in medicine|
cockroaches in the kitchen, call the landlord|lice at school, check your kids|snakes and ladders {day}|
the toad sat in the garden|a clown came to the party|the fool in king lear|village idiots, a play in {place}|
crime and punishment by {day}|thieves stole my bike|criminals and the law, seminar {day}|
the terrorist attack is the topic of the film|a savage storm hit {place}|the disease spread in {place}|
the plague by camus|cancer cells divide fast|filth in the river near {place}|the weather is disgusting|
the food was disgusting|this coffee is terrible|vile weather in {place}|my evil plan is to finish early|
a dangerous road near {place}|violent storms {day}|the body was found in the river, says the book|
skeletons with broken legs and skulls in the grave|he was hanged in {num} for treason|
the king was beheaded in {place}|the witch was burned in {num}|soldiers were shot at dawn in the film|
the teeth and jaw of the fossil|broke my arm skiing|i cut my finger on the knife|my neck hurts from the screen|
put your hands up if you know the answer|hands on your head, feet together, stretch|
push your hips back and keep your chest up|naked eye observations of mars|the naked mole rat|bare metal servers|
strip the wire and twist it|strip the whitespace from the string|a hot summer in {place}|the hot path in the {proc}|
it is so hot in room {num}|wet paint on the door|the bed is broken, call housekeeping|go to bed early before the exam|
breast and cervical screening {day}|nipple shields for breastfeeding|the bum leg in the long jump|
the cock crowed at dawn|dickens and tits, birds and books|white balance and black point in the photo|
black and white keys on the piano|abort, retry, fail|a fatal error in the {proc}|the {proc} died at {time}|
the {proc} was killed by the system|the {proc} hangs|say hi to {name} from me|say hello to your parents|
say hi to your sister|greetings to your family|regards to your mother|best wishes to your kids|give my love to {name}|
kiss the baby for me|my family says hi|how is your family?|is your mother well?|is your brother still in {place}?|
your wife called the office|your dog is lovely|bring your kids {day}|i bought a new {tool}|i bought a {seen}|
i lost my {tool}|my {tool} is broken|where is the {tool}?|we need a {tool} for the set|the bat flew out of the cave|
the gun in the museum is from {num}|bath bomb recipe|a bomb shelter from the war|acid rain and burning coal|
fire drill at {time}|your time slot is {time}|time is up, please put your pens down|your turn, {name}|you are muted|
you are breaking up|you froze|you dropped out|you cut out for a second|you broke the build|you hit the limit|
you owe me a coffee|you scared me, i thought the {seen} was gone|we would be happy to have you in the group|
we are happy with your work|you will see the morning sun from there|you will see the results {day}|
i dream of a job in {place}|i had a dream about {place}|send me your address|send me your number|send me the bill|
send your cv by {day}|what is your password policy?|your address changed?|{fee} per month for the flat|
the price of gold fell {num} percent|stocks and shares in my case study|the lottery in the short story|
the casino of {place}, a case in statistics|thx|tysm|np|yw|brb|afk|gtg|idk|ikr|tbh|imo|fyi|lmk|omw|hbu|wyd|nvm|gg|pls|
k|kk|yep|nope|yup|hm|oh|hi|hey|yo|ta|cheers|bye|cya|ttyl|same|nice|cool|sure|done|ready|here|coming|wait|sorry|oops|
ouch|wow|yay|hehe|haha|lol|ping|ack|lgtm|wip|wfh|eta?|why|what|who|when|where|how|really?|+1""".replace("\n", "").split(
    "|"
)


def contrasts(count: int, seed: int, *, heldout: bool = False) -> list[str]:
    """Messages that differ from hostile ones by a word or two."""
    source = random.Random(seed)  # noqa: S311 - repeatable, not secret
    frames = parts(CONTRASTS, heldout)
    return [sentence(frames, source, heldout, _SLOTS) for _ in range(count)]


def literal(count: int, seed: int) -> list[str]:
    """Messages with a hostile word in its plain sense, and very short ones."""
    source = random.Random(seed)  # noqa: S311 - repeatable, not secret
    found = []
    for _ in range(count):
        alone = source.random() < 0.3
        frame = (
            fill(source.choice(LITERAL), source, False, _SLOTS) if alone else sentence(LITERAL, source, False, _SLOTS)
        )
        found.append(frame)
    return found
