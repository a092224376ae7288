"""What `training.terms` keeps of the public lists, leaves out of them and adds. Offensive by nature.

One entry a line or after a semicolon. A word stays out when it is ordinary somewhere: in mentoring, medicine, law, code,
craft, as a name or a place, or in another language as the normaliser writes it (without diacritics).
"""

# ruff: noqa: E501
from __future__ import annotations

ENGLISH_LEFT_OUT = """
69; abbie; abeed; aboe; anal; anus; asses; azz; bates; bater; bbc; bwc; bender; bj; bishes; biches; blacky; blow a load
bondage; boner; boobs; booty; breasts; buttermilk; b to the inch; bean queen; bugger; beat off; beat the meat; bumhole
caca; cack; cagone; cawk; cawks; chocha; cholo; cock; cocks; cockless; coolie; coon; coonie; coons; coot; coot coot; cooter; cooties; crotch
cotton picker; crotchy; crow; crows; cums; dago; dicks; dickz; diddle; diks; dipstick; dix; dolt; dong; double dick; double dicking
douche; dump a load; dyke; fack; fagot; faget; feg; fick; finger; flamer; flamers; focker; fook; fooker; forked
fuc; fucs; fugger; fugged; fuggings; fuku; fukka; fux; feck; fecker; gayest; gayness; gaysian; gay ass; gin jockey; gowl; greaser; groid; groper; gyp
go to hell; harry palms; heeb; higga; higger; higgers; hoar; hoe; hoes; homo; homos; hooters; hustler; jap; jigga; jiggas; jigger; jiggs; jim crow; jack off
kkk; klan; klitoris; knickers; knob; nobs; knobe; knobed; knober; knobes; loose woman; mfs; molester; mong; mongrel; muff; mushroom tip
negga; neggar; negro; negroes; negroid; niccer; nicka; nickas; nicker; nickker; nig; niga; nigah; nigers; nigra; nigre; niguh; nikkas; nikker; nuckas
nip; nonce; nuggets; nut butter; nymphomaniac; nympho; octopussy; pecker; pedo; pedos; pedoz; peen; peener; peter; phags; phuc; phuk; phuks; phuku; phuq; phucc
prick; pricks; puss; pusses; puzzy; puzzies; queers; ramrod; rectum; retard; retardo; tard; sack; salad tosser; sambo; shat; sheet; shet; sheeeet; shylock; sissy
sixty-nine; slag; slanty; slit; snatch; spanking; sperm; sphincter; spik; spig; spix; spook; spooks; spunk; suck; suck off; swine; tar-baby; tart; tossing salad
tramp; transvestite; twink; vag; vulva; wang; weenie; weiner; wet back; whack off; wop; zip in the wire; s&m; scummy; scut; soab; bastinado; jackass; throater
hoe-asses; crazy sob; gash-stabber; kitty puncher; man seed; girly bits; punkasses; puta; pussy cat; tickle the pickle; sheister; shiester; bollox; bitched; bitching
fatass; doosh; cajones; cameltoe; dipshat; dogie style; doggy style; doggo style; markasses; molester; nigs; fucx; fuks; fuk; fucca; fucc; fuccs; phuck; shited; nigger lover; nigga lover
chinky; darky; fags; ladboys; ladboyz; slut; paki; phuking; phukings; phukk; fuq; stump chewer; nuggets; f'ed; fked; gook; spick; hoebag; shitte; dikhead; bater; mf'ing
bizzach; china-virus; chinavirus; chinese-virus; bell end; double pen; caaak; fck; mfk; milf; lesbo; mongoloid; she-male; lady-boy; s-lut; tosser; wigger; spick; faggs; feck arse
wank; twatt; gaylord; gaylords; cumming; bastid; shtfuk; coonies; geebag; crazy mofos
"""
"""Of `profanity_en.csv`: ordinary words, names, anatomy, medicine, other languages, or two meanings of which one is fine."""

ENGLISH_LESS = """
bitches; fag; bastards; dipshits; shithole; clusterfuck; stfu; goddamn; goddamned; goddamnit; god damn it
god dammit; god damnit; god-dam; god-damned; bitchy ass; injun; redskin; gobshite
"""
"""Of `profanity_en.csv`: rude rather than strong, or a word of history."""

SLUR_STEMS = """
nigger; nigga; niglet; faggot; phaggot; chingchong; slanteye; towelhead; raghead; wetback; jigaboo; jiggaboo; jiggerboo; porchmonkey
cameljockey; zipperhead; ricemonkey; jewboy; spicshit; spicfuck; darkie; darktard; kike; kyke; beaner; dothead; dunecoon; nignog; ovendodger
"""
"""Inside a term, spaces aside: a slur whatever else it says."""

ENGLISH_SLURS = """
chink; spic; spics; spicks; niggress; nigguh; nigguhs; nigguhz; niggir; nigasses; jigaboos; jigro; kneegrows; pancake face; tacohead; wophead
darkass; ragtard; slantard; slantfreak; timber nigger; sand nigger; nignigs
"""
"""Slurs without such a stem."""

KEPT: dict[str, dict[int, str]] = {
    "ar": {1: "عاهرة", 2: "شرموطة; متناك; متناكة; قحبة; طيز"},
    "cs": {
        1: "hajzl; hovno; sračka; do prdele",
        2: "buzna; čurák; do piče; kokotina; koňomrd; mamrd; mrdat; mrdka; oslošoust; šoustat; vypíčenec; zkurvit; zkurvysyn; zmrd",
    },
    "da": {1: "fissehår; kussekryller", 2: "bøsserøv; pikslugeri; piksutteri; røvhul"},
    "de": {
        1: "arsch; hackfresse; kackbratze; kackwurst; scheiße; scheisser; titten; vollpfosten; pimmel",
        2: """arschficker; arschlecker; arschloch; ficken; flittchen; fotze; hure; hurensohn; kampflesbe; nutte; schlampe
            schwanzlutscher; wichse; wichsen; wichser""",
        3: "schwuchtel",
    },
    "en": {
        1: """ball gag; camel toe; circlejerk; cleveland steamer; clit; dirty sanchez; dry hump; golden shower; hot carl; queef; rusty trombone
            shitty; titties; titty; tits; bullshit; bunghole; piss pig; 🖕""",
        2: """assmunch; ball licking; ball sucking; bangbros; blow your load; camslut; camwhore; cumshot; cumshots; eat my ass; fingerbang
            fudge packer; gang bang; gangbang; hand job; handjob; muff diver; muffdiving; piece of shit; poontang; punany; rimjob; shaved pussy
            splooge; spooge; jerk off; motherfucker; fucktards; tranny; deepthroat; creampie""",
        3: "bulldyke; honkey; jigaboo; nig nog; pikey",
    },
    "eo": {2: "ĉiesulino; ĉiesulo; fekfikanto; feklekulo; forfikiĝu; kacsuĉulo"},
    "es": {
        1: "follador; imbécil; kapullo; mierda; culo; tetas grandes",
        2: """cabrón; chupapollas; concha de tu madre; gilipichis; gilipollas; hija de puta; hijaputa; hijo de puta; hijoputa; jilipollas; lameculos
            pendejo; puta; soplagaitas; soplapollas; vete a la mierda""",
        3: "maricón; mariconazo",
    },
    "fa": {1: "جقی; حشری", 2: "جنده; کسکش; کونکش; لاشی; آب کیر; کس دادن; کس کردن; کون دادن; کون کردن; ساک زدن"},
    "fi": {
        1: "hevonpaska; huorata; mulkvisti; paskapuhe; perkele; saatanasti; vittuilla; vittuilu; vituttaa",
        2: """haista paska; haista vittu; kusipää; kyrpä; kyrpänaama; mulkero; mulkku; paskapää; perseennuolija; persereikä; perseääliö
            runkkari; vittu; vittumainen; vitun; vitusti""",
        3: "neekeri; ryssä",
    },
    "fil": {1: "ulol", 2: "puta ka; putang ina; tang ina; tangina; burat; kantot; anak ka ng puta; jakol"},
    "fr": {
        1: "branler; emmerdeur; emmerdeuse; merde; putain; emmerder",
        2: """branlette; branleur; branleuse; connard; connasse; cramouille; enculé; enculée; enculeur; enculeurs; enfoiré; enfoirée; fille de pute
            fils de pute; grogniasse; la putain de ta mère; nique ta mère; nique ta race; pouffiasse; sac à merde; salaud; salope; trou du cul""",
        3: "gouine",
    },
    "fr-CA-u-sd-caqc": {1: "tabarnak"},
    "hi": {
        1: "bhootni ke; tharki; kutta kamina",
        2: """behen chod; beti chod; bhadva; bhadve; bhandve; bhosad; bhosadi ke; chinaal; chodu; chootia; chootiya; chutia; chutiya
            chut ke baal; chut ke dhakkan; chut maarli; choot ke baal; gaand; gaandfat; gaandufad; gandfattu; gandu; haramzade; jhant; jhant ke baal
            jhantu; kutte ki aulad; kutte ki jat; lodu; lund choos; maa ki chut; madar chod; madarchod; mooh mein le; mutthal; raand; saali randi
            randi rona; suar ke lund; suar ki aulad; saala kutta; saali kutti; teri maa ka bhosada; teri maa ki chut; tu chuda; hijda""",
        3: "bhangi; chinki",
    },
    "hu": {
        1: "segg; szar; szajha",
        2: "balfasz; balfaszok; bazmeg; fasz; faszfej; faszfejek; faszok; faszt; geci; gecik; kibaszott; kurafi; picsa; seggfej; seggfejek",
    },
    "it": {
        1: "cazzata; culo; merda; minchia; rompiballe; rompipalle; stronzata; minchione",
        2: """bocchinara; cazzo; cazzone; ciucciami il cazzo; coglione; coglioni; figlio di puttana; leccaculo; mignotta; pompino; porca madonna
            porca puttana; puttana; sborra; stronza; stronzo; testa di cazzo; vaffanculo; zoccola""",
        3: "frocio; froscio; recchione; culattone; terrone",
    },
    "ja": {1: "ちんこ; 巨乳", 2: "マザー・ファッカー; オマンコ; やりまん; 手コキ; フェラチオ; 淫乱"},
    "ko": {
        1: "니기미",
        2: "개새끼; 개자식; 개좆; 씨발; 씨발놈; 씨팔; 씹새끼; 씹창; 씹팔; 좆; 쌍놈; 미친새끼; 병신; 잡년; 창녀; 화냥년; 후레아들; 빠구리",
        3: "짱깨; 쪽바리",
    },
    "nl": {
        1: "boerelul; gesodemieter; godverdomme; hufter; klerebeer; rotzak; schijten; verneuken; zakkenwasser",
        2: "hoer; hoerenloper; klootzak; kontneuken; kuttelikkertje; matennaaier; neuken; opkankeren; rothoer; stoephoer; teringlijer; trottoirteef",
    },
    "no": {
        1: "forjævlig; faen; fy faen; føkk; føkka; føkkings; jævla; jævlig; ræva; ståpikk",
        2: "drittsekk; morraknuller; morrapuler",
        3: "pakkis",
    },
    "pl": {
        1: "chujnia; dupek; gówno; gówno prawda; wkurwiać; zajebisty; pierdoła",
        2: """chuj; do kurwy nędzy; dziwka; huj ci w dupę; ja pierdolę; jebać; jebany; kurwa; kurwy; obciągać chuja; obciągać fiuta
            pierdolić; pierdolec; pierdolnięty; pizda; pojeb; pojebany; popierdolony; ruchać; skurwysyn""",
        3: "ciota",
    },
    "pt": {
        1: "merda",
        2: """cabrao; caralho; filho da puta; foda-se; foder; boceta; puta; puta que pariu; puta que te pariu; vai-te foder; vai tomar no cu
            chochota; xochota""",
        3: "paneleiro",
    },
    "ru": {
        1: "говно; говнюк; жопа; срать; ссать; shalava; sukin syn",
        2: """блядки; блядовать; блядство; блядь; выёбываться; гандон; дрочить; ёбарь; ебать; ебло; ебнуть; ёб твою мать; жополиз; мандавошка
            мудило; мудозвон; наебать; на хуй; на хуя; не ебет; ни хуя; охуеть; охуительно; спиздить; хуёво; хуёвый; хуеплет; хуило; хуиня
            хуй; хуйнуть; pizda; pizdato; zalupa; zasranetc; mudack""",
        3: "chernozhopyi; pidar gnoinyj",
    },
    "sv": {1: "jävlar; runka; skit ner dig", 2: "discofitta; knulla; rövhål; rövknulla; skäggbiff; snedfitta"},
    "th": {1: "ตอแหล; ส้นตีน", 2: "ควย; เย็ด; ไอ้ควาย; เหี้ย"},
    "tlh": {1: "ghuy'cha'; QI'yaH; Qu'vatlh"},
    "tr": {
        1: "kaltak; kaltağa; kaltağı; kaltağın; kaltaklar; taşak; taşağa; taşağı; taşağın; taşaklar",
        2: """amcık; amcığa; amcığı; amcığın; amcıklar; orospu; orospular; orospuları; orospuların; orospunun; orospuya; orospuyu; sikmek; siktir
            siktirir siktirmez; yarağa; yarağı; yarağın; yaraklar""",
        3: "götveren; götverenler; götvereni; götverenin",
    },
    "zh": {
        1: "狗屁; 它妈的; 白痴; 笨蛋; 瘪三",
        2: """操你妈; 操你娘; 操你全家; 操你祖宗; 操你老母; 操你老妈; 操你奶奶; 傻比; 傻逼; 婊子; 婊子养的; 王八蛋; 贱人; 贱货; 骚货; 骚逼; 骚比; 鸡巴; 大鸡巴; 雞巴
            干你娘; 干你老母; 肏; 屄; 冚家鏟; 咸家鏟; 仆街; 强奸你; 淫妇; 淫荡; 淫棍; 荡妇; 塞你母; 懆您妈; 驶你母; 赛你老母; 狗狼养的; 龟儿子; 烂逼; 烂货""",
    },
}
"""Of LDNOOBW's lists, by language and severity. Kabyle has none that is not an ordinary word as well."""

UNSPACED = frozenset({"ja", "ko", "th", "zh"})
"""Languages whose words are not set apart, or carry particles: their terms match inside words too."""

ADDED: dict[int, str] = {
    1: "сука",
    2: """
        behenchod; bhenchod; benchod; bhosdike; bhosdi ke; bhosadike; madarchodo; maderchod; chutiye; chutiyapa; gaandu; haramkhor; haramzada; haramzadi
        मादरचोद; भेनचोद; बहनचोद; चूतिया; चूतिये; गांडू; गाण्डू; हरामजादा; हरामज़ादा; हरामखोर; भोसड़ी के; भोसड़ीके; रंडी; लौड़ा; लौड़े; भड़वा; झांट
        مادرجنده; حرومزاده; حرامزاده; کصکش; کیرم; کیرم تو; بی ناموس; دیوث; پدرسگ; مادر قحبه; خارکسده; گاییدمت
        мудак; мудаки; пиздец; пизда; ублюдок; долбоёб; уёбок; шлюха; нахуй; похуй; хуйня; хуйло; мразь; ёбаный; заебал
        kurwa mać; spierdalaj; connards; hijos de puta; cabrones; pendejos; malparido; arschlöcher; hurensöhne; fick dich; verpiss dich
        trannies; retarded; libtard; incel scum; sluts; slutty; slutshaming; fuckwit; fuckwits; dumbfuck; dumb fuck; wankstain; bawbag; twatface
        """,
    3: """
        chinks; gooks; kikes; niggers; niggas; nigga; nigger; faggots; faggot; paki; pakis; wetbacks; ragheads; towelheads; beaners; beaner
        wog; wogs; golliwog; curry muncher; curry munchers; muzzie; muzzies; mudslime; mudslimes; jungle bunny; jungle bunnies; kaffir; kaffirs; sandnigger
        sandniggers; darkies; darky; gook; chinky; bulldykes; honkies; pikeys; schwuchteln; mayate; sudaca; sudacas; bougnoule; bougnoules
        пидор; пидорас; пидоры; черножопый; жидовка; жид; chamaar; kanglu; katua; katue; mulla saale; नीच जात; कटुआ; kuffar scum; dothead
        """,
}
"""What the lists lack: usual spellings, other scripts, plurals, slurs of the platform's languages."""

ALLOWED = """
scunthorpe; penistone; clitheroe; lightwater; cockermouth; cockfosters; cocktail; cocktails; cockpit; peacock; hancock; hitchcock; cockroach; assess; assessment
assassin; bass; class; classic; passage; embarrass; dick cheney; dick van dyke; moby dick; philip k dick; dick francis; cock robin; stopcock; shitake; shiitake
shittim; essex; sussex; middlesex; arsenal; arsenic; parse; sparse; analyst; analysis; canal; therapist; document; cucumber; accumulate; circumstance; cumulative
cum laude; magna cum laude; summa cum laude; cum grano salis; cum hoc; post hoc cum hoc; cum dividend; cum rights; cum sec; cum inde
pussy willow; pussy willows; pussy riot; pussy cat; pussycat; great tits; blue tits; coal tits; marsh tits; willow tits; long tailed tits; tits and finches
chink in the armour; chink in the armor; chink in his armour; chink in her armour; chink in their armour; chink in its armour; chink of light; chinks in the armour
chinks in the armor; chinks of light; spic and span; spic n span; spic macay; kike hernandez; kike garcia; kike setien; kike perez; hola kike; gracias kike; soy kike; me llamo kike; saludos kike; kaffir lime; kaffir limes; makrut or kaffir
retarded potential; retarded potentials; retarded time; retarded growth; retarded green; retarded flow; retarded van der waals; growth retarded; psychomotor retarded; flame retarded; fire retarded
chutia kingdom; chutia people; chutiya kingdom; chutiya people; chutia dynasty; chutiya dynasty; chutia tribe; chutiya tribe; chutia community
paki hui; paki hai; paki sabzi; paki fasal; achhi paki; paki nahi; bastard feudalism; village of fucking; fucking in austria; fucking , austria; fucking was renamed; faggots in this; bitch whelped; breed a bitch; the bitch has; bastard file; bastard sword; bastard amber; bastard title; flat bastard
ass and foal; wild ass; the ass and the; african wild ass; asiatic wild ass; an ox and an ass; ox or his ass; the law is an ass; law is a ass; ass's milk
bitch in heat; breeding bitch; brood bitch; stud dog and bitch; the bitch was spayed; bitch and her pups; bitch and her puppies; resource curse
tranny fluid; manual tranny; faggots and peas; faggots and gravy; mushy peas and faggots; bundle of faggots
เหี้ยม; เหี้ยมโหด; 병신년
golden shower tree; golden shower flower; cassia fistula golden shower
fag end; fag ash; fag packet; fag ends
redskin potatoes; redskin potato; redskin peanuts; washington redskins; redskins
"""
"""Phrases in which a term, or what looks like one, is fine."""

IDENTITIES = """
person of color; people of color; people of colour; black; blacks; black people; black person; black man; black men; black woman; black women; white people; white person
white man; white men; white woman; white women; brown people; brown person; asian; asians; african; africans; african american; african americans; arab; arabs; european; europeans
american; americans; native american; native americans; indigenous; indigenous people; aboriginal; aboriginals; latino; latinos; latina; latinas; latinx; hispanic; hispanics; caucasian; caucasians
chinese; japanese; korean; koreans; vietnamese; thai; thais; filipino; filipinos; filipina; indonesian; indonesians; malay; malays; indian; indians; pakistani; pakistanis; bangladeshi; bangladeshis
nepali; nepalis; nepalese; sri lankan; sri lankans; tamil; tamils; bengali; bengalis; punjabi; punjabis; gujarati; gujaratis; kashmiri; kashmiris; bihari; biharis; marathi; malayali; malayalis
afghan; afghans; iranian; iranians; persian; persians; iraqi; iraqis; syrian; syrians; lebanese; palestinian; palestinians; israeli; israelis; saudi; saudis; yemeni; yemenis; turk; turks; turkish
kurd; kurds; kurdish; armenian; armenians; azeri; azeris; georgian; georgians; uzbek; uzbeks; kazakh; kazakhs; tajik; tajiks; uyghur; uyghurs; rohingya; rohingyas; tibetan; tibetans; mongolian; mongolians
egyptian; egyptians; moroccan; moroccans; algerian; algerians; tunisian; tunisians; nigerian; nigerians; ghanaian; ghanaians; kenyan; kenyans; ethiopian; ethiopians; eritrean; eritreans; somali; somalis
sudanese; congolese; zimbabwean; zimbabweans; south african; south africans; ugandan; ugandans; rwandan; rwandans; mexican; mexicans; brazilian; brazilians; cuban; cubans; colombian; colombians
venezuelan; venezuelans; peruvian; peruvians; haitian; haitians; jamaican; jamaicans; puerto rican; puerto ricans; canadian; canadians; australian; australians; german; germans; french; british; english
irish; scottish; welsh; italian; italians; spanish; spaniard; spaniards; portuguese; dutch; belgian; belgians; polish; pole; poles; russian; russians; ukrainian; ukrainians; romanian; romanians
bulgarian; bulgarians; hungarian; hungarians; greek; greeks; albanian; albanians; serb; serbs; croat; croats; bosnian; bosnians; czech; czechs; slovak; slovaks; swede; swedes; swedish; norwegian; norwegians
dane; danes; danish; finn; finns; finnish; roma; romani; sinti; traveller; travellers; gypsy; gypsies; maori; maoris; inuit; hawaiian; hawaiians
muslim; muslims; islam; islamic; sunni; sunnis; shia; shias; shiite; shiites; ahmadi; ahmadis; christian; christians; catholic; catholics; protestant; protestants; orthodox; evangelical; evangelicals
mormon; mormons; jew; jews; jewish; judaism; hindu; hindus; sikh; sikhs; buddhist; buddhists; jain; jains; parsi; parsis; zoroastrian; zoroastrians; bahai; bahais; yazidi; yazidis; druze
atheist; atheists; agnostic; agnostics; dalit; dalits; brahmin; brahmins; adivasi; adivasis; obc; scheduled caste; scheduled castes; scheduled tribe; scheduled tribes
gay; gays; lesbian; lesbians; homosexual; homosexuals; bisexual; bisexuals; pansexual; asexual; asexuals; queer; heterosexual; heterosexuals; lgbt; lgbtq; lgbtqia; trans; transgender; transsexual; transsexuals
trans people; trans man; trans men; trans woman; trans women; nonbinary; non binary; genderqueer; intersex; cisgender; hijra; hijras; gay people; gay man; gay men; gay woman; gay couple; same sex couple; same sex couples
woman; women; girl; girls; man; men; boy; boys; female; females; male; males; feminist; feminists; mother; mothers; father; fathers; single mother; single mothers; housewife; housewives; widow; widows
disabled; disabled people; disabled person; people with disabilities; person with a disability; blind; blind people; deaf; deaf people; mute; autistic; autistic people; autism; dyslexic; dyslexia; adhd
down syndrome; wheelchair user; wheelchair users; paraplegic; epileptic; bipolar; schizophrenic; mentally ill; depressed people; amputee; amputees; hard of hearing; neurodivergent; stutterer; stutterers
old people; old person; elderly; elderly people; senior; seniors; pensioner; pensioners; boomer; boomers; young people; teenager; teenagers; teen; teens; child; children; kids; millennial; millennials; middle aged
immigrant; immigrants; migrant; migrants; refugee; refugees; asylum seeker; asylum seekers; foreigner; foreigners; expat; expats; undocumented; undocumented immigrants; stateless; newcomer; newcomers
fat people; short people; poor people; homeless; homeless people; working class; sex worker; sex workers; prisoner; prisoners; hiv positive; dark skinned; light skinned; mixed race; biracial
مسلمان; مسلمانان; یهودی; یهودیان; مسیحی; مسیحیان; زرتشتی; بهایی; افغان; افغانی; افغان ها; عرب; عرب ها; کرد; کردها; ترک; ترک ها; لر; بلوچ; فارس; ایرانی; مهاجر; مهاجران; پناهنده; همجنسگرا; ترنس; معلول; نابینا
हिंदू; मुसलमान; मुस्लिम; सिख; ईसाई; बौद्ध; जैन; दलित; आदिवासी; ब्राह्मण; महिला; महिलाएँ; समलैंगिक; किन्नर; विकलांग; दिव्यांग; शरणार्थी; प्रवासी
"""
"""Neutral names of groups: nations, ethnicities, religions, castes, orientation, gender, disability, age, migration."""
