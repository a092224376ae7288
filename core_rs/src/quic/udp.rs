//! Batches of datagrams on a UDP socket that somebody else bound: the only system calls of this crate.
//!
//! quinn-udp reads several datagrams with one call (recvmmsg), joined ones of one sender too (GRO), and sends several of
//! one length with one call (GSO); it reads and marks congestion (RFC 3168) and keeps IP from fragmenting.
use super::Endpoint;
use bytes::BytesMut;
use quinn_proto::{EcnCodepoint, Transmit};
use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSockRef, UdpSocketState};
use std::{
    io::{self, IoSliceMut},
    os::fd::BorrowedFd,
};

/// Longest datagram, or group of joined ones, that the kernel gives.
const MAX_PAYLOAD: usize = 65_535;

/// Bytes that one call may send; more than this, IP cannot carry.
const MAX_SENT: usize = 65_000;

/// Datagrams of one call: beyond it, the others wait too long for their turn.
const MAX_SEGMENTS: usize = 44;

/// One socket's options and buffers.
pub struct Socket {
    state: UdpSocketState,
    buffers: Vec<u8>,
}

impl Socket {
    /// Sets the socket's options.
    pub fn new(socket: BorrowedFd<'_>) -> io::Result<Self> {
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        Ok(Self { state, buffers: vec![0; BATCH_SIZE * MAX_PAYLOAD] })
    }

    /// Reads one batch. True: there may be more.
    pub fn receive(&mut self, socket: BorrowedFd<'_>, endpoint: &mut Endpoint) -> io::Result<bool> {
        let mut slices = self.buffers.chunks_exact_mut(MAX_PAYLOAD).map(IoSliceMut::new).collect::<Vec<_>>();
        let mut metas = [RecvMeta::default(); BATCH_SIZE];
        let count = match self.state.recv(UdpSockRef::from(&socket), &mut slices, &mut metas) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if concerns_one_peer(&error) => return Ok(true),
            Err(error) => return Err(error),
        };
        for (meta, slice) in metas.iter().zip(&slices).take(count) {
            let congestion = meta.ecn.and_then(|codepoint| EcnCodepoint::from_bits(codepoint as u8));
            for datagram in slice[..meta.len].chunks(meta.stride.max(1)) {
                endpoint.receive(meta.addr, meta.dst_ip, congestion, BytesMut::from(datagram));
            }
        }
        Ok(count == BATCH_SIZE)
    }

    /// Sends what may be sent. False: the socket takes no more.
    pub fn flush(&self, socket: BorrowedFd<'_>, endpoint: &mut Endpoint) -> io::Result<bool> {
        let segments = self.state.max_gso_segments().min(MAX_SEGMENTS);
        endpoint.transmit(segments, &mut |transmit, bytes| self.send(socket, transmit, bytes))
    }

    fn send(&self, socket: BorrowedFd<'_>, transmit: &Transmit, bytes: &[u8]) -> io::Result<bool> {
        let whole = transmit.segment_size.unwrap_or(bytes.len()).max(1);
        // After the kernel refused segments, those that were joined already go one by one.
        let step = if self.state.max_gso_segments() > 1 { MAX_SENT / whole * whole } else { whole };
        for part in bytes.chunks(step.max(1)) {
            let sent = self.state.try_send(
                UdpSockRef::from(&socket),
                &quinn_udp::Transmit {
                    destination: transmit.destination,
                    ecn: transmit.ecn.and_then(|codepoint| quinn_udp::EcnCodepoint::from_bits(codepoint as u8)),
                    contents: part,
                    segment_size: transmit.segment_size.filter(|size| *size < part.len()),
                    src_ip: transmit.src_ip,
                },
            );
            match sent {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if concerns_one_peer(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// Whether an error is about where a datagram was to go, or how long it was: to QUIC it is lost, as any may be.
fn concerns_one_peer(error: &io::Error) -> bool {
    !matches!(error.raw_os_error(), Some(libc::EBADF | libc::ENOTSOCK))
}
