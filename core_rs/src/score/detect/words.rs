//! The words that the detectors look for, each with its roles, in a table that is asked once a word.
use std::sync::LazyLock;

/// Names a digit, or two.
pub(super) const NUMBER: u16 = 1;
/// `double`, `triple`.
pub(super) const MULTIPLE: u16 = 1 << 1;
/// Announces a phone number.
pub(super) const PHONE: u16 = 1 << 2;
/// Announces a number that is no phone's: an order, a page, a price.
pub(super) const RECORD: u16 = 1 << 3;
/// A place where people have names.
pub(super) const MESSENGER: u16 = 1 << 4;
/// A way to pay that is not the platform's.
pub(super) const WALLET: u16 = 1 << 5;
/// `pay`, `transfer`, `send`.
pub(super) const PAY: u16 = 1 << 6;
/// Announces a mail address.
pub(super) const MAIL: u16 = 1 << 7;
pub(super) const AT: u16 = 1 << 8;
pub(super) const DOT: u16 = 1 << 9;
/// Leaves the platform: `outside`, `off`, `bypass`.
pub(super) const OUTSIDE: u16 = 1 << 10;
/// `number`: of a phone when it is mine, of nothing in particular otherwise.
pub(super) const COUNT: u16 = 1 << 11;
/// May be the first word of a way to pay: `cash app`, `western union`.
pub(super) const FIRST: u16 = 1 << 13;
/// Names a digit and is a common word otherwise.
pub(super) const AMBIGUOUS: u16 = 1 << 12;

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cue {
    pub(super) roles: u16,
    /// Of a number its value, of a multiple how many.
    pub(super) value: u8,
}

impl Cue {
    pub(super) fn is(self, roles: u16) -> bool {
        self.roles & roles != 0
    }
}

/// English, romanised Hindi and Urdu, Spanish, French, German; what they share with other words is ambiguous.
const NUMBERS: &[(u8, &str)] = &[
    (0, "zero oh nought naught shunya sunya shoonya sifar sifr cero null"),
    (1, "one ek uno un eins ein"),
    (2, "two dos deux zwei"),
    (3, "three teen tres trois drei thri"),
    (4, "four chaar cuatro quatre vier"),
    (5, "five paanch panch paach cinco cinq"),
    (6, "six chhe chhah chha cheh seis sechs"),
    (7, "seven saat siete sept sieben"),
    (8, "eight aath ocho huit acht"),
    (9, "nine nau nueve neuf neun niner"),
    (10, "ten das"),
    (11, "eleven"),
    (12, "twelve"),
    (13, "thirteen"),
    (14, "fourteen"),
    (15, "fifteen"),
    (16, "sixteen"),
    (17, "seventeen"),
    (18, "eighteen"),
    (19, "nineteen"),
    (20, "twenty"),
    (30, "thirty"),
    (40, "forty fourty"),
    (50, "fifty"),
    (60, "sixty"),
    (70, "seventy"),
    (80, "eighty"),
    (90, "ninety"),
];
const AMBIGUOUS_NUMBERS: &[(u8, &str)] = &[
    (0, "o"),
    (2, "do to too"),
    (3, "tin"),
    (4, "char for"),
    (6, "che chah"),
    (7, "sat"),
    (8, "ath ate"),
    (9, "no nou"),
];

const ROLES: &[(u16, &str)] = &[
    (
        PHONE,
        "phone phones call calling ring dial text txt sms mobile mob cell cellphone tel telephone telefon telefono ph \
         whatsapp watsapp whatsap whatsup wapp wtsp wsp viber signal imo contact reach gpay phonepe paytm landline \
         handynummer handy nummer telephonenumber phonenumber mobilenumber shomare shomareh numero tlf bizum",
    ),
    (COUNT, "number numbers num no nr nos digits"),
    (
        RECORD,
        "order orders id ids invoice ticket ref reference isbn issn doi pmid case tracking awb pnr utr aadhaar aadhar \
         account acct serial sku roll registration enrolment enrollment student passport transaction txn receipt error \
         code otp pin port version build commit timestamp epoch ip zip pincode postcode page pages line lines row rows \
         column hash bytes byte size count total sum price cost amount rs inr usd eur gbp population value result equals \
         answer integer int array list binary hex date year issue bug article section meeting webinar passcode orcid \
         seconds minutes hours users people dollars rupees euros pounds ms ns km kg views items records times million \
         billion thousand hundred lakh crore hz requests patent statute roman prime pi point score scores series \
         sequence dataset sample seed key tensor shape index offset mod modulo plus minus divided multiplied factorial",
    ),
    (
        MESSENGER,
        "insta instagram ig telegram tg whatsapp signal snap snapchat discord skype viber wechat weixin kik twitter \
         tiktok facebook fb messenger linkedin threads wickr imo telegran insta_id instaid snapid zangi eitaa bale rubika \
         soroush line session",
    ),
    (
        WALLET,
        "paypal venmo zelle cashapp gpay googlepay phonepe paytm upi revolut bitcoin btc eth ethereum usdt crypto \
         moneygram bhim bizum payoneer skrill bkash jazzcash easypaisa mpesa iban",
    ),
    (PAY, "pay paying paid payment payments transfer send wire deposit zelle venmo paypal gpay cashapp"),
    (MAIL, "email mail gmail mailid emailid id address contact reach write inbox emails yahoo hotmail outlook"),
    (AT, "at"),
    (DOT, "dot punto punkt point"),
    (OUTSIDE, "outside off bypass avoid skip without directly offline privately"),
    (FIRST, "cash google apple amazon western bank gift phone"),
];

const SLOTS: usize = 2048;
/// A power of two, so many that most words that are no cue have a bit to themselves.
const BITS: usize = 8192;

/// Bytes of the longest cue.
pub(super) const LONGEST: usize = 16;

/// A word of at most [`LONGEST`] bytes, none of them 0, as a number.
pub(super) fn key(word: &[u8]) -> u128 {
    let mut bytes = [0; LONGEST];
    bytes[..word.len()].copy_from_slice(word);
    u128::from_le_bytes(bytes)
}

fn hash(key: u128) -> usize {
    let halves = (key as u64) ^ ((key >> 64) as u64).rotate_left(23);
    (halves.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48) as usize
}

/// Open addressing; half of the slots and more are empty.
pub(super) struct Table {
    slots: Vec<(u128, Cue)>,
    /// Whether any cue has such a hash.
    bits: [u64; BITS / 64],
}

impl Table {
    fn new() -> Self {
        let mut table = Self { slots: vec![(0, Cue::default()); SLOTS], bits: [0; BITS / 64] };
        for (roles, list) in [(NUMBER, NUMBERS), (NUMBER | AMBIGUOUS, AMBIGUOUS_NUMBERS)] {
            for &(value, words) in list {
                for word in words.split_whitespace() {
                    table.add(word, Cue { roles, value });
                }
            }
        }
        for &(roles, words) in ROLES {
            for word in words.split_whitespace() {
                table.add(word, Cue { roles, value: 0 });
            }
        }
        for (word, value) in [("double", 2), ("dbl", 2), ("triple", 3)] {
            table.add(word, Cue { roles: MULTIPLE, value });
        }
        table
    }

    fn add(&mut self, word: &'static str, cue: Cue) {
        let key = key(word.as_bytes());
        let hash = hash(key);
        self.bits[hash % BITS / 64] |= 1 << (hash % 64);
        let mut slot = hash % SLOTS;
        while self.slots[slot].0 != 0 && self.slots[slot].0 != key {
            slot = (slot + 1) % SLOTS;
        }
        let known = self.slots[slot].1;
        let value = known.value.max(cue.value);
        self.slots[slot] = (key, Cue { roles: known.roles | cue.roles, value });
    }

    /// The cue that a word is, given as `key` makes it.
    #[inline]
    pub(super) fn get(&self, key: u128) -> Option<Cue> {
        let hash = hash(key);
        if self.bits[hash % BITS / 64] & 1 << (hash % 64) == 0 {
            return None;
        }
        let mut slot = hash % SLOTS;
        loop {
            let (known, cue) = self.slots[slot];
            if known == 0 {
                return None;
            }
            if known == key {
                return Some(cue);
            }
            slot = (slot + 1) % SLOTS;
        }
    }
}

pub(super) fn table() -> &'static Table {
    static TABLE: LazyLock<Table> = LazyLock::new(Table::new);
    &TABLE
}

/// The digit that a word in another script names: Hindi, Persian, Arabic.
pub(super) fn foreign_digit(word: &str) -> Option<u8> {
    Some(match word {
        "शून्य" | "صفر" => b'0',
        "एक" | "یک" | "واحد" => b'1',
        "दो" | "دو" | "اثنان" => b'2',
        "तीन" | "سه" | "ثلاثة" => b'3',
        "चार" | "چهار" | "أربعة" => b'4',
        "पाँच" | "पांच" | "پنج" | "خمسة" => b'5',
        "छह" | "छः" | "छे" | "شش" | "ستة" => b'6',
        "सात" | "هفت" | "سبعة" => b'7',
        "आठ" | "هشت" | "ثمانية" => b'8',
        "नौ" | "نه" | "تسعة" => b'9',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cue(word: &str) -> Option<Cue> {
        table().get(key(word.as_bytes()))
    }

    #[test]
    fn a_word_has_all_its_roles() {
        assert!(cue("whatsapp").is_some_and(|cue| cue.is(PHONE) && cue.is(MESSENGER) && !cue.is(RECORD)));
        assert!(cue("zero").is_some_and(|cue| cue.is(NUMBER) && cue.value == 0));
        assert!(cue("triple").is_some_and(|cue| cue.is(MULTIPLE) && cue.value == 3));
        assert!(cue("no").is_some_and(|cue| cue.is(AMBIGUOUS) && cue.is(COUNT)));
        assert!(cue("hello").is_none());
    }
}
