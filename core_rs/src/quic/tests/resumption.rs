use super::world::{NAME, World, client_config, echo, identity, server};
use crate::quic::{Event, Kind, Limits};
use quinn_proto::{Dir, TokenMemoryCache};
use std::sync::Arc;

/// Until tickets of the first connection have come.
const TICKETS: f64 = 1.0;

#[test]
fn test_rfc8446_2_2_a_session_is_resumed_also_by_another_process() {
    let identity = identity(NAME);
    let config = client_config(&[&identity], b"h3");
    let mut world = World::new(server(&identity, 1, Limits::default()), 1);
    world.connect(config.clone());
    world.rest(TICKETS);
    world.server = server(&identity, 1, Limits::default());
    world.connect(config.clone());
    assert_eq!(world.of(Kind::Connected).iter().map(|event| event.number).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(world.server.stats().resumed, 1);
    // Under other keys tickets say nothing.
    world.rest(TICKETS);
    world.server.set_ticket_keys(&[vec![99; 32]]).unwrap();
    world.connect(config);
    assert_eq!(world.server.stats().resumed, 1);
}

#[test]
fn test_rfc9001_4_6_early_data_comes_between_opened_and_connected() {
    let identity = identity(NAME);
    let config = client_config(&[&identity], b"h3");
    let mut world = World::new(server(&identity, 1, Limits::default()), 1);
    world.handle = echo();
    world.connect(config.clone());
    world.rest(TICKETS);
    world.events.clear();
    let client = world.join(config);
    assert!(world.clients[client].quic.has_0rtt());
    let stream = world.clients[client].open(Dir::Bi);
    world.clients[client].send(stream, &b"early"[..], true);
    assert!(world.run(5.0, |world| world.clients[client].talk.ended.contains(&stream)));
    world.rest(1.0);
    let kinds: Vec<Kind> = world.events.iter().map(|event: &Event| event.kind).collect();
    assert_eq!(kinds, [Kind::Opened, Kind::Stream, Kind::Connected]);
    assert!(world.clients[client].quic.accepted_0rtt());
    assert_eq!(world.clients[client].talk.got[&stream], b"early");
}

#[test]
fn test_rfc9000_8_1_2_under_pressure_addresses_are_validated_first() {
    let identity = identity(NAME);
    let mut config = client_config(&[&identity], b"h3");
    config.token_store(Arc::new(TokenMemoryCache::default()));
    let limits = Limits { retry_handshakes: 0, ..Limits::default() };
    let mut world = World::new(server(&identity, 1, limits.clone()), 1);
    world.connect(config.clone());
    assert_eq!(world.server.stats().retries, 1);
    world.rest(TICKETS);
    // A token of NEW_TOKEN is believed by another process with the same secret, and not by one with another.
    world.server = server(&identity, 1, limits.clone());
    world.connect(config.clone());
    assert_eq!(world.server.stats().retries, 0);
    world.rest(TICKETS);
    world.server = server(&identity, 2, limits);
    world.connect(config);
    assert_eq!(world.server.stats().retries, 1);
}

#[test]
fn retry_begins_at_the_bound() {
    let identity = identity(NAME);
    let config = client_config(&[&identity], b"h3");
    let mut world = World::new(server(&identity, 1, Limits { retry_handshakes: 2, ..Limits::default() }), 1);
    for _ in 0..5 {
        world.join(config.clone());
    }
    assert!(world.run(5.0, |world| world.server.stats().handshakes == 5));
    assert_eq!(world.server.stats().retries, 3);
    world.connect(config);
    assert_eq!(world.server.stats().retries, 3);
}
