"""Sentences that must not be flagged, made from frames: what mentors and mentees write, and mentions of groups.

Words that look bad outside their trade (kill a process, sex chromosomes, penetration tests, Scunthorpe) stand in the
frames on purpose. One frame in six, and one filler in six of names and groups, is kept out of training: thresholds and
the held-out figures of the model card come from those.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import Final, TypeAlias

# --- what fills the frames ------------------------------------------------------------------------------------------

NAMES: Final = """\
priya|arjun|ananya|rahul|sunita|vikram|deepak|lakshmi|aisha|fatima|omar|hassan|reza|shirin|dariush|parisa|nima|
leila|mehdi|zahra|chen|wei|mei|yuki|haruto|minh|nguyen|linh|kim|park|soo-jin|dick|gay|fanny|randy|willy|
roger|bush|peacock|cummings|hancock|cockburn|wang|dong|phuc|bich|dong-hyun|shital|harshit|ashit|dikshit|pooja|
kuntal|semen|titus|analia|sexton|weiner|johnson|butt|assad|hoare|hooker|gaylord|beaver|lipschitz|fuchs|
maria|josé|françois|zoë|björn|søren|olga|dmitri|ivan|kwame|amara|chidi|ngozi|thabo|sipho|moses|mary|james|john|
linda|patricia|michael|elizabeth|sarah|charlotte|emma|olivia|liam|noah|oliver""".replace("\n", "").split("|")

PLACES: Final = """\
scunthorpe|penistone|essex|sussex|middlesex|clitheroe|cockermouth|lightwater|shitterton|wank mountain|dildo|intercourse|
condom|fucking in austria|titisee|batman in turkey|beaver creek|hooker|horneytown|twatt|bitche|bangkok|
phuket|niger|nigeria|montenegro|slough|tehran|isfahan|shiraz|mumbai|pune|kolkata|lucknow|hyderabad|delhi|leeds|bristol|
glasgow|cork|nairobi|lagos|accra|berlin|paris|lyon|toronto|austin|boston|lima|quito|assam|
assisi|cumming|grand teton|sexmoan|virgin islands|cockfosters|dorking|tooting|balls pond road|saffron walden""".replace(
    "\n", ""
).split("|")

GROUPS: Final = """\
muslims|jews|christians|hindus|sikhs|buddhists|atheists|catholics|quakers|mormons|bahais|zoroastrians|jains|
women|men|girls|boys|mothers|single mothers|fathers|widows|nonbinary people|trans people|trans women|trans men|
gay people|gay men|lesbians|bisexuals|bi people|queer people|lgbt people|lgbtq+ students|asexual people|intersex people|
black people|white people|asians|south asians|east asians|arabs|latinos|latinas|hispanics|africans|african americans|
black women|black men|asian women|indigenous people|native americans|aboriginal australians|maori|inuit|first nations|
roma people|travellers|sami|kurds|persians|iranians|afghans|pakistanis|indians|bengalis|tamils|punjabis|dalits|
turks|syrians|iraqis|palestinians|israelis|egyptians|moroccans|algerians|somalis|ethiopians|nigerians|ghanaians|
kenyans|south africans|congolese|chinese people|japanese people|koreans|vietnamese people|filipinos|thais|indonesians|
malays|uyghurs|tibetans|mongolians|kazakhs|uzbeks|russians|ukrainians|poles|romanians|bulgarians|hungarians|serbs|
croats|albanians|greeks|italians|spaniards|portuguese people|germans|austrians|french people|dutch people|belgians|
swedes|danes|norwegians|finns|estonians|irish people|scots|welsh people|english people|americans|canadians|mexicans|
cubans|haitians|jamaicans|puerto ricans|brazilians|colombians|venezuelans|argentinians|chileans|peruvians|
australians|new zealanders|immigrants|migrants|refugees|asylum seekers|foreigners|undocumented people|expats|
disabled people|blind people|deaf people|wheelchair users|autistic people|people with down syndrome|
people with dyslexia|people with adhd|people with depression|people with schizophrenia|mentally ill people|
people with epilepsy|amputees|people with hiv|old people|elderly people|young people|teenagers|children|
homeless people|poor people|working class people|rich people|unemployed people|veterans|sex workers|ex-prisoners|
fat people|short people|redheads|vegans|conservatives|liberals|socialists|feminists""".replace("\n", "").split("|")

PERSONS: Final = """\
muslim|jew|jewish man|jewish woman|christian|hindu|sikh|buddhist|atheist|catholic|woman|man|trans woman|trans man|
trans person|gay man|gay person|lesbian|bisexual|bisexual woman|queer person|nonbinary person|black man|black woman|
black person|white man|white person|asian|asian woman|arab|arab man|latino|latina|african|african american|
native american|indigenous woman|roma man|roma person|traveller|kurd|persian|iranian|afghan|pakistani|indian|tamil|
turk|syrian|iraqi|palestinian|israeli|egyptian|somali|ethiopian|nigerian|ghanaian|kenyan|chinese woman|chinese man|
japanese man|korean|vietnamese woman|filipino|filipina|indonesian|uyghur|russian|ukrainian|pole|romanian|hungarian|
serb|albanian|greek|italian|german|french woman|dutch woman|swede|finn|irish man|american|canadian|mexican|cuban|
haitian|jamaican|brazilian|colombian|australian|immigrant|migrant|refugee|asylum seeker|foreigner|disabled person|
disabled woman|blind man|deaf woman|deaf person|wheelchair user|autistic person|autistic woman|dyslexic person|
old man|old woman|elderly person|teenager|homeless man|homeless person|poor person|veteran|single mother|widow|
feminist|vegan|mentally ill person|person with schizophrenia|person with down syndrome|person with hiv""".replace(
    "\n", ""
).split("|")

LANGUAGES: Final = [
    "python",
    "rust",
    "java",
    "c",
    "go",
    "kotlin",
    "sql",
    "haskell",
    "typescript",
    "matlab",
    "r",
    "julia",
]
TOPICS: Final = """\
linear algebra|thermodynamics|organic chemistry|graph theory|the french revolution|macroeconomics|operating systems|
databases|machine learning|anatomy|pharmacology|constitutional law|contract law|medieval history|microbiology|
probability|compilers|epidemiology|genetics|reproductive biology|sexual selection|gender studies|criminal law|
international relations|music theory|film studies|ethics|psychology|sociology|nutrition|accounting|marketing|
public speaking|academic writing|statistics|calculus|number theory|quantum mechanics|robotics|cryptography""".replace(
    "\n", ""
).split("|")
DAYS: Final = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "tomorrow", "next week"]
TIMES: Final = ["9am", "10:30", "noon", "2pm", "half past four", "5 pm", "17:45", "after lunch", "in the evening"]
THINGS: Final = """\
report|essay|thesis|cover letter|cv|pull request|dataset|slides|poster|abstract|proposal|notebook|homework|lab report|
chapter|draft|portfolio|application|grant|interview task|assignment|prototype|budget|reading list|schedule""".replace(
    "\n", ""
).split("|")
PROCESSES: Final = """\
process|worker|daemon|job|zombie process|parent process|child process|orphaned thread|container|pod|server|session|
query|connection|background task|cron job|node|replica|slave|master|stuck build|tunnel|vm|emulator|kernel""".replace(
    "\n", ""
).split("|")

Slots: TypeAlias = Mapping[str, list[str]]

SLOTS: Final[Slots] = {
    "name": NAMES,
    "place": PLACES,
    "groups": GROUPS,
    "person": PERSONS,
    "lang": LANGUAGES,
    "topic": TOPICS,
    "day": DAYS,
    "time": TIMES,
    "thing": THINGS,
    "proc": PROCESSES,
    "num": [str(n) for n in (2, 3, 4, 5, 7, 9, 10, 12, 15, 20, 42, 60, 69, 88, 100, 256, 404, 500, 1024, 2019, 2024)],
}

# --- frames ---------------------------------------------------------------------------------------------------------

ORDINARY: Final = """\
hi {name}, are we still on for {day} at {time}?
thanks for the session on {day}, it helped a lot with {topic}
could you look at my {thing} before {day}?
i finished the {thing}, it is attached
sorry {name}, i have to move our call to {day} {time}
what should i read next on {topic}?
i am stuck on exercise {num} about {topic}
my {thing} was rejected, what a pain
{name} said the {thing} needs another pass
can i shoot you an email about the {thing}?
shoot me a message when you are free {day}
i will shoot over the {thing} by {time}
i bombed my interview on {day}, any advice?
i totally killed it in the {topic} exam
this {thing} is killing me, can we talk {day}?
the deadline for the {thing} is {day}, i am dying of stress
i nearly died laughing at your {topic} joke
you crushed it today {name}
that was a killer talk, {name}
break a leg on {day}!
knock them dead at the interview {name}
i would kill for a coffee right now
my back is killing me after writing the {thing}
let us attack question {num} first
let us tear the {thing} apart and rebuild it
you can be brutal with my {thing}, i want honest feedback
please rip my {thing} to shreds, i can take it
i hate {topic} but i have to pass it
i hate waiting for the bus in {place}
i feel like an idiot when i read about {topic}
i was so dumb to forget the {thing}
stupid question about {topic}: where do i start?
this might be a stupid question, but what is {topic} for?
what the hell does this error mean?
damn, the {thing} is due {day}
my stupid laptop ate the {thing}
my code is ugly as hell but it works
what a mess, the {thing} is all over the place
it sucks that the {thing} got lost
this bug is driving me crazy
that is an insane amount of work for one {thing}
kill the {proc} and restart it
kill -9 {num} did not stop the {proc}
how do i kill a {proc} that hangs?
the oom killer shot the {proc} again
the {proc} died with a segfault at {time}
why does the parent kill all its children when it exits?
the child {proc} was orphaned, then reaped by init
fork a child and execute the {proc}
abort the {proc} and dump core
execute the script as root and terminate the {proc}
the master {proc} lost its slaves after the failover
promote the slave to master and drop the old {proc}
we renamed master and slave to primary and replica
the master branch is {num} commits behind
rebase onto master, then force push
git blame says {name} broke the {thing}
nuke the node_modules folder and install again
blow away the cache and rebuild the {proc}
drop the table and purge the logs
strip the binary, it is {num} megabytes
the garbage collector kills throughput in {lang}
dead code, dead letters and a poisoned queue: delete them all
the dead letter queue has {num} messages
a deadlock starves the {proc}
inject the dependency, do not hard code it
a sql injection attack dumped the users table
we hired a red team for a penetration test on {day}
the penetration testing report is due {day}
brute force the hash with {num} threads
the exploit uses a backdoor in the {proc}
man in the middle attacks on the {place} campus wifi
use a dummy variable for {topic}
add a dummy head node to the list in {lang}
the dummy variable trap makes the matrix singular
insert a dummy row so the test fails
use a bastion host to reach the {proc}
the bang operator in {lang} looks odd to me
rust and {lang}: which one sucks less for embedded work?
my {lang} code throws an illegal argument exception
why is {lang} garbage collected?
a race condition between two threads in {lang}
the race starts at {time} in {place}
mutual exclusion and the dining philosophers
hash the tuple, then look for the naked singular
the naked eye cannot see it, use a microscope
strip the whitespace and trim the tail
finger the user on the old unix box
mount the disk, then touch the file
unzip, strip, touch, finger, mount, fsck, more, yes, unmount, sleep: the old unix joke
the stress test blew up at {num} users
gang scheduling and work stealing in {lang}
the adversary poisons the training set
adversarial attacks fool the classifier in {num} percent of cases
the hit rate of the cache is {num} percent
shooting method for boundary value problems
prove it by contradiction, then kill the cross term
the kernel of the map is trivial, the image is not
annihilator of a module over a ring
the degenerate case has {num} solutions
a perverse sheaf is not a sheaf
the monster group is the largest sporadic group
the hairy ball theorem and vector fields on spheres
cox zucker machine in {topic}
the expected number of hits is {num}
integrate by parts, then bound the tail
a biased estimator discriminates badly between the classes
discriminant analysis beats logistic regression here
homogeneous and heterogeneous mixtures, see page {num}
the homo sapiens genome has {num} such regions
homologous chromosomes and homozygous alleles
sex chromosomes and x linked inheritance
sexual reproduction versus asexual reproduction in yeast
sexual dimorphism in beetles, chapter {num}
breast cancer screening from age {num}
the patient had a breast lump and a family history
prostate cancer and rectal examination
a vaginal swab and a urine sample were taken
the penis and the urethra: figure {num}
anal fissures are treated with creams
the oral exam is on {day}, not the rectal one, sorry
erectile dysfunction is a side effect of the drug
contraception and sexual health clinic in {place}
the sperm fuses with the egg
ejaculation and ovulation are both under hormonal control
nipple discharge is a red flag in the history
menstrual cramps made her miss the session
a pap smear and an hpv test
the cock crowed and the hen sat on her eggs
great tits and blue tits at the feeder
the booby and the shag are sea birds
a bitch is a female dog in breeding records
the ass and the mule carried the bags
the pussy willow flowers in march
natural killer cells attack the tumour
killer t cells destroy infected cells
the virus kills white blood cells
apoptosis means that the cell kills itself
the lethal dose for mice is {num} mg
a fatal dose of paracetamol
overdose and suicide risk in the case study
suicide prevention training is on {day}
she volunteers for a suicide hotline in {place}
self harm in adolescents, review for {day}
post mortem of the outage on {day}
the autopsy report in forensic medicine
retardation of growth is a term from old textbooks
fire retardant coating and flame tests
the retarded potential in electrodynamics
spastic paralysis versus flaccid paralysis
a crippled network still passes {num} packets
constitutional law on hate speech, week {num}
hate speech and the first amendment: my {thing}
section 18c and racial vilification, see the {thing}
the racial discrimination act and case {num}
sexual harassment policy training on {day}
the court acquitted him of rape in {num}
murder, manslaughter and mens rea
the murder of crows in the poem
assault and battery in tort law
the death penalty debate on {day}
capital punishment in the {topic} seminar
the genocide convention of 1948
the holocaust memorial in {place}
slavery and the slave trade, chapter {num}
slave narratives and abolition, reading for {day}
a history of lynching in the south
nazi propaganda in the {topic} course
hitler came to power in 1933
the terrorist attack in the news upset {name}
how the bomb was built, a book about oppenheimer
the massacre in the third act of the play
the executioner's song and in cold blood for book club
to kill a mockingbird is on the reading list
the book thief, the virgin suicides and lolita
moby dick, chapter {num}
dick van dyke and dick cheney came up in the quiz
philip k dick wrote the story that the film is based on
fanny price in mansfield park
fanny hill and the history of censorship
oliver twist and the artful dodger in class
snow white and the seven dwarfs
gay talese wrote it, see the {thing}
a gay old time, said the song
charles dickens and hancock's half hour
the niggardly use of commas in the {thing}
chinks in the armour of the argument
a spade is a spade, said {name}
pakistan and nigeria play in {place} on {day}
a dyke holds back the sea in holland
spotted dick and custard for pudding
cocktail party in {place} on {day}
a cockpit voice recorder and a shuttlecock
assess the assistant's assignment about assassins
the class passed, the assembly was massive
analysis of canals, arsenal and analogue signals
matsushita, hitachi and mitsubishi parts
shiitake mushrooms and pussyfoot drinks
i moved from {place} to {place} last year
there is a train from {place} to {place} at {time}
greetings from {place}!
{name} from {place} joins us on {day}
professor {name} {name} teaches {topic}
please add {name} and {name} to the group
mr {name} and mrs {name} will be there
my supervisor {name} is tough but fair
my manager is difficult, how do i give feedback?
my flatmate is noisy and i cannot focus on the {thing}
i am angry with myself for missing the deadline
i feel worthless after that rejection, can we talk?
i am a failure at {topic}
nobody in my year likes me, i feel ugly and stupid
someone called me an idiot in class and it hurt
a boy in my class calls me names, what can i do?
he said he would hit me, i am scared
i was bullied at school for my accent
i want to report a message that insulted me
my ex threatens me, who can i talk to?
i do not want to live like this any more, i am so tired
it was rude of me to shout, i am sorry
you are not stupid, {topic} is hard for everybody
do not beat yourself up over the {thing}
you are way too hard on yourself {name}
i was wrong and you were right about the {thing}
i disagree strongly with your point about {topic}
that argument is weak, and here is why
your {thing} has serious problems in part {num}
the conclusion is wrong, please redo step {num}
no, that is not how {topic} works
i do not like this plan at all
the opponent was weak and we destroyed them {num} to 2
the striker shot wide, and we lost in {place}
we beat {place} by {num} points
she hit the ball so hard it left the park
he got a black eye from boxing
he was shooting hoops until {time}
the photographer shot {num} frames
shoot in raw and edit later
the recipe says beat the eggs and whip the cream
chop the onions and smash the garlic
grill the chicken breasts and thighs for {num} minutes
she strips the bed and beats the carpet
a hot dog, a screwdriver and sex on the beach are on the bar menu
i need a screw, a nut and {num} bolts
the male connector fits the female socket
use hard wood, it is stiff enough
blow on the soup, it is hot
how hard is it to come by {time}?
it was a pleasure to meet you, {name}
you can call the office about the invoice
your invoice for {num} sessions was paid
win a place at the summer school: apply by {day}
the free trial ends {day}, cancel if you do not need it
congratulations on the prize, {name}!
claim your travel costs with the form from {place}
use the code on the voucher at the book shop
the university sent a text about fees, is it a scam?
click the link in the calendar invite at {time}
the offer letter says {num} thousand a year before tax
buy the second edition, it is cheap
reply to the recruiter by {day}
reply stop if you want no more reminders
your password reset code expires in {num} minutes
the bank called about my student loan
can you call me at {time}?
txt me when u get to {place}
lol ok see u {day}
haha that's so true
ok
thanks!
yes please
no worries
good luck with the {thing}!
happy birthday {name}!
merry christmas and a happy new year
eid mubarak {name}!
happy diwali to you and your family
nowruz mubarak!
shabbat shalom {name}
i fast during ramadan, can we meet after sunset?
i pray at noon, so {time} is better
my visa interview is on {day}
the immigration office asked for my {thing}
i came out to my parents last week and it went well
my girlfriend and i moved to {place}
my husband is in hospital in {place}
my two mums are coming to graduation
i am pregnant and will take leave from {day}
i use they and them, thanks
i am hard of hearing, please turn on captions
my dyslexia makes the {thing} slow
i have adhd, can we work in short blocks?
i got my autism diagnosis on {day}
i am on antidepressants and feel sleepy
i was diagnosed with cancer in {num}
i need a prayer room in {place}
i am the first in my family to study {topic}
the average of {num} and {num} is not {num}
in {lang}, the index starts at 0
x squared plus {num} x equals {num}
run make test, then push
the test fails with exit code {num}
port {num} is in use by the {proc}
the {proc} leaks {num} mb an hour
could not connect to the {proc}: connection refused
select name from person where id = {num}
the loop in {lang} never ends
why does {lang} need a lock here?
i rewrote the {proc} in {lang} and it is {num} times faster
my {thing} has {num} words, the limit is {num}
what do you think of my {thing}?
i will send you the {thing} at {time}
let us meet in {place} at {time}
i read {num} pages about {topic}
{topic} is more fun than i thought
i like {topic} a lot
your explanation of {topic} was great
do you know a good tutor for {topic}?
mujhe kal {time} baje milna hai, theek hai?
aap kaise hain {name} ji?
bahut dhanyavaad {name}, session accha tha
kya aap meri {thing} dekh sakte hain?
haan bhai, kal milte hain
mera exam {day} ko hai, thoda dar lag raha hai
yaar, {topic} samajh nahi aa raha
shukriya {name}, aapne bahut madad ki
koi baat nahi, aaram se
main abhi {place} mein hoon
salam {name}, chetori?
merci {name} jan, kheili komak kardi
khaste nabashi, farda {time} mibinamet
mamnoon az komaket baraye {topic}
mitooni {thing} ro bebini?
man emrooz nemitoonam biyam, bebakhshid
khoobam, to chetori?
dastet dard nakone {name} jan
jalase {day} hast ya na?
daram {topic} mikhoonam
नमस्ते {name} जी, आप कैसे हैं?
क्या हम कल बात कर सकते हैं?
आपकी मदद के लिए बहुत धन्यवाद
मुझे यह सवाल समझ नहीं आया
मेरी परीक्षा अगले हफ्ते है
आज की कक्षा बहुत अच्छी थी
कृपया मेरा निबंध देख लीजिए
मैं थोड़ी देर में आता हूँ
शुभकामनाएँ! परिणाम बताइएगा
हाँ, मैंने अभ्यास पूरा कर लिया
سلام، حالت چطوره؟
خیلی ممنون از کمکتون
فردا ساعت چهار جلسه داریم؟
من این تمرین را نمی‌فهمم
مقاله‌ام را می‌خوانید؟
امتحانم هفته‌ی آینده است
خسته نباشید، جلسه خیلی خوب بود
ببخشید، امروز نمی‌تونم بیام
کتاب خوبی درباره‌ی آمار می‌شناسید؟
باشه، فردا می‌بینمت
hola {name}, ¿nos vemos el jueves?
merci beaucoup {name}, à demain
danke {name}, bis morgen
grazie mille, ci vediamo in {place}
obrigado pela ajuda com {topic}
teşekkürler {name}, yarın görüşürüz\
""".splitlines()

MENTIONS: Final = """\
{groups} are welcome in our group
{groups} and {groups} study together in {place}
i met some {groups} at the conference in {place}
we had a lovely dinner with {groups} from {place}
{groups} face discrimination at work
the survey asked {groups} about {topic}
the scholarship is open to {groups}
a support group for {groups} meets on {day}
how can we make the lab safer for {groups}?
how do {groups} experience {topic} courses?
my thesis is about {groups} in {place}
i read a book about {groups} and {topic}
do you know charities that help {groups}?
the museum in {place} has a room about {groups}
there are many {groups} in my class
are there any {groups} among the mentors?
few {groups} work in {topic}, and we want to change that
{groups} deserve the same respect as everybody
{groups} have equal rights
{groups} are people like you and me
{groups} built this community and we thank them
{groups} are wonderful
i love {groups}
i like working with {groups}
{groups} are funny, kind and clever
{groups} make great mentors
{groups} taught me a lot about {topic}
i have learned so much from {groups}
i am proud of the {groups} in our team
i stand with {groups}
we must protect {groups} from violence
stop attacks on {groups}
nobody should insult {groups}
it makes me sad when people mock {groups}
hatred of {groups} is wrong
saying that {groups} are stupid is wrong
{groups} are not a threat to anybody
{groups} are not criminals
i do not hate {groups}, i never did
calling {groups} lazy is unfair
prejudice against {groups} has a long history
the law protects {groups} from hate crimes
the policy on {groups} changed in {num}
statistics about {groups}: {num} percent voted
what do {groups} think about {topic}?
what do {groups} eat at new year?
why do {groups} celebrate in {day} week?
how many {groups} live in {place}?
when did {groups} first come to {place}?
which films portray {groups} fairly?
the history of {groups} in {place} is fascinating
{groups} were persecuted in the war
{groups} suffered under the regime
the census counts {groups} since {num}
healthcare for {groups} needs more money
{groups} report more stress than others
medication works differently in {groups}
my cousin works with {groups} in {place}
our workshop for {groups} is on {day} at {time}
{groups} can bring a friend on {day}
thanks to the {groups} who came on {day}
{groups}, you are welcome here
happy to see more {groups} in {topic}
as a {person}, i feel at home in {place}
as a {person} i found {topic} hard at first
i am a {person}
i am a {person} and i study {topic}
i am a proud {person}
i am a {person} from {place}, nice to meet you
my mentor is a {person} from {place}
my best friend is a {person}
my neighbour is a {person}, she helped me with the {thing}
my sister married a {person}
my teacher was a {person} and i admired her
my doctor is a {person}
a {person} taught me {topic}
a {person} won the prize in {place}
a {person} was elected mayor of {place}
a {person} asked me about {topic}
a {person} helped me when i was lost in {place}
the first {person} in space trained in {place}
the play is about a {person} who moves to {place}
the author is a {person} who writes about {topic}
could you match me with a mentor who is a {person}?
is it hard to be a {person} in {topic}?
what is it like to be a {person} in {place}?
how should i address a {person} politely?
would a {person} feel welcome at the party on {day}?
she is a {person} and a brilliant teacher
he is a {person} and the kindest man i know
they said a {person} could not do it, and they were wrong
someone shouted at a {person} on the bus and i stepped in
it is wrong to beat or mock a {person}
nobody should be afraid because he is a {person}
i saw a {person} perform in {place} and it was beautiful
a {person} and a {person} run the cafe in {place}
two {groups} and a {person} founded the company
the {person} next door fixed my bike
every {person} i met in {place} was friendly
she wrote her {thing} about being a {person}
you do not look like a {person}, said the form, how odd
being a {person} is nothing to be ashamed of
i am dating a {person} and my parents like her
do {groups} feel safe on campus?
{name} is a {person}
{name} is a {person} and teaches {topic}
{groups} and {topic}: my {thing}
{groups} in {topic}
a talk on {groups} by {name}
the {groups} of {place}
{groups} 💜
so proud to be a {person} 🏳️‍🌈
{groups} rock 🎉
let {groups} speak for themselves
{groups} rights are human rights
rights for {groups} are human rights
{groups} have rights
{groups} matter
{groups}' lives matter
{groups} lives matter
protect {groups}
support {groups}
respect {groups}
equal pay for {groups}
happy pride to all {groups}
solidarity with {groups}
more rights for {groups}
give {groups} a voice
trans people have rights
trans people exist
trans lives matter
protect trans kids
trans women are women
trans day of visibility is on {day}
trans men and trans women spoke at the meeting
gay rights are human rights
women's rights are human rights
love is love
migrants are welcome here
refugees welcome
no human is illegal
jewish lives matter
stop hate against {groups}
stop racism against {groups}
racism against {groups} is real
hate against {groups} has no place here
do not mock {groups}
i am sorry that people hate {groups}
he said that {groups} are stupid, and i told him off
people who say that {groups} are stupid are wrong
i don't think that {groups} are bad
there is nothing wrong with {groups}
not all {groups} think alike
some {groups} like {topic}, some do not
the party wants fewer taxes for {groups}
the bill would affect {groups}
parliament voted on a law about {groups}
the debate about {groups} goes on
immigration law and {groups}: a seminar
the vote of {groups} decided the election
{groups} protested in {place}
{groups} are angry about the law
should {groups} pay less? a debate on {day}
i don't agree with {groups} on everything
{groups} and {groups} live side by side in {place}
{groups} and {groups} disagree about the border
a {person} and i are friends
a {person} deserves respect
you are a {person}?
are you a {person}?
are you {groups}?
i think she is a {person}
my boss is a {person}
a {person} is speaking {day}
the {person} in my team is great
dear {groups}
hello {groups}
thank you, {groups}
welcome, {groups}
we celebrate {groups} this month
black lives matter
stop asian hate
trans rights are human rights
women in science day is on {day}
girls who code meets at {time}
ramadan kareem to all my muslim friends
gay pride in {place} was fun
the black death killed a third of europe
the white house said so
black and white photographs of {place}
jewish history month, islamic art and hindu temples
white blood cells and black holes
the queer theory seminar is on {day}
lesbian and gay literature, week {num}
the native speaker and the foreign student
a jew, a muslim and a christian founded the charity
mexican food in {place} is great
the chinese remainder theorem
the polish notation, the german tank problem and the dutch book
turkish coffee, indian tea and english breakfast
the arab spring and the iranian revolution
korean drama, japanese manga and chinese opera\
""".splitlines()

OPENINGS: Final = [
    "",
    "",
    "",
    "",
    "hi! ",
    "hey, ",
    "hello {name}, ",
    "ok so ",
    "btw ",
    "also, ",
    "well, ",
    "hmm, ",
    "dear {name}, ",
]
CLOSINGS: Final = ["", "", "", "", "", "!", ".", "...", " :)", " thanks!", " lol", " 🙂", " 🙏", " what do you think?"]

_SLOT = re.compile(r"\{(\w+)\}")


def parts(frames: list[str], heldout: bool) -> list[str]:
    """The frames of training, or the sixth that is kept from it."""
    return [frame for at, frame in enumerate(frames) if (at % 6 == 3) == heldout]


def fill(frame: str, source: random.Random, heldout: bool, slots: Slots = SLOTS) -> str:
    """A frame with its slots filled; names and groups of the held-out sixth appear only in held-out sentences."""

    def choose(match: re.Match[str]) -> str:
        slot = match[1]
        values = slots[slot]
        if slot in ("name", "groups", "person", "place") and not heldout:
            values = [value for at, value in enumerate(values) if at % 6 != 5]
        return source.choice(values)

    return _SLOT.sub(choose, frame)


def sentence(frames: list[str], source: random.Random, heldout: bool, slots: Slots = SLOTS) -> str:
    """One message of one to three frames, in the casing that people use."""
    count = source.choices((1, 2, 3), (6, 3, 1))[0]
    bodies = [fill(source.choice(frames), source, heldout, slots) for _ in range(count)]
    if source.random() < 0.5:
        bodies = [body[:1].upper() + body[1:] for body in bodies]
    opening = fill(source.choice(OPENINGS), source, heldout)
    return opening + source.choice((". ", " ", ", ", " and ", "! ")).join(bodies) + source.choice(CLOSINGS)


def ordinary(count: int, seed: int, *, heldout: bool = False) -> list[str]:
    """Messages of mentoring, of all trades."""
    source = random.Random(seed)  # noqa: S311 - repeatable, not secret
    frames = parts(ORDINARY, heldout)
    return [sentence(frames, source, heldout) for _ in range(count)]


def mentions(count: int, seed: int, *, heldout: bool = False) -> list[str]:
    """Kind and neutral sentences about groups of people."""
    source = random.Random(seed)  # noqa: S311 - repeatable, not secret
    frames = parts(MENTIONS, heldout)
    return [sentence(frames, source, heldout) for _ in range(count)]
