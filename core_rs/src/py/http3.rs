//! `RequestHeads`: what a head is read to, in objects of Python. `ResponseHeads`: frames.
use crate::{
    error::Error,
    http3::{Limits, Make, Reader, Writer},
};
use pyo3::{
    prelude::*,
    pybacked::PyBackedStr,
    types::{PyBytes, PyList, PyString, PyTuple},
};
use std::sync::{Mutex, TryLockError};

type Head<'py> = (Py<PyString>, Py<PyString>, Py<PyString>, Py<PyString>, Bound<'py, PyList>, Option<Py<PyString>>);

#[pyclass(module = "chiron._core", frozen, name = "RequestHeads")]
pub(crate) struct PyRequestHeads {
    reader: Mutex<Reader<Py<PyString>, Py<PyTuple>>>,
}

#[pymethods]
impl PyRequestHeads {
    #[new]
    #[pyo3(signature = (*, field_section_bytes, header_fields, target_bytes))]
    fn new(py: Python<'_>, field_section_bytes: usize, header_fields: usize, target_bytes: usize) -> Self {
        let limits = Limits { field_section_bytes, header_fields, target_bytes };
        Self { reader: Mutex::new(Reader::new(&Objects(py), limits)) }
    }

    fn read<'py>(&self, py: Python<'py>, data: &[u8]) -> PyResult<Option<Head<'py>>> {
        let head = match self.reader.try_lock() {
            Ok(mut reader) => reader.read(&Objects(py), data),
            // Making an object may run a finaliser, and that anything.
            Err(TryLockError::WouldBlock) => None,
            Err(TryLockError::Poisoned(_)) => return Err(Error::Poisoned.into()),
        };
        let Some(head) = head else { return Ok(None) };
        let fields = PyList::new(py, head.fields)?;
        Ok(Some((head.method, head.scheme, head.authority, head.path, fields, head.priority)))
    }
}

#[pyclass(module = "chiron._core", frozen, name = "ResponseHeads")]
pub(crate) struct PyResponseHeads {
    writer: Mutex<Writer>,
}

#[pymethods]
impl PyResponseHeads {
    #[new]
    fn new() -> Self {
        Self { writer: Mutex::new(Writer::default()) }
    }

    #[pyo3(signature = (status, fields, length, content))]
    fn write<'py>(
        &self,
        py: Python<'py>,
        status: u16,
        fields: Vec<(PyBackedStr, PyBackedStr)>,
        length: Option<usize>,
        content: &[u8],
    ) -> Result<Bound<'py, PyBytes>, Error> {
        let mut writer = self.writer.lock().map_err(|_| Error::Poisoned)?;
        Ok(PyBytes::new(py, &writer.write(status, &fields, length, content)?))
    }
}

struct Objects<'py>(Python<'py>);

impl Make for Objects<'_> {
    type Text = Py<PyString>;
    type Field = Py<PyTuple>;

    fn text(&self, bytes: &[u8]) -> Self::Text {
        match std::str::from_utf8(bytes) {
            Ok(text) if text.is_ascii() => PyString::new(self.0, text),
            _ => PyString::new(self.0, &bytes.iter().map(|byte| char::from(*byte)).collect::<String>()),
        }
        .unbind()
    }

    fn name(&self, bytes: &[u8]) -> Self::Text {
        PyString::intern(self.0, &bytes.iter().map(|byte| char::from(*byte)).collect::<String>()).unbind()
    }

    fn field(&self, name: Self::Text, value: Self::Text) -> Self::Field {
        PyTuple::new(self.0, [name, value]).expect("there is memory for two pointers").unbind()
    }

    fn same_text(&self, text: &Self::Text) -> Self::Text {
        text.clone_ref(self.0)
    }

    fn same_field(&self, field: &Self::Field) -> Self::Field {
        field.clone_ref(self.0)
    }

    fn equal(&self, one: &Self::Text, other: &Self::Text) -> bool {
        one.bind(self.0).as_any().eq(other.bind(self.0)).is_ok_and(|equal| equal)
    }
}
