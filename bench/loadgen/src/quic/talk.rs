//! A realtime link on a stream of a WebTransport session, and its datagrams (docs/protocol.md, "Over HTTP/3").
use super::{
    http3::{put_varint, varint},
    orders::LinkOrder,
    seen::Seen,
};
use crate::link::{STAMP_DIGITS, birth, delivery, stamp, ulid};
use serde_json::Value;
use std::{fmt::Write, time::Instant};

/// One link in so many measures how long deliveries take.
const SAMPLED: usize = 8;

pub(super) struct Talk {
    index: usize,
    zero: Instant,
    /// Without a token it only listens.
    token: Option<String>,
    channel: String,
    /// Bytes of a record that is not whole.
    inbox: Vec<u8>,
    pub(super) out: Vec<u8>,
    pub(super) ready: bool,
    next_id: u64,
    published: u64,
    /// The watermark that was raised last.
    read: u64,
    /// Offset that was delivered last.
    newest: u64,
    birth: u128,
}

impl Talk {
    pub(super) fn new(index: usize, zero: Instant, order: LinkOrder) -> Self {
        Self {
            index,
            zero,
            token: order.token,
            channel: order.channel,
            inbox: Vec::new(),
            out: Vec::new(),
            ready: false,
            next_id: 1,
            published: 0,
            read: 0,
            newest: 0,
            birth: birth(index),
        }
    }

    /// The stream is there.
    pub(super) fn begin(&mut self, seen: &mut Seen) {
        match self.token.take() {
            Some(token) => {
                let id = self.id();
                self.say(&format!(r#"{{"op":"connect","id":{id},"token":"{token}"}}"#));
            }
            None => {
                self.say("{}");
                self.becomes_ready(seen);
            }
        }
    }

    fn becomes_ready(&mut self, seen: &mut Seen) {
        if !std::mem::replace(&mut self.ready, true) {
            seen.done += 1;
        }
    }

    // ------------------------------------------------------------------------------------------------------- reading

    /// Bytes of the stream.
    pub(super) fn hear(&mut self, bytes: &[u8], now: Instant, seen: &mut Seen) -> Result<(), String> {
        seen.heard = now;
        let mut held = std::mem::take(&mut self.inbox);
        let mut rest = bytes;
        if !held.is_empty() {
            held.extend_from_slice(bytes);
            rest = &held;
        }
        while let Some((length, size)) = varint(rest) {
            let Some(record) = rest.get(size..size + length as usize) else { break };
            self.frame(record, now, seen)?;
            rest = &rest[size + length as usize..];
        }
        self.inbox = rest.to_vec();
        Ok(())
    }

    /// A datagram of the session.
    pub(super) fn beside(&mut self, datagram: &[u8], seen: &mut Seen) {
        seen.heard = Instant::now();
        if is_watermark(datagram) {
            seen.datagrams += 1;
            self.sample(datagram, seen);
        } else {
            seen.others += 1;
        }
    }

    fn frame(&mut self, text: &[u8], now: Instant, seen: &mut Seen) -> Result<(), String> {
        if let Some((_, offset)) = delivery(text) {
            seen.records += 1;
            self.in_order(offset, seen);
            if self.index % SAMPLED == 0 {
                if let Some(stamp) = stamp(text) {
                    seen.took((now - self.zero).saturating_sub(stamp));
                }
            }
            self.sample(text, seen);
            return Ok(());
        }
        if is_watermark(text) {
            seen.events += 1;
            return Ok(());
        }
        let frame: Value = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        match frame["op"].as_str().unwrap_or_default() {
            "welcome" => {
                let id = self.id();
                let channel = &self.channel;
                self.say(&format!(r#"{{"op":"attach","id":{id},"channel":"{channel}","gen":1}}"#));
            }
            "attached" if frame["outcome"] == "complete" => {
                self.newest = frame["head"].as_u64().unwrap_or_default();
                self.becomes_ready(seen);
            }
            "ack" | "ok" => seen.done += 1,
            "ping" => self.say(r#"{"op":"pong"}"#),
            "event" => seen.others += 1,
            "error" => seen.trouble(format!("error {}", frame["code"].as_str().unwrap_or("?"))),
            "close" => seen.trouble(format!("close {}", frame["code"])),
            op => seen.trouble(op.to_owned()),
        }
        Ok(())
    }

    fn in_order(&mut self, offset: u64, seen: &mut Seen) {
        if offset <= self.newest {
            seen.disordered += 1;
        }
        self.newest = self.newest.max(offset);
    }

    fn sample(&self, text: &[u8], seen: &mut Seen) {
        if seen.sample.is_empty() {
            seen.sample = String::from_utf8_lossy(text).into_owned();
        }
    }

    // ------------------------------------------------------------------------------------------------------- writing

    /// Publishes `burst` texts in one message.
    pub(super) fn publish(&mut self, burst: u64, text_bytes: usize, now: Instant) {
        let stamp = (now - self.zero).as_nanos();
        self.together(burst, |talk, message| {
            talk.published += 1;
            let (id, n, channel) = (talk.id(), talk.published, &talk.channel);
            let client_id = ulid(talk.birth | u128::from(n));
            let filler = "x".repeat(text_bytes.saturating_sub(STAMP_DIGITS));
            // Writing to a String does not fail.
            let _ = write!(
                message,
                r#"{{"op":"publish","id":{id},"channel":"{channel}","client_id":"{client_id}","n":{n},"kind":"text","body":{{"text":"{stamp:0STAMP_DIGITS$}{filler}"}}}}"#
            );
        });
    }

    /// Raises the watermark once. There must be so many records in the channel.
    pub(super) fn mark(&mut self) {
        self.together(1, |talk, message| {
            talk.read += 1;
            let (id, read, channel) = (talk.id(), talk.read, &talk.channel);
            let _ = write!(message, r#"{{"op":"watermark","id":{id},"channel":"{channel}","received":{read}}}"#);
        });
    }

    fn together(&mut self, burst: u64, mut write: impl FnMut(&mut Self, &mut String)) {
        let mut message = String::new();
        for _ in 0..burst {
            message.push(if message.is_empty() { '[' } else { ',' });
            write(self, &mut message);
        }
        message.push(']');
        self.say(&message);
    }

    fn say(&mut self, text: &str) {
        put_varint(text.len() as u64, &mut self.out);
        self.out.extend_from_slice(text.as_bytes());
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }
}

fn is_watermark(text: &[u8]) -> bool {
    text.starts_with(br#"{"op":"event","#) && text.windows(18).take(48).any(|window| window == br#""kind":"watermark""#)
}
