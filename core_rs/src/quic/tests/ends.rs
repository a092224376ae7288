use super::world::{NAME, START, World, client_config, echo, id, identity, server, server_address};
use crate::quic::{Ending, Endpoint, Kind, Limits, Setup};
use bytes::{Bytes, BytesMut};
use quinn_proto::Dir;
use std::{sync::Arc, time::Duration};

#[test]
fn a_close_from_either_side_tells_its_code() {
    let identity = identity(NAME);
    let mut world = World::new(server(&identity, 1, Limits::default()), 1);
    let [one, two] = [(); 2].map(|()| world.connect(client_config(&[&identity], b"h3")));
    world.server.close(1, 0x102, "that was all");
    let now = world.instant();
    world.clients[two].close(now, 0x103);
    world.rest(5.0);
    assert!(world.clients[one].talk.lost.as_ref().unwrap().contains("that was all"));
    let ends: Vec<_> = world
        .of(Kind::Closed)
        .iter()
        .map(|event| (event.connection, event.stream, event.number, &event.data[..]))
        .collect();
    assert_eq!(
        ends,
        [(1, Ending::Local as u64, 0x102, &b"that was all"[..]), (2, Ending::Application as u64, 0x103, b"bye")]
    );
    assert_eq!(world.server.stats().connections, 0);
    assert_eq!(world.server.next_timeout(), None, "nothing is left of them");
}

#[test]
fn what_came_before_a_close_is_reported_before_it() {
    let identity = identity(NAME);
    let mut world = World::new(server(&identity, 1, Limits::default()), 1);
    let client = world.connect(client_config(&[&identity], b"h3"));
    let stream = world.clients[client].open(Dir::Uni);
    world.clients[client].send(stream, &b"last words"[..], true);
    world.turn();
    let now = world.instant();
    world.clients[client].close(now, 0);
    world.rest(1.0);
    let kinds: Vec<Kind> = world.events.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [Kind::Opened, Kind::Connected, Kind::Stream, Kind::Closed]);
}

#[test]
fn silence_ends_connections_and_handshakes() {
    let identity = identity(NAME);
    let limits = Limits { idle_seconds: 20.0, handshake_seconds: 3.0, ..Limits::default() };
    let mut world = World::new(server(&identity, 1, limits), 1);
    world.connect(client_config(&[&identity], b"h3"));
    world.join(client_config(&[&identity], b"h3"));
    assert!(world.run(1.0, |world| world.of(Kind::Opened).len() == 2));
    world.clients.clear();
    assert!(world.run(4.0, |world| !world.of(Kind::Closed).is_empty()));
    assert_eq!((world.of(Kind::Closed)[0].connection, world.of(Kind::Closed)[0].stream), (2, Ending::Timeout as u64));
    assert!(world.run(21.0, |world| world.of(Kind::Closed).len() == 2));
    assert!(world.now > START + 20.0);
    assert_eq!((world.of(Kind::Closed)[1].connection, world.of(Kind::Closed)[1].stream), (1, Ending::Timeout as u64));
}

#[test]
fn test_rfc9000_5_2_2_beyond_the_limit_and_while_draining_newcomers_are_refused() {
    let identity = identity(NAME);
    let mut world = World::new(server(&identity, 1, Limits { max_connections: 1, ..Limits::default() }), 1);
    world.connect(client_config(&[&identity], b"h3"));
    let second = world.join(client_config(&[&identity], b"h3"));
    assert!(world.run(2.0, |world| world.clients[second].talk.lost.is_some()));
    assert!(world.clients[second].talk.lost.as_ref().unwrap().contains("refused"));
    world.server.close(1, 0, "");
    world.server.refuse();
    let third = world.join(client_config(&[&identity], b"h3"));
    assert!(world.run(2.0, |world| world.clients[third].talk.lost.is_some()));
    assert_eq!(world.server.stats().refused, 2);
}

#[test]
fn test_rfc7301_3_2_another_protocol_is_refused() {
    let identity = identity(NAME);
    let mut world = World::new(server(&identity, 1, Limits::default()), 1);
    let client = world.join(client_config(&[&identity], b"hq-interop"));
    assert!(world.run(5.0, |world| world.clients[client].talk.lost.is_some()));
    assert!(world.events.is_empty());
    assert_eq!(world.server.stats().handshakes, 0);
}

#[test]
fn test_rfc9000_10_3_packets_for_a_lost_connection_get_a_stateless_reset() {
    let identity = identity(NAME);
    let mut world = World::new(server(&identity, 1, Limits::default()), 1);
    let client = world.connect(client_config(&[&identity], b"h3"));
    world.rest(1.0);
    // The worker died, and another process has its socket, number and secret.
    world.server = server(&identity, 1, Limits::default());
    let stream = world.clients[client].open(Dir::Uni);
    world.clients[client].send(stream, vec![0; 500], true);
    assert!(world.run(2.0, |world| world.clients[client].talk.lost.is_some()));
    assert_eq!(world.clients[client].talk.lost.as_deref(), Some("reset by peer"));
}

#[test]
fn packets_for_another_workers_connection_get_no_answer() {
    let identity = identity(NAME);
    let mut world = World::new(server(&identity, 1, Limits::default()), 1);
    world.connect(client_config(&[&identity], b"h3"));
    world.rest(1.0);
    let short: Vec<u8> = [&[0x41, 9][..], &[7; 100]].concat();
    world.server = server(&identity, 1, Limits::default());
    world.server.receive("[2001:db8::9]:9".parse().unwrap(), None, None, BytesMut::from(&short[..]));
    assert_eq!(world.server.stats().sent_datagrams, 0);
    world.rest(1.0);
    assert_eq!(world.server.stats().sent_datagrams, 0);
}

#[test]
fn test_rfc9000_6_1_an_unknown_version_is_answered_with_ours() {
    let identity = identity(NAME);
    let mut server = server(&identity, 1, Limits::default());
    let mut datagram = vec![0xC0, 0x5a, 0x5a, 0x5a, 0x5a, 8];
    datagram.extend([1; 8]);
    datagram.push(8);
    datagram.extend([2; 8]);
    datagram.resize(1200, 0);
    let from = "[2001:db8::9]:9".parse().unwrap();
    server.receive(from, None, None, BytesMut::from(&datagram[..]));
    let mut answers = Vec::new();
    server
        .transmit(1, &mut |transmit, bytes| {
            answers.push((transmit.destination, bytes.to_vec()));
            Ok(true)
        })
        .unwrap();
    let (to, answer) = &answers[0];
    assert_eq!((answers.len(), *to), (1, from));
    assert_eq!(answer[1..5], [0; 4], "version negotiation");
    assert!(answer[23..].chunks(4).any(|version| version == [0, 0, 0, 1]));
    datagram.truncate(1199);
    server.receive(from, None, None, BytesMut::from(&datagram[..]));
    assert!(server.transmit(1, &mut |_, _| panic!("RFC 9000 §5.2.2: too short")).unwrap());
}

#[test]
fn test_rfc9000_9_a_peer_that_moves_goes_on_and_is_reported_when_validated() {
    let identity = identity(NAME);
    let mut world = World::new(server(&identity, 1, Limits::default()), 1);
    world.handle = echo();
    let client = world.connect(client_config(&[&identity], b"h3"));
    world.rest(1.0);
    let old = world.clients[client].address;
    let new = "[2001:db8::77]:7777".parse().unwrap();
    world.clients[client].address = new;
    let stream = world.clients[client].open(Dir::Bi);
    world.clients[client].send(stream, &b"I moved"[..], true);
    assert_eq!(world.server.peer(1), Some(old));
    assert!(world.run(5.0, |world| world.clients[client].talk.ended.contains(&stream)));
    assert!(world.run(5.0, |world| !world.of(Kind::Moved).is_empty()));
    assert_eq!(world.server.peer(1), Some(new));
    assert_eq!(world.server.stats().moved, 1);
    world.rest(5.0);
    assert_eq!(world.of(Kind::Moved).len(), 1);
}

#[test]
fn test_rfc9000_9_3_2_an_address_that_does_not_answer_is_not_believed() {
    let identity = identity(NAME);
    let mut world = World::new(server(&identity, 1, Limits::default()), 1);
    world.handle = echo();
    let client = world.connect(client_config(&[&identity], b"h3"));
    world.rest(1.0);
    let old = world.clients[client].address;
    let stream = world.clients[client].open(Dir::Bi);
    // One datagram comes from elsewhere, as if somebody on the path had changed its address.
    world.clients[client].address = "[2001:db8::66]:6666".parse().unwrap();
    world.clients[client].send(stream, &b"hello"[..], true);
    world.turn();
    world.clients[client].address = old;
    world.rest(5.0);
    assert_eq!(world.server.peer(1), Some(old));
    assert!(world.of(Kind::Moved).is_empty());
    assert_eq!(world.clients[client].talk.got[&stream], b"hello");
}

#[test]
fn test_rfc9001_6_the_keys_may_be_changed() {
    let identity = identity(NAME);
    let mut world = World::new(server(&identity, 1, Limits::default()), 1);
    world.handle = echo();
    let client = world.connect(client_config(&[&identity], b"h3"));
    world.rest(1.0);
    for _ in 0..3 {
        world.clients[client].quic.force_key_update();
        let stream = world.clients[client].open(Dir::Bi);
        world.clients[client].send(stream, vec![5; 100_000], true);
        assert!(world.run(5.0, |world| world.clients[client].talk.ended.contains(&stream)));
        assert_eq!(world.clients[client].talk.got[&stream], vec![5; 100_000]);
    }
}

#[test]
fn test_rfc9000_14_3_longer_datagrams_are_found_to_pass() {
    let identity = identity(NAME);
    let mut world = World::new(server(&identity, 1, Limits::default()), 1);
    let client = world.connect(client_config(&[&identity], b"h3"));
    let before = world.server.max_datagram(1);
    let stream = world.server.open_stream(1, true).unwrap();
    world.server.send(1, stream, Bytes::from(vec![1; 300_000]), true);
    assert!(world.run(10.0, |world| world.clients[client].talk.ended.contains(&id(stream))));
    assert!(world.server.max_datagram(1) > before + 200);
    let from_server = world.passed.iter().filter(|(from, _)| *from == server_address());
    assert!(from_server.map(|(_, bytes)| bytes.len()).max().unwrap() > 1400);
}

#[test]
fn test_rfc6066_3_the_certificate_depends_on_whether_a_name_was_asked_for() {
    let [plain, named, later] = ["192.0.2.1", NAME, NAME].map(identity);
    let endpoint = Endpoint::new(&Setup {
        plain: (plain.chain.as_bytes(), plain.key.as_bytes()),
        named: Some((named.chain.as_bytes(), named.key.as_bytes())),
        secret: &[1; 32],
        seed: [1; 32],
        ticket_keys: &[],
        worker: 0,
        limits: Limits::default(),
        now: START,
        wall: Duration::ZERO,
    });
    let mut world = World::new(endpoint.unwrap(), 1);
    for (name, identity) in [("192.0.2.1", &plain), (NAME, &named)] {
        let client = world.join_as(client_config(&[identity], b"h3"), name);
        assert!(world.run(5.0, |world| world.clients[client].talk.connected), "{:?}", world.clients[client].talk.lost);
    }
    let broken = world.server.reload((later.chain.as_bytes(), named.key.as_bytes()), None);
    assert!(broken.is_err());
    world.connect(client_config(&[&named], b"h3"));
    world.server.reload((later.chain.as_bytes(), later.key.as_bytes()), None).unwrap();
    world.connect(client_config(&[&later], b"h3"));
}

#[test]
fn a_socket_that_takes_no_more_gets_the_same_datagram_later() {
    let identity = identity(NAME);
    let mut world = World::new(server(&identity, 1, Limits::default()), 1);
    let client = world.connect(client_config(&[&identity], b"h3"));
    world.rest(1.0);
    let stream = world.server.open_stream(1, true).unwrap();
    world.server.send(1, stream, Bytes::from(vec![1; 5_000]), true);
    let refused = Arc::new(std::sync::Mutex::new(Vec::new()));
    assert!(
        !world
            .server
            .transmit(1, &mut |_, bytes| {
                refused.lock().unwrap().push(bytes.to_vec());
                Ok(false)
            })
            .unwrap()
    );
    let mut first = Vec::new();
    assert!(
        world
            .server
            .transmit(1, &mut |transmit, bytes| {
                first.push((transmit.destination, bytes.to_vec()));
                Ok(true)
            })
            .unwrap()
    );
    assert_eq!(first[0].1, refused.lock().unwrap()[0]);
    for (to, bytes) in first {
        world.deliver(to, server_address(), &bytes);
    }
    assert!(world.run(1.0, |world| world.clients[client].talk.ended.contains(&id(stream))));
}
