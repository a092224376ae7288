"""The lists of terms: every line is one that the scorer can use, and no ordinary sentence is hit by any."""

# ruff: noqa: E501
from __future__ import annotations

from pathlib import Path

import pytest
from training.reference.normalise import normalise

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = ROOT / "server/moderation/weights"
CORPORA = Path(__file__).parent / "corpora"

INNOCENT = """
Scunthorpe; Penistone; Clitheroe; Lightwater; Cockermouth; Cockfosters; Essex; Sussex; Middlesex; Wank near Garmisch; Dorking; Worthing
Shitterton left aside, we drove to Shittim Road; Twatt left aside, Orkney is lovely; Lund; Kunda; Fucking was renamed Fugging; Cumming, Georgia; Intercourse, Pennsylvania; Horseheads; Dildo, Newfoundland
Pussy left aside, Poissy; Condom, Gers; Bitche, Moselle; Anus left aside, Aniane; Batman, Türkiye; Phuket; Phu Quoc; Assam; Essen; Arsy; Craponne; Sexbierum; Muff, Donegal; Nobber, Meath; Effin, Limerick
Titisee; Titlis; Titicaca; Saratov; Nigeria; Niger; Niger River; Montenegro; Rio Negro; Negros Occidental; Porto Alegre; Kuku; Kukësi; Dyke Road; Offa's Dyke; Hoe Street; Plymouth Hoe; Slough; Tring
Dick Cheney; Moby Dick; Philip K. Dick; Dick Van Dyke; Dick Francis; Andy Dick; Alan Cumming; Peter Cock; Robin Cook; Hancock; Hitchcock; Babcock; Alcock; Woodcock; Glasscock; Sir Arthur Cockfield; Ben Johnson
Randi Weingarten; Randi from Oslo; Phuc Nguyen; Phuc Tran; Nguyen Thi Dung; Dung Tran; Bich Ngoc; Long Dong; Wang Wei; Johnny Wang; Mr Fuchs; Johann Fux; Jakob Fugger; Jochen Fick; Adolf Fick's law
Fuk Wing Street; Mrs Slaughter; Ms Butts; Ms Cox; Mr Balls; Ed Balls; Kurt Focke; Wolfgang Fuchs; Gaylord left aside, Gayle King; Gay Talese; Marvin Gaye; Tay-Sachs; Miss Whore left aside; Miss Hoare; Ann Coulter
Harry Coon; Carrie Coon; Maine Coon; raccoon; tycoon; cocoon; coonhound; Weiner; Anthony Weiner; wiener schnitzel; Hooker's lamp; Richard Hooker; John Lee Hooker; Kiki de Montparnasse; Assad; Hassan; Basset
Semenov; Serge Semen; Dr Seymour Butz; Roger Federer; Mohammed; Jesus Garcia; Gypsy Rose Lee; Django; Sanjay Dutt; Rakesh; Harshit; Akshit; Rakshit; Ashit; Shital; Sushit; Nishit; Archit; Rohit; Mohit; Kushal
Abeed Khan; Nigar; Nigah; Negar; Nigora; Paki left aside, Pakistan; Chinki left aside, China; Kirti; Kirke; Kira; Suka likes it (Indonesian); Dewi suka kopi; aku suka kamu; con amor; con leche; negro y blanco; gato negro
cono de tráfico; cono sur; helado de cono; en retard; le train est en retard; plus tard; trop tard; une douche; prendre une douche; le chat et la chatte; pédaler; la salle de bain; la bite d'amarrage; foutu; concombre
dick und dünn; ein dicker Hund; sehr dick; die Fahrt; Fahrt nach Bonn; Abfahrt; Ausfahrt; Einfahrt; Vaterschaft; Schiff; Schal; Geschichte; Fichte; Kocher; Arzt; Hochschule; Schlamperei; nass; Klasse; Nässe; Fakultät
jag fick ett brev; vi fick tid; i slutet; filmen är slut; det er slutt; slutt på møtet; en kurva; kurvan stiger; full fart; farts; fartskontroll; i fart; utfart; infart; bra; kuk left aside; sex stycken; sexton; kock
six sex sju; het puntje; de kont left aside; de kunst; het slot; de slet van eeuw; een dikke trui; een vaak gestelde vraag; de les; kort; kunt u helpen?; de hoek; de hoed; lul left aside; luisteren; kutje left aside; hoek
il fico; i fichi; una pesca; la guerra di Troia; la topa; penne all'arrabbiata; anno nuovo; anale; il finocchio è buono; cazzuola; pesce; la regina; fitte al petto; una fitta nebbia; palle di neve; il porco spino
o pau-brasil; um pinto amarelo; o burro; o saco de arroz; a bicha left aside; uma cerveja; a torneira; comer bem; a aranha; o veado no bosque; ano novo; a mama e o bebê; cu left aside, Cuiabá; pico; rapariga; propina
kokot u dvorištu; lutka; igra; jebem left aside; dupa left aside, după-amiază; după ce; fac teme; pula left aside, Pula in Croatia; curând; pizza; pica; pica disorder; muž; kůň; hora; hory; Kunda; chuť; chutě; prac; mrk
got it; I got the job; göt left aside; gotik; am Abend; ich am Morgen; sik left aside, sık sık; sıkıntı; taş; piç left aside, pichet; memede; orman; yaratık; yarar; amca; Amman; amlodipine; çam ağacı; kalp; kalkan
Pääsiäinen; paska left aside as Easter bread: we baked paska; muna ja pannu; munakas; kaksi munaa; pano; tili; reikä; viiksi; tavara; pillu left aside; naida; palli; piru; hitto; vetää; pipari; ripsi; kusta left aside
klass; klasse; arsenik; passage; assess; assessment; assassin; classic; bass; brass; grass; glass; mass; compass; embassy; ambassador; cassette; massage; associate; asset; assign; assembly; assertion; assistant; Picasso
cocktail; cockpit; peacock; cockroach; stopcock; weathercock; cockatoo; cockle; shuttlecock; hancock tower; spatchcock; cock a doodle doo; the cock crowed; title; titter; titrate; titration; titanium; constitution; institute
analysis; analyst; analogue; canal; banal; anal fissure; anal cancer screening; therapist; the rapist was convicted; grape; drape; trapeze; scrape; rape seed oil; rapeseed; skyscraper; document; cucumber; accumulate; circumvent
shiitake; shitake mushrooms; mishit; Hitler; whit; Whitman; sheet; balance sheet; sheets; spreadsheet; shift; shifted; push it; pushing; finish it; fish it; wash it; publish it; ship it; shut it; shot; shat left aside; sheath
basement; basis; sextant; sextet; Sextus; sex education; sex chromosomes; biological sex; same-sex marriage; sexual health; sexual harassment policy; sexual selection; asexual reproduction; sexism; sexist; unisex; sexagesimal
breast cancer; breast; breastfeeding; chicken breast; testicular cancer; penis; penile; vagina; vaginal; vulva; rectum; rectal exam; anus; semen analysis; sperm count; uterus; erectile dysfunction; ejaculation; orgasm; clitoris
foreskin; circumcision; urethra; urine; faeces; stool sample; nipple; areola; menstruation; miscarriage; abortion; hysterectomy; prostate; sphincter; haemorrhoids; substantia nigra; linea nigra; acanthosis nigricans; coitus
pupil; pubic bone; pubis; labia; glans; intercourse; contraception; condom; HIV; syphilis; gonorrhoea; chlamydia; herpes; candida; fingering on the piano; prick test; skin prick test; finger prick; a prick of conscience; spastic diplegia
suicide prevention; suicidal ideation; self-harm; overdose; dead tissue; kill the pain; painkiller; cut; stab wound; gunshot; murder; homicide; manslaughter; rape; statutory rape; assault; battery; sexual offence; incest; bestiality
indecent exposure; pornography law; prostitution; solicitation; escort; escort vessel; police escort; trafficking; slavery; slave; master and servant; bondage; indenture; bond; bastardy; illegitimate; legal bastardy; paedophile; pedophile
strip search; strip; strip the string; str.strip(); comic strip; Las Vegas Strip; Gaza Strip; strip club law; nude; nude palette; nude figure drawing; naked singularity; naked DNA; hardcore; hard core; hard-core predicate; swinger; swing
kill; kill -9; kill the process; kill the child process; killall; killer feature; master; slave; master branch; master/slave replication; abort; fork; forked; fork bomb; zombie; orphan; daemon; dump core; core dump; bang; hash bang
inject; penetration testing; penetration; pen test; backdoor; exploit; attack; execute; execution; shoot; shotgun debugging; bullet; bullet points; trigger; blacklist; whitelist; blackbox; white box; dirty; dirty read; dirty bit; nonce
cum laude; magna cum laude; summa cum laude; study cum lab; driver-cum-guide; cumulative; cumin; scum; circumcircle; succumb; incumbent; document; the head of state; foreign key fk; fk_user_id; mfs; fs; wtf library; rtfm left aside
fag end; fagged out; the fagot (bassoon); Fagott; fasciculus; faggots and peas; gay; lesbian; bisexual; transgender; queer; queer theory; homosexual; homo sapiens; Homo erectus; homogeneous; homology; homomorphism; hijra; dyke; dykes
gay marriage; gay rights; LGBTQ; lesbian couple; she is a lesbian; he is gay; proud gay man; trans woman; nonbinary; drag race; drag and drop; cross-dresser; black; black hole; black people; white people; brown; yellow; red; Negro (historical term)
American Negro Academy; Negro League baseball; United Negro College Fund; Indian; Jew; Jewish; Muslim; Hindu; Sikh; Dalit; Brahmin; Gypsy; Roma; Arab; Persian; Kurd; Turk; Chinese; Japanese; Jap. left aside; Jain; Christian; atheist
blind; deaf; mute button; dumb; lame; cripple; crippling debt; retardation; flame retardant; retarded potential; retarded time; growth retarded; idiot; stupid; moron; fool; silly; dunce; blind review; double blind; deaf culture; autistic
spic and span; spick and span; SPIC MACAY; a chink in the armour; kaffir lime leaves; slag heap; slag; copper slag; slut left aside; tart; apple tart; tart cherries; tramp; tramp steamer; bum; bumblebee; bum bag; bugger left aside; crap left aside
blue tits; great tits; blue tits and great tits; tit for tat; titbit; a coal tit; swallow; robin; booby; boobies (birds); blue-footed booby; shag; shag (bird); shag carpet; woodpecker; pecker left aside; thrush; hummingbird; nuthatch
pussy willow; pussy willows; Pussy Riot; pussycat; puss in boots; beaver; beavers; ass and foal; African wild ass; Asiatic wild ass; donkey; jenny; cock and hen; bitch in heat; brood bitch; stallion; gelding; rooster; hen; bull; sow; swine fever
snatch; snatch block; bang; banger; bangers and mash; sausage; frank; wiener; meatball; nuts; nut; nuts and bolts; screw; screws; screwdriver; screwed joint; blow; blow dry; blower; job; blow on it; hand; hand tool; head; headshot; knob; doorknob
knobs; ball; balls; ballcock; ball valve; ball bearing; shaft; crankshaft; rod; ramrod; piston; cylinder; lubricant; lube; nipple (plumbing); grease nipple; stopcock; female connector; male connector; gender changer; butt joint; butt weld; cigarette butt
bender; fender bender; Bender from Futurama; flamer; flame war; hoe; hoes and rakes; garden hoe; rake; shovel; spade; ace of spades; call a spade a spade; spook; spooky; spooks; haunted; crow; crows; magpie; sheet music; sheet metal; mong; Hmong
nip; nip it in the bud; Nip and tuck; nipping; nipped; nappy; nappies; diaper; muff; earmuff; muffin; muffled; bun; buns; cheek; thigh; chest; hooters left aside; hooter; horn; horny toad; horned lizard; cuckoo; cuckold (Shakespeare); bawdy
Shylock; Othello; Sambo (martial art); Uncle Tom's Cabin; Jim Crow laws; Ku Klux Klan history; the Klan; KKK; Nazi Germany; neo-Nazi violence; Holocaust; genocide; lynching; apartheid; colonialism; slavery; segregation; eugenics; pogrom
I feel like shifting the deadline; let me push it to Friday; would you finish it?; I will publish it; crash it; he hit it; Dish it out; cash it; can't wait; Kant; Immanuel Kant; cant; can't; count; county; cunning; country; Cuntz left aside; Kunst
dammit left aside; dam; damn left aside; beaver dam; Amsterdam; Rotterdam; damp; condemn; hell left aside; hello; shell; bash shell; shellfish; Michelle; Othello; seashell; bombshell; nutshell; hellebore; help; helm; Helsinki
سلام، کتاب را خواندم؛ کسی هست؟؛ کس دیگری نیامد؛ هر کس؛ کون و مکان؛ لخت؛ منی؛ کیک؛ کیف؛ کریم؛ جان کری؛ تجاوز به حریم؛ شهوت؛ سوپرمارکت؛ فیلم سوپرمن؛ لشکر؛ داف؛ جنگ؛ جنسیت؛ آموزش جنسی؛ سرطان پستان
چطور این را حل کنم؟؛ حشره؛ حشرات؛ هرزه‌نگاری قانون؛ برهنه؛ عرب‌ها؛ افغان‌ها؛ یهودیان ایران؛ معلم خوبی هستید؛ کیرم نیست left aside; دودکش؛ کوسه؛ کونگ فو؛ تخم مرغ؛ تخمین زدن؛ خایه left aside; لاشه؛ لاشخور؛ ساک مسافرتی
नमस्ते; मुझे रिकर्शन समझाइए; चूत left aside; चूना; चूहा; गाना; गांव; लोड; लोडिंग; रंग; रंगीन; हराम; हराम और हलाल; कुत्ता; कुत्ते; सुअर; साला; साले साहब; माल; पटाखा; मूठ; चोदना left aside; स्तन कैंसर; यौन शिक्षा; लिंग अनुपात; योनि
yeh sabzi paki hai; roti paki hui hai; mera saala aaya; kutta bhaunk raha hai; kamine left aside; maal aa gaya; pataka; chut left aside; chhut gaya; chhutti; chutney; Chutia kingdom; gand left aside; ganda pani; gandhi; Gandhara; lund university; lodha
учитель; застрахуй; страхуй; употреблять; потребление; оскорблять; рубля; рублях; сабля; корабля; колебание; хлебать; учебник; скипидар; мандарин; команда; Худой; Хуан; ухо; психушка; мента; менталитет; голый король; какая разница; хрен (растение)
你好; 请问作业; 操场; 体操; 操作系统; 操心; 情操; 鸡; 鸡蛋; 小鸡; 妈妈的手机; 他妈妈; 生日你妈妈; 奶; 牛奶; 卵; 卵子; 性; 性别; 性教育; 成人教育; 乳房检查; 乳腺癌; 阴道炎; 包皮; 干你的活; 杂种优势; 逼近; 强奸罪; 月经; 老母鸡; 处女作; 交配
おはよう; パチンコ; ファックス; グロテスク; しばりょうたろう; 性格; 中出しゃばる; 途中出し入れ自由; 途中出しました; 女の子; 支配; 奴隷制度; 乳首の痛み; 直腸がん; 処女航海; ぶっかけうどん; ワンマンコンサート; マンゴー; オカマイナシ; 誘惑; 噴出; 裸の王様
안녕하세요; 시발점; 시발역; 병신년; 미친 듯이 공부; 강간죄; 유모; 유모차; 애자; 자위대; 보지 않다; 자지 마; 노모; 고자질; 망가; 에로스; 변태 (곤충); 근친; 발표; 씨앗; 아저씨; 새끼손가락; 고양이 새끼; 또라이브 방송
กะปิ; เหี้ยมโหด; กู้เงิน; แม่งาน; ห่าฝน; สัดส่วน; สัดหวาน; หีบ; หีบเพลง; ควาย; เสือก; ขี้เถ้า; ตูดไก่; จู๋จี๋; กระหรี่ปั๊บ; หลั่งน้ำตา; ล้างตู้เย็น; มึนงง
"""
"""One a line or after a semicolon. `left aside` marks a pair whose vulgar half is not meant to be judged here."""


def rows() -> list[list[str]]:
    lines = (WEIGHTS / "terms.tsv").read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if not line.startswith("#")]


def allowed() -> list[str]:
    lines = (WEIGHTS / "allow.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


class Finder:
    """What the scorer's lists find, slowly: terms between words, and inside them where the line says so."""

    def __init__(self) -> None:
        terms = [row for row in rows() if row[0] != "identity"]
        self.terms = {row[1]: int(row[0]) for row in terms if row[2:] != ["sub"]}
        self.inside = {row[1]: int(row[0]) for row in terms if row[2:] == ["sub"]}
        self.allowed = [" ".join(normalise(phrase).tokens()) for phrase in allowed()]

    def find(self, text: str) -> dict[str, int]:
        plain = " ".join(normalise(text).tokens())
        for phrase in self.allowed:
            plain = plain.replace(phrase, " ")
        tokens = plain.split()
        pieces = {" ".join(tokens[i:j]) for i in range(len(tokens)) for j in range(i + 1, min(i + 8, len(tokens)) + 1)}
        found = {piece: self.terms[piece] for piece in pieces & self.terms.keys()}
        return found | {term: severity for term, severity in self.inside.items() if term in plain}


@pytest.fixture(scope="module")
def finder() -> Finder:
    return Finder()


def innocent() -> list[str]:
    entries = [entry.strip() for line in INNOCENT.splitlines() for entry in line.replace("؛", ";").split(";")]
    return [entry for entry in entries if entry and "left aside" not in entry]


def test_every_line_is_a_term_as_the_scorer_reads_text() -> None:
    seen = set()
    for row in rows():
        assert row[0] in ("1", "2", "3", "identity"), row
        assert len(row) == 2 or row[2:] == ["sub"], row
        assert normalise(row[1]).plain == row[1] != "", row
        assert row[1] not in seen, row
        seen.add(row[1])
    for phrase in allowed():
        assert normalise(phrase).plain == phrase != "", phrase


def test_the_names_of_groups_are_many_and_no_terms() -> None:
    identities = {row[1] for row in rows() if row[0] == "identity"}
    assert len(identities) >= 150
    for pair in ("muslim muslims", "jew jews", "gay gays", "refugee refugees", "indian indians", "woman women"):
        assert set(pair.split()) <= identities, pair


def test_ordinary_words_are_not_hit(finder: Finder) -> None:
    texts = innocent()
    assert len(texts) >= 500
    assert {text: found for text in texts if (found := finder.find(text))} == {}


def messages(corpus: str) -> list[str]:
    return (CORPORA / f"{corpus}.txt").read_text(encoding="utf-8").splitlines()


def test_the_mention_of_a_group_is_not_hit(finder: Finder) -> None:
    assert {text: found for text in messages("mentions") if (found := finder.find(text))} == {}


def test_ordinary_messages_are_hardly_ever_hit(finder: Finder) -> None:
    texts = messages("mentoring")
    hit = {text: found for text in texts if max((found := finder.find(text)).values(), default=0) >= 2}
    # What is left quotes a word, or speaks of faggots with gravy.
    assert len(hit) <= 0.003 * len(texts), hit


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("what the FUCK", 2),
        ("you a$$hole", 1),
        ("f u c k you", 2),
        ("fucking idiot", 2),
        ("you ch\u0456nk", 3),
        ("n1gger", 3),
        ("du Hurensohn!", 2),
        ("gilipollas", 2),
        ("enculé", 2),
        ("tu chutiya hai", 2),
        ("чёрт, блядь", 2),
        ("你是王八蛋吗", 2),
        ("이 개새끼야", 2),
        ("مادرجنده", 2),
        ("तू चूतिया है", 2),
        ("🖕", 1),
    ],
)
def test_what_is_meant_to_be_hit_is(finder: Finder, text: str, severity: int) -> None:
    assert max(finder.find(text).values(), default=0) == severity


def test_a_term_inside_an_allowed_phrase_does_not_count(finder: Finder) -> None:
    assert finder.find("a chink in the armour") == {}
    assert finder.find("a chink in the armour, you chink") == {"chink": 3}
