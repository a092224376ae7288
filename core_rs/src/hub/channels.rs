//! Channels: which links are attached to each, and what each of them is sent.
use super::{
    Hub,
    attachment::{Arrival, Attachment, State},
    lanes::{Encoded, Key},
    link::Place,
    peers::{Peers, Pushed},
};
use crate::wire::Frame;
use std::collections::HashMap;

/// An attachment that fell back to filling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    pub link: u64,
    pub number: u64,
    pub generation: u64,
    /// The offset to read on after.
    pub after: u64,
}

#[derive(Default)]
pub(super) struct Channels {
    /// By channel number. Attachments have no order of their own.
    attached: HashMap<u64, Vec<Attachment>>,
    attachments: usize,
    gaps: Vec<Gap>,
    lagged: u64,
}

impl Channels {
    pub(super) fn attachments(&self) -> usize {
        self.attachments
    }

    pub(super) fn lagged(&self) -> u64 {
        self.lagged
    }

    fn find<'a>(&'a mut self, peers: &Peers, link: u64, number: u64) -> Option<&'a mut Attachment> {
        let index = index_of(peers, link, number)?;
        self.attached.get_mut(&number)?.get_mut(index as usize)
    }

    fn insert(&mut self, peers: &mut Peers, number: u64, attachment: Attachment) {
        let list = self.attached.entry(number).or_default();
        let Ok(index) = u32::try_from(list.len()) else { return };
        let link = attachment.link;
        list.push(attachment);
        self.attachments += 1;
        peers.change(link, |peer, _| {
            if let Some(link) = &mut peer.link {
                link.places.push(Place { number, index });
            }
        });
    }

    /// Ends an attachment and what waits of it. The list's last one moves to its place.
    fn remove(&mut self, peers: &mut Peers, link: u64, number: u64) -> bool {
        let index = peers.change(link, |peer, _| {
            let places = &mut peer.link.as_mut()?.places;
            let at = places.iter().position(|place| place.number == number)?;
            let place = places.swap_remove(at);
            if places.is_empty() {
                *places = Vec::new();
            }
            peer.lanes.drop_channel(number);
            Some(place.index)
        });
        let Some(index) = index.flatten() else { return false };
        self.vacate(peers, number, index);
        true
    }

    fn vacate(&mut self, peers: &mut Peers, number: u64, index: u32) {
        let Some(list) = self.attached.get_mut(&number) else { return };
        list.swap_remove(index as usize);
        self.attachments -= 1;
        if let Some(moved) = list.get(index as usize) {
            peers.change(moved.link, |peer, _| {
                let places = peer.link.iter_mut().flat_map(|link| &mut link.places);
                for place in places.filter(|place| place.number == number) {
                    place.index = index;
                }
            });
        }
        if list.is_empty() {
            self.attached.remove(&number);
        } else if list.len() * 4 < list.capacity() {
            list.shrink_to(list.len() * 2);
        }
    }

    /// Ends the attachments of a link that is gone from `peers`.
    pub(super) fn forget(&mut self, peers: &mut Peers, places: Vec<Place>) {
        for place in places {
            self.vacate(peers, place.number, place.index);
        }
    }
}

fn index_of(peers: &Peers, link: u64, number: u64) -> Option<u32> {
    let places = &peers.get(link)?.link.as_ref()?.places;
    places.iter().find(|place| place.number == number).map(|place| place.index)
}

/// Sends a delivery, or makes the attachment pull-only when the lane is full; whether it was sent.
fn deliver(
    peers: &mut Peers,
    lagged: &mut u64,
    attachment: &mut Attachment,
    number: u64,
    offset: u64,
    frame: Encoded,
) -> bool {
    match peers.push_delivery(attachment.link, number, frame) {
        Pushed::Queued => true,
        Pushed::Closed => false,
        Pushed::Full => {
            attachment.lag();
            *lagged += 1;
            peers.push_control(attachment.link, &Frame::lag(number, offset));
            false
        }
    }
}

impl Hub {
    /// Begins an attachment that expects offset `after` + 1; live deliveries wait until `go_live`.
    ///
    /// False when the link is gone or has a newer generation. An older attachment of the link is replaced, and what
    /// waits of it is dropped: the newer one says itself where to begin.
    pub fn attach(&mut self, link: u64, number: u64, generation: u64, after: u64) -> bool {
        let Self { peers, channels, .. } = self;
        if peers.get(link).is_none_or(|peer| peer.link.is_none() || !peer.is_open()) {
            return false;
        }
        if let Some(attachment) = channels.find(peers, link, number) {
            if attachment.generation > generation {
                return false;
            }
            channels.remove(peers, link, number);
        }
        channels.insert(peers, number, Attachment::new(link, generation, after));
        true
    }

    /// Sends deliveries read from the log, in order of offset; those below the expected offset are skipped.
    ///
    /// False when the attachment is gone, of another generation, or lags.
    pub fn fill<'a>(
        &mut self,
        link: u64,
        number: u64,
        generation: u64,
        frames: impl IntoIterator<Item = &'a Frame>,
    ) -> bool {
        let Self { peers, channels, .. } = self;
        let Some(framing) = peers.get(link).map(|peer| peer.framing()) else { return false };
        let Some(index) = index_of(peers, link, number) else { return false };
        let Channels { attached, lagged, .. } = channels;
        let Some(attachment) = attached.get_mut(&number).and_then(|list| list.get_mut(index as usize)) else {
            return false;
        };
        if attachment.generation != generation {
            return false;
        }
        for frame in frames {
            let Some(offset) = frame.offset() else { continue };
            if attachment.fill(offset) {
                deliver(peers, lagged, attachment, number, offset, frame.encoded(framing));
            }
        }
        attachment.state() != State::Lagging
    }

    /// Sends what waited. `None` when the attachment is live (or gone, or lags), else the offset to read on after.
    pub fn go_live(&mut self, link: u64, number: u64, generation: u64) -> Option<u64> {
        let Self { peers, channels, .. } = self;
        let index = index_of(peers, link, number)?;
        let Channels { attached, lagged, .. } = channels;
        let attachment = attached.get_mut(&number)?.get_mut(index as usize)?;
        if attachment.generation != generation {
            return None;
        }
        while let Some(released) = attachment.release() {
            if let Some(frame) = released {
                let offset = attachment.read_after();
                deliver(peers, lagged, attachment, number, offset, frame);
            }
        }
        attachment.settle()
    }

    /// Ends an attachment. False when it is gone or of a newer generation.
    pub fn detach(&mut self, link: u64, number: u64, generation: u64) -> bool {
        let Self { peers, channels, .. } = self;
        match channels.find(peers, link, number) {
            Some(attachment) if attachment.generation <= generation => channels.remove(peers, link, number),
            _ => false,
        }
    }

    /// Ends all attachments of a person to a channel, with what waits of it; the links that had one, sent `frame`.
    pub fn drop(&mut self, number: u64, person: &str, frame: Option<&Frame>) -> Vec<u64> {
        let Self { peers, channels, persons, .. } = self;
        let mut links = persons.get(person).cloned().unwrap_or_default();
        links.retain(|&link| channels.remove(peers, link, number));
        if let Some(frame) = frame {
            for &link in &links {
                peers.push_control(link, frame);
            }
        }
        links
    }

    /// Queues a delivery for every live attachment but that of the link `sender`, whose ack stands for it.
    ///
    /// Links of `author`, a person, are given the frame beside the name. How many links were given either. One that has
    /// no room becomes pull-only and is sent `lag`; one that sees a gap falls back to filling and is reported by
    /// `take_gaps`.
    pub fn publish(
        &mut self,
        number: u64,
        frame: &Frame,
        offset: u64,
        sender: u64,
        author: Option<(&str, &Frame)>,
    ) -> usize {
        let Self { peers, channels, persons, .. } = self;
        let Channels { attached, lagged, gaps, .. } = channels;
        let (own, to_author): (&[u64], _) = match author {
            Some((person, frame)) => (persons.get(person).map_or(&[], Vec::as_slice), frame),
            None => (&[], frame),
        };
        let mut given = 0;
        for attachment in attached.get_mut(&number).into_iter().flatten() {
            let link = attachment.link;
            let frame = if own.contains(&link) { to_author } else { frame };
            let Some(framing) = peers.get(link).map(|peer| peer.framing()) else { continue };
            let encoded = || (link != sender).then(|| frame.encoded(framing));
            match attachment.arrive(offset, encoded) {
                Arrival::Kept => {}
                Arrival::Gap => {
                    let (generation, after) = (attachment.generation, attachment.read_after());
                    gaps.push(Gap { link, number, generation, after });
                }
                Arrival::Next => {
                    if link != sender {
                        let frame = frame.encoded(framing);
                        given += usize::from(deliver(peers, lagged, attachment, number, offset, frame));
                    }
                }
            }
        }
        given
    }

    /// Queues an ephemeral event for every attachment but the sender's; how many links were given it.
    ///
    /// One with the same channel and key that still waits is replaced.
    pub fn publish_event(&mut self, number: u64, key: &str, frame: &Frame, sender: u64) -> usize {
        let Self { peers, channels, .. } = self;
        let key = Key::new(key);
        let attachments = channels.attached.get(&number).into_iter().flatten();
        attachments.filter(|a| a.link != sender).filter(|a| peers.push_event(a.link, &key, frame)).count()
    }

    /// Attachments that fell back to filling since the last call.
    pub fn take_gaps(&mut self) -> Vec<Gap> {
        let Self { peers, channels, .. } = self;
        let mut gaps = std::mem::take(&mut channels.gaps);
        gaps.retain(|gap| {
            channels.find(peers, gap.link, gap.number).is_some_and(|found| found.generation == gap.generation)
        });
        gaps
    }

    /// State of a link's attachment to a channel.
    pub fn attached(&self, link: u64, number: u64) -> Option<State> {
        let index = index_of(&self.peers, link, number)?;
        Some(self.channels.attached.get(&number)?.get(index as usize)?.state())
    }
}
