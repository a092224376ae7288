//! Frames of clients as Python objects, and frames of the server as made by Python.
use pyo3::{PyClass, prelude::*, types::PyBytes};

use super::score::PyScore;
use crate::{
    error::Error,
    wire::{ClientFrame, Frame},
};

#[pyclass(module = "chiron._core", frozen, get_all)]
pub(crate) struct Connect {
    id: u64,
    token: String,
    device: String,
    capabilities: Vec<String>,
    epoch: Option<String>,
    offset: Option<u64>,
}

#[pyclass(module = "chiron._core", frozen, get_all)]
pub(crate) struct Attach {
    id: u64,
    channel: String,
    generation: u64,
    epoch: Option<String>,
    after: Option<u64>,
}

#[pyclass(module = "chiron._core", frozen, get_all)]
pub(crate) struct Detach {
    id: u64,
    channel: String,
    generation: u64,
}

#[pyclass(module = "chiron._core", frozen, get_all)]
pub(crate) struct Publish {
    id: u64,
    channel: String,
    client_id: String,
    n: u64,
    kind: String,
    #[pyo3(name = "ref")]
    reference: Option<String>,
    body: Py<PyBytes>,
    retry_after_ms: u64,
    score: Option<Py<PyScore>>,
}

#[pyclass(module = "chiron._core", frozen, get_all)]
pub(crate) struct Watermark {
    id: u64,
    channel: String,
    received: Option<u64>,
    read: Option<u64>,
}

#[pyclass(module = "chiron._core", frozen, get_all)]
pub(crate) struct Sync {
    id: u64,
    channel: String,
    after: Option<u64>,
    before: Option<u64>,
    limit: u64,
}

#[pyclass(module = "chiron._core", frozen, get_all)]
pub(crate) struct Refresh {
    id: u64,
    token: String,
    generation: u64,
}

#[pyclass(module = "chiron._core", frozen, get_all)]
pub(crate) struct Command {
    id: u64,
    name: String,
    params: Py<PyBytes>,
    retry_after_ms: u64,
}

#[pyclass(module = "chiron._core", frozen)]
pub(crate) struct Pong;

#[pyclass(module = "chiron._core", frozen, get_all)]
pub(crate) struct Malformed {
    id: Option<u64>,
    code: &'static str,
    field: String,
    reason: String,
}

/// The event that says what a client sent.
pub(crate) fn to_python(py: Python<'_>, frame: ClientFrame) -> PyResult<Py<PyAny>> {
    fn object<T: PyClass>(py: Python<'_>, event: impl Into<PyClassInitializer<T>>) -> PyResult<Py<PyAny>> {
        Ok(Py::new(py, event)?.into_any())
    }
    let bytes = |text: Vec<u8>| PyBytes::new(py, &text).unbind();
    match frame {
        ClientFrame::Connect { id, token, device, capabilities, epoch, offset } => {
            object(py, Connect { id, token, device, capabilities, epoch, offset })
        }
        ClientFrame::Attach { id, channel, generation, epoch, after } => {
            object(py, Attach { id, channel, generation, epoch, after })
        }
        ClientFrame::Detach { id, channel, generation } => object(py, Detach { id, channel, generation }),
        ClientFrame::Publish { id, channel, client_id, n, kind, reference, body, retry_after_ms, score } => {
            let (body, score) = (bytes(body), score.map(|score| Py::new(py, PyScore::from(score))).transpose()?);
            object(py, Publish { id, channel, client_id, n, kind, reference, body, retry_after_ms, score })
        }
        ClientFrame::Watermark { id, channel, received, read } => object(py, Watermark { id, channel, received, read }),
        ClientFrame::Sync { id, channel, after, before, limit } => {
            object(py, Sync { id, channel, after, before, limit })
        }
        ClientFrame::Refresh { id, token, generation } => object(py, Refresh { id, token, generation }),
        ClientFrame::Command { id, name, params, retry_after_ms } => {
            object(py, Command { id, name, params: bytes(params), retry_after_ms })
        }
        ClientFrame::Pong => object(py, Pong),
        ClientFrame::Malformed { id, code, field, reason } => object(py, Malformed { id, code, field, reason }),
    }
}

#[pyclass(module = "chiron._core", frozen, name = "Frame")]
pub(crate) struct PyFrame {
    pub(crate) frame: Frame,
}

impl From<Frame> for PyFrame {
    fn from(frame: Frame) -> Self {
        Self { frame }
    }
}

#[pymethods]
impl PyFrame {
    #[staticmethod]
    #[pyo3(signature = (number, offset, message, ordinal, time, author, kind, r#ref, body, client_id=None, verdict=None))]
    #[expect(clippy::too_many_arguments, reason = "the members of a delivery")]
    fn delivery(
        number: u64,
        offset: u64,
        message: &str,
        ordinal: u64,
        time: u64,
        author: &str,
        kind: &str,
        r#ref: Option<&str>,
        body: &[u8],
        client_id: Option<&str>,
        verdict: Option<&str>,
    ) -> Result<Self, Error> {
        Ok(Frame::delivery(number, offset, message, ordinal, time, author, kind, r#ref, body, client_id, verdict)?
            .into())
    }

    #[staticmethod]
    fn event(number: u64, kind: &str, body: &[u8]) -> Result<Self, Error> {
        Ok(Frame::event(number, kind, body)?.into())
    }

    #[staticmethod]
    fn welcome(id: u64, body: &[u8]) -> Result<Self, Error> {
        Ok(Frame::welcome(id, body)?.into())
    }

    #[staticmethod]
    #[pyo3(signature = (id, channel, number, generation, outcome, epoch, head, origin))]
    #[expect(clippy::too_many_arguments, reason = "the members of attached")]
    fn attached(
        id: u64,
        channel: &str,
        number: u64,
        generation: u64,
        outcome: &str,
        epoch: &str,
        head: u64,
        origin: Option<u64>,
    ) -> Self {
        Frame::attached(id, channel, number, generation, outcome, epoch, head, origin).into()
    }

    #[staticmethod]
    #[pyo3(signature = (id, result=None))]
    fn ok(id: u64, result: Option<&[u8]>) -> Result<Self, Error> {
        Ok(Frame::ok(id, result)?.into())
    }

    #[staticmethod]
    #[pyo3(signature = (id, message, offset, ordinal, time, duplicate, verdict=None))]
    fn ack(
        id: u64,
        message: &str,
        offset: u64,
        ordinal: u64,
        time: u64,
        duplicate: bool,
        verdict: Option<&str>,
    ) -> Self {
        Frame::ack(id, message, offset, ordinal, time, duplicate, verdict).into()
    }

    #[staticmethod]
    #[expect(clippy::too_many_arguments, reason = "the members of a page")]
    fn page(
        id: u64,
        channel: &str,
        number: u64,
        items: Vec<Py<Self>>,
        more: bool,
        head: u64,
        floor: u64,
        epoch: &str,
    ) -> Result<Self, Error> {
        let items = items.iter().map(|item| &item.get().frame);
        Ok(Frame::page(id, channel, number, items, more, head, floor, epoch)?.into())
    }

    #[staticmethod]
    #[pyo3(signature = (id, code, params, temporary, scope, action, retry_after_ms=None))]
    fn error(
        id: Option<u64>,
        code: &str,
        params: &[u8],
        temporary: bool,
        scope: &str,
        action: &str,
        retry_after_ms: Option<u64>,
    ) -> Result<Self, Error> {
        Ok(Frame::error(id, code, params, temporary, scope, action, retry_after_ms)?.into())
    }

    #[staticmethod]
    fn lag(number: u64, head: u64) -> Self {
        Frame::lag(number, head).into()
    }

    #[staticmethod]
    fn detached(number: u64, reason: &str) -> Self {
        Frame::detached(number, reason).into()
    }

    #[staticmethod]
    fn token_expiring(expires_in_ms: u64) -> Self {
        Frame::token_expiring(expires_in_ms).into()
    }

    #[staticmethod]
    fn ping() -> Self {
        Frame::ping().into()
    }

    #[staticmethod]
    fn close(code: u16, reason: &str, reconnect_in_ms: u64, resumable: bool) -> Self {
        Frame::close(code, reason, reconnect_in_ms, resumable).into()
    }

    fn json<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.frame.payload())
    }
}
