use super::*;
use crate::hub::{Gap, State, Stats};
use proptest::prelude::*;

/// A link that is attached behind `after` and live.
fn live(bench: &mut Bench, person: &str, number: u64, after: u64) -> u64 {
    let id = bench.bound(person);
    assert!(bench.hub.attach(id, number, 1, after));
    assert_eq!(bench.hub.go_live(id, number, 1), None);
    assert_eq!(bench.hub.attached(id, number), Some(State::Live));
    id
}

#[test]
fn the_sender_is_not_given_its_own_delivery_but_the_next_one() {
    let mut bench = Bench::new();
    let (sender, other) = (live(&mut bench, "p", 1, 0), live(&mut bench, "p", 1, 0));
    assert_eq!(bench.hub.publish(1, &delivery(1, 1), 1, sender, None), 1);
    assert_eq!(bench.hub.publish(1, &delivery(1, 2), 2, other, None), 1);
    assert_eq!(bench.hub.publish(1, &delivery(1, 2), 2, other, None), 0, "a repeat is given to nobody");
    assert_eq!(bench.hub.publish(2, &delivery(2, 1), 1, 0, None), 0, "nor is another channel");
    assert!(bench.hub.take_gaps().is_empty());
    let heard = bench.hear_all();
    assert_eq!(heard[&sender].offsets(1), [2]);
    assert_eq!(heard[&other].offsets(1), [1]);
}

#[test]
fn what_is_published_while_the_log_is_read_follows_it_without_gap_or_repeat() {
    let mut bench = Bench::new();
    let id = bench.bound("p");
    assert!(bench.hub.attach(id, 1, 1, 3));
    assert_eq!(bench.hub.attached(id, 1), Some(State::Filling));
    assert_eq!(bench.hub.publish(1, &delivery(1, 6), 6, 0, None), 0);
    assert_eq!(bench.hub.publish(1, &delivery(1, 7), 7, id, None), 0);
    assert_eq!(bench.hub.publish(1, &delivery(1, 8), 8, 0, None), 0);
    assert!(bench.hub.fill(id, 1, 1, &[delivery(1, 3), delivery(1, 4)]));
    assert_eq!(bench.hub.go_live(id, 1, 1), Some(4));
    assert!(bench.hub.fill(id, 1, 1, &[delivery(1, 5), delivery(1, 6)]));
    assert_eq!(bench.hub.go_live(id, 1, 1), None);
    assert_eq!(bench.hub.publish(1, &delivery(1, 9), 9, 0, None), 1);
    assert_eq!(bench.hear(id).offsets(1), [4, 5, 6, 8, 9]);
}

#[test]
fn a_gap_is_reported_and_read_from_the_log() {
    let mut bench = Bench::new();
    let id = live(&mut bench, "p", 1, 0);
    bench.hub.publish(1, &delivery(1, 1), 1, 0, None);
    assert_eq!(bench.hub.publish(1, &delivery(1, 4), 4, 0, None), 0);
    assert_eq!(bench.hub.publish(1, &delivery(1, 5), 5, 0, None), 0);
    assert_eq!(bench.hub.take_gaps(), [Gap { link: id, number: 1, generation: 1, after: 1 }]);
    assert!(bench.hub.take_gaps().is_empty());
    assert!(bench.hub.fill(id, 1, 1, &[delivery(1, 2), delivery(1, 3)]));
    assert_eq!(bench.hub.go_live(id, 1, 1), None);
    assert_eq!(bench.hear(id).offsets(1), [1, 2, 3, 4, 5]);
}

#[test]
fn gaps_of_what_is_gone_are_not_reported() {
    let mut bench = Bench::new();
    let (closed, detached, renewed) =
        (live(&mut bench, "p", 1, 0), live(&mut bench, "p", 1, 0), live(&mut bench, "p", 1, 0));
    bench.hub.publish(1, &delivery(1, 2), 2, 0, None);
    bench.hub.close(closed);
    bench.hub.detach(detached, 1, 1);
    bench.hub.attach(renewed, 1, 2, 2);
    assert!(bench.hub.take_gaps().is_empty());
}

#[test]
fn an_older_generation_changes_nothing() {
    let mut bench = Bench::new();
    let id = bench.bound("p");
    assert!(bench.hub.attach(id, 1, 5, 0));
    assert!(!bench.hub.attach(id, 1, 4, 0));
    assert!(!bench.hub.detach(id, 1, 4));
    assert!(!bench.hub.fill(id, 1, 4, &[delivery(1, 1)]));
    assert_eq!(bench.hub.go_live(id, 1, 4), None);
    assert_eq!(bench.hub.attached(id, 1), Some(State::Filling));
    assert!(bench.hub.attach(id, 1, 6, 7));
    assert!(!bench.hub.fill(id, 1, 5, &[delivery(1, 1)]));
    assert!(bench.hub.detach(id, 1, 7), "a detach counts for every attachment before it");
    assert_eq!(bench.hub.attached(id, 1), None);
    assert!(!bench.hub.detach(id, 1, 7));
    assert_eq!(bench.hub.stats().attachments, 0);
}

#[test]
fn to_attach_again_drops_what_waited_so_that_nothing_comes_twice() {
    let mut bench = Bench::new();
    let id = live(&mut bench, "p", 1, 0);
    bench.hub.attach(id, 2, 1, 0);
    bench.hub.go_live(id, 2, 1);
    for offset in 1..=3 {
        bench.hub.publish(1, &delivery(1, offset), offset, 0, None);
        bench.hub.publish(2, &delivery(2, offset), offset, 0, None);
    }
    assert!(bench.hub.attach(id, 1, 2, 1));
    assert!(bench.hub.fill(id, 1, 2, &[delivery(1, 2), delivery(1, 3)]));
    assert_eq!(bench.hub.go_live(id, 1, 2), None);
    let client = bench.hear(id);
    assert_eq!(client.offsets(1), [2, 3]);
    assert_eq!(client.offsets(2), [1, 2, 3]);
}

#[test]
fn removal_ends_every_attachment_of_the_person_and_takes_back_what_waits() {
    let mut bench = Bench::new();
    let (first, second) = (live(&mut bench, "p", 1, 0), live(&mut bench, "p", 1, 0));
    let (elsewhere, stays) = (live(&mut bench, "p", 2, 0), live(&mut bench, "q", 1, 0));
    bench.hub.publish(1, &delivery(1, 1), 1, 0, None);
    bench.hub.publish(2, &delivery(2, 1), 1, 0, None);
    bench.hub.publish_event(1, "k", &event(1, "typing"), 0);
    let mut links = bench.hub.drop(1, "p", Some(&Frame::detached(1, "removed")));
    links.sort_unstable();
    let mut expected = [first, second];
    expected.sort_unstable();
    assert_eq!(links, expected);
    assert!(bench.hub.drop(1, "p", None).is_empty());
    assert_eq!(bench.hub.publish(1, &delivery(1, 2), 2, 0, None), 1);
    let heard = bench.hear_all();
    for id in [first, second] {
        assert_eq!(heard[&id].received.len(), 1);
        assert_eq!(heard[&id].frames("detached").len(), 1);
    }
    assert_eq!(heard[&elsewhere].offsets(2), [1]);
    assert_eq!(heard[&stays].offsets(1), [1, 2]);
    assert_eq!(heard[&stays].frames("event").len(), 1);
}

#[test]
fn a_full_durable_lane_makes_the_channel_pull_only() {
    let mut bench = Bench::new();
    let slow = live(&mut bench, "p", 1, 0);
    let quick = live(&mut bench, "q", 1, 0);
    bench.hub.pause(slow);
    let mut offset = 0;
    while bench.hub.attached(slow, 1) == Some(State::Live) {
        offset += 1;
        bench.hub.publish(1, &sized(1, offset, 100), offset, 0, None);
        bench.flush();
        assert!(bench.hub.queued(slow) <= SETTINGS.durable_bytes + 100);
    }
    assert_eq!(bench.hub.attached(slow, 1), Some(State::Lagging));
    assert_eq!(bench.hub.attached(quick, 1), Some(State::Live));
    assert_eq!(bench.hub.stats().lagged, 1);
    assert_eq!(bench.hub.publish(1, &sized(1, offset + 1, 100), offset + 1, 0, None), 1);
    assert_eq!(bench.hub.go_live(slow, 1, 1), None);
    assert!(!bench.hub.fill(slow, 1, 1, &[delivery(1, offset)]));
    bench.hub.resume(slow);
    let client = bench.hear(slow);
    assert_eq!(client.offsets(1), (1..offset).collect::<Vec<_>>(), "what was queued still comes");
    assert_eq!(client.frames("lag")[0]["head"], offset);
    assert!(bench.hub.attach(slow, 1, 2, offset + 1));
    assert_eq!(bench.hub.go_live(slow, 1, 2), None);
    assert_eq!(bench.hub.publish(1, &delivery(1, offset + 2), offset + 2, 0, None), 2);
}

#[test]
fn events_are_conflated_by_channel_and_key_and_reach_all_but_the_sender() {
    let mut bench = Bench::new();
    let (sender, other) = (live(&mut bench, "p", 1, 0), live(&mut bench, "q", 1, 0));
    bench.hub.attach(other, 2, 1, 0);
    for name in ["old", "new"] {
        assert_eq!(bench.hub.publish_event(1, "k", &event(1, name), sender), 1);
        assert_eq!(bench.hub.publish_event(2, "k", &event(2, name), 0), 1);
        assert_eq!(bench.hub.publish_event(1, "own", &event(1, name), sender), 1);
    }
    let kinds: Vec<_> =
        bench.hear(other).frames("event").iter().map(|e| (e["number"].clone(), e["kind"].clone())).collect();
    assert_eq!(kinds, [(1.into(), "new".into()), (2.into(), "new".into()), (1.into(), "new".into())]);
    assert_eq!(bench.hub.queued(sender), 0);
    assert_eq!(bench.hub.stats().dropped_events, 0);
}

#[test]
fn events_over_the_bound_are_dropped_and_counted() {
    let mut bench = Bench::new();
    let id = live(&mut bench, "p", 1, 0);
    for key in 0..100 {
        bench.hub.publish_event(1, &key.to_string(), &event(1, &key.to_string()), 0);
        assert!(bench.hub.queued(id) <= SETTINGS.ephemeral_bytes);
    }
    let kept = bench.hear(id).frames("event").len() as u64;
    assert_eq!(bench.hub.stats().dropped_events, 100 - kept);
}

#[test]
fn a_link_that_closes_leaves_the_others_attached() {
    let mut bench = Bench::new();
    let links: Vec<u64> = (0..10).map(|_| live(&mut bench, "p", 1, 0)).collect();
    for &id in &links {
        bench.hub.attach(id, 2, 1, 0);
    }
    for &id in links.iter().step_by(2) {
        bench.hub.close(id);
    }
    assert_eq!(bench.hub.stats().attachments, 10);
    assert_eq!(bench.hub.publish(1, &delivery(1, 1), 1, 0, None), 5);
    for &id in links.iter().skip(1).step_by(2) {
        assert_eq!(bench.hub.attached(id, 1), Some(State::Live));
        assert_eq!(bench.hub.attached(id, 2), Some(State::Filling));
        assert!(bench.hub.detach(id, 1, 1));
    }
    assert_eq!(bench.hub.publish(1, &delivery(1, 2), 2, 0, None), 0);
}

// ------------------------------------------------------------------------------------------------------------ a model

/// Against a model that simply remembers, per attachment, what was sent: whatever happens, a subscriber is sent what is
/// behind the offset it named, each once and in order, but for what it published itself.
#[derive(Clone, Debug)]
enum Step {
    Append {
        sender: usize,
        published: bool,
    },
    Attach {
        link: usize,
        behind: u64,
    },
    Detach {
        link: usize,
    },
    /// A read of the log, of at most so many records, arrives.
    Fill {
        link: usize,
        limit: usize,
    },
    GoLive {
        link: usize,
    },
    Gaps,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let link = 0..3usize;
    let step = prop_oneof![
        5 => (0..6usize, prop::bool::weighted(0.85)).prop_map(|(sender, published)| Step::Append { sender, published }),
        1 => (link.clone(), 0..5u64).prop_map(|(link, behind)| Step::Attach { link, behind }),
        1 => link.clone().prop_map(|link| Step::Detach { link }),
        3 => (link.clone(), 1..6usize).prop_map(|(link, limit)| Step::Fill { link, limit }),
        3 => link.prop_map(|link| Step::GoLive { link }),
        2 => Just(Step::Gaps),
    ];
    prop::collection::vec(step, 1..120)
}

struct Subscriber {
    link: u64,
    generation: u64,
    /// Behind `after`, and where the next read of the log begins while somebody owes it one.
    attached: Option<(u64, Option<u64>)>,
    heard: Client,
}

proptest! {
    #[test]
    fn an_attachment_is_gap_free_whatever_the_order_of_reads_and_publishes(steps in steps()) {
        let mut bench = Bench::with(Settings { durable_bytes: 1 << 20, ..SETTINGS });
        let mut log: Vec<u64> = Vec::new();
        let mut subscribers: Vec<Subscriber> = (0..3).map(|_| {
            let heard = Client::upgraded();
            Subscriber { link: bench.bound("p"), generation: 0, attached: None, heard }
        }).collect();
        // In the end everybody reads until it is live.
        let settle = (0..3).flat_map(|link| [Step::Gaps, Step::Fill { link, limit: 1000 }, Step::GoLive { link }]);
        let settle: Vec<Step> = settle.collect();
        for step in steps.into_iter().chain(settle.clone()).chain(settle) {
            match step {
                Step::Append { sender, published } => {
                    let sender = subscribers.get(sender).map_or(0, |subscriber| subscriber.link);
                    log.push(sender);
                    let offset = log.len() as u64;
                    if published {
                        bench.hub.publish(1, &delivery(1, offset), offset, sender, None);
                    }
                }
                Step::Attach { link, behind } => {
                    let subscriber = &mut subscribers[link];
                    subscriber.generation += 1;
                    let after = (log.len() as u64).saturating_sub(behind);
                    prop_assert!(bench.hub.attach(subscriber.link, 1, subscriber.generation, after));
                    bench.flush();
                    subscriber.heard.received.clear();
                    subscriber.attached = Some((after, Some(after)));
                }
                Step::Detach { link } => {
                    let subscriber = &mut subscribers[link];
                    let was = subscriber.attached.take().is_some();
                    prop_assert_eq!(bench.hub.detach(subscriber.link, 1, subscriber.generation), was);
                }
                Step::Fill { link, limit } => {
                    let subscriber = &mut subscribers[link];
                    if let Some((_, Some(after))) = &mut subscriber.attached {
                        let page: Vec<Frame> = (*after + 1..=log.len() as u64).take(limit).map(|offset| delivery(1, offset)).collect();
                        *after += page.len() as u64;
                        prop_assert!(bench.hub.fill(subscriber.link, 1, subscriber.generation, &page));
                    }
                }
                Step::GoLive { link } => {
                    let subscriber = &mut subscribers[link];
                    if let Some((_, after @ Some(_))) = &mut subscriber.attached {
                        // Only who has read to the end of the log may ask, as realtime does.
                        if *after == Some(log.len() as u64) || bench.hub.attached(subscriber.link, 1) == Some(State::Live) {
                            *after = bench.hub.go_live(subscriber.link, 1, subscriber.generation);
                        }
                    }
                }
                Step::Gaps => {
                    for gap in bench.hub.take_gaps() {
                        let owner = subscribers.iter_mut().find(|subscriber| subscriber.link == gap.link);
                        let subscriber = owner.expect("gaps are of known links");
                        prop_assert_eq!(gap.generation, subscriber.generation);
                        if let Some((_, reading)) = &mut subscriber.attached {
                            *reading = Some(gap.after);
                        }
                    }
                }
            }
            for (connection, bytes, _) in bench.flush() {
                let owner = subscribers.iter_mut().find(|subscriber| subscriber.link == connection);
                owner.expect("only subscribers are sent anything").heard.hear(&bytes);
            }
            for subscriber in &subscribers {
                let Some((after, _)) = subscriber.attached else { continue };
                let offsets = subscriber.heard.offsets(1);
                prop_assert!(offsets.windows(2).all(|pair| pair[0] < pair[1]), "twice or out of order: {:?}", offsets);
                let last = offsets.last().copied().unwrap_or(after);
                // An own record may come from the log, or be left to its ack.
                let missed: Vec<u64> = (after + 1..last).filter(|offset| !offsets.contains(offset)).collect();
                prop_assert!(missed.iter().all(|&offset| log[offset as usize - 1] == subscriber.link), "left out: {:?}", missed);
            }
        }
        // A record that was never published shows only when the next one is: publish one last.
        log.push(0);
        let head = log.len() as u64;
        bench.hub.publish(1, &delivery(1, head), head, 0, None);
        for gap in bench.hub.take_gaps() {
            let page: Vec<Frame> = (gap.after + 1..=head).map(|offset| delivery(1, offset)).collect();
            prop_assert!(bench.hub.fill(gap.link, 1, gap.generation, &page));
            prop_assert_eq!(bench.hub.go_live(gap.link, 1, gap.generation), None);
        }
        let mut rest = bench.drain_all();
        for subscriber in &mut subscribers {
            subscriber.heard.hear(&rest.remove(&subscriber.link).unwrap_or_default());
        }
        for subscriber in &subscribers {
            if subscriber.attached.is_some() {
                prop_assert_eq!(bench.hub.attached(subscriber.link, 1), Some(State::Live));
                prop_assert_eq!(subscriber.heard.offsets(1).last().copied(), Some(head));
            }
            bench.hub.close(subscriber.link);
        }
        let stats = bench.hub.stats();
        prop_assert_eq!(stats, Stats { frames: stats.frames, ..Default::default() });
    }
}

#[test]
fn links_of_the_author_are_given_another_frame_live_or_later() {
    let mut bench = Bench::new();
    let (sender, own, other) = (live(&mut bench, "p", 1, 0), live(&mut bench, "p", 1, 0), live(&mut bench, "q", 1, 0));
    let late = bench.bound("p");
    assert!(bench.hub.attach(late, 1, 1, 0));
    let (redacted, whole) = (sized(1, 1, 1), sized(1, 1, 40));
    assert_eq!(bench.hub.publish(1, &redacted, 1, sender, Some(("p", &whole))), 2);
    assert_eq!(bench.hub.publish(1, &sized(1, 2, 1), 2, 0, Some(("nobody", &whole))), 3);
    assert_eq!(bench.hub.go_live(late, 1, 1), None);
    let heard = bench.hear_all();
    let lengths = |link: u64| -> Vec<(u64, usize)> {
        let text = |frame: &serde_json::Value| frame["body"]["text"].as_str().map_or(0, str::len);
        let deliveries = heard[&link].frames("delivery");
        deliveries.iter().map(|frame| (frame["offset"].as_u64().unwrap_or(0), text(frame))).collect()
    };
    assert_eq!(lengths(sender), [(2, 1)]);
    assert_eq!(lengths(own), [(1, 40), (2, 1)]);
    assert_eq!(lengths(other), [(1, 1), (2, 1)]);
    assert_eq!(lengths(late), [(1, 40), (2, 1)]);
}
