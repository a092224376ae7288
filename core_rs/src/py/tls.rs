//! `Tls`: settings of a TLS listener.
use crate::tls::{Settings, TlsError};
use pyo3::{exceptions::PyValueError, prelude::*};

#[pyclass(module = "chiron._core", frozen)]
pub(crate) struct Tls {
    pub(crate) settings: Settings,
}

impl From<TlsError> for PyErr {
    fn from(error: TlsError) -> Self {
        PyValueError::new_err(error.to_string())
    }
}

#[pymethods]
impl Tls {
    #[new]
    fn new(certificate_chain: &[u8], private_key: &[u8], ticket_keys: Vec<Vec<u8>>) -> PyResult<Self> {
        Ok(Self { settings: Settings::new(certificate_chain, private_key, &ticket_keys)? })
    }

    fn reload(&self, certificate_chain: &[u8], private_key: &[u8]) -> PyResult<()> {
        Ok(self.settings.reload(certificate_chain, private_key)?)
    }

    fn set_ticket_keys(&self, ticket_keys: Vec<Vec<u8>>) -> PyResult<()> {
        Ok(self.settings.set_ticket_keys(&ticket_keys)?)
    }
}
