use super::world::{Dice, Harm, NAME, World, client_config, echo, identity, server};
use crate::quic::{Kind, Limits};
use bytes::BytesMut;
use proptest::prelude::*;
use quinn_proto::Dir;
use std::collections::HashMap;

/// Clients that send on several streams and get everything back, over a path that does all it can.
fn exchange(seed: u64) {
    let identity = identity(NAME);
    let mut dice = Dice(seed);
    let mut world = World::new(server(&identity, 1, Limits { idle_seconds: 60.0, ..Limits::default() }), seed);
    world.handle = echo();
    world.harm = Harm {
        loss: [0.0, 0.02, 0.1, 0.25][dice.below(4)],
        repetition: [0.0, 0.1][dice.below(2)],
        corruption: [0.0, 0.05][dice.below(2)],
        delay: [0.0001, 0.02, 0.1][dice.below(3)],
        jitter: [0.0, 0.02][dice.below(2)],
    };
    let config = client_config(&[&identity], b"h3");
    let mut said = Vec::new();
    for _ in 0..=dice.below(3) {
        let client = world.join(config.clone());
        let mut streams = HashMap::new();
        said.push((client, streams.clone()));
        let ready = world.run(60.0, |world| {
            let talk = &world.clients[client].talk;
            talk.connected || talk.lost.is_some()
        });
        assert!(ready, "seed {seed}: neither connected nor lost");
        if world.clients[client].talk.lost.is_some() {
            continue;
        }
        for _ in 0..=dice.below(5) {
            let stream = world.clients[client].open(Dir::Bi);
            let length = [1, 1000, 40_000, 300_000][dice.below(4)];
            let data = dice.bytes(length);
            world.clients[client].send(stream, data.clone(), true);
            streams.insert(stream, data);
        }
        if dice.chance(0.3) {
            world.clients[client].address.set_port(1024 + dice.below(20_000) as u16);
        }
        said.last_mut().unwrap().1 = streams;
    }
    let done = |world: &World| {
        said.iter().all(|(client, streams)| {
            let talk = &world.clients[*client].talk;
            talk.lost.is_some() || streams.keys().all(|stream| talk.ended.contains(stream))
        })
    };
    assert!(world.run(600.0, done), "seed {seed}: neither done nor lost, {:?}", world.harm);
    for (client, streams) in &said {
        let talk = &world.clients[*client].talk;
        for (stream, data) in streams {
            let got = talk.got.get(stream).map_or(&[][..], Vec::as_slice);
            if talk.ended.contains(stream) {
                assert!(got == data, "seed {seed}: other bytes came back");
            } else {
                assert!(data.starts_with(got), "seed {seed}: other bytes came back before {:?}", talk.lost);
            }
        }
        if world.harm.loss < 0.2 {
            let complete = streams.keys().all(|stream| talk.ended.contains(stream));
            assert!(complete, "seed {seed}: {:?}, {:?}", talk.lost, world.harm);
        }
    }
    for event in world.of(Kind::Stream) {
        assert!(event.data.len() <= 262_144);
    }
    world.clients.clear();
    world.rest(120.0);
    let stats = world.server.stats();
    assert_eq!(stats.connections, 0, "seed {seed}");
    assert_eq!(world.of(Kind::Closed).len(), world.of(Kind::Opened).len(), "seed {seed}: every one that opened ended");
    assert_eq!(world.server.next_timeout(), None, "seed {seed}");
}

#[test]
fn every_byte_arrives_once_and_in_order_or_the_connection_ends() {
    for seed in 0..60 {
        exchange(seed);
    }
}

/// What a server is sent when nobody means well: datagrams of a real connection, changed, cut, joined and repeated.
fn meddle(seed: u64) {
    let identity = identity(NAME);
    let mut dice = Dice(seed);
    let limits = Limits { retry_handshakes: dice.below(2) * 100, ..Limits::default() };
    let mut world = World::new(server(&identity, 1, limits), seed);
    world.handle = echo();
    let client = world.connect(client_config(&[&identity], b"h3"));
    let stream = world.clients[client].open(Dir::Bi);
    world.clients[client].send(stream, dice.bytes(5000), false);
    world.rest(0.1);
    let seen: Vec<Vec<u8>> = world.passed.iter().map(|(_, bytes)| bytes.clone()).collect();
    for _ in 0..300 {
        let mut datagram = seen[dice.below(seen.len())].clone();
        for _ in 0..dice.below(4) {
            if datagram.is_empty() {
                break;
            }
            let depth = [5, 41, 2001][dice.below(3)];
            let place = dice.below(datagram.len().min(depth));
            match dice.below(4) {
                0 => datagram[place] = dice.roll() as u8,
                1 => datagram.truncate(place),
                2 => datagram.extend_from_slice(&seen[dice.below(seen.len())]),
                _ => {
                    let noise = dice.bytes(place.min(50));
                    datagram.splice(place..place, noise);
                }
            }
        }
        let from =
            if dice.chance(0.5) { world.clients[client].address } else { "[2001:db8::66]:6666".parse().unwrap() };
        world.server.receive(from, None, None, BytesMut::from(&datagram[..]));
        if dice.chance(0.1) {
            world.rest(0.01);
        }
    }
    world.clients[client].send(stream, &b"still here?"[..], true);
    assert!(
        world.run(30.0, |world| world.clients[client].talk.ended.contains(&stream)),
        "seed {seed}: {:?}",
        world.clients[client].talk.lost
    );
    assert_eq!(world.clients[client].talk.got[&stream].len(), 5011);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn no_datagram_of_a_stranger_harms_a_connection(seed in any::<u64>()) {
        meddle(seed);
    }

    #[test]
    fn noise_is_never_answered_with_more(
        datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..1500), 1..40),
    ) {
        let identity = identity(NAME);
        let mut server = server(&identity, 1, Limits::default());
        let mut received = 0;
        for datagram in &datagrams {
            received += datagram.len();
            server.receive("[2001:db8::9]:9".parse().unwrap(), None, None, BytesMut::from(&datagram[..]));
            prop_assert!(server.poll().is_empty());
        }
        let mut sent = 0;
        server.transmit(10, &mut |_, bytes| {
            sent += bytes.len();
            Ok(true)
        }).unwrap();
        prop_assert!(sent <= received);
    }
}
