//! The load generator of Chiron's benchmarks: reads orders from standard input, one JSON object a line, and answers each
//! on standard output. One thread does the work, so that one core is enough for it and nothing waits on a lock.
//!
//! `chiron-loadgen` speaks over TCP (`orders.rs`), `chiron-loadgen quic` HTTP/3 (`quic/orders.rs`).
mod crowd;
mod ledger;
mod link;
mod orders;
mod quic;
mod socket;
mod tally;
mod websocket;

use crowd::Crowd;
use mio::{Registry, Token, Waker};
use quic::Fleet;
use serde::Serialize;
use std::{
    env,
    io::{self, BufRead, Write},
    sync::{Arc, mpsc},
    thread,
};

const ORDERS: Token = Token(usize::MAX);

/// What carries orders out.
trait Generator {
    fn registry(&self) -> &Registry;
    /// Carries out the order of a line and says each answer, the last one included.
    fn obey(&mut self, line: &str);
    /// Does what there is to do without an order, until the waker of orders calls.
    fn idle(&mut self) -> io::Result<()>;
}

impl Generator for Crowd {
    fn registry(&self) -> &Registry {
        self.registry()
    }

    fn obey(&mut self, line: &str) {
        match serde_json::from_str(line) {
            Ok(order) => self.obey(order, &mut |answer| say(answer)),
            Err(error) => say(&orders::Answer::Failed { reason: format!("not an order: {error}") }),
        }
    }

    fn idle(&mut self) -> io::Result<()> {
        self.idle()
    }
}

impl Generator for Fleet {
    fn registry(&self) -> &Registry {
        self.registry()
    }

    fn obey(&mut self, line: &str) {
        let order = serde_json::from_str(line).map_err(|error| format!("not an order: {error}"));
        match order.and_then(|order| self.obey(order)) {
            Ok(report) => say(&quic::Answer::Done(&report)),
            Err(reason) => say(&quic::Answer::Failed { reason }),
        }
    }

    fn idle(&mut self) -> io::Result<()> {
        self.idle()
    }
}

fn main() -> io::Result<()> {
    match env::args().nth(1).as_deref() {
        None => serve(&mut Crowd::new()?),
        Some("quic") => serve(&mut Fleet::new()?),
        Some(other) => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("no such generator: {other}"))),
    }
}

fn serve(generator: &mut impl Generator) -> io::Result<()> {
    let waker = Arc::new(Waker::new(generator.registry(), ORDERS)?);
    let (tell, told) = mpsc::channel();
    // The poll sees the last call only while its waker lives, so one stays here.
    let calling = waker.clone();
    thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if tell.send(line).is_err() {
                return;
            }
            let _ = calling.wake();
        }
        drop(tell);
        let _ = calling.wake();
    });
    loop {
        match told.try_recv() {
            Ok(line) => generator.obey(&line),
            Err(mpsc::TryRecvError::Empty) => generator.idle()?,
            Err(mpsc::TryRecvError::Disconnected) => return Ok(()),
        }
    }
}

fn say(answer: &impl Serialize) {
    let mut out = io::stdout().lock();
    if serde_json::to_writer(&mut out, answer).is_ok() {
        // Who gave the orders is gone, and so will be the next one.
        let _ = out.write_all(b"\n").and_then(|()| out.flush());
    }
}
