use super::world::{NAME, World, client_config, echo, id, identity, server};
use crate::quic::{HIGH_WATER, Kind, LOW_WATER, Limits};
use bytes::Bytes;
use quinn_proto::Dir;

fn world(limits: Limits) -> (World, usize) {
    let identity = identity(NAME);
    let mut world = World::new(server(&identity, 1, limits), 1);
    let client = world.connect(client_config(&[&identity], b"h3"));
    (world, client)
}

#[test]
fn a_handshake_opens_then_connects() {
    let (world, client) = world(Limits::default());
    let kinds: Vec<Kind> = world.events.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [Kind::Opened, Kind::Connected]);
    assert_eq!(&world.events[0].data[..], NAME.as_bytes());
    assert_eq!(world.events[1].number, 0);
    assert_eq!(world.server.peer(1), Some(world.clients[client].address));
}

#[test]
fn data_sent_at_opened_leaves_with_the_first_flight() {
    let identity = identity(NAME);
    let mut world = World::new(server(&identity, 1, Limits::default()), 1);
    world.handle = Box::new(|server, event| {
        if event.kind == Kind::Opened {
            let stream = server.open_stream(event.connection, true).unwrap();
            assert!(server.send(event.connection, stream, Bytes::from_static(b"settings"), false));
        }
    });
    let client = world.join(client_config(&[&identity], b"h3"));
    assert!(world.run(5.0, |world| world.clients[client].talk.got.get(&id(3)).is_some_and(|got| got == b"settings")));
    assert!(world.of(Kind::Connected).is_empty(), "half a round trip before the handshake is complete here");
}

#[test]
fn test_rfc9000_4_1_a_paused_stream_stops_its_peer_and_no_other() {
    let (mut world, client) = world(Limits { stream_window: 50_000, ..Limits::default() });
    let [paused, other] = [(); 2].map(|()| world.clients[client].open(Dir::Bi));
    world.clients[client].send(paused, vec![1; 10], false);
    assert!(world.run(5.0, |world| world.stream(1, 0).len() == 10));
    world.server.pause(1, 0);
    world.clients[client].send(paused, vec![1; 200_000], true);
    world.clients[client].send(other, vec![2; 200_000], true);
    assert!(world.run(5.0, |world| world.stream(1, 4).len() == 200_000));
    world.rest(2.0);
    assert_eq!(world.stream(1, 0).len(), 10);
    world.server.resume(1, 0);
    assert!(world.run(5.0, |world| world.stream(1, 0).len() == 200_010));
}

#[test]
fn a_reader_that_rests_stops_the_sender_until_it_goes_on() {
    let (mut world, client) = world(Limits::default());
    world.clients[client].deaf = true;
    let stream = world.server.open_stream(1, true).unwrap();
    let data = Bytes::from(vec![7; 4_000_000]);
    assert!(!world.server.send(1, stream, data, true));
    world.rest(5.0);
    let left = world.server.buffered(1, stream);
    assert!(left > HIGH_WATER);
    assert!(world.of(Kind::Writable).is_empty());
    world.server.stop(1, stream, 1);
    assert_eq!(world.server.buffered(1, stream), left, "a stream of ours alone is nothing to stop");
    world.server.reset(1, stream, 9);
    assert_eq!(world.server.buffered(1, stream), 0);
}

#[test]
fn writable_comes_once_below_the_low_water_mark() {
    let (mut world, client) = world(Limits::default());
    let stream = world.server.open_stream(1, false).unwrap();
    assert!(!world.server.send(1, stream, Bytes::from(vec![7; 1_000_000]), false));
    world.handle = Box::new(|server, event| {
        if event.kind == Kind::Writable {
            assert!(server.buffered(event.connection, event.stream) < LOW_WATER);
        }
    });
    assert!(world.run(10.0, |world| {
        world.clients[client].talk.got.get(&id(stream)).is_some_and(|got| got.len() == 1_000_000)
    }));
    assert_eq!(world.of(Kind::Writable).len(), 1);
}

#[test]
fn a_long_answer_does_not_hold_up_a_short_one() {
    let (mut world, client) = world(Limits::default());
    let long = world.server.open_stream(1, true).unwrap();
    world.server.send(1, long, Bytes::from(vec![7; 20_000_000]), true);
    world.rest(0.05);
    let short = world.server.open_stream(1, true).unwrap();
    world.server.send(1, short, Bytes::from_static(b"short"), true);
    assert!(world.run(1.0, |world| world.clients[client].talk.ended.contains(&id(short))));
    assert!(world.clients[client].talk.got[&id(long)].len() < 10_000_000);
}

#[test]
fn test_rfc9000_4_6_streams_beyond_the_limit_wait_and_keep_their_order() {
    let (mut world, client) = world(Limits::default());
    let count = 500;
    let streams: Vec<u64> = (0..count).map(|_| world.server.open_stream(1, true).unwrap()).collect();
    assert_eq!(streams, (0..count).map(|index| 4 * index + 3).collect::<Vec<u64>>());
    world.server.reset(1, streams[400], 77);
    for stream in &streams {
        world.server.send(1, *stream, Bytes::from(stream.to_string()), true);
    }
    assert!(world.run(10.0, |world| world.clients[client].talk.ended.len() == count as usize - 1));
    let talk = &world.clients[client].talk;
    assert_eq!(talk.resets, [(id(streams[400]), 77)]);
    assert!(talk.ended.iter().all(|id| talk.got[id] == u64::from(*id).to_string().into_bytes()));
}

#[test]
fn test_rfc9000_4_6_a_peer_that_uses_its_streams_gets_more() {
    let (mut world, client) = world(Limits { max_streams: 64, ..Limits::default() });
    world.handle = echo();
    for expected in [32, 64, 64] {
        while let Some(id) = world.clients[client].quic.streams().open(Dir::Bi) {
            world.clients[client].send(id, &b"x"[..], false);
        }
        world.rest(0.1);
        let open = world.clients[client].quic.streams().open(Dir::Bi).map_or(64, |id| id.index());
        assert!(open >= expected / 2, "{open}");
    }
    assert!(world.clients[client].quic.streams().open(Dir::Bi).is_none());
}

#[test]
fn test_rfc9000_3_5_a_stopped_stream_is_reset_and_takes_nothing_more() {
    let (mut world, client) = world(Limits::default());
    let stream = world.server.open_stream(1, false).unwrap();
    world.server.send(1, stream, Bytes::from_static(b"begin"), false);
    assert!(world.run(5.0, |world| world.clients[client].talk.got.contains_key(&id(stream))));
    world.clients[client].quic.recv_stream(id(stream)).stop(5u32.into()).unwrap();
    assert!(world.run(5.0, |world| !world.of(Kind::Stopped).is_empty()));
    assert_eq!(world.of(Kind::Stopped)[0].number, 5);
    assert!(world.server.send(1, stream, Bytes::from(vec![0; 500_000]), true));
    world.rest(1.0);
    assert_eq!(world.server.buffered(1, stream), 0);
}

#[test]
fn calls_about_what_does_not_exist_do_nothing() {
    let (mut world, client) = world(Limits::default());
    let server = &mut world.server;
    for (connection, stream) in [(1, 0), (1, 1), (1, 2), (1, 3), (1, 400), (1, u64::MAX), (2, 0), (0, 3), (u64::MAX, 1)]
    {
        assert!(server.send(connection, stream, Bytes::from(vec![0; 100_000]), true));
        server.reset(connection, stream, 1);
        server.reset(connection, stream, u64::MAX);
        server.stop(connection, stream, 1);
        server.pause(connection, stream);
        server.resume(connection, stream);
        assert_eq!(server.buffered(connection, stream), 0);
    }
    assert_eq!(server.open_stream(2, true), None);
    assert!(!server.send_datagram(2, Bytes::new()));
    assert_eq!((server.max_datagram(2), server.peer(2)), (0, None));
    server.close(2, 0, "");
    server.close(1, u64::MAX, "");
    world.rest(1.0);
    assert!(world.clients[client].talk.lost.is_none());
}

#[test]
fn test_rfc9221_of_too_many_datagrams_the_old_ones_are_dropped() {
    let (mut world, client) = world(Limits::default());
    for number in 0..1000u32 {
        assert!(world.server.send_datagram(1, Bytes::from(number.to_be_bytes().repeat(250))));
    }
    let longest = world.server.max_datagram(1);
    assert!(!world.server.send_datagram(1, Bytes::from(vec![0; longest + 1])));
    world.rest(2.0);
    let got = &world.clients[client].talk.datagrams;
    assert!((40..=70).contains(&got.len()), "{}", got.len());
    assert_eq!(got[got.len() - 1][..4], 999u32.to_be_bytes());
}
