//! `Quic`: the connections of a UDP socket.
use crate::{
    error::Error,
    quic::{Endpoint, Event, Limits, Pem, Setup, udp::Socket},
};
use bytes::{Bytes, BytesMut};
use pyo3::{
    exceptions::PyValueError,
    prelude::*,
    pybacked::PyBackedBytes,
    types::{PyBytes, PyDict, PyList, PyTuple},
};
use std::{
    net::{IpAddr, SocketAddr},
    os::fd::BorrowedFd,
    time::SystemTime,
};

/// Datagrams of one length that `take` lets the engine join.
const SEGMENTS: usize = 16;

#[pyclass(module = "chiron._core", name = "Quic")]
pub(crate) struct PyQuic {
    endpoint: Endpoint,
    /// Options and buffers of the descriptor that was used last.
    socket: Option<(i32, Socket)>,
    /// A call is under way; still set when the next one begins, it panicked.
    entered: bool,
}

fn pem((chain, key): &(PyBackedBytes, PyBackedBytes)) -> Pem<'_> {
    (chain, key)
}

fn borrow(descriptor: &i32) -> PyResult<BorrowedFd<'_>> {
    if *descriptor < 0 {
        return Err(PyValueError::new_err("the descriptor is closed"));
    }
    // SAFETY: not -1, and the caller keeps its socket open while the call lasts.
    Ok(unsafe { BorrowedFd::borrow_raw(*descriptor) })
}

impl PyQuic {
    /// Runs one call. Whatever a panic left half done is not used again.
    fn enter<R>(&mut self, call: impl FnOnce(&mut Self) -> R) -> Result<R, Error> {
        if self.entered {
            return Err(Error::Poisoned);
        }
        self.entered = true;
        let result = call(self);
        self.entered = false;
        Ok(result)
    }

    /// Runs one call on the endpoint alone.
    fn with<R>(&mut self, call: impl FnOnce(&mut Endpoint) -> R) -> Result<R, Error> {
        self.enter(|this| call(&mut this.endpoint))
    }

    /// Queues bytes of a stream. False: more than the high-water mark waits.
    pub(super) fn queue(&mut self, connection: u64, stream: u64, data: Bytes, fin: bool) -> Result<bool, Error> {
        self.with(|endpoint| endpoint.send(connection, stream, data, fin))
    }

    /// Queues a datagram. False: it found no room.
    pub(super) fn queue_datagram(&mut self, connection: u64, data: Bytes) -> Result<bool, Error> {
        self.with(|endpoint| endpoint.send_datagram(connection, data))
    }

    /// Runs one call at a time.
    fn at<R>(&mut self, now: f64, call: impl FnOnce(&mut Self) -> R) -> PyResult<R> {
        if !now.is_finite() {
            return Err(PyValueError::new_err("now must be finite"));
        }
        Ok(self.enter(|this| {
            this.endpoint.advance(now);
            call(this)
        })?)
    }

    /// The socket of a descriptor, and the endpoint.
    fn socket(&mut self, descriptor: i32) -> PyResult<(&mut Socket, &mut Endpoint)> {
        if self.socket.as_ref().is_none_or(|(known, _)| *known != descriptor) {
            self.socket = Some((descriptor, Socket::new(borrow(&descriptor)?)?));
        }
        match &mut self.socket {
            Some((_, socket)) => Ok((socket, &mut self.endpoint)),
            None => unreachable!("set above"),
        }
    }
}

fn to_python<'py>(py: Python<'py>, event: &Event) -> PyResult<Bound<'py, PyTuple>> {
    let data = PyBytes::new(py, &event.data);
    (event.connection, event.kind as u8, event.stream, data, event.number).into_pyobject(py)
}

#[pymethods]
impl PyQuic {
    #[new]
    #[pyo3(signature = (
        chain, key, *, named=None, secret, ticket_keys, worker=0, now, idle_seconds=30.0, handshake_seconds=10.0,
        max_connections=10_000, retry_handshakes=256, streams_bidi=16, streams_uni=16, max_streams=256,
        stream_window=262_144, connection_window=1_048_576, max_connection_window=16_777_216, datagram_queue=65_536,
    ))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn new(
        chain: PyBackedBytes,
        key: PyBackedBytes,
        named: Option<(PyBackedBytes, PyBackedBytes)>,
        secret: PyBackedBytes,
        ticket_keys: Vec<Vec<u8>>,
        worker: u8,
        now: f64,
        idle_seconds: f64,
        handshake_seconds: f64,
        max_connections: usize,
        retry_handshakes: usize,
        streams_bidi: u32,
        streams_uni: u32,
        max_streams: u32,
        stream_window: u32,
        connection_window: u32,
        max_connection_window: u32,
        datagram_queue: usize,
    ) -> PyResult<Self> {
        if !now.is_finite() {
            return Err(PyValueError::new_err("now must be finite"));
        }
        let mut seed = [0; 32];
        aws_lc_rs::rand::fill(&mut seed).map_err(|_| Error::Argument("the system gives no random bytes"))?;
        let endpoint = Endpoint::new(&Setup {
            plain: (&chain, &key),
            named: named.as_ref().map(pem),
            secret: &secret,
            seed,
            ticket_keys: &ticket_keys,
            worker,
            limits: Limits {
                idle_seconds,
                handshake_seconds,
                max_connections,
                retry_handshakes,
                streams_bidi,
                streams_uni,
                max_streams,
                stream_window,
                connection_window,
                max_connection_window,
                datagram_queue,
            },
            now,
            wall: SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default(),
        })?;
        Ok(Self { endpoint, socket: None, entered: false })
    }

    fn receive(&mut self, descriptor: i32, now: f64) -> PyResult<bool> {
        self.at(now, |this| {
            let (socket, endpoint) = this.socket(descriptor)?;
            Ok(socket.receive(borrow(&descriptor)?, endpoint)?)
        })?
    }

    fn feed(&mut self, datagrams: Vec<(PyBackedBytes, (String, u16))>, now: f64) -> PyResult<()> {
        self.at(now, |this| {
            for (data, (host, port)) in &datagrams {
                let ip: IpAddr = host.parse().map_err(|_| PyValueError::new_err("an address is not numeric"))?;
                this.endpoint.receive(SocketAddr::new(ip, *port), None, None, BytesMut::from(&data[..]));
            }
            Ok(())
        })?
    }

    fn poll<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let events = self.with(Endpoint::poll)?;
        let list = PyList::empty(py);
        for event in &events {
            list.append(to_python(py, event)?)?;
        }
        Ok(list)
    }

    fn flush(&mut self, descriptor: i32, now: f64) -> PyResult<bool> {
        self.at(now, |this| {
            let (socket, endpoint) = this.socket(descriptor)?;
            Ok(socket.flush(borrow(&descriptor)?, endpoint)?)
        })?
    }

    fn take<'py>(&mut self, py: Python<'py>, now: f64) -> PyResult<Bound<'py, PyList>> {
        let mut taken = Vec::new();
        self.at(now, |this| {
            this.endpoint.transmit(SEGMENTS, &mut |transmit, bytes| {
                let size = transmit.segment_size.unwrap_or(bytes.len()).max(1);
                taken.extend(bytes.chunks(size).map(|datagram| (datagram.to_vec(), transmit.destination)));
                Ok(true)
            })
        })??;
        let list = PyList::empty(py);
        for (datagram, to) in &taken {
            list.append((PyBytes::new(py, datagram), (to.ip().to_string(), to.port())))?;
        }
        Ok(list)
    }

    fn next_timeout(&mut self) -> Result<Option<f64>, Error> {
        self.with(Endpoint::next_timeout)
    }

    fn handle_timeouts(&mut self, now: f64) -> PyResult<()> {
        self.at(now, |this| this.endpoint.handle_timeouts())
    }

    #[pyo3(signature = (connection, stream, data, fin=false))]
    fn send(&mut self, connection: u64, stream: u64, data: &[u8], fin: bool) -> Result<bool, Error> {
        self.queue(connection, stream, Bytes::copy_from_slice(data), fin)
    }

    fn open_stream(&mut self, connection: u64, unidirectional: bool) -> Result<i64, Error> {
        let stream = self.with(|endpoint| endpoint.open_stream(connection, unidirectional))?;
        Ok(stream.and_then(|stream| i64::try_from(stream).ok()).unwrap_or(-1))
    }

    fn reset(&mut self, connection: u64, stream: u64, code: u64) -> Result<(), Error> {
        self.with(|endpoint| endpoint.reset(connection, stream, code))
    }

    fn stop(&mut self, connection: u64, stream: u64, code: u64) -> Result<(), Error> {
        self.with(|endpoint| endpoint.stop(connection, stream, code))
    }

    fn pause(&mut self, connection: u64, stream: u64) -> Result<(), Error> {
        self.with(|endpoint| endpoint.pause(connection, stream))
    }

    fn resume(&mut self, connection: u64, stream: u64) -> Result<(), Error> {
        self.with(|endpoint| endpoint.resume(connection, stream))
    }

    fn send_datagram(&mut self, connection: u64, data: &[u8]) -> Result<bool, Error> {
        self.queue_datagram(connection, Bytes::copy_from_slice(data))
    }

    fn max_datagram(&mut self, connection: u64) -> Result<usize, Error> {
        self.with(|endpoint| endpoint.max_datagram(connection))
    }

    fn buffered(&mut self, connection: u64, stream: u64) -> Result<usize, Error> {
        self.with(|endpoint| endpoint.buffered(connection, stream))
    }

    #[pyo3(signature = (connection, code, reason=""))]
    fn close(&mut self, connection: u64, code: u64, reason: &str) -> Result<(), Error> {
        self.with(|endpoint| endpoint.close(connection, code, reason))
    }

    fn peer(&mut self, connection: u64) -> Result<Option<(String, u16)>, Error> {
        let address = self.with(|endpoint| endpoint.peer(connection))?;
        Ok(address.map(|address| (address.ip().to_string(), address.port())))
    }

    fn refuse(&mut self) -> Result<(), Error> {
        self.with(Endpoint::refuse)
    }

    #[pyo3(signature = (chain, key, named))]
    fn reload(
        &mut self,
        chain: PyBackedBytes,
        key: PyBackedBytes,
        named: Option<(PyBackedBytes, PyBackedBytes)>,
    ) -> Result<(), Error> {
        Ok(self.with(|endpoint| endpoint.reload((&chain, &key), named.as_ref().map(pem)))??)
    }

    fn set_ticket_keys(&mut self, keys: Vec<Vec<u8>>) -> Result<(), Error> {
        Ok(self.with(|endpoint| endpoint.set_ticket_keys(&keys))??)
    }

    fn stats<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.with(|endpoint| endpoint.stats())?;
        let dict = PyDict::new(py);
        dict.set_item("connections", stats.connections)?;
        dict.set_item("handshakes", stats.handshakes)?;
        dict.set_item("resumed", stats.resumed)?;
        dict.set_item("refused", stats.refused)?;
        dict.set_item("retries", stats.retries)?;
        dict.set_item("received_datagrams", stats.received_datagrams)?;
        dict.set_item("sent_datagrams", stats.sent_datagrams)?;
        dict.set_item("received_bytes", stats.received_bytes)?;
        dict.set_item("sent_bytes", stats.sent_bytes)?;
        dict.set_item("lost_packets", stats.lost_packets)?;
        dict.set_item("moved", stats.moved)?;
        Ok(dict)
    }
}
