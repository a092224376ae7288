//! The load generator of Chiron's benchmarks: reads orders from standard input, one JSON object a line, and answers each
//! on standard output. One thread does the work, so that one core is enough for it and nothing waits on a lock.
mod crowd;
mod ledger;
mod link;
mod orders;
mod socket;
mod tally;
mod websocket;

use crowd::Crowd;
use mio::{Token, Waker};
use orders::{Answer, Order};
use std::{
    io::{self, BufRead, Write},
    sync::{Arc, mpsc},
    thread,
};

const ORDERS: Token = Token(usize::MAX);

fn main() -> io::Result<()> {
    let mut crowd = Crowd::new()?;
    let waker = Arc::new(Waker::new(crowd.registry(), ORDERS)?);
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
            Ok(line) => match serde_json::from_str::<Order>(&line) {
                Ok(order) => crowd.obey(order, &mut say),
                Err(error) => say(&Answer::Failed { reason: format!("not an order: {error}") }),
            },
            Err(mpsc::TryRecvError::Empty) => crowd.idle()?,
            Err(mpsc::TryRecvError::Disconnected) => return Ok(()),
        }
    }
}

fn say(answer: &Answer<'_>) {
    let mut out = io::stdout().lock();
    if serde_json::to_writer(&mut out, answer).is_ok() {
        // Who gave the orders is gone, and so will be the next one.
        let _ = out.write_all(b"\n").and_then(|()| out.flush());
    }
}
