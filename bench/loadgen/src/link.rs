//! One realtime link (docs/protocol.md): the way from the handshake to its last attach, what it publishes, and whether
//! what it is sent is right.
use crate::{
    ledger::Ledger,
    orders::LinkOrder,
    tally::{SAMPLED, Tally},
    websocket,
};
use serde::Deserialize;
use std::{
    collections::VecDeque,
    fmt::Write as _,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// What people write to each other: servers look into texts, and what they cost depends on it.
const PROSE: &str = " thanks for the session on thursday, it helped a lot! could you look at my essay again before the \
    deadline? I rewrote the second part, but the introduction is still too long I think. shall we meet next monday at \
    ten, or is the evening better for you? I have read the chapter you told me about and made some notes. the interview \
    went well, they asked about my project and why I left school early. do you know somebody who works at the hospital? \
    my sister wants to become a nurse and has so many questions. see you soon, and have a good weekend with your family!";

/// Digits of the time of sending, in front of each text.
pub(crate) const STAMP_DIGITS: usize = 20;

/// A frame of the server, as far as it is looked at.
#[derive(Deserialize)]
struct Frame<'a> {
    op: &'a str,
    id: Option<u64>,
    number: Option<u64>,
    offset: Option<u64>,
    head: Option<u64>,
    outcome: Option<&'a str>,
    code: Option<serde_json::Value>,
    temporary: Option<bool>,
    retry_after_ms: Option<u64>,
    duplicate: Option<bool>,
}

/// A publish on its way.
#[derive(Clone, Copy)]
struct Sent {
    id: u64,
    n: u64,
    /// When it was first sent, since `Link::zero`; part of its text.
    stamp: Duration,
}

struct Attached {
    number: u64,
    /// Of the link's channels.
    channel: usize,
    ledger: Ledger,
}

/// What a link publishes, to one channel at a time.
#[derive(Default)]
pub(crate) struct Publishing {
    pub(crate) channel: usize,
    /// Publishes that are yet to be begun.
    pub(crate) wanted: u64,
    pub(crate) burst: usize,
    pub(crate) in_flight: usize,
    pub(crate) text_bytes: usize,
}

pub(crate) struct Link {
    index: usize,
    /// What times are counted from, by all links.
    zero: Instant,
    token: String,
    pub(crate) channels: Vec<String>,
    attach: bool,
    attached: Vec<Attached>,
    ready: bool,
    upgraded: bool,
    /// The beginning of a frame whose end has not come.
    rest: Vec<u8>,
    pub(crate) out: Vec<u8>,
    next_id: u64,
    /// `n` of the newest publish, by channel.
    published: Vec<u64>,
    flying: VecDeque<Sent>,
    again: VecDeque<Sent>,
    not_before: Instant,
    newest_ack: u64,
    pub(crate) publishing: Publishing,
    /// First half of this link's client ids.
    birth: u128,
    key: u32,
}

impl Link {
    pub(crate) fn new(index: usize, zero: Instant, order: LinkOrder) -> Self {
        Self {
            index,
            zero,
            token: order.token,
            published: vec![0; order.channels.len()],
            channels: order.channels,
            attach: order.attach,
            attached: Vec::new(),
            ready: false,
            upgraded: false,
            rest: Vec::new(),
            out: Vec::new(),
            next_id: 1,
            flying: VecDeque::new(),
            again: VecDeque::new(),
            not_before: zero,
            newest_ack: 0,
            publishing: Publishing::default(),
            birth: birth(index),
            key: (index as u32).wrapping_mul(0x9E37_79B9) | 1,
        }
    }

    pub(crate) fn open(&mut self, host: &str) {
        self.out = websocket::request(host, "/v1/realtime", Some("chiron.v1.json"));
    }

    /// Publishes without an answer.
    pub(crate) fn waiting(&self) -> usize {
        self.flying.len() + self.again.len()
    }

    /// Whether something was refused and is to be sent again, later.
    pub(crate) fn rests(&self) -> bool {
        !self.again.is_empty()
    }

    /// Offsets lost and repeated, and deliveries out of order; `head` is the newest of each channel.
    pub(crate) fn verdict(&self, head: impl Fn(&str) -> u64) -> (u64, u64, u64) {
        self.attached.iter().fold((0, 0, 0), |(lost, repeated, disordered), one| {
            let head = head(&self.channels[one.channel]);
            (lost + one.ledger.lost(head), repeated + one.ledger.repeated, disordered + one.ledger.disordered)
        })
    }

    /// Begins to count anew.
    pub(crate) fn forgive(&mut self, head: impl Fn(&str) -> u64) {
        for one in &mut self.attached {
            one.ledger.forgive(head(&self.channels[one.channel]));
        }
        self.newest_ack = 0;
    }

    // ------------------------------------------------------------------------------------------------------- reading

    /// Bytes of the server, in any pieces.
    pub(crate) fn receive(&mut self, bytes: &[u8], now: Instant, tally: &mut Tally) {
        if self.rest.is_empty() {
            let used = self.consume(bytes, now, tally);
            self.rest.extend_from_slice(&bytes[used..]);
        } else {
            let mut joined = std::mem::take(&mut self.rest);
            joined.extend_from_slice(bytes);
            let used = self.consume(&joined, now, tally);
            joined.drain(..used);
            self.rest = joined;
        }
    }

    fn consume(&mut self, bytes: &[u8], now: Instant, tally: &mut Tally) -> usize {
        let mut used = 0;
        if !self.upgraded {
            match websocket::response(bytes) {
                Ok(None) => return 0,
                Ok(Some(end)) => {
                    used = end;
                    self.upgraded = true;
                    let id = self.id();
                    self.say(&format!(r#"{{"op":"connect","id":{id},"token":"{}"}}"#, self.token));
                }
                Err(reason) => {
                    tally.trouble(reason);
                    tally.ended += 1;
                    return bytes.len();
                }
            }
        }
        while let Some((header, length)) = websocket::header(&bytes[used..]) {
            let Some(payload) = bytes.get(used + header..used + header + length) else { break };
            match bytes[used] & 0x0F {
                1 => self.frame(payload, now, tally),
                8 => tally.trouble("websocket close"),
                _ => {}
            }
            used += header + length;
        }
        used
    }

    fn frame(&mut self, text: &[u8], now: Instant, tally: &mut Tally) {
        if let Some((number, offset)) = delivery(text) {
            return self.delivered(number, offset, text, now, tally);
        }
        let frame: Frame<'_> = match serde_json::from_slice(text) {
            Ok(frame) => frame,
            Err(error) => return tally.trouble(format!("not a frame: {error}")),
        };
        match frame.op {
            "delivery" => {
                self.delivered(frame.number.unwrap_or(0), frame.offset.unwrap_or(0), text, now, tally);
            }
            "ack" => self.acknowledged(&frame, now, tally),
            "event" => tally.events += 1,
            "ping" => self.say(r#"{"op":"pong"}"#),
            "welcome" => self.next_attach(tally),
            "attached" => {
                if frame.outcome == Some("complete") {
                    let ledger = Ledger::new(frame.head.unwrap_or(0));
                    let channel = self.attached.len();
                    self.attached.push(Attached { number: frame.number.unwrap_or(0), channel, ledger });
                } else {
                    tally.trouble(format!("attached: {}", frame.outcome.unwrap_or("?")));
                }
                self.next_attach(tally);
            }
            "error" => self.refused(&frame, now, tally),
            "close" => tally.trouble(format!("close {}", frame.code.unwrap_or_default())),
            other => tally.trouble(other),
        }
    }

    fn next_attach(&mut self, tally: &mut Tally) {
        if self.attach && self.attached.len() < self.channels.len() {
            let (id, channel) = (self.id(), &self.channels[self.attached.len()]);
            let text = format!(r#"{{"op":"attach","id":{id},"channel":"{channel}","gen":1}}"#);
            self.say(&text);
        } else if !std::mem::replace(&mut self.ready, true) {
            tally.ready += 1;
        }
    }

    fn delivered(&mut self, number: u64, offset: u64, text: &[u8], now: Instant, tally: &mut Tally) {
        let Some(one) = self.attached.iter_mut().find(|one| one.number == number) else {
            return tally.trouble("delivery of another channel");
        };
        if one.ledger.delivered(offset) {
            tally.deliveries += 1;
        }
        if self.index % SAMPLED == 0 {
            if let Some(stamp) = stamp(text) {
                tally.delivered((now - self.zero).saturating_sub(stamp));
            }
            if tally.sample.is_empty() {
                tally.sample = String::from_utf8_lossy(text).into_owned();
            }
        }
    }

    /// The publish that an answer is for: answers come in the order of the publishes.
    fn answered(&mut self, id: Option<u64>, tally: &mut Tally) -> Option<Sent> {
        let position = self.flying.iter().position(|sent| Some(sent.id) == id)?;
        if position > 0 {
            tally.disordered += 1;
        }
        self.flying.remove(position)
    }

    fn acknowledged(&mut self, frame: &Frame<'_>, now: Instant, tally: &mut Tally) {
        let (Some(sent), Some(offset)) = (self.answered(frame.id, tally), frame.offset) else {
            return tally.trouble("an ack of nothing");
        };
        let channel = self.publishing.channel;
        tally.ack(&self.channels[channel], offset, (now - self.zero).saturating_sub(sent.stamp));
        if offset <= self.newest_ack {
            tally.disordered += 1;
        }
        self.newest_ack = offset;
        if frame.duplicate == Some(true) {
            tally.trouble("duplicate");
        }
        if let Some(one) = self.attached.iter_mut().find(|one| one.channel == channel) {
            one.ledger.acknowledged(offset);
        }
    }

    fn refused(&mut self, frame: &Frame<'_>, now: Instant, tally: &mut Tally) {
        let code = frame.code.as_ref().and_then(|code| code.as_str()).unwrap_or("?");
        tally.trouble(format!("error {code}"));
        let Some(sent) = self.answered(frame.id, tally) else { return };
        if frame.temporary == Some(true) {
            tally.refused += 1;
            self.again.push_back(sent);
            self.not_before = self.not_before.max(now + Duration::from_millis(frame.retry_after_ms.unwrap_or(0)));
        } else {
            tally.failed += 1;
        }
    }

    // ------------------------------------------------------------------------------------------------------- writing

    /// Publishes what may be published now. What was refused for a while goes first, once all before it is answered.
    pub(crate) fn pump(&mut self, now: Instant, tally: &mut Tally) {
        if !self.again.is_empty() {
            if self.flying.is_empty() && now >= self.not_before {
                for mut sent in std::mem::take(&mut self.again) {
                    sent.id = self.id();
                    self.flying.push_back(sent);
                    let text = self.publish(sent);
                    self.say(&text);
                }
            }
            return;
        }
        let Publishing { wanted, burst, in_flight, channel, .. } = self.publishing;
        let mut count = in_flight.saturating_sub(self.flying.len()).min(usize::try_from(wanted).unwrap_or(usize::MAX));
        if burst > 1 {
            count -= count % burst;
        }
        self.publishing.wanted -= count as u64;
        tally.published += count as u64;
        let stamp = now - self.zero;
        while count > 0 {
            let together = burst.max(1).min(count);
            count -= together;
            let mut message = String::new();
            for _ in 0..together {
                self.published[channel] += 1;
                let sent = Sent { id: self.id(), n: self.published[channel], stamp };
                self.flying.push_back(sent);
                message.push(if message.is_empty() { '[' } else { ',' });
                message.push_str(&self.publish(sent));
            }
            if together == 1 {
                self.say(&message[1..]);
            } else {
                message.push(']');
                self.say(&message);
            }
        }
    }

    fn publish(&self, sent: Sent) -> String {
        let Sent { id, n, stamp } = sent;
        let channel = &self.channels[self.publishing.channel];
        let mut text = String::with_capacity(self.publishing.text_bytes + 220);
        let client_id = ulid(self.birth | u128::from(n));
        // Writing to a String does not fail.
        let _ = write!(
            text,
            r#"{{"op":"publish","id":{id},"channel":"{channel}","client_id":"{client_id}","n":{n},"kind":"text","body":{{"text":"{:0STAMP_DIGITS$}"#,
            stamp.as_nanos()
        );
        text.extend(prose(n).take(self.publishing.text_bytes.saturating_sub(STAMP_DIGITS)));
        text.push_str(r#""}}"#);
        text
    }

    fn say(&mut self, text: &str) {
        // xorshift32: a mask must not be foreseen by what is behind a proxy (RFC 6455 §10.3), of which there is none.
        self.key ^= self.key << 13;
        self.key ^= self.key >> 17;
        self.key ^= self.key << 5;
        websocket::write_text(text.as_bytes(), self.key.to_ne_bytes(), &mut self.out);
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }
}

/// Number and offset of a delivery whose members stand in the order of docs/protocol.md; `None`: look closer.
pub(crate) fn delivery(text: &[u8]) -> Option<(u64, u64)> {
    let (number, rest) = integer(text.strip_prefix(br#"{"op":"delivery","number":"#)?)?;
    let (offset, _) = integer(rest.strip_prefix(br#","offset":"#)?)?;
    Some((number, offset))
}

fn integer(text: &[u8]) -> Option<(u64, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = std::str::from_utf8(&text[..digits]).ok()?.parse().ok()?;
    Some((number, &text[digits..]))
}

/// The time of sending that a delivery's text begins with.
pub(crate) fn stamp(text: &[u8]) -> Option<Duration> {
    const BEFORE: &[u8] = br#""text":"#;
    let at = text.windows(BEFORE.len()).position(|window| window == BEFORE)? + BEFORE.len();
    let text = text[at..].trim_ascii_start().strip_prefix(b"\"")?;
    let (nanoseconds, _) = integer(text.get(..STAMP_DIGITS)?)?;
    Some(Duration::from_nanos(nanoseconds))
}

/// Endless characters of prose, from another word of it on for each number.
fn prose(number: u64) -> impl Iterator<Item = char> {
    let from = (number as usize).wrapping_mul(97) % PROSE.len();
    let word = PROSE[from..].find(' ').map_or(0, |space| from + space);
    PROSE[word..].chars().chain(PROSE.chars().cycle())
}

/// First half of the client ids of a link: the time, and its number.
pub(crate) fn birth(index: usize) -> u128 {
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    millis << 80 | (index as u128) << 48
}

/// 128 bits as a ULID: 26 characters of Crockford's base32.
pub(crate) fn ulid(bits: u128) -> String {
    (0..26).rev().map(|position| char::from(CROCKFORD[(bits >> (5 * position)) as usize & 31])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(text: &str) -> Vec<u8> {
        let mut out = vec![0x81, 126];
        out.extend_from_slice(&(text.len() as u16).to_be_bytes());
        out.extend_from_slice(text.as_bytes());
        out
    }

    fn ready(tally: &mut Tally) -> (Link, Instant) {
        let now = Instant::now();
        let order = LinkOrder { token: "t".into(), channels: vec!["conv:c".into()], attach: true };
        let mut link = Link::new(0, now, order);
        link.receive(b"HTTP/1.1 101 Switching Protocols\r\n\r\n", now, tally);
        link.receive(&framed(r#"{"op":"welcome","id":1}"#), now, tally);
        let attached = r#"{"op":"attached","id":2,"number":9,"outcome":"complete","head":40}"#;
        link.receive(&framed(attached), now, tally);
        link.publishing = Publishing { wanted: 2, burst: 1, in_flight: 2, text_bytes: 128, channel: 0 };
        (link, now)
    }

    #[test]
    fn a_link_attaches_publishes_and_checks_in_any_pieces() {
        let mut tally = Tally::new();
        let (mut link, now) = ready(&mut tally);
        assert_eq!(tally.ready, 1);
        link.pump(now, &mut tally);
        assert_eq!(link.waiting(), 2);
        let mut bytes = framed(r#"{"op":"delivery","number":9,"offset":41,"body":{"text":"00000000000000000000"}}"#);
        bytes.extend(framed(r#"{"op":"ack","id":3,"offset":42}"#));
        bytes.extend(framed(r#"{"op":"ack","id":4,"offset":43}"#));
        for byte in bytes {
            link.receive(&[byte], now, &mut tally);
        }
        assert_eq!((tally.deliveries, tally.acked, tally.troubles.len()), (1, 2, 0));
        assert_eq!(link.verdict(|channel| tally.head(channel)), (0, 0, 0));
        assert_eq!(tally.gaps(), (0, 0));
    }

    #[test]
    fn what_was_refused_for_a_while_is_sent_again_in_order() {
        let mut tally = Tally::new();
        let (mut link, now) = ready(&mut tally);
        link.pump(now, &mut tally);
        let busy = r#"{"op":"error","id":3,"code":"busy","temporary":true,"retry_after_ms":20}"#;
        link.receive(&framed(busy), now, &mut tally);
        link.receive(&framed(r#"{"op":"error","id":4,"code":"after_failed","temporary":true}"#), now, &mut tally);
        link.pump(now, &mut tally);
        assert!(link.flying.is_empty() && link.rests());
        link.pump(now + Duration::from_millis(20), &mut tally);
        assert_eq!(link.flying.iter().map(|sent| (sent.id, sent.n)).collect::<Vec<_>>(), [(5, 1), (6, 2)]);
        assert_eq!((tally.published, tally.refused), (2, 2));
    }

    #[test]
    fn a_stamp_is_read_from_a_text() {
        assert_eq!(stamp(br#"{"body": {"text": "00000000000000000042xxx"}}"#), Some(Duration::from_nanos(42)));
        assert_eq!(stamp(br#"{"body":{}}"#), None);
    }

    #[test]
    fn a_ulid_has_26_characters() {
        assert_eq!(ulid(0), "0".repeat(26));
        assert_eq!(ulid(u128::MAX), format!("7{}", "Z".repeat(25)));
    }
}
