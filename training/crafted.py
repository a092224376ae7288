"""Insults, hatred, threats, sexual advances and offers from frames: what the public data have in other words or few of.

As in `training.ordinary`, one frame in six is kept out of training; probabilities are fitted on what is made of it.
"""

from __future__ import annotations

import math
import random
import re
from typing import Final

from training.ordinary import CLOSINGS, GROUPS, NAMES, ORDINARY, PERSONS, parts, sentence

Five = tuple[float, float, float, float, float]

_FILLERS: Final = """\
fool: idiot|moron|imbecile|fool|loser|dumbass|cretin|dimwit|halfwit|dunce|jerk|clown|airhead|simpleton|numbskull|\
jackass|asshole|arsehole|bastard|prick|dick|dickhead|wanker|twat|bitch|cunt|slut|whore|scumbag|douchebag|douche|creep|\
weirdo|freak|pig|cow|rat|snake|worm|parasite|leech|liar|coward|fraud|hypocrite|piece of shit|piece of garbage|\
waste of space|waste of oxygen|disgrace|failure|nobody|crybaby|snowflake|psycho|lunatic|nutcase|tosser|git|bellend|\
knobhead|motherfucker|retard|spastic|troll|nitwit|bonehead|blockhead|pea brain|shithead|fuckwit|fucker|sack of shit|\
ignoramus|donkey|goat|toad
foul: stupid|dumb|fucking|pathetic|worthless|useless|ugly|fat|disgusting|lazy|miserable|brainless|ignorant|filthy|\
lousy|sad|spineless|arrogant|lying|cheating|stinking|vile|retarded|clueless|hopeless|incompetent|mindless|gutless|\
bloody|goddamn|damn|slimy|smelly|nasty|hideous|crazy|insane|talentless|annoying|two-faced|rotten|dense|thick
very: |so|so fucking|really|such an absolute|too|just|totally|clearly|obviously|incredibly|unbelievably
work: code|essay|thesis|presentation|english|accent|advice|feedback|face|voice|work|cv|drawing|project|lesson|\
teaching|homework|questions|portfolio|music|opinion|report|spelling|comments
bad: shit|crap|garbage|trash|rubbish|a joke|worthless|an insult|pathetic|embarrassing|disgusting|a disgrace|vomit|\
awful
animal: monkey|pig|dog|cow|donkey|sheep|rat|ape|hyena|vulture|hamster|goldfish|potato|brick|doorknob|toddler
kin: mother|mum|mom|father|dad|parents|sister|wife|husband|family|boyfriend|girlfriend
all: team|class|group|cohort|office|course|school|department|club|chat
vile: vermin|animals|savages|criminals|thieves|rapists|terrorists|parasites|rats|cockroaches|scum|filth|trash|\
subhuman|monkeys|apes|pigs|dirty|filthy|stupid|lazy|evil|disgusting|inferior|primitive|violent|dangerous|liars|cheats|\
freaks|perverts|degenerates|mentally ill|a disease|a plague|a cancer|worthless|barbarians|invaders|the worst|garbage|\
leeches|greedy|backward|unclean|retarded|ugly|smelly|cowards|crooks|dogs|too stupid to work here|all the same
slur: nigger|niggers|kike|kikes|faggot|faggots|tranny|trannies|dyke|dykes|chink|chinks|gook|spic|spics|wetback|paki|\
pakis|raghead|ragheads|towelhead|sandnigger|coon|coons|gypsy scum|gyppo|pikey|abo|beaner|beaners|shemale|fag|fags|\
camel jockey|goatfucker|muzzie|mudslime|zipperhead|curry muncher|poof|queer scum|homo|cripple|mongoloid
hurt: kill|hurt|beat|stab|shoot|strangle|smash|break|slap|punch|destroy|murder|drown|burn|rape|cut|choke|bury|end|\
kick|attack|behead|poison|torture|hang|crush|skin|gut|run over|beat up|hit|knife|harm
done: killed|hurt|beaten|stabbed|shot|strangled|slapped|punched|murdered|drowned|burned|raped|hanged|beheaded|lynched|\
beaten up|gassed|tortured|executed|buried alive
body: face|legs|arms|neck|head|teeth|fingers|bones|skull|jaw|throat|nose|ribs|knees|eyes|hands
whom: you|you|you|you|you|you all|your family|your sister|your kids|your mother|your dog|your brother|your wife|\
your whole family|her|him|them|all of you|both of you|everyone there|every one of you
when: tonight|tomorrow|after class|when you leave|one day|soon|next time|at the station|on monday|this weekend|\
at school|in your sleep|before the exam|outside|at your door|when i see you|this evening|on friday
tool: knife|gun|bat|hammer|rifle|pistol|machete|axe|bomb|baseball bat|brick|razor|rope
home: house|flat|home|office|school|car|dorm|place|room
part: tits|boobs|ass|pussy|naked body|dick|cock|nudes|underwear|bra|panties|breasts|butt|booty|nipples|titties
act: fuck|lick|touch|ride|suck|spank|undress|taste|bang|screw|kiss|shag|grope|fondle|finger|massage|pound|eat
hot: hot|sexy|horny|naughty|kinky|wet|turned on|naked|hard|nude|aroused|dirty
less: naked|nude|topless|in your underwear|without clothes|in a bikini|without your shirt|in the shower|in bed|\
undressed
deal: pass you|give you an a|write the reference|raise your grade|sign the form|get you the job|\
help you with the exam|mentor you for free|waive the fee|recommend you|give you the internship
sum: $500|£1000|5000 dollars|$250 a day|10k a week|1 btc|$3000|€2000 a week|$50 per hour|1 million dollars|£750|\
300 dollars a day|$99|2000 usd|50,000 rupees|rs 5000 daily|$10,000|20 euros|£5|4,500 pounds
coin: bitcoin|crypto|forex|usdt|ethereum|binary options|nft|stocks|gold|our fund|a trading bot|day trading|dogecoin|\
shares
site: http://win-prize.example|www.cash-now.biz|bit.ly/2xyz|t.me/easyprofit|my profile link|http://claim.example/now|\
www.bonus24.example|tinyurl.com/x9k2|https://secure-pay.example/id?u=7|wa.me/19005550100|the link in my bio|\
http://offers.example|www.free4u.co.example|this link|our website|t.me/vipsignals|http://login-check.example
thing: prize|gift card|iphone|voucher|holiday|reward|loan|refund|grant|bonus|laptop|ps5|cash prize|cruise|\
weekend trip|macbook|coupon|jackpot|lottery ticket|scholarship|samsung tv|ringtone|500 minutes|camera phone|\
membership|watch|car|ipad
code: 86688|80082|85069|84199|60400|89555|50505|81010|66099|85233
tel: 09061701461|08712400603|0800 169 6031|08000930705|+44 906 1743386|0906 346 3300|1-900-555-0134|08719 180 248
paper: essays|dissertations|assignments|theses|term papers|homework|lab reports|coursework|programming projects|exams
fake: degrees|diplomas|certificates|ielts certificates|toefl scores|passports|visas|driving licences|transcripts
pill: viagra|cialis|weight loss pills|diet pills|steroids|slimming tea|painkillers|botox|hair growth oil|\
sleeping pills
fans: followers|subscribers|likes|views|reviews|members|upvotes|comments
bank: paypal|netflix|amazon|bank|visa|apple|hsbc|icloud|whatsapp|facebook|instagram|gmail|paytm|microsoft|post office
app: whatsapp|telegram|signal|text|dm|instagram|email|messenger|phone|inbox
"""
_SLOTS: Final = {
    "name": NAMES,
    "groups": [group for at, group in enumerate(GROUPS) if at % 6 != 5],
    "person": [person for at, person in enumerate(PERSONS) if at % 6 != 5],
    **{line.split(": ")[0]: line.split(": ")[1].split("|") for line in _FILLERS.splitlines()},
}

INSULTS: Final = """\
you are a {fool}|you are a {foul} {fool}|you're a {fool}|you're a {foul} {fool}|you are an {fool}|
you're an {foul} {fool}|you are {very} {foul}|you're {very} {foul}|ur {very} {foul}|u r a {fool}|you {fool}|
you {foul} {fool}|you {foul} {foul} {fool}|{name} is a {foul} {fool}|{name} is a {fool}|{name}, you {fool}|
{name}, you are a {fool}|he is a {foul} {fool}|she is a {foul} {fool}|he's such a {fool}|she's such a {foul} {fool}|
they are all {foul} {fool}s|you are all {fool}s|you lot are {foul} {fool}s|what a {fool}|what a {fool} you are|
what a {foul} {fool}|what an {fool} you are|only a {fool} would ask that|only a {foul} {fool} would write this|
any {fool} can see that, but not you|are you {foul} or what?|are you really that {foul}?|are you {foul}?|
how {foul} are you?|how can anybody be this {foul}?|how can one person be so {foul}?|why are you so {foul}?|
why are you such a {fool}?|do you have a brain, {fool}?|do you even have a brain?|use your brain for once, {fool}|
shut up|shut up, {fool}|shut up you {foul} {fool}|shut the fuck up|shut the fuck up, {name}|shut your {foul} mouth|
just shut it, {fool}|stfu|stfu {fool}|fuck you|fuck you {name}|fuck you and your {work}|fuck you, you {foul} {fool}|
fuck off|fuck off {fool}|fuck off and leave us alone|go fuck yourself|screw you, {name}|screw you and your {work}|
piss off|piss off, {fool}|get lost, {fool}|get lost, nobody wants you here|get out of here, you {fool}|go to hell|
go to hell, {name}|go to hell with your {work}|rot in hell, {fool}|eat shit|eat shit and die|kiss my ass|
suck it, {fool}|up yours, {fool}|drop dead, {fool}|you suck|you suck at everything|you suck and so does your {work}|
your {work} sucks|your {work} is {bad}|your {work} is {bad} and so are you|your {work} is {bad}, {fool}|
this is the work of a {foul} {fool}|a {animal} could do better than you|a {animal} has more brains than you|
you have the brain of a {animal}|you write like a {foul} {animal}|you look like a {foul} {animal}|
you stink like a {animal}|you are as dumb as a {animal}|nobody likes you|nobody likes you, {name}|
nobody likes you, you {fool}|everybody hates you|the whole {all} hates you|the {all} is laughing at you|
everyone in the {all} thinks you are a {fool}|nobody in this {all} wants you, {fool}|
we would all be happier without you in this {all}|i hate you|i hate you so much, you {fool}|i hate your {foul} face|
i can't stand your {foul} face|i despise you|you make me sick|you disgust me|you are disgusting, {name}|
you should be ashamed of yourself, {fool}|you are nothing|you are worth nothing|you are worthless and you know it|
you will never amount to anything|you will always be a {fool}|you're too {foul} for this {all}|
you're too {foul} to understand it|you are the {foul}est person i know|you are the worst mentor ever, {fool}|
you are the worst student i have had, a {fool}|you call yourself a mentor? you are a {fool}|
i have never met such a {foul} {fool}|i have never met a bigger {fool}|i'm surrounded by {fool}s|
stop being such a {fool}|stop acting like a {fool}|don't be such a {fool}|listen, {fool}|
look, {fool}, i told you already|hey {fool}|hey {fool}, answer me|answer me, {fool}|go cry about it, {fool}|
cry more, {fool}|grow up, you {foul} {fool}|get a life, {fool}|go back to school, {fool}|learn to read, {fool}|
learn to spell, you {foul} {fool}|nobody asked you, {fool}|who asked you, {fool}?|mind your own business, {fool}|
who do you think you are, {fool}?|i regret meeting you, {fool}|talking to you is a waste of my time, {fool}|
your {kin} must be ashamed of you|your {kin} is a {fool}|your {kin} is a {foul} {fool}|
your {kin} should have aborted you|even your {kin} hates you|you and your {foul} {kin}|son of a bitch|
you son of a bitch|you ugly piece of shit|you are full of shit|what is wrong with you, {fool}?|
have you lost your mind, {fool}?|you are mentally ill, get help {fool}|you belong in a zoo|you belong in the trash|
you deserve every bad thing that happens to you|i wish you had never been born|
the world would be a better place without you|do the world a favour and go away, {fool}|you fat {fool}|
lose some weight, {fool}|nobody would ever date a {foul} {fool} like you|with a face like yours i would hide|
your face makes me want to puke|you are ugly inside and out|lmao what a {fool}|lol you {fool}|
imagine being this {foul}|bro is a {foul} {fool}|thanks for nothing, {fool}|congratulations, you are a {fool}|
good morning {fool}s|i am sick of you, you {fool}|you ruined everything, you {foul} {fool}|you wasted my time, {fool}|
you lied to me, {fool}|you {foul} liar""".replace("\n", "").split("|")

HATRED: Final = """\
{groups} are {vile}|{groups} are {vile}|all {groups} are {vile}|all {groups} are {vile}|most {groups} are {vile}|
these {groups} are {vile}|those {groups} are {vile} and always will be|{groups} are nothing but {vile}|
everybody knows that {groups} are {vile}|it is a fact that {groups} are {vile}|face it, {groups} are {vile}|
let's be honest, {groups} are {vile}|i hate {groups}|i hate {groups}, they are {vile}|i really hate {groups}|
i fucking hate {groups}|i can't stand {groups}|i despise {groups}|fuck {groups}|fuck all {groups}|fuck the {groups}|
{groups} disgust me|{groups} make me sick|{groups} ruin everything|{groups} ruin our country|
{groups} destroy our culture|{groups} don't belong here|{groups} do not belong in this {all}|
{groups} should not be allowed in this {all}|{groups} should not be allowed to vote|{groups} should not have rights|
{groups} should not have children|{groups} should be banned|{groups} should be locked up|{groups} should be deported|
{groups} should be sterilised|{groups} should all be {done}|{groups} deserve to be {done}|{groups} deserve to die|
{groups} need to be wiped out|{groups} must be exterminated|someone should get rid of all {groups}|
get rid of the {groups}|gas the {groups}|kill all {groups}|burn the {groups}|death to {groups}|deport all {groups}|
send the {groups} back|no {groups} in our {all}|no {groups} allowed|keep {groups} out of our {all}|
keep {groups} away from our children|get the {groups} out of our country|we don't want {groups} here|
nobody wants {groups} here|i don't want {groups} in my {all}|i will not work with {groups}, they are {vile}|
i refuse to be mentored by a {person}|i don't trust {groups}, they are {vile}|never trust a {person}|
never trust {groups}, they lie and steal|never hire a {person}, they are {vile}|a {person} can never be one of us|
a {person} is not a real human|a {person} should know his place|you can't expect brains from a {person}|
what do you expect from a {person}? they are {vile}|typical {person}, lazy and stupid|typical {person}, always lying|
just another {vile} {person}|you {foul} {person}|you dirty {person}|shut up you {foul} {person}|
go back to your country, {person}|go back where you came from, {person}|get out of here, you {foul} {person}|
we should build a wall against {groups}|{groups} are taking over|{groups} are taking our jobs, send them home|
{groups} steal our jobs and rape our women|{groups} are to blame for everything|{groups} breed like rabbits|
{groups} smell|{groups} are too dumb for science|{groups} are less intelligent, it is genetic|{groups} are not human|
{groups} are a threat to our race|{groups} control the banks and the media|the only good {person} is a dead one|
hitler was right about {groups}|hitler did nothing wrong|i am proud to be a nazi|heil hitler, death to {groups}|
white power, {groups} out|our race is superior to {groups}|the world would be better without {groups}|
women belong in the kitchen|women are too emotional to lead|women should shut up and obey|
female engineers are a joke, women can't think|being gay is a sickness|being gay is disgusting and unnatural|
being trans is a mental illness|trans women are men in dresses and disgust me|men in dresses are perverts|{slur}|
you {slur}|you {foul} {slur}|shut up {slur}|fuck off {slur}|go home {slur}|i hate {slur}|no {slur} here|
all {slur} must die|stupid {slur}|dirty {slur}|{name} is a {slur}|what a {slur}|get out, {slur}|
kill the {slur}""".replace("\n", "").split("|")

THREATS: Final = """\
i will {hurt} {whom}|i will {hurt} {whom} {when}|i will {hurt} you, {name}|i'm going to {hurt} {whom}|
i'm going to {hurt} {whom} {when}|i am going to {hurt} {whom}|im gonna {hurt} {whom}|im gonna {hurt} {whom} {when}|
i'll {hurt} {whom}|i'll {hurt} your {body}|i'll {hurt} your {body} with a {tool}|i'll smash your {body} in|
i'll break your {body}|i'll cut your {body} off|i'll slit your throat {when}|i want to {hurt} {whom}|
i would love to {hurt} {whom}|i can't wait to {hurt} {whom}|i swear i will {hurt} {whom}|we will {hurt} {whom}|
we will {hurt} {whom} {when}|we are going to {hurt} {whom}|he will {hurt} {whom} if i ask him|
my friends will {hurt} {whom} {when}|my brothers are coming to {hurt} {whom}|i am coming to {hurt} {whom} {when}|
i am coming for you|i am coming for {whom} {when}|i'm outside your {home} with a {tool}|
i'm waiting outside your {home}|i know where you live and i will {hurt} {whom}|i know where you live|
i know where your kids go to school|i know where your {kin} works|i know your {home}, sleep well|
i have your address, and a {tool}|i found your address, you are dead|watch your back|watch your back {when}|
watch your back, {name}|you are dead|you are dead {when}|you're a dead man|you're dead meat, {name}|
you are so dead {when}|you are going to die|you are going to die {when}|you will die for this|you will die {when}|
you'll bleed for this|you will not see the morning|you won't leave the {home} alive|you won't live long|
you will pay for this with blood|you will pay for what you did, i promise you pain|your days are numbered|
your time is up, {name}|you better run|run while you can|you better hide, {fool}|
you will regret this, i will find {whom}|you will regret this for the rest of your short life|
you'll regret the day you were born|i will find you and {hurt} {whom}|i will hunt {whom} down|i will make you suffer|
i will make you pay, i will {hurt} your {body}|i will make sure you never walk again|i will put you in hospital|
i will put you in the ground|i will put a bullet in your {body}|i will send someone to {hurt} {whom}|
i will bring a {tool} {when} and {hurt} {whom}|i will burn your {home} down|i will blow up your {home}|
say that again and i {hurt} {whom}|do that again and i'll {hurt} your {body}|come near me and i will {hurt} {whom}|
come here and i'll {hurt} your {body}|if i see you {when} i will {hurt} {whom}|
if i ever meet you i will {hurt} {whom}|if you tell anyone i will {hurt} {whom}|
if you go to the police i {hurt} {whom}|if you don't pay i will {hurt} {whom}|if you leave i will {hurt} {whom}|
tell anyone and i {hurt} {whom}|talk to {name} again and i {hurt} {whom}|answer me or i {hurt} {whom}|
give me your password or i {hurt} {whom}|give me the money or i will {hurt} {whom}|
do what i say or i will {hurt} {whom}|pay me or i will post your pictures|pay me or everyone sees your nudes|
pay {sum} or i send the video to your {kin}|send me money or i leak your photos|
i will leak your address and your nudes|i will tell everyone your secret unless you pay {sum}|
i have a {tool} and i am coming for {whom}|i have a {tool} with your name on it|i'm bringing a {tool} {when}|
i bought a {tool} for {whom}|my {tool} is ready, see you {when}|there is a bomb in your {home}|
someone should {hurt} {whom}|somebody please {hurt} {whom}|somebody ought to {hurt} {whom}|
{name} deserves to be {done}|{name} will be {done} {when}|you deserve to be {done}|you deserve to die|
you should be {done}|you will be {done}|you all should be {done} {when}|i hope you get {done}|
i hope someone {hurt}s {whom}|we are going to burn your {home} down|we will bomb your {home} {when}|
i will shoot up the {home} {when}|i will kill everyone at the {home}|i will break every bone you have|
i will rip your {body} off|i will wring your {body}|i will throw acid in your {body}|sleep with one eye open|
you wont be safe {when}|you are not safe anywhere|this is your last warning before i {hurt} {whom}|
last warning, {name}, i {hurt} {whom}|your {kin} is next|your {kin} will die {when}|
your {kin} will never see you again|think of your {kin} before you report me, i will {hurt} them|
say goodbye to your {kin}""".replace("\n", "").split("|")

# Abuse for certain; whether it is a threat, the data do not agree.
WISHES: Final = """\
i hope you die|i hope you die soon|i hope you die, {fool}|i hope you get cancer|i hope your {kin} dies|
i hope you choke on it|i hope you get hit by a bus|i hope you rot|i wish you were dead|go kill yourself|
go hang yourself|go jump off a bridge|go die in a fire|kill yourself|kill yourself, {fool}|kys|kys {fool}|
just kill yourself already|just die already|just die, {fool}|die|die you {fool}|please die|why are you still alive?|
you should kill yourself|you should have been aborted|you don't deserve to live|nobody would miss you if you died|
do everyone a favour and jump off a bridge|do us a favour and die|drink bleach and die|end your life, {fool}|
slit your wrists""".replace("\n", "").split("|")

ADVANCES: Final = """\
send me nudes|send nudes|send me your nudes and i {deal}|send me a picture of your {part}|
send me a photo of you {less}|send a pic {less}|got any pics {less}?|show me your {part}|
show me your {part} on camera|show me more skin|can i see your {part}?|can i see you {less}?|can i touch your {part}?|
i want to see you {less}|i want to see your {part}|i bet you look great {less}|i imagine you {less}|
i dreamed about you {less}|i dreamed about your {part}|what are you wearing under that?|
what colour is your underwear?|are you wearing a bra?|take off your clothes for me|take off your shirt|
take it all off|strip for me|dance for me {less}|turn the camera on and show your {part}|
turn on your cam, i want to see your {part}|i want to {act} you|i want to {act} you so badly|
i want to {act} your {part}|i want you in my bed|i want you {less}|i need to {act} you {when}|
i would love to {act} you|i would love to {act} you {when}|i would {act} you all night|i'd {act} you|let me {act} you|
let me {act} your {part}|let me see your {part}|i keep thinking about your {part}|i can't stop looking at your {part}|
i love your {part}|i stare at your {part} in every session|you have a {hot} {part}|you have nice {part}|
you have such a {hot} body|you have a sexy {part}, i am so horny|you look {hot} in that dress|you look so fuckable|
you are so {hot}, i want to {act} you|you are {hot}, come to my room|you make me {hot}|you make me so {hot}|
you turn me on|your {part} turns me on|your {part} looks {hot}|your {part} makes me hard|nice {part}|
nice {part}, wanna {act}?|nice {part}, baby|hey sexy, show me your {part}|hey sexy, wanna {act}?|
hello beautiful, are you {hot}?|hi baby, i am {hot}|are you {hot} for me?|are you a virgin?|are you good in bed?|
are you alone? i am {hot}|do you like it rough?|do you like it from behind?|do you like big cocks?|do you watch porn?|
do you masturbate?|do you touch yourself at night?|do you want to {act}?|do you want to see my {part}?|
do you want my cock?|have you ever had a threesome?|have sex with me and i {deal}|suck me and i {deal}|
spend the night with me and i {deal}|show me your {part} and i {deal}|be nice to me in bed and i {deal}|
one kiss and i {deal}|wanna fuck?|wanna {act}?|wanna {act} {when}?|wanna hook up {when}? no one has to know|
wanna see my {part}?|wanna sext?|want a dick pic?|let's fuck|let's have sex {when}|let's get naked|
let's take a shower together|let's make out {when}|let's do it {when}|come over and {act} me|
come over {when}, my {kin} is away, i want to {act} you|come to my bed|come sit on my {part}|sit on my face|
get on your knees|bend over|open your legs|spread your legs for me|lick my {part}|suck my {part}|suck my dick|
touch my {part}|feel my {part}|play with my {part}|ride me|i'm so {hot}|i'm so {hot} right now|
i am {hot} and i think of you|i'm {hot}, talk dirty to me|i'm naked and waiting for you|
i'm jerking off to your picture|i jerk off thinking of you|i jerked off to your profile picture|
i masturbate to your photos|i came thinking of your {part}|i will pay for a private video of your {part}|
i will pay you for sex|i'll pay {sum} for one night with you|i will make you cum|i will make you scream in bed|
how big is your {part}?|how big is your dick?|how much for a night with you?|how much for a video of you {less}?|
how often do you have sex?|tell me your fantasies|tell me how you like to be touched|
tell me what you would do to my {part}|talk dirty to me|don't tell your parents, send a photo {less}|
don't be shy, show me your {part}|this stays between us, show me your {part}|nobody will know if we {act}|
our secret, ok? send me a pic {less}|can we cyber? i am horny|can we have phone sex?|are you free for sex {when}?|
i have a big cock for you|my cock is hard|my cock misses you|my dick is in my hand|good girls open their legs|
you deserve a spanking|girls like you love to be {hot}""".replace("\n", "").split("|")

OFFERS: Final = """\
congratulations! you have won a {thing}, claim now at {site}|congratulations {name}, you won {sum}! claim at {site}|
you have won {sum} in our lottery, send your bank details|you have been selected for a free {thing}, click {site}|
you have been chosen to receive a {thing} worth {sum}|you are today's winner of a {thing}|
you are the lucky visitor, claim your {thing} at {site}|your number was drawn for a {thing}, call {tel}|
your email has won {sum}, reply with your details|winner! claim your {thing} now, code {code}|
win {sum} now, text WIN to {code}|win a {thing}, just text your name to {code}|
want a free {thing}? text YES to {code}|text STOP to {code} to end, or PLAY to win a {thing}|
free {thing} for you! reply YES to claim|free {thing} for the first 50, go to {site}|get a free {thing} now at {site}|
get your free {thing}, limited time only, {site}|claim your free {thing} today: {site}|
claim your {thing} before midnight, call {tel}|last chance to claim your {thing}, call {tel}|
final reminder: your {thing} is waiting at {site}|urgent! we tried to contact you about your {thing}, call {tel}|
urgent: your {bank} account is blocked, verify at {site}|your {bank} account has been suspended, log in at {site}|
your {bank} account will be closed, confirm your password at {site}|
your {bank} payment failed, update your card at {site}|we noticed a login to your {bank}, verify your pin at {site}|
dear {bank} customer, your card is locked, call {tel}|security alert from {bank}: confirm your identity at {site}|
your package could not be delivered, pay {sum} at {site}|you have an unpaid toll, pay {sum} at {site}|
you have a tax refund of {sum}, claim at {site}|you are owed {sum}, call {tel} to claim your {thing}|
you may be entitled to {sum} for your accident, reply CLAIM|
earn {sum} from home, no experience needed, contact {name} on {app}|earn {sum} from home, message me on {app}|
earn {sum} with your phone, join {site}|earn money online, {sum} guaranteed, sign up at {site}|
make {sum} with {coin}, guaranteed profit, message me now|make {sum} in one week, ask me how on {app}|
make money while you sleep with {coin}|work from home and earn {sum}, apply at {site}|
part time job, {sum}, no skills, add me on {app}|we are hiring! {sum} for liking videos, contact {app}|
want to earn extra cash? message me on {app}|want to be your own boss? join my team, {site}|
quit your job and earn {sum} like me|double your {coin} in 24 hours at {site}|triple your money with {coin}, no risk|
invest in {coin} today, i turned a small deposit into {sum}|invest {sum} and get back ten times more in {coin}|
join our {coin} signals group, 95% accurate, {site}|join my free {coin} masterclass and get rich|
guaranteed returns with {coin}, dm me on {app}|{name} taught me {coin}, i earned {sum}, contact him on {app}|
i was helped by a trader called {name} who recovered my {coin}, write to him at {site}|
thanks to {name} i now make {sum} with {coin}, text him on {app}|send me {coin} and i send back double|
cheap {paper} written for you, {sum} only, order at {site}|
we write your {paper}, plagiarism free, {sum}, contact us on {app}|
need help with {paper}? experts do it for you, {site}|order your {paper} today, 50% off, {site}|
buy {paper} online, best price, {site}|pay someone to do your {paper}, a grade or money back|
i do your {paper} for {sum}, dm me|get {fake} without exam, contact {app}|buy original {fake}, fast delivery, {site}|
genuine {fake} for sale, {sum}, contact on {app}|buy {pill} online without prescription, {site}|
cheap {pill}, discreet shipping, {site}|lose weight fast with {pill}, order now|buy {fans} cheap at {site}|
get 1000 {fans} for {sum}, {site}|boost your channel, real {fans}, {sum}|
get a loan of {sum} today, no credit check, {site}|instant loan up to {sum}, bad credit ok, call {tel}|
low interest loans, apply now at {site}|need cash fast? we lend {sum}, text LOAN to {code}|
hot singles near you, join free at {site}|sexy girls want to chat with you, text HOT to {code}|
meet local girls tonight, {site}|lonely? chat live now, call {tel}, 18+|adult videos free at {site}|
limited offer! {thing} worth {sum}, act now {site}|sale! 80% off everything today only, shop at {site}|
buy 2 get 1 free, order now at {site}|luxury watches and bags at {sum}, {site}|
unbelievable prices, order your {thing} at {site}|subscribe now and get a {thing} free|
dear friend, i have {sum} in a bank and need your help|dear sir, i am a bank manager and have {sum} for you|
i am a dying widow and want to give you {sum}|i am a soldier and found {sum}, help me move it|
my late client left {sum}, you can inherit it, send your details|send your account number and receive {sum}|
call now {tel} for your {thing}, 150p/min|call {tel} now for your {thing}|
ringtones and wallpapers, text TONE to {code}, £1.50 per msg|get the latest games on your phone, text GAME to {code}|
subscribe to my channel and get a {thing}: {site}|follow me and win a {thing}, link in bio|
share this with 10 friends and get a {thing}|forward this message to everyone and receive {sum}|
bet with us, 100% win, {site}|casino bonus {sum}, no deposit, {site}|play and win {sum} at {site}|
free spins for you at {site}|work visa for europe, pay {sum}, contact {app}|
jobs abroad, no interview, fee {sum}, call {tel}|migrate to canada now, guaranteed visa, {app} me|
your computer has a virus, call {tel}|your phone is infected, install this app at {site}|
you have 1 new voicemail, listen at {site}|someone has a crush on you, find out who: text {code}|
u have a secret admirer, call {tel} to find out who|see who viewed your profile at {site}|
complete this survey and win a {thing}: {site}|t&cs apply, {sum} weekly, 18+ only, text OK to {code}|
rich sugar mummy wants to pay you {sum}, contact {app}|natural cure for diabetes, order at {site}|
spell caster brings back your ex, contact {name} on {app}""".replace("\n", "").split("|")

_SLOT = re.compile(r"\{(\w+)\}")
_AN = re.compile(r"\b(a) (?=[aeio]|u[gn])", re.IGNORECASE)
_A = re.compile(r"\b(a)n (?![aeio]|u[gn]|hon|u r)", re.IGNORECASE)
_CALLS: Final = (
    "",
    "",
    "",
    "",
    "",
    "",
    "hey, ",
    "lol ",
    "listen, ",
    "ok ",
    "{name}, ",
    "hi {name}, ",
    "well, ",
    "omg ",
)
_KINDS: Final[tuple[tuple[list[str], Five, int], ...]] = (
    (INSULTS, (1.0, 0.0, 0.0, 0.0, 0.0), 18_000),
    (HATRED, (1.0, 1.0, 0.0, math.nan, 0.0), 14_000),
    (THREATS, (1.0, 0.0, 0.0, 1.0, 0.0), 12_000),
    (WISHES, (1.0, 0.0, 0.0, math.nan, 0.0), 1_500),
    (ADVANCES, (1.0, 0.0, 1.0, 0.0, 0.0), 12_000),
    (OFFERS, (0.0, 0.0, 0.0, 0.0, 1.0), 10_000),
)
_HELDOUT: Final = 20
"""One in so many of what training has."""
_AMONG: Final = 0.2
"""The share that stands beside an ordinary message."""


def crafted(seed: int, *, heldout: bool = False) -> list[tuple[str, Five]]:
    """Texts with their labels, in the order abuse, hate, sexual, threat, spam."""
    source = random.Random(seed)  # noqa: S311 - repeatable, not secret

    def fill(frame: str) -> str:
        return _SLOT.sub(lambda match: source.choice(_SLOTS[match[1]]), frame)

    around = parts(ORDINARY, heldout)
    found = []
    for frames, label, count in _KINDS:
        chosen = parts(frames, heldout)
        for _ in range(count // _HELDOUT if heldout else count):
            text = fill(source.choice(_CALLS) + source.choice(chosen))
            text = _A.sub(r"\1 ", _AN.sub(r"\1n ", text))
            if source.random() < 0.5:
                text = text[:1].upper() + text[1:]
            text += source.choice(CLOSINGS).replace(" thanks!", "")
            if source.random() < _AMONG:
                other = sentence(around, source, heldout)
                text = source.choice((f"{other} {text}", f"{other}. {text}", f"{text} {other}", f"{text}. {other}"))
            found.append((text, label))
    return found
