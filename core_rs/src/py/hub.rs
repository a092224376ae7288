//! `Hub` and the events of transports.
use super::{
    limit::PyLimiter,
    quic::PyQuic,
    score::{DETACHED_TEXT, PyScorer},
    tls::Tls,
    wire::{self, PyFrame},
};
use crate::{
    error::Error,
    hub::{self, Datagram, Departure, Event, Hub, Reading, Settings, Upgrade},
    websocket::code,
};
use bytes::{Bytes, BytesMut};
use pyo3::{
    buffer::PyBuffer,
    exceptions::PyValueError,
    intern,
    prelude::*,
    pybacked::PyBackedStr,
    types::{PyByteArray, PyBytes, PyList},
};
use std::{collections::HashMap, mem, slice};

/// A flush of more connections than this gives other threads the interpreter meanwhile; for fewer, handing it over
/// costs more than the work.
const DETACHED_FLUSH: usize = 64;

/// Room that the buffer of flush keeps.
const KEPT_CAPACITY: usize = 1 << 20;

#[pyclass(module = "chiron._core", frozen, get_all)]
pub(crate) struct Data {
    data: Py<PyBytes>,
}

#[pyclass(module = "chiron._core", frozen, get_all)]
pub(crate) struct Secured {
    protocol: Option<String>,
    server_name: Option<String>,
    resumed: bool,
}

#[pyclass(module = "chiron._core", frozen, get_all)]
pub(crate) struct Ended {
    clean: bool,
}

#[pyclass(module = "chiron._core", frozen, get_all)]
pub(crate) struct Message {
    data: Py<PyBytes>,
    text: bool,
}

#[pyclass(module = "chiron._core", frozen, get_all)]
pub(crate) struct PeerClosed {
    code: u16,
    reason: String,
}

#[pyclass(module = "chiron._core", frozen, get_all)]
pub(crate) struct Broken {
    layer: &'static str,
    code: u16,
    reason: String,
}

fn to_python(py: Python<'_>, event: Event) -> PyResult<Py<PyAny>> {
    let bytes = |data: Vec<u8>| PyBytes::new(py, &data).unbind();
    Ok(match event {
        Event::Data(data) => Py::new(py, Data { data: bytes(data) })?.into_any(),
        Event::Secured { protocol, server_name, resumed } => {
            Py::new(py, Secured { protocol, server_name, resumed })?.into_any()
        }
        Event::Ended { clean } => Py::new(py, Ended { clean })?.into_any(),
        Event::Message { data, text } => Py::new(py, Message { data: bytes(data), text })?.into_any(),
        Event::PeerClosed { code, reason } => Py::new(py, PeerClosed { code, reason })?.into_any(),
        Event::Broken(breach) => {
            Py::new(py, Broken { layer: breach.layer.name(), code: breach.code, reason: breach.reason })?.into_any()
        }
        Event::Frame(frame) => wire::to_python(py, frame)?,
    })
}

enum Endpoint {
    Native(Py<PyQuic>),
    /// Another engine, with the same `send` and `send_datagram`.
    Foreign(Py<PyAny>),
}

impl Endpoint {
    fn object(&self) -> &Py<PyAny> {
        match self {
            Self::Native(quic) => quic.as_any(),
            Self::Foreign(object) => object,
        }
    }
}

/// Where the bytes of a link go.
struct Route {
    endpoint: Endpoint,
    connection: u64,
    stream: u64,
    /// Of datagrams.
    prefix: Vec<u8>,
}

impl Route {
    /// False: the endpoint wants no more until it says so.
    fn send(&self, py: Python<'_>, data: &[u8]) -> PyResult<bool> {
        match &self.endpoint {
            Endpoint::Native(quic) => {
                Ok(quic.borrow_mut(py).queue(self.connection, self.stream, Bytes::copy_from_slice(data), false)?)
            }
            Endpoint::Foreign(object) => {
                let arguments = (self.connection, self.stream, PyBytes::new(py, data));
                object.bind(py).call_method1(intern!(py, "send"), arguments)?.extract()
            }
        }
    }

    /// False: the endpoint found no room.
    fn send_datagram(&self, py: Python<'_>, payload: &[u8]) -> PyResult<bool> {
        let mut data = BytesMut::with_capacity(self.prefix.len() + payload.len());
        data.extend_from_slice(&self.prefix);
        data.extend_from_slice(payload);
        match &self.endpoint {
            Endpoint::Native(quic) => Ok(quic.borrow_mut(py).queue_datagram(self.connection, data.freeze())?),
            Endpoint::Foreign(object) => {
                let arguments = (self.connection, PyBytes::new(py, &data));
                object.bind(py).call_method1(intern!(py, "send_datagram"), arguments)?.extract()
            }
        }
    }
}

/// What the last flush gave to endpoints, until somebody asks.
#[derive(Default)]
struct Routed {
    bytes: usize,
    endpoints: Vec<Py<PyAny>>,
    /// Links whose endpoint wants no more of their streams, and that had no room for their datagrams.
    full: Vec<u64>,
    lost: Vec<u64>,
}

impl Routed {
    fn count(&mut self, py: Python<'_>, endpoint: &Endpoint, bytes: usize) {
        self.bytes += bytes;
        if !self.endpoints.last().is_some_and(|last| last.is(endpoint.object())) {
            self.endpoints.push(endpoint.object().clone_ref(py));
        }
    }
}

#[pyclass(module = "chiron._core", name = "Hub")]
pub(crate) struct PyHub {
    hub: Hub,
    limiter: Option<Py<PyLimiter>>,
    scorer: Option<Py<PyScorer>>,
    /// The transports' buffer. Held for as long as the hub lives, so that nobody can resize it.
    receive_buffer: PyBuffer<u8>,
    /// What flush sends, joined.
    out: Vec<u8>,
    departures: Vec<Departure>,
    datagrams: Vec<Datagram>,
    /// By link.
    routes: HashMap<u64, Route>,
    routed: Routed,
    /// A call is under way; still set when the next one begins, it panicked.
    entered: bool,
}

impl PyHub {
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

    /// Runs one call on the hub alone.
    fn with<R>(&mut self, call: impl FnOnce(&mut Hub) -> R) -> Result<R, Error> {
        self.enter(|this| call(&mut this.hub))
    }

    /// Runs one call that reads, with the limiter at hand; its events as Python objects.
    fn read<'py>(
        &mut self,
        py: Python<'py>,
        now: f64,
        read: impl FnOnce(&mut Hub, &PyBuffer<u8>, &mut Reading<'_>),
    ) -> PyResult<Bound<'py, PyList>> {
        if !(now.is_finite() && now >= 0.0) {
            return Err(PyValueError::new_err("now must be finite and not below 0"));
        }
        let mut events = Vec::new();
        self.enter(|this| {
            let mut limiter = this.limiter.as_ref().map(|limiter| limiter.borrow_mut(py));
            let limiter = limiter.as_mut().map(|limiter| &mut limiter.limiter);
            read(&mut this.hub, &this.receive_buffer, &mut Reading { now, limiter, events: &mut events });
            if let Some(scorer) = &this.scorer {
                let (scorer, events) = (&scorer.get().scorer, &mut events);
                match hub::unscored_bytes(events) {
                    0 => {}
                    1..=DETACHED_TEXT => hub::score_publishes(events, scorer),
                    _ => py.detach(|| hub::score_publishes(events, scorer)),
                }
            }
        })?;
        let list = PyList::empty(py);
        for event in events {
            list.append(to_python(py, event)?)?;
        }
        Ok(list)
    }
}

#[pymethods]
impl PyHub {
    #[new]
    #[pyo3(signature = (
        receive_buffer, *, limiter=None, scorer=None, durable_bytes=262_144, ephemeral_bytes=65_536,
        control_bytes=262_144, write_bytes=16_384
    ))]
    fn new(
        receive_buffer: &Bound<'_, PyByteArray>,
        limiter: Option<Py<PyLimiter>>,
        scorer: Option<Py<PyScorer>>,
        durable_bytes: usize,
        ephemeral_bytes: usize,
        control_bytes: usize,
        write_bytes: usize,
    ) -> PyResult<Self> {
        if write_bytes == 0 {
            return Err(PyValueError::new_err("write_bytes must be above 0"));
        }
        Ok(Self {
            hub: Hub::new(Settings { durable_bytes, ephemeral_bytes, control_bytes, write_bytes }),
            limiter,
            scorer,
            receive_buffer: PyBuffer::get(receive_buffer)?,
            out: Vec::new(),
            departures: Vec::new(),
            datagrams: Vec::new(),
            routes: HashMap::new(),
            routed: Routed::default(),
            entered: false,
        })
    }

    #[expect(unused_variables, reason = "every call that may depend on time is told it")]
    fn open(&mut self, tls: Option<&Bound<'_, Tls>>, now: f64) -> Result<u64, Error> {
        let settings = tls.map(|tls| &tls.get().settings);
        self.with(|hub| hub.open(settings))??.ok_or(Error::NoIds)
    }

    fn feed<'py>(&mut self, py: Python<'py>, connection: u64, size: usize, now: f64) -> PyResult<Bound<'py, PyList>> {
        if size > self.receive_buffer.len_bytes() {
            return Err(PyValueError::new_err("size is more than the receive buffer holds"));
        }
        self.read(py, now, |hub, buffer, reading| {
            // SAFETY: the buffer is a bytearray's, contiguous and at least `size` long; the export that we hold keeps it
            // in place, and the interpreter, which this thread holds throughout, keeps others from writing to it.
            let bytes = unsafe { slice::from_raw_parts(buffer.buf_ptr().cast::<u8>(), size) };
            hub.feed(connection, bytes, reading);
        })
    }

    fn feed_end<'py>(&mut self, py: Python<'py>, connection: u64, now: f64) -> PyResult<Bound<'py, PyList>> {
        self.read(py, now, |hub, _, reading| hub.feed_end(connection, reading))
    }

    fn upgrade<'py>(
        &mut self,
        py: Python<'py>,
        connection: u64,
        mode: &str,
        trailing: &[u8],
        max_message: usize,
        now: f64,
    ) -> PyResult<Bound<'py, PyList>> {
        let mode = match mode {
            "message" => Upgrade::Message,
            "link" => Upgrade::Link,
            _ => return Err(PyValueError::new_err("mode is message or link")),
        };
        self.read(py, now, |hub, _, reading| hub.upgrade(connection, mode, trailing, max_message, reading))
    }

    fn send(&mut self, connection: u64, data: &[u8]) -> Result<bool, Error> {
        self.with(|hub| hub.send(connection, data))
    }

    fn send_message(&mut self, connection: u64, data: &[u8], text: bool) -> Result<bool, Error> {
        self.with(|hub| hub.send_message(connection, data, text))
    }

    #[pyo3(signature = (connection, code=None, reason=""))]
    fn finish(&mut self, connection: u64, code: Option<u16>, reason: &str) -> Result<bool, Error> {
        self.with(|hub| hub.finish(connection, code.unwrap_or(code::NORMAL), reason))
    }

    fn pause(&mut self, connection: u64) -> Result<bool, Error> {
        self.with(|hub| hub.pause(connection))
    }

    fn resume(&mut self, connection: u64) -> Result<bool, Error> {
        self.with(|hub| hub.resume(connection))
    }

    fn close(&mut self, connection: u64) -> Result<bool, Error> {
        self.routes.remove(&connection);
        self.with(|hub| hub.close(connection))
    }

    fn queued(&mut self, connection: u64) -> Result<usize, Error> {
        self.with(|hub| hub.queued(connection))
    }

    #[expect(unused_variables, reason = "every call that may depend on time is told it")]
    fn flush<'py>(&mut self, py: Python<'py>, limit: usize, now: f64) -> PyResult<Bound<'py, PyList>> {
        self.enter(|this| {
            let Self { hub, out, departures, datagrams, .. } = this;
            out.clear();
            out.shrink_to(KEPT_CAPACITY);
            departures.clear();
            datagrams.clear();
            if limit.min(hub.ready()) > DETACHED_FLUSH {
                py.detach(|| hub.flush(limit, out, departures, datagrams));
            } else {
                hub.flush(limit, out, departures, datagrams);
            }
        })?;
        let Self { routes, routed, .. } = self;
        *routed = Routed::default();
        let list = PyList::empty(py);
        let mut start = 0;
        for departure in &self.departures {
            let bytes = &self.out[start..departure.end];
            start = departure.end;
            match routes.get(&departure.connection) {
                Some(route) if !departure.last => {
                    if !route.send(py, bytes)? {
                        routed.full.push(departure.connection);
                    }
                    routed.count(py, &route.endpoint, bytes.len());
                }
                _ => list.append((departure.connection, PyBytes::new(py, bytes), departure.last))?,
            }
        }
        for datagram in self.datagrams.drain(..) {
            let Some(route) = routes.get(&datagram.link) else { continue };
            if route.send_datagram(py, datagram.payload())? {
                routed.count(py, &route.endpoint, route.prefix.len() + datagram.payload().len());
            } else {
                routed.lost.push(datagram.link);
            }
        }
        Ok(list)
    }

    fn take_routed(&mut self) -> (usize, Vec<Py<PyAny>>, Vec<u64>, Vec<u64>) {
        let Routed { bytes, endpoints, full, lost } = mem::take(&mut self.routed);
        (bytes, endpoints, full, lost)
    }

    #[getter]
    fn dirty(&mut self) -> Result<bool, Error> {
        self.with(|hub| hub.is_dirty())
    }

    #[expect(unused_variables, reason = "every call that may depend on time is told it")]
    #[pyo3(signature = (now, *, datagram=0))]
    fn open_link(&mut self, now: f64, datagram: usize) -> Result<u64, Error> {
        self.with(|hub| hub.open_link(datagram))?.ok_or(Error::NoIds)
    }

    fn feed_link<'py>(&mut self, py: Python<'py>, link: u64, data: &[u8], now: f64) -> PyResult<Bound<'py, PyList>> {
        self.read(py, now, |hub, _, reading| hub.feed_link(link, data, reading))
    }

    fn feed_datagram<'py>(
        &mut self,
        py: Python<'py>,
        link: u64,
        data: &[u8],
        now: f64,
    ) -> PyResult<Bound<'py, PyList>> {
        self.read(py, now, |hub, _, reading| hub.feed_datagram(link, data, reading))
    }

    fn route(
        &mut self,
        link: u64,
        endpoint: Bound<'_, PyAny>,
        connection: u64,
        stream: u64,
        prefix: &[u8],
    ) -> Result<bool, Error> {
        let known = self.with(|hub| hub.knows(link))?;
        if known {
            let endpoint = match endpoint.cast_into::<PyQuic>() {
                Ok(quic) => Endpoint::Native(quic.unbind()),
                Err(error) => Endpoint::Foreign(error.into_inner().unbind()),
            };
            self.routes.insert(link, Route { endpoint, connection, stream, prefix: prefix.to_vec() });
        }
        Ok(known)
    }

    fn set_datagram(&mut self, link: u64, size: usize) -> Result<bool, Error> {
        self.with(|hub| hub.set_datagram(link, size))
    }

    #[pyo3(signature = (link, person, now, *, rate, burst))]
    fn bind<'py>(
        &mut self,
        py: Python<'py>,
        link: u64,
        person: &str,
        now: f64,
        rate: f64,
        burst: f64,
    ) -> PyResult<Bound<'py, PyList>> {
        if ![rate, burst].iter().all(|number| number.is_finite() && *number > 0.0) {
            return Err(PyValueError::new_err("rate and burst must be finite and above 0"));
        }
        self.read(py, now, |hub, _, reading| hub.bind(link, person, rate, burst, reading))
    }

    fn send_frame(&mut self, link: u64, frame: &Bound<'_, PyFrame>) -> Result<bool, Error> {
        self.with(|hub| hub.send_frame(link, &frame.get().frame))
    }

    fn attach(&mut self, link: u64, number: u64, generation: u64, after: u64) -> Result<bool, Error> {
        self.with(|hub| hub.attach(link, number, generation, after))
    }

    fn fill(&mut self, link: u64, number: u64, generation: u64, frames: Vec<Py<PyFrame>>) -> Result<bool, Error> {
        self.with(|hub| hub.fill(link, number, generation, frames.iter().map(|frame| &frame.get().frame)))
    }

    fn go_live(&mut self, link: u64, number: u64, generation: u64) -> Result<Option<u64>, Error> {
        self.with(|hub| hub.go_live(link, number, generation))
    }

    fn detach(&mut self, link: u64, number: u64, generation: u64) -> Result<bool, Error> {
        self.with(|hub| hub.detach(link, number, generation))
    }

    #[pyo3(signature = (number, person, frame=None))]
    fn drop(&mut self, number: u64, person: &str, frame: Option<&Bound<'_, PyFrame>>) -> Result<Vec<u64>, Error> {
        self.with(|hub| hub.drop(number, person, frame.map(|frame| &frame.get().frame)))
    }

    #[pyo3(signature = (number, frame, offset, sender=0, author=None))]
    fn publish(
        &mut self,
        number: u64,
        frame: &Bound<'_, PyFrame>,
        offset: u64,
        sender: u64,
        author: Option<(PyBackedStr, Bound<'_, PyFrame>)>,
    ) -> Result<usize, Error> {
        let author = author.as_ref().map(|(person, frame)| (&**person, &frame.get().frame));
        self.with(|hub| hub.publish(number, &frame.get().frame, offset, sender, author))
    }

    #[pyo3(signature = (number, key, frame, sender=0))]
    fn publish_event(
        &mut self,
        number: u64,
        key: &str,
        frame: &Bound<'_, PyFrame>,
        sender: u64,
    ) -> Result<usize, Error> {
        self.with(|hub| hub.publish_event(number, key, &frame.get().frame, sender))
    }

    fn take_gaps(&mut self) -> Result<Vec<(u64, u64, u64, u64)>, Error> {
        let gaps = self.with(Hub::take_gaps)?;
        Ok(gaps.into_iter().map(|gap| (gap.link, gap.number, gap.generation, gap.after)).collect())
    }

    fn take_overflown(&mut self) -> Result<Vec<u64>, Error> {
        self.with(Hub::take_overflown)
    }

    fn attached(&mut self, link: u64, number: u64) -> Result<Option<&'static str>, Error> {
        self.with(|hub| hub.attached(link, number).map(|state| state.name()))
    }

    fn stats<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, pyo3::types::PyDict>> {
        let stats = self.with(|hub| hub.stats())?;
        let dict = pyo3::types::PyDict::new(py);
        dict.set_item("connections", stats.connections)?;
        dict.set_item("links", stats.links)?;
        dict.set_item("attachments", stats.attachments)?;
        dict.set_item("queued_bytes", stats.queued.total())?;
        dict.set_item("queued_begun_bytes", stats.queued.begun)?;
        dict.set_item("queued_control_bytes", stats.queued.control)?;
        dict.set_item("queued_durable_bytes", stats.queued.durable)?;
        dict.set_item("queued_ephemeral_bytes", stats.queued.ephemeral)?;
        dict.set_item("frames", stats.frames)?;
        dict.set_item("dropped_events", stats.dropped_events)?;
        dict.set_item("lagged", stats.lagged)?;
        Ok(dict)
    }
}
