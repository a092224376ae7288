//! `Admission`: a limiter and a verifier, asked together.
use super::{
    jwt::PyVerifier,
    limit::{PyLimiter, meaningful},
};
use crate::{
    admission::{Asked, Rate, admit},
    error::Error,
};
use pyo3::{
    prelude::*,
    types::{PyString, PyTuple},
};

#[pyclass(module = "chiron._core", name = "Admission")]
pub(crate) struct PyAdmission {
    limiter: Py<PyLimiter>,
    verifier: Py<PyVerifier>,
    address: Rate,
    person: Rate,
    name: Py<PyString>,
    policy: Py<PyTuple>,
}

fn rate((per_second, burst): (f64, f64)) -> Result<Rate, Error> {
    meaningful(0.0, per_second, burst, 0.0)?;
    Ok(Rate { per_second, burst })
}

#[pymethods]
impl PyAdmission {
    #[new]
    #[pyo3(signature = (limiter, verifier, *, address, person, policy))]
    fn new(
        py: Python<'_>,
        limiter: Py<PyLimiter>,
        verifier: Py<PyVerifier>,
        address: (f64, f64),
        person: (f64, f64),
        policy: Py<PyTuple>,
    ) -> Result<Self, Error> {
        let (address, person) = (rate(address)?, rate(person)?);
        Ok(Self { limiter, verifier, address, person, name: PyString::intern(py, "ratelimit").unbind(), policy })
    }

    fn admit<'py>(
        &self,
        py: Python<'py>,
        authorization: &str,
        address: &str,
        cost: f64,
        now: f64,
        wall: f64,
    ) -> PyResult<Option<(Py<PyAny>, Bound<'py, PyTuple>)>> {
        meaningful(cost, self.person.per_second, self.person.burst, now)?;
        if !wall.is_finite() {
            return Err(Error::Argument("wall must be finite").into());
        }
        let (mut limiter, mut verifier) = (self.limiter.borrow_mut(py), self.verifier.borrow_mut(py));
        let asked = Asked { authorization, address, cost, now, wall };
        let admitted = admit(&mut limiter.limiter, &mut verifier.verifier, self.address, self.person, &asked);
        let Some((attached, standing)) = admitted else { return Ok(None) };
        let state = format!("\"person\";r={};t={}", standing.left as u64, standing.rest.ceil() as u64);
        let state = (&self.name, state).into_pyobject(py)?;
        Ok(Some((attached.clone_ref(py), (state, &self.policy).into_pyobject(py)?)))
    }
}
