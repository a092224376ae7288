//! `Tls`: settings of a TLS listener.
use pyo3::prelude::*;

use crate::{error::Error, tls::Settings};

#[pyclass(module = "chiron._core", frozen)]
pub(crate) struct Tls {
    pub(crate) settings: Settings,
}

#[pymethods]
impl Tls {
    #[new]
    fn new(certificate_chain: &[u8], private_key: &[u8], ticket_keys: Vec<Vec<u8>>) -> Result<Self, Error> {
        Ok(Self { settings: Settings::new(certificate_chain, private_key, &ticket_keys)? })
    }

    fn reload(&self, certificate_chain: &[u8], private_key: &[u8]) -> Result<(), Error> {
        Ok(self.settings.reload(certificate_chain, private_key)?)
    }

    fn set_ticket_keys(&self, ticket_keys: Vec<Vec<u8>>) -> Result<(), Error> {
        Ok(self.settings.set_ticket_keys(&ticket_keys)?)
    }
}
