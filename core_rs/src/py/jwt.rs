use std::sync::Arc;

use pyo3::{prelude::*, types::PyBytes};

use crate::{
    error::Error,
    jwt::{Claims, Signer, Verifier},
};

#[pyclass(module = "chiron._core", frozen, name = "Signer")]
pub(crate) struct PySigner {
    signer: Signer,
}

#[pymethods]
impl PySigner {
    #[new]
    fn new(kid: &str, seed: &[u8]) -> Result<Self, Error> {
        Ok(Self { signer: Signer::new(kid, seed)? })
    }

    #[getter]
    fn public_key<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.signer.public_key())
    }

    fn sign(&self, claims: &[u8]) -> Result<String, Error> {
        Ok(self.signer.sign(claims)?)
    }
}

/// Shares what the verifier remembers; strings are made when they are asked for.
#[pyclass(module = "chiron._core", frozen, name = "Claims")]
pub(crate) struct PyClaims {
    claims: Arc<Claims>,
}

#[pymethods]
impl PyClaims {
    #[getter]
    fn iss(&self) -> &str {
        &self.claims.iss
    }

    #[getter]
    fn sub(&self) -> &str {
        &self.claims.sub
    }

    #[getter]
    fn aud(&self) -> &str {
        &self.claims.aud
    }

    #[getter]
    fn exp(&self) -> u64 {
        self.claims.exp
    }

    #[getter]
    fn iat(&self) -> u64 {
        self.claims.iat
    }

    #[getter]
    fn jti(&self) -> &str {
        &self.claims.jti
    }

    #[getter]
    fn sid(&self) -> &str {
        &self.claims.sid
    }

    #[getter]
    fn client_id(&self) -> &str {
        &self.claims.client_id
    }

    #[getter]
    fn scope(&self) -> &str {
        &self.claims.scope
    }
}

#[pyclass(module = "chiron._core", name = "Verifier")]
pub(crate) struct PyVerifier {
    pub(crate) verifier: Verifier<Py<PyAny>>,
}

#[pymethods]
impl PyVerifier {
    #[new]
    #[pyo3(signature = (issuer, audience, *, leeway=0.0, cache=4096))]
    fn new(issuer: &str, audience: &str, leeway: f64, cache: usize) -> Result<Self, Error> {
        if !(leeway >= 0.0 && leeway.is_finite()) {
            return Err(Error::Argument("leeway must be finite and not below 0"));
        }
        Ok(Self { verifier: Verifier::new(issuer, audience, leeway, cache) })
    }

    fn set_keys(&mut self, keys: Vec<(String, Vec<u8>)>) -> Result<(), Error> {
        Ok(self.verifier.set_keys(keys.iter().map(|(kid, public)| (kid.as_str(), public.as_slice())))?)
    }

    fn verify(&mut self, token: &str, now: f64) -> Result<PyClaims, Error> {
        if !now.is_finite() {
            return Err(Error::Argument("now must be finite"));
        }
        Ok(PyClaims { claims: self.verifier.verify(token, now)? })
    }

    fn recall(&mut self, py: Python<'_>, token: &str, now: f64) -> Result<Option<Py<PyAny>>, Error> {
        if !now.is_finite() {
            return Err(Error::Argument("now must be finite"));
        }
        Ok(self.verifier.recall(token, now).map(|(_, attached)| attached.clone_ref(py)))
    }

    fn attach(&mut self, token: &str, what: Py<PyAny>) {
        self.verifier.attach(token, what);
    }

    fn detach(&mut self) {
        self.verifier.detach();
    }
}
